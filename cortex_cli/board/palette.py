"""The palette: every action of the screen below it, and tickets, columns and projects to go to.

Imported by the first key that opens it. An entry is found by the name and the help of an action; a
ticket by its key or number. What is not available now comes last, and says why when it is taken.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from cortex_cli.board import actions, detail, keymap, keys, moves
from cortex_cli.board.messages import Effect, LoadProjects
from cortex_cli.board.model import Model, Palette
from cortex_cli.board.moves import Step
from cortex_cli.board.value import Value

ACTION, TICKET, COLUMN, PROJECT = "action", "ticket", "column", "project"
MOST_TICKETS, MOST_LEVELS = 9, 12
NO_MATCH = 9
PAGE = 10
_NUMBER = re.compile(r"(?:([a-z][a-z0-9_-]*)-)?([1-9][0-9]{0,9})")
# Keys of an action that only moves about: whoever looks for one rarely looks for these.
_MOTIONS = {"left", "right", "up", "down", "home", "end", "pgup", "pgdn", "ctrl-d", "ctrl-u"}


class Entry(Value):
    """kind and value: what it is, and which. keys: as people write them. refusal: why not now."""

    kind: str
    value: str
    text: str
    keys: str = ""
    refusal: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.value}"


def open_it(model: Model) -> Step:
    """Open it, and ask which projects there are when somebody can answer."""
    model = replace(model, overlay=Palette("palette", "Do"))
    return model, (LoadProjects(),) if model.connection.phase == "live" else ()


# --- finding


def entries(model: Model, text: str) -> tuple[Entry, ...]:
    """What `text` finds, best first; all there is for "". Unavailable actions are at the end."""
    below = replace(model, overlay=None)
    wanted = " ".join(text.casefold().split())
    found = [
        (bool(entry.refusal), rank, number, entry)
        for number, entry in enumerate(_all(below))
        if (rank := _rank(entry, wanted)) < NO_MATCH
    ]
    found.sort(key=lambda row: row[:3])
    return (*_tickets(below, wanted), *(row[3] for row in found))


def _all(model: Model) -> Iterator[Entry]:
    scope, found = model.screen, keymap.of(model)
    here = [b for b in keys.TABLE if scope in b.scopes and b.action != "palette"]
    for binding in sorted(here, key=lambda b: (not _MOTIONS.isdisjoint(b.keys), not b.hint)):
        pressed = found.titles(scope, binding)
        yield Entry(ACTION, binding.action, binding.help, pressed, binding.refusal(model))
    for shown in model.columns:
        yield Entry(COLUMN, shown.column.name, f"Go to the column {shown.column.title}")
    for key, name in model.projects:
        if key != model.project or model.everything or model.dashboard:
            yield Entry(PROJECT, key, f"Go to the project {key}  {name}")


def _rank(entry: Entry, wanted: str) -> int:
    """How well an entry fits, 0 the best; NO_MATCH when it does not."""
    name, text = entry.value.casefold(), entry.text.casefold()
    words = re.split(r"[\s\-:,;()]+", f"{name} {text}")
    fits = (
        name == wanted or not wanted,
        name.startswith(wanted),
        text.startswith(wanted),
        f" {wanted}" in f" {name.replace('-', ' ')} {text}",
        all(any(word.startswith(part) for word in words) for part in wanted.split()),
        wanted in name,
        wanted in text,
        all(part in f"{name} {text}" for part in wanted.split()),
        _scattered(wanted.replace(" ", ""), name),
    )
    return next((rank for rank, fit in enumerate(fits) if fit), NO_MATCH)


def _scattered(wanted: str, name: str) -> bool:
    """Whether all the characters are in the name, in this order."""
    rest = iter(name)
    return all(character in rest for character in wanted)


def _tickets(model: Model, wanted: str) -> list[Entry]:
    """Those whose key or number begins with what was typed, the very one first."""
    found = _NUMBER.fullmatch(wanted)
    if model.board is None or found is None:
        return []
    project, number = found.groups()
    keyed = [
        ticket
        for ticket in model.board.tickets.values()
        if (ticket.key.casefold() if project else ticket.key.rpartition("-")[2]).startswith(
            wanted if project else number
        )
    ]
    keyed.sort(key=lambda ticket: (len(ticket.key), ticket.key))
    return [Entry(TICKET, t.id, f"{t.key}  {t.title}") for t in keyed[:MOST_TICKETS]]


def selected(palette: Palette, found: tuple[Entry, ...]) -> int:
    """The place of the selected entry: the first one, until another was chosen for this text."""
    if palette.chosen_of != palette.text:
        return 0
    return next((i for i, entry in enumerate(found) if entry.name == palette.chosen), 0)


def page(model: Model, pages: int) -> Step:
    return step(model, pages * PAGE)


def step(model: Model, by: int) -> Step:
    palette = model.overlay
    if not isinstance(palette, Palette):
        return model, ()
    found = entries(model, palette.text)
    if not found:
        return model, ()
    to = min(max(0, selected(palette, found) + by), len(found) - 1)
    chosen = replace(palette, chosen=found[to].name, chosen_of=palette.text)
    return replace(model, overlay=chosen), ()


# --- going there


def run(model: Model) -> Step:
    """Do what is selected, as its key would; one that is not available says why and stays."""
    palette = model.overlay
    if not isinstance(palette, Palette):
        return model, ()
    found = entries(model, palette.text)
    if not found:
        nothing = f"Nothing here is called {palette.text.strip()}."
        return moves.toast(model, nothing, refusal=True), ()
    entry = found[selected(palette, found)]
    if entry.refusal:
        return moves.toast(model, entry.refusal), ()
    model = replace(model, overlay=None)
    if entry.kind == ACTION:
        return actions.ACTIONS[entry.value](model)
    model, effects = _to_the_board(model)
    model, more = _go(model, entry)
    return model, (*effects, *more)


def _go(model: Model, entry: Entry) -> Step:
    if entry.kind == PROJECT:
        return actions.switch(model, entry.value)
    if entry.kind == COLUMN:
        shown = next((s for s in model.columns if s.column.name == entry.value), None)
        first = shown.tickets[0].id if shown and shown.tickets else None
        return replace(model, focus=entry.value, selected=first), ()
    ticket = model.board.tickets.get(entry.value) if model.board else None
    if ticket is None:
        return model, ()
    return detail.open_ticket(replace(model, focus=ticket.status, selected=ticket.id), ticket)


def _to_the_board(model: Model) -> Step:
    """Leave what is shown over the board, one level after the other, as Esc does."""
    effects: tuple[Effect, ...] = ()
    for _ in range(MOST_LEVELS):
        leave = keymap.keymap().bindings.get((model.screen, "esc"))
        if model.screen == "board" or leave is None or leave.refusal(model):
            break
        model, more = actions.ACTIONS[leave.action](model)
        effects += more
    return model, effects
