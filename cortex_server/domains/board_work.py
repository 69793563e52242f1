"""What a board shows of agents at work: attempts, open questions, batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, bindparam, select

from cortex_server import log
from cortex_server.clock import later
from cortex_server.db.statements import Statement
from cortex_server.db.work import attempts as table
from cortex_server.domains import attempt_rows, batch_rows, batches, permissions
from cortex_server.domains.attempt_states import CLAIMED
from cortex_server.events.work import Attempt
from cortex_server.store import ReadTx

RECENT_S = 86_400
ATTEMPTS_MAX = 100
_AT_WORK = (*CLAIMED, "queued")


def _queries(*where: ColumnElement[bool]) -> list[Statement]:
    """What is at work, in the queue, and over, in this order; at most `most` of each.

    One by one: for several at once SQLite would read all that there ever was, in its order.
    """
    mine = select(table).where(table.c.project == bindparam("project"), *where)
    kinds = [mine.where(table.c.status == name).order_by(table.c.id) for name in _AT_WORK]
    since = bindparam("since", type_=table.c.ended_at.type)
    ended = mine.where(table.c.ended_at > since).order_by(table.c.ended_at.desc())
    return [Statement(query.limit(bindparam("most"))) for query in (*kinds, ended)]


_OF_PROJECT = _queries()
_OF_TICKET = _queries(table.c.ticket == bindparam("ticket"))


@dataclass(frozen=True)
class Work:
    """attempts: each as JSON · permissions, batches: to be encoded with the rest of the board.

    statuses: of each recent attempt its ticket and the frame of `attempt.status` that tells it ·
    until: when a lease runs out, and this is to be read again.
    """

    attempts: list[str]
    permissions: list[dict[str, Any]]
    batches: list[dict[str, Any]]
    statuses: tuple[tuple[str, bytes], ...]
    until: str | None


def of_board(tx: ReadTx, project: str, ticket: str | None) -> Work:
    """Of a project, or only what concerns one ticket of it."""
    found = recent(tx, project, ticket)
    asked = permissions.open_of_project(tx, project)
    encoded = [_json(attempt) for attempt in found]
    expiries = [attempt_rows.next_expiry(tx, project) if found else None]
    of_batches = batches.of_board(tx, project, ticket)
    if of_batches:
        expiries.append(batch_rows.next_expiry(tx, project))
    return Work(
        attempts=encoded,
        permissions=[p.json_dict() for p in asked if ticket in (None, p.ticket)],
        batches=[batch.json_dict() for batch in of_batches],
        statuses=tuple(map(partial(_status, tx), found, encoded)),
        until=min((at for at in expiries if at is not None), default=None),
    )


def statuses(tx: ReadTx, attempts: Sequence[Attempt]) -> tuple[tuple[str, bytes], ...]:
    """Of each its ticket, and the frame that tells its status: from no change, so without an id."""
    return tuple(_status(tx, attempt, _json(attempt)) for attempt in attempts)


def recent(tx: ReadTx, project: str, ticket: str | None = None) -> list[Attempt]:
    """The attempts at work, those in the queue, and those that ended within a day; oldest first.

    Of more than ATTEMPTS_MAX the first ones in this order, of those that ended the last.
    """
    which: dict[str, Any] = {"project": project, "ticket": ticket}
    which["since"] = later(tx.now, -RECENT_S)
    rows: list[Any] = []
    for query in _OF_PROJECT if ticket is None else _OF_TICKET:
        rows += query.all(tx.conn, **which, most=ATTEMPTS_MAX - len(rows))
    return _in_order(tx, rows)


def at_work(tx: ReadTx, projects: frozenset[str] | None) -> list[Attempt]:
    """The attempts at work and in the queue in these projects, None for all; oldest first."""
    query = select(table)
    if projects is not None:
        query = query.where(table.c.project.in_(sorted(projects)))
    rows: list[Any] = []
    for name in _AT_WORK:
        found = query.where(table.c.status == name).order_by(table.c.id)
        rows += tx.conn.execute(found.limit(ATTEMPTS_MAX - len(rows))).all()
    return _in_order(tx, rows)


def _in_order(tx: ReadTx, rows: Sequence[Any]) -> list[Attempt]:
    """The attempts as they read now, in the order of their beginning."""
    return sorted((attempt_rows.from_row(row, tx.now) for row in rows), key=lambda a: a.id)


def _status(tx: ReadTx, attempt: Attempt, encoded: str) -> tuple[str, bytes]:
    head = {
        "type": "attempt.status", "project": attempt.project, "ticket": attempt.ticket,
        "at": tx.now,
    }  # fmt: skip
    document = f'{log.encode(head)[:-1]},"payload":{encoded},"snapshot":true}}'
    return attempt.ticket, f"event: attempt.status\ndata: {document}\n\n".encode()


def _json(attempt: Attempt) -> str:
    return attempt.model_dump_json(ensure_ascii=True)
