"""Attempts: runs of agents on tickets, from the queue to their end.

`attempt_states` says which status may follow which, `attempt_rows` reads them, `claims` gives
them to runners, `leases` finds those without one.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select, update

from cortex_server.db.schema import sessions as session_table
from cortex_server.db.schema import tokens as token_table
from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import attempts
from cortex_server.domains import (
    agents,
    attempt_log,
    attempt_states,
    board_rules,
    commands,
    comments,
    endings,
    profiles,
    sessions,
    tickets,
    tokens,
)
from cortex_server.domains.attempt_rows import (
    active_of_project,
    find,
    get,
    listing,
    next_expiry,
    owned,
    stored,
)
from cortex_server.domains.attempt_states import FINAL
from cortex_server.domains.redaction import redacted
from cortex_server.domains.rows import actor_columns, bump, differences
from cortex_server.errors import Conflict, Invalid, Malformed
from cortex_server.events.objects import Ticket
from cortex_server.events.payloads import AttemptProgress
from cortex_server.events.work import Attempt, AttemptOutcome, AttemptStatus, Command, CommandKind
from cortex_server.ids import new_id
from cortex_server.store import SYSTEM, ReadTx, WriteTx

__all__ = [
    "FINAL", "active_of_project", "check_agent", "create", "end", "find", "get",
    "listing", "lose", "next_expiry", "owned", "patch", "request", "retry", "revived",
    "set_waiting", "settled", "stop", "tell",
]  # fmt: skip

_PROGRESS = {"stage", "progress"}  # changes to these are attempt.progress, others attempt.status
_OF_PROGRESS = (*sorted(_PROGRESS), "revision", "updated_at")
_UNSET = (
    "stage", "progress", "branch", "worktree", "session", "runner", "lease_expires_at", "git",
    "pr", "compare_url", "reason", "exit_code", "started_at", "ended_at",
)  # fmt: skip
_LAST_NUMBER = Statement(
    select(func.max(attempts.c.number)).where(attempts.c.ticket == bindparam("ticket"))
)
_SESSION = Statement(
    select(session_table.c.id).where(
        session_table.c.id == bindparam("id"), session_table.c.attempt == bindparam("attempt")
    )
)
_ITS_TOKENS = Statement(
    select(token_table.c.id).where(
        token_table.c.attempt == bindparam("attempt"), token_table.c.revoked_at.is_(None)
    )
)


def create(
    tx: WriteTx,
    ticket: Ticket,
    fields: dict[str, Any],
    *,
    batch: str | None = None,
    retry_of: str | None = None,
) -> Attempt:
    """Put an attempt on the ticket into the queue.

    fields: agent, and maybe profile (name or id), prompt (beside the ticket), base (a branch or
    commit). Raises Malformed (agent_unknown), Invalid for a profile that is not there or does not
    fit, Conflict (ticket_archived).
    """
    if ticket.archived:
        raise Conflict(f"{ticket.key} is archived; restore it first.", code="ticket_archived")
    if (fields.get("base") or "").startswith("-"):
        raise Invalid.field("base", "must be the name of a branch, or a commit")
    _check_agent(tx, fields["agent"])
    values = {
        **dict.fromkeys(_UNSET),
        "id": new_id(), "project": ticket.project, "ticket": ticket.key,
        "number": (_LAST_NUMBER.scalar(tx.conn, ticket=ticket.key) or 0) + 1,
        "agent": fields["agent"], "profile": _profile(tx, ticket, fields), "status": "queued",
        "prompt": fields.get("prompt"), "base": fields.get("base"), "generation": 0,
        "todos": [], "files": [], "batch": batch, "retry_of": retry_of,
        **actor_columns("started_by", tx.actor),
        "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    insertion(attempts).run(tx.conn, **values)
    attempt = get(tx, str(values["id"]))
    tx.emit("attempt.started", attempt, attempt.project, attempt.ticket)
    return attempt


def check_agent(tx: ReadTx, ticket: Ticket, fields: dict[str, Any]) -> None:
    """Refuse, before anything is created, an agent or a profile that `create` would refuse."""
    _check_agent(tx, fields["agent"])
    _profile(tx, ticket, fields)


def retry(tx: WriteTx, attempt: Attempt, batch: str | None = None) -> Attempt:
    """Put the same once more into the queue. Raises Conflict (not_over) unless it went wrong."""
    attempt = settled(tx, attempt)
    if attempt.status not in attempt_states.RETRIED:
        does = "succeeded" if attempt.status == "succeeded" else f"is {attempt.status}"
        raise Conflict(
            f"{attempt_states.name(attempt)} {does}; one that failed, was cancelled or lost can be "
            f"tried again. `cortex attempt start {attempt.ticket}` starts another.",
            code="not_over",
        )
    wanted = {name: getattr(attempt, name) for name in ("agent", "profile", "prompt", "base")}
    return create(tx, tickets.get(tx, attempt.ticket), wanted, batch=batch, retry_of=attempt.id)


def patch(tx: WriteTx, attempt: Attempt, changes: dict[str, Any]) -> Attempt:
    """Tell how the attempt goes on. One revision, up to two events; no change, no event.

    Where it begins to run, its conversation no longer starts but works.

    changes: of status, stage, progress, branch, worktree, base, session.
    attempt: what `owned` gave. Raises Conflict for a refused status, and (lease_expired) when its
    lease has run out: it reads as lost until a heartbeat renews it.
    """
    check_held(tx, attempt)
    changed = differences(attempt, _checked(tx, attempt, changes))
    if "status" in changed:
        attempt_states.check(attempt, changed["status"])
    updated = _change(tx, attempt, changed) if changed else attempt
    if changed.get("status") == "running" and updated.session is not None:
        root = sessions.get(tx, updated.session)
        if root.status == "starting":
            sessions.patch(tx, root, {"status": "working"}, None)
    return updated


def check_held(tx: ReadTx, attempt: Attempt) -> None:
    """Refuse what only its owner may set off. Raises Conflict.

    no_runner: it waits in the queue · lease_expired: it reads as lost, until a heartbeat renews
    the lease · attempt_ended.
    """
    now = get(tx, attempt.id)
    if now.status == "lost" and stored(tx, now.id).status != "lost":
        raise Conflict(
            f"The lease of {attempt_states.name(now)} has run out; send a heartbeat first.",
            code="lease_expired",
        )
    _check_claimed(now)


def _check_claimed(attempt: Attempt) -> None:
    """Raises Conflict (attempt_ended, no_runner)."""
    attempt_states.check_active(attempt)
    if attempt.status == "queued":
        raise Conflict(
            f"{attempt_states.name(attempt)} waits in the queue: no runner has it yet.",
            code="no_runner",
        )


def _change(tx: WriteTx, attempt: Attempt, changed: dict[str, Any]) -> Attempt:
    """Write and tell what is new of it."""
    bump(tx, attempts, attempt.id, attempt, changed)
    updated = get(tx, attempt.id)
    if changed.keys() - _PROGRESS:
        tell(tx, updated)
    if changed.keys() & _PROGRESS:
        shown = {"attempt": updated.id, **{name: getattr(updated, name) for name in _OF_PROGRESS}}
        progress = AttemptProgress.model_validate(shown)
        tx.emit("attempt.progress", progress, updated.project, updated.ticket)
    return updated


def _checked(tx: ReadTx, attempt: Attempt, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes without secrets. Raises Invalid for a session of another attempt."""
    session = changes.get("session")
    if session is not None and _SESSION.scalar(tx.conn, id=session, attempt=attempt.id) is None:
        raise Invalid.field("session", f"there is no session {session} of this attempt")
    said = changes.get("progress")
    return changes if said is None else {**changes, "progress": redacted(said)}


