"""Moves: shown at once, sent one at a time a ticket, taken back visibly when the server refuses."""

from dataclasses import replace

from cortex_cli.board import layout
from cortex_cli.board import text as texts
from cortex_cli.board.apply import put_ticket
from cortex_cli.board.changes import Entry, Part
from cortex_cli.board.messages import Effect, Moved, MoveRefused
from cortex_cli.board.messages import Move as Send
from cortex_cli.board.model import Model, Pending, Place, Prompt, Toast
from cortex_cli.board.selection import columns
from cortex_cli.board.wire import Board, Ticket

Step = tuple[Model, tuple[Effect, ...]]

TOAST_S = 4.0
BAD_TOAST_S = 10.0
FLASH_S = 4.0


def toast(model: Model, text: str, bad: bool = False, refusal: bool = False) -> Model:
    """Say something in the last row for a while; what failed stays longer.

    refusal: a key that does nothing now says why.
    """
    until = model.now + (BAD_TOAST_S if bad else TOAST_S)
    shown = Toast(texts.clean(text), until, bad, refusal)
    return replace(model, toasts=(*(t for t in model.toasts if t.text != shown.text), shown)[-5:])


def covers_toasts(model: Model) -> bool:
    """Whether a line of input stands where toasts are: what failed then waits to be seen."""
    return isinstance(model.overlay, Prompt) and model.scope == "prompt"


def shown_again(model: Model) -> Model:
    """Give what failed its time once the line of input is gone."""
    until = model.now + TOAST_S
    toasts = (replace(t, until=max(t.until, until)) if t.bad else t for t in model.toasts)
    return replace(model, toasts=tuple(toasts))


def begin(
    model: Model, ticket: Ticket, want: Place, way: str = "do", entry: Entry | None = None
) -> Step:
    """Show a ticket at `want` and ask the server to put it there.

    way: undo or redo where it is one, of `entry`.
    """
    under_way = pending_of(model, ticket.id)
    if under_way:
        changed = replace(under_way, want=want, way=way, entry=entry)
        return replace(model, pending=(*_others(model, ticket.id), changed)), ()
    refusal = no_place(model, ticket, want.status)
    if refusal:
        return toast(model, refusal, bad=True), ()
    origin = place(model.board, ticket)
    if want == origin:
        return model, ()
    move = Pending(
        ticket.id, ticket.key, want, want, origin, ticket.status, ticket.rank, ticket.revision,
        way, entry,
    )  # fmt: skip
    model = replace(model, pending=(*model.pending, move))
    return model, (Send(ticket.id, want.status, want.position, ticket.revision),)


def to_column(model: Model, ticket: Ticket, status: str) -> Step:
    """Move a ticket to the end of a column; the column it is in is no move."""
    if where(model, ticket) == status:
        return model, ()
    return begin(model, ticket, Place(status, None))


def sideways(model: Model, by: int) -> Step:
    """Move the selected card to the end of the next column on that side that its project has."""
    ticket = model.ticket
    status = beside(model, ticket, by) if ticket else None
    return to_column(model, ticket, status) if ticket and status else (model, ())


def beside(model: Model, ticket: Ticket, by: int) -> str | None:
    """The next column on that side of a ticket's; None where there is none."""
    names = [shown.column.name for shown in model.columns]
    status = where(model, ticket)
    index = (names.index(status) if status in names else 0) + by
    if not 0 <= index < len(names):
        return None
    on_side = names[index:] if by > 0 else names[index::-1]
    found = (name for name in on_side if not no_place(model, ticket, name))
    return next(found, names[index])


def within(model: Model, by: int) -> Step:
    """Move the selected card past its neighbour as shown; hidden cards keep their places."""
    shown, at, ticket = model.shown, layout.selected_index(model), model.ticket
    if shown is None or at is None or ticket is None or model.board is None:
        return model, ()
    to = at + by
    if not 0 <= to < len(shown.tickets):
        return model, ()
    neighbour = shown.tickets[to]
    project = model.project_of(ticket)
    if model.project_of(neighbour) != project:
        return toast(model, f"{neighbour.key} is not of {project}: each project has its order"), ()
    whole = (t for t in _order(model, model.focus) if model.project_of(t) == project)
    order = [t.id for t in whole if t.id != ticket.id]
    position = order.index(neighbour.id) + (1 if by > 0 else 0)
    return begin(model, ticket, Place(model.focus, position))


