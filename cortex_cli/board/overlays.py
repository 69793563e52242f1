"""What opens over the board: menus and the help."""

from cortex_cli.board import keys
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import ACCENT, DIM, PLAIN, SELECTED, STRONG, Canvas, Span
from cortex_cli.board.model import Help, Menu, Model


def draw(canvas: Canvas, model: Model) -> None:
    """Draw the open overlay, if there is one."""
    if isinstance(model.overlay, Menu):
        _menu(canvas, model, model.overlay)
    elif isinstance(model.overlay, Help):
        _help(canvas, model.overlay)


def _menu(canvas: Canvas, model: Model, menu: Menu) -> None:
    waiting = "… loading" if not model.gone else model.gone
    entries = [texts.clean(text) for _, text in menu.items] or [texts.clean(waiting)]
    title = texts.clean(menu.title)
    width = min(
        canvas.width,
        max(24, texts.width(title) + 6, *(texts.width(entry) + 8 for entry in entries)),
    )
    rows = min(len(entries), canvas.height - 4)
    if rows < 1:
        return
    y, x = max(1, (canvas.height - rows - 2) // 2), (canvas.width - width) // 2
    canvas.frame(y, x, width, rows + 2, ACCENT)
    canvas.put(y, x + 2, f" {title} ", STRONG, width - 4)
    top = min(max(0, menu.index - rows // 2), len(entries) - rows)
    for row in range(rows):
        number = top + row
        role = SELECTED if menu.items and number == menu.index else PLAIN
        canvas.fill(y + 1 + row, x + 1, width - 2, role=role)
        digit = f"{number + 1}" if menu.items and number < 9 else " "
        line = (Span(f"{digit}  ", DIM), Span(entries[number]))
        canvas.put_line(y + 1 + row, x + 2, line, width - 4, role if role == SELECTED else None)


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
