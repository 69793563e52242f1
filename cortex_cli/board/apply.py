"""What an event changes on the board: after it, the board is what GET /board answers for that head.

Events are facts that carry the object's new state, so applying one twice changes nothing, and an
older one than the board already holds is told by its `seq` or its revision.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from cortex_cli.board.reading import BadObject
from cortex_cli.board.wire import Board, Label, Project, Review, Session, Ticket
from cortex_cli.board.work import PARTS, Attempt, Batch, BatchTicket, Permission


@dataclass(frozen=True)
class Change:
    """A logged event, as far as the board needs it. gap: events known to be missing before it.

    sparse: it came on a stream that leaves others out, so that the holes in `seq` mean nothing.
    raw: its JSON as it was sent.
    """

    type: str
    payload: Mapping[str, Any]
    project: str | None = None
    seq: int | None = None
    ticket: str | None = None
    actor: str = ""
    gap: int = 0
    sparse: bool = False
    raw: str = ""


@dataclass(frozen=True)
class Applied:
    """board: with the event in it. hole: something is missing, so fetch the board again."""

    board: Board
    hole: bool = False
    deleted: bool = False  # the project itself is gone


class _Revised(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def revision(self) -> int: ...


R = TypeVar("R", bound=_Revised)

MOST_ATTEMPTS = 500  # beyond it those that ended long ago go: a stream can live for weeks

# What a board works out, and the fields that it does this from.
_DERIVED = {
    "columns": ("project", "tickets"),
    "sessions_of": ("sessions",),
    "reviewed": ("reviews",),
    "attempts_of": ("attempts",),
    "asked_of": ("permissions",),
}
B = TypeVar("B", bound=Board)


def but(board: B, **changes: Any) -> B:
    """The same with other values of some fields; what was worked out from the others is kept."""
    changed = replace(board, **changes)
    for name, fields in _DERIVED.items():
        if name in board.__dict__ and changes.keys().isdisjoint(fields):
            changed.__dict__[name] = board.__dict__[name]
    return changed


def apply(board: Board, change: Change) -> Applied:
    """Put one event into the board. Never raises: what cannot be read is a hole."""
    if change.project is not None and change.project.casefold() != board.project.key.casefold():
        return Applied(board)
    if change.seq is not None and change.seq <= board.seq:
        return Applied(board)
    follows = change.seq is None or change.sparse or change.seq == board.seq + 1
    if change.gap or not follows:
        return Applied(board, hole=True)
    try:
        board = _put(board, change)
    except BadObject:
        return Applied(board, hole=True)
    if change.seq is not None:
        board = but(board, seq=change.seq)
    deleted = change.type == "project.deleted" and change.payload.get("id") == board.project.id
    return Applied(board, deleted=deleted)


def _put(board: Board, change: Change) -> Board:
    payload = change.payload
    noun, _, verb = change.type.partition(".")
    if noun == "ticket":
        return (
            _delete_ticket(board, payload)
            if verb == "deleted"
            else _put_ticket(board, Ticket.read(payload))
        )
    if noun == "session":
        session = Session.read(payload)
        return but(board, sessions=_with(board.sessions, session, session.status != "ended"))
    if noun == "review":
        return put_review(board, Review.read(payload))
    if noun == "label":
        if verb == "deleted":
            return but(board, labels=_without(board.labels, payload))
        return but(board, labels=_with(board.labels, Label.read(payload), True))
    if change.type in ("project.created", "project.updated"):
        project = Project.read(payload)
        if project.id == board.project.id and project.revision >= board.project.revision:
            return but(board, project=project)
    return _put_work(board, change)


def _put_work(board: Board, change: Change) -> Board:
    payload = change.payload
    if change.type in PARTS:
        attempt = board.attempts.get(str(payload.get("attempt")))
        if attempt is None:
            return board  # of one that ended long ago
        return put_attempt(board, attempt.with_part(change.type, payload))
    if change.type in ("attempt.started", "attempt.status"):
        return put_attempt(board, Attempt.read(payload))
    if change.type in ("permission.asked", "permission.replied"):
        return put_permission(board, Permission.read(payload))
    if change.type.startswith("batch.ticket."):
        batch = board.batches.get(str(payload.get("batch")))
        if batch is None:
            return board
        batch = batch.with_ticket(BatchTicket.read(payload))
        return but(board, batches={**board.batches, batch.id: batch})
    if change.type.startswith("batch."):
        batch = Batch.read(payload)
        return but(board, batches={**board.batches, batch.id: batch})
    return board  # comments, messages, logs, settings and what we do not know: not on the board


def put_attempt(board: Board, attempt: Attempt) -> Board:
    """Put an attempt into the board, unless the board knows a newer state of it."""

    def put(one: Board) -> Board:
        attempts = _with(one.attempts, attempt, True)
        if len(attempts) > MOST_ATTEMPTS and attempt.id not in one.attempts:
            attempts = _recent(attempts, attempt.updated_at)
        return one if attempts is one.attempts else but(one, attempts=attempts)

    return board.within(attempt.ticket, put)


def _recent(attempts: Mapping[str, Attempt], now: str) -> Mapping[str, Attempt]:
    """Without those that a board fetched now would leave out: over for more than a day."""
    try:
        since = (datetime.fromisoformat(now) - timedelta(days=1)).isoformat()[:19]
    except (ValueError, OverflowError):
        return attempts
    return {id: one for id, one in attempts.items() if one.active or one.ended_at >= since}


def put_review(board: Board, review: Review) -> Board:
    """Put a review that a mutation answered into the board, as `put_attempt`."""

    def put(one: Board) -> Board:
        return but(one, reviews=_with(one.reviews, review, review.open))

    return board.within(review.ticket, put)


def put_permission(board: Board, asked: Permission) -> Board:
    """Put a question that a mutation answered into the board, as `put_attempt`."""

    def put(one: Board) -> Board:
        return but(one, permissions=_with(one.permissions, asked, asked.open))

    return board.within(asked.ticket, put)


def put_ticket(board: Board, ticket: Ticket) -> Board:
    """Put a ticket that a mutation answered into the board, unless the board knows a newer one.

    A ticket that the board does not hold stays away: it may have left while the answer travelled.
    """
    if ticket.id not in board.tickets:
        return board
    return board.within(ticket.key, lambda one: _put_ticket(one, ticket))


def drop_ticket(board: Board, ticket_id: str) -> Board:
    """Take a ticket that was deleted off the board, with all that is on it."""
    ticket = board.tickets.get(ticket_id)
    if ticket is None:
        return board
    gone = {"id": ticket.id, "key": ticket.key}
    return board.within(ticket.key, lambda one: _delete_ticket(one, gone))


def _put_ticket(board: Board, ticket: Ticket) -> Board:
    tickets = _with(board.tickets, ticket, not ticket.archived)
    if tickets is board.tickets:
        return board
    changed = but(board, tickets=tickets)
    known = board.tickets.get(ticket.id) if ticket.id in tickets else None
    if known and (known.status, known.rank) == (ticket.status, ticket.rank):
        # In its place: nothing has to be sorted.
        column = tuple(ticket if one is known else one for one in board.columns[ticket.status])
        changed.__dict__["columns"] = {**board.columns, ticket.status: column}
    return changed


def _delete_ticket(board: Board, payload: Mapping[str, Any]) -> Board:
    ticket = board.tickets.get(str(payload.get("id")))
    key = payload.get("key") or (ticket.key if ticket else None)
    return but(
        board,
        tickets=_without(board.tickets, payload),
        sessions={id: session for id, session in board.sessions.items() if session.ticket != key},
        reviews={id: review for id, review in board.reviews.items() if review.ticket != key},
        attempts={id: attempt for id, attempt in board.attempts.items() if attempt.ticket != key},
        permissions={id: asked for id, asked in board.permissions.items() if asked.ticket != key},
    )


def _with(held: Mapping[str, R], item: R, keep: bool) -> Mapping[str, R]:
    known = held.get(item.id)
    if known is not None and known.revision > item.revision:
        return held
    if keep:
        return {**held, item.id: item}
    return {id: other for id, other in held.items() if id != item.id} if known is not None else held


def _without(held: Mapping[str, R], payload: Mapping[str, Any]) -> Mapping[str, R]:
    gone = payload.get("id")
    if not isinstance(gone, str):
        raise BadObject("a deletion without an id")
    return {id: item for id, item in held.items() if id != gone}
