"""Undo and redo: of what the board did, as long as nobody changed it since.

What was done is kept as what undoes it. Undoing is a change like any other, and what undoes that
is kept for redo.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from cortex_cli.board import keymap, moves
from cortex_cli.board.changes import Entry, Part, Row
from cortex_cli.board.model import Model, Place
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.wire import Board, Ticket

DEPTH = 100
MOVE = {"status", "position"}
WORDS = {"labels": "labels", "depends_on": "dependencies", "due": "due date"}
DONE = {"undo": "undone", "redo": "redone"}
PREFIX = {"do": "", "undo": "Undone: ", "redo": "Redone: "}


def settled(
    model: Model, way: str, parts: tuple[Part, ...], tickets: tuple[Ticket, ...],
    fields: Mapping[str, Any], job_done: bool = False,
) -> Model:  # fmt: skip
    """Keep what was done, and say it unless the screen does.

    fields: what was asked to change; of a move of one card also its way back.
    """
    model = push(model, way, Entry(parts))
    if way == "do" and len(tickets) == 1 and set(fields) <= MOVE and not job_done:
        return model  # it is seen
    if not tickets:
        return model  # all of them have left the board meanwhile
    how = "" if way != "do" else f"; {keymap.key_of(model, 'undo')} undoes it"
    return toast(model, f"{PREFIX[way]}{_what(model, way, tickets, fields)}{how}")


def push(model: Model, way: str, entry: Entry) -> Model:
    """Keep what undoes what was done, or redoes what was undone."""
    if way == "undo":
        return replace(model, redo=(*model.redo, entry)[-DEPTH:])
    redo = model.redo if way == "redo" else ()
    return replace(model, undo=(*model.undo, entry)[-DEPTH:], redo=redo)


def kept(model: Model, way: str, entry: Entry) -> Model:
    """Put back what could not be undone or redone for no fault of its own."""
    if way == "undo":
        return replace(model, undo=(*model.undo, entry))
    return replace(model, redo=(*model.redo, entry))


def _what(
    model: Model, way: str, tickets: tuple[Ticket, ...], fields: Mapping[str, Any]
) -> str:  # fmt: skip
    many = len(tickets) > 1
    who = f"{len(tickets)} cards" if many else tickets[0].key
    if "archived" in fields:
        return f"{who} {'archived' if tickets[0].archived else 'restored'}"
    if set(fields) <= MOVE:
        places = {moves.title_of(model, ticket.status) for ticket in tickets}
        back = "back " if way == "undo" else ""
        if len(places) == 1:
            return f"{who} {back}in {places.pop()}"
        return f"{who} {'back where they were' if back else 'moved'}"
    names = [WORDS.get(name, name) for name in fields if name != "position"]
    return f"{', '.join(names)} of {who} {'as before' if way == 'undo' else 'changed'}"


# --- undo and redo


def undo(model: Model) -> Step:
    """Take back the last thing that was done, as far as nobody changed it since."""
    return _take(model, "undo", model.undo)


def redo(model: Model) -> Step:
    """Do again what was undone last."""
    return _take(model, "redo", model.redo)


def _take(model: Model, way: str, stack: tuple[Entry, ...]) -> Step:
    board = model.board
    if not stack or board is None:
        return model, ()
    here = [i for i, one in enumerate(stack) if all(_is_here(board, part) for part in one.parts)]
    if not here:
        return toast(model, f"Nothing to {way} on this board.", refusal=True), ()
    entry = stack[here[-1]]
    left: dict[str, Any] = {way: (*stack[: here[-1]], *stack[here[-1] + 1 :])}
    model = replace(model, **left)
    found = [_row(model, part) for part in entry.parts]
    lost = [why for why in found if isinstance(why, str)]
    if lost:
        model = toast(model, f"{'; '.join(lost)}: not {DONE[way]}", bad=True)
    rows = sorted((row for row in found if isinstance(row, Row)), key=_order)
    if not rows:
        return model, ()
    from cortex_cli.board import verbs

    ticket = board.tickets.get(rows[0].ticket_id)
    if len(rows) == 1 and ticket and set(rows[0].fields) == MOVE:
        target = Place(rows[0].fields["status"], rows[0].fields["position"])
        return moves.begin(replace(model, selected=ticket.id), ticket, target, way, entry)
    return verbs.send(replace(model, expected=rows[0].ticket_id), tuple(rows), way, entry)


def _is_here(board: Board, part: Part) -> bool:
    return part.ticket_id in board.tickets or moves.is_shown(board, part.key)


def _order(row: Row) -> tuple[str, float]:
    """From the top: each card finds its place between those that are back before it."""
    position = row.fields.get("position")
    return row.fields.get("status", ""), float("inf") if position is None else position


def _row(model: Model, part: Part) -> Row | str:
    """The change that undoes a part, or why there is none."""
    ticket = model.board.tickets.get(part.ticket_id) if model.board else None
    if ticket is None and not part.then.get("archived"):
        return f"{part.key} left the board since"
    if ticket is not None and not holds(ticket, part.then):
        return f"{part.key} was changed by somebody else since"
    project = part.key.rpartition("-")[0]
    back = values(model, ticket, part.back) if ticket else {"archived": True}
    revision = ticket.revision if ticket else part.revision
    return Row(project, part.ticket_id, part.key, revision, part.back, back, part.then)


# --- what is true of a ticket


def holds(ticket: Ticket, expected: Mapping[str, Any]) -> bool:
    return all(_wire(getattr(ticket, name)) == _wire(value) for name, value in expected.items())


def values(model: Model, ticket: Ticket, names: Iterable[str]) -> dict[str, Any]:
    """The fields as they are; with the status comes the place."""
    found = {name: _wire(getattr(ticket, name)) for name in names if name != "position"}
    if "status" in found and model.board and ticket.id in model.board.tickets:
        found["position"] = moves.place(model.board, ticket).position
    return found


def part(ticket: Ticket, back: Mapping[str, Any], names: Iterable[str]) -> Part:
    """What was made of a ticket. names: the fields that were changed."""
    then = {name: _wire(getattr(ticket, name)) for name in names if name != "position"}
    if "status" in then:
        then["rank"] = ticket.rank
    return Part(ticket.id, ticket.key, ticket.revision, back, then)


def _wire(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