def set_waiting(tx: WriteTx, attempt: Attempt, waiting: bool) -> Attempt:
    """Say that it waits for a person, or no longer does; nothing changes unless it is at work."""
    now = stored(tx, attempt.id)  # also without a lease: a heartbeat may still renew it
    status: AttemptStatus = "waiting" if waiting else "running"
    if now.status not in ("starting", "running", "waiting") or now.status == status:
        return now
    if now.status == "starting" and not waiting:
        return now
    return _change(tx, now, {"status": status})


def stop(tx: WriteTx, attempt: Attempt, reason: str | None = None) -> Attempt:
    """Have it stopped. In the queue it is cancelled at once; else its runner gets the command,
    and says when all of it is dead. Stopping it again changes nothing.

    Raises Conflict (attempt_ended).
    """
    attempt = settled(tx, attempt)
    attempt_states.check_active(attempt)
    if attempt.status == "queued":
        return _finish(tx, attempt, "cancelled", reason=reason or _said_by(tx))
    if attempt.status == "stopping":
        return attempt
    attempt_states.check(attempt, "stopping")
    values = {"status": "stopping", "reason": reason or _said_by(tx)}
    bump(tx, attempts, attempt.id, attempt, values)
    stopping = get(tx, attempt.id)
    commands.put(tx, stopping, "stop", {})
    tell(tx, stopping)
    return stopping


def end(
    tx: WriteTx,
    attempt_id: str,
    generation: int,
    status: AttemptOutcome,
    reason: str | None = None,
    exit_code: int | None = None,
) -> Attempt:
    """Tell how it ended, by its runner: all of its processes are dead. Telling it twice is once.

    Raises what `owned` raises, and Conflict (refused_transition).
    """
    before = stored(tx, attempt_id)
    if (before.status, before.generation) == (status, generation):
        return before
    attempt = owned(tx, attempt_id, generation)
    stopped = attempt.reason if status == "cancelled" else None  # who had it stopped
    said = stopped if reason is None else redacted(reason)
    return _finish(tx, attempt, status, reason=said, exit_code=exit_code)


