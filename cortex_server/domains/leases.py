"""Leases that have run out: of attempts, of those who merge batches, and of runners."""

from sqlalchemy import bindparam, select, update

from cortex_server.clock import later
from cortex_server.db.statements import Statement
from cortex_server.db.work import attempts, batches
from cortex_server.db.work import runners as runner_table
from cortex_server.domains import attempts as attempt_verbs
from cortex_server.domains import batch_merges, runners
from cortex_server.domains.attempt_rows import HAS_RUNNER
from cortex_server.store import ReadTx, WriteTx

AT_ONCE = 50  # of one transaction
LONGEST_S = 3_600.0  # no lease is given for longer, unless the configuration says so
_EXPIRED = Statement(
    select(attempts.c.id)
    .where(HAS_RUNNER, attempts.c.lease_expires_at <= bindparam("now"))
    .order_by(attempts.c.lease_expires_at)
    .limit(AT_ONCE)
)
_SILENT = Statement(
    select(runner_table.c.id).where(
        runner_table.c.status == "online", runner_table.c.lease_expires_at <= bindparam("now")
    )
)
_MERGERS = Statement(
    select(batches.c.id).where(
        batches.c.status == "merging", batches.c.lease_expires_at <= bindparam("now")
    )
)


_TOO_LONG = [
    (
        Statement(select(table.c.id).where(where, table.c.lease_expires_at > bindparam("most"))),
        Statement(
            update(table)
            .where(where, table.c.lease_expires_at > bindparam("most"))
            .values(lease_expires_at=bindparam("until"))
        ),
    )
    for table, where in (
        (attempts, HAS_RUNNER),
        (batches, batches.c.status == "merging"),
        (runner_table, runner_table.c.status == "online"),
    )
]


def too_long(tx: ReadTx, longest_s: float) -> bool:
    """Whether a lease ends later than any can: the clock was put back since it was given."""
    most = later(tx.now, longest_s)
    return any(found.all(tx.conn, most=most) for found, _ in _TOO_LONG)


def shorten(tx: WriteTx, longest_s: float, lease_s: float) -> None:
    """Let those end a lease from now on: by the old clock they would hold without an owner."""
    most, until = later(tx.now, longest_s), later(tx.now, lease_s)
    for _, cut in _TOO_LONG:
        cut.run(tx.conn, most=most, until=until)


def are_due(tx: ReadTx) -> bool:
    """Whether a lease has run out, of an attempt, of a batch's merger, or of a runner."""
    return any(found.all(tx.conn, now=tx.now) for found in (_EXPIRED, _MERGERS, _SILENT))


def expire(tx: WriteTx) -> bool:
    """Say so: attempts are lost, batches wait for another merger, runners are offline.

    Each is a conditional change, so who comes second finds nothing to say. Returns whether all is
    said: of attempts the first AT_ONCE are.
    """
    found = expired(tx)
    for attempt_id in found:
        attempt_verbs.lose(tx, attempt_id)
    free(tx)
    return len(found) < AT_ONCE


def expired(tx: ReadTx) -> list[str]:
    """The ids of attempts whose leases have run out, the first AT_ONCE."""
    return [row.id for row in _EXPIRED.all(tx.conn, now=tx.now)]


def free(tx: WriteTx) -> None:
    """Let others merge, and say that silent runners are offline."""
    batch_merges.expire(tx)
    runners.silence(tx)
