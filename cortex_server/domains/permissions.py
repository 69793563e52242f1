"""Permissions: questions that agents ask people, as they are stored; `questions` asks them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from cortex_server.db.statements import Statement
from cortex_server.db.work import permissions
from cortex_server.domains import pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import actor, bump
from cortex_server.errors import NotFound
from cortex_server.events.work import Permission
from cortex_server.store import ReadTx, WriteTx

_OPEN = permissions.c.state == "open"
_BY_ID = Statement(select(permissions).where(permissions.c.id == bindparam("id")))
_BY_NAME = Statement(
    select(permissions).where(
        permissions.c.session == bindparam("of"), permissions.c.external_id == bindparam("name")
    )
)
_OPEN_OF = {
    name: Statement(select(permissions).where(permissions.c[name] == bindparam("of"), _OPEN))
    for name in ("project", "attempt", "session")
}


@dataclass(frozen=True)
class PermissionFilter:
    """None means any. readable: only of these projects."""

    readable: frozenset[str] | None = None
    project: str | None = None
    ticket: str | None = None
    state: str | None = None


def get(tx: ReadTx, permission_id: str) -> Permission:
    row = _BY_ID.one_or_none(tx.conn, id=permission_id)
    if row is None:
        raise NotFound(f"There is no question {permission_id}; `cortex inbox` shows the open ones.")
    return _permission(row)


def find(tx: ReadTx, session_id: str, external_id: str) -> Permission | None:
    """What the session asked under this name of the agent's."""
    row = _BY_NAME.one_or_none(tx.conn, of=session_id, name=external_id)
    return None if row is None else _permission(row)


def listing(
    tx: ReadTx, wanted: PermissionFilter, *, limit: int, cursor: str | None
) -> Listing[Permission]:
    """Questions, oldest first."""
    query = select(permissions)
    for name in ("project", "ticket", "state"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(permissions.c[name] == value)
    if after := pages.decode(cursor, str):
        query = query.where(permissions.c.id > after[0])
    order = (permissions.c.id,)
    if wanted.readable is None:
        ordered = query.order_by(*order).limit(limit + 1)
    else:
        column = permissions.c.project
        ordered = pages.of_projects(query, column, wanted.readable, order, limit + 1)
    rows = tx.conn.execute(ordered).all()
    return pages.page(rows, limit, _permission, lambda row: pages.encode(row.id))


def open_of_project(tx: ReadTx, project: str) -> list[Permission]:
    """The project's questions that wait for an answer, oldest first."""
    return _all(_OPEN_OF["project"].all(tx.conn, of=project))


def open_of_attempt(tx: ReadTx, attempt_id: str) -> list[Permission]:
    return _all(_OPEN_OF["attempt"].all(tx.conn, of=attempt_id))


def open_of_session(tx: ReadTx, session_id: str) -> list[Permission]:
    return _all(_OPEN_OF["session"].all(tx.conn, of=session_id))


def close(tx: WriteTx, permission: Permission, values: dict[str, Any]) -> Permission:
    """Store how an open question ended, and tell it."""
    bump(tx, permissions, permission.id, permission, values)
    closed = get(tx, permission.id)
    tx.emit("permission.replied", closed, closed.project, closed.ticket)
    return closed


def withdraw(tx: WriteTx, found: Iterable[Permission]) -> None:
    """Ask these no more. Whoever waits for them is over: nothing goes on."""
    for permission in found:
        close(tx, permission, {"state": "withdrawn"})


def _all(rows: Sequence[Any]) -> list[Permission]:
    return [_permission(row) for row in sorted(rows, key=lambda row: row.id)]


def _permission(row: Any) -> Permission:
    actors = {name: actor(row, name) for name in ("asked_by", "answered_by")}
    split = {f"{name}_{part}" for name in actors for part in ("kind", "name")}
    fields = {name: value for name, value in row._asdict().items() if name not in split}
    return Permission.model_validate({**fields, **actors})
