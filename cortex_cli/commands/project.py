"""`cortex project`: boards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cortex_cli import completion
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
from cortex_cli.output import clean, names, print_fields, print_json, print_table

_KEY = click.argument("key", required=False, shell_complete=completion.projects)
_COLUMNS = click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME[:TITLE[:LIMIT]]",
    help="A column, in order; repeat it for each.",
)


@click.group("project", cls=Noun)
def command() -> None:
    """Work with projects, one board each."""


@command.command("list")
@json_option
@click.pass_obj
def list_projects(app: App, as_json: bool) -> None:
    """List the projects."""
    projects = app.projects()
    if as_json:
        print_json(projects)
        return
    print_table(
        ("KEY", "NAME", "TEAM", "COLUMNS", "REPOSITORY"),
        [(p["key"], p["name"], p["team"], names(_names(p)), p["repo_path"]) for p in projects],
    )


@command.command("show")
@_KEY
@json_option
@click.pass_obj
def show(app: App, key: str | None, as_json: bool) -> None:
    """Show a project."""
    project = app.client.get(api("projects", key or app.project()))
    if as_json:
        print_json(project)
        return
    print_fields(
        {
            "key": project["key"],
            "name": project["name"],
            "team": project["team"],
            "repository": project["repo_path"],
            "branch": project["default_branch"],
            "columns": names(_described(column) for column in project["columns"]),
            "revision": project["revision"],
        }
    )


@command.command("create")
@click.argument("key")
@click.option("--name", help="What people call it; the key when absent.")
@click.option("--repo", type=click.Path(path_type=Path), help="Its directory on this machine.")
@click.option("--branch", help="The default branch.")
@click.option("--team", help="The key of the team that owns it.")
@_COLUMNS
@json_option
@click.pass_obj
def create(
    app: App,
    key: str,
    name: str | None,
    repo: Path | None,
    branch: str | None,
    team: str | None,
    columns: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a project. KEY begins with a letter; tickets will be called KEY-1, KEY-2, …"""
    fields = given(name=name or key, default_branch=branch, team=team)
    if repo is not None:
        fields["repo_path"] = str(repo.resolve())
    if columns:
        fields["columns"] = [_column(text) for text in columns]
    project = app.client.post(api("projects"), {"key": key, **fields})
    if not as_json:
        click.echo(clean(project["key"]))
    finish(project, as_json, f"Project {project['key']} is there: `cortex -p {key} board`.")


@command.command("edit")
@_KEY
@click.option("--name", help="What people call it.")
@click.option("--repo", metavar="PATH", help="Its directory on this machine; '' for none.")
@click.option("--branch", help="The default branch.")
@click.option("--team", help="The key of the team that owns it; '' for none.")
@_COLUMNS
@click.option("--move-tickets-to", metavar="COLUMN", help="Where a removed column's tickets go.")
@revision_option
@json_option
@click.pass_obj
def edit(
    app: App,
    key: str | None,
    name: str | None,
    repo: str | None,
    branch: str | None,
    team: str | None,
    columns: tuple[str, ...],
    move_tickets_to: str | None,
    revision: int | None,
    as_json: bool,
) -> None:
    """Change a project; --column, where given, replaces all columns."""
    fields = given(name=name, default_branch=branch)
    fields |= clearing(repo_path=repo and str(Path(repo).resolve()), team=team)
    if columns:
        fields["columns"] = [_column(text) for text in columns]
    if not fields:
        raise click.UsageError("Say what to change: --name, --repo, --branch, --team, --column.")
    fields |= given(move_tickets_to=move_tickets_to, revision=revision)
    project = app.client.patch(api("projects", key or app.project()), fields)
    finish(project, as_json, f"Project {project['key']} is changed.")


@command.command("delete")
@click.argument("key", shell_complete=completion.projects)
@yes_option
@revision_option
@click.pass_obj
def delete(app: App, key: str, yes: bool, revision: int | None) -> None:
    """Delete a project with all its tickets."""
    project = app.client.get(api("projects", key))
    confirm(project["key"], f"deletes project {project['key']} and all its tickets", yes)
    app.client.delete(api("projects", key), params={"revision": revision})
    finish(None, False, f"Project {project['key']} is deleted.")


def _names(project: dict[str, Any]) -> list[str]:
    return [column["name"] for column in project["columns"]]


def _described(column: dict[str, Any]) -> str:
    limit = f", at most {column['wip_limit']}" if column["wip_limit"] else ""
    return f"{column['name']} ({column['title']}{limit})"


def _column(text: str) -> dict[str, Any]:
    name, _, rest = text.partition(":")
    title, _, limit = rest.partition(":")
    if limit and not limit.isdecimal():
        raise click.UsageError(f"The limit of column {name} must be a number; it is {limit!r}.")
    default = name.replace("_", " ").replace("-", " ").capitalize()
    return {"name": name, "title": title or default, "wip_limit": int(limit) if limit else None}
