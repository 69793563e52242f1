"""Where things go on a screen of a given size: for the view, and for what moves the selection."""

from collections.abc import Callable
from dataclasses import dataclass

from cortex_cli.board import cards
from cortex_cli.board.model import Model

LINE_WIDTH, LINE_HEIGHT = 20, 5  # below either: one line
LIST_HEIGHT = 12  # below: a list
SINGLE_WIDTH = 60  # below: one column
WHOLE_WIDTH = 100  # from here on: all columns, when they fit at all
NARROWEST, NARROWEST_WHOLE = 26, 16


@dataclass(frozen=True)
class Box:
    """A column's box on the screen. index: into model.columns."""

    index: int
    x: int
    width: int


def shape(model: Model) -> str:
    """line, list, single, some or whole."""
    if model.width < LINE_WIDTH or model.height < LINE_HEIGHT:
        return "line"
    if model.height < LIST_HEIGHT:
        return "list"
    if model.width < SINGLE_WIDTH:
        return "single"
    return "some" if model.width < WHOLE_WIDTH else "whole"


def focus_index(model: Model) -> int:
    return next((i for i, shown in enumerate(model.columns) if shown.column.name == model.focus), 0)


def boxes(model: Model) -> tuple[Box, ...]:
    """The columns that are on the screen, from left to right; always the focused one."""
    total = len(model.columns)
    if not total or shape(model) == "line":
        return ()
    focus = focus_index(model)
    if shape(model) in ("list", "single"):
        return (Box(focus, 0, model.width),)
    narrowest = NARROWEST if shape(model) == "some" else NARROWEST_WHOLE
    count = min(total, max(1, model.width // narrowest))
    first = min(max(0, focus - count + 1), total - count)
    base, extra = divmod(model.width, count)
    found, x = [], 0
    for number in range(count):
        width = base + (1 if number < extra else 0)
        found.append(Box(first + number, x, width))
        x += width
    return tuple(found)


def body(model: Model) -> tuple[int, int]:
    """(first row, rows) of the cards: between header, frame and hints."""
    kind = shape(model)
    if kind == "line":
        return 0, 1
    if kind == "list":
        return 1, model.height - 2
    first = 3 if kind == "some" else 2
    return first, model.height - first - 2


def text_cells(model: Model, box: Box) -> int:
    """Cells for the text of a card in a box: a frame and a margin on both sides."""
    return max(1, box.width - 4)


def card_height(model: Model, box: Box, number: int) -> int:
    """Rows of one card of a box."""
    if shape(model) in ("line", "list"):
        return 1
    return cards.height(model, model.columns[box.index].tickets[number], text_cells(model, box))


def fit(
    heights: Callable[[int], int], count: int, top: int, selected: int | None, rows: int
) -> int:
    """The first card to show: near `top`, with `selected` wholly visible, no empty room at the end.

    Looks only at the cards that are on the screen, however many there are.
    heights: rows of each card, at least one.
    """
    if not count:
        return 0
    top = min(max(0, top), count - 1)
    if selected is not None:
        top = min(top, selected)
        top = max(top, _lowest_top(heights, selected, rows))
    if count - top > rows:
        return top  # more cards than rows: there is no empty room
    return min(top, _lowest_top(heights, count - 1, rows))


def centred(at: int, count: int, rows: int) -> int:
    """The first entry of a list to show, so that the one at `at` is in the middle if it can be."""
    return min(max(0, at - rows // 2), max(0, count - rows))


def place(top: int, count: int, rows: int) -> str:
    """Which entries of a list are on the screen: "1-3 of 5"; "" for all of them."""
    return f"{top + 1}-{min(count, top + rows)} of {count}" if count > rows else ""


def _lowest_top(heights: Callable[[int], int], last: int, rows: int) -> int:
    """The lowest first card with which the card `last` still fits."""
    used = heights(last)
    top = last
    while top > 0 and used + heights(top - 1) <= rows:
        top -= 1
        used += heights(top)
    return top


def page(model: Model) -> int:
    """Cards that a page holds, about: what ^d and PgDn go by."""
    rows = body(model)[1]
    return max(1, rows if shape(model) in ("line", "list") else rows // 3)


def tops(model: Model) -> dict[str, int]:
    """The first card of each column that is on the screen, so that the selected one is visible."""
    rows = body(model)[1]
    found = dict(model.tops)
    for box in boxes(model):
        shown = model.columns[box.index]
        number = selected_index(model) if shown.column.name == model.focus else None

        def heights(card: int, box: Box = box) -> int:
            return card_height(model, box, card)

        top = found.get(shown.column.name, 0)
        found[shown.column.name] = fit(heights, len(shown.tickets), top, number, rows)
    return found


def selected_index(model: Model) -> int | None:
    """The place of the selected ticket in the focused column, as shown."""
    shown = model.shown
    if shown is None or model.selected is None:
        return None
    return next((i for i, ticket in enumerate(shown.tickets) if ticket.id == model.selected), None)


def at(model: Model, y: int, x: int) -> tuple[str, str | None] | None:
    """(column, ticket id or None) under a cell of the board."""
    first, rows = body(model)
    for box in boxes(model):
        if not box.x <= x < box.x + box.width:
            continue
        shown = model.columns[box.index]
        number, row = model.tops.get(shown.column.name, 0), first
        while number < len(shown.tickets) and row < first + rows:
            row += card_height(model, box, number)
            if first <= y < row:
                return shown.column.name, shown.tickets[number].id
            number += 1
        return shown.column.name, None
    return None
