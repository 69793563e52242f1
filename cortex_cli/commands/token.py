"""`cortex token`: who may do what."""

from __future__ import annotations

import re
from typing import Any

import click

from cortex_cli import completion
from cortex_cli.context import App, api
from cortex_cli.options import (
    Noun,
    confirm,
    finish,
    given,
    json_option,
    yes_option,
)
from cortex_cli.output import ago, clean, names, print_fields, print_json, print_table, say

_ROLES = ("read", "write", "agent", "runner", "admin")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@click.group("token", cls=Noun)
def command() -> None:
    """Make and revoke access tokens."""


@command.command("list")
@json_option
@click.pass_obj
def list_tokens(app: App, as_json: bool) -> None:
    """List the tokens, never their secrets."""
    tokens = list(app.client.paginate(api("tokens")))
    if as_json:
        print_json(tokens)
        return
    print_table(
        ("ID", "NAME", "ROLE", "SCOPE", "STATE", "LAST USED"),
        [
            (t["id"], t["name"], t["role"], _scope(t), _state(t), ago(t["last_used_at"]))
            for t in tokens
        ],
    )


@command.command("show")
@click.argument("token_id", metavar="ID")
@json_option
@click.pass_obj
def show(app: App, token_id: str, as_json: bool) -> None:
    """Show a token, never its secret."""
    token = app.client.get(api("tokens", token_id))
    if as_json:
        print_json(token)
        return
    print_fields(
        {
            "id": token["id"],
            "name": token["name"],
            "role": token["role"],
            "acts as": f"{token['actor']['kind']} {token['actor']['name']}",
            "scope": _scope(token),
            "state": _state(token),
            "expires": token["expires_at"],
            "last used": token["last_used_at"],
        }
    )


@command.command("create")
@click.argument("name")
@click.option(
    "--role", type=click.Choice(_ROLES), default="write", show_default=True, help="What it may do."
)
@click.option(
    "-p",
    "--project",
    "projects",
    multiple=True,
    metavar="KEY",
    shell_complete=completion.projects,
    help="Only this project; repeat it for several. All of them when absent.",
)
@click.option(
    "--ticket",
    shell_complete=completion.tickets,
    help="Only this ticket; the role `agent` needs it.",
)
@click.option("--expires", metavar="TIME", help="When it ends: 30m, 12h, 7d. Never when absent.")
@click.option("--actor", metavar="KIND:NAME", help="Whom its changes name, such as agent:opencode.")
@json_option
@click.pass_obj
def create(
    app: App,
    name: str,
    role: str,
    projects: tuple[str, ...],
    ticket: str | None,
    expires: str | None,
    actor: str | None,
    as_json: bool,
) -> None:
    """Make a token and print its secret, which cannot be read again."""
    fields = given(name=name, role=role, projects=list(projects) or None, ticket=ticket)
    if expires is not None:
        fields["expires_in_s"] = _seconds(expires)
    if actor is not None:
        fields["actor"] = _actor(actor)
    token = app.client.post(api("tokens"), fields)
    if as_json:
        print_json(token)
        return
    click.echo(clean(token["secret"]))
    say(f"That is the secret of {token['name']} ({token['id']}). It is shown only this once.")


@command.command("revoke")
@click.argument("token_id", metavar="ID")
@yes_option
@click.pass_obj
def revoke(app: App, token_id: str, yes: bool) -> None:
    """Revoke a token; its streams end at once."""
    token = app.client.get(api("tokens", token_id))
    confirm(token["name"], f"revokes the token {token['name']}", yes)
    app.client.delete(api("tokens", token_id))
    finish(None, False, f"Token {token['name']} is revoked.")


def _scope(token: dict[str, Any]) -> str:
    if token["ticket"]:
        return str(token["ticket"])
    return "everything" if token["projects"] is None else names(token["projects"])


def _state(token: dict[str, Any]) -> str:
    if token["revoked_at"]:
        return "revoked"
    return "expires" if token["expires_at"] else "valid"


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9})([smhdw]?)", text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise click.UsageError(f"--expires takes a time such as 30m, 12h or 7d, not {text!r}.")
    return int(found[1]) * _UNITS[found[2] or "s"]


def _actor(text: str) -> dict[str, str]:
    kind, colon, name = text.partition(":")
    if not (colon and name and kind in ("user", "agent", "runner", "system")):
        raise click.UsageError("--actor takes KIND:NAME; a kind is user, agent, runner or system.")
    return {"kind": kind, "name": name}
