"""The events pane: what the stream brought, newest at the bottom, for finding out why.

The cursor is on an event, not on a row. While it follows, that is the newest one.
"""

from dataclasses import replace

from cortex_cli.board import events_view, journal, screens
from cortex_cli.board.journal import Record
from cortex_cli.board.model import Model, Prompt
from cortex_cli.board.moves import Step
from cortex_cli.board.panes import Events
from cortex_cli.board.wire import Ticket


def open_it(model: Model) -> Step:
    """`v`: the pane, over what is shown."""
    return screens.show(model, Events())


# --- the cursor


def follow(model: Model) -> Step:
    """`G` and `f`: to the newest, and on with it."""
    pane = model.pane
    if not isinstance(pane, Events):
        return model, ()
    return replace(model, pane=pane.but(follows=True, selected=0, last=0, top=0)), ()


def page(model: Model, pages: int) -> Step:
    """A page of events; of what one says while that is open."""
    pane = model.pane
    if not isinstance(pane, Events):
        return model, ()
    if not pane.opened:
        return step(model, pages * max(1, events_view.rows(model, pane)[0] - 1))
    rows = events_view.rows(model, pane)[1]
    top = pane.top + pages * max(1, rows - 2)
    return replace(
        model, pane=pane.but(top=min(max(0, top), events_view.last_top(model, pane)))
    ), ()


def step(model: Model, by: int) -> Step:
    """Select another one. Away from the newest it stays there; back at it, it follows again."""
    pane = model.pane
    if not isinstance(pane, Events):
        return model, ()
    shown = journal.matching(model.journal, pane.filter)
    if not shown:
        return model, ()
    at = min(max(0, events_view.index(shown, pane) + by), len(shown) - 1)
    if at == len(shown) - 1 and by > 0:
        return follow(model)
    last = pane.last if not pane.follows else model.journal.total
    pane = pane.but(follows=False, selected=shown[at].number, last=last, top=0)
    return replace(model, pane=pane), ()


# --- what it says


def open(model: Model) -> Step:
    """Show all that it says below, or no longer. What is read stays: it follows no more."""
    pane, record = model.pane, selected(model)
    if not isinstance(pane, Events) or record is None:
        return model, ()
    if pane.opened:
        return replace(model, pane=pane.but(opened=False, top=0)), ()
    last = pane.last if not pane.follows else model.journal.total
    pane = pane.but(opened=True, top=0, follows=False, selected=record.number, last=last)
    return replace(model, pane=pane), ()


def close(model: Model) -> Step:
    """Esc: close what is open below, then the filter, then the pane."""
    pane = model.pane
    if isinstance(pane, Events) and pane.opened:
        return replace(model, pane=pane.but(opened=False, top=0)), ()
    if isinstance(pane, Events) and pane.filter:
        return replace(model, pane=pane.but(filter="")), ()
    return screens.leave(model)


def ticket(model: Model) -> Step:
    found = _ticket(model)
    return screens.open_ticket(model, found) if found else (model, ())


def filter(model: Model) -> Step:
    pane = model.pane
    text = pane.filter if isinstance(pane, Events) else ""
    label = "Only events with (type or text; ! before a word inverts it)"
    return replace(model, overlay=Prompt("events", label, text, len(text))), ()


def filtered(model: Model, text: str) -> Step:
    pane = model.pane
    return (replace(model, pane=pane.but(filter=text)) if isinstance(pane, Events) else model), ()


def selected(model: Model) -> Record | None:
    pane = model.pane
    shown = journal.matching(model.journal, pane.filter) if isinstance(pane, Events) else ()
    return shown[events_view.index(shown, pane)] if shown and isinstance(pane, Events) else None


def _ticket(model: Model) -> Ticket | None:
    record = selected(model)
    if record is None or not record.ticket or model.board is None:
        return None
    found = model.board.tickets.values()
    return next((ticket for ticket in found if ticket.key == record.ticket), None)


# --- why not


def no_event(model: Model) -> str:
    return "" if selected(model) else "No event has come yet."


def no_ticket(model: Model) -> str:
    record = selected(model)
    if record is None or not record.ticket:
        return no_event(model) or "This belongs to no ticket."
    return "" if _ticket(model) else f"{record.ticket} is not on the board (any more)."


def no_follow(model: Model) -> str:
    pane = model.pane
    return "It follows already." if isinstance(pane, Events) and pane.follows else ""
