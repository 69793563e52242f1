"""Instances: the servers of agents that runners keep, and how they are.

A runner says how each of its own is when that changes, and its heartbeats say that it would. When
they stay away nobody knows: the instance is unhealthy, and after a while it counts as stopped. Only
a change is an event.
"""

from typing import Any, get_args

from sqlalchemy import bindparam, literal_column, select, update

from cortex_server.clock import later
from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import instances, runners
from cortex_server.domains import pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.redaction import redacted
from cortex_server.domains.rows import bump, differences
from cortex_server.errors import NotFound
from cortex_server.events.work import Attempt, Instance, InstanceStatus
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

SILENT = "Nothing is heard of its runner."
_UNHEALTHY, _STOPPED = (15.0, 1.5), (60.0, 6.0)  # after seconds, and heartbeats, at least
_THERE = tuple(status for status in get_args(InstanceStatus) if status != "stopped")
_TOLD = ("status", "url", "error", "link")
_BY_ID = Statement(select(instances).where(instances.c.id == bindparam("id")))
_BY_ATTEMPT = Statement(select(instances).where(instances.c.attempt == bindparam("attempt")))
_NOT_STOPPED = Statement(
    # named one by one: an index has no use for what a status is not
    select(instances, runners.c.seen_at.label("runner_seen_at"))
    .join(runners, runners.c.name == instances.c.runner, isouter=True)
    .where(instances.c.status.in_([literal_column(f"'{name}'") for name in _THERE]))
)
_SEEN = Statement(
    update(instances)
    .where(instances.c.id == bindparam("of"))
    .values(seen_at=bindparam("now", type_=instances.c.seen_at.type))
)


def get(tx: ReadTx, instance_id: str) -> Instance:
    row = _BY_ID.one_or_none(tx.conn, id=instance_id)
    if row is None:
        raise NotFound(f"There is no instance {instance_id}; `cortex instance list` shows them.")
    return _instance(row)


def find(tx: ReadTx, attempt_id: str) -> Instance | None:
    """The one of an attempt."""
    row = _BY_ATTEMPT.one_or_none(tx.conn, attempt=attempt_id)
    return None if row is None else _instance(row)


def listing(
    tx: ReadTx,
    readable: frozenset[str] | None,
    project: str | None = None,
    ticket: str | None = None,
    *,
    limit: int,
    cursor: str | None,
) -> Listing[Instance]:
    """Instances, oldest first. readable: only of these projects; other None: any."""
    query = select(instances)
    for name, value in {"project": project, "ticket": ticket}.items():
        if value is not None:
            query = query.where(instances.c[name] == value)
    if after := pages.decode(cursor, str):
        query = query.where(instances.c.id > after[0])
    order = (instances.c.id,)
    if readable is None:
        ordered = query.order_by(*order).limit(limit + 1)
    else:
        ordered = pages.of_projects(query, instances.c.project, readable, order, limit + 1)
    rows = tx.conn.execute(ordered).all()
    return pages.page(rows, limit, _instance, lambda row: pages.encode(row.id))


def put(tx: WriteTx, attempt: Attempt, fields: dict[str, Any]) -> tuple[Instance, bool]:
    """Say how the attempt's server is; True when it was not known. That it still is, is no event.

    fields: status, and maybe url, error and link, which are null when they are left out.
    """
    told = {name: _clean(fields.get(name)) for name in _TOLD}
    known = find(tx, attempt.id)
    if known is None:
        return _create(tx, attempt, told), True
    changed = differences(known, told)
    if not changed:
        _SEEN.run(tx.conn, of=known.id, now=tx.now)
        return known, False
    return _change(tx, known, {**changed, "seen_at": tx.now}), False


def stop(tx: WriteTx, attempt: Attempt) -> None:
    """The attempt is over, and its server with it."""
    known = find(tx, attempt.id)
    if known is not None and known.status != "stopped":
        _change(tx, known, {"status": "stopped", "link": "disconnected"})


def silent(tx: ReadTx, since: str, beat_s: float = 10.0) -> list[tuple[Instance, InstanceStatus]]:
    """Those that are another by now because their runner is silent, or no longer is; and what.

    since: when it began to be possible to speak of them; before that nobody could · beat_s: how
    often a runner gives a sign of life.
    """
    limits = [max(least_s, beats * beat_s) for least_s, beats in (_UNHEALTHY, _STOPPED)]
    unhealthy_at, stopped_at = (later(tx.now, -limit) for limit in limits)
    found: list[tuple[Instance, InstanceStatus]] = []
    for row in sorted(_NOT_STOPPED.all(tx.conn), key=lambda row: row.id):
        seen_at = max(row.seen_at, row.runner_seen_at or "", since)
        status: InstanceStatus = row.status
        if seen_at < stopped_at:
            status = "stopped"
        elif seen_at < unhealthy_at and status in ("starting", "running"):
            status = "unhealthy"
        elif seen_at >= unhealthy_at and status == "unhealthy" and row.error == SILENT:
            status = "running"
        if status != row.status:
            found.append((_instance(row), status))
    return found


def expire(tx: WriteTx, since: str, beat_s: float = 10.0) -> int:
    """Mark those; returns how many."""
    found = silent(tx, since, beat_s)
    for instance, status in found:
        values = {"status": status, "error": None if status == "running" else SILENT}
        if status == "stopped":
            values["link"] = "disconnected"
        _change(tx, instance, values)
    return len(found)


def _clean(value: str | None) -> str | None:
    return None if value is None else redacted(value)


def _create(tx: WriteTx, attempt: Attempt, told: dict[str, Any]) -> Instance:
    values = {
        "id": new_id(), "project": attempt.project, "ticket": attempt.ticket,
        "attempt": attempt.id, "runner": attempt.runner or "", **told, "seen_at": tx.now,
        "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    insertion(instances).run(tx.conn, **values)
    return _tell(tx, get(tx, values["id"]))


def _change(tx: WriteTx, instance: Instance, values: dict[str, Any]) -> Instance:
    bump(tx, instances, instance.id, instance, values)
    return _tell(tx, get(tx, instance.id))


def _tell(tx: WriteTx, instance: Instance) -> Instance:
    tx.emit("opencode.status", instance, instance.project, instance.ticket)
    return instance


def _instance(row: Any) -> Instance:
    fields = row._asdict()
    return Instance.model_validate({name: fields[name] for name in Instance.model_fields})
