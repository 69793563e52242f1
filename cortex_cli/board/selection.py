"""What of the board is shown, and which ticket is selected: a ticket, not a row."""

from dataclasses import replace

from cortex_cli.board import doing, layout
from cortex_cli.board.model import Model, Shown
from cortex_cli.board.wire import Column, Ticket


def settle(old: Model, new: Model) -> Model:
    """Bring what is derived up to date after any change: columns, selection, scrolling."""
    if (
        new.board is not old.board
        or _filters(new) != _filters(old)
        or new.pending is not old.pending
    ):
        new = replace(new, columns=columns(new))
    if new.columns is not old.columns or new.selected != old.selected or new.focus != old.focus:
        new = _select(old, new)
    # compared by identity: most messages leave all of it alone
    if any(a is not b for a, b in zip(_geometry(old), _geometry(new), strict=True)):
        tops = layout.tops(new)
        new = replace(new, tops=tops) if tops != new.tops else new
    return new


def _geometry(model: Model) -> tuple[object, ...]:
    return model.columns, model.selected, model.focus, model.width, model.height, model.intents


def _filters(model: Model) -> tuple[object, ...]:
    """What of the model decides which cards are shown, beside the board."""
    asked = model.intents if model.filter or model.needs_me else None
    return model.filter, model.needs_me, asked


def columns(model: Model) -> tuple[Shown, ...]:
    """The board's columns with moves under way shown where they shall end, filtered."""
    if model.board is None:
        return ()
    placed = {name: list(tickets) for name, tickets in model.board.columns.items()}
    for move in model.pending:
        ticket = model.board.tickets.get(move.ticket_id)
        if ticket is None or move.want.status not in placed:
            continue
        placed[ticket.status].remove(ticket)
        target = placed[move.want.status]
        at = len(target) if move.want.position is None else move.want.position
        target.insert(at, ticket)
    known = {column.name: column for column in model.board.project.columns}
    return tuple(
        Shown(
            known.get(name, Column(name, name, None)),
            tuple(t for t in tickets if matches(model, t)),
            len(tickets),
        )
        for name, tickets in placed.items()
        if name in known or tickets
    )


def matches(model: Model, ticket: Ticket) -> bool:
    """Whether the filter lets a ticket through: every word in it, no word after `!` in it."""
    if model.needs_me and not doing.needs_me(model, ticket):
        return False
    if not model.filter:
        return True
    at_work = [f"{one.state.text} {one.agent}" for one in doing.of_ticket(model, ticket)]
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
    names = [shown.column.name for shown in new.columns]
    focus = new.focus if new.focus in names else names[0]
    tickets = new.columns[names.index(focus)].tickets
    was = layout.selected_index(old) if old.focus == focus else None
    selected = tickets[min(was or 0, len(tickets) - 1)].id if tickets else None
    return replace(new, focus=focus, selected=selected)


def _find(model: Model, ref: str) -> tuple[str, str] | None:
    """(column, id) of a ticket that is shown, by its id or key."""
    for shown in model.columns:
        for ticket in shown.tickets:
            if ref in (ticket.id, ticket.key):
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
