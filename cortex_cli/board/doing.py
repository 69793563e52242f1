"""Who works on a ticket and how it goes: what a card says of its attempt or its sessions."""

from datetime import datetime
from functools import lru_cache

from cortex_cli.board import text as texts
from cortex_cli.board.canvas import BAD, DIM, GOOD, INFO, PLAIN, WARN, Line, Span
from cortex_cli.board.model import Detail, Model
from cortex_cli.board.value import Value
from cortex_cli.board.wire import Board, Review, Session, Ticket
from cortex_cli.board.work import CLAIMED, WENT_WRONG, Attempt, Permission

RECENT_S = 86_400  # so long what has ended is shown
SESSIONS = {
    "awaiting_input": ("◆", "waiting", WARN),
    "error": ("✗", "error", BAD),
    "working": ("●", "working", GOOD),
    "starting": ("◌", "starting", INFO),
    "idle": ("○", "idle", DIM),
    "ended": ("✓", "ended", DIM),
}
OUTCOMES = {"failed": ("✗", "failed", BAD), "cancelled": ("-", "cancelled", DIM)}
SILENT = ("○", "silent", WARN)  # says that it works, and has said nothing for long
ATTEMPTS = {
    "queued": ("◌", "queued", INFO),
    "starting": ("◌", "starting", INFO),
    "running": ("●", "running", GOOD),
    "waiting": ("◆", "waiting", WARN),
    "stopping": ("◌", "stopping", WARN),
    "failed": ("✗", "failed", BAD),
    "lost": ("✗", "lost", BAD),
    "cancelled": ("-", "cancelled", DIM),
    "succeeded": ("✓", "succeeded", GOOD),
}
INSTANCES = {
    "starting": ("◌", "starting", INFO),
    "running": ("●", "running", GOOD),
    "unhealthy": ("✗", "unhealthy", WARN),
    "error": ("✗", "error", BAD),
    "stopped": ("○", "stopped", DIM),
}
YOUR_TURN = "your turn"
_URGENCY = {"waiting": 0, "failed": 1, "lost": 1, "queued": 3, "cancelled": 5, "succeeded": 5}


class Doing(Value):
    """One attempt, or one session that belongs to none. urgency: 0 needs a person most.

    what: the stage, the tool or the reason. asked: open questions. seen: when it last gave a sign
    of life, or ended; in seconds since the epoch.
    """

    state: Span
    urgency: int
    agent: str
    what: str
    asked: int
    seen: float | None
    over: bool


def session_state(session: Session) -> Span:
    """A session's status as glyph and word."""
    known = SESSIONS.get(session.status, ("?", session.status, PLAIN))
    if session.status == "ended":
        known = OUTCOMES.get(session.outcome or "", known)
    elif silent(session):
        known = SILENT
    return _span(known)


def silent(session: Session) -> bool:
    return session.stale and session.status in ("working", "starting")


def attempt_state(model: Model, attempt: Attempt) -> Span:
    """An attempt's status as glyph and word; one whose agent is silent does not look at work."""
    status = status_of(model, attempt)
    session = model.board.sessions.get(attempt.session) if model.board else None
    if status in ("starting", "running") and session is not None and silent(session):
        return _span(SILENT)
    return _span(ATTEMPTS.get(status, ("?", status, PLAIN)))


def instance_state(status: str) -> Span:
    return _span(INSTANCES.get(status, ("?", status, PLAIN)))


def status_of(model: Model, attempt: Attempt) -> str:
    """Its status, or what was just asked for."""
    return model.intents.get(attempt.id, attempt.status) if attempt.active else attempt.status


def _span(known: tuple[str, str, str]) -> Span:
    glyph, word, role = known
    return Span(f"{glyph} {word}", role)


# --- of a ticket


def attempt_of(model: Model, ticket: Ticket) -> Attempt | None:
    """The newest attempt on it, while it is at work or ended a short while ago."""
    found = model.board.attempts_of.get(ticket.key, ()) if model.board else ()
    if not found:
        return None
    newest = found[0]
    ended = seconds(newest.ended_at)
    return newest if ended is None or model.now - ended < RECENT_S else None


def active_of(model: Model, ticket: Ticket) -> tuple[Attempt, ...]:
    """Those that have not ended and are not being stopped, the newest first."""
    found = model.board.attempts_of.get(ticket.key, ()) if model.board else ()
    gone = ("stopping", "cancelled")
    return tuple(a for a in found if a.active and status_of(model, a) not in gone)


