"""What runners are to do: a durable queue. What is not acknowledged is given out again."""

from typing import Any

from sqlalchemy import bindparam, delete, func, select, update

from cortex_server.clock import later
from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import runner_commands as queue
from cortex_server.domains import attempt_log, attempt_rows
from cortex_server.errors import Conflict, NotFound
from cortex_server.events.work import Attempt, Command, CommandKind
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

KEPT_S = 86_400  # an acknowledged one: so long a repeated acknowledgement is none of the unknown
GIVEN_OUT = 100  # at a time
OF_ONE_MAX = 50  # that wait, of an attempt; its own agent may ask for some
_OPEN = (queue.c.runner == bindparam("runner")) & queue.c.acked_at.is_(None)
_WAITING = select(queue).where(_OPEN).order_by(queue.c.id).limit(GIVEN_OUT)
_STOPS = Statement(_WAITING.where(queue.c.kind == "stop"))
_OTHERS = Statement(_WAITING.where(queue.c.kind != "stop"))
_OF_ATTEMPT = Statement(
    select(func.count()).select_from(queue).where(_OPEN, queue.c.attempt == bindparam("attempt"))
)
_COUNT = Statement(select(func.count()).select_from(queue).where(_OPEN))
_BY_ID = Statement(
    select(queue).where(queue.c.id == bindparam("id"), queue.c.runner == bindparam("runner"))
)
_ACK = Statement(
    update(queue)
    .where(queue.c.id == bindparam("_id"), queue.c.acked_at.is_(None))
    .values(acked_at=bindparam("acked_at"), error=bindparam("error"))
)
_DROP = Statement(
    update(queue)
    .where(queue.c.attempt == bindparam("_attempt"), queue.c.acked_at.is_(None))
    .values(acked_at=bindparam("acked_at"))
)


def put(tx: WriteTx, attempt: Attempt, kind: CommandKind, payload: dict[str, Any]) -> Command:
    """Put a command into the queue of the attempt's runner.

    Raises Conflict (too_many_commands), not for the one that stops it.
    """
    waits = _OF_ATTEMPT.scalar(tx.conn, runner=str(attempt.runner), attempt=attempt.id)
    if kind != "stop" and waits >= OF_ONE_MAX:
        raise Conflict(
            f"The runner has not done {waits} commands yet; try again later.",
            code="too_many_commands",
        )
    made = Command(
        id=new_id(), runner=str(attempt.runner), attempt=attempt.id, kind=kind, payload=payload,
        created_at=tx.now,
    )  # fmt: skip
    insertion(queue).run(tx.conn, **made.model_dump(), acked_at=None, error=None)
    return made


def waiting(tx: ReadTx, runner: str) -> list[Command]:
    """Those that the runner (by name) has not acknowledged, at most GIVEN_OUT: what stops an
    attempt, then the others, oldest first."""
    # nothing that was put before it may hold up a stop
    found = [*_STOPS.all(tx.conn, runner=runner), *_OTHERS.all(tx.conn, runner=runner)]
    return [_command(row) for row in found[:GIVEN_OUT]]


def count(tx: ReadTx, runner: str) -> int:
    return int(_COUNT.scalar(tx.conn, runner=runner))


def acknowledge(tx: WriteTx, runner: str, command_id: str, error: str | None) -> Command:
    """Take a command out of the queue; doing it again changes nothing.

    error: why it could not be done; the attempt's log says so, too.
    Raises NotFound for one that was not put for this runner.
    """
    row = _BY_ID.one_or_none(tx.conn, id=command_id.lower(), runner=runner)
    if row is None:
        raise NotFound(f"There is no command {command_id} for this runner.")
    if _ACK.run(tx.conn, _id=row.id, acked_at=tx.now, error=error) and error is not None:
        said = f"The runner could not do what was asked ({row.kind}): {error}"
        attempt_log.append(
            tx, attempt_rows.get(tx, row.attempt), [{"kind": "system", "text": said}]
        )
    return _command(row)


def drop(tx: WriteTx, attempt_id: str) -> None:
    """Take all commands of an attempt out: it has ended."""
    _DROP.run(tx.conn, _attempt=attempt_id, acked_at=tx.now)


def expire(tx: WriteTx) -> int:
    """Forget those that were acknowledged a day ago. Returns how many."""
    return tx.conn.execute(delete(queue).where(queue.c.acked_at <= later(tx.now, -KEPT_S))).rowcount


def _command(row: Any) -> Command:
    fields = row._asdict()
    return Command.model_validate({name: fields[name] for name in Command.model_fields})
