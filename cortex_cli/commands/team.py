"""`cortex team`: who owns projects."""

from __future__ import annotations

import click

from cortex_cli.context import App, api
from cortex_cli.options import (
    Noun,
    clearing,
    confirm,
    finish,
    given,
    json_option,
    revision_option,
    yes_option,
)
from cortex_cli.output import clean, print_fields, print_json, print_table


@click.group("team", cls=Noun)
def command() -> None:
    """Work with teams, which own projects."""


@command.command("list")
@json_option
@click.pass_obj
def list_teams(app: App, as_json: bool) -> None:
    """List the teams."""
    teams = list(app.client.paginate(api("teams")))
    if as_json:
        print_json(teams)
        return
    print_table(("KEY", "NAME", "COLOR"), [(t["key"], t["name"], t["color"]) for t in teams])


@command.command("show")
@click.argument("key")
@json_option
@click.pass_obj
def show(app: App, key: str, as_json: bool) -> None:
    """Show a team."""
    team = app.client.get(api("teams", key))
    if as_json:
        print_json(team)
        return
    print_fields({name: team[name] for name in ("key", "name", "color", "revision")})


@command.command("create")
@click.argument("key")
@click.option("--name", help="What people call it; the key when absent.")
@click.option("--color", help="Its colour, such as #3366cc.")
@json_option
@click.pass_obj
def create(app: App, key: str, name: str | None, color: str | None, as_json: bool) -> None:
    """Make a team."""
    team = app.client.post(api("teams"), {"key": key, **given(name=name or key, color=color)})
    if not as_json:
        click.echo(clean(team["key"]))
    finish(team, as_json, f"Team {team['key']} is there.")


@command.command("edit")
@click.argument("key")
@click.option("--name", help="What people call it.")
@click.option("--color", help="Its colour; '' for none.")
@revision_option
@json_option
@click.pass_obj
def edit(
    app: App, key: str, name: str | None, color: str | None, revision: int | None, as_json: bool
) -> None:
    """Change a team."""
    fields = {**given(name=name), **clearing(color=color)}
    if not fields:
        raise click.UsageError("Say what to change: --name, --color.")
    team = app.client.patch(api("teams", key), {**fields, **given(revision=revision)})
    finish(team, as_json, f"Team {team['key']} is changed.")


@command.command("delete")
@click.argument("key")
@yes_option
@revision_option
@click.pass_obj
def delete(app: App, key: str, yes: bool, revision: int | None) -> None:
    """Delete a team; its projects stay, without a team."""
    team = app.client.get(api("teams", key))
    confirm(team["key"], f"deletes team {team['key']}", yes)
    app.client.delete(api("teams", key), params={"revision": revision})
    finish(None, False, f"Team {team['key']} is deleted.")
