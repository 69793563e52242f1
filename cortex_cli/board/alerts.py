"""When an agent starts to need a person: what is rung and said to the terminal. Pure.

What needed a person on each board is compared with what needs one now. What was waiting already
when a board came is known, and so it stays over a reconnection: nothing is said twice.
"""

from collections.abc import Iterator
from dataclasses import replace

from cortex_cli.board import doing, moves
from cortex_cli.board import text as texts
from cortex_cli.board.messages import Notify
from cortex_cli.board.model import Alerts, Model
from cortex_cli.board.moves import Step
from cortex_cli.board.wire import Board
from cortex_cli.board.work import WENT_WRONG

PAUSE_S = 5.0  # between two of them: what comes meanwhile is said together
CELLS = 120

Name = tuple[str, str]  # (asked, review, attempt, turn or session; the id)
Needs = frozenset[Name]


def after(model: Model) -> Step:
    """What has to be said now: to be asked after each change of the board, and when it is due."""
    alerts, board = model.alerts, model.board
    if board is None:
        return replace(model, alerts=alerts.but(board=None, waiting=())), ()
    if model.cached:
        return model, ()  # what was true the last time may have been answered long ago
    if board is not alerts.board:
        alerts = _compared(alerts, board)
        model = replace(model, alerts=alerts)
    if not alerts.waiting or 0 <= model.now - alerts.said_at < PAUSE_S:
        return model, ()
    return _say(model, alerts)


def due(model: Model) -> float | None:
    """When to ask `after` again, though nothing happens."""
    return model.alerts.said_at + PAUSE_S if model.alerts.waiting else None


def toggle(model: Model) -> Step:
    """Bell and notifications off where one of them is on, else both on."""
    on = not (model.settings.bell or model.settings.notify)
    model = replace(model, settings=model.settings.but(bell=on, notify=on))
    return moves.toast(model, f"Bell and notifications {'on' if on else 'off'}"), ()


def _compared(alerts: Alerts, board: Board) -> Alerts:
    parts: dict[str, tuple[Board, Needs]] = {}
    new: list[Name] = []
    for part in board.boards:
        id = part.project.id
        known = alerts.parts.get(id)
        if known is None:
            needs = frozenset(_needs(part))  # the first that is known of it: nothing starts now
        elif _same(known[0], part):
            needs = known[1]
        else:
            needs = frozenset(_needs(part))
            new += sorted(needs - known[1])
        parts[id] = part, needs
    still = {name for _, needs in parts.values() for name in needs}
    waiting = tuple(name for name in (*alerts.waiting, *new) if name in still)
    return alerts.but(board=board, parts=parts, waiting=waiting)


def _same(a: Board, b: Board) -> bool:
    """Whether nothing happened that could make somebody need a person: most events do not."""
    return (
        a.permissions is b.permissions
        and a.attempts is b.attempts
        and a.sessions is b.sessions
        and a.reviews is b.reviews
    )


def _needs(board: Board) -> Iterator[Name]:
    """All that needs a person on a board of one project."""
    asking: set[str] = set()
    for asked in board.permissions.values():
        asking.update((asked.attempt, asked.session))
        yield "asked", asked.id
    for review in board.reviews.values():
        yield "review", review.id
    for attempt in board.attempts.values():
        if attempt.status in WENT_WRONG:
            yield "attempt", attempt.id
        elif attempt.status == "waiting" and attempt.id not in asking:
            session = board.sessions.get(attempt.session)
            if session is not None and session.status == "idle":
                yield "turn", attempt.id
    for session in board.sessions.values():
        if session.waits_by_hand and session.id not in asking:
            yield "session", session.id


# --- what is said


def _say(model: Model, alerts: Alerts) -> Step:
    settings = model.settings
    names = alerts.waiting
    model = replace(model, alerts=alerts.but(waiting=(), said_at=model.now))
    if not (settings.bell or settings.notify):
        return model, ()
    text = _sentence(model, *names[0]) if len(names) == 1 else f"{len(names)} agents need you"
    text = texts.clip(texts.clean(text), CELLS)
    if model.ascii_only:
        text = texts.to_ascii(text)
    return model, (Notify(text, settings.bell, settings.notify),)


def _sentence(model: Model, kind: str, id: str) -> str:
    board = model.board
    assert board is not None
    if kind == "asked":
        asked = board.permissions[id]
        return f"{asked.ticket} {doing.who_asks(model, asked) or 'an agent'} asks: {asked.title}"
    if kind == "review":
        review = board.reviews[id]
        return f"{review.ticket} {review.requested_by} wants a review: {review.summary}"
    if kind == "session":
        session = board.sessions[id]
        return f"{session.ticket} {session.agent or session.title} waits for you"
    attempt = board.attempts[id]
    who = f"{attempt.ticket} {attempt.agent or 'an agent'}"
    if kind == "turn":
        return f"{who} has stopped: your turn"
    what = "was lost" if attempt.status == "lost" else "failed"
    return f"{who} {what}: {attempt.reason}" if attempt.reason else f"{who} {what}"
