"""What tickets, sessions and columns look like, as spans: a glyph and a word, always both."""

from functools import lru_cache

from cortex_cli.board import doing
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import BAD, DIM, INFO, OVER, PLAIN, STRONG, WARN, Line, Span
from cortex_cli.board.model import Model, Shown
from cortex_cli.board.wire import Ticket

PRIORITIES = {
    "urgent": ("⇑", BAD),
    "high": ("↑", WARN),
    "medium": ("→", PLAIN),
    "low": ("↓", DIM),
}
TITLE_LINES = 2


def priority(name: str) -> Span | None:
    """A priority as glyph and word; None for none."""
    if name in PRIORITIES:
        glyph, role = PRIORITIES[name]
        return Span(f"{glyph} {name}", role)
    return Span(name, PLAIN) if name not in ("none", "") else None


@lru_cache(maxsize=8192)
def title_lines(title: str, cells: int) -> tuple[str, ...]:
    """A title in at most two lines, the last one cut."""
    lines = texts.wrap(title, cells)
    if len(lines) > TITLE_LINES:
        last = texts.clip(texts.clean(" ".join(lines[TITLE_LINES - 1 :])), cells)
        lines = [*lines[: TITLE_LINES - 1], last]
    return tuple(lines)


def tags(model: Model, ticket: Ticket) -> Line:
    """Review, priority, labels and assignee; empty when there are none."""
    spans: list[Span] = []
    if doing.open_reviews(model, ticket):
        spans.append(Span("◇ review", WARN))
    shown = priority(ticket.priority)
    if shown:
        spans.append(shown)
    spans.extend(Span(f"#{label}", INFO) for label in ticket.labels)
    if ticket.assignee:
        spans.append(Span(f"@{ticket.assignee}", DIM))
    return tuple(span for pair in spans for span in (pair, Span(" ")))[:-1]


def height(model: Model, ticket: Ticket, cells: int) -> int:
    """Rows of a card whose text is `cells` wide, counted without building it."""
    reviewed = bool(doing.open_reviews(model, ticket))
    tagged = reviewed or ticket.labels or ticket.assignee or ticket.priority not in ("none", "")
    extra = (1 if doing.is_worked_on(model, ticket) else 0) + (1 if tagged else 0)
    return 1 + len(title_lines(ticket.title, cells)) + extra


def card(model: Model, ticket: Ticket, cells: int) -> tuple[Line, ...]:
    """The lines of a card: key and state, title, who works on it, tags."""
    at_work = doing.of_ticket(model, ticket)
    lines: list[Line] = [top_line(model, ticket, cells, at_work)]
    lines.extend((Span(line),) for line in title_lines(ticket.title, cells))
    if at_work:
        lines.append(doing.line(model, at_work[0], cells))
    tagged = tags(model, ticket)
    if tagged:
        lines.append(tagged)
    return tuple(lines)


def mark(model: Model, ticket: Ticket, at_work: tuple[doing.Doing, ...]) -> Span | None:
    """What a card says about itself: put back, being saved, or who at work on it matters most."""
    if model.flashes and model.flashes.get(ticket.id, 0.0) > model.now:
        return Span("✗ put back", BAD)
    if model.pending and any(move.ticket_id == ticket.id for move in model.pending):
        return Span("… saving", DIM)
    if not ticket.revision or (model.works and _is_changed(model, ticket)):
        return Span("… saving", DIM)
    if not at_work:
        return None
    shown, others = at_work[0].state, sum(not other.over for other in at_work[1:])
    return Span(f"{shown.text} +{others}", shown.role) if others else shown


def _is_changed(model: Model, ticket: Ticket) -> bool:
    return any(row.ticket_id == ticket.id for work in model.works for row in work.rows)


def _key(model: Model, ticket: Ticket) -> str:
    """The key of a card, with its mark; of one that is being made there is none yet."""
    key = texts.clean(ticket.key) if ticket.revision else "new"
    return f"◉ {key}" if ticket.id in model.marked else key


def top_line(model: Model, ticket: Ticket, cells: int, at_work: tuple[doing.Doing, ...]) -> Line:
    """The key on the left, the mark on the right."""
    key = _key(model, ticket)
    shown = mark(model, ticket, at_work)
    if shown is None:
        return (Span(key, STRONG),)
    key = texts.clip(key, max(0, cells - texts.width(shown.text) - 1))
    space = cells - texts.width(key) - texts.width(shown.text)
    return (Span(key, STRONG), Span(" " * max(0, space)), shown)


def one_line(model: Model, ticket: Ticket) -> Line:
    """A ticket in a list."""
    spans = [Span(_key(model, ticket), STRONG), Span(" ")]
    shown = mark(model, ticket, doing.of_ticket(model, ticket))
    if shown:
        spans += [shown, Span(" ")]
    spans.append(Span(ticket.title))
    tagged = tags(model, ticket)
    return (*spans, *((Span("  "), *tagged) if tagged else ()))


def count(shown: Shown) -> Span:
    """Tickets of a column, of those how many are shown, and the limit: "3", "2 of 5", "5/3".

    Of several projects the limits are their own: "12! CTX 5/3".
    """
    limit = shown.column.wip_limit
    number = f"{shown.total}/{limit}" if limit else str(shown.total)
    if len(shown.tickets) != shown.total:
        number = f"{len(shown.tickets)} of {number}"
    if shown.over:
        return Span(f"{number}! {shown.over}", OVER)
    return Span(number, OVER if limit and shown.total > limit else PLAIN)
