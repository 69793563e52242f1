"""Claims: a runner is given the next attempt, for as long as its lease lasts.

The project with the fewest attempts at work comes first, then the attempt that waits longest.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select, update

from cortex_server.clock import later
from cortex_server.db.schema import projects as project_table
from cortex_server.db.schema import ticket_dependencies as needs
from cortex_server.db.schema import tickets as ticket_table
from cortex_server.db.statements import Statement
from cortex_server.db.work import attempts, batch_tickets
from cortex_server.domains import (
    attempt_rows,
    board_rules,
    conversations,
    profiles,
    project_rows,
    settings,
    tickets,
    tokens,
)
from cortex_server.domains import attempts as attempt_verbs
from cortex_server.domains.attempt_rows import HAS_RUNNER
from cortex_server.domains.attempt_states import name
from cortex_server.events.objects import Actor
from cortex_server.events.work import Attempt, Runner
from cortex_server.store import ReadTx, WriteTx

_BUSY = Statement(select(attempts.c.project, attempts.c.runner).where(HAS_RUNNER))
_WAITING = Statement(
    select(project_table.c.key.label("project")).where(
        select(attempts.c.id)
        .where(attempts.c.project == project_table.c.key, attempts.c.status == "queued")
        .exists()
    )
)
_other = ticket_table.alias("other")
# A batch begins with a ticket when those of it that it depends on are completed, on their branch.
_MET_IN_BATCH = select(batch_tickets.c.ticket).where(
    batch_tickets.c.batch == attempts.c.batch,
    batch_tickets.c.ticket == _other.c.key,
    batch_tickets.c.status.in_(["completed", "merged"]),
)
_UNMET = (
    select(needs.c.depends_on)
    .join(_other, _other.c.key == needs.c.depends_on)
    .where(
        needs.c.ticket == attempts.c.ticket,
        _other.c.archived.is_(False),
        _other.c.status != bindparam("done"),
        ~_MET_IN_BATCH.exists(),
    )
)
_CLAIM = Statement(
    update(attempts)
    .where(attempts.c.id == bindparam("_id"), attempts.c.status == "queued")
    .values(
        status="starting",
        generation=attempts.c.generation + 1,
        runner=bindparam("runner"),
        lease_expires_at=bindparam("until"),
        started_at=bindparam("started_at"),
    )
)
_MINE = (
    (attempts.c.id == bindparam("_id"))
    & (attempts.c.generation == bindparam("_generation"))
    & (attempts.c.runner == bindparam("_runner"))
    & HAS_RUNNER
)
_RENEW = Statement(
    update(attempts)
    .where(_MINE, attempts.c.lease_expires_at > bindparam("now"))
    .values(lease_expires_at=bindparam("until"))
)
_REVIVE = Statement(update(attempts).where(_MINE).values(lease_expires_at=bindparam("until")))


def claim(
    tx: WriteTx, runner: Runner, readable: frozenset[str] | None, lease_s: float
) -> dict[str, Any] | None:
    """Give the runner the next attempt that it may run, or None.

    It has the agent, serves the project, runs less than it may, and so does the project; the
    tickets that the ticket depends on are done or archived. readable: the projects of the token
    that asks, None for all. Returns the wire's claim: attempt, ticket, project, profile, settings,
    token (the secret of one for this attempt), session.
    """
    attempt = _next(tx, runner, readable)
    if attempt is None:
        return None
    claimed = _CLAIM.run(
        tx.conn, _id=attempt.id, runner=runner.name, until=later(tx.now, lease_s),
        started_at=tx.now,
    )  # fmt: skip
    return _provide(tx, attempt_rows.get(tx, attempt.id)) if claimed else None


def renew(
    tx: WriteTx, runner: Runner, claimed: Sequence[tuple[str, int]], lease_s: float
) -> list[str]:
    """Renew the leases of claims (id and generation). Returns the ids of those that are its own."""
    until = later(tx.now, lease_s)
    renewed = []
    for attempt_id, generation in claimed:
        mine = {"_id": attempt_id.lower(), "_generation": generation, "_runner": runner.name}
        if _RENEW.run(tx.conn, **mine, until=until, now=tx.now):
            renewed.append(attempt_id)
        elif _REVIVE.run(tx.conn, **mine, until=until):
            renewed.append(attempt_id)
            attempt_verbs.revived(tx, attempt_id)
    return renewed


def _next(tx: ReadTx, runner: Runner, readable: frozenset[str] | None) -> Attempt | None:
    """The attempt that is due. One whose runner is silent counts as running until it is lost."""
    busy = _BUSY.all(tx.conn)
    if not runner.agents or sum(row.runner == runner.name for row in busy) >= runner.parallel:
        return None
    found: list[tuple[int, str]] = []
    for row in _WAITING.all(tx.conn):
        served = runner.projects is None or row.project in runner.projects
        if served and (readable is None or row.project in readable):
            running = sum(other.project == row.project for other in busy)
            if (first := _first_of(tx, runner, row.project, running)) is not None:
                found.append((running, first))
    return attempt_rows.get(tx, min(found)[1]) if found else None


def _first_of(tx: ReadTx, runner: Runner, key: str, running: int) -> str | None:
    """The id of the project's oldest attempt that could start now."""
    values = settings.project_values(tx, project_rows.get(tx, key))
    if running >= values["attempts_parallel"]:
        return None
    queued = (
        select(attempts.c.id)
        .where(
            attempts.c.project == key,
            attempts.c.status == "queued",
            attempts.c.agent.in_(runner.agents),
            ~_UNMET.exists(),
        )
        .order_by(attempts.c.id)
        .limit(1)
    )
    first: str | None = tx.conn.scalar(queued, {"done": values["done_column"]})
    return first


def _provide(tx: WriteTx, attempt: Attempt) -> dict[str, Any]:
    """Give the claim what belongs to it, and tell it."""
    project = project_rows.get(tx, attempt.project)
    ticket = tickets.get(tx, attempt.ticket)
    profile = None if attempt.profile is None else profiles.find(tx, attempt.profile)
    fields = {
        "attempt": attempt.id,
        "agent": attempt.agent,
        "model": profile.options.model if profile else None,
        "title": ticket.title,
    }
    session = conversations.start(tx, ticket, fields)
    token = tokens.insert_token(
        tx, name=name(attempt), role="agent", actor=Actor(kind="agent", name=attempt.agent),
        ticket=attempt.ticket, attempt=attempt.id,
    )  # fmt: skip
    started = attempt_rows.get(tx, attempt.id)
    attempt_verbs.tell(tx, started)
    board_rules.apply(tx, started, "started_moves_to")
    return {
        "kind": "attempt",
        "attempt": started,
        "ticket": tickets.get(tx, attempt.ticket),
        "project": project,
        "profile": profile,
        "settings": settings.project_values(tx, project),
        "token": token.secret,
        "session": session,
    }
