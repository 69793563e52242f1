"""What every noun does the same way: revisions, and reading and writing one row."""

from typing import Any, Protocol

import gevent
from sqlalchemy import Table

from cortex_server.db.statements import change
from cortex_server.errors import OutdatedRevision
from cortex_server.events.objects import Actor, Wire
from cortex_server.store import WriteTx


class Revisioned(Protocol):
    @property
    def revision(self) -> int: ...

    def json_dict(self) -> dict[str, Any]: ...


def check_revision(what: str, current: Revisioned, named: int | None) -> None:
    """Refuse a change that was made against another revision. Raises OutdatedRevision."""
    if named is not None and named != current.revision:
        raise OutdatedRevision(what, named, current.json_dict())


def differences(current: Wire, changes: dict[str, Any]) -> dict[str, Any]:
    """The part of `changes` that differs from what is stored."""
    return {name: value for name, value in changes.items() if getattr(current, name) != value}


def bump(tx: WriteTx, table: Table, key: str, current: Revisioned, values: dict[str, Any]) -> None:
    """Write `values` to the row whose primary key is `key`, with the next revision and the time."""
    stamped = {**values, "revision": current.revision + 1, "updated_at": tx.now}
    change(table, frozenset(stamped)).run(tx.conn, _key=key, **stamped)


def let_others_run() -> None:
    """Give other greenlets a turn within a long change: they read on, writers wait for its end."""
    gevent.sleep(0)


def actor(row: Any, name: str) -> Actor | None:
    """The actor in the columns `<name>_kind` and `<name>_name`."""
    kind = getattr(row, f"{name}_kind")
    return None if kind is None else Actor(kind=kind, name=getattr(row, f"{name}_name"))


def actor_columns(name: str, actor: Actor | None) -> dict[str, str | None]:
    """The values of the columns that `actor` reads."""
    return {
        f"{name}_kind": actor.kind if actor else None,
        f"{name}_name": actor.name if actor else None,
    }
