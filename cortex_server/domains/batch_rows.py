"""Batches and their tickets: reading them, and writing what changed of one."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from sqlalchemy import bindparam, func, select, update

from cortex_server.clock import later
from cortex_server.db.statements import Statement
from cortex_server.db.work import batch_tickets, batches
from cortex_server.domains import pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import actor, bump
from cortex_server.errors import NotFound
from cortex_server.events.work import Batch, BatchStatus, BatchTicket
from cortex_server.store import ReadTx, WriteTx

ENDED = ("completed", "failed", "cancelled")
ACTIVE = tuple(status for status in get_args(BatchStatus) if status not in ENDED)
RECENT_S = 86_400  # so long an ended one stays on the board
_NOT_SHOWN = ("created_by_kind", "created_by_name", "lease_expires_at", "cancelling")
_BY_ID = Statement(select(batches).where(batches.c.id == bindparam("id")))
_TICKETS_OF = Statement(
    select(batch_tickets)
    .where(batch_tickets.c.batch == bindparam("of"))
    .order_by(batch_tickets.c.place)
)


def get(tx: ReadTx, batch_id: str) -> Batch:
    batch = find(tx, batch_id)
    if batch is None:
        raise NotFound(f"There is no batch {batch_id}; `cortex batch list` shows them.")
    return batch


def find(tx: ReadTx, batch_id: str) -> Batch | None:
    row = row_of(tx, batch_id)
    return None if row is None else _batch(tx, row, _TICKETS_OF.all(tx.conn, of=row.id))


def row_of(tx: ReadTx, batch_id: str) -> Any:
    """The stored row, with what is not on the wire; None when there is no such batch."""
    return _BY_ID.one_or_none(tx.conn, id=batch_id.lower())


def get_ticket(batch: Batch, key: str) -> BatchTicket:
    """Raises NotFound when the ticket is not in the batch."""
    for ticket in batch.tickets:
        if ticket.ticket.lower() == key.lower():
            return ticket
    raise NotFound(f"Batch {batch.id} has no ticket {key}.")


def listing(
    tx: ReadTx,
    readable: frozenset[str] | None,
    project: str | None = None,
    status: str | None = None,
    *,
    limit: int,
    cursor: str | None,
) -> Listing[Batch]:
    """Batches, oldest first. readable: only of these projects, None for all."""
    query = select(batches)
    if project is not None:
        query = query.where(batches.c.project == project)
    if status is not None:
        query = query.where(batches.c.status == status)
    if after := pages.decode(cursor, str):
        query = query.where(batches.c.id > after[0])
    order = (batches.c.id,)
    if readable is None:
        ordered = query.order_by(*order).limit(limit + 1)
    else:
        ordered = pages.of_projects(query, batches.c.project, readable, order, limit + 1)
    rows = tx.conn.execute(ordered).all()
    page = pages.page(rows, limit, lambda row: row, lambda row: pages.encode(row.id))
    return Listing(_batches(tx, page.items), page.next_cursor)


def of_board(tx: ReadTx, project: str, ticket: str | None = None) -> list[Batch]:
    """The project's active batches and those that ended within a day, oldest first.

    ticket: only those that it is in.
    """
    mine = select(batches).where(batches.c.project == project)
    active = mine.where(batches.c.status.in_(ACTIVE))
    ended = mine.where(batches.c.ended_at > later(tx.now, -RECENT_S))
    rows = [*tx.conn.execute(active).all(), *tx.conn.execute(ended).all()]
    found = _batches(tx, sorted(rows, key=lambda row: row.id))
    if ticket is None:
        return found
    return [batch for batch in found if any(t.ticket == ticket for t in batch.tickets)]


def next_expiry(tx: ReadTx, project: str) -> str | None:
    """When the first lease of a merger runs out, as far as is known now; None without one."""
    merging = (batches.c.project == project) & (batches.c.status == "merging")
    query = select(func.min(batches.c.lease_expires_at))
    first: str | None = tx.conn.scalar(query.where(merging, batches.c.lease_expires_at > tx.now))
    return first


def running_of(tx: ReadTx, project: str) -> list[Batch]:
    """The project's batches that have not ended."""
    query = select(batches).where(batches.c.project == project, batches.c.status.in_(ACTIVE))
    return _batches(tx, tx.conn.execute(query.order_by(batches.c.id)).all())


def change(tx: WriteTx, batch: Batch, event: str | None, **values: Any) -> Batch:
    """Write what is new of a batch, and tell it. None: nobody needs to be told."""
    bump(tx, batches, batch.id, batch, values)
    changed = get(tx, batch.id)
    if event is not None:
        tx.emit(event, changed, changed.project)
    return changed


def change_ticket(
    tx: WriteTx, batch: Batch, ticket: str, event: str | None, **values: Any
) -> BatchTicket:
    """Write what is new of one of its tickets, and tell it. It is a revision of the batch."""
    mine = (batch_tickets.c.batch == batch.id) & (batch_tickets.c.ticket == ticket)
    tx.conn.execute(update(batch_tickets).where(mine).values(values))
    revised = (
        update(batches)
        .where(batches.c.id == batch.id)
        .values(revision=batches.c.revision + 1, updated_at=tx.now)
    )
    tx.conn.execute(revised)
    row = tx.conn.execute(select(batch_tickets).where(mine)).one()
    changed = _ticket(row)
    if event is not None:
        tx.emit(event, changed, batch.project, ticket)
    return changed


def _batches(tx: ReadTx, rows: Iterable[Any]) -> list[Batch]:
    rows = list(rows)
    query = select(batch_tickets).where(batch_tickets.c.batch.in_([row.id for row in rows]))
    tickets: dict[str, list[Any]] = defaultdict(list)
    for row in tx.conn.execute(query.order_by(batch_tickets.c.batch, batch_tickets.c.place)):
        tickets[row.batch].append(row)
    return [_batch(tx, row, tickets[row.id]) for row in rows]


def _batch(tx: ReadTx, row: Any, tickets: Sequence[Any]) -> Batch:
    """A merger whose lease has run out is none: it reads as nobody."""
    fields = {key: value for key, value in row._asdict().items() if key not in _NOT_SHOWN}
    if row.status == "merging" and (row.lease_expires_at or "") <= tx.now:
        fields["runner"] = None
    return Batch.model_validate(
        {
            **fields,
            "tickets": [_ticket(ticket) for ticket in tickets],
            "created_by": actor(row, "created_by"),
        }
    )


def _ticket(row: Any) -> BatchTicket:
    fields = row._asdict()
    del fields["place"]
    return BatchTicket.model_validate(fields)
