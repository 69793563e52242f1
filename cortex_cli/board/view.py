"""`view(model, width, height) -> rows`: the whole screen. Pure; any text, any size, from 1x1."""

from dataclasses import replace

from cortex_cli.board import cards, connection, document, doing, keys, layout, overlays
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import (
    ACCENT,
    BAD,
    DIM,
    INFO,
    PLAIN,
    SELECTED,
    STRONG,
    WARN,
    Canvas,
    Line,
    Row,
    Span,
    line_width,
)
from cortex_cli.board.model import DIFF, LOG, Detail, Model, Prompt, Shown
from cortex_cli.board.selection import settle

AFTER_HELP = ("help", "back", "quit", "cancel")  # hints; the others leave room for the help's
HELP_CELLS = 8
EMPTY_BOARD = (
    "No tickets yet.",
    "n makes one here;",
    "cortex ticket import FILE brings many.",
)


def view(model: Model, width: int, height: int) -> tuple[Row, ...]:
    """The screen as `height` rows of spans, each exactly `width` cells wide."""
    if (model.width, model.height) != (width, height):
        model = settle(model, replace(model, width=width, height=height))
    canvas = Canvas(width, height, model.ascii_only)
    if layout.shape(model) == "line":
        _one_line(canvas, model)
        return canvas.rows()
    _header(canvas, model)
    if model.dashboard:
        from cortex_cli.board import dashboard_view  # the board can do without

        if model.dashboard.body is None:
            _notice(canvas, _waiting(model))
        dashboard_view.draw(canvas, model, model.dashboard)
    elif model.detail:
        _detail(canvas, model, model.detail)
    else:
        _board(canvas, model)
    _footer(canvas, model)
    overlays.draw(canvas, model)
    return canvas.rows()


# --- header and footer


def _header(canvas: Canvas, model: Model) -> None:
    """What is shown on the left; on the right, always, whether it is true."""
    text, role = connection.status(model)
    status = texts.clip(texts.clean(text), max(1, canvas.width - 1))
    x = max(0, canvas.width - texts.width(status) - 1)
    canvas.put_line(0, 1, _title(model), x - 2)
    canvas.put(0, x, status, role)


def _title(model: Model) -> Line:
    if model.dashboard:
        from cortex_cli.board import dashboard_view

        return dashboard_view.title(model, model.dashboard)
    spans: list[Span] = []
    if layout.shape(model) == "list" and model.columns and model.detail is None:
        spans += [*_column_title(model, layout.focus_index(model), place=True), Span("  ")]
    spans += [
        Span("cortex ", DIM),
        Span(model.board.project.key if model.board else model.project, STRONG),
    ]
    if model.board:
        name = model.board.project.name
        spans += [Span(f"  {name}", DIM)] if name != model.board.project.key else []
        total = len(model.board.tickets)
        spans.append(Span(f"  {total} ticket{'' if total == 1 else 's'}", DIM))
        spans += [Span(f"  {text}", INFO) for text in doing.batches(model.board)]
    if model.needs_me:
        spans.append(Span("  needs me", WARN))
    if model.filter:
        spans.append(Span(f"  /{model.filter}", WARN))
    return tuple(spans)


def _footer(canvas: Canvas, model: Model) -> None:
    """A prompt, else the newest toast, else the keys that are worth knowing here."""
    y = canvas.height - 1
    if isinstance(model.overlay, Prompt):
        _prompt(canvas, y, model.overlay)
        return
    if model.toasts:
        toast = model.toasts[-1]
        more = f" (+{len(model.toasts) - 1})" if len(model.toasts) > 1 else ""
        glyph, role = ("✗", BAD) if toast.bad else ("✓", ACCENT)
        canvas.put_line(
            y,
            1,
            (
                Span(f"{glyph} ", role),
                Span(toast.text, role if toast.bad else PLAIN),
                Span(more, DIM),
            ),
        )
        return
    x = 1
    for key, word in keys.hints(model):
        needed = texts.width(key) + 1 + texts.width(word)
        kept = 0 if word in AFTER_HELP else HELP_CELLS  # how to find the others comes before them
        if x + needed + kept > canvas.width:
            continue
        x = canvas.put_line(y, x, (Span(key, ACCENT), Span(f" {word}", DIM))) + 2


