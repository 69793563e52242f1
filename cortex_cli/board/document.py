"""The open ticket as lines: what the detail shows, and how long it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cortex_cli.board import cards, doing, layout
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import ACCENT, BAD, DIM, GOOD, INFO, PLAIN, STRONG, WARN, Line, Span
from cortex_cli.board.lines import EMPTY, field, heading, indented
from cortex_cli.board.model import DIFF, LOG, Detail, Model
from cortex_cli.board.wire import Comment, Message, Part, Review, Session, Ticket

TOOL_LINES = 40  # of one tool's output; the end of it matters most
REVIEW_STATES = {
    "requested": ("◇ open", WARN),
    "approved": ("✓ approved", GOOD),
    "changes_requested": ("✗ changes requested", BAD),
    "dismissed": ("- dismissed", DIM),
}


@dataclass(frozen=True)
class Window:
    """The part of a document that is on the screen."""

    lines: list[Line]
    top: int
    rows: int
    follows: bool
    new: int  # lines that came since the user scrolled away

    @property
    def last_top(self) -> int:
        return max(0, len(self.lines) - self.rows)


def tree(detail: Detail) -> list[tuple[Session, int]]:
    """The sessions, oldest first, children after their parent, each with its depth."""
    children: dict[str | None, list[Session]] = {}
    for session in sorted(detail.sessions.values(), key=lambda s: (s.created_at, s.id)):
        parent = session.parent_id if session.parent_id in detail.sessions else None
        children.setdefault(parent, []).append(session)
    found: list[tuple[Session, int]] = []
    seen: set[str] = set()

    def visit(session: Session, depth: int) -> None:
        if session.id not in seen and depth < 20:
            seen.add(session.id)
            found.append((session, depth))
            for child in children.get(session.id, []):
                visit(child, depth + 1)

    for session in children.get(None, []):
        visit(session, 0)
    for session in detail.sessions.values():  # parents in a circle, or nested too deep: still shown
        visit(session, 0)
    return found


def tabs(detail: Detail) -> list[str]:
    """The ids of the tabs: the ticket, log and diff once there was an attempt, the sessions."""
    of_attempt = [LOG, DIFF] if detail.attempts else []
    return ["", *of_attempt, *(session.id for session, _ in tree(detail))]


def body(model: Model) -> tuple[int, int, int]:
    """(first row, rows, cells) of the document on the screen."""
    kind = layout.shape(model)
    if kind == "line":
        return 0, 1, max(1, model.width)
    if kind == "list":
        return 1, model.height - 2, model.width
    return 3, model.height - 5, model.width - 4


def window(model: Model, detail: Detail) -> Window:
    """What of the open tab is visible."""
    _, rows, cells = body(model)
    lines = list(_lines(model, detail, max(1, cells)))
    last = max(0, len(lines) - rows)
    tails = detail.tab not in ("", DIFF)
    follows = tails and detail.tab not in detail.paused
    top = last if follows else min(detail.tops.get(detail.tab, 0), last)
    new = 0 if follows or not tails else max(0, len(lines) - detail.paused[detail.tab])
    return Window(lines, top, rows, follows, new)


def _lines(model: Model, detail: Detail, cells: int) -> Iterator[Line]:
    session = detail.sessions.get(detail.tab)
    if session:
        yield from _thread(model, detail, session, cells)
    elif detail.tab in (LOG, DIFF):
        from cortex_cli.board import attempt_lines  # the first frame can do without

        show = attempt_lines.log if detail.tab == LOG else attempt_lines.diff
        yield from show(model, detail, cells)
    else:
        yield from _ticket(model, detail, cells)


# --- the ticket


def _ticket(model: Model, detail: Detail, cells: int) -> Iterator[Line]:
    ticket = detail.ticket
    for line in texts.wrap(ticket.title, cells):
        yield (Span(line, STRONG),)
    yield EMPTY
    yield from _fields(model, ticket, cells)
    yield EMPTY
    yield from (
        _markdown(ticket.body, cells)
        if ticket.body.strip()
        else iter([(Span("No description.", DIM),)])
    )
    if detail.failed:
        yield from (EMPTY, (Span(f"✗ {detail.failed}  r tries again.", BAD),))
    elif not detail.loaded:
        yield from (EMPTY, (Span("… comments and sessions are on their way", DIM),))
    from cortex_cli.board import attempt_lines  # the first frame can do without

    yield from attempt_lines.questions(model, ticket, cells)
    yield from attempt_lines.attempts(model, detail, cells)
    yield from _reviews(model, detail, cells)
    yield from _sessions(detail, cells)
    yield from _comments(model, detail, cells)


def _fields(model: Model, ticket: Ticket, cells: int) -> Iterator[Line]:
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
    yield from field("created", (Span(when(model, ticket.created_at)),), cells)
    updated = f"{when(model, ticket.updated_at)}, revision {ticket.revision}"
    yield from field("updated", (Span(updated),), cells)


def _reviews(model: Model, detail: Detail, cells: int) -> Iterator[Line]:
    reviews: list[Review] = sorted(detail.reviews.values(), key=lambda r: (r.created_at, r.id))
    if not reviews:
        return
    yield from heading(f"Reviews {len(reviews)}", cells)
    for review in reviews:
        word, role = REVIEW_STATES.get(review.state, (review.state, PLAIN))
        asked = f"  asked by {review.requested_by}, {when(model, review.created_at)}"
        yield (Span(word, role), Span(asked, DIM))
        target = review.branch or review.commit
        if target:
            yield (Span(f"  {target}", INFO),)
        yield from indented(review.summary, cells, PLAIN)
        if review.note:
            yield from indented(f"{review.resolved_by}: {review.note}", cells, DIM)


def _sessions(detail: Detail, cells: int) -> Iterator[Line]:
    found = tree(detail)
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


def _comments(model: Model, detail: Detail, cells: int) -> Iterator[Line]:
    comments: list[Comment] = sorted(detail.comments.values(), key=lambda c: (c.created_at, c.id))
    if not comments:
        return
    yield from heading(f"Comments {len(comments)}", cells)
    for number, comment in enumerate(comments):
        if number:
            yield EMPTY
        role = BAD if comment.type == "blocker" else WARN
        kind = (
            (Span(f"  {comment.type.replace('_', ' ')}", role),)
            if comment.type != "comment"
            else ()
        )
        yield (
            Span(comment.author, STRONG),
            Span(f"  {when(model, comment.created_at)}", DIM),
            *kind,
        )
        yield from indented(comment.body, cells, PLAIN)


# --- a session


def _thread(model: Model, detail: Detail, session: Session, cells: int) -> Iterator[Line]:
    by = " ".join(part for part in (session.agent, session.model) if part)
    work = " ".join(part for part in (session.tool, session.work) if part)
    head = (doing.session_state(session), Span(f"  {by}", DIM), Span(f"  {work}", INFO))
    yield head
    thread = detail.threads.get(session.id)
    if thread is not None and thread.failed:
        yield from (EMPTY, (Span(f"✗ {thread.failed}  r tries again.", BAD),))
    elif thread is None or not thread.loaded:
        yield from (EMPTY, (Span("… messages are on their way", DIM),))
    elif not thread.messages:
        yield from (EMPTY, (Span("No messages yet.", DIM),))
    for message in thread.messages if thread else ():
        yield EMPTY
        yield from message_lines(message, cells)
    from cortex_cli.board import attempt_lines  # the first frame can do without

    yield from attempt_lines.questions(model, detail.ticket, cells, session.id)


@lru_cache(maxsize=4096)
def message_lines(message: Message, cells: int) -> tuple[Line, ...]:
    """A message, wrapped. Cached: of a long thread only the message that grows is wrapped anew."""
    role = ACCENT if message.role == "user" else STRONG
    writing = (Span("  writing", GOOD),) if message.status == "streaming" else ()
    lines: list[Line] = [(Span(message.role or "message", role), *writing)]
    for part in message.parts:
        lines.extend(_part(part, cells))
    return tuple(lines)


def _part(part: Part, cells: int) -> Iterator[Line]:
    if part.type == "thinking":
        yield (Span("  thinking", DIM),)
        yield from indented(part.text, cells, DIM)
    elif part.type == "tool":
        glyph, role = ("●", GOOD) if part.status == "streaming" else ("▸", INFO)
        called = texts.clip(texts.clean(f"{part.tool or 'tool'} {part.input}"), max(1, cells - 4))
        yield (Span(f"  {glyph} ", role), Span(called, INFO))
        lines = list(indented(part.text, cells, DIM)) if part.text.strip() else []
        if len(lines) > TOOL_LINES:
            yield (Span(f"  … {len(lines) - TOOL_LINES} lines before", DIM),)
        yield from lines[-TOOL_LINES:]
    elif part.type == "error":
        yield from indented(f"✗ {part.text}", cells, BAD)
    else:
        yield from _markdown(part.text, cells)


def _markdown(text: str, cells: int) -> Iterator[Line]:
    """Just enough of it to read well: headings, fences, quotes."""
    fenced = False
    for source in text.strip("\n").split("\n"):
        stripped = source.lstrip()
        fence = stripped.startswith("```")
        role = PLAIN
        if fence or stripped.startswith(">"):
            role = DIM
        elif fenced:
            role = INFO
        elif stripped.startswith("#"):
            role = STRONG
        fenced = fenced != fence
        for line in texts.wrap(source, cells):
            yield (Span(line, role),)


def when(model: Model, at: str) -> str:
    """How long ago something was, in minutes at the finest; the text itself when it is no time."""
    seconds = doing.seconds(at)
    if seconds is None:
        return at
    past = model.now - seconds
    return "just now" if past < 60 else f"{texts.age(past)} ago"
