"""`view(model, width, height) -> rows`: the whole screen. Pure; any text, any size, from 1x1."""

from dataclasses import replace

from cortex_cli.board import (
    board_view,
    cards,
    detail_view,
    doing,
    keymap,
    layout,
    overlays,
)
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
from cortex_cli.board.model import Model, Palette, Prompt
from cortex_cli.board.panes import Events, Needs
from cortex_cli.board.selection import settle
from cortex_cli.board.status import status as connection_status
from cortex_cli.board.wire import Board

AFTER_HELP = ("help", "back", "quit", "cancel")  # hints; the others leave room for the help's
HELP_CELLS = 8
FILTER_CELLS = 24  # of a filter, in the header


def view(model: Model, width: int, height: int) -> tuple[Row, ...]:
    """The screen as `height` rows of spans, each exactly `width` cells wide."""
    if (model.width, model.height) != (width, height):
        model = settle(model, replace(model, width=width, height=height))
    canvas = Canvas(width, height, model.ascii_only)
    if layout.shape(model) == "line":
        _one_line(canvas, model)
        return canvas.rows()
    _header(canvas, model)
    if model.screen in ("needs", "events"):
        _pane(canvas, model)
    elif model.dashboard:
        from cortex_cli.board import dashboard_view  # the board can do without

        if model.dashboard.body is None:
            board_view.notice(canvas, board_view.waiting(model))
        dashboard_view.draw(canvas, model, model.dashboard)
    elif model.detail:
        detail_view.draw(canvas, model, model.detail)
    else:
        board_view.draw(canvas, model)
    _footer(canvas, model)
    overlays.draw(canvas, model)
    return canvas.rows()


def _pane(canvas: Canvas, model: Model) -> None:
    """What opened over the board as a screen of its own."""
    from cortex_cli.board import events_view, needs_view  # the board can do without

    if isinstance(model.pane, Needs):
        needs_view.draw(canvas, model, model.pane)
    elif model.pane is not None:
        events_view.draw(canvas, model, model.pane)


# --- header and footer


def _header(canvas: Canvas, model: Model) -> None:
    """What is shown on the left; on the right, always, whether it is true."""
    text, role = connection_status(model)
    status = texts.clip(texts.clean(text), max(1, canvas.width - 1))
    x = max(0, canvas.width - texts.width(status) - 1)
    canvas.put_line(0, 1, _title(model, x - 2), x - 2)
    canvas.put(0, x, status, role)


def _title(model: Model, cells: int) -> Line:
    if model.screen == "needs":
        from cortex_cli.board import needs_view

        return needs_view.title(model)
    if isinstance(model.pane, Events) and model.screen == "events":
        from cortex_cli.board import events_view

        return (*events_view.title(model, model.pane), *_waiting(model))
    if model.dashboard:
        from cortex_cli.board import dashboard_view

        title = dashboard_view.title(model, model.dashboard)
        first = len(board_view.brand(model)) + 1
        return (*title[:first], *_waiting(model), *title[first:])
    key = model.board.project.key if model.board else model.project
    named: Line = (*board_view.brand(model), Span(key, STRONG)) if key else (Span("cortex", DIM),)
    rest = (*_waiting(model), *_chosen(model))
    spans = [*named, *rest]
    if layout.shape(model) == "list" and model.detail:
        spans = [*detail_view.title(model, model.detail), *rest, Span("  "), *named]
    elif layout.shape(model) == "list" and model.columns:
        column = board_view.column_title(model, layout.focus_index(model), place=True)
        spans = [*column, *rest, Span("  "), *named]
    room = cells - line_width(tuple(spans))
    for span in _about(model.board) if model.board else ():
        room -= texts.width(span.text)
        if room < 0:
            break
        spans.append(span)
    return tuple(spans)


def _about(board: Board) -> Line:
    """What a screen that has no room for it can do without; the first matters most."""
    total = len(board.tickets)
    name = texts.clean(board.project.name)
    return (
        *(Span(f"  {texts.clean(text)}", INFO) for text in doing.batches(board)),
        *((Span(f"  {name}", DIM),) if name != board.project.key else ()),
        Span(f"  {total} ticket{'' if total == 1 else 's'}", DIM),
    )


