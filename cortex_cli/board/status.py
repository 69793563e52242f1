"""The connection in words: whether what is shown is true, else from when it is."""

import math

from cortex_cli.board import text as texts
from cortex_cli.board.model import POLLING_AFTER, POLLING_S, Connection, Model

TITLE_CELLS = 16  # of the header that a status leaves to what is shown


def status(model: Model) -> tuple[str, str]:
    """(text, role) for the header: never wrong about being live, and as long as there is room."""
    if model.dashboard:
        shown = model.dashboard
        return words(shown.connection, model.now, shown.body is not None, model.width)
    if model.everything and model.connection.phase == "live" and model.everything.waiting:
        total = len(model.everything.keys)
        return f"◌ {total - len(model.everything.waiting)}/{total} boards", "info"
    if not model.project and not model.everything:
        return "○ no project", "dim"
    link = model.connection
    if link.phase == "live" and model.held is not None:
        return _aged("◌ catching up", link, model.now), "info"
    return words(link, model.now, model.board is not None, model.width)


def not_yet(model: Model) -> str:
    """Why nothing can be changed while the board of the last time is shown; "" when it can."""
    if not model.cached:
        return ""
    past = model.now - (model.connection.as_of or model.now)
    return f"Not connected yet: this is the board as of {texts.age(max(1.0, past))} ago."


def words(
    link: Connection, now: float, something: bool = True, cells: int = 1_000
) -> tuple[str, str]:
    """How a connection is, in a few words and their role.

    something: whether anything is shown, which then has an age.
    """
    if link.phase == "live":
        return "● live", "good"
    long, short, joint, role = _state(link, now)
    past = now - link.as_of if something and link.as_of is not None else 0.0
    if past < 1:
        return long, role
    age = texts.age(past)
    forms = (
        f"{long}{joint}as of {age} ago",
        f"{short}{joint}as of {age} ago",
        f"{short} · {age} ago",
    )
    room = cells - TITLE_CELLS
    return next((form for form in forms if texts.width(form) <= room), forms[-1]), role


def _aged(text: str, link: Connection, now: float) -> str:
    past = now - link.as_of if link.as_of is not None else 0.0
    return f"{text} · as of {texts.age(past)} ago" if past >= 1 else text


def _state(link: Connection, now: float) -> tuple[str, str, str, str]:
    """In full, in short, what stands before its age, and its role."""
    if link.phase == "over":
        return "✗ ended", "✗ ended", " · ", "bad"
    asked_for = link.phase == "connecting" and not link.stalls
    if link.polled and not asked_for:
        return f"◌ polling every {POLLING_S:.0f} s", "◌ polling", ", ", "warn"
    if link.attempt >= POLLING_AFTER and not asked_for:
        return "○ offline", "○ offline", ", ", "bad"
    of = f" ({link.attempt}/{POLLING_AFTER})" if 0 < link.attempt < POLLING_AFTER else ""
    wait = link.retry_at - now
    if link.phase == "lost" and wait > 0:
        short = f"○ reconnecting in {max(1, math.ceil(wait - 0.001))} s"
        return f"{short}{of}", short, " · ", "warn"
    return f"◌ connecting{of}", "◌ connecting", " · ", "info"


def next_change(link: Connection, now: float, something: bool) -> float | None:
    """When the words change by time alone; None when they do not."""
    if link.phase == "live":
        return None
    due = []
    counted = not link.polled and link.attempt < POLLING_AFTER
    if link.phase == "lost" and link.retry_at > now and counted:
        due.append(link.retry_at - math.ceil(link.retry_at - now) + 1)
    if something and link.as_of is not None:
        past = max(0.0, now - link.as_of)
        unit = next((unit for limit, unit in texts.AGE_UNITS if past < limit), 86_400)
        due.append(link.as_of + (past // unit + 1) * unit)
    return min(due, default=None)
