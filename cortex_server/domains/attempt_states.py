"""The life of an attempt: which status may follow which. Nothing else says so."""

from typing import get_args

from cortex_server.errors import Conflict
from cortex_server.events.work import Attempt, AttemptStatus

NEXT: dict[AttemptStatus, frozenset[AttemptStatus]] = {
    "queued": frozenset({"starting", "cancelled"}),
    "starting": frozenset({"running", "waiting", "stopping", "failed", "cancelled", "lost"}),
    "running": frozenset({"waiting", "stopping", "succeeded", "failed", "cancelled", "lost"}),
    "waiting": frozenset({"running", "stopping", "succeeded", "failed", "cancelled", "lost"}),
    "stopping": frozenset({"succeeded", "failed", "cancelled", "lost"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "lost": frozenset(),
}
FINAL = tuple(status for status in get_args(AttemptStatus) if not NEXT[status])
CLAIMED = ("starting", "running", "waiting", "stopping")  # a runner holds their lease
ACTIVE = ("queued", *CLAIMED)
RETRIED = ("failed", "cancelled", "lost")


def check(attempt: Attempt, status: AttemptStatus) -> None:
    """Refuse a status that cannot follow. Raises Conflict (attempt_ended, refused_transition)."""
    if status in NEXT[attempt.status]:
        return
    check_active(attempt)
    raise Conflict(
        f"{name(attempt)} is {attempt.status}; from there it cannot become {status}.",
        code="refused_transition",
        current=attempt.json_dict(),
    )


def check_active(attempt: Attempt) -> None:
    """Raises Conflict (attempt_ended)."""
    if attempt.status in FINAL:
        raise Conflict(
            f"{name(attempt)} has ended: {outcome(attempt)}; "
            f"`cortex attempt start {attempt.ticket}` starts another.",
            code="attempt_ended",
            current=attempt.json_dict(),
        )


def name(attempt: Attempt) -> str:
    """How people call it."""
    return f"Attempt {attempt.number} on {attempt.ticket}"


def outcome(attempt: Attempt) -> str:
    said = {"cancelled": "it was cancelled", "lost": "it was lost"}
    return said.get(attempt.status, f"it {attempt.status}")
