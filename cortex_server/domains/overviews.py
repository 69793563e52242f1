"""What the dashboard shows of a project: counts, what works, and what needs a person."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, literal_column, select

from cortex_server.clock import iso, parse_iso
from cortex_server.db.schema import reviews, sessions, tickets
from cortex_server.db.statements import Statement
from cortex_server.db.work import attempts, permissions
from cortex_server.domains import arrivals, settings
from cortex_server.domains.attempt_states import ACTIVE as ACTIVE_ATTEMPTS
from cortex_server.domains.sessions import ACTIVE
from cortex_server.events.objects import Project
from cortex_server.store import ReadTx

RECENT = timedelta(days=1)  # so long a failed or lost attempt is shown
MOST = 50  # of each list of a project
TEXT_MAX = 200

_AT_WORK = ("starting", "running", "stopping")
_CARDS = Statement(
    select(tickets.c.status, func.count())
    .where(tickets.c.project == bindparam("project"), tickets.c.archived.is_(False))
    .group_by(tickets.c.status)
)
_WORKING = Statement(
    select(sessions.c.status, func.count())
    .where(sessions.c.project == bindparam("project"))
    .where(sessions.c.status.in_([literal_column(f"'{name}'") for name in ACTIVE]))
    .group_by(sessions.c.status)
)
_ACTIVE_ATTEMPTS = Statement(
    select(
        attempts.c.id, attempts.c.ticket, attempts.c.number, attempts.c.agent, attempts.c.status,
        attempts.c.stage, attempts.c.progress, attempts.c.runner, attempts.c.batch,
        attempts.c.lease_expires_at, attempts.c.created_at, attempts.c.started_at, tickets.c.title,
    )
    .join(tickets, tickets.c.key == attempts.c.ticket)
    .where(attempts.c.project == bindparam("project"))
    .where(attempts.c.status.in_([literal_column(f"'{name}'") for name in ACTIVE_ATTEMPTS]))
)  # fmt: skip
_later = attempts.alias("later")
_WENT_WRONG = Statement(
    select(
        attempts.c.id, attempts.c.ticket, attempts.c.agent, attempts.c.status,
        attempts.c.reason, attempts.c.ended_at, tickets.c.title,
        select(_later.c.id)
        .where(_later.c.ticket == attempts.c.ticket, _later.c.number > attempts.c.number)
        .exists().label("followed"),
    )
    .join(tickets, tickets.c.key == attempts.c.ticket)
    .where(attempts.c.project == bindparam("project"), attempts.c.ended_at > bindparam("since"))
    .where(attempts.c.status.in_([literal_column("'failed'"), literal_column("'lost'")]))
)  # fmt: skip
_ASKED = Statement(
    select(
        permissions.c.id, permissions.c.ticket, permissions.c.kind, permissions.c.created_at,
        tickets.c.title, attempts.c.agent,
        func.substr(permissions.c.title, 1, TEXT_MAX).label("text"),
    )
    .join(tickets, tickets.c.key == permissions.c.ticket)
    .outerjoin(attempts, attempts.c.id == permissions.c.attempt)
    .where(permissions.c.project == bindparam("project"), permissions.c.state == "open")
    .order_by(permissions.c.id)
)  # fmt: skip
_unanswered = permissions.alias("unanswered")
_YOUR_TURN = Statement(
    select(
        attempts.c.id, attempts.c.ticket, attempts.c.agent, attempts.c.session,
        attempts.c.updated_at, attempts.c.lease_expires_at, tickets.c.title,
    )
    .join(tickets, tickets.c.key == attempts.c.ticket)
    .join(sessions, sessions.c.id == attempts.c.session)
    .where(attempts.c.project == bindparam("project"))
    .where(attempts.c.status == literal_column("'waiting'"))
    .where(sessions.c.status == literal_column("'idle'"))
    .where(
        ~select(_unanswered.c.id)
        .where(_unanswered.c.attempt == attempts.c.id)
        .where(_unanswered.c.state == literal_column("'open'"))
        .exists()
    )
)  # fmt: skip
_REVIEWS = Statement(
    select(
        reviews.c.id, reviews.c.ticket, reviews.c.updated_at, tickets.c.title,
        reviews.c.requested_by_name.label("agent"),
        func.substr(reviews.c.summary, 1, TEXT_MAX).label("text"),
    )
    .join(tickets, tickets.c.key == reviews.c.ticket)
    .where(reviews.c.project == bindparam("project"), reviews.c.state == "requested")
)  # fmt: skip


@dataclass(frozen=True)
class Overview:
    """counts: the project's row; failed and lost are those that no later attempt followed ·
    attempts: those at work and in the queue · needs: what waits for a person · until: when a
    lease runs out, and this is to be read again.

    Both lists hold the first MOST, the oldest first; the counts are complete.
    """

    counts: dict[str, Any]
    attempts: list[dict[str, Any]]
    needs: list[dict[str, Any]]
    until: str | None


def of_project(tx: ReadTx, project: Project) -> Overview:
    """Everything that the dashboard shows of it, as of now."""
    key = project.key
    active = _ACTIVE_ATTEMPTS.all(tx.conn, project=key)
    living: list[Any] = []
    ownerless: list[Any] = []
    for row in active:
        held = row.status == "queued" or row.lease_expires_at > tx.now
        (living if held else ownerless).append(row)
    since = iso(parse_iso(tx.now) - RECENT)
    wrong = _WENT_WRONG.all(tx.conn, project=key, since=since)
    unfollowed = [row for row in wrong if not row.followed]
    asked = _ASKED.all(tx.conn, project=key)
    requested = _REVIEWS.all(tx.conn, project=key)
    turns = [row for row in _YOUR_TURN.all(tx.conn, project=key) if row.lease_expires_at > tx.now]
    by_column = _counts(tx, _CARDS, key)
    working = _counts(tx, _WORKING, key)
    done = settings.project_values(tx, project)["done_column"]
    needs = _needs(key, asked, requested, turns, unfollowed, ownerless)
    counts = {
        "project": key,
        "name": project.name,
        "columns": {column.name: by_column.get(column.name, 0) for column in project.columns},
        "sessions": {status: working.get(status, 0) for status in ACTIVE},
        "attempts": _by_status([row.status for row in [*living, *unfollowed]], len(ownerless)),
        "open_reviews": len(requested),
        "open_permissions": len(asked),
        "needs": len(needs),
        "throughput": arrivals.throughput(tx, key, done),
    }
    expiries = [row.lease_expires_at for row in living if row.lease_expires_at is not None]
    shown = sorted(living, key=lambda row: row.id)[:MOST]
    return Overview(
        counts, [_attempt(key, row) for row in shown],
        sorted(needs, key=lambda need: need["at"])[:MOST], min(expiries, default=None),
    )  # fmt: skip


def _by_status(statuses: list[str], ownerless: int) -> dict[str, int]:
    """Attempts by what the dashboard calls them."""
    return {
        "queued": statuses.count("queued"),
        "running": sum(status in _AT_WORK for status in statuses),
        "waiting": statuses.count("waiting"),
        "failed": statuses.count("failed"),
        "lost": statuses.count("lost") + ownerless,
    }


def _needs(
    key: str, asked: list[Any], requested: list[Any], turns: list[Any], wrong: list[Any],
    ownerless: list[Any],
) -> list[dict[str, Any]]:  # fmt: skip
    """All that waits for a person; a turn, which waits for words, names its session, too."""
    found = [_need(key, row.kind, row, row.text, row.created_at) for row in asked]
    found += [_need(key, "review", row, row.text, row.updated_at) for row in requested]
    found += [
        _need(key, "turn", row, row.title, row.updated_at) | {"session": row.session}
        for row in turns
    ]
    found += [_need(key, row.status, row, row.reason or row.title, row.ended_at) for row in wrong]
    found += [_need(key, "lost", row, row.title, row.lease_expires_at) for row in ownerless]
    return found


def _need(project: str, kind: str, row: Any, text: str, at: str) -> dict[str, Any]:
    """kind: permission, question, turn, review, failed, lost; turn and the last two are attempts ·
    id: of that thing · agent: who asks, null when it is not known."""
    return {
        "kind": kind, "id": row.id, "project": project, "ticket": row.ticket, "title": row.title,
        "agent": row.agent, "text": text[:TEXT_MAX], "at": at,
    }  # fmt: skip


def _attempt(project: str, row: Any) -> dict[str, Any]:
    names = (
        "id", "ticket", "number", "title", "agent", "status", "stage", "progress", "runner",
        "batch", "created_at", "started_at",
    )  # fmt: skip
    return {"project": project, **{name: getattr(row, name) for name in names}}


def _counts(tx: ReadTx, counted: Statement, project: str) -> dict[str, int]:
    return {row[0]: row[1] for row in counted.all(tx.conn, project=project)}
