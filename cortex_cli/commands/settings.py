"""`cortex settings`: of one project, or of the whole server."""

from __future__ import annotations

import json
from typing import Any

import click

from cortex_cli.context import App, api
from cortex_cli.failures import Missing
from cortex_cli.options import Noun, finish, given, json_option, revision_option
from cortex_cli.output import print_json, print_table, to_json

_GLOBAL = click.option(
    "--global", "everywhere", is_flag=True, help="The server's, not a project's."
)


@click.group("settings", cls=Noun)
def command() -> None:
    """Read and change settings."""


@command.command("get")
@click.argument("name", required=False)
@_GLOBAL
@json_option
@click.pass_obj
def get(app: App, name: str | None, everywhere: bool, as_json: bool) -> None:
    """Print one setting's value, or all of them."""
    settings = app.client.get(_path(app, everywhere))
    if name is not None:
        if name not in settings["values"]:
            raise Missing(f"There is no setting {name}. See `cortex settings get`.")
        click.echo(_shown(settings["values"][name], as_json))
    elif as_json:
        print_json(settings)
    else:
        rows = [(key, _shown(value)) for key, value in sorted(settings["values"].items())]
        print_table(("SETTING", "VALUE"), rows)


@command.command("set")
@click.argument("pairs", nargs=-1, required=True, metavar="NAME=VALUE...")
@_GLOBAL
@revision_option
@json_option
@click.pass_obj
def set_values(
    app: App, pairs: tuple[str, ...], everywhere: bool, revision: int | None, as_json: bool
) -> None:
    """Change settings. A VALUE is JSON where it can be read as JSON, else text."""
    values = dict(_pair(pair) for pair in _joined(pairs))
    fields = {"values": values, **given(revision=revision)}
    settings = app.client.patch(_path(app, everywhere), fields)
    finish(settings, as_json, f"Set {', '.join(values)}.")


@command.command("list")
@_GLOBAL
@json_option
@click.pass_context
def list_values(ctx: click.Context, everywhere: bool, as_json: bool) -> None:
    """Print all settings."""
    ctx.invoke(get, name=None, everywhere=everywhere, as_json=as_json)


command.add_command(get, "show")


def _path(app: App, everywhere: bool) -> str:
    return api("settings") if everywhere else api("projects", app.project(), "settings")


def _joined(pairs: tuple[str, ...]) -> list[str]:
    # `set NAME VALUE` is what fingers type as well.
    if len(pairs) == 2 and "=" not in pairs[0]:
        return ["=".join(pairs)]
    return list(pairs)


def _pair(pair: str) -> tuple[str, Any]:
    name, equals, text = pair.partition("=")
    if not (name and equals):
        raise click.UsageError(f"{pair!r} is not NAME=VALUE.")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def _shown(value: Any, as_json: bool = False) -> str:
    from cortex_cli.output import clean

    return clean(value) if isinstance(value, str) and not as_json else to_json(value)
