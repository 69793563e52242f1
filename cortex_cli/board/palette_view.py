"""The palette as it is drawn: what was typed, and below it what that finds."""

from cortex_cli.board import layout, overlays, palette
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import ACCENT, DIM, PLAIN, SELECTED, STRONG, Canvas, Line, Span
from cortex_cli.board.model import Model, Palette
from cortex_cli.board.palette import ACTION, Entry

WIDEST, MOST_ROWS = 100, 19
FRAMED_HEIGHT, FRAMED_WIDTH = 9, 24  # below either: no frame
NAMED_WIDTH = 70  # from here on entries say what `[board.keys]` calls them
NAME_CELLS, KEYS_CELLS = 19, 12


def draw(canvas: Canvas, model: Model, shown: Palette) -> None:
    """Draw it from the top; the last row of the screen stays free for what it answers."""
    found = palette.entries(model, shown.text)
    at = palette.selected(shown, found)
    framed = canvas.height >= FRAMED_HEIGHT and canvas.width >= FRAMED_WIDTH
    width = min(canvas.width, WIDEST) if framed else canvas.width
    x = (canvas.width - width) // 2
    rows = min(canvas.height - 5, MOST_ROWS) if framed else canvas.height - 2
    y = 1
    if framed:
        canvas.frame(y, x, width, rows + 3, ACCENT)
        canvas.put(y, x + 2, " Do, or go to ", STRONG, width - 4)
        place = f" {at + 1 if found else 0}/{len(found)} "
        canvas.put(y + rows + 2, x + width - len(place) - 2, place, DIM)
        y, x, width = y + 1, x + 2, width - 4
    else:
        y = 0
        for row in range(rows + 1):
            canvas.fill(y + row, x, width)
    canvas.put_line(y, x, (Span(": ", ACCENT), *overlays.typed(shown, width - 2)), width)
    top = layout.centred(at, len(found), rows)
    for row, entry in enumerate(found[top : top + rows]):
        chosen = top + row == at
        if chosen:
            canvas.fill(y + 1 + row, x, width, role=SELECTED)
        _entry(canvas, y + 1 + row, x, width, entry, SELECTED if chosen else None)
    if not found and rows > 0:
        canvas.put(y + 1, x, "Nothing here is called that.", DIM, width)


def _entry(canvas: Canvas, y: int, x: int, width: int, entry: Entry, role: str | None) -> None:
    """Its text, why it is not available, its name where there is room, and its keys."""
    pressed = texts.clip(texts.clean(entry.keys), KEYS_CELLS)
    if pressed:
        at = x + width - texts.width(pressed)
        canvas.put(y, at, pressed, role or (DIM if entry.refusal else ACCENT))
    room = width - texts.width(pressed) - 1
    if width >= NAMED_WIDTH and entry.kind == ACTION:
        room = width - KEYS_CELLS - NAME_CELLS - 2
        canvas.put(y, x + room + 1, entry.value, role or DIM, NAME_CELLS)
    spans = [Span(entry.text, DIM if entry.refusal else PLAIN)]
    if entry.refusal:
        spans.append(Span(f"  {entry.refusal}", DIM))
    canvas.put_line(y, x, tuple(spans), max(0, room), role)


def one_line(model: Model, shown: Palette, cells: int) -> Line:
    """All of it in one row: what was typed, and what Enter does."""
    found = palette.entries(model, shown.text)
    half = max(2, cells // 2) if shown.text else 2
    line: Line = (Span(":", ACCENT), *overlays.typed(shown, half))
    if not found:
        return line
    entry = found[palette.selected(shown, found)]
    return (*line, Span(" "), Span(entry.text, DIM if entry.refusal else PLAIN))
