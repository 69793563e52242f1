"""Tokens: who may do what. A secret is shown once; the database holds its SHA-256."""

import os
import pwd
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select, update

from cortex_server.clock import later
from cortex_server.db.files import (
    StartRefused,
    make_private_directory,
    narrow,
    read_private,
    write_private,
)
from cortex_server.db.schema import tokens
from cortex_server.domains import pages, project_rows, ticket_rows
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import actor, actor_columns
from cortex_server.errors import Conflict, Invalid, NotFound
from cortex_server.events.objects import Actor, ActorKind, NewToken, Role, Token
from cortex_server.ids import new_id, new_secret, secret_hash
from cortex_server.store import ReadTx, WriteTx

LOCAL_NAME = "local"
LIFETIME_MAX_S = 10 * 365 * 86_400
_REVOKED = "token-revoked"  # the internal signal; keyword token_id
_KINDS: dict[Role, ActorKind] = {"agent": "agent", "runner": "runner"}


def get(tx: ReadTx, token_id: str) -> Token:
    row = tx.conn.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no token {token_id}; `cortex token list` shows them.")
    return _token(row)


def listing(tx: ReadTx, limit: int, cursor: str | None) -> Listing[Token]:
    """Tokens, oldest first, revoked ones too, but no cookies: those go by their token."""
    query = select(tokens).where(tokens.c.parent_id.is_(None))
    if after := pages.decode(cursor, str):
        query = query.where(tokens.c.id > after[0])
    rows = tx.conn.execute(query.order_by(tokens.c.id).limit(limit + 1)).all()
    return pages.page(rows, limit, _token, lambda row: pages.encode(row.id))


def create(tx: WriteTx, fields: dict[str, Any]) -> NewToken:
    """Make a token; its secret is in the answer and nowhere else.

    fields: name, role, and maybe projects (keys in any case, None for all), ticket (of an agent),
    expires_in_s, actor. Raises Invalid when they do not go together or name what is not there.
    """
    role: Role = fields["role"]
    lifetime_s = fields.get("expires_in_s")
    if lifetime_s is not None and not 0 < lifetime_s <= LIFETIME_MAX_S:
        raise Invalid.field("expires_in_s", f"must be above 0 and at most {LIFETIME_MAX_S}")
    return insert_token(
        tx,
        name=fields["name"],
        role=role,
        actor=_actor(role, fields),
        projects=_projects(tx, role, fields.get("projects")),
        ticket=_ticket(tx, role, fields.get("ticket")),
        expires_at=None if lifetime_s is None else later(tx.now, lifetime_s),
    )


def insert_token(
    tx: WriteTx,
    *,
    name: str,
    role: Role,
    actor: Actor,
    projects: Sequence[str] | None = None,
    ticket: str | None = None,
    attempt: str | None = None,
    parent_id: str | None = None,
    expires_at: str | None = None,
) -> NewToken:
    """Store a token of checked fields. parent_id: of a cookie, the token that it stands for."""
    secret = new_secret()
    token_id = new_id()
    values = {
        "id": token_id, "hash": secret_hash(secret), "name": name, "role": role,
        **actor_columns("actor", actor), "projects": projects, "ticket": ticket,
        "attempt": attempt, "parent_id": parent_id, "expires_at": expires_at, "revoked_at": None,
        "created_at": tx.now, "last_used_at": None,
    }  # fmt: skip
    tx.conn.execute(insert(tokens).values(values))
    return NewToken(**dict(get(tx, token_id)), secret=secret)


def revoke(tx: WriteTx, token: Token) -> Token:
    """End a token and the cookies made from it, now. Revoking it again changes nothing.

    The streams that they opened are ended by a signal after the commit.
    Raises Conflict (last_admin) for the last living token of an administrator.
    """
    if token.revoked_at is not None:
        return token
    _check_not_last_admin(tx, token)
    family = (tokens.c.id == token.id) | (tokens.c.parent_id == token.id)
    revoked = tx.conn.scalars(
        update(tokens)
        .where(family & tokens.c.revoked_at.is_(None))
        .values(revoked_at=tx.now)
        .returning(tokens.c.id)
    ).all()
    for token_id in sorted(revoked):
        tx.announce(_REVOKED, token_id=token_id)
    return get(tx, token.id)