def lose(tx: WriteTx, attempt_id: str) -> Attempt | None:
    """Say that an attempt is lost whose lease has run out, on its ticket too, by the system.

    Returns None, and does nothing, when it has not: who asks may be late.
    """
    attempt = stored(tx, attempt_id)
    if attempt.status not in attempt_states.CLAIMED:
        return None
    ours = replace(tx, actor=SYSTEM)  # the same transaction, whoever's request found it out
    reason = f"Nothing was heard of runner {attempt.runner} while it was {attempt.status}."
    expired = attempts.c.lease_expires_at <= tx.now
    lost = _end_as(ours, attempt, {"status": "lost", "reason": reason}, expired)
    if lost is None:
        return None
    attempt_log.append(ours, lost, [{"kind": "system", "text": reason}])
    said = (
        f"{attempt_states.name(lost)} by {lost.agent} is lost. {reason} Its processes end by "
        f"themselves, and its worktree stays. `cortex attempt retry {lost.id}` tries again."
    )
    comments.add(ours, tickets.get(tx, lost.ticket), {"body": said})
    endings.attempt_ended(ours, lost)
    return get(tx, lost.id)


def revived(tx: WriteTx, attempt_id: str) -> None:
    """Tell of one that read as lost for a while, and whose owner was heard of again."""
    attempt = stored(tx, attempt_id)
    bump(tx, attempts, attempt.id, attempt, {})
    tell(tx, attempt)


def request(tx: WriteTx, attempt: Attempt, kind: CommandKind, payload: dict[str, Any]) -> Command:
    """Have its runner do something. Raises Conflict (attempt_ended, no_runner)."""
    now = get(tx, attempt.id)
    _check_claimed(now)
    return commands.put(tx, now, kind, payload)


def tell(tx: WriteTx, attempt: Attempt) -> None:
    """Emit attempt.status with what is new of it.

    As it is stored: a lease that has run out is told when it is said, by `lose`, and only then.
    """
    told = stored(tx, attempt.id)
    tx.emit("attempt.status", told, told.project, told.ticket)


def _finish(tx: WriteTx, attempt: Attempt, status: AttemptStatus, **said: Any) -> Attempt:
    attempt_states.check(attempt, status)
    ended = _end_as(tx, attempt, {"status": status, **said})
    if ended is None:
        raise Conflict(
            f"{attempt_states.name(attempt)} was changed meanwhile; look at it again.",
            code="conflict",
        )
    if status == "succeeded":
        board_rules.apply(tx, ended, "succeeded_moves_to")
    endings.attempt_ended(tx, ended)
    return get(tx, ended.id)


def _end_as(
    tx: WriteTx, attempt: Attempt, values: dict[str, Any], *where: ColumnElement[bool]
) -> Attempt | None:
    """Give it a final status, if it is still what it was; tell it, and take its rights."""
    done = update(attempts).where(
        attempts.c.id == attempt.id, attempts.c.revision == attempt.revision, *where
    )
    stamped = {
        **values, "lease_expires_at": None, "ended_at": tx.now, "updated_at": tx.now,
        "revision": attempt.revision + 1,
    }  # fmt: skip
    if tx.conn.execute(done.values(stamped)).rowcount == 0:
        return None
    commands.drop(tx, attempt.id)
    for row in _ITS_TOKENS.all(tx.conn, attempt=attempt.id):
        tokens.revoke(tx, tokens.get(tx, row.id))
    ended = get(tx, attempt.id)
    tell(tx, ended)
    return ended


def settled(tx: WriteTx, attempt: Attempt) -> Attempt:
    """The attempt as it is, after saying that it is lost if its lease has run out."""
    now = get(tx, attempt.id)
    return (lose(tx, now.id) or get(tx, now.id)) if now.status == "lost" else now


def _said_by(tx: WriteTx) -> str:
    return f"Stopped by {tx.actor.name}."


def _check_agent(tx: ReadTx, wanted: str) -> None:
    if agents.find(tx, wanted) is not None:
        return
    names = agents.names(tx)
    known = f"There are {', '.join(names)}" if names else "None is known yet"
    raise Malformed(
        f"No runner has offered the agent {wanted}. {known}; "
        "start `cortex runner` where it is installed.",
        code="agent_unknown",
    )


def _profile(tx: ReadTx, ticket: Ticket, fields: dict[str, Any]) -> str | None:
    """The profile's name. Raises Invalid unless it is for this agent and project."""
    ref = fields.get("profile")
    if ref is None:
        return None
    profile = profiles.find(tx, ref)
    if profile is None:
        raise Invalid.field("profile", f"there is no profile {ref}")
    if profile.agent != fields["agent"]:
        raise Invalid.field("profile", f"{profile.name} is for the agent {profile.agent}")
    if profile.project not in (None, ticket.project):
        raise Invalid.field("profile", f"{profile.name} is for the project {profile.project}")
    return profile.name
