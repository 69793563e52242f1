"""What a trigger does when it fires: it starts an attempt, runs a batch, or puts a call out.

All of it is one transaction: the effect, `trigger.fired`, how far the trigger has looked, and a
row that knows which triggers led to the effect. By that row a trigger recognises what came of
itself, also after a restart, and however long the attempt in between took.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, select

from cortex_server.clock import later
from cortex_server.db.schema import events, sessions
from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import attempts as attempt_table
from cortex_server.db.work import trigger_firings as firings
from cortex_server.domains import (
    attempts,
    batch_rows,
    batches,
    project_rows,
    tickets,
    trigger_calls,
    triggers,
)
from cortex_server.errors import Conflict
from cortex_server.events.objects import Actor
from cortex_server.events.payloads import Fired
from cortex_server.events.work import Trigger
from cortex_server.ids import new_id
from cortex_server.log import LoggedEvent, encode
from cortex_server.store import ReadTx, WriteTx

DEEPEST = 3  # triggers that lead to each other
PER_MINUTE = {"attempt": 10, "batch": 3, "call": 120}
KEPT_S = 30 * 86_400
_BATCH_MAX = 200
_BATCH_OPTIONS = (
    "name", "mode", "limit", "stop_on_failure", "on_conflict", "merge", "agent", "profile",
    "prompt",
)  # fmt: skip
_BY_EFFECT = Statement(
    select(firings.c.chain).where(firings.c.effect == bindparam("effect")).limit(1)
)
_BY_TIME = Statement(
    select(firings.c.chain)
    .where(firings.c.trigger == bindparam("trigger"), firings.c.at == bindparam("at"))
    .limit(1)
)
_RECENT = Statement(
    select(func.count(), func.min(firings.c.at))
    .select_from(firings)
    .where(firings.c.trigger == bindparam("trigger"), firings.c.at > bindparam("since"))
)
_ATTEMPT_OF_SESSION = Statement(
    select(sessions.c.attempt).where(sessions.c.id == bindparam("session"))
)
_BATCH_OF_ATTEMPT = Statement(
    select(attempt_table.c.batch).where(attempt_table.c.id == bindparam("attempt"))
)
_LAST_ATTEMPT = Statement(
    select(attempt_table.c.id)
    .where(attempt_table.c.ticket == bindparam("ticket"))
    .order_by(attempt_table.c.number.desc())
    .limit(1)
)
# In the same transaction: neighbours in the log, of one time, by one actor, on one ticket.
_BESIDE = Statement(
    select(events.c.payload)
    .where(
        events.c.position.between(bindparam("first"), bindparam("last")),
        events.c.at == bindparam("at"),
        events.c.ticket == bindparam("ticket"),
        events.c.actor_name == bindparam("name"),
        events.c.type.like("attempt.%"),
    )
    .order_by(events.c.position)
    .limit(1)
)
_NEAR = 20


@dataclass(frozen=True)
class Cause:
    """Why it fires: an event, or the time when it was due, or neither: by hand, on `ticket`."""

    event: LoggedEvent | None = None
    due: str | None = None
    ticket: str | None = None

    @property
    def shown(self) -> dict[str, Any]:
        if self.event is not None:
            return {"event": self.event.id, "type": self.event.type}
        return {"due": self.due} if self.due is not None else {"by_hand": True}


def actor_of(trigger: Trigger) -> Actor:
    """In whose name it acts."""
    return Actor(kind="system", name=f"trigger {trigger.name}")


def fire(tx: WriteTx, trigger: Trigger, cause: Cause, chain: list[str]) -> Fired:
    """Do what the trigger is for, and tell it. chain: the triggers that led to the cause.

    Raises what the action raises, and Conflict (nothing_to_do) where there is none.
    """
    kind = trigger.action["kind"]
    effect = _ACTIONS[kind](tx, trigger, cause)
    _record(tx, trigger, [*chain, trigger.id], effect)
    triggers.note(tx, trigger.id, fired=trigger.fired + 1, last_fired_at=tx.now, last_error=None)
    return _tell(tx, trigger, cause, {kind: effect}, None)


def failed(tx: WriteTx, trigger: Trigger, cause: Cause, chain: list[str], error: str) -> Fired:
    """Tell that it could not do what it is for; the same cause makes it fire no more."""
    _record(tx, trigger, [*chain, trigger.id], None)
    triggers.note(tx, trigger.id, last_error=error[:500])
    return _tell(tx, trigger, cause, {}, error[:500])


def held_back(tx: ReadTx, trigger: Trigger) -> str | None:
    """Why it has to wait, in words for `last_error`; None when it may fire."""
    kind = trigger.action["kind"]
    if kind == "call":
        many = trigger_calls.waiting(tx, trigger.id)
        if many >= trigger_calls.WAITING_MAX:
            return f"{trigger_calls.WAITING_MAX} calls wait to leave; it goes on when some have."
    recent = _RECENT.one(tx.conn, trigger=trigger.id, since=later(tx.now, -60))
    if recent[0] < PER_MINUTE[kind]:
        return None
    return f"Limited to {PER_MINUTE[kind]} a minute; it goes on at {later(recent[1], 60)[:19]}Z."


def origin(tx: ReadTx, event: LoggedEvent) -> list[str]:
    """The triggers that led to an event, the first one first; none for what people do.

    An event comes of the attempt, batch or trigger that it names. One that names none comes of an
    attempt when it was written together with one of that, or not by a person on its ticket.
    """
    payload = json.loads(event.payload)
    if event.type == "trigger.fired":
        row = _BY_TIME.one_or_none(tx.conn, trigger=payload["trigger"], at=event.at)
        return [] if row is None else list(row.chain)
    for effect in _named(tx, event.type, payload):
        if chain := _chain_of(tx, effect):
            return chain
    if event.ticket is None:
        return []
    beside = _BESIDE.one_or_none(
        tx.conn, first=event.position - _NEAR, last=event.position + _NEAR, at=event.at,
        ticket=event.ticket, name=event.actor_name,
    )  # fmt: skip
    if beside is not None:
        found = json.loads(beside.payload)
        return _chain_of(tx, str(found.get("attempt") or found.get("id")))
    if event.actor_kind == "user":
        return []
    last = _LAST_ATTEMPT.scalar(tx.conn, ticket=event.ticket)
    return _chain_of(tx, last) if last is not None else []


def expire(tx: WriteTx) -> int:
    """Forget what came of triggers a month ago. Returns how many."""
    return tx.conn.execute(delete(firings).where(firings.c.at <= later(tx.now, -KEPT_S))).rowcount


def _named(tx: ReadTx, kind: str, payload: dict[str, Any]) -> list[str]:
    """The ids of attempts and batches that an event is about."""
    noun = kind.partition(".")[0]
    if noun in ("attempt", "batch") and "id" in payload:
        return [payload["id"]]
    found = [payload.get("attempt"), payload.get("batch")]
    if payload.get("session"):
        found.append(_ATTEMPT_OF_SESSION.scalar(tx.conn, session=payload["session"]))
    return [str(one) for one in found if one]


def _chain_of(tx: ReadTx, effect: str) -> list[str]:
    """Which triggers led to this attempt or batch; an attempt of a batch comes of what that does.

    A retry is a decision of its own, so nobody's effect.
    """
    row = _BY_EFFECT.one_or_none(tx.conn, effect=effect)
    if row is None and (batch := _BATCH_OF_ATTEMPT.scalar(tx.conn, attempt=effect)):
        row = _BY_EFFECT.one_or_none(tx.conn, effect=batch)
    return [] if row is None else list(row.chain)


def _record(tx: WriteTx, trigger: Trigger, chain: list[str], effect: str | None) -> None:
    insertion(firings).run(
        tx.conn, id=new_id(), trigger=trigger.id, effect=effect, chain=chain, at=tx.now
    )


def _tell(
    tx: WriteTx, trigger: Trigger, cause: Cause, result: dict[str, Any], error: str | None
) -> Fired:
    fired = Fired(
        trigger=trigger.id, name=trigger.name, cause=cause.shown, result=result, error=error
    )
    tx.emit("trigger.fired", fired, trigger.project)
    return fired


def _start_attempt(tx: WriteTx, trigger: Trigger, cause: Cause) -> str:
    action = trigger.action
    of_event = cause.event.ticket if cause.event is not None else None
    ref = action.get("ticket") or of_event or cause.ticket
    ticket = None if ref is None else tickets.find(tx, ref)
    if ticket is None or ticket.project != trigger.project:
        about = f"There is no ticket {ref} in {trigger.project}" if ref else "It names no ticket"
        raise Conflict(f"{about}: nothing to start an attempt on.", code="nothing_to_do")
    wanted = ("agent", "profile", "prompt", "base")
    fields = {name: action[name] for name in wanted if action.get(name) is not None}
    return attempts.create(tx, ticket, fields).id


def _run_batch(tx: WriteTx, trigger: Trigger, cause: Cause) -> str:
    """Of the tickets of the filter that nobody works on, oldest first."""
    action = trigger.action
    wanted = tickets.TicketFilter(project=trigger.project, **action.get("tickets", {}))
    most = min(action.get("most") or _BATCH_MAX, _BATCH_MAX)
    busy = {attempt.ticket for attempt in attempts.active_of_project(tx, trigger.project)}
    for batch in batch_rows.running_of(tx, trigger.project):
        busy |= {row.ticket for row in batch.tickets if row.status == "pending"}
    found = tickets.listing(tx, wanted, _BATCH_MAX + len(busy), None).items
    free = [ticket.key for ticket in found if ticket.key not in busy][:most]
    if not free:
        raise Conflict("No ticket that nobody works on fits its filter.", code="nothing_to_do")
    fields = {name: action[name] for name in _BATCH_OPTIONS if action.get(name) is not None}
    fields = {"name": trigger.name, **fields, "tickets": free}
    return batches.create(tx, project_rows.get(tx, trigger.project), fields).id


def _call(tx: WriteTx, trigger: Trigger, cause: Cause) -> str:
    call_id = new_id()
    body = {
        "id": call_id, "trigger": trigger.id, "name": trigger.name, "project": trigger.project,
        "at": tx.now, "cause": cause.shown,
        "event": None if cause.event is None else json.loads(cause.event.data),
    }  # fmt: skip
    trigger_calls.put(tx, call_id, trigger.id, trigger.action["url"], encode(body))
    return call_id


_ACTIONS = {"attempt": _start_attempt, "batch": _run_batch, "call": _call}
