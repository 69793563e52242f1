"""`cortex config`: the configuration file, as far as the board reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cortex_cli import paths
from cortex_cli.context import App
from cortex_cli.failures import WrongSettings
from cortex_cli.options import Noun, json_option
from cortex_cli.output import print_json, print_table, say, to_json

if TYPE_CHECKING:
    from cortex_cli.board.settings import Settings


def checked(app: App) -> Settings:
    """Return what the file sets for the board. Raises WrongSettings."""
    from cortex_cli.board import settings

    try:
        return settings.load(app.environ)
    except settings.BadSettings as error:
        raise WrongSettings(str(error)) from None


def in_effect(app: App, ascii_only: bool = False) -> Settings:
    """Return the file's settings with what else asks for ASCII: --ascii, or CORTEX_ASCII.

    Raises WrongSettings.
    """
    found = checked(app)
    asked = ascii_only or app.environ.get("CORTEX_ASCII") == "1"
    return found.but(ascii=True) if asked else found


@click.group("config", cls=Noun)
def command() -> None:
    """See and check the board's part of the configuration file."""


@command.command("path")
@click.pass_obj
def path(app: App) -> None:
    """Print where the file is looked for."""
    click.echo(str(paths.config_file(app.environ)))


@command.command("check")
@click.pass_obj
def check(app: App) -> None:
    """Check the tables [board] and [board.keys].

    Exit code 2 when they are wrong, with a sentence for every mistake. The other settings in
    the file are the server's, which checks them when it starts.
    """
    checked(app)
    where = paths.config_file(app.environ)
    say(f"{where} is fine." if where.exists() else f"There is no {where}: all is as it comes.")


@command.command("show")
@json_option
@click.pass_obj
def show(app: App, as_json: bool) -> None:
    """Print the board's settings and all its keys.

    A * marks what the file changes. SCOPE and ACTION are what [board.keys] calls them.
    """
    from cortex_cli.board.settings import Settings
    from cortex_cli.board.settings_file import SETTINGS

    settings = checked(app)
    names = [name for name in Settings._fields if name != "keys"]
    values = {name: getattr(settings, name) for name in names}
    rows = _keys(settings)
    if as_json:
        where = str(paths.config_file(app.environ))
        print_json({"version": 1, "path": where, "board": values, "keys": rows})
        return
    default = Settings()
    print_table(
        ("SETTING", "VALUE", "DOES"),
        [
            (_starred(name, value != getattr(default, name)), to_json(value), SETTINGS[name])
            for name, value in values.items()
        ],
    )
    click.echo()
    print_table(
        ("SCOPE", "ACTION", "KEYS", "DOES"),
        [
            (row["scope"], _starred(row["action"], row["changed"]), " ".join(row["keys"]) or "-",
             row["help"])
            for row in rows
        ],
    )  # fmt: skip


def _starred(name: str, changed: bool) -> str:
    return f"{name} *" if changed else name


def _keys(settings: Settings) -> list[dict[str, Any]]:
    """Every action of every scope, its keys as the file takes them."""
    from cortex_cli.board import key_names, keymap, keys

    now, before = keymap.keymap(settings.keys).keys, keymap.keymap().keys
    return [
        {
            "scope": scope,
            "action": binding.action,
            "keys": [key_names.written(key) for key in now[scope, binding.action]],
            "changed": now[scope, binding.action] != before[scope, binding.action],
            "help": binding.help,
        }
        for scope in keys.SCOPES
        for binding in keys.TABLE
        if scope in binding.scopes
    ]