def ensure_local(tx: WriteTx, path: Path) -> None:
    """See to it that the file holds the secret of a living administrator's token.

    A good file is left alone, but for permissions that are too wide. A missing one, or one whose
    token is unknown, revoked or expired, gets a new token.
    Raises StartRefused when the file is a symbolic link or cannot be written.
    """
    try:
        make_private_directory(path.parent)
        narrow(path.parent, 0o700)
        secret = (read_private(path) or "").strip()
        found = select(tokens.c.id).where(_living_admins(tx), tokens.c.hash == secret_hash(secret))
        if tx.conn.scalar(found) is not None:
            return
        owner = Actor(kind="user", name=_account_name())
        token = insert_token(tx, name=LOCAL_NAME, role="admin", actor=owner)
        # Before the commit: when it cannot be written, there is no token without an owner.
        write_private(path, token.secret + "\n")
    except OSError as error:
        raise StartRefused(
            f"The token file {path} cannot be used: {error.strerror}. "
            "Check who owns it and its directory."
        ) from error


def _account_name() -> str:
    """The name of the account that this process runs as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container often runs as a number without a name
        return f"uid-{os.geteuid()}"


def _check_not_last_admin(tx: WriteTx, token: Token) -> None:
    """Nobody locks everybody out. A cookie is not counted: it dies with its token."""
    living = set(tx.conn.scalars(select(tokens.c.id).where(_living_admins(tx))))
    if living == {token.id}:
        raise Conflict(
            f"{token.name} is the last token of an administrator: make another one first.",
            code="last_admin",
        )


def _living_admins(tx: ReadTx) -> ColumnElement[bool]:
    expired = tokens.c.expires_at.is_not(None) & (tokens.c.expires_at <= tx.now)
    living = tokens.c.revoked_at.is_(None) & ~expired
    return (tokens.c.role == "admin") & tokens.c.parent_id.is_(None) & living


def _actor(role: Role, fields: dict[str, Any]) -> Actor:
    """Whom the token's changes are ascribed to; by default its name."""
    given = fields.get("actor")
    if given is None:
        return Actor(kind=_KINDS.get(role, "user"), name=fields["name"])
    wanted = Actor.model_validate(given if isinstance(given, dict) else dict(given))
    if wanted.kind == "system":
        raise Invalid.field("actor", "system is the server itself; use user, agent or runner")
    return wanted


def _projects(tx: ReadTx, role: Role, keys: Sequence[str] | None) -> list[str] | None:
    """The keys as written, sorted. Raises Invalid."""
    if keys is None:
        return None
    if role in ("agent", "admin"):
        why = "it has its ticket" if role == "agent" else "it is for all projects"
        raise Invalid.field("projects", f"a token with the role {role} takes none: {why}")
    if not keys:
        raise Invalid.field("projects", "name at least one, or leave it out for all projects")
    found = {key: project_rows.find(tx, key) for key in keys}
    if missing := [key for key, project in found.items() if project is None]:
        raise Invalid.field("projects", f"there is no project {', '.join(missing)}")
    return sorted({project.key for project in found.values() if project})


def _ticket(tx: ReadTx, role: Role, ref: str | None) -> str | None:
    """The ticket's key as written. Raises Invalid."""
    if role != "agent":
        if ref is not None:
            raise Invalid.field("ticket", "only a token with the role agent has one")
        return None
    if ref is None:
        raise Invalid.field("ticket", "a token with the role agent is for one ticket: name it")
    ticket = ticket_rows.find(tx, ref)
    if ticket is None:
        raise Invalid.field("ticket", f"there is no ticket {ref}")
    return ticket.key


def _token(row: Row[Any]) -> Token:
    fields = {name: value for name, value in row._asdict().items() if name in Token.model_fields}
    return Token.model_validate({**fields, "actor": actor(row, "actor")})
