"""What was made a moment ago and the server has not told of: shown at once, and never twice.

The answer and the event race. Until the answer names it, an event's ticket or comment that looks
the same and was not there before is taken for it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cortex_cli.board import history, prompts
from cortex_cli.board.changes import (
    NO_FIELDS,
    AddComment,
    Commented,
    Create,
    Created,
    Echo,
    Entry,
    Job,
    Refused,
)
from cortex_cli.board.model import Detail, Model
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.wire import Board, Comment, Ticket

LATE_S = 10.0  # after the answer the event is not as late as this, unless the ticket is gone again
PREFIX = "echo-"


def create(
    model: Model, project: str, title: str, status: str,
    fields: Mapping[str, Any] = NO_FIELDS, job: Job | None = None,
) -> Step:  # fmt: skip
    """Make a ticket; it is shown and selected at once."""
    number = model.changes + 1
    made = {**fields, "id": f"{PREFIX}{number}", "key": f"{project}-new", "title": title}
    ticket = Ticket.read(made | {"status": status, "created_at": _now(model)})
    board = model.board.of(ticket.key) if model.board else None
    held = board.tickets.values() if board else ()
    known = frozenset(other.id for other in held if _alike(other, ticket))
    model = replace(
        model,
        changes=number,
        echoes=(*model.echoes, Echo(number, ticket, None, known, job)),
        expected=ticket.id,
    )
    return model, (Create(project, title, status, number, fields),)


def comment(model: Model, key: str, body: str) -> Step:
    """Comment on a ticket; it is shown at once where the ticket is open."""
    number = model.changes + 1
    made = Comment(f"{PREFIX}{number}", key, "you", "comment", body, 0, _now(model))
    held = model.detail.comments.values() if model.detail else ()
    known = frozenset(other.id for other in held if other.body == body)
    echo = Echo(number, None, made, known)
    model = replace(model, changes=number, echoes=(*model.echoes, echo))
    return model, (AddComment(key, body, number),)


def _now(model: Model) -> str:
    return datetime.fromtimestamp(model.now, UTC).isoformat().replace("+00:00", "Z")


def _alike(one: Ticket, other: Ticket) -> bool:
    return (one.title, one.status) == (other.title, other.status)


# --- what is shown


def tickets(model: Model, board: Board) -> tuple[Ticket, ...]:
    """Those that are being made on this board, and that it does not hold yet."""
    found = []
    for echo in model.echoes:
        ticket = echo.ticket
        if ticket is None or ticket.id in board.tickets:
            continue
        if ticket.key.rpartition("-")[0].casefold() != board.project.key.casefold():
            continue
        held = board.tickets.values()
        if ticket.revision or not any(_alike(t, ticket) and t.id not in echo.known for t in held):
            found.append(ticket)
    return tuple(found)


def taken_for(model: Model, id: str) -> str:
    """The id of the ticket that an event brought for one that is being made; "" for none."""
    for echo in model.echoes:
        if echo.ticket and echo.ticket.id == id and model.board:
            held = model.board.of(echo.ticket.key).tickets.values()
            return next(
                (t.id for t in held if t.id not in echo.known and _alike(t, echo.ticket)), ""
            )
    return ""


def comments(model: Model, detail: Detail) -> tuple[Comment, ...]:
    """Those that are being stored on the open ticket."""
    found = []
    for echo in model.echoes:
        made = echo.comment
        if made is None or made.ticket != detail.ticket.key:
            continue
        held = detail.comments.values()
        if not any(other.body == made.body and other.id not in echo.known for other in held):
            found.append(made)
    return tuple(found)


# --- what came of it


def created(model: Model, answer: Created) -> Step:
    """The server has it: it stays shown until the board does too."""
    ticket = answer.ticket
    echo, model = _take(model, answer.number)
    if echo and model.board and ticket.id not in model.board.tickets:
        kept = echo.but(ticket=ticket, until=model.now + LATE_S)
        model = replace(model, echoes=(*model.echoes, kept))
    part = history.part(ticket, {"archived": True}, ("title", "body", "status", "archived"))
    model = history.push(model, "do", Entry((part.but(then=_untouched(part.then)),)))
    if f"{PREFIX}{answer.number}" in (model.selected, model.expected):  # else the user went on
        model = replace(model, expected=ticket.id)
    model = toast(model, f"Created {ticket.key}")
    if echo and echo.job:
        from cortex_cli.board import editing

        return editing.stored(model, echo.job)
    return model, ()


def _untouched(then: Mapping[str, Any]) -> dict[str, Any]:
    """Its place may change: others are put above it."""
    return {name: value for name, value in then.items() if name != "rank"}


def commented(model: Model, answer: Commented) -> Model:
    return _take(model, answer.number)[1]


def refused(model: Model, answer: Refused) -> Step:
    """Take it away, say why, and keep what was typed."""
    echo, model = _take(model, answer.number)
    if echo and echo.job:
        from cortex_cli.board import editing

        return editing.keep(model, echo.job, f"The ticket was not created: {answer.why}"), ()
    return prompts.refused(model, answer)


def forget_shown(model: Model) -> Model:
    """Drop what the board holds by now, or should by now."""
    if model.board is None:
        return model
    held, live = model.board.tickets, model.connection.phase == "live"
    left = tuple(
        echo for echo in model.echoes
        if not echo.until
        or (echo.ticket and echo.ticket.id not in held and (echo.until > model.now or not live))
    )  # fmt: skip
    return model if len(left) == len(model.echoes) else replace(model, echoes=left)


def _take(model: Model, number: int) -> tuple[Echo | None, Model]:
    echo = next((echo for echo in model.echoes if number and echo.number == number), None)
    return echo, replace(model, echoes=tuple(one for one in model.echoes if one is not echo))
