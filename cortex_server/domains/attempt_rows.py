"""Reading attempts. One whose lease has run out reads as lost, whatever is stored.

So nothing is running without a living owner, also before the reconciler has said that it is lost.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, literal_column, select, true

from cortex_server.db.schema import projects
from cortex_server.db.statements import Statement
from cortex_server.db.work import attempts
from cortex_server.domains import pages
from cortex_server.domains.attempt_states import ACTIVE, CLAIMED, check_active, name
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import actor
from cortex_server.errors import Conflict, NotFound
from cortex_server.events.work import Attempt
from cortex_server.store import ReadTx

_NOT_SHOWN = ("started_by_kind", "started_by_name", "lease_expires_at", "files")
_BY_ID = Statement(select(attempts).where(attempts.c.id == bindparam("id")))
_OF_TICKET = Statement(
    select(attempts).where(attempts.c.ticket == bindparam("ticket")).order_by(attempts.c.number)
)
# Spelt out: a Statement takes no lists.
HAS_RUNNER = attempts.c.status.in_([literal_column(f"'{status}'") for status in CLAIMED])


def get(tx: ReadTx, attempt_id: str) -> Attempt:
    attempt = find(tx, attempt_id)
    if attempt is None:
        raise NotFound(f"There is no attempt {attempt_id}; `cortex attempt list` shows them.")
    return attempt


def find(tx: ReadTx, attempt_id: str) -> Attempt | None:
    row = _BY_ID.one_or_none(tx.conn, id=attempt_id.lower())
    return None if row is None else from_row(row, tx.now)


def stored(tx: ReadTx, attempt_id: str) -> Attempt:
    """The attempt as it is stored: for its owner, who may say how it ended until it is lost."""
    row = _BY_ID.one_or_none(tx.conn, id=attempt_id.lower())
    if row is None:
        raise NotFound(f"There is no attempt {attempt_id}; `cortex attempt list` shows them.")
    return from_row(row, None)


def owned(tx: ReadTx, attempt_id: str, generation: int) -> Attempt:
    """The attempt of a claim. Every write of a runner begins here.

    Raises NotFound; Conflict stale_generation for a claim that was followed by another or was
    none, attempt_ended for one whose end is told.
    """
    attempt = stored(tx, attempt_id)
    if generation != attempt.generation or attempt.status == "queued":
        raise Conflict(
            f"{name(attempt)} is at generation {attempt.generation}, the request names "
            f"{generation}: this claim is over; end what you run for it.",
            code="stale_generation",
            current=attempt.json_dict(),
        )
    check_active(attempt)
    return attempt


def check_none_active(tx: ReadTx, ticket: str) -> None:
    """Refuse to take away a ticket that is worked on. Raises Conflict (attempt_active)."""
    for row in _OF_TICKET.all(tx.conn, ticket=ticket):
        if row.status in ACTIVE:
            raise Conflict(f"{_in_the_way(row)}.", code="attempt_active", attempt=row.id)


def check_none_active_in(tx: ReadTx, project: str) -> None:
    """The same for all tickets of a project."""
    query = select(attempts).where(attempts.c.project == project, attempts.c.status.in_(ACTIVE))
    row = tx.conn.execute(query.limit(1)).one_or_none()
    if row is not None:
        said = f"{_in_the_way(row)}, and that of other tickets of {project}"
        raise Conflict(f"{said}.", code="attempt_active", attempt=row.id)


def _in_the_way(row: Any) -> str:
    if row.status == "queued":
        return f"Ticket {row.ticket} has an attempt in the queue; stop its attempt first"
    return f"Ticket {row.ticket} is claimed by runner {row.runner}; stop its attempt first"


def listing(
    tx: ReadTx,
    readable: frozenset[str] | None,
    wanted: dict[str, Any],
    *,
    limit: int,
    cursor: str | None,
) -> Listing[Attempt]:
    """Attempts, oldest first.

    readable: only of these projects, None for all · wanted: what they must have of project,
    ticket, runner, batch, status and id; active: whether they are at work or in the queue.
    """
    query = select(attempts)
    for field in ("project", "ticket", "runner", "batch", "id"):
        if wanted.get(field) is not None:
            query = query.where(attempts.c[field] == wanted[field])
    if (active := wanted.get("active")) is not None:
        query = query.where(_active(tx.now) if active else ~_active(tx.now))
        if active and wanted.get("project") is None:
            # Few are active: by project and status. All in the order of time would be many.
            query = query.where(attempts.c.project.in_(select(projects.c.key)))
    if after := pages.decode(cursor, str):
        query = query.where(attempts.c.id > after[0])
    rows: list[Any] = []
    for condition in _reads_as(wanted.get("status"), tx.now):
        rows += tx.conn.execute(_ordered(query.where(condition), readable, limit + 1)).all()
    rows.sort(key=lambda row: str(row.id))
    return pages.page(
        rows[: limit + 1], limit, lambda row: from_row(row, tx.now),
        lambda row: pages.encode(row.id),
    )  # fmt: skip


def _ordered(query: Select[Any], readable: frozenset[str] | None, limit: int) -> Select[Any]:
    order = (attempts.c.id,)
    if readable is None:
        return query.order_by(*order).limit(limit)
    return pages.of_projects(query, attempts.c.project, readable, order, limit)


def active_of_project(tx: ReadTx, project: str) -> list[Attempt]:
    """Those in the queue and at work, oldest first."""
    found = select(attempts).where(attempts.c.project == project, _active(tx.now))
    return [from_row(row, tx.now) for row in tx.conn.execute(found.order_by(attempts.c.id))]


def next_expiry(tx: ReadTx, project: str) -> str | None:
    """When the first lease of the project runs out, as far as is known now; None without one.

    Whoever keeps what was read of its attempts must read them again then.
    """
    query = select(func.min(attempts.c.lease_expires_at))
    ours = query.where(attempts.c.project == project, HAS_RUNNER, _living(tx.now))
    first: str | None = tx.conn.scalar(ours)
    return first


def _living(now: str) -> ColumnElement[bool]:
    return attempts.c.lease_expires_at > now


def _active(now: str) -> ColumnElement[bool]:
    queued = attempts.c.status == "queued"
    return attempts.c.status.in_(ACTIVE) & (queued | _living(now))


def _reads_as(status: str | None, now: str) -> list[ColumnElement[bool]]:
    """Which rows read as this status; asked one by one, each has an index in their order."""
    if status is None:
        return [true()]
    if status == "lost":
        return [attempts.c.status == "lost", HAS_RUNNER & ~_living(now)]
    if status in CLAIMED:
        return [(attempts.c.status == status) & _living(now)]
    return [attempts.c.status == status]


def from_row(row: Any, now: str | None) -> Attempt:
    """now: the time at which it is read; None for what is stored."""
    fields = {key: value for key, value in row._asdict().items() if key not in _NOT_SHOWN}
    expires_at = row.lease_expires_at
    if now is not None and row.status in CLAIMED and expires_at is not None and expires_at <= now:
        fields["status"] = "lost"
    return Attempt.model_validate({**fields, "started_by": actor(row, "started_by")})
