"""What of the board is shown, and which ticket is selected: a ticket, not a row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cortex_cli.board import doing, layout
from cortex_cli.board.model import Model, Shown
from cortex_cli.board.wire import Board, Column, Ticket


def settle(old: Model, new: Model) -> Model:
    """Bring what is derived up to date after any change: columns, selection, scrolling."""
    if (
        new.board is not old.board
        or _filters(new) != _filters(old)
        or new.pending is not old.pending
        or new.echoes is not old.echoes
        or new.sort != old.sort
    ):
        found = columns(new)
        new = replace(new, columns=found) if found != new.columns else new
    moved = new.selected != old.selected or new.focus != old.focus
    if moved and new.expected and new.expected == old.expected:
        new = replace(new, expected=None)  # the user went elsewhere meanwhile
    if moved or new.expected or new.columns is not old.columns:
        new = _select(old, new)
    # compared by identity: most messages leave all of it alone
    if any(a is not b for a, b in zip(_geometry(old), _geometry(new), strict=True)):
        tops = layout.tops(new)
        new = replace(new, tops=tops) if tops != new.tops else new
    return new


def _geometry(model: Model) -> tuple[object, ...]:
    at = model.selected, model.focus
    return model.board, model.columns, *at, model.width, model.height, model.intents


def _filters(model: Model) -> tuple[object, ...]:
    """What of the model decides which cards are shown, beside the board."""
    asked = model.intents if model.filter or model.needs_me else None
    return model.filter, model.needs_me, asked, model.hidden


def columns(model: Model) -> tuple[Shown, ...]:
    """The board's columns with moves under way shown where they shall end, filtered."""
    if model.board is None:
        return ()
    placed = [_placed(model, board) for board in model.board.boards]
    known = {column.name: column for column in model.board.project.columns}
    names = dict.fromkeys([*known, *(name for columns in placed for name in columns)])
    found = (_shown(model, known.get(name, Column(name, name, None)), placed) for name in names)
    return tuple(shown for shown in found if shown.column.name in known or shown.total)


_Placed = Mapping[str, Sequence[Ticket]]


def _placed(model: Model, board: Board) -> _Placed:
    """The columns of one board with moves under way made, and the tickets that are being made."""
    moves = [move for move in model.pending if move.ticket_id in board.tickets]
    made: tuple[Ticket, ...] = ()
    if model.echoes:
        from cortex_cli.board import echoes  # the first frame can do without

        made = echoes.tickets(model, board)
    if not moves and not made:
        return board.columns
    placed = {name: list(tickets) for name, tickets in board.columns.items()}
    for move in moves:
        ticket = board.tickets[move.ticket_id]
        if move.want.status not in placed:
            continue
        placed[ticket.status].remove(ticket)
        target = placed[move.want.status]
        at = len(target) if move.want.position is None else move.want.position
        target.insert(at, ticket)
    for ticket in made:
        if ticket.status in placed:
            placed[ticket.status].append(ticket)
    return placed


def _shown(model: Model, column: Column, placed: Sequence[_Placed]) -> Shown:
    """A column of all boards, those of each together."""
    assert model.board is not None
    tickets: list[Ticket] = []
    total, over = 0, []
    for board, columns in zip(model.board.boards, placed, strict=True):
        here = columns.get(column.name, ())
        total += len(here)
        passing = _passing(model, board)
        if passing is None:
            tickets += here
        else:
            tickets += (t for t in here if t.id in passing or (_made(t) and matches(model, t)))
        limit = board.limits.get(column.name)
        if limit and len(here) > limit:
            over.append(f"{board.project.key} {len(here)}/{limit}")
    if model.sort != "rank":
        from cortex_cli.board import sorting

        tickets = sorting.ordered(model, tickets)
    if not model.everything or not over:
        return Shown(column, tuple(tickets), total)
    more = f" +{len(over) - 1}" if len(over) > 1 else ""
    return Shown(column, tuple(tickets), total, over[0] + more)


def _made(ticket: Ticket) -> bool:
    """Whether it is being made: the board does not hold it yet."""
    return not ticket.revision


def _passing(model: Model, board: Board) -> frozenset[str] | None:
    """The ids of the tickets that the filter lets through, None for all; kept with the board."""
    if not model.filter and not model.needs_me:
        return None
    asked = (*_filters(model), model.now // 3600)  # what is long over counts no more
    if board.memo.get("asked") != asked:
        board.memo["asked"] = asked
        passing = (ticket.id for ticket in board.tickets.values() if matches(model, ticket))
        board.memo["passing"] = frozenset(passing)
    passed: frozenset[str] = board.memo["passing"]
    return passed


def matches(model: Model, ticket: Ticket) -> bool:
    """Whether the filter lets a ticket through: every word in it, no word after `!` in it."""
    if model.needs_me and not doing.needs_me(model, ticket):
        return False
    if not model.filter:
        return True
    at_work = [f"{one.state.text} {one.agent}" for one in doing.of_ticket(model, ticket)]
    if model.everything and model.board:
        at_work.append(model.board.of(ticket.key).project.name)
    text = " ".join([ticket.searchable, *at_work]).casefold()
    for word in model.filter.casefold().split():
        wanted = not word.startswith("!")
        if (word.lstrip("!") in text) != wanted and word != "!":
            return False
    return True


def _select(old: Model, new: Model) -> Model:
    """Keep the selection on its ticket; when that left, take the one that is in its place."""
    if not new.columns:
        return replace(new, selected=None)
    if new.expected and (found := _find(new, new.expected)):
        return replace(new, selected=found[1], focus=found[0], expected=None)
    if new.selected and (found := _find(new, new.selected)):
        return replace(new, focus=found[0])
    if new.echoes and new.selected:
        from cortex_cli.board import echoes  # the first frame can do without

        if found := _find(new, echoes.taken_for(new, new.selected)):
            return replace(new, selected=found[1], focus=found[0])
    names = [shown.column.name for shown in new.columns]
    focus = new.focus if new.focus in names else names[0]
    tickets = new.columns[names.index(focus)].tickets
    was = layout.selected_index(old) if old.focus == focus else None
    selected = tickets[min(was or 0, len(tickets) - 1)].id if tickets else None
    return replace(new, focus=focus, selected=selected)


def _find(model: Model, ref: str) -> tuple[str, str] | None:
    """(column, id) of a ticket that is shown, by its id or key."""
    for shown in sorted(model.columns, key=lambda shown: shown.column.name != model.focus):
        for ticket in shown.tickets:
            if ticket.id == ref or ticket.key == ref:
                return shown.column.name, ticket.id
    return None


def step(model: Model, by: int) -> Model:
    """Select the card `by` places further down, or the first or last one."""
    shown, at = model.shown, layout.selected_index(model)
    if shown is None or at is None:
        return model
    to = min(max(0, at + by), len(shown.tickets) - 1)
    return replace(model, selected=shown.tickets[to].id)


def step_column(model: Model, by: int) -> Model:
    """Go to the next column on that side, to the card at the same height."""
    if not model.columns:
        return model
    index = min(max(0, layout.focus_index(model) + by), len(model.columns) - 1)
    shown = model.columns[index]
    if shown.column.name == model.focus:
        return model
    at = (layout.selected_index(model) or 0) - model.tops.get(model.focus, 0)
    if not shown.tickets:
        return replace(model, focus=shown.column.name, selected=None)
    to = min(max(0, at + model.tops.get(shown.column.name, 0)), len(shown.tickets) - 1)
    return replace(model, focus=shown.column.name, selected=shown.tickets[to].id)
