"""What opens over the board: menus, questions, the palette and the help."""

from cortex_cli.board import layout
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import (
    ACCENT,
    DIM,
    PLAIN,
    SELECTED,
    STRONG,
    WARN,
    Canvas,
    Line,
    Span,
)
from cortex_cli.board.model import WORDS, Help, Menu, Model, Palette, Prompt

WIDEST = 90
LEFT_OVER = 6  # cells beside a box, below which they are only the ends of what is under it


def draw(canvas: Canvas, model: Model) -> None:
    """Draw the open overlay, if there is one."""
    if isinstance(model.overlay, Menu):
        _menu(canvas, model, model.overlay)
    elif isinstance(model.overlay, Help):
        from cortex_cli.board import help_lines  # the first frame can do without

        help_lines.draw(canvas, model, model.overlay)
    elif isinstance(model.overlay, Palette):
        from cortex_cli.board import palette_view

        palette_view.draw(canvas, model, model.overlay)
    elif isinstance(model.overlay, Prompt):
        _question(canvas, model.overlay)


def typed(prompt: Prompt, cells: int) -> Line:
    """What is typed, with its cursor in it; of a long line the end before the cursor is shown."""
    before = texts.clean(prompt.text[: prompt.cursor])
    cut = texts.width(before) > cells - 2
    if cut:
        before = before[-3 * max(1, cells) :]  # with the marks that a character may have
        while before and texts.width(before) > cells - 3:
            before = before[1:]
    under = texts.clean(prompt.text[prompt.cursor : prompt.cursor + 1]) or " "
    after = prompt.text[prompt.cursor + 1 :]
    return Span("…" if cut else "", DIM), Span(before), Span(under, SELECTED), Span(after)


def _menu(canvas: Canvas, model: Model, menu: Menu) -> None:
    waiting = "… loading" if not model.gone else model.gone
    entries = [texts.clean(_entry(menu, *item)) for item in menu.items] or [texts.clean(waiting)]
    title = texts.clean(menu.title)
    widest = max(map(texts.width, (title, *entries, *texts.wrap(menu.about, WIDEST))))
    width = wide(canvas, min(WIDEST, max(24, widest + 8)))
    about = _about(menu.about, max(1, width - 4), canvas.height - 4 - min(len(entries), 4))
    if menu.about and not about:  # no room for a question is no reason to answer it unread
        title = texts.clean(menu.about.partition("\n")[0])
    rows = min(len(entries), canvas.height - 4 - len(about))
    if rows < 1:
        return
    height = rows + len(about) + 2
    y, x = max(1, (canvas.height - height) // 2), (canvas.width - width) // 2
    canvas.frame(y, x, width, height, ACCENT)
    canvas.put(y, x + 2, f" {title} ", STRONG, width - 4)
    for number, line in enumerate(about):
        canvas.put_line(y + 1 + number, x + 2, line, width - 4)
    y += len(about)
    top = layout.centred(menu.index, len(entries), rows)
    if len(entries) > rows:
        place = f" {menu.index + 1}/{len(entries)} "
        canvas.put(y + rows + 1, x + width - len(place) - 2, place, DIM)
    for row in range(rows):
        number = top + row
        role = SELECTED if menu.items and number == menu.index else PLAIN
        canvas.fill(y + 1 + row, x + 1, width - 2, role=role)
        digit = f"{number + 1}" if menu.items and number < 9 else " "
        line = (Span(f"{digit}  ", DIM), Span(entries[number]))
        canvas.put_line(y + 1 + row, x + 2, line, width - 4, role if role == SELECTED else None)


def wide(canvas: Canvas, cells: int) -> int:
    """The width of a box for so much: all of the screen, where little of it would be left."""
    return min(cells, canvas.width) if canvas.width - cells >= LEFT_OVER else canvas.width


def _entry(menu: Menu, value: str, text: str) -> str:
    if not menu.multiple or value == WORDS:
        return text
    return f"{'●' if value in menu.marked else '○'} {text}"


def _about(text: str, cells: int, rows: int) -> list[Line]:
    """A text above the entries, at most so many rows, and an empty one below it."""
    if not text or rows < 2:
        return []
    lines: list[Line] = [
        (Span(line, STRONG if number == 0 else PLAIN),)
        for number, line in enumerate(texts.wrap(text, cells))
    ]
    if len(lines) > rows - 1:
        more = len(lines) - rows + 2
        lines = [*lines[: rows - 2], (Span(f"… {more} more lines: Esc, then Enter", WARN),)]
    return [*lines, ()]


def _question(canvas: Canvas, prompt: Prompt) -> None:
    """What the line below answers, in a box above it."""
    width = min(canvas.width, WIDEST)
    lines = _about(prompt.about, max(1, width - 4), canvas.height - 4)[:-1]
    if not lines:
        return
    y, x = max(1, canvas.height - len(lines) - 3), (canvas.width - width) // 2
    canvas.frame(y, x, width, len(lines) + 2, ACCENT)
    for number, line in enumerate(lines):
        canvas.put_line(y + 1 + number, x + 2, line, width - 4)
