"""What is done to one card or to all that are marked: mark, move, archive, delete.

Moves are shown at once. All of a change goes to the server together, and is undone together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from cortex_cli.board import history, keymap, moves, selection
from cortex_cli.board.apply import drop_ticket, put_ticket
from cortex_cli.board.changes import (
    Alter,
    Altered,
    Delete,
    Deleted,
    Entry,
    Job,
    Part,
    Row,
    RowRefused,
    Work,
)
from cortex_cli.board.messages import Effect
from cortex_cli.board.model import Menu, Model, Pending, Place, Prompt
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.wire import Ticket

NAMED = 3  # refused cards that a toast names with the reason


def targets(model: Model) -> tuple[Ticket, ...]:
    """What a verb acts on: the marked cards in board order, else the selected or open one."""
    if model.board and model.marked and not model.detail:
        found = (ticket for tickets in model.board.columns.values() for ticket in tickets)
        return tuple(ticket for ticket in found if ticket.id in model.marked)
    return (model.ticket,) if model.ticket else ()


def named(tickets: tuple[Ticket, ...]) -> str:
    return tickets[0].key if len(tickets) == 1 else f"{len(tickets)} cards"


def mark(model: Model) -> Step:
    """Mark the selected card, or take its mark away, and go to the next one."""
    if model.ticket is None:
        return model, ()
    model = replace(model, marked=model.marked ^ {model.ticket.id})
    return selection.step(model, 1), ()


# --- moves


def sideways(model: Model, by: int) -> Step:
    """Move each card to the column beside its own; those at the edge stay."""
    found = [(ticket, moves.beside(model, ticket, by)) for ticket in targets(model)]
    return _move(model, [(ticket, status) for ticket, status in found if status])


def move_chosen(model: Model, menu: Menu, status: str) -> Step:
    """Move those that the menu was opened for, whatever is marked or selected by now."""
    ids, columns = menu.target.split(), model.board.columns.values() if model.board else ()
    found = [ticket for tickets in columns for ticket in tickets if ticket.id in ids]
    if not found:
        gone = "They have" if len(ids) > 1 else "It has"
        return toast(model, f"{gone} left the board meanwhile.", bad=True), ()
    if len(ids) == 1:
        return moves.to_column(model, found[0], status)
    return _move(model, [(ticket, status) for ticket in found])


def _move(model: Model, wanted: list[tuple[Ticket, str]]) -> Step:
    """Move cards to the ends of columns, in their order."""
    effects: tuple[Effect, ...] = ()
    rows: list[Row] = []
    why: list[str] = []
    for ticket, status in wanted:
        if refusal := moves.no_place(model, ticket, status):
            why.append(f"{ticket.key}: {refusal}")
        elif moves.pending_of(model, ticket.id) or len(wanted) == 1:
            model, more = moves.to_column(model, ticket, status)
            effects += more
        elif ticket.status != status:
            rows.append(row(model, ticket, {"status": status}))
    if why:
        model = toast(model, "; ".join(why), bad=True)
    if not rows:
        return model, effects
    model, sent = send(model, tuple(rows))
    return model, (*effects, *sent)


def row(model: Model, ticket: Ticket, fields: Mapping[str, Any], expect: Iterable[str] = ()) -> Row:
    """A change of a ticket as it is now. expect: what else has to stay as it is."""
    before = history.values(model, ticket, fields)
    expected = history.values(model, ticket, {*fields, *expect})
    expected.pop("position", None)
    if "status" in expected:
        expected["rank"] = ticket.rank
    project = ticket.key.rpartition("-")[0]  # whatever board is shown by now
    return Row(project, ticket.id, ticket.key, ticket.revision, fields, before, expected)


def send(
    model: Model, rows: tuple[Row, ...], way: str = "do", entry: Entry | None = None,
    parts: tuple[Part, ...] = (), job: Job | None = None,
) -> Step:  # fmt: skip
    """Ask the server for a change; the cards that it moves are shown where they shall be."""
    number = model.changes + 1
    pending = tuple(_pending(model, one, number, way) for one in rows if "status" in one.fields)
    ids = {move.ticket_id for move in pending}
    others = tuple(move for move in model.pending if move.ticket_id not in ids)
    work = Work(number, way, rows, parts, entry, job)
    works = (*model.works, work)
    model = replace(model, changes=number, works=works, pending=(*others, *pending))
    return model, (Alter(number, rows),)


def _pending(model: Model, one: Row, number: int, way: str) -> Pending:
    want = Place(one.fields["status"], one.fields.get("position"))
    origin = Place(one.back["status"], one.back.get("position"))
    held = model.board.tickets.get(one.ticket_id) if model.board else None
    status, rank = (held.status, held.rank) if held else (origin.status, "")
    return Pending(
        one.ticket_id, one.key, want, want, origin, status, rank, one.revision, way, group=number
    )


# --- what came of it


def altered(model: Model, answer: Altered) -> Step:
    """Keep what the server made; send on what was changed meanwhile; put back what it refused."""
    work, model = _finish(model, answer.number)
    if model.board:
        board = model.board
        for ticket in answer.tickets:
            board = put_ticket(board, ticket)
        model = replace(model, board=board)
    if work is None:
        return _lost(model, "changed", answer.refused), ()
    rows = {one.ticket_id: one for one in work.rows}
    parts, again, done = list(work.parts), [], []
    for ticket in answer.tickets:
        one = rows[ticket.id]
        move = moves.pending_of(model, ticket.id)
        if move and move.group == work.number and move.want != move.sent:
            again.append(_further(one, ticket, move.want))
            continue
        model = _without_pending(model, ticket.id, work.number)
        parts.append(history.part(ticket, one.back, one.fields))
        done.append(ticket)
    lost = []
    for refused in answer.refused:
        one, current = rows[refused.ticket_id], refused.current
        if current and model.board:
            model = replace(model, board=put_ticket(model.board, current))
        if current and current.revision > one.revision and history.holds(current, one.expect):
            again.append(_once_more(model, work, one, current))
            continue
        lost.append(refused)
        if "status" in one.fields:
            model = moves.put_back(model, refused.ticket_id)
    return _go_on(model, work, tuple(parts), tuple(again), tuple(done), tuple(lost))


def _go_on(
    model: Model, work: Work, parts: tuple[Part, ...], again: tuple[Row, ...],
    done: tuple[Ticket, ...], lost: tuple[RowRefused, ...],
) -> Step:  # fmt: skip
    """Say what was refused, then send the rest, or keep all that was done as one."""
    effects: tuple[Effect, ...] = ()
    if lost:
        verb = "moved" if set(work.rows[0].fields) <= history.MOVE else "changed"
        model = _lost(model, verb, lost, work)
    retried = {refused.ticket_id for refused in lost if refused.again}
    if work.entry and (left := [p for p in work.entry.parts if p.ticket_id in retried]):
        model = history.kept(model, work.way, Entry(tuple(left)))
    if work.job:
        from cortex_cli.board import editing

        model, effects = editing.stored(model, work.job, lost, bool(again))
    if again:
        model, sent = send(model, again, work.way, work.entry, parts, work.job)
        return model, (*effects, *sent)
    if parts:
        fields, changed = work.rows[0].fields, _changed(model, parts, done)
        model = history.settled(model, work.way, parts, changed, fields, work.job is not None)
    return model, effects


def _changed(
    model: Model, parts: tuple[Part, ...], done: tuple[Ticket, ...]
) -> tuple[Ticket, ...]:  # fmt: skip
    """The tickets of a whole change, of which the last answer told of `done` only."""
    held = model.board.tickets if model.board else {}
    known = {**held, **{ticket.id: ticket for ticket in done}}
    return tuple(known[part.ticket_id] for part in parts if part.ticket_id in known)


def _once_more(model: Model, work: Work, one: Row, current: Ticket) -> Row:
    """The same of a ticket of which something else was changed, or where it was moved on to."""
    move = moves.pending_of(model, current.id)
    if move and move.group == work.number and move.want != move.sent:
        return _further(one, current, move.want)
    return one.but(revision=current.revision)


def _further(one: Row, ticket: Ticket, want: Place) -> Row:
    """The same card once more: it was moved on while it was on its way."""
    fields: dict[str, Any] = {"status": want.status}
    if want.position is not None or want.status == ticket.status:
        fields["position"] = want.position
    expect = {"status": ticket.status, "rank": ticket.rank, "archived": False}
    return one.but(revision=ticket.revision, fields=fields, expect=expect)


def _without_pending(model: Model, ticket_id: str, number: int) -> Model:
    left = (m for m in model.pending if (m.ticket_id, m.group) != (ticket_id, number))
    return replace(model, pending=tuple(left))


def _finish(model: Model, number: int) -> tuple[Work | None, Model]:
    work = next((work for work in model.works if work.number == number), None)
    return work, replace(model, works=tuple(one for one in model.works if one is not work))


def _lost(model: Model, verb: str, lost: tuple[RowRefused, ...], work: Work | None = None) -> Model:
    """Name the cards that were refused, and why."""
    if not lost:
        return model
    keys = {one.ticket_id: one.key for one in work.rows} if work else {}
    told = [f"{keys.get(one.ticket_id, 'A card')} ({one.why})" for one in lost[:NAMED]]
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    if work and len(work.rows) > 1:
        text = f"{len(lost)} of {len(work.rows)} not {verb}: {', '.join(told)}{more}"
    else:
        text = f"{keys.get(lost[0].ticket_id, 'It')} was not {verb}: {lost[0].why}"
    return toast(model, f"{text}.", bad=True)


# --- archive and delete


def remove(model: Model) -> Step:
    """Ask how a card shall leave: what can be undone first."""
    found = targets(model)
    if not found:
        return model, ()
    undo = keymap.key_of(model, "undo")
    archive = ("archive", f"Archive: off the board, {undo} brings it back")
    if found[0].archived:
        archive = ("restore", "Restore: back to the board")
    delete = ("delete", "Delete for good: this cannot be undone")
    title = f"Take {named(found)} away"
    menu = Menu("remove", title, (archive, delete), target=_ids(found))
    return replace(model, overlay=menu), ()


def _ids(found: tuple[Ticket, ...]) -> str:
    """What a question is about, whatever is selected when it is answered."""
    return " ".join(ticket.id for ticket in found)


def _asked_for(model: Model, ids: str) -> tuple[Ticket, ...]:
    """Those that are still there."""
    held = dict(model.board.tickets) if model.board else {}
    if model.detail:
        held[model.detail.ticket.id] = model.detail.ticket
    return tuple(held[id] for id in ids.split() if id in held)


def remove_chosen(model: Model, menu: Menu, value: str) -> Step:
    found = _asked_for(model, menu.target)
    if not found:
        return toast(model, "It has left the board meanwhile.", bad=True), ()
    if value == "delete":
        return _ask(model, found), ()
    return send(
        model, tuple(row(model, ticket, {"archived": value == "archive"}) for ticket in found)
    )


def _ask(
    model: Model, found: tuple[Ticket, ...], typed: str = "", wrong: bool = False
) -> Model:  # fmt: skip
    """Have the name typed: what is deleted is gone."""
    phrase = found[0].key if len(found) == 1 else f"delete {len(found)}"
    keys = ", ".join(ticket.key for ticket in found)
    about = found[0].title if len(found) == 1 else f"{len(found)} tickets: {keys}"
    about += "\nThey go" if len(found) > 1 else "\nIt goes"
    about += " with all comments, sessions and reviews, and cannot be brought back."
    about += "\nTo archive instead: Esc, D, 1."
    if wrong:
        about = f"{typed or 'Nothing'} is not {phrase}: nothing was deleted.\n{about}"
    label = f"Type {phrase} to delete"
    prompt = Prompt("delete", label, typed, len(typed), _ids(found), about=about)
    return replace(model, overlay=prompt)


def delete_typed(model: Model, prompt: Prompt) -> Step:
    """Delete, when what was typed says so; else ask again."""
    model = replace(model, overlay=None)
    ids, typed = prompt.target.split(), prompt.text.strip()
    found = _asked_for(model, prompt.target)
    if not found:
        return toast(model, "It has left the board meanwhile: nothing was deleted.", bad=True), ()
    phrase = found[0].key if len(ids) == 1 else f"delete {len(ids)}"
    if typed != phrase:
        return _ask(model, found, typed, wrong=True), ()
    rows = tuple(row(model, ticket, {}) for ticket in found)
    number = model.changes + 1
    works = (*model.works, Work(number, "do", rows))
    return replace(model, changes=number, works=works), (Delete(number, rows),)


def deleted(model: Model, answer: Deleted) -> Step:
    """Take what is gone off the board, and say what is not."""
    work, model = _finish(model, answer.number)
    keys = {one.ticket_id: one.key for one in work.rows} if work else {}
    if model.board:
        board = model.board
        for id in answer.ids:
            board = drop_ticket(board, id)
        model = replace(model, board=board)
    if answer.ids:
        gone = ", ".join(keys.get(id, "It") for id in answer.ids[:NAMED])
        more = f" and {len(answer.ids) - NAMED} more" if len(answer.ids) > NAMED else ""
        model = toast(model, f"Deleted {gone}{more}")
    return _lost(model, "deleted", answer.refused, work), ()


# --- sort


def sort_menu(model: Model) -> Step:
    """Ask for the order of the cards in their columns."""
    from cortex_cli.board.sorting import SORTS

    at = list(SORTS).index(model.sort) if model.sort in SORTS else 0
    items = tuple((name, sort.menu) for name, sort in SORTS.items())
    return replace(model, overlay=Menu("sort", "Sort the cards by", items, at)), ()
