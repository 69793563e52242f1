"""`cortex batch`: several tickets, run together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from cortex_cli import completion, following
from cortex_cli.context import App, api
from cortex_cli.failures import Missing
from cortex_cli.options import Noun, finish, given, json_option, read_text, text_options
from cortex_cli.output import ago, clean, names, print_fields, print_json, print_table, to_json

_STATUSES = ("pending", "running", "merging", "completed", "failed", "cancelled")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BATCH = click.argument("batch", metavar="BATCH", shell_complete=completion.batches)
_NEWEST = click.argument(
    "batch", required=False, metavar="[BATCH]", shell_complete=completion.batches
)


@click.group("batch", cls=Noun)
def command() -> None:
    """Run several tickets together.

    BATCH is a batch's id or name. What is shown or followed is the project's newest one, unless
    another is named.
    """


@command.command("list")
@click.option("--status", type=click.Choice(_STATUSES), help="Only these.")
@click.option("--all", "everything", is_flag=True, help="Of all projects.")
@json_option
@click.pass_obj
def list_batches(app: App, status: str | None, everything: bool, as_json: bool) -> None:
    """List the project's batches."""
    query = {"project": None if everything else app.project(), "status": status}
    batches = list(app.client.paginate(api("batches"), query))
    if as_json:
        print_json(batches)
        return
    print_table(
        ("ID", "STATUS", "MODE", "TICKETS", "AGENT", "AGE", "NAME"),
        [
            (b["id"], b["status"], b["mode"], _done(b), b["agent"], ago(b["created_at"]), b["name"])
            for b in batches
        ],
    )


@command.command("show")
@_NEWEST
@json_option
@click.pass_obj
def show(app: App, batch: str | None, as_json: bool) -> None:
    """Show a batch and its tickets."""
    found = _the_batch(app, batch)
    print_json(found) if as_json else _print(found)


@command.command("create")
@click.argument("tickets", nargs=-1, metavar="[TICKET]...", shell_complete=completion.tickets)
@click.option("--all-in", "column", metavar="COLUMN", shell_complete=completion.columns,
              help="All tickets of this column, in its order, after the named ones.")  # fmt: skip
@click.option("--agent", metavar="NAME", shell_complete=completion.agents,
              help="Who works; not needed where there is only one.")  # fmt: skip
@click.option("--profile", metavar="NAME", shell_complete=completion.profiles,
              help="With which options; it names the agent, too.")  # fmt: skip
