"""`cortex instance`: the agents' servers that runners keep."""

from __future__ import annotations

import click

from cortex_cli import completion
from cortex_cli.context import App, api
from cortex_cli.options import Noun, json_option
from cortex_cli.output import print_fields, print_json, print_table


@click.group("instance", cls=Noun)
def command() -> None:
    """See the OpenCode servers that runners keep."""


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Of all projects.")
@json_option
@click.pass_obj
def list_instances(app: App, everything: bool, as_json: bool) -> None:
    """List the project's servers, and how they are."""
    query = {} if everything else {"project": app.project()}
    found = list(app.client.paginate(api("instances"), query))
    if as_json:
        print_json(found)
        return
    print_table(
        ("ID", "TICKET", "STATUS", "LINK", "RUNNER", "URL", "TROUBLE"),
        [
            [i[name] for name in ("id", "ticket", "status", "link", "runner", "url", "error")]
            for i in found
        ],
    )


@command.command("show")
@click.argument("instance", metavar="ID", shell_complete=completion.instances)
@json_option
@click.pass_obj
def show(app: App, instance: str, as_json: bool) -> None:
    """Show a server."""
    found = app.client.get(api("instances", instance))
    print_json(found) if as_json else print_fields(found)
