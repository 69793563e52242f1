"""Calls that triggers make: an outbox. A call is stored with what it tells of, and leaves after.

It may arrive twice, with the same id; and not in the order of the events.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update

from cortex_server.clock import later, parse_iso
from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import trigger_calls as calls
from cortex_server.domains import pages, triggers
from cortex_server.domains.pages import Listing
from cortex_server.events.work import TriggerCall
from cortex_server.store import ReadTx, WriteTx

FIRST_S, LONGEST_S = 5.0, 7_200.0  # between two tries
GIVEN_UP_S = 86_400  # after so long
KEPT_S = 7 * 86_400  # one that has ended
TAKEN_S = 60.0  # so long a try may last; then another process may begin the next one
WAITING_MAX = 1_000  # of one trigger
_BY_ID = Statement(select(calls).where(calls.c.id == bindparam("id")))
_WAITING = Statement(
    select(func.count())
    .select_from(calls)
    .where(calls.c.trigger == bindparam("trigger"), calls.c.status == "waiting")
)


@dataclass(frozen=True)
class Sending:
    """One try. headers: with the signature over the time of this try and the body."""

    call: str
    trigger: str
    url: str
    body: bytes
    headers: dict[str, str]


def put(tx: WriteTx, call_id: str, trigger: str, url: str, body: str) -> None:
    """Put a call into the outbox; it leaves after the commit."""
    insertion(calls).run(
        tx.conn, id=call_id, trigger=trigger, url=url, body=body, status="waiting", tries=0,
        next_at=tx.now, answer=None, created_at=tx.now, ended_at=None,
    )  # fmt: skip


def waiting(tx: ReadTx, trigger: str) -> int:
    """How many calls of the trigger are still to leave."""
    return int(_WAITING.scalar(tx.conn, trigger=trigger))


def due(tx: ReadTx, busy: Iterable[str], limit: int) -> list[tuple[str, str]]:
    """The ids of calls that are due and of their triggers. busy: triggers that have to wait."""
    query = select(calls.c.id, calls.c.trigger).where(
        calls.c.status == "waiting", calls.c.next_at <= tx.now, calls.c.trigger.not_in(busy)
    )
    rows = tx.conn.execute(query.order_by(calls.c.next_at).limit(limit))
    return [(row.id, row.trigger) for row in rows]


def begin(tx: WriteTx, call_id: str) -> Sending | None:
    """Take a call that is due, for one try. None when another process has it, or it is gone."""
    row = _BY_ID.one_or_none(tx.conn, id=call_id)
    if row is None or row.status != "waiting" or row.next_at > tx.now:
        return None
    taken = {"tries": row.tries + 1, "next_at": later(tx.now, TAKEN_S)}
    tx.conn.execute(update(calls).where(calls.c.id == call_id).values(taken))
    body = row.body.encode()
    stamp = str(int(parse_iso(tx.now).timestamp()))
    secret = triggers.secret_of(tx, row.trigger)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Cortex",
        "Cortex-Delivery": row.id,
        "Cortex-Timestamp": stamp,
        "Cortex-Signature": f"v1={sign(secret, stamp, body)}",
    }
    return Sending(row.id, row.trigger, row.url, body, headers)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over `<timestamp>.<body>`, in hexadecimal."""
    signed = timestamp.encode() + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def answered(
    tx: WriteTx, call_id: str, *, accepted: bool, gone: bool, answer: str,
    random: Callable[[], float],
) -> None:  # fmt: skip
    """Note how a try went. What was not accepted is tried again, ever later, for about a day.

    gone: the receiver says that nobody will ever take it. random: a number from 0 to 1.
    """
    row = _BY_ID.one_or_none(tx.conn, id=call_id)
    if row is None or row.status != "waiting":
        return
    values: dict[str, Any] = {"answer": answer}
    pause_s = min(FIRST_S * 2.0 ** (row.tries - 1), LONGEST_S) * (0.75 + random() / 2)
    over = gone or later(tx.now, pause_s) > later(row.created_at, GIVEN_UP_S)
    if accepted or over:
        status = "delivered" if accepted else "failed"
        values |= {"status": status, "next_at": None, "ended_at": tx.now}
    else:
        values["next_at"] = later(tx.now, pause_s)
    tx.conn.execute(update(calls).where(calls.c.id == call_id).values(values))
    problem = None
    if not accepted:
        goes_on = "given up" if over else "it is tried again"
        problem = f"Call {call_id}, try {row.tries}: {answer}; {goes_on}."
    triggers.note(tx, row.trigger, last_error=problem)


def listing(tx: ReadTx, trigger: str, limit: int, cursor: str | None) -> Listing[TriggerCall]:
    """The trigger's calls, newest first."""
    query = select(calls).where(calls.c.trigger == trigger)
    if before := pages.decode(cursor, str):
        query = query.where(calls.c.id < before[0])
    rows = tx.conn.execute(query.order_by(calls.c.id.desc()).limit(limit + 1)).all()
    return pages.page(rows, limit, _call, lambda row: pages.encode(row.id))


def expire(tx: WriteTx) -> int:
    """Forget those that ended a week ago. Returns how many."""
    return tx.conn.execute(delete(calls).where(calls.c.ended_at <= later(tx.now, -KEPT_S))).rowcount


def _call(row: Any) -> TriggerCall:
    fields = row._asdict()
    del fields["body"]
    return TriggerCall.model_validate(fields)
