"""The columns and their cards on the screen, and what is said where there are none."""

from functools import lru_cache

from cortex_cli.board import cards, keymap, layout
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import (
    ACCENT,
    DIM,
    PLAIN,
    SELECTED,
    STRONG,
    Canvas,
    Line,
    Row,
    Span,
    boxed,
    fitted,
    joined,
    line_width,
)
from cortex_cli.board.model import Model, Shown

MANY = "cortex ticket import FILE brings many."


def column_title(model: Model, index: int, place: bool = False) -> Line:
    shown = model.columns[index]
    focused = shown.column.name == model.focus
    prefix = (Span(f"{index + 1}/{len(model.columns)} ", DIM),) if place else ()
    return (
        *prefix,
        Span(shown.column.title, STRONG if focused else PLAIN),
        Span(" "),
        cards.count(shown),
    )


def brand(model: Model) -> Line:
    """Whose screen it is, where there is room to say it."""
    return (Span("cortex ", DIM),) if model.width >= layout.SINGLE_WIDTH else ()


def draw(canvas: Canvas, model: Model) -> None:
    if model.board is None or not model.columns:
        notice(canvas, waiting(model))
        return
    if layout.shape(model) == "some":
        _strip(canvas, model)
    for box in layout.boxes(model):
        _box(canvas, model, box)
    framed = layout.shape(model) in ("some", "whole")  # it is wider than a column
    if not model.board.tickets:
        key = keymap.key_of(model, "new")
        notice(canvas, ("No tickets yet.", f"{key} makes one here;", MANY), framed)
    elif (model.filter or model.needs_me) and not any(shown.tickets for shown in model.columns):
        back = keymap.key_of(model, "back")
        notice(canvas, ("Nothing matches.", f"{back} shows all cards."), framed)


def waiting(model: Model) -> tuple[str, ...]:
    link = model.dashboard.connection if model.dashboard else model.connection
    named = ("retry", "projects", "quit")
    again, switch, leave = (keymap.key_of(model, action) for action in named)
    if model.dashboard is None and model.gone:
        return (model.gone, f"{again} tries again, {switch} switches the project, {leave} quits.")
    if link.phase in ("lost", "over"):
        return ("The server cannot be reached.", link.why, f"{again} tries again, {leave} quits.")
    if model.everything and link.phase == "live" and model.dashboard is None:
        total = len(model.everything.keys)
        none = "No project yet: `cortex project create` makes one."
        return (f"Fetching {total} board{'' if total == 1 else 's'} …" if total else none,)
    if not model.project and not model.everything and model.dashboard is None:
        return ("Which project?", f"{switch} shows them, {leave} quits.")
    return (f"Connecting{f' to {model.url}' if model.url else ''} …",)


def notice(canvas: Canvas, lines: tuple[str, ...], framed: bool = False) -> None:
    """A few centered lines in the middle of the body; in a box, where it is not empty."""
    wrapped = [
        part for line in lines if line for part in texts.wrap(line, max(1, canvas.width - 4))
    ]
    first = max(1, (canvas.height - len(wrapped)) // 2)
    if framed:
        width = min(canvas.width, max(map(texts.width, wrapped)) + 6)
        canvas.frame(first - 1, (canvas.width - width) // 2, width, len(wrapped) + 2)
    for number, line in enumerate(wrapped):
        if first + number < canvas.height - 1:
            x = max(0, (canvas.width - texts.width(line)) // 2)
            canvas.put(first + number, x, line, STRONG if number == 0 else DIM)


def _strip(canvas: Canvas, model: Model) -> None:
    """All columns and their counts in one row, those that are off the screen dimmed."""
    visible = {box.index for box in layout.boxes(model)}
    x = 1
    for index, shown in enumerate(model.columns):
        if index:
            x = canvas.put(1, x, " · ", DIM)
        role = None if index in visible else DIM
        count = cards.count(shown)
        x = canvas.put(1, x, f"{shown.column.title} ", PLAIN if role is None else role)
        x = canvas.put(1, x, count.text, count.role or (role or PLAIN))


def _box(canvas: Canvas, model: Model, box: layout.Box) -> None:
    """A column in its box: title and count in the upper edge, the place in the lower one."""
    shown = model.columns[box.index]
    first, rows = layout.body(model)
    if layout.shape(model) == "list":
        _list(canvas, model, shown, first, rows)
        return
    focused = shown.column.name == model.focus
    role = ACCENT if focused else DIM
    title = column_title(model, box.index, place=layout.shape(model) == "single")
    canvas.put_row(first - 1, box.x, _upper_edge(title, box.width, role), box.width)
    top = model.tops.get(shown.column.name, 0)
    number = _cards(canvas, model, box, top)
    total = len(shown.tickets)
    place = f" {top + 1}-{number} of {total} " if top or number < total else ""
    canvas.put_row(first + rows, box.x, _lower_edge(place, box.width, role), box.width)


def _cards(canvas: Canvas, model: Model, box: layout.Box, top: int) -> int:
    """Draw cards from `top` on. Returns the number of the first that is not wholly visible."""
    shown = model.columns[box.index]
    first, rows = layout.body(model)
    cells, focused = layout.text_cells(model, box), shown.column.name == model.focus
    lines: list[Row] = []
    number = top
    while number < len(shown.tickets) and len(lines) < rows:
        ticket = shown.tickets[number]
        role = SELECTED if focused and ticket.id == model.selected else None
        lines += [_inside(line, cells, role) for line in cards.card(model, ticket, cells)]
        number += len(lines) <= rows
    empty = _inside((), cells, None)
    side = Span("│", ACCENT if focused else DIM)
    for row in range(rows):
        line = lines[row] if row < len(lines) else empty
        canvas.put_row(first + row, box.x, (side, *line, side), box.width)
    return number


@lru_cache(maxsize=256)
def _upper_edge(title: Line, width: int, role: str) -> Row:
    named = fitted((Span(" "), *title, Span(" ")), width - 4)
    bar = "─" * (width - 3 - line_width(named))
    return joined((Span("╭─", role), *named, Span(f"{bar}╮", role)))


@lru_cache(maxsize=256)
def _lower_edge(place: str, width: int, role: str) -> Row:
    """place: which cards are shown, on the right; "" for all of them."""
    shown = texts.clip(place, width - 2)
    after = "─" if len(shown) < width - 2 else ""
    bar = "─" * (width - 2 - len(shown) - len(after))
    return joined((Span(f"╰{bar}", role), Span(shown, DIM), Span(f"{after}╯", role)))


@lru_cache(maxsize=4096)  # most lines of a frame were in the one before
def _inside(line: Line, cells: int, role: str | None) -> Row:
    """A line of a card with a margin on both sides."""
    margin = Span(" ", role or PLAIN)
    return joined((margin, *boxed(line, cells, role), margin))


def _list(canvas: Canvas, model: Model, shown: Shown, first: int, rows: int) -> None:
    top = model.tops.get(shown.column.name, 0)
    for row, ticket in enumerate(shown.tickets[top : top + rows]):
        selected = ticket.id == model.selected
        if selected:
            canvas.fill(first + row, 0, canvas.width, role=SELECTED)
        canvas.put_line(
            first + row, 1, cards.one_line(model, ticket), None, SELECTED if selected else None
        )
