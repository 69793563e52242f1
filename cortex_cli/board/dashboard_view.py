"""The dashboard on the screen."""

from cortex_cli.board import dashboard_lines
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import ACCENT, DIM, SELECTED, STRONG, WARN, Canvas, Line, Span
from cortex_cli.board.model import Dashboard, Model


def title(model: Model, shown: Dashboard) -> Line:
    """What it is, and from when, unless it is live."""
    spans: list[Span] = [Span("cortex ", DIM), Span("dashboard", STRONG)]
    if shown.body is not None:
        count = len(dashboard_lines.items(shown.body, "projects"))
        spans.append(Span(f"  {count} project{'' if count == 1 else 's'}", DIM))
    link = shown.connection
    if shown.body is not None and link.phase != "live" and link.as_of is not None:
        spans.append(Span(f"  as of {texts.age(max(1.0, model.now - link.as_of))} ago", WARN))
    return tuple(spans)


def draw(canvas: Canvas, model: Model, shown: Dashboard) -> None:
    """Between the header and the hints; the selected entry is always on the screen."""
    rows, cells = canvas.height - 2, canvas.width - 2
    if shown.body is None or rows < 1:
        return
    lines = dashboard_lines.rows(shown.body, model.now, max(1, cells))
    names = [row.entry for row in lines]
    entries = dashboard_lines.entries(shown.body)
    first = entries[0].name if entries else ""
    selected = shown.selected if shown.selected in names else first
    at = names.index(selected) if selected in names else 0
    top = min(max(0, at - rows // 2), max(0, len(lines) - rows))
    for offset, row in enumerate(lines[top : top + rows]):
        chosen = bool(row.entry) and row.entry == selected
        if chosen:
            canvas.fill(1 + offset, 0, canvas.width, role=SELECTED)
        canvas.put_line(1 + offset, 1, row.line, cells, SELECTED if chosen else None)
    if len(lines) > rows:
        place = f" {top + 1}-{min(len(lines), top + rows)} of {len(lines)} "
        canvas.put(rows, max(0, canvas.width - len(place) - 1), place, ACCENT)


def one_line(model: Model, shown: Dashboard) -> str:
    """For a screen too small for anything."""
    return dashboard_lines.totals(shown.body) if shown.body else "dashboard"
