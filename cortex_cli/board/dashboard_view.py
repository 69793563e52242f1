"""The dashboard on the screen."""

from cortex_cli.board import board_view, dashboard_lines, layout
from cortex_cli.board.canvas import ACCENT, DIM, SELECTED, STRONG, Canvas, Line, Span
from cortex_cli.board.model import Dashboard, Model


def title(model: Model, shown: Dashboard) -> Line:
    """What it is, which of its lines are shown where there are more, and of how many projects."""
    spans: list[Span] = [*board_view.brand(model), Span("dashboard", STRONG)]
    place = _place(model, shown)
    if shown.body is not None:
        if place and model.width >= layout.SINGLE_WIDTH:
            spans.append(Span(f"  {place}", ACCENT))
        count = len(dashboard_lines.items(shown.body, "projects"))
        spans.append(Span(f"  {count} project{'' if count == 1 else 's'}", DIM))
    return tuple(spans)


def draw(canvas: Canvas, model: Model, shown: Dashboard) -> None:
    """Between the header and the hints; the selected entry is always on the screen."""
    rows, cells = canvas.height - 2, canvas.width - 2
    if shown.body is None or rows < 1:
        return
    lines, selected, top = _window(model, shown, rows, cells)
    # in the header, where there is room
    place = _place(model, shown) if canvas.width < layout.SINGLE_WIDTH else ""
    for offset, row in enumerate(lines[top : top + rows]):
        chosen = bool(row.entry) and row.entry == selected
        if chosen:
            canvas.fill(1 + offset, 0, canvas.width, role=SELECTED)
        last = place if offset == rows - 1 else ""
        room = cells - (len(last) + 1 if last else 0)
        canvas.put_line(1 + offset, 1, row.line, room, SELECTED if chosen else None)
        canvas.put(1 + offset, canvas.width - 1 - len(last), last, ACCENT)


def _place(model: Model, shown: Dashboard) -> str:
    """Which lines are on the screen, "" where all are."""
    rows = model.height - 2
    lines, _, top = _window(model, shown, rows, model.width - 2)
    return layout.place(top, len(lines), rows) if rows > 0 else ""


def _window(
    model: Model, shown: Dashboard, rows: int, cells: int
) -> tuple[tuple[dashboard_lines.Row, ...], str, int]:
    """(all lines, the selected entry, the first line on the screen)."""
    body = shown.body or {}
    lines = dashboard_lines.rows(body, model.now, max(1, cells))
    names = [row.entry for row in lines]
    entries = dashboard_lines.entries(body)
    first = entries[0].name if entries else ""
    selected = shown.selected if shown.selected in names else first
    at = names.index(selected) if selected in names else 0
    return lines, selected, layout.centred(at, len(lines), rows)


def at(model: Model, y: int) -> str:
    """The entry in a row of the screen, "" where there is none."""
    rows, shown = model.height - 2, model.dashboard
    if shown is None or shown.body is None or not 1 <= y <= rows:
        return ""
    lines, _, top = _window(model, shown, rows, model.width - 2)
    return lines[top + y - 1].entry if top + y - 1 < len(lines) else ""


def one_line(model: Model, shown: Dashboard) -> str:
    """For a screen too small for anything."""
    return dashboard_lines.totals(shown.body) if shown.body else "dashboard"
