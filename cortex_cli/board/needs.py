"""What waits for a person as one list: the most urgent kind first, and of a kind the oldest.

It is worked out when something of it may have changed, not for each frame: what is compared are
the very objects that the board holds, which are replaced when they change.
"""

from collections.abc import Iterator
from dataclasses import replace

from cortex_cli.board import doing
from cortex_cli.board.canvas import BAD, WARN
from cortex_cli.board.model import Model
from cortex_cli.board.panes import Needs
from cortex_cli.board.reading import Json, text, whole
from cortex_cli.board.value import Value
from cortex_cli.board.wire import Board, Review, Session, Ticket
from cortex_cli.board.work import WENT_WRONG, Attempt, Permission

PERMISSION, QUESTION, TURN, REVIEW, FAILED, LOST = (
    "permission", "question", "turn", "review", "failed", "lost",
)  # fmt: skip
# (urgency, glyph, word, role): who asks cannot go on, a review can wait, and a failure has ended.
KINDS = {
    PERMISSION: (0, "◆", "permission", WARN),
    QUESTION: (0, "◆", "question", WARN),
    TURN: (1, "◆", "your turn", WARN),
    REVIEW: (2, "◇", "review", WARN),
    FAILED: (3, "✗", "failed", BAD),
    LOST: (3, "✗", "lost", BAD),
}
SAY = "It waits for what you say next."


class Need(Value):
    """One thing that waits. id: of a question, a review, an attempt, or a session of none.

    ticket: its key. ticket_id: "" where the board does not hold it. agent: who asks. asked: what,
    in a line. session: who hears what is said, "" for nobody. at: since when.
    """

    kind: str
    id: str
    ticket: str
    ticket_id: str
    title: str
    agent: str
    asked: str
    session: str
    at: float
    project: str = ""

    @property
    def name(self) -> str:
        """What it is selected by; what fails becomes another thing, though the attempt is one."""
        return f"{self.kind} {self.id}"

    @property
    def went_wrong(self) -> bool:
        return self.kind in WENT_WRONG


_kept: list[tuple[tuple[object, ...], tuple[Need, ...]]] = []


