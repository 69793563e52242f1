"""`cortex memory`: what a project's agents are to know."""

from __future__ import annotations

from pathlib import Path

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
from cortex_cli.output import ago, clean_lines, print_json, print_table

_NAME = click.argument("name", shell_complete=completion.memories)


@click.group("memory", cls=Noun)
def command() -> None:
    """Keep what a project's agents are to know, in Markdown."""


@command.command("list")
@json_option
@click.pass_obj
def list_memories(app: App, as_json: bool) -> None:
    """List what is kept, by name."""
    found = list(app.client.paginate(api("projects", app.project(), "memory")))
    if as_json:
        print_json(found)
        return
    print_table(
        ("NAME", "SIZE", "AGE", "BY"),
        [(m["name"], len(m["body"]), ago(m["updated_at"]), m["author"]["name"]) for m in found],
    )


@command.command("show")
@_NAME
@json_option
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """Print what is kept under a name."""
    found = app.client.get(_path(app, name))
    print_json(found) if as_json else click.echo(clean_lines(found["body"].removesuffix("\n")))


@command.command("set")
@_NAME
@click.argument("words", nargs=-1, metavar="[TEXT]")
@text_options("the text", "-m", "--text")
@revision_option
@json_option
@click.pass_obj
def put(
    app: App,
    name: str,
    words: tuple[str, ...],
    text: str | None,
    text_file: Path | None,
    revision: int | None,
    as_json: bool,
) -> None:
    """Keep a text under a name. TEXT may be - for standard input."""
    if len(words) > 1 or (words and text is not None):
        raise click.UsageError("Too many arguments; put the text in quotes.")
    body = read_text(words[0] if words else text, text_file)
    if body is None:
        raise click.UsageError("Give the text, -F FILE, or - for standard input.")
    found = app.client.put(_path(app, name), {"body": body, **given(revision=revision)})
    finish(found, as_json, f"{name} is kept in {found['project']}.")


@command.command("delete")
@_NAME
@yes_option
@click.pass_obj
def delete(app: App, name: str, yes: bool) -> None:
    """Forget what is kept under a name."""
    path = _path(app, name)
    confirm(name, f"deletes {name} from the memory of {app.project()}", yes)
    app.client.delete(path)
    finish(None, False, f"{name} is deleted.")


def _path(app: App, name: str) -> str:
    if "/" in name:
        raise click.UsageError("A name has letters, digits and . _ - only.")
    return api("projects", app.project(), "memory", name)
