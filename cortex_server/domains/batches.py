"""Batches: several tickets run together, by order or some at a time, and merged in the end.

All of their state is in the database: what comes next is found from it whenever something of the
batch has changed, in the transaction of that change. `batch_rows` reads them, `batch_merges` is
their last part.
"""

from typing import Any

from sqlalchemy import update

from cortex_server.db.statements import insertion
from cortex_server.db.work import batch_tickets
from cortex_server.db.work import batches as table
from cortex_server.domains import attempts, endings, project_rows, settings, tickets
from cortex_server.domains.batch_rows import (
    ENDED,
    change,
    change_ticket,
    find,
    get,
    get_ticket,
    listing,
    of_board,
    row_of,
)
from cortex_server.domains.rows import actor_columns, check_revision
from cortex_server.errors import Conflict, Invalid, Malformed, NotFound
from cortex_server.events.objects import Project, Ticket
from cortex_server.events.work import Attempt, Batch, BatchTicket
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

__all__ = [
    "attempt_ended", "cancel", "create", "find", "get", "get_ticket", "listing", "of_board",
    "retry", "start",
]  # fmt: skip

DONE = ("completed", "merged")
GIVEN_UP = ("failed", "skipped", "cancelled")
_AFTER = {
    "succeeded": ("completed", "batch.ticket.completed"),
    "cancelled": ("cancelled", "batch.ticket.cancelled"),
    "failed": ("failed", "batch.ticket.failed"),
    "lost": ("failed", "batch.ticket.failed"),
}
_OPTIONS = {
    "mode": "sequential", "limit": None, "stop_on_failure": False, "on_conflict": "skip",
    "merge": True, "profile": None, "prompt": None,
}  # fmt: skip
_UNSET = (
    "branch", "commit", "pr_url", "compare_url", "reason", "runner", "lease_expires_at",
    "started_at", "ended_at",
)  # fmt: skip


def create(tx: WriteTx, project: Project, fields: dict[str, Any]) -> Batch:
    """Create a batch, and start it unless `start` is false.

    fields: tickets (keys or ids, in order), agent, and maybe name, profile, prompt, mode, limit,
    stop_on_failure, on_conflict, merge. Raises Invalid for a ticket that is not there, is archived
    or comes twice, and what `attempts.create` raises for agent and profile.
    """
    found = _tickets(tx, project, fields["tickets"])
    options = {name: fields.get(name, default) for name, default in _OPTIONS.items()}
    attempts.check_agent(tx, found[0], {**options, "agent": fields["agent"]})
    batch_id = new_id()
    insertion(table).run(
        tx.conn,
        **dict.fromkeys(_UNSET), **options, **actor_columns("created_by", tx.actor),
        id=batch_id, project=project.key, agent=fields["agent"], status="pending",
        name=fields.get("name") or _name(found), cancelling=False, generation=0,
        revision=1, created_at=tx.now, updated_at=tx.now,
    )  # fmt: skip
    rows: list[dict[str, Any]] = [
        {
            "batch": batch_id, "place": place, "ticket": ticket.key, "title": ticket.title,
            "status": "pending", "attempt": None, "error": None, "files": [], "commit": None,
        }
        for place, ticket in enumerate(found)
    ]  # fmt: skip
    insertion(batch_tickets).run_many(tx.conn, rows)
    batch = get(tx, batch_id)
    tx.emit("batch.created", batch, batch.project)
    return start(tx, batch, None) if fields.get("start", True) else batch


def start(tx: WriteTx, batch: Batch, revision: int | None) -> Batch:
    """Begin with its tickets. Starting one that runs changes nothing.

    Raises Conflict (batch_ended).
    """
    check_revision(f"Batch {batch.id}", batch, revision)
    _check_active(batch)
    if batch.status != "pending":
        return batch
    change(tx, batch, "batch.started", status="running", started_at=tx.now)
    return _advance(tx, batch.id)