def newest(model: Model, ticket: Ticket) -> Attempt | None:
    """The last attempt on it that is known, however long ago."""
    found = list(model.board.attempts_of.get(ticket.key, ())) if model.board else []
    if model.detail and model.detail.ticket.id == ticket.id:
        found += model.detail.attempts.values()
    return max(found, key=lambda attempt: (attempt.number, attempt.revision), default=None)


def shown_attempt(model: Model, detail: Detail) -> Attempt | None:
    """The one whose log and diff are shown: chosen by hand, else the newest."""
    return detail.attempts.get(detail.attempt) or newest(model, detail.ticket)


def session_of(model: Model) -> Session | None:
    """Of the open ticket: the session whose tab is open, else the root of its newest attempt."""
    detail = model.detail
    if detail is None:
        return None
    if detail.tab in detail.sessions:
        return detail.sessions[detail.tab]
    attempt = newest(model, detail.ticket)
    return detail.sessions.get(attempt.session) if attempt and attempt.active else None


def open_questions(model: Model, ticket: Ticket) -> tuple[Permission, ...]:
    """What its agents ask and nobody has answered, the oldest first."""
    found = model.board.asked_of.get(ticket.key, ()) if model.board else ()
    return tuple(asked for asked in found if asked.id not in model.intents)


def who_asks(model: Model, asked: Permission) -> str:
    """The agent by its name; the one that told the server is often its runner."""
    attempt = model.board.attempts.get(asked.attempt) if model.board else None
    session = model.board.sessions.get(asked.session) if model.board else None
    return (attempt and attempt.agent) or (session and session.agent) or asked.asked_by


def open_reviews(model: Model, ticket: Ticket) -> tuple[Review, ...]:
    if model.board is None or ticket.key not in model.board.reviewed:
        return ()
    found = (review for review in model.board.reviews.values() if review.ticket == ticket.key)
    waiting = [review for review in found if review.id not in model.intents]
    return tuple(sorted(waiting, key=lambda review: (review.created_at, review.id)))


def needs_me(model: Model, ticket: Ticket) -> bool:
    """An agent waits for a person on it, somebody for a review, or an attempt went wrong."""
    if model.board is None:
        return False
    attempt = attempt_of(model, ticket)
    if attempt is not None and attempt.status in WENT_WRONG and attempt.id not in model.hidden:
        return True
    if attempt is not None and waits_for_prompt(model, attempt):
        return True
    sessions = model.board.sessions_of.get(ticket.key, ())
    waits = any(session.waits_by_hand for session in sessions)
    return waits or bool(open_questions(model, ticket) or open_reviews(model, ticket))


def of_ticket(model: Model, ticket: Ticket) -> tuple[Doing, ...]:
    """Everything at work on it, what most needs a person first."""
    attempts, sessions = _at_work(model, ticket)
    if not attempts and not sessions and ticket.key not in model.intents:
        return ()  # most tickets: this runs for each card of each frame
    found = [_of_attempt(model, ticket, attempt) for attempt in attempts]
    if ticket.key in model.intents:
        found.append(Doing(_span(ATTEMPTS["queued"]), 3, "", "", 0, None, False))
    found += [_of_session(model, ticket, session) for session in sessions]
    return tuple(sorted(found, key=lambda one: one.urgency))


def is_worked_on(model: Model, ticket: Ticket) -> bool:
    """Whether `of_ticket` finds anything."""
    return ticket.key in model.intents or any(_at_work(model, ticket))


def _at_work(model: Model, ticket: Ticket) -> tuple[list[Attempt], list[Session]]:
    """Its attempts that are shown, and its sessions that belong to none."""
    board = model.board
    attempts = board.attempts_of.get(ticket.key) if board else None
    sessions = board.sessions_of.get(ticket.key) if board else None
    if board is None or not (attempts or sessions):
        return [], []
    last = None if ticket.key in model.intents else attempt_of(model, ticket)
    return (
        [attempt for attempt in attempts or () if attempt.active or attempt is last],
        [one for one in sessions or () if not one.attempt or one.attempt not in board.attempts],
    )