def _chosen(model: Model) -> Line:
    """What is shown and what verbs act on: before what a narrow screen can do without."""
    spans: list[Span] = []
    if model.cached:
        spans.append(Span("  from last time", WARN))
    if model.marked:
        spans.append(Span(f"  ◉ {len(model.marked)} marked{_unseen(model)}", WARN))
    if model.needs_me:
        spans.append(Span("  needs me", WARN))
    if model.filter:
        spans.append(Span(f"  /{texts.clip(texts.clean(model.filter), FILTER_CELLS)}", WARN))
    if model.sort != "rank":
        from cortex_cli.board.sorting import SORTS

        spans.append(Span(f"  {SORTS[model.sort].word}", INFO))
    return tuple(spans)


def _unseen(model: Model) -> str:
    """That the filter hides some of what verbs act on."""
    shown = sum(t.id in model.marked for column in model.columns for t in column.tickets)
    hidden = len(model.marked) - shown
    return f", {hidden} hidden" if hidden > 0 else ""


def _footer(canvas: Canvas, model: Model) -> None:
    """A prompt, else the newest toast, else the keys that are worth knowing here."""
    y = canvas.height - 1
    if isinstance(model.overlay, Prompt) and not isinstance(model.overlay, Palette):
        x = _prompt(canvas, y, model.overlay)
        named = [_hint(key, word) for key, word in keymap.hints(model)]
        first = canvas.width + 1 - sum(line_width(line) + 2 for line in named)
        for line in named if first > x + 2 else ():
            first = canvas.put_line(y, first, line) + 2
        return
    if model.toasts:
        toast = model.toasts[-1]
        more = f" (+{len(model.toasts) - 1})" if len(model.toasts) > 1 else ""
        glyph, role = ("✗", BAD) if toast.bad else ("✓", ACCENT)
        if toast.refusal:
            glyph, role = "–", WARN
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
    for key, word in keymap.hints(model):
        needed = texts.width(key) + 1 + texts.width(word)
        kept = 0 if word in AFTER_HELP else HELP_CELLS  # how to find the others comes before them
        if x + needed + kept > canvas.width:
            continue
        x = canvas.put_line(y, x, _hint(key, word)) + 2


def _hint(key: str, word: str) -> Line:
    return Span(key, ACCENT), Span(f" {word}", DIM)


def _prompt(canvas: Canvas, y: int, prompt: Prompt) -> int:
    """The line that is being typed; it scrolls sideways so that the cursor is always on it.

    Returns the column after it.
    """
    typed = min(texts.width(texts.clean(prompt.text[: canvas.width])) + 2, canvas.width // 2)
    label = texts.clip(texts.clean(prompt.label), max(1, canvas.width - typed - 4))
    x = canvas.put_line(y, 1, (Span(label, ACCENT), Span(": ", DIM)))
    room = max(1, canvas.width - x - 1)
    return canvas.put_line(y, x, overlays.typed(prompt, room))


def _waiting(model: Model) -> Line:
    """How many wait for a person, where somebody does."""
    board = model.board
    if model.dashboard is None and not (
        board and (board.permissions or board.reviews or board.attempts or board.sessions)
    ):
        return ()
    from cortex_cli.board import needs_view  # a board where nobody works can do without

    return needs_view.count(model)


def _one_line(canvas: Canvas, model: Model) -> None:
    """A screen too small for anything: the connection's glyph and the ticket, from the top."""
    text, role = connection_status(model)
    spans: list[Span] = [Span(text[:1], role), Span(" ")]
    ticket = model.ticket
    if not isinstance(model.overlay, Prompt) and (waiting := _waiting(model)):
        glyph, total = waiting[0].text.split()[:2]
        spans = [Span(text[:1], role), Span(f" {glyph}{total} ", WARN)]
    if isinstance(model.overlay, Palette):
        from cortex_cli.board import palette_view

        spans = list(palette_view.one_line(model, model.overlay, canvas.width))
    elif model.screen == "events":
        from cortex_cli.board import events_view

        spans.append(Span(events_view.one_line(model)))
    elif model.dashboard:
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
        bad = [toast.text for toast in model.toasts if toast.bad]
        canvas.put(1, 0, *((bad[-1], BAD) if bad else (text, role)))
