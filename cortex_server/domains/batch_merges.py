"""The last part of a batch: a runner merges the branches of its attempts into one.

It is claimed like an attempt: a lease, which a generation tells from earlier ones. When the
runner is lost the next one claims it again, and goes on with what is not merged yet.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import bindparam, select, update

from cortex_server.clock import later
from cortex_server.db.statements import Statement
from cortex_server.db.work import attempts as attempt_table
from cortex_server.db.work import batches as table
from cortex_server.domains import attempt_rows, project_rows, settings
from cortex_server.domains.batch_rows import change, change_ticket, get, get_ticket, row_of
from cortex_server.errors import Conflict, NotFound
from cortex_server.events.work import Batch, Runner
from cortex_server.store import ReadTx, WriteTx

Result = Literal["merged", "conflict", "empty"]

_FREE = Statement(
    select(table.c.id, table.c.project, table.c.updated_at)
    .where(table.c.status == "merging", table.c.lease_expires_at.is_(None))
    .order_by(table.c.id)
)
_WORKED = Statement(
    select(attempt_table.c.id)
    .where(
        attempt_table.c.batch == bindparam("of"),
        attempt_table.c.runner == bindparam("runner"),
        attempt_table.c.status == "succeeded",
    )
    .limit(1)
)
_RENEW = Statement(
    update(table)
    .where(
        table.c.id == bindparam("_id"),
        table.c.generation == bindparam("_generation"),
        table.c.runner == bindparam("_runner"),
        table.c.status == "merging",
        table.c.lease_expires_at.is_not(None),
    )
    .values(lease_expires_at=bindparam("until"))
)


def claim(
    tx: WriteTx, runner: Runner, readable: frozenset[str] | None, lease_s: float
) -> dict[str, Any] | None:
    """Give the runner the oldest batch that is to be merged; None when there is none for it.

    One that has worked on it comes first, since it has the branches; others may after a lease.
    readable: the projects of the token that asks, None for all. Returns the wire's claim: batch,
    project, settings, and the attempts whose branches are still to be merged, in order.
    The claim is no change of the batch: it makes no revision and no event.
    """
    for row in _FREE.all(tx.conn):
        served = runner.projects is None or row.project in runner.projects
        if not served or not (readable is None or row.project in readable):
            continue
        worked = _WORKED.one_or_none(tx.conn, of=row.id, runner=runner.name)
        if worked is None and later(row.updated_at, lease_s) > tx.now:
            continue
        claimed = {
            "runner": runner.name, "generation": table.c.generation + 1,
            "lease_expires_at": later(tx.now, lease_s),
        }  # fmt: skip
        tx.conn.execute(update(table).where(table.c.id == row.id).values(claimed))
        return _provide(tx, get(tx, row.id))
    return None


def renew(
    tx: WriteTx, runner: Runner, claimed: Sequence[tuple[str, int]], lease_s: float
) -> list[str]:
    """Renew the leases of claims (id and generation). Returns the ids of those that are its own."""
    until = later(tx.now, lease_s)
    return [
        batch_id
        for batch_id, generation in claimed
        if _RENEW.run(
            tx.conn, _id=batch_id.lower(), _generation=generation, _runner=runner.name, until=until
        )
    ]


def expire(tx: WriteTx) -> int:
    """Give up the leases that have run out; others may claim then. Returns how many."""
    return _free(tx, table.c.lease_expires_at <= tx.now)


def release(tx: WriteTx, runner: Runner) -> int:
    """Give up those of a runner that leaves. Returns how many."""
    return _free(tx, table.c.runner == runner.name)


def report(
    tx: WriteTx,
    batch_id: str,
    generation: int,
    ticket: str,
    result: Result,
    commit: str | None = None,
    files: Sequence[str] = (),
) -> Batch:
    """Tell what became of a ticket's branch. Telling the same again changes nothing.

    merged: by `commit` · empty: there was nothing to merge · conflict: in `files`; the ticket is
    skipped, or by `on_conflict` the batch fails with it.
    Raises Conflict (stale_generation, batch_ended, not_to_merge), NotFound for another ticket.
    """
    batch = _owned(tx, batch_id, generation)
    row = get_ticket(batch, ticket)
    if batch.status != "merging":
        raise _over(batch)
    if row.status not in ("completed", "merged", "skipped"):
        raise Conflict(
            f"{row.ticket} is {row.status} in this batch: there is nothing of it to merge.",
            code="not_to_merge",
        )
    if result == "conflict":
        return _conflict(tx, batch, row.ticket, sorted(set(files)))
    after: dict[str, Any] = {"status": "completed", "commit": None, "files": [], "error": None}
    if result == "merged":
        after |= {"status": "merged", "commit": commit}
    if any(getattr(row, name) != value for name, value in after.items()):
        change_ticket(tx, batch, row.ticket, None, **after)
    return get(tx, batch.id)


def finish(
    tx: WriteTx, batch_id: str, generation: int, status: str, said: Mapping[str, Any]
) -> Batch:
    """End it, by its merger. said: branch, commit, pr_url, compare_url, reason as far as known.

    It fails where everything that there was to merge conflicts. Telling it twice is once.
    Raises Conflict (stale_generation, batch_ended).
    """
    batch = _owned(tx, batch_id, generation)
    if batch.status == status:
        return batch
    if batch.status != "merging":
        raise _over(batch)
    left = {row.status for row in batch.tickets}
    values = {**said, "ended_at": tx.now, "lease_expires_at": None}
    if status == "completed" and "skipped" in left and not left & {"merged", "completed"}:
        status = "failed"
        values["reason"] = said.get("reason") or "All of its branches conflict."
    return change(tx, batch, f"batch.{status}", status=status, **values)


def _provide(tx: ReadTx, batch: Batch) -> dict[str, Any]:
    project = project_rows.get(tx, batch.project)
    found = [
        attempt_rows.find(tx, str(row.attempt))
        for row in batch.tickets
        if row.status == "completed"
    ]
    return {
        "kind": "batch",
        "batch": batch,
        "project": project,
        "attempts": [attempt for attempt in found if attempt is not None],
        "settings": settings.project_values(tx, project),
    }


def _conflict(tx: WriteTx, batch: Batch, ticket: str, files: list[str]) -> Batch:
    why = f"Conflicts in {', '.join(files[:5])}" if files else "Conflicts"
    if len(files) > 5:
        why += f" and {len(files) - 5} more"
    after = {"files": files, "error": f"{why}.", "commit": None}
    if batch.on_conflict == "fail":
        change_ticket(tx, batch, ticket, "batch.ticket.failed", status="failed", **after)
        ended = {"reason": f"{ticket}: {after['error']}", "ended_at": tx.now}
        return change(
            tx, get(tx, batch.id), "batch.failed", status="failed", lease_expires_at=None, **ended
        )
    row = get_ticket(batch, ticket)
    if (row.status, row.files) != ("skipped", files):
        change_ticket(tx, batch, ticket, "batch.ticket.skipped", status="skipped", **after)
    return get(tx, batch.id)


def _owned(tx: ReadTx, batch_id: str, generation: int) -> Batch:
    """The batch of a claim. Every word of a merger begins here."""
    row = row_of(tx, batch_id)
    if row is None:
        raise NotFound(f"There is no batch {batch_id}; `cortex batch list` shows them.")
    batch = get(tx, row.id)
    if generation != batch.generation or generation == 0:
        raise Conflict(
            f"Batch {batch.id} is at generation {batch.generation}, the request names "
            f"{generation}: this claim is over; stop merging.",
            code="stale_generation",
            current=batch.json_dict(),
        )
    return batch


def _over(batch: Batch) -> Conflict:
    return Conflict(
        f"Batch {batch.id} has ended: it is {batch.status}.",
        code="batch_ended",
        current=batch.json_dict(),
    )


def _free(tx: WriteTx, which: Any) -> int:
    where = (table.c.status == "merging") & table.c.lease_expires_at.is_not(None) & which
    free = {"lease_expires_at": None, "runner": None}
    return tx.conn.execute(update(table).where(where).values(free)).rowcount