def _of_attempt(model: Model, ticket: Ticket, attempt: Attempt) -> Doing:
    status = status_of(model, attempt)
    what = attempt.stage.replace("_", " ")
    if not attempt.active:
        what = attempt.reason if status != "succeeded" else ""
    elif status not in CLAIMED:
        what = ""
    elif waits_for_prompt(model, attempt):
        what = YOUR_TURN
    elif attempt.stage in ("", "executing") and (said := _work(model, attempt)):
        what = said
    return Doing(
        attempt_state(model, attempt),
        _URGENCY.get(status, 2),
        attempt.agent,
        what,
        sum(asked.attempt == attempt.id for asked in open_questions(model, ticket)),
        sign_of_life(model, attempt),
        not attempt.active,
    )


def waits_for_prompt(model: Model, attempt: Attempt) -> bool:
    """Its turn was ended and it asks nothing: it goes on when a person says something to it."""
    session = model.board.sessions.get(attempt.session) if model.board else None
    asked = model.board.asked_of.get(attempt.ticket, ()) if model.board else ()
    return (
        status_of(model, attempt) == "waiting"
        and session is not None
        and session.status == "idle"
        and not any(one.attempt == attempt.id for one in asked)
    )


def _work(model: Model, attempt: Attempt) -> str:
    """What its agent says that it does."""
    session = model.board.sessions.get(attempt.session) if model.board else None
    return attempt.progress or (session and (session.work or session.tool)) or attempt.stage


def _of_session(model: Model, ticket: Ticket, session: Session) -> Doing:
    seen = max(seconds(session.updated_at) or 0.0, model.heard.get(session.id, 0.0))
    asked = sum(asked.session == session.id for asked in open_questions(model, ticket))
    what = session.work or session.tool or ""
    state = session_state(session)
    return Doing(state, session.urgency, session.agent or "", what, asked, seen or None, False)


def sign_of_life(model: Model, attempt: Attempt) -> float | None:
    """When something was last heard of it; of one that has ended, when it did."""
    if not attempt.active:
        return seconds(attempt.ended_at)
    times = [seconds(attempt.updated_at) or 0.0, model.heard.get(attempt.id, 0.0)]
    session = model.board.sessions.get(attempt.session) if model.board else None
    if session is not None:
        times += [seconds(session.updated_at) or 0.0, model.heard.get(session.id, 0.0)]
    return max(times) or None


def batches(board: Board) -> list[str]:
    """The batches that run, each with how far it is."""
    found = []
    for batch in board.batches.values():
        if batch.active:
            over = sum(row.status not in ("pending", "running") for row in batch.tickets)
            how = "merging" if batch.status == "merging" else f"{over}/{len(batch.tickets)}"
            found.append(f"▸ {batch.name or 'batch'} {how}")
    return found


def line(model: Model, doing: Doing, cells: int) -> Line:
    """The agent and what it does on the left, the age of its last sign of life on the right."""
    age = age_of(model, doing.seen)
    room = cells - len(age) - (1 if age else 0)
    spans: list[Span] = [Span(doing.agent)] if doing.agent else []
    if doing.asked:
        asks = f"{doing.asked} question{'' if doing.asked == 1 else 's'}"
        fits = texts.width(texts.clean(doing.agent)) + 1 + len(asks) <= room
        spans.append(Span(asks if fits else f"{doing.asked}?", WARN))
    elif doing.what:
        spans.append(Span(doing.what, BAD if doing.urgency == 1 else INFO))
    left: list[Span] = []
    for span in spans:
        gap = 1 if left else 0
        text = texts.clip(texts.clean(span.text), max(0, room - gap))
        if not text:
            break
        left += [*([Span(" ")] if gap else []), Span(text, span.role)]
        room -= texts.width(text) + gap
    if not age:
        return tuple(left)
    return (*left, Span(" " * (max(0, room) + 1)), Span(age, DIM))


def age_of(model: Model, seen: float | None) -> str:
    """In minutes at the finest, so that nothing has to be drawn more often."""
    if seen is None:
        return ""
    past = model.now - seen
    return "now" if past < 60 else texts.age(past)


@lru_cache(maxsize=4096)
def seconds(at: str) -> float | None:
    """A time of the wire in seconds since the epoch; None for what is no time."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, OverflowError):
        return None


def when(model: Model, at: str) -> str:
    """How long ago something was, in minutes at the finest; the text itself when it is no time."""
    told = seconds(at)
    if told is None:
        return at
    past = model.now - told
    return "just now" if past < 60 else f"{texts.age(past)} ago"
