"""`cortex trigger`: when this happens, do that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cortex_cli import completion
from cortex_cli.context import App, api
from cortex_cli.failures import Missing
from cortex_cli.options import (
    Noun,
    confirm,
    finish,
    given,
    json_option,
    read_text,
    text_options,
    yes_option,
)
from cortex_cli.output import ago, clean, past, print_fields, print_json, print_table, say

_TRIGGER = click.argument("trigger", metavar="TRIGGER", shell_complete=completion.triggers)


@click.group("trigger", cls=Noun)
def command() -> None:
    """Start agents, batches or calls when something happens.

    Or by the clock. TRIGGER is a trigger's name or id.
    """


@command.command("list")
@json_option
@click.pass_obj
def list_triggers(app: App, as_json: bool) -> None:
    """List the project's triggers."""
    triggers = list(app.client.paginate(api("projects", app.project(), "triggers")))
    if as_json:
        print_json(triggers)
        return
    print_table(
        ("NAME", "ON", "WHEN", "DOES", "FIRED", "LAST", "TROUBLE"),
        [
            (
                t["name"], "yes" if t["enabled"] else "no", _when(t), _does(t), t["fired"],
                ago(t["last_fired_at"]), t["last_error"],
            )
            for t in triggers
        ],
    )  # fmt: skip


@command.command("show")
@_TRIGGER
@json_option
@click.pass_obj
def show(app: App, trigger: str, as_json: bool) -> None:
    """Show a trigger."""
    found = _the_trigger(app, trigger)
    if as_json:
        print_json(found)
        return
    fired = found["last_fired_at"]
    print_fields(
        {
            "id": found["id"], "name": found["name"], "on": "yes" if found["enabled"] else "no",
            "when": _when(found), "does": _does(found), "prompt": found["action"].get("prompt"),
            "fired": found["fired"], "last": past(fired) if fired else None,
            "next": found["next_at"], "trouble": found["last_error"],
        }
    )  # fmt: skip


@command.command("create")
@click.argument("name")
@click.option(
    "--types", metavar="TYPE,...", shell_complete=completion.types,
    help="On these events: ticket.moved,review.*",
)  # fmt: skip
@click.option(
    "--where", multiple=True, metavar="FIELD=VALUE",
    help="Only events whose payload has this, such as status=failed; repeat it. The same FIELD "
    "again: either value.",
)  # fmt: skip
@click.option("--every", type=click.IntRange(min=1), metavar="SECONDS", help="So often.")
@click.option("--cron", metavar="'M H D M W'", help="At these times, UTC.")
@click.option("--agent", metavar="NAME", shell_complete=completion.agents,
              help="Starts this agent on the event's ticket, or on --ticket.")  # fmt: skip
@click.option("--profile", metavar="NAME", shell_complete=completion.profiles,
              help="With these options; it names the agent, too.")  # fmt: skip
@click.option("--ticket", metavar="TICKET", shell_complete=completion.tickets,
              help="On this ticket instead.")  # fmt: skip
@click.option("--batch-status", metavar="COLUMN", shell_complete=completion.columns,
              help="Runs --agent as a batch on the tickets of this column.")  # fmt: skip
@click.option("--call", metavar="URL", help="Sends the event there, signed.")
@text_options("what the agent is told", "-m", "--prompt")
@click.option("--off", is_flag=True, help="Do not switch it on yet.")
@json_option
@click.pass_obj
def create(
    app: App, /, name: str, types: str | None, where: tuple[str, ...], every: int | None,
    cron: str | None, off: bool, as_json: bool, **action: Any,
) -> None:  # fmt: skip
    """Create a trigger.

    For --call its secret is printed, once.
    """
    fields = {
        "name": name,
        "on": _on(types, where, every, cron),
        "action": _action(app, **action),
        "enabled": not off,
    }
    made = app.client.post(api("projects", app.project(), "triggers"), fields)
    if not as_json and made.get("secret"):
        click.echo(clean(made["secret"]))
        say("That is the secret that calls are signed with; it is not shown again.")
    finish(made, as_json, f"Trigger {clean(made['name'])}: {_when(made)}, {_does(made)}.")


@command.command("enable")
@_TRIGGER
@json_option
@click.pass_obj
def enable(app: App, trigger: str, as_json: bool) -> None:
    """Switch a trigger on."""
    _switch(app, trigger, True, as_json)


@command.command("disable")
@_TRIGGER
@json_option
@click.pass_obj
def disable(app: App, trigger: str, as_json: bool) -> None:
    """Switch a trigger off."""
    _switch(app, trigger, False, as_json)


@command.command("test")
@_TRIGGER
@click.option("--ticket", metavar="TICKET", shell_complete=completion.tickets,
              help="On this ticket, where it waits for an event's.")  # fmt: skip
@json_option
@click.pass_obj
def test(app: App, trigger: str, ticket: str | None, as_json: bool) -> None:
    """Fire a trigger once, now."""
    found = _the_trigger(app, trigger)
    on = None if ticket is None else app.ticket(ticket)
    fired = app.client.post(api("triggers", found["id"], "test"), given(ticket=on))
    finish(fired, as_json, f"{found['name']} fired.")


