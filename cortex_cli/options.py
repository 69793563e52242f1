"""What many commands share: their options, their confirmation, their way to end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from cortex_cli import completion
from cortex_cli.context import App
from cortex_cli.failures import Failed
from cortex_cli.output import clean, print_json, say

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

_LARGEST_TEXT = 8 * 1_048_576  # more than any limit of the server's


class Command(click.Command):
    """A command that takes the options of `cortex` itself as well, for the habit of it."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        taken = {name for parameter in self.params for name in parameter.opts}
        self.params += _global_options(taken)


class Noun(click.Group):
    """A group of commands about one thing: `cortex ticket …`."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from cortex_cli.failures import unknown_command

        name = args[0]
        if name in self.commands or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise unknown_command(name, self.commands, ctx)


def _global_options(taken: set[str]) -> list[click.Parameter]:
    def option(*names: str, **kw: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_apply, **kw)

    mine = [
        option("--url", metavar="URL", hidden=True),
        option("--no-color", is_flag=True, hidden=True),
    ]
    if "--project" in taken:
        return list(mine)
    project = option(
        "-p", "--project", metavar="KEY", help="The project.", shell_complete=completion.projects
    )
    return [project, *mine]


def _apply(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if not value:
        return
    app = ctx.ensure_object(App)  # none yet while a shell completes
    if param.name == "project":
        app.project_option = value
    elif param.name == "url":
        app.url = value
    else:
        app.refuse_colour(ctx)


json_option: Decorator[Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print the API's JSON."
)
yes_option: Decorator[Any] = click.option(
    "-y", "--yes", is_flag=True, help="Do not ask; needed without a terminal."
)
revision_option: Decorator[Any] = click.option(
    "--revision",
    type=click.IntRange(min=1),
    help="Refuse (exit 6) unless this is still the revision.",
)


def ticket_argument(name: str = "ticket", required: bool = False) -> Decorator[Any]:
    """A ticket: key, id, or number in the project; optional where CORTEX_TICKET can stand in."""
    return click.argument(name, required=required, shell_complete=completion.tickets)


def text_options(what: str, *names: str) -> Decorator[Any]:
    """`names` TEXT, or -F FILE; `-` in either is standard input."""

    def decorate(function: Any) -> Any:
        from_file = click.option(
            "-F",
            "--file",
            "text_file",
            type=click.Path(allow_dash=True, dir_okay=False, path_type=Path),
            help=f"Read {what} from a file; - is standard input.",
        )
        given = click.option(
            *names, "text", metavar="TEXT", help=f"{what.capitalize()}; - reads standard input."
        )
        return given(from_file(function))

    return decorate


def read_text(text: str | None, text_file: Path | None) -> str | None:
    """Return what `text_options` were given; None when nothing.

    Raises UsageError when both are given, Failed when the text cannot be read.
    """
    if text is not None and text_file is not None:
        raise click.UsageError("Give the text or a file, not both.")
    if text == "-" or (text_file is not None and str(text_file) == "-"):
        return _decode(sys.stdin.buffer.read(_LARGEST_TEXT + 1), "standard input")
    if text_file is None:
        return text
    try:
        with text_file.open("rb") as file:
            return _decode(file.read(_LARGEST_TEXT + 1), str(text_file))
    except OSError as error:
        raise Failed(f"{text_file} cannot be read: {error.strerror}.") from None


def _decode(content: bytes, source: str) -> str:
    if len(content) > _LARGEST_TEXT:
        raise Failed(f"{source} is longer than {_LARGEST_TEXT} bytes.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Failed(f"{source} is not UTF-8 (byte {error.start}).") from None


def subject_and_text(
    subject_is_set: bool, words: Sequence[str], text: str | None, text_file: Path | None
) -> tuple[str | None, str | None]:
    """Split `[SUBJECT] [TEXT]`, where the text may come from `text_options` instead.

    subject_is_set: the environment has a subject, so one word alone is the text.
    """
    elsewhere = text is not None or text_file is not None
    if len(words) > (1 if elsewhere else 2):
        raise click.UsageError("Too many arguments; put the text in quotes.")
    if elsewhere:
        return (words[0] if words else None), read_text(text, text_file)
    if len(words) == 1 and not subject_is_set:
        return words[0], None
    subject = words[0] if len(words) == 2 else None
    return subject, read_text(words[-1] if words else None, None)


def confirm(name: str, what_happens: str, yes: bool) -> None:
    """Ask for `name` to be typed. `what_happens` ends the sentence "This …".

    Raises UsageError without a terminal, and Failed when something else was typed.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"This {what_happens}. Without a terminal it needs --yes.")
    say(f"This {what_happens}.")
    shown = clean(name)  # as it can be read, so it can be typed
    typed = click.prompt(f"Type {shown} to go on", default="", show_default=False, err=True)
    if str(typed).strip() != shown.strip():
        raise Failed("Nothing was changed.")


def finish(thing: Any, as_json: bool, message: str) -> None:
    """End a command that changed something: the thing for a script, a sentence for people."""
    if as_json:
        print_json(thing)
    else:
        say(message)


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that the command line gives a value."""
    return {name: value for name, value in fields.items() if value is not None and value != ()}


def clearing(**fields: str | None) -> dict[str, Any]:
    """Like `given`, and "" means none: `--assignee ''`."""
    return {name: value or None for name, value in fields.items() if value is not None}
