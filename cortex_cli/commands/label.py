"""`cortex label`: the labels of a project."""

from __future__ import annotations

from typing import Any

import click

from cortex_cli import completion
from cortex_cli.context import App, api
from cortex_cli.failures import Missing
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
from cortex_cli.output import print_fields, print_json, print_table

_NAME = click.argument("name", shell_complete=completion.labels)


@click.group("label", cls=Noun)
def command() -> None:
    """Work with the labels of a project."""


@command.command("list")
@json_option
@click.pass_obj
def list_labels(app: App, as_json: bool) -> None:
    """List the labels."""
    labels = _labels(app)
    if as_json:
        print_json(labels)
        return
    print_table(
        ("NAME", "COLOR", "PRIORITY"), [(x["name"], x["color"], x["priority"]) for x in labels]
    )


@command.command("show")
@_NAME
@json_option
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """Show a label. NAME may be its id."""
    label = _find(app, name)
    if as_json:
        print_json(label)
        return
    print_fields({key: label[key] for key in ("name", "color", "priority", "id", "revision")})


@command.command("create")
@click.argument("name")
@click.option("--color", help="Its colour, such as #3366cc.")
@click.option("--priority", type=int, help="Its place among the labels.")
@json_option
@click.pass_obj
def create(app: App, name: str, color: str | None, priority: int | None, as_json: bool) -> None:
    """Make a label."""
    fields = {"name": name, **given(color=color, priority=priority)}
    label = app.client.post(api("projects", app.project(), "labels"), fields)
    finish(label, as_json, f"Label {label['name']} is there.")


@command.command("edit")
@_NAME
@click.option("--name", "new_name", help="Its new name; the tickets follow.")
@click.option("--color", help="Its colour; '' for none.")
@click.option("--priority", type=int, help="Its place among the labels.")
@revision_option
@json_option
@click.pass_obj
def edit(
    app: App,
    name: str,
    new_name: str | None,
    color: str | None,
    priority: int | None,
    revision: int | None,
    as_json: bool,
) -> None:
    """Change a label. NAME may be its id."""
    fields = {**given(name=new_name, priority=priority), **clearing(color=color)}
    if not fields:
        raise click.UsageError("Say what to change: --name, --color, --priority.")
    fields |= given(revision=revision)
    label = app.client.patch(api("labels", _find(app, name)["id"]), fields)
    finish(label, as_json, f"Label {label['name']} is changed.")


@command.command("delete")
@_NAME
@yes_option
@revision_option
@click.pass_obj
def delete(app: App, name: str, yes: bool, revision: int | None) -> None:
    """Delete a label and take it off every ticket. NAME may be its id."""
    label = _find(app, name)
    confirm(label["name"], f"takes label {label['name']} off every ticket and deletes it", yes)
    app.client.delete(api("labels", label["id"]), params={"revision": revision})
    finish(None, False, f"Label {label['name']} is deleted.")


def _labels(app: App) -> list[dict[str, Any]]:
    return list(app.client.paginate(api("projects", app.project(), "labels")))


def _find(app: App, name: str) -> dict[str, Any]:
    """Raises Missing when the project has no such label."""
    for label in _labels(app):
        if name in (label["id"], label["name"]) or name.lower() == label["name"].lower():
            return label
    raise Missing(f"Project {app.project()} has no label {name}. See `cortex label list`.")