@command.command("calls")
@_TRIGGER
@json_option
@click.pass_obj
def calls(app: App, trigger: str, as_json: bool) -> None:
    """List the calls that left, or are to leave."""
    found = list(app.client.paginate(api("triggers", _the_trigger(app, trigger)["id"], "calls")))
    if as_json:
        print_json(found)
        return
    print_table(
        ("ID", "STATUS", "TRIES", "AGE", "ANSWER", "URL"),
        [
            (c["id"], c["status"], c["tries"], ago(c["created_at"]), c["answer"], c["url"])
            for c in found
        ],
    )


@command.command("delete")
@_TRIGGER
@yes_option
@click.pass_obj
def delete(app: App, trigger: str, yes: bool) -> None:
    """Delete a trigger. What it started goes on."""
    found = _the_trigger(app, trigger)
    confirm(found["name"], f"deletes the trigger {found['name']}", yes)
    app.client.delete(api("triggers", found["id"]))
    finish(None, False, f"{found['name']} is deleted.")


def _the_trigger(app: App, named: str) -> dict[str, Any]:
    triggers = app.client.paginate(api("projects", app.project(), "triggers"))
    for trigger in triggers:
        if named in (trigger["id"], trigger["name"]):
            return dict(trigger)
    raise Missing(f"There is no trigger {named}; `cortex trigger list` shows them.")


def _switch(app: App, named: str, on: bool, as_json: bool) -> None:
    found = app.client.patch(api("triggers", _the_trigger(app, named)["id"]), {"enabled": on})
    finish(found, as_json, f"{found['name']} is {'on' if on else 'off'}.")


def _on(
    types: str | None, where: tuple[str, ...], every: int | None, cron: str | None
) -> dict[str, Any]:
    """What is to happen. Raises UsageError unless it is one of the three."""
    if sum(option is not None for option in (types, every, cron)) != 1:
        raise click.UsageError("Say when: one of --types, --every and --cron.")
    if where and types is None:
        raise click.UsageError("--where goes with --types.")
    if types is None:
        return given(every_s=every, cron=cron)
    pairs = [pair.partition("=") for pair in where]
    if wrong := [f"{name}{sign}{value}" for name, sign, value in pairs if not sign or not name]:
        raise click.UsageError(f"--where takes FIELD=VALUE, not {wrong[0]!r}.")
    wanted: dict[str, list[str]] = {}
    for name, _, value in pairs:
        wanted.setdefault(name, []).append(value)
    filters = {name: found if len(found) > 1 else found[0] for name, found in wanted.items()}
    return {"types": [name.strip() for name in types.split(",")], "filter": filters}


def _action(
    app: App, agent: str | None, profile: str | None, ticket: str | None,
    batch_status: str | None, call: str | None, text: str | None, text_file: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """What is to be done. Raises UsageError unless it is one of the three."""
    from cortex_cli.commands.attempt import agent_of

    works = given(agent=agent, profile=profile)
    if (call is None) == (not works):
        raise click.UsageError("Say what to do: --agent or --call.")
    prompt = read_text(text, text_file)
    if call is not None:
        if given(ticket=ticket, status=batch_status, prompt=prompt):
            raise click.UsageError("--ticket, --batch-status and --prompt go with --agent.")
        return {"kind": "call", "url": call}
    if ticket is not None and batch_status is not None:
        raise click.UsageError("Give --ticket or --batch-status, not both.")
    agent = agent or agent_of(app, profile)
    if batch_status is not None:
        tickets = {"status": batch_status}
        return {
            "kind": "batch", "agent": agent, "tickets": tickets,
            **given(profile=profile, prompt=prompt),
        }  # fmt: skip
    named = None if ticket is None else app.ticket(ticket)
    return {
        "kind": "attempt",
        "agent": agent,
        **given(profile=profile, ticket=named, prompt=prompt),
    }


def _when(trigger: dict[str, Any]) -> str:
    on = trigger["on"]
    if "every_s" in on:
        return f"every {on['every_s']} s"
    if "cron" in on:
        return f"cron {on['cron']}"
    filters = " ".join(
        f"{name}={_either(value)}" for name, value in (on.get("filter") or {}).items()
    )
    return f"{','.join(on['types'])} {filters}".strip()


def _either(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return "|".join(one if isinstance(one, str) else json.dumps(one) for one in values)


def _does(trigger: dict[str, Any]) -> str:
    action = trigger["action"]
    if action["kind"] == "call":
        return f"calls {action['url']}"
    words = [f"starts {action['agent']}"]
    if action.get("profile"):
        words.append(f"with {action['profile']}")
    if action["kind"] == "batch":
        wanted = action.get("tickets") or {}
        words.append(f"as a batch on {' '.join(f'{k}={v}' for k, v in wanted.items()) or 'all'}")
    elif action.get("ticket"):
        words.append(f"on {action['ticket']}")
    return " ".join(words)