def moved(model: Model, answer: Moved) -> Step:
    """The server agreed: keep the place, or send where the card was put meanwhile."""
    if model.board:
        model = replace(model, board=put_ticket(model.board, answer.ticket))
    move = pending_of(model, answer.ticket.id)
    if move is None:
        return model, ()
    if move.want != move.sent:
        return _send_again(
            model,
            replace(move, status=answer.ticket.status, rank=answer.ticket.rank),
            answer.ticket,
        )
    model = replace(model, pending=_others(model, answer.ticket.id))
    from cortex_cli.board import history  # the first frame can do without

    ticket, origin = answer.ticket, move.origin
    back = {"status": origin.status, "position": origin.position}
    then = {"status": ticket.status, "rank": ticket.rank}
    part = Part(ticket.id, ticket.key, ticket.revision, back, then)
    return history.settled(model, move.way, (part,), (ticket,), back), ()


def refused(model: Model, answer: MoveRefused) -> Step:
    """The server did not: put the card back, mark it, and say why."""
    move = pending_of(model, answer.ticket_id)
    current = answer.current
    if current and model.board:
        model = replace(model, board=put_ticket(model.board, current))
    if move is None:
        key = current.key if current else "The ticket"
        return toast(model, f"{key} was not moved: {answer.why}", bad=True), ()
    if current:
        same = (current.status, current.rank, current.archived) == (move.status, move.rank, False)
        if same and current.revision > move.revision:
            return _send_again(model, move, current)  # only something else changed: still our move
    elif move.entry and move.way != "do" and answer.again:
        from cortex_cli.board import history

        model = history.kept(model, move.way, move.entry)  # for another try
    model = put_back(model, answer.ticket_id)
    return toast(model, f"{move.key} was not moved: {answer.why}", bad=True), ()


def put_back(model: Model, ticket_id: str) -> Model:
    """Show a card where it was, and mark it."""
    flashes = {**model.flashes, ticket_id: model.now + FLASH_S}
    return replace(model, pending=_others(model, ticket_id), flashes=flashes)


def forget_gone(model: Model) -> Model:
    """Drop moves of tickets that left the board: their answer will say what happened. Marks too.

    Those on a board that was left go on: what was asked for there is still sent.
    """
    if model.echoes:
        from cortex_cli.board import echoes  # the first frame can do without

        model = echoes.forget_shown(model)
    if model.board is None or not (model.pending or model.marked):
        return model
    board, held = model.board, model.board.tickets
    if not model.marked <= held.keys():
        model = replace(model, marked=model.marked & held.keys())
    kept = tuple(
        move for move in model.pending
        if move.ticket_id in held or not is_shown(board, move.key)
    )  # fmt: skip
    return model if len(kept) == len(model.pending) else replace(model, pending=kept)


def is_shown(board: Board, key: str) -> bool:
    """Whether what is shown is, or has, the board that a ticket of this key is on."""
    project = key.rpartition("-")[0].casefold()
    return any(part.project.key.casefold() == project for part in board.boards)


def _send_again(model: Model, move: Pending, ticket: Ticket) -> Step:
    move = replace(move, sent=move.want, revision=ticket.revision, group=0)
    model = replace(model, pending=(*_others(model, ticket.id), move))
    return model, (Send(ticket.id, move.want.status, move.want.position, ticket.revision),)


def pending_of(model: Model, ticket_id: str) -> Pending | None:
    return next((move for move in model.pending if move.ticket_id == ticket_id), None)


def _others(model: Model, ticket_id: str) -> tuple[Pending, ...]:
    return tuple(move for move in model.pending if move.ticket_id != ticket_id)


def where(model: Model, ticket: Ticket) -> str:
    move = pending_of(model, ticket.id)
    return move.want.status if move else ticket.status


def _order(model: Model, status: str) -> list[Ticket]:
    """The whole column as shown without its filter: what positions count in."""
    unfiltered = columns(replace(model, filter="", needs_me=False, sort="rank"))
    return next((list(shown.tickets) for shown in unfiltered if shown.column.name == status), [])


def place(board: Board | None, ticket: Ticket) -> Place:
    column = board.of(ticket.key).columns.get(ticket.status, ()) if board else ()
    return Place(
        ticket.status, next((i for i, other in enumerate(column) if other.id == ticket.id), None)
    )


def no_place(model: Model, ticket: Ticket, status: str) -> str:
    """Why a ticket cannot go to a column of another project; "" where it can."""
    if not model.everything or not model.board:
        return ""
    columns = model.board.of(ticket.key).project.columns
    if status in [column.name for column in columns]:
        return ""
    titles = ", ".join(column.title for column in columns)
    project, title = model.project_of(ticket), title_of(model, status)
    return f"{project} has no column {title}; it has {titles}."


def title_of(model: Model, status: str) -> str:
    return next(
        (shown.column.title for shown in model.columns if shown.column.name == status), status
    )