def waiting(model: Model) -> tuple[Need, ...]:
    """All that waits: on the board, or in all projects while the dashboard is there."""
    pane = model.pane if isinstance(model.pane, Needs) else None
    key: tuple[object, ...]
    if model.dashboard is not None:
        done = pane.done if pane else frozenset()
        key = (model.dashboard.body, model.intents, model.hidden, done)
    elif model.board is None:
        return ()
    else:
        board, minute = model.board, int(model.now // 60)
        key = (board.tickets, board.attempts, board.permissions, board.reviews, board.sessions,
               model.intents, model.hidden, minute)  # fmt: skip
    if _kept and _same(_kept[0][0], key):
        return _kept[0][1]
    found = _everywhere(model, pane) if model.dashboard is not None else _here(model)
    listed = tuple(sorted(found, key=_order))
    _kept[:] = [(key, listed)]
    return listed


def _same(known: tuple[object, ...], key: tuple[object, ...]) -> bool:
    return len(known) == len(key) and all(
        a is b or (isinstance(a, int) and a == b) for a, b in zip(known, key, strict=True)
    )


def _order(need: Need) -> tuple[int, float, str]:
    return KINDS[need.kind][0], need.at, need.id


def count(model: Model) -> int:
    """How many wait. The dashboard's list is bounded, what it says of their number is not."""
    if model.dashboard is None:
        return len(waiting(model))
    body = model.dashboard.body or {}
    listed = body.get("needs")
    totals = body.get("totals")
    beyond = whole(totals, "needs") if isinstance(totals, dict) else 0
    return len(waiting(model)) + max(0, beyond - len(listed if isinstance(listed, list) else ()))


# --- of the board


def _here(model: Model) -> Iterator[Need]:
    board = model.board
    assert board is not None
    if not (board.attempts or board.permissions or board.reviews or board.sessions):
        return
    tickets = {ticket.key: ticket for ticket in board.tickets.values()}
    for asked in board.permissions.values():
        if asked.id not in model.intents:
            yield _asked(model, asked, tickets.get(asked.ticket))
    for review in board.reviews.values():
        if review.id not in model.intents:
            yield _review(review, tickets.get(review.ticket))
    for key, attempts in board.attempts_of.items():
        for attempt in attempts:
            if doing.waits_for_prompt(model, attempt):
                yield _turn(board, attempt, tickets.get(key))
        if key in tickets and (wrong := _went_wrong(model, tickets[key])):
            yield _failure(wrong, tickets[key])
    asking = {asked.session for asked in board.permissions.values()}
    for session in board.sessions.values():
        if session.waits_by_hand and session.id not in asking:
            yield _by_hand(session, tickets.get(session.ticket))


def _went_wrong(model: Model, ticket: Ticket) -> Attempt | None:
    """Its newest attempt, if that failed a short while ago and nothing was done about it."""
    newest = doing.attempt_of(model, ticket)
    if newest is None or newest.status not in WENT_WRONG or newest.id in model.hidden:
        return None
    return None if ticket.key in model.intents else newest


def _need(kind: str, id: str, key: str, ticket: Ticket | None, **more: str) -> Need:
    at = doing.seconds(more.pop("at")) or 0.0
    title = ticket.title if ticket else "archived"
    return Need(kind, id, key, ticket.id if ticket else "", title, at=at, **more)


def _asked(model: Model, asked: Permission, ticket: Ticket | None) -> Need:
    kind = QUESTION if asked.kind == QUESTION else PERMISSION
    agent = doing.who_asks(model, asked)
    return _need(kind, asked.id, asked.ticket, ticket, agent=agent, asked=asked.title,
                 session=asked.session, at=asked.created_at)  # fmt: skip


def _review(review: Review, ticket: Ticket | None) -> Need:
    summary = review.summary.strip().partition("\n")[0]
    return _need(REVIEW, review.id, review.ticket, ticket, agent=review.requested_by,
                 asked=summary, session="", at=review.created_at)  # fmt: skip


def _turn(board: Board, attempt: Attempt, ticket: Ticket | None) -> Need:
    session = board.sessions.get(attempt.session)
    at = max(attempt.updated_at, session.updated_at if session else "")
    return _need(TURN, attempt.id, attempt.ticket, ticket, agent=attempt.agent,
                 asked=attempt.progress or SAY, session=attempt.session, at=at)  # fmt: skip


def _failure(attempt: Attempt, ticket: Ticket) -> Need:
    reason = attempt.reason or "no reason is known"
    return _need(attempt.status, attempt.id, ticket.key, ticket, agent=attempt.agent, asked=reason,
                 session="", at=attempt.ended_at)  # fmt: skip


def _by_hand(session: Session, ticket: Ticket | None) -> Need:
    """A session that waits and asks nothing here: nobody here could say anything to its agent."""
    asked = session.work or "It waits for you where it was started."
    return _need(TURN, session.id, session.ticket, ticket, agent=session.agent or session.title,
                 asked=asked, session="", at=session.updated_at)  # fmt: skip


# --- of all projects


def _everywhere(model: Model, pane: Needs | None) -> Iterator[Need]:
    body = model.dashboard.body if model.dashboard else None
    listed = body.get("needs") if body else None
    done = pane.done if pane else frozenset()
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and text(item, "id"):
            need = _of_overview(item)
            gone = {need.id, need.ticket} if need.went_wrong else {need.id}
            if not gone & (model.intents.keys() | done | model.hidden):
                yield need


def _of_overview(item: Json) -> Need:
    kind = text(item, "kind")
    return Need(
        kind if kind in KINDS else QUESTION,
        text(item, "id"),
        text(item, "ticket"),
        "",
        text(item, "title"),
        text(item, "agent"),
        SAY if kind == TURN else text(item, "text"),
        text(item, "session"),
        doing.seconds(text(item, "at")) or 0.0,
        text(item, "project"),
    )


# --- the cursor


def selected(model: Model) -> Need | None:
    """The entry under the cursor."""
    if not isinstance(model.pane, Needs):
        return None
    name = model.pane.selected
    return next((need for need in waiting(model) if need.name == name), None)


def select(model: Model, pane: Needs, at: int) -> Model:
    """Put the cursor on the entry at a place; out of range is the first or the last."""
    listed = waiting(model)
    at = min(max(0, at), max(0, len(listed) - 1))
    need = listed[at] if listed else None
    chosen = pane.but(
        selected=need.name if need else "", at=at, ticket=need.ticket_id if need else ""
    )
    return replace(model, pane=chosen)


def settle(model: Model, pane: Needs) -> Model:
    """Keep the cursor on its entry; when that left, on the one that is in its place."""
    names = [need.name for need in waiting(model)]
    if pane.selected in names:
        at = names.index(pane.selected)
        return model if at == pane.at else select(model, pane, at)
    if not names and not pane.selected:
        return model
    return select(model, pane, pane.at)
