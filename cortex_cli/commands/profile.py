"""`cortex profile`: named sets of options for agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cortex_cli import completion
from cortex_cli.context import App, api
from cortex_cli.options import (
    Noun,
    confirm,
    finish,
    given,
    json_option,
    read_text,
    revision_option,
    text_options,
    yes_option,
)
from cortex_cli.output import clean, names, print_fields, print_json, print_table

_NEW = click.argument("name", metavar="PROFILE")
_NAME = click.argument("name", metavar="PROFILE", shell_complete=completion.profiles)
_MODEL = click.option("--model", help="The model; '' for the agent's own choice.")
_PROMPT = text_options("what the agent is told before the ticket", "-m", "--prompt")
_ARGS = click.option(
    "--arg", "args", multiple=True, metavar="ARG",
    help="An argument; repeat it. '' alone for none.",
)  # fmt: skip
_ENV = click.option(
    "--env", multiple=True, metavar="NAME",
    help="A variable of the runner that the agent gets; repeat it. '' alone for none.",
)  # fmt: skip


@click.group("profile", cls=Noun)
def command() -> None:
    """Work with profiles: named sets of options for agents."""


@command.command("list")
@json_option
@click.pass_obj
def list_profiles(app: App, as_json: bool) -> None:
    """List the profiles."""
    profiles = list(app.client.paginate(api("profiles")))
    if as_json:
        print_json(profiles)
        return
    print_table(
        ("NAME", "AGENT", "PROJECT", "MODEL", "ARGS"),
        [
            (
                p["name"],
                p["agent"],
                p["project"],
                p["options"]["model"],
                names(p["options"]["args"]),
            )
            for p in profiles
        ],
    )


@command.command("show")
@_NAME
@json_option
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """Show a profile."""
    found = app.client.get(api("profiles", name))
    if as_json:
        print_json(found)
        return
    options = found["options"]
    lists = {key: names(options[key]) for key in ("args", "env")}
    facts = {key: found[key] for key in ("name", "agent", "project")}
    print_fields({**facts, "model": options["model"], "prompt": options["prompt"], **lists})


@command.command("create")
@_NEW
@click.option(
    "--agent", required=True, metavar="NAME", shell_complete=completion.agents, help="For which."
)
@click.option("--only", metavar="KEY", shell_complete=completion.projects, help="For this project.")
@_MODEL
@_PROMPT
@_ARGS
@_ENV
@json_option
@click.pass_obj
def create(app: App, /, name: str, agent: str, only: str | None, as_json: bool, **o: Any) -> None:
    """Create a profile."""
    fields = {"name": name, "agent": agent, "options": _options(**o), **given(project=only)}
    made = app.client.post(api("profiles"), fields)
    finish(made, as_json, f"Profile {clean(made['name'])} is for {made['agent']}.")


@command.command("edit")
@_NAME
@click.option("--rename", metavar="NAME", help="Call it so.")
@_MODEL
@_PROMPT
@_ARGS
@_ENV
@revision_option
@json_option
@click.pass_obj
def edit(
    app: App, /, name: str, rename: str | None, revision: int | None, as_json: bool, **o: Any
) -> None:
    """Change a profile. Lists are replaced as a whole."""
    options = _options(**o)
    if not options and rename is None:
        raise click.UsageError("Say what to change: --rename, --model, --prompt, --arg, --env.")
    fields = given(name=rename, options=options or None, revision=revision)
    found = app.client.patch(api("profiles", name), fields)
    finish(found, as_json, f"Profile {clean(found['name'])} is changed.")


@command.command("delete")
@_NAME
@yes_option
@click.pass_obj
def delete(app: App, name: str, yes: bool) -> None:
    """Delete a profile. Attempts that run with it go on."""
    confirm(name, f"deletes the profile {name}", yes)
    app.client.delete(api("profiles", name))
    finish(None, False, f"Profile {name} is deleted.")


def _options(
    model: str | None,
    text: str | None,
    text_file: Path | None,
    args: tuple[str, ...],
    env: tuple[str, ...],
) -> dict[str, Any]:
    """The options that the command line names; "" clears a text."""
    texts = {"model": model, "prompt": read_text(text, text_file)}
    cleared = {name: value or None for name, value in texts.items() if value is not None}
    lists = {"args": args, "env": env}
    return cleared | {
        n: [] if found == ("",) else list(found) for n, found in lists.items() if found
    }