def cancel(tx: WriteTx, batch: Batch, revision: int | None) -> Batch:
    """Give it up: tickets that have not begun are cancelled, its attempts are stopped.

    It is cancelled when the last of them has ended, so not before all of it is dead; what is
    merged just then is left. Doing it again changes nothing. Raises Conflict (batch_ended).
    """
    if batch.status == "cancelled":
        return batch
    check_revision(f"Batch {batch.id}", batch, revision)
    _check_active(batch)
    if batch.status == "merging":
        # another generation: whoever merges it hears so with the next word that it says
        over = {"generation": batch.generation + 1, "lease_expires_at": None}
        return _end(tx, batch, "cancelled", _by(tx), **over)
    asked = {"cancelling": True, "reason": _by(tx)}
    tx.conn.execute(update(table).where(table.c.id == batch.id).values(asked))
    _give_up_pending(tx, batch, _by(tx))
    if batch.status == "pending":
        return _end(tx, get(tx, batch.id), "cancelled", _by(tx))
    for ticket in get(tx, batch.id).tickets:
        if ticket.status == "running":
            _stop(tx, ticket)
    return _advance(tx, batch.id)


def retry(tx: WriteTx, attempt: Attempt) -> Attempt:
    """Try an attempt again. While its batch runs the new one takes the place of the old one.

    Otherwise it belongs to no batch. Raises what `attempts.retry` raises.
    """
    attempt = attempts.settled(tx, attempt)  # when it turns out to be lost, its batch goes on
    batch = _batch_of(tx, attempt)
    if batch is None or batch.status != "running" or row_of(tx, batch.id).cancelling:
        return attempts.retry(tx, attempt)
    again = attempts.retry(tx, attempt, batch=batch.id)
    now = {"status": "running", "attempt": again.id, "error": None}
    change_ticket(tx, batch, again.ticket, "batch.ticket.started", **now)
    return again


@endings.going_on
def attempt_ended(tx: WriteTx, attempt: Attempt) -> None:
    """Note how the attempt of a batch ended, and go on with the next ones."""
    batch = _batch_of(tx, attempt)
    if batch is None or batch.status != "running":
        return
    status, event = _AFTER[attempt.status]
    error = attempt.reason if status != "completed" else None
    change_ticket(tx, batch, attempt.ticket, event, status=status, error=error)
    _advance(tx, batch.id)


def _advance(tx: WriteTx, batch_id: str) -> Batch:
    """Do what comes next, however it came to where it is; the batch as it is then."""
    batch = get(tx, batch_id)
    if batch.status != "running":
        return batch
    if batch.stop_on_failure and any(t.status == "failed" for t in batch.tickets):
        # what runs may go on: its work is not lost, and nothing new begins
        _give_up_pending(tx, batch, "Another ticket of the batch failed.")
    else:
        _begin_next(tx, batch)
    batch = get(tx, batch_id)
    if any(ticket.status in ("pending", "running") for ticket in batch.tickets):
        return batch
    return _all_tried(tx, batch)


def _begin_next(tx: WriteTx, batch: Batch) -> None:
    """Begin with as many tickets as there is room for, in their order."""
    rows = {row.ticket: row for row in batch.tickets}
    room = _limit(tx, batch) - sum(row.status == "running" for row in rows.values())
    changed = True
    while changed:  # a ticket that is given up may take others along, also earlier ones
        changed = False
        for row in [row for row in rows.values() if row.status == "pending"]:
            after = _next_of(tx, batch, row, rows, room)
            room -= after.status == "running"
            changed |= after is not row
            rows[row.ticket] = after
            if after.status == "failed" and batch.stop_on_failure:
                _give_up_pending(tx, get(tx, batch.id), "Another ticket of the batch failed.")
                return


def _next_of(
    tx: WriteTx, batch: Batch, row: BatchTicket, rows: dict[str, BatchTicket], room: int
) -> BatchTicket:
    """What becomes of a ticket that has not begun: it begins, is given up, or waits (as it was)."""
    ticket = tickets.find(tx, row.ticket)
    if ticket is None:
        return _failed(tx, batch, row, "The ticket was deleted.")
    needed = [rows[key] for key in rows if key in ticket.depends_on]
    for other in needed:
        if other.status in GIVEN_UP:
            why = f"It depends on {other.ticket}, which is {other.status}."
            given_up = {"status": "cancelled", "error": why}
            return change_ticket(tx, batch, row.ticket, "batch.ticket.cancelled", **given_up)
    if room <= 0 or any(other.status not in DONE for other in needed):
        return row
    return _begin(tx, batch, row, ticket, needed)


