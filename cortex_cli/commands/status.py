"""`cortex status`: is it there, and what does it hold."""

from __future__ import annotations

from typing import Any

import click

from cortex_cli import local_server
from cortex_cli.context import App, api
from cortex_cli.failures import Failed
from cortex_cli.options import Command, json_option
from cortex_cli.output import print_fields, print_json, print_table


@click.command("status", cls=Command)
@json_option
@click.pass_obj
def command(app: App, as_json: bool) -> None:
    """Show the server, its projects and the newest event."""
    client = app.client
    ready = client.get("/readyz")
    me = client.get(api("whoami"))
    overview = client.get(api("dashboard"))
    if as_json:
        print_json({"url": client.base_url, "ready": ready, "whoami": me, "dashboard": overview})
        return
    facts = {name: value for name, value in ready.items() if not isinstance(value, dict | list)}
    print_fields(
        {
            "server": client.base_url,
            "process": _pid(app),
            **facts,
            "head": overview.get("head"),
            "you are": _who(me),
        }
    )
    click.echo()
    print_table(
        ("PROJECT", "NAME", "TICKETS", "WORKING", "WAITING", "REVIEWS"),
        [_row(project) for project in overview["projects"]],
    )


def _row(project: dict[str, Any]) -> tuple[object, ...]:
    columns = "  ".join(f"{name} {count}" for name, count in project["columns"].items())
    sessions = project["sessions"]
    waiting = sessions.get("awaiting_input", 0) + project.get("open_permissions", 0)
    return (
        project["project"], project["name"], columns, sessions.get("working", 0), waiting,
        project.get("open_reviews", 0),
    )  # fmt: skip


def _who(me: dict[str, Any]) -> str:
    actor = me.get("actor") or {}
    return f"{actor.get('kind', '')} {actor.get('name', '')} ({me.get('role', '')})".strip()


def _pid(app: App) -> int | None:
    """Return the process that `cortex up` started; None for any other server."""
    try:
        return local_server.LocalServer.at(app.server_url(), app.environ).pid()
    except Failed:
        return None
