"""`cortex agent`: the agents that runners offer."""

from __future__ import annotations

import click

from cortex_cli import completion
from cortex_cli.context import App, api
from cortex_cli.failures import Missing
from cortex_cli.options import Noun, json_option
from cortex_cli.output import ago, names, print_fields, print_json, print_table


@click.group("agent", cls=Noun)
def command() -> None:
    """See the agents that runners offer, and the runners."""


@command.command("list")
@json_option
@click.pass_obj
def list_agents(app: App, as_json: bool) -> None:
    """List the agents."""
    agents = list(app.client.paginate(api("agents")))
    if as_json:
        print_json(agents)
        return
    print_table(
        ("NAME", "ADAPTER", "RUNNERS", "CAN"),
        [(a["name"], a["adapter"], names(a["runners"]), names(a["capabilities"])) for a in agents],
    )


@command.command("show")
@click.argument("name", shell_complete=completion.agents)
@json_option
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """Show an agent."""
    found = next((a for a in app.client.paginate(api("agents")) if a["name"] == name), None)
    if found is None:
        raise Missing(f"There is no agent {name}; `cortex agent list` shows them.")
    if as_json:
        print_json(found)
        return
    lists = {key: names(found[key]) for key in ("runners", "capabilities")}
    print_fields({"name": found["name"], "adapter": found["adapter"]} | lists)


@command.command("runners")
@json_option
@click.pass_obj
def runners(app: App, as_json: bool) -> None:
    """List the runners."""
    found = list(app.client.paginate(api("runners")))
    if as_json:
        print_json(found)
        return
    print_table(
        ("NAME", "STATUS", "SEEN", "HOST", "AT A TIME", "AGENTS", "PROJECTS"),
        [
            (
                r["name"], r["status"], ago(r["seen_at"]), r["host"], r["parallel"],
                names(r["agents"]), "all" if r["projects"] is None else names(r["projects"]),
            )
            for r in found
        ],
    )  # fmt: skip
