"""Moves: shown at once, sent one at a time a ticket, taken back visibly when the server refuses."""

from dataclasses import replace

from cortex_cli.board import layout
from cortex_cli.board import text as texts
from cortex_cli.board.apply import put_ticket
from cortex_cli.board.messages import Effect, Moved, MoveRefused
from cortex_cli.board.messages import Move as Send
from cortex_cli.board.model import Model, Pending, Place, Toast, Undo
from cortex_cli.board.selection import columns
from cortex_cli.board.wire import Board, Ticket

Step = tuple[Model, tuple[Effect, ...]]

TOAST_S = 4.0
BAD_TOAST_S = 10.0
FLASH_S = 4.0
UNDO_DEPTH = 100


def toast(model: Model, text: str, bad: bool = False) -> Model:
    """Say something in the last row for a while; what failed stays longer."""
    shown = Toast(texts.clean(text), model.now + (BAD_TOAST_S if bad else TOAST_S), bad)
    return replace(model, toasts=(*(t for t in model.toasts if t.text != shown.text), shown)[-5:])


def begin(model: Model, ticket: Ticket, want: Place, undoing: bool = False) -> Step:
    """Show a ticket at `want` and ask the server to put it there."""
    under_way = _pending(model, ticket.id)
    if under_way:
        changed = replace(under_way, want=want, undoing=undoing)
        return replace(model, pending=(*_others(model, ticket.id), changed)), ()
    origin = _place(model.board, ticket)
    if want == origin:
        return model, ()
    move = Pending(
        ticket.id, want, want, origin, ticket.status, ticket.rank, ticket.revision, undoing
    )
    model = replace(model, pending=(*model.pending, move))
    return model, (Send(ticket.id, want.status, want.position, ticket.revision),)


def to_column(model: Model, ticket: Ticket, status: str) -> Step:
    """Move a ticket to the end of a column; the column it is in is no move."""
    where = _where(model, ticket)
    return (model, ()) if where == status else begin(model, ticket, Place(status, None))


def sideways(model: Model, by: int) -> Step:
    """Move the selected card to the end of the column on that side."""
    index = layout.focus_index(model) + by
    if model.ticket is None or not 0 <= index < len(model.columns):
        return model, ()
    return to_column(model, model.ticket, model.columns[index].column.name)


def within(model: Model, by: int) -> Step:
    """Move the selected card past its neighbour as shown; hidden cards keep their places."""
    shown, at, ticket = model.shown, layout.selected_index(model), model.ticket
    if shown is None or at is None or ticket is None or model.board is None:
        return model, ()
    to = at + by
    if not 0 <= to < len(shown.tickets):
        return model, ()
    neighbour = shown.tickets[to]
    order = [t.id for t in _order(model, model.focus) if t.id != ticket.id]
    position = order.index(neighbour.id) + (1 if by > 0 else 0)
    return begin(model, ticket, Place(model.focus, position))


def moved(model: Model, answer: Moved) -> Step:
    """The server agreed: keep the place, or send where the card was put meanwhile."""
    if model.board is None:
        return model, ()
    model = replace(model, board=put_ticket(model.board, answer.ticket))
    move = _pending(model, answer.ticket.id)
    if move is None:
        return model, ()
    if move.want != move.sent:
        return _send_again(
            model,
            replace(move, status=answer.ticket.status, rank=answer.ticket.rank),
            answer.ticket,
        )
    model = replace(model, pending=_others(model, answer.ticket.id))
    if move.undoing:
        return toast(
            model, f"{answer.ticket.key} is back in {_title(model, answer.ticket.status)}"
        ), ()
    done = Undo(
        answer.ticket.id, answer.ticket.key, move.origin, answer.ticket.status, answer.ticket.rank
    )
    return replace(model, undo=(*model.undo, done)[-UNDO_DEPTH:]), ()


def refused(model: Model, answer: MoveRefused) -> Step:
    """The server did not: put the card back, mark it, and say why."""
    move = _pending(model, answer.ticket_id)
    if move is None or model.board is None:
        return toast(model, answer.why, bad=True), ()
    current = answer.current
    if current:
        model = replace(model, board=put_ticket(model.board, current))
        same = (current.status, current.rank, current.archived) == (move.status, move.rank, False)
        if same and current.revision > move.revision:
            return _send_again(model, move, current)  # only something else changed: still our move
    model = replace(model, pending=_others(model, answer.ticket_id))
    model = replace(model, flashes={**model.flashes, answer.ticket_id: model.now + FLASH_S})
    held = model.board.tickets.get(answer.ticket_id) if model.board else None
    key = current.key if current else (held.key if held else "The ticket")
    return toast(model, f"{key} was not moved: {answer.why}", bad=True), ()


def undo(model: Model) -> Step:
    """Put the last moved card back where it was, unless somebody moved it since."""
    if not model.undo or model.board is None:
        return model, ()
    last = model.undo[-1]
    model = replace(model, undo=model.undo[:-1])
    assert model.board is not None
    ticket = model.board.tickets.get(last.ticket_id)
    if ticket is None:
        return toast(model, f"{last.key} left the board since: not undone", bad=True), ()
    if (ticket.status, ticket.rank) != (last.status, last.rank):
        return toast(
            model, f"{last.key} was moved by somebody else since: not undone", bad=True
        ), ()
    return begin(replace(model, selected=ticket.id), ticket, last.back, undoing=True)


def forget_gone(model: Model) -> Model:
    """Drop moves of tickets that left the board: their answer will say what happened."""
    if model.board is None or not model.pending:
        return model
    held = model.board.tickets
    kept = tuple(move for move in model.pending if move.ticket_id in held)
    return model if len(kept) == len(model.pending) else replace(model, pending=kept)


def _send_again(model: Model, move: Pending, ticket: Ticket) -> Step:
    move = replace(move, sent=move.want, revision=ticket.revision)
    model = replace(model, pending=(*_others(model, ticket.id), move))
    return model, (Send(ticket.id, move.want.status, move.want.position, ticket.revision),)


def _pending(model: Model, ticket_id: str) -> Pending | None:
    return next((move for move in model.pending if move.ticket_id == ticket_id), None)


def _others(model: Model, ticket_id: str) -> tuple[Pending, ...]:
    return tuple(move for move in model.pending if move.ticket_id != ticket_id)


def _where(model: Model, ticket: Ticket) -> str:
    move = _pending(model, ticket.id)
    return move.want.status if move else ticket.status


def _order(model: Model, status: str) -> list[Ticket]:
    """The whole column as shown without its filter: what positions count in."""
    unfiltered = columns(replace(model, filter="", needs_me=False))
    return next((list(shown.tickets) for shown in unfiltered if shown.column.name == status), [])


def _place(board: Board | None, ticket: Ticket) -> Place:
    column = board.columns.get(ticket.status, ()) if board else ()
    return Place(
        ticket.status, next((i for i, other in enumerate(column) if other.id == ticket.id), None)
    )


def _title(model: Model, status: str) -> str:
    return next(
        (shown.column.title for shown in model.columns if shown.column.name == status), status
    )