@text_options("what to say beside each ticket", "-m", "--prompt")
@click.option("--name", help="What it is called.")
@click.option(
    "--mode", type=click.Choice(("sequential", "parallel")), default="sequential",
    show_default=True, help="One after the other, or at the same time.",
)  # fmt: skip
@click.option(
    "--limit", metavar="N", type=click.IntRange(min=1),
    help="At most so many at a time; else the project's attempts_parallel.",
)  # fmt: skip
@click.option("--stop-on-failure", is_flag=True, help="Begin no other when one fails.")
@click.option(
    "--on-conflict", type=click.Choice(("skip", "fail")), default="skip", show_default=True,
    help="When a branch conflicts: leave it out, or fail.",
)  # fmt: skip
@click.option(
    "--merge/--no-merge", default=True, show_default=True,
    help="Merge the branches into one and open one pull request.",
)  # fmt: skip
@click.option("--hold", is_flag=True, help="Do not start it yet.")
@click.option("-f", "--follow", is_flag=True, help="Tell how it goes until it ends.")
@json_option
@click.pass_obj
def create(
    app: App, /, tickets: tuple[str, ...], column: str | None, agent: str | None,
    text: str | None, text_file: Path | None, hold: bool, follow: bool, as_json: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Run an agent on several tickets, in the order given.

    With --follow it ends with the batch: exit code 0 when that completed, else 1.
    """
    from cortex_cli.commands.attempt import agent_of, say_who_is_missing

    if hold and follow:
        raise click.UsageError("What is held does not go on: --hold or --follow, not both.")
    fields = {
        "tickets": _tickets(app, tickets, column),
        "agent": agent or agent_of(app, options["profile"]),
        "start": not hold,
        **given(prompt=read_text(text, text_file), **options),
    }
    made = app.client.post(api("projects", app.project(), "batches"), fields)
    if as_json and follow:
        click.echo(to_json(made))  # a line, as each change is
    else:
        if not as_json:
            click.echo(clean(made["id"]))
        finish(made, as_json, f"The batch {clean(made['name'])} is {made['status']}.")
    if not hold:
        say_who_is_missing(app, made["agent"], made["project"])
    if follow:
        click.get_current_context().exit(following.batch(app.client, made, as_json=as_json))


@command.command("start")
@_BATCH
@json_option
@click.pass_obj
def start(app: App, batch: str, as_json: bool) -> None:
    """Start a batch that was held."""
    found = app.client.post(api("batches", _the_batch(app, batch)["id"], "start"))
    finish(found, as_json, f"The batch {clean(found['name'])} is {found['status']}.")


@command.command("cancel")
@_BATCH
@json_option
@click.pass_obj
def cancel(app: App, batch: str, as_json: bool) -> None:
    """Give a batch up.

    Its attempts are stopped, and what has not begun does not begin.
    """
    found = app.client.post(api("batches", _the_batch(app, batch)["id"], "cancel"))
    finish(found, as_json, f"The batch {clean(found['name'])} is {found['status']}.")


@command.command("follow")
@_NEWEST
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each change.")
@click.pass_obj
def follow_batch(app: App, batch: str | None, as_json: bool) -> None:
    """Tell how a batch goes until it ends.

    Exit code 0 when it completed, else 1.
    """
    found = _the_batch(app, batch)
    click.get_current_context().exit(following.batch(app.client, found, as_json=as_json))


def _tickets(app: App, named: tuple[str, ...], column: str | None) -> list[str]:
    """Return the tickets that are named, then those of the column. Raises UsageError, Missing."""
    found = [app.ticket(ticket) for ticket in named]
    if column is not None:
        query = {"project": app.project(), "status": column}
        listed = sorted(app.client.paginate(api("tickets"), query), key=lambda t: t["rank"])
        known = {ticket.lower() for ticket in found}
        found += [ticket["key"] for ticket in listed if ticket["key"].lower() not in known]
        if not found:
            raise Missing(_why_empty(app, column))
    if not found:
        raise click.UsageError("Name tickets, or --all-in COLUMN.")
    return found


def _why_empty(app: App, column: str) -> str:
    project = app.project()
    columns = [c["name"] for c in app.client.get(api("projects", project))["columns"]]
    if column in columns:
        return f"There is no ticket in {column}."
    return f"{project} has no column {column}; there are {', '.join(columns)}."


def _the_batch(app: App, named: str | None) -> dict[str, Any]:
    """Return the batch that is meant: by id, by name, or without either the newest.

    Raises UsageError when several have the name, Missing when there is none.
    """
    if named is not None and _ID.fullmatch(named):
        found: dict[str, Any] = app.client.get(api("batches", named))
        return found
    project = app.project()
    batches = list(app.client.paginate(api("batches"), {"project": project}))
    if named is None and batches:
        newest: dict[str, Any] = batches[-1]
        return newest
    batches = [batch for batch in batches if batch["name"] == named]
    if not batches:
        which = "no batch yet" if named is None else f"no batch {named}"
        raise Missing(f"{project} has {which}; `cortex batch list` shows them.")
    if len(batches) > 1:
        ids = ", ".join(batch["id"] for batch in batches)
        raise click.UsageError(f"{len(batches)} batches are called {named}. Name one by id: {ids}.")
    return dict(batches[0])


def _done(batch: dict[str, Any]) -> str:
    done = sum(ticket["status"] in ("completed", "merged") for ticket in batch["tickets"])
    return f"{done} of {len(batch['tickets'])}"


def _print(batch: dict[str, Any]) -> None:
    shown = (
        "id", "name", "status", "reason", "mode", "limit", "agent", "profile", "branch", "commit",
        "compare_url",
    )  # fmt: skip
    print_fields({name: batch[name] for name in shown} | {"pull request": batch["pr_url"]})
    click.echo()
    print_table(
        ("TICKET", "STATUS", "WHY", "FILES", "TITLE"),
        [
            (t["ticket"], t["status"], t["error"], names(t["files"]), t["title"])
            for t in batch["tickets"]
        ],
    )