def _begin(
    tx: WriteTx, batch: Batch, row: BatchTicket, ticket: Ticket, needed: list[BatchTicket]
) -> BatchTicket:
    """Start an attempt. It goes on from the branch of the last one that it depends on."""
    fields: dict[str, Any] = {
        "agent": batch.agent, "profile": batch.profile, "prompt": batch.prompt,
    }  # fmt: skip
    before = attempts.find(tx, str(needed[-1].attempt)) if needed else None
    if before is not None and before.branch is not None:
        fields["base"] = before.branch
    try:
        attempt = attempts.create(tx, ticket, fields, batch=batch.id)
    except (Conflict, Invalid, Malformed, NotFound) as refused:
        return _failed(tx, batch, row, refused.detail)
    now = {"status": "running", "attempt": attempt.id}
    return change_ticket(tx, batch, row.ticket, "batch.ticket.started", **now)


def _failed(tx: WriteTx, batch: Batch, row: BatchTicket, why: str) -> BatchTicket:
    return change_ticket(tx, batch, row.ticket, "batch.ticket.failed", status="failed", error=why)


def _give_up_pending(tx: WriteTx, batch: Batch, why: str) -> None:
    for row in batch.tickets:
        if row.status == "pending":
            given_up = {"status": "cancelled", "error": why}
            change_ticket(tx, batch, row.ticket, "batch.ticket.cancelled", **given_up)


def _stop(tx: WriteTx, row: BatchTicket) -> None:
    try:
        attempts.stop(tx, attempts.get(tx, str(row.attempt)), "The batch was cancelled.")
    except Conflict:
        pass  # it turned out to be lost, which is noted by now


def _all_tried(tx: WriteTx, batch: Batch) -> Batch:
    """Nothing of it runs or will run: merge what there is, or end."""
    by_status = {row.status: row for row in batch.tickets}
    if row_of(tx, batch.id).cancelling:
        return _end(tx, batch, "cancelled", batch.reason)
    if batch.stop_on_failure and (failed := by_status.get("failed")):
        return _end(tx, batch, "failed", f"{failed.ticket} failed: {failed.error or 'no reason'}")
    if "completed" not in by_status:
        return _end(tx, batch, "failed", "None of its tickets was completed.")
    if batch.merge:
        return change(tx, batch, "batch.merging", status="merging")
    return _end(tx, batch, "completed", None)


def _end(tx: WriteTx, batch: Batch, status: str, reason: str | None, **more: Any) -> Batch:
    ended = {"status": status, "reason": reason, "ended_at": tx.now, **more}
    return change(tx, batch, f"batch.{status}", **ended)


def _batch_of(tx: ReadTx, attempt: Attempt) -> Batch | None:
    """The batch in which this attempt is the one that counts for its ticket."""
    batch = None if attempt.batch is None else find(tx, attempt.batch)
    mine = batch is not None and any(row.attempt == attempt.id for row in batch.tickets)
    return batch if mine else None


def _limit(tx: ReadTx, batch: Batch) -> int:
    if batch.mode == "sequential":
        return 1
    if batch.limit is not None:
        return batch.limit
    project = project_rows.get(tx, batch.project)
    return int(settings.project_values(tx, project)["attempts_parallel"])


def _tickets(tx: ReadTx, project: Project, refs: list[str]) -> list[Ticket]:
    found: dict[str, Ticket] = {}
    for ref in refs:
        ticket = tickets.find(tx, ref)
        if ticket is None or ticket.project != project.key:
            raise Invalid.field("tickets", f"there is no ticket {ref} in project {project.key}")
        if ticket.archived:
            raise Invalid.field("tickets", f"{ticket.key} is archived; restore it first")
        if ticket.key in found:
            raise Invalid.field("tickets", f"{ticket.key} comes twice")
        found[ticket.key] = ticket
    return list(found.values())


def _check_active(batch: Batch) -> None:
    if batch.status in ENDED:
        raise Conflict(
            f"Batch {batch.id} has ended: it is {batch.status}; create another.",
            code="batch_ended",
        )


def _name(found: list[Ticket]) -> str:
    rest = len(found) - 1
    return f"{found[0].key} and {rest} more" if rest else found[0].key


def _by(tx: WriteTx) -> str:
    return f"Cancelled by {tx.actor.name}."
