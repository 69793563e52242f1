"""The events pane on the screen: a line an event, and below what the selected one says."""

import time

from cortex_cli.board import board_view, journal, keymap, layout
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import (
    ACCENT,
    BAD,
    DIM,
    GOOD,
    INFO,
    PLAIN,
    SELECTED,
    STRONG,
    WARN,
    Canvas,
    Line,
    Span,
)
from cortex_cli.board.journal import Record
from cortex_cli.board.model import Model
from cortex_cli.board.panes import Events

TYPE_CELLS = 19
ROLES = {
    "ticket": INFO, "comment": WARN, "review": ACCENT, "session": GOOD, "permission": WARN,
    "attempt": ACCENT, "git": GOOD, "project": INFO, "batch": ACCENT,
    journal.LOST: BAD, journal.RESET: BAD, journal.END: BAD, journal.HEARTBEAT: DIM,
    journal.BOARD: STRONG, journal.CONNECTED: GOOD,
}  # fmt: skip
SHORT = 10  # rows: below, what an event says takes the whole screen


def title(model: Model, pane: Events) -> Line:
    """What it is and how much of it there is."""
    shown = journal.matching(model.journal, pane.filter)
    held = len(shown)
    spans = [Span("events", STRONG), _place(pane, shown)]
    if model.width >= layout.SINGLE_WIDTH:
        spans = [Span("cortex ", DIM), *spans, Span(f"  {held}", DIM)]
    if model.journal.total > held and not pane.filter:
        spans.append(Span(f" of {model.journal.total}", DIM))
    if pane.filter:
        spans.append(Span(f"  /{pane.filter}", WARN))
    return tuple(spans)


def rows(model: Model, pane: Events) -> tuple[int, int]:
    """Rows of the list, and of what the selected one says with the line above it."""
    body = max(0, model.height - 2)
    if not pane.opened:
        return body, 0
    below = body if body < SHORT else body - max(3, body // 3)
    return body - below, below


def index(shown: tuple[Record, ...], pane: Events) -> int:
    """The place of the selected one: the newest while following; for one that left, the next."""
    if pane.follows:
        return len(shown) - 1
    after = (at for at, record in enumerate(shown) if record.number >= pane.selected)
    return next(after, len(shown) - 1)


def top(shown: tuple[Record, ...], pane: Events, listed: int) -> int:
    """The place of the first one on the screen."""
    return layout.centred(index(shown, pane), len(shown), listed)


def last_top(model: Model, pane: Events) -> int:
    shown = journal.matching(model.journal, pane.filter)
    if not shown:
        return 0
    lines = _said(shown[index(shown, pane)], max(1, model.width - 2))
    return max(0, len(lines) - rows(model, pane)[1] + 1)


def draw(canvas: Canvas, model: Model, pane: Events) -> None:
    """Between the header and the hints."""
    shown = journal.matching(model.journal, pane.filter)
    if not shown:
        why = "Nothing matches." if pane.filter else "No event has come yet."
        back = keymap.key_of(model, "events-close")
        then = f"{back} shows all events." if pane.filter else "What happens is shown here at once."
        board_view.notice(canvas, (why, then))
        return
    listed, below = rows(model, pane)
    at = index(shown, pane)
    first = top(shown, pane, listed)
    for offset, record in enumerate(shown[first : first + listed]):
        chosen = first + offset == at
        if chosen:
            canvas.fill(1 + offset, 0, canvas.width, role=SELECTED)
        line = _line(record, canvas.width)
        canvas.put_line(1 + offset, 1, line, canvas.width - 2, SELECTED if chosen else None)
    if below:
        _draw_said(canvas, shown[at], 1 + listed, below, pane.top)


def _line(record: Record, cells: int) -> Line:
    role = ROLES.get(record.type) or ROLES.get(record.type.partition(".")[0], PLAIN)
    name = texts.clip(texts.clean(record.type), cells // 2)
    clock = time.strftime("%H:%M:%S", time.localtime(record.at))
    spans = [Span(f"{clock}  ", DIM)] if cells >= layout.SINGLE_WIDTH else []
    wide = max(min(TYPE_CELLS, cells // 2), texts.width(name))
    spans.append(Span(texts.pad(name, wide) + "  ", role))
    if record.ticket:
        spans.append(Span(f"{texts.clean(record.ticket)}  ", STRONG))
    said = texts.clean(journal.words(record))
    actor = texts.clean(record.actor) if cells >= layout.SINGLE_WIDTH else ""
    if not actor:
        return (*spans, Span(said))
    tail = f"{texts.clip(actor, 24)} {journal.seq(record)}".rstrip()
    room = cells - 2 - sum(texts.width(span.text) for span in spans) - texts.width(tail) - 2
    if room < 8:
        return (*spans, Span(said))
    return (*spans, Span(texts.pad(said, room)), Span(f"  {tail}", DIM))


def _said(record: Record, cells: int) -> list[str]:
    return texts.wrap(journal.pretty(record), cells)


def _draw_said(canvas: Canvas, record: Record, y: int, rows: int, top: int) -> None:
    """All that an event says, from a line on, below a bar with its type."""
    lines = _said(record, max(1, canvas.width - 2))
    top = min(top, max(0, len(lines) - rows + 1))
    canvas.fill(y, 0, canvas.width, "─", ACCENT)
    canvas.put(y, 2, f" {texts.clean(record.type)} ", STRONG, canvas.width - 4)
    if place := layout.place(top, len(lines), rows - 1):
        place = f" {place} "
        canvas.put(y, max(0, canvas.width - len(place) - 2), place, ACCENT)
    for offset, line in enumerate(lines[top : top + rows - 1]):
        canvas.put(y + 1 + offset, 1, line, PLAIN, canvas.width - 2)


def _place(pane: Events, shown: tuple[Record, ...]) -> Span:
    """Whether it follows; what came since is said."""
    if pane.follows:
        return Span("  following", DIM)
    new = sum(record.number > pane.last for record in shown)
    return Span(f"  ↓ {new} new" if new else "  paused", WARN)


def one_line(model: Model) -> str:
    """For a screen too small for anything: the newest."""
    record = model.journal.newest
    return f"{record.type} {record.ticket} {journal.words(record)}" if record else "no event yet"
