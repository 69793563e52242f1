"""The help: what every key does, of the screen that is open first.

Imported by the first `?`. The keys are those in effect, the user's changes included.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice, zip_longest

from cortex_cli.board import keymap, keys, layout
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import ACCENT, DIM, PLAIN, STRONG, Canvas, Line, Span
from cortex_cli.board.model import Help, Model
from cortex_cli.board.moves import Step
from cortex_cli.board.overlays import LEFT_OVER

TWO_COLUMNS = 120  # cells from which on there are two
COLUMN_CELLS = 74
KEYS_CELLS = 18


def lines(model: Model) -> tuple[tuple[str, str, str], ...]:
    """(keys, what they do, why not now) under a heading for each scope, which has no keys.

    Only of the screen that is open is it known what is not available.
    """
    below = replace(model, overlay=None)
    found = keymap.of(model)
    scopes = [below.screen, *(scope for scope in keys.SCOPES if scope != below.screen)]
    rows: list[tuple[str, str, str]] = []
    for scope in scopes:
        rows.append(("", keys.SCOPES[scope], ""))
        for binding in keys.TABLE:
            if scope in binding.scopes:
                pressed = found.titles(scope, binding) or "(no key)"
                refusal = binding.refusal(below) if scope == below.screen else ""
                rows.append((pressed, binding.help, refusal))
    return tuple(rows)


def scroll(model: Model, by: int) -> Step:
    """Scroll it, no further than to its end."""
    if not isinstance(model.overlay, Help):
        return model, ()
    last = max(0, len(_rows(model, model.width)[0]) - (model.height - 4))
    return replace(model, overlay=Help(min(max(0, model.overlay.top + by), last))), ()


def draw(canvas: Canvas, model: Model, shown: Help) -> None:
    """Draw it in a box; in two columns where there is room."""
    height = canvas.height - 4
    if height < 1:
        return
    rows, width, cells = _rows(model, canvas.width)
    x = (canvas.width - width) // 2
    canvas.frame(1, x, width, height + 2, ACCENT)
    canvas.put(1, x + 2, " Keys ", STRONG, width - 4)
    top = min(shown.top, max(0, len(rows) - height))
    for number, row in enumerate(rows[top : top + height]):
        for column, line in enumerate(row):
            canvas.put_line(2 + number, x + 2 + column * cells, line, cells - 1)
    if place := layout.place(top, len(rows), height):
        place = f" {place} "
        canvas.put(2 + height, max(0, x + width - len(place) - 2), place, DIM)


def _rows(model: Model, screen: int) -> tuple[list[tuple[Line, ...]], int, int]:
    """Its rows of one or two columns on a screen so wide; cells of the box, and of a column."""
    columns = 2 if screen >= TWO_COLUMNS else 1
    width = columns * COLUMN_CELLS + 4
    width = width if screen - width >= LEFT_OVER else screen
    cells = max(1, (width - 4) // columns)
    most = None if model.height >= layout.LIST_HEIGHT else 1  # few rows are for many lines
    found = [row for line in lines(model) for row in islice(_drawn(line, cells - 1), most)]
    half = -(-len(found) // columns)
    pairs = zip_longest(found[:half], found[half:], fillvalue=())
    return [pair[:columns] for pair in pairs], width, cells


@lru_cache(maxsize=512)
def _drawn(line: tuple[str, str, str], cells: int) -> tuple[Line, ...]:
    """A line as rows: its keys, what they do, and below it why not now."""
    return tuple(_wrapped(line, cells))


def _wrapped(line: tuple[str, str, str], cells: int) -> Iterator[Line]:
    pressed, text, refusal = line
    if not pressed:
        yield (Span(text, STRONG),)
        return
    first = min(KEYS_CELLS, cells * 2 // 5)
    room = max(1, cells - first - 1)
    named, told = texts.wrap(pressed, first), texts.wrap(text, room)
    for shown, row in zip_longest(named, told, fillvalue=""):
        key = Span(texts.pad(shown, first + 1), DIM if refusal else ACCENT)
        yield key, Span(row, DIM if refusal else PLAIN)
    for row in texts.wrap(refusal, room - 2) if refusal else ():
        yield (Span(f"{' ' * (first + 1)}  {row}", DIM),)