def _prompt(canvas: Canvas, y: int, prompt: Prompt) -> None:
    """The line that is being typed; it scrolls sideways so that the cursor is always on it."""
    x = canvas.put_line(y, 1, (Span(prompt.label, ACCENT), Span(": ", DIM)), canvas.width * 2 // 3)
    room = max(1, canvas.width - x - 1)
    before = texts.clean(prompt.text[: prompt.cursor])
    while texts.width(before) > room - 2 and before:
        before = before[1:]
    under = texts.clean(prompt.text[prompt.cursor : prompt.cursor + 1]) or " "
    x = canvas.put(y, x, before)
    x = canvas.put(y, x, under, SELECTED)
    canvas.put(y, x, prompt.text[prompt.cursor + 1 :])


def _one_line(canvas: Canvas, model: Model) -> None:
    """A screen too small for anything: the connection's glyph and the ticket, from the top."""
    text, role = connection.status(model)
    spans: list[Span] = [Span(text[:1], role), Span(" ")]
    ticket = model.ticket
    if model.dashboard:
        from cortex_cli.board import dashboard_view

        spans.append(Span(dashboard_view.one_line(model, model.dashboard)))
    elif isinstance(model.overlay, Prompt):
        spans = [Span(f"{model.overlay.text[-max(1, canvas.width - 1) :]}"), Span(" ", SELECTED)]
    elif ticket:
        spans += cards.one_line(model, ticket)
    else:
        spans.append(
            Span(text if canvas.height == 1 or not model.board else model.board.project.key)
        )
    canvas.put_line(0, 0, tuple(spans))
    if canvas.height > 1:
        canvas.put(1, 0, text, role)


# --- the board


def _column_title(model: Model, index: int, place: bool = False) -> Line:
    shown = model.columns[index]
    focused = shown.column.name == model.focus
    prefix = (Span(f"{index + 1}/{len(model.columns)} ", DIM),) if place else ()
    return (
        *prefix,
        Span(shown.column.title, STRONG if focused else PLAIN),
        Span(" "),
        cards.count(shown),
    )


def _board(canvas: Canvas, model: Model) -> None:
    if model.board is None or not model.columns:
        _notice(canvas, _waiting(model))
        return
    if layout.shape(model) == "some":
        _strip(canvas, model)
    for pane in layout.panes(model):
        _pane(canvas, model, pane)
    if not model.board.tickets:
        _notice(canvas, EMPTY_BOARD)
    elif (model.filter or model.needs_me) and not any(shown.tickets for shown in model.columns):
        _notice(canvas, ("Nothing matches.", "Esc shows all cards."))


def _waiting(model: Model) -> tuple[str, ...]:
    link = model.dashboard.connection if model.dashboard else model.connection
    if model.dashboard is None and model.gone:
        return (model.gone, "r tries again, p switches the project, q quits.")
    if link.phase in ("lost", "over"):
        return ("The server cannot be reached.", link.why, "r tries again now, q quits.")
    if not model.project and model.dashboard is None:
        return ("Which project?", "p shows them, q quits.")
    return (f"Connecting{f' to {model.url}' if model.url else ''} …",)


def _notice(canvas: Canvas, lines: tuple[str, ...]) -> None:
    """A few centered lines in the middle of the body."""
    wrapped = [
        part for line in lines if line for part in texts.wrap(line, max(1, canvas.width - 4))
    ]
    first = max(1, (canvas.height - len(wrapped)) // 2)
    for number, line in enumerate(wrapped):
        if first + number < canvas.height - 1:
            x = max(0, (canvas.width - texts.width(line)) // 2)
            canvas.put(first + number, x, line, STRONG if number == 0 else DIM)


def _strip(canvas: Canvas, model: Model) -> None:
    """All columns and their counts in one row, those that are off the screen dimmed."""
    visible = {pane.index for pane in layout.panes(model)}
    x = 1
    for index, shown in enumerate(model.columns):
        if index:
            x = canvas.put(1, x, " · ", DIM)
        role = None if index in visible else DIM
        count = cards.count(shown)
        x = canvas.put(1, x, f"{shown.column.title} ", PLAIN if role is None else role)
        x = canvas.put(1, x, count.text, count.role or (role or PLAIN))


def _pane(canvas: Canvas, model: Model, pane: layout.Pane) -> None:
    """A column in its box: title and count in the upper edge, the place in the lower one."""
    shown = model.columns[pane.index]
    first, rows = layout.body(model)
    if layout.shape(model) == "list":
        _list(canvas, model, shown, first, rows)
        return
    focused = shown.column.name == model.focus
    role = ACCENT if focused else DIM
    canvas.frame(first - 1, pane.x, pane.width, rows + 2, role)
    title = _column_title(model, pane.index, place=layout.shape(model) == "single")
    end = canvas.put_line(first - 1, pane.x + 2, (Span(" "), *title, Span(" ")), pane.width - 4)
    canvas.put(first - 1, end, "", role)
    top = model.tops.get(shown.column.name, 0)
    number = _cards(canvas, model, pane, top)
    hidden = len(shown.tickets) - number
    if top or hidden > 0:
        more = f" {top + 1}-{number} of {len(shown.tickets)} "
        canvas.put(
            first + rows,
            max(pane.x + 1, pane.x + pane.width - len(more) - 2),
            more,
            DIM,
            pane.width - 2,
        )


def _cards(canvas: Canvas, model: Model, pane: layout.Pane, top: int) -> int:
    """Draw cards from `top` on. Returns the number of the first that is not wholly visible."""
    shown = model.columns[pane.index]
    first, rows = layout.body(model)
    y, cells = first, layout.text_cells(model, pane)
    for number in range(top, len(shown.tickets)):
        ticket = shown.tickets[number]
        lines = cards.card(model, ticket, cells)
        selected = ticket.id == model.selected and shown.column.name == model.focus
        for offset, line in enumerate(lines):
            if y + offset >= first + rows:
                return number
            if selected:
                canvas.fill(y + offset, pane.x + 1, pane.width - 2, role=SELECTED)
            canvas.put_line(y + offset, pane.x + 2, line, cells, SELECTED if selected else None)
        y += len(lines)
    return len(shown.tickets)


def _list(canvas: Canvas, model: Model, shown: Shown, first: int, rows: int) -> None:
    top = model.tops.get(shown.column.name, 0)
    for row, ticket in enumerate(shown.tickets[top : top + rows]):
        selected = ticket.id == model.selected
        if selected:
            canvas.fill(first + row, 0, canvas.width, role=SELECTED)
        canvas.put_line(
            first + row, 1, cards.one_line(model, ticket), None, SELECTED if selected else None
        )


# --- the open ticket


def _detail(canvas: Canvas, model: Model, detail: Detail) -> None:
    first, rows, cells = document.body(model)
    shown = document.window(model, detail)
    x = 0
    if layout.shape(model) != "list":
        _tabs(canvas, detail)
        canvas.frame(first - 1, 0, canvas.width, rows + 2, ACCENT)
        title = (Span(f" {detail.ticket.key} ", STRONG), Span(f"{detail.ticket.title} "))
        canvas.put_line(first - 1, 2, title, canvas.width - 4)
        x = 2
    for row, line in enumerate(shown.lines[shown.top : shown.top + rows]):
        canvas.put_line(first + row, x, line, cells)
    _place(canvas, shown, first + rows if x else first + rows - 1)


def _tabs(canvas: Canvas, detail: Detail) -> None:
    """The ticket and its sessions; as many as fit, around the open one."""
    tabs: list[tuple[str, Line]] = [("", (Span("Ticket"),))]
    if detail.attempts:
        tabs += [(LOG, (Span("Log"),)), (DIFF, (Span("Diff"),))]
    for session, depth in document.tree(detail):
        state = doing.session_state(session)
        branch = (Span("└ ", DIM),) if depth else ()
        title = texts.clip(texts.clean(session.title), 24)
        tabs.append((session.id, (*branch, Span(f"{state.text} ", state.role), Span(title))))
    at = next((i for i, (name, _) in enumerate(tabs) if name == detail.tab), 0)
    first = at
    used = line_width(tabs[at][1])
    while first > 0 and used + 3 + line_width(tabs[first - 1][1]) < canvas.width - 6:
        first -= 1
        used += 3 + line_width(tabs[first][1])
    x = canvas.put(1, 1, "‹ " if first else "", DIM)
    for index, (_, line) in enumerate(tabs[first:], first):
        if x >= canvas.width - 3:
            canvas.put(1, canvas.width - 2, "›", DIM)
            break
        role = SELECTED if index == at else None
        x = canvas.put_line(1, x, (Span(" "), *line, Span(" ")), canvas.width - 3 - x, role)
        x = canvas.put(1, x, "│", DIM) if index < len(tabs) - 1 else x


def _place(canvas: Canvas, shown: document.Window, y: int) -> None:
    """Where the reader is, in the lower edge: what came below is said."""
    if shown.new:
        text, role = f" ↓ {shown.new} new ", WARN
    elif shown.follows and shown.last_top:
        text, role = " following ", DIM
    elif shown.last_top:
        text, role = f" {100 * shown.top // shown.last_top} % ", DIM
    else:
        return
    canvas.put(y, max(0, canvas.width - len(text) - 2), text, role)
