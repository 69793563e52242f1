"""Triggers: when this happens, or by the clock, do that. `firing` does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy import delete as sql_delete

from cortex_server import log
from cortex_server.clock import iso, later, parse_iso
from cortex_server.db.statements import Statement, change, insertion
from cortex_server.db.work import triggers
from cortex_server.domains import cron, pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import actor, actor_columns, bump, check_revision, differences
from cortex_server.domains.trigger_filters import expand
from cortex_server.errors import Conflict, Invalid, NotFound
from cortex_server.events.objects import Project
from cortex_server.events.work import NewTrigger, Trigger
from cortex_server.ids import new_id, new_secret
from cortex_server.outgoing import url_fault
from cortex_server.store import ReadTx, WriteTx

_NOT_SHOWN = ("secret", "cursor", "created_by_kind", "created_by_name")
_BY_ID = Statement(select(triggers).where(triggers.c.id == bindparam("id")))
_ENABLED = Statement(select(triggers).where(triggers.c.enabled.is_(True)))


@dataclass(frozen=True)
class Waiting:
    """An enabled trigger, and the position of the last event that it is known to have looked at."""

    trigger: Trigger
    cursor: int


def get(tx: ReadTx, trigger_id: str) -> Trigger:
    row = _BY_ID.one_or_none(tx.conn, id=trigger_id.lower())
    if row is None:
        raise NotFound(f"There is no trigger {trigger_id}; `cortex trigger list` shows them.")
    return from_row(row)


def waiting_one(tx: ReadTx, trigger_id: str) -> Waiting | None:
    row = _BY_ID.one_or_none(tx.conn, id=trigger_id)
    return None if row is None or not row.enabled else Waiting(from_row(row), row.cursor)


def waiting(tx: ReadTx) -> list[Waiting]:
    """All that are enabled."""
    return [Waiting(from_row(row), row.cursor) for row in _ENABLED.all(tx.conn)]


def secret_of(tx: ReadTx, trigger_id: str) -> str:
    """What its calls are signed with."""
    return str(_BY_ID.one(tx.conn, id=trigger_id).secret or "")


def listing(tx: ReadTx, project: str, limit: int, cursor: str | None) -> Listing[Trigger]:
    """The project's triggers, oldest first."""
    query = select(triggers).where(triggers.c.project == project)
    if after := pages.decode(cursor, str):
        query = query.where(triggers.c.id > after[0])
    rows = tx.conn.execute(query.order_by(triggers.c.id).limit(limit + 1)).all()
    return pages.page(rows, limit, from_row, lambda row: pages.encode(row.id))


def create(tx: WriteTx, project: Project, fields: dict[str, Any]) -> NewTrigger:
    """Create a trigger. It looks at what happens from now on.

    fields: name, on, action, and maybe enabled, and the secret of a call; else one is made.
    Raises Invalid for what it cannot do, Conflict (already_exists) for the name of another one.
    """
    on, action = _checked(fields["on"], fields["action"], fields.get("secret"), tx.now)
    _check_free(tx, project.key, fields["name"])
    secret = (fields.get("secret") or new_secret()) if action["kind"] == "call" else None
    trigger_id = new_id()
    insertion(triggers).run(
        tx.conn, id=trigger_id, project=project.key, name=fields["name"],
        enabled=fields.get("enabled", True), on=on, action=action, secret=secret,
        cursor=log.state(tx.conn).head, fired=0, last_fired_at=None, last_error=None,
        next_at=next_time(on, tx.now), **actor_columns("created_by", tx.actor),
        revision=1, created_at=tx.now, updated_at=tx.now,
    )  # fmt: skip
    return NewTrigger(**dict(get(tx, trigger_id)), secret=secret)


def patch(tx: WriteTx, trigger: Trigger, changes: dict[str, Any], revision: int | None) -> Trigger:
    """Change it. Where `on` changes, or it is enabled again, it looks at what happens from now on.

    A call whose secret is not named keeps the one that it had.
    """
    check_revision(f"Trigger {trigger.name}", trigger, revision)
    changes = dict(changes)
    secret = changes.pop("secret", None)
    on, action = _checked(
        changes.get("on", trigger.on), changes.get("action", trigger.action), secret, tx.now
    )
    wanted = {**changes, "on": on, "action": action}
    changed = differences(trigger, wanted)
    if "name" in changed:
        _check_free(tx, trigger.project, changed["name"])
    if secret is not None:
        changed["secret"] = secret
    elif action["kind"] == "call" and not secret_of(tx, trigger.id):
        raise Invalid.field("secret", "is required where a trigger begins to call")
    if not changed:
        return trigger
    if "on" in changed or changed.get("enabled"):
        changed |= {"cursor": log.state(tx.conn).head, "next_at": next_time(on, tx.now)}
        changed["last_error"] = None
    bump(tx, triggers, trigger.id, trigger, changed)
    return get(tx, trigger.id)


def delete(tx: WriteTx, trigger: Trigger, revision: int | None) -> None:
    """Delete it, with calls that have not left. What it started goes on."""
    check_revision(f"Trigger {trigger.name}", trigger, revision)
    tx.conn.execute(sql_delete(triggers).where(triggers.c.id == trigger.id))


def note(tx: WriteTx, trigger_id: str, **values: Any) -> None:
    """Note what it did or looked at: no change that anybody made, so no revision."""
    change(triggers, frozenset(values)).run(tx.conn, _key=trigger_id, **values)


def next_time(on: Mapping[str, Any], now: str, due: str | None = None) -> str | None:
    """When a schedule is due next; None for one that waits for events.

    due: when it was due now. Times that passed while nobody looked are made up for once.
    """
    if "every_s" in on:
        regular = later(due or now, on["every_s"])
        return regular if regular > now else later(now, on["every_s"])
    if "cron" in on:
        return iso(cron.after(on["cron"], parse_iso(now)))
    return None


def from_row(row: Any) -> Trigger:
    fields = {name: value for name, value in row._asdict().items() if name not in _NOT_SHOWN}
    return Trigger.model_validate({**fields, "created_by": actor(row, "created_by")})


def _checked(
    on: Mapping[str, Any], action: Mapping[str, Any], secret: str | None, now: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both as they are stored. now: the time. Raises Invalid."""
    on = dict(on)
    try:
        if "types" in on:
            expand(on["types"])
            on.setdefault("filter", {})
        elif "cron" in on:
            cron.after(on["cron"], parse_iso(now))
    except ValueError as error:
        raise Invalid.field("on.types" if "types" in on else "on.cron", str(error)) from None
    if "types" not in on and action["kind"] == "attempt" and not action.get("ticket"):
        raise Invalid.field("action.ticket", "is required: a schedule has no ticket of its own")
    if action["kind"] == "call":
        if fault := url_fault(action["url"]):
            raise Invalid.field("action.url", fault)
    elif secret is not None:
        raise Invalid.field("secret", "goes with the action call: nothing else is signed")
    return on, dict(action)


def _check_free(tx: ReadTx, project: str, name: str) -> None:
    same = (triggers.c.project == project) & (triggers.c.name == name)
    if tx.conn.scalar(select(triggers.c.id).where(same)) is not None:
        raise Conflict(f"Project {project} has a trigger {name} already.", code="already_exists")
