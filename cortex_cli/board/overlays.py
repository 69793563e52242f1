"""What opens over the board: menus and the help."""

from cortex_cli.board import keys
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
from cortex_cli.board.model import WORDS, Help, Menu, Model, Prompt

WIDEST = 90


def draw(canvas: Canvas, model: Model) -> None:
    """Draw the open overlay, if there is one."""
    if isinstance(model.overlay, Menu):
        _menu(canvas, model, model.overlay)
    elif isinstance(model.overlay, Help):
        _help(canvas, model.overlay)
    elif isinstance(model.overlay, Prompt):
        _question(canvas, model.overlay)


def _menu(canvas: Canvas, model: Model, menu: Menu) -> None:
    waiting = "… loading" if not model.gone else model.gone
    entries = [texts.clean(_entry(menu, *item)) for item in menu.items] or [texts.clean(waiting)]
    title = texts.clean(menu.title)
    widest = max(map(texts.width, (title, *entries, *texts.wrap(menu.about, WIDEST))))
    width = min(canvas.width, WIDEST, max(24, widest + 8))
    about = _about(menu.about, max(1, width - 4), canvas.height - 4 - min(len(entries), 4))
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
    top = min(max(0, menu.index - rows // 2), len(entries) - rows)
    for row in range(rows):
        number = top + row
        role = SELECTED if menu.items and number == menu.index else PLAIN
        canvas.fill(y + 1 + row, x + 1, width - 2, role=role)
        digit = f"{number + 1}" if menu.items and number < 9 else " "
        line = (Span(f"{digit}  ", DIM), Span(entries[number]))
        canvas.put_line(y + 1 + row, x + 2, line, width - 4, role if role == SELECTED else None)


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
        lines = [*lines[: rows - 2], (Span(f"… {more} more lines: Esc, and Enter opens it", WARN),)]
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


def _help(canvas: Canvas, shown: Help) -> None:
    lines = keys.help_lines()
    column = min(20, canvas.width // 2)
    width = min(canvas.width, 76)
    rows = canvas.height - 4
    if rows < 1:
        return
    x = (canvas.width - width) // 2
    canvas.frame(1, x, width, rows + 2, ACCENT)
    canvas.put(1, x + 2, " Keys ", STRONG, width - 4)
    top = min(shown.top, max(0, len(lines) - rows))
    for row, (pressed, text) in enumerate(lines[top : top + rows]):
        if pressed:
            canvas.put(2 + row, x + 2, pressed, ACCENT, column)
            canvas.put(2 + row, x + 3 + column, text, PLAIN, width - column - 5)
        else:
            canvas.put(2 + row, x + 2, text, STRONG, width - 4)
    if len(lines) > rows:
        place = f" {top + 1}-{min(len(lines), top + rows)} of {len(lines)} "
        canvas.put(2 + rows, max(0, x + width - len(place) - 2), place, DIM)
