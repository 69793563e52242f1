"""The open ticket on the screen: its tabs, the part that is read, and where that is."""

from cortex_cli.board import document, doing, layout
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import (
    ACCENT,
    DIM,
    INFO,
    SELECTED,
    STRONG,
    WARN,
    Canvas,
    Line,
    Span,
    line_width,
)
from cortex_cli.board.model import DIFF, LOG, Detail, Model


def draw(canvas: Canvas, model: Model, detail: Detail) -> None:
    first, rows, cells = document.body(model)
    shown = document.window(model, detail)
    x = 0
    if layout.shape(model) != "list":
        _tabs(canvas, model, detail)
        canvas.frame(first - 1, 0, canvas.width, rows + 2, ACCENT)
        title = (Span(f" {detail.ticket.key} ", STRONG), Span(f"{detail.ticket.title} "))
        canvas.put_line(first - 1, 2, title, canvas.width - 4)
        x = 2
    for row, line in enumerate(shown.lines):
        canvas.put_line(first + row, x, line, cells)
    _place(canvas, shown, first + rows if x else first + rows - 1)


def title(model: Model, detail: Detail) -> Line:
    """Which ticket and which tab, for a screen without room for a row of them."""
    tab = next((line for name, line in _titles(model, detail) if name == detail.tab and name), ())
    return (Span(detail.ticket.key, STRONG), *((Span("  "), *tab) if tab else ()))


def _tabs(canvas: Canvas, model: Model, detail: Detail) -> None:
    """The ticket and its sessions; as many as fit, around the open one."""
    tabs = _titles(model, detail)
    at = next((i for i, (name, _) in enumerate(tabs) if name == detail.tab), 0)
    first = at
    used = line_width(tabs[at][1])
    while first > 0 and used + 3 + line_width(tabs[first - 1][1]) < canvas.width - 6:
        first -= 1
        used += 3 + line_width(tabs[first][1])
    x = canvas.put(1, 1, "‹ " if first else "", DIM)
    for index, (_, line) in enumerate(tabs[first:], first):
        if x >= canvas.width - 3:
            cut = tabs[max(at + 1, index - 1) :]  # the last one that is shown, too
            news = " new " if any(name in detail.unseen for name, _ in cut) else ""
            canvas.put(1, canvas.width - 2 - len(news), f"{news}›", INFO if news else DIM)
            break
        role = SELECTED if index == at else None
        x = canvas.put_line(1, x, (Span(" "), *line, Span(" ")), canvas.width - 3 - x, role)
        x = canvas.put(1, x, "│", DIM) if index < len(tabs) - 1 else x


def _titles(model: Model, detail: Detail) -> list[tuple[str, Line]]:
    tabs: list[tuple[str, Line]] = [("", (Span("Ticket"),))]
    shown = doing.shown_attempt(model, detail)
    if shown is not None and detail.attempts:
        numbers = sorted(attempt.number for attempt in detail.attempts.values())
        of = ""
        if len(numbers) > 1 and shown.number in numbers:  # what was just begun may be no part yet
            of = f" · attempt {numbers.index(shown.number) + 1}/{len(numbers)}"
        tabs += [
            (LOG, (Span(f"Log{of if detail.tab == LOG else ''}"),)),
            (DIFF, (Span(f"Diff{of if detail.tab == DIFF else ''}"),)),
        ]
    asking = {asked.session for asked in doing.open_questions(model, detail.ticket)}
    for session, depth in document.tree(detail):
        state = doing.session_state(session)
        branch = (Span("└ ", DIM),) if depth else ()
        title = texts.clip(texts.clean(session.title), 24)
        news: Line = (Span(" new", INFO),) if session.id in detail.unseen else ()
        if session.id in asking:
            news = (*news, Span(" ◆ answer", WARN))
        tabs.append((session.id, (*branch, Span(f"{state.text} ", state.role), Span(title), *news)))
    return tabs


def _place(canvas: Canvas, shown: document.Window, y: int) -> None:
    """Where the reader is, in the lower edge: what came below is said first of all."""
    said: list[Span] = []
    if shown.found:
        said.append(Span(f" {shown.found} ", WARN if "no hit" in shown.found else ACCENT))
    if shown.place:
        said.append(Span(f" {shown.place} ", DIM))
    if shown.new:
        said.append(Span(f" ↓ {shown.new} new ", WARN))
    elif shown.share is not None:
        said.append(Span(" following " if shown.follows else f" {shown.share} % ", DIM))
    while said and line_width(tuple(said)) > canvas.width - 2:
        del said[len(said) // 2 if len(said) > 2 else -1]
    canvas.put_line(y, max(0, canvas.width - line_width(tuple(said)) - 2), tuple(said))
