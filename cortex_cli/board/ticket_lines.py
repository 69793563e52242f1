"""The ticket's own tab: its fields, its body, and all that belongs to it."""

from collections.abc import Iterator
from functools import partial

from cortex_cli.board import attempt_lines, cards, document, doing, markdown
from cortex_cli.board import text as texts
from cortex_cli.board.blocks import Block, Kept, Paragraph
from cortex_cli.board.canvas import ACCENT, BAD, DIM, GOOD, INFO, PLAIN, STRONG, WARN, Line, Span
from cortex_cli.board.lines import EMPTY, field, heading, indented
from cortex_cli.board.model import Detail, Model
from cortex_cli.board.sheets import Part, Sheet
from cortex_cli.board.wire import Comment, Review, Ticket

REVIEW_STATES = {
    "requested": ("◇ open", WARN),
    "approved": ("✓ approved", GOOD),
    "changes_requested": ("✗ changes requested", BAD),
    "dismissed": ("- dismissed", DIM),
}
_bodies: Kept[list[Paragraph]] = Kept(500)
_blocks: Kept[Block] = Kept(100)


def sheet(model: Model, detail: Detail, cells: int) -> Sheet:
    """The parts of the tab, each made when it is looked at."""
    ticket = detail.ticket
    parts: list[tuple[str, Iterator[Line]]] = [
        ("+fields", _fields(model, ticket, cells)),
        ("+state", _state(detail)),
        ("+questions", attempt_lines.questions(model, ticket, cells)),
        ("+attempts", attempt_lines.attempts(model, detail, cells)),
        ("+reviews", _reviews(model, detail, cells)),
        ("+sessions", _sessions(detail, cells)),
    ]
    made: list[Part] = [(name, partial(Block.of_lines, lines)) for name, lines in parts]
    made.insert(1, ("body", partial(_body, ticket.body, cells)))
    comments = sorted(detail.comments.values(), key=lambda c: (c.created_at, c.id))
    if model.echoes:
        from cortex_cli.board import echoes

        comments += echoes.comments(model, detail)
    for number, comment in enumerate(comments):
        title = f"Comments {len(comments)}" if number == 0 else ""
        made.append((comment.id, partial(_comment, model, comment, title, cells)))
    return Sheet(made)


def _body(text: str, cells: int) -> Block:
    if not text.strip():
        return Block([Paragraph(""), Paragraph("No description.", DIM)], cells)
    return _blocks.get(
        text, cells, lambda: Block([Paragraph(""), *markdown.paragraphs(text, cells)], cells)
    )


def _state(detail: Detail) -> Iterator[Line]:
    if detail.failed:
        yield from (EMPTY, (Span(f"✗ {detail.failed}  r tries again.", BAD),))
    elif not detail.loaded:
        yield from (EMPTY, (Span("… comments and sessions are on their way", DIM),))


def _fields(model: Model, ticket: Ticket, cells: int) -> Iterator[Line]:
    for line in texts.wrap(ticket.title, cells):
        yield (Span(line, STRONG),)
    yield EMPTY
    status = next(
        (s.column.title for s in model.columns if s.column.name == ticket.status), ticket.status
    )
    shown = cards.priority(ticket.priority) or Span("none", DIM)
    yield from field("status", (Span(status + (" (archived)" if ticket.archived else "")),), cells)
    yield from field("priority", (shown,), cells)
    yield from field("type", (Span(ticket.type),), cells)
    yield from field(
        "labels", (Span(" ".join(f"#{label}" for label in ticket.labels), INFO),), cells
    )
    yield from field("assignee", (Span(ticket.assignee or ""),), cells)
    yield from field("due", (Span(ticket.due or ""),), cells)
    yield from field("depends on", (Span(" ".join(ticket.depends_on)),), cells)
    for number, reference in enumerate(ticket.references):
        yield from field("references" if number == 0 else "", (Span(reference),), cells)
    yield from field("created", (Span(doing.when(model, ticket.created_at)),), cells)
    updated = f"{doing.when(model, ticket.updated_at)}, revision {ticket.revision}"
    yield from field("updated", (Span(updated),), cells)


def _reviews(model: Model, detail: Detail, cells: int) -> Iterator[Line]:
    reviews: list[Review] = sorted(detail.reviews.values(), key=lambda r: (r.created_at, r.id))
    if not reviews:
        return
    yield from heading(f"Reviews {len(reviews)}", cells)
    for review in reviews:
        word, role = REVIEW_STATES.get(review.state, (review.state, PLAIN))
        asked = f"  asked by {review.requested_by}, {doing.when(model, review.created_at)}"
        yield (Span(word, role), Span(asked, DIM))
        target = review.branch or review.commit
        if target:
            yield (Span(f"  {target}", INFO),)
        yield from indented(review.summary, cells, PLAIN)
        if review.note:
            yield from indented(f"{review.resolved_by}: {review.note}", cells, DIM)


def _sessions(detail: Detail, cells: int) -> Iterator[Line]:
    found = document.tree(detail)
    if not found:
        return
    yield from heading(f"Sessions {len(found)}", cells)
    for session, depth in found:
        branch = "  " * depth + ("└ " if depth else "")
        by = " ".join(part for part in (session.agent, session.model) if part)
        work = session.work or session.tool or ""
        yield (
            Span(branch, DIM),
            doing.session_state(session),
            Span(f" {session.title}"),
            Span(f"  {by}", DIM),
            Span(f"  {work}", INFO),
        )


def _comment(model: Model, comment: Comment, title: str, cells: int) -> Block:
    """A comment; the first one has the heading of all."""
    role = BAD if comment.type == "blocker" else WARN
    kind = comment.type.replace("_", " ") if comment.type != "comment" else ""
    stored = comment.revision > 0  # it is not while it is an echo
    when = f"  {doing.when(model, comment.created_at) if stored else '… saving'}"
    tail = (Span(when, DIM), *((Span(f"  {kind}", role),) if kind else ()))
    found = [Paragraph("")]
    if title:
        bar = "─" * max(0, cells - texts.width(title) - 3)
        found.append(Paragraph(f"{title} {bar}", ACCENT, (Span("─ ", DIM),),
                               ((len(title), len(title) + 1 + len(bar), DIM),)))  # fmt: skip
    found.append(Paragraph(texts.clean(comment.author), STRONG, tail=tail))
    lines = _bodies.get(comment, cells, lambda: markdown.paragraphs(comment.body, cells - 2))
    margin = Span("  ")
    found += [line._replace(head=(margin, *line.head)) for line in lines]
    return Block(found, cells)
