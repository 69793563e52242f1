"""Sessions: conversations with agents, a tree on each ticket."""

import uuid
from typing import Any, get_args

from sqlalchemy import ColumnElement, bindparam, func, select, tuple_, update

from cortex_server.db.schema import projects, sessions
from cortex_server.db.statements import Statement, insertion
from cortex_server.domains import messages, pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.redaction import redacted
from cortex_server.domains.rows import actor, actor_columns, bump, check_revision, differences
from cortex_server.errors import Conflict, Invalid, NotFound
from cortex_server.events.objects import Session, SessionOutcome, SessionStatus, Ticket
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

UNTITLED = "Untitled"
DESCRIPTION = {"title", "agent", "model", "parent_id"}  # changes to these are session.updated
CONDITION = {"status", "tool", "work", "stale"}  # and to these session.status
ACTIVE = tuple(status for status in get_args(SessionStatus) if status != "ended")
ACTIVE_MAX = 200  # of a ticket: every state of a board holds all of them
_ACTIVE_OF = Statement(
    select(func.count())
    .select_from(sessions)
    .where(sessions.c.ticket == bindparam("ticket"), sessions.c.status != "ended")
)
_BY_ID = Statement(select(sessions).where(sessions.c.id == bindparam("id")))
_HEARD = Statement(
    update(sessions)
    .where(sessions.c.id == bindparam("of"), sessions.c.status != "ended")
    .values(seen_at=bindparam("now", type_=sessions.c.seen_at.type))
    .returning(sessions.c.stale)
)


def get(tx: ReadTx, session_id: str) -> Session:
    session = find(tx, session_id)
    if session is None:
        raise NotFound(f"There is no session {session_id}; `cortex session list` shows them.")
    return session


def find(tx: ReadTx, session_id: str) -> Session | None:
    row = _BY_ID.one_or_none(tx.conn, id=session_id.lower())
    return None if row is None else _session(row)


def listing(
    tx: ReadTx,
    readable: frozenset[str] | None,
    project: str | None = None,
    ticket: str | None = None,
    active: bool | None = None,
    *,
    limit: int,
    cursor: str | None,
) -> Listing[Session]:
    """Sessions, oldest first.

    readable: only of these projects, None for all · active: only those that have not ended (True)
    or have (False) · project, ticket: only of this one.
    """
    query = select(sessions)
    if project is not None:
        query = query.where(sessions.c.project == project)
    if ticket is not None:
        query = query.where(sessions.c.ticket == ticket)
    if active is not None:
        query = query.where(_active() if active else sessions.c.status == "ended")
    if active and project is None:
        # Few are active: by project and status. All sessions in the order of time would be many.
        query = query.where(sessions.c.project.in_(select(projects.c.key)))
    order = (sessions.c.created_at, sessions.c.id)
    if after := pages.decode(cursor, str, str):
        # By time, not by id: a session may bring an id of its own, of any kind.
        query = query.where(tuple_(*order) > after)
    if readable is None:
        ordered = query.order_by(*order).limit(limit + 1)
    else:
        ordered = pages.of_projects(query, sessions.c.project, readable, order, limit + 1)
    rows = tx.conn.execute(ordered).all()
    return pages.page(rows, limit, _session, lambda row: pages.encode(row.created_at, row.id))


def active_of_project(tx: ReadTx, project: str) -> list[Session]:
    """The project's sessions that have not ended, oldest first."""
    found = select(sessions).where(sessions.c.project == project, _active())
    ordered = found.order_by(sessions.c.created_at, sessions.c.id)
    return [_session(row) for row in tx.conn.execute(ordered)]


def _active() -> ColumnElement[bool]:
    """Named one by one: an index has no use for what a status is not."""
    return sessions.c.status.in_(ACTIVE)


def of_attempt(tx: ReadTx, attempt_id: str) -> list[Session]:
    """The attempt's sessions, ended ones too, oldest first."""
    rows = tx.conn.execute(select(sessions).where(sessions.c.attempt == attempt_id))
    return [_session(row) for row in sorted(rows, key=lambda row: (row.created_at, row.id))]


def start(
    tx: WriteTx, ticket: Ticket, fields: dict[str, Any], attempt: str | None = None
) -> Session:
    """Start a session. fields may hold an `id`, a UUID that the agent gave it.

    attempt: that it belongs to; `conversations.start` sees to the rest of that.

    Raises Conflict for a taken id (already_exists) and where too many on the ticket have not ended
    (too_many_sessions), Invalid for a parent on another ticket.
    """
    session_id = _own_id(tx, fields.get("id"))
    if _ACTIVE_OF.scalar(tx.conn, ticket=ticket.key) >= ACTIVE_MAX:
        raise Conflict(
            f"{ACTIVE_MAX} sessions on {ticket.key} have not ended; end one first.",
            code="too_many_sessions",
        )
    fields = _without_secrets(fields)
    values = {
        "id": session_id, "project": ticket.project, "ticket": ticket.key,
        "attempt": attempt, "stale": False, "seen_at": tx.now,
        "parent_id": _parent(tx, ticket.key, fields.get("parent_id")),
        "title": _title(fields.get("title")),
        "agent": fields.get("agent"), "model": fields.get("model"),
        "status": _settable(fields.get("status") or "starting"),
        "tool": fields.get("tool"), "work": fields.get("work"), "outcome": None, "ended_at": None,
        **actor_columns("started_by", tx.actor),
        "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    insertion(sessions).run(tx.conn, **values)
    session = get(tx, session_id)
    tx.emit("session.started", session, session.project, session.ticket)
    return session


def patch(tx: WriteTx, session: Session, changes: dict[str, Any], revision: int | None) -> Session:
    """Change what describes the session and what it is doing: one revision, up to two events.

    Raises Conflict (session_ended) when it has ended, Invalid for the status ended (use `end`)
    and for a parent that is on another ticket or below it.
    """
    check_revision(f"Session {session.id}", session, revision)
    changed = differences(session, _checked(tx, session, changes))
    if session.status == "ended":
        if changed:
            raise Conflict(f"Session {session.id} has ended; start another.", code="session_ended")
        return session
    if session.stale:
        changed["stale"] = False
    if not changed:
        heard(tx, session.id)
        return session
    bump(tx, sessions, session.id, session, {**changed, "seen_at": tx.now})
    updated = get(tx, session.id)
    for name, fields in {"session.updated": DESCRIPTION, "session.status": CONDITION}.items():
        if fields & changed.keys():
            tx.emit(name, updated, updated.project, updated.ticket)
    return updated


def end(
    tx: WriteTx, session: Session, outcome: SessionOutcome | None, revision: int | None
) -> Session:
    """End the session and complete its messages; the default outcome is succeeded.

    Its child sessions go on. Ending it twice changes nothing.
    Raises Conflict (session_ended) when it has ended with another outcome.
    """
    if session.status == "ended":
        if outcome not in (None, session.outcome):
            raise Conflict(
                f"Session {session.id} has ended: it {session.outcome}.", code="session_ended"
            )
        return session
    check_revision(f"Session {session.id}", session, revision)
    tx.store_text(tx, session.id)  # what deltas brought is part of its messages
    messages.complete_all(tx, session)
    values = {
        "status": "ended", "outcome": outcome or "succeeded", "tool": None, "work": None,
        "stale": False, "seen_at": tx.now, "ended_at": tx.now,
    }  # fmt: skip
    bump(tx, sessions, session.id, session, values)
    ended = get(tx, session.id)
    tx.emit("session.ended", ended, ended.project, ended.ticket)
    return ended


def heard(tx: WriteTx, session_id: str) -> None:
    """Note a sign of life. Told only of a session that was stale: it is so no longer."""
    if not _HEARD.scalar(tx.conn, of=session_id, now=tx.now):
        return
    session = get(tx, session_id)
    bump(tx, sessions, session_id, session, {"stale": False})
    awake = get(tx, session_id)
    tx.emit("session.status", awake, awake.project, awake.ticket)


def _checked(tx: WriteTx, session: Session, changes: dict[str, Any]) -> dict[str, Any]:
    checked = _without_secrets(changes)
    if "title" in checked:
        checked["title"] = _title(checked["title"])
    if checked.get("status") == "ended" != session.status:
        _settable("ended")
    if checked.get("parent_id") is not None:
        checked["parent_id"] = _parent(tx, session.ticket, checked["parent_id"])
        _check_not_below(tx, session, checked["parent_id"])
    return checked


def _without_secrets(fields: dict[str, Any]) -> dict[str, Any]:
    """A copy; what an agent works on may be a command with a key in it."""
    said = {name: fields[name] for name in ("title", "tool", "work") if fields.get(name)}
    return {**fields, **{name: redacted(text) for name, text in said.items()}}


def _settable(status: str) -> str:
    if status == "ended":
        raise Invalid.field("status", "end the session with POST /api/sessions/ID/end")
    return status


def _title(title: str | None) -> str:
    return title if title and title.strip() else UNTITLED


def _own_id(tx: WriteTx, given: str | None) -> str:
    if given is None:
        return new_id()
    try:
        own = str(uuid.UUID(given))
    except ValueError:
        raise Invalid.field("id", "must be a UUID") from None
    if find(tx, own):
        raise Conflict(f"There is a session {own} already.", code="already_exists")
    return own


def _parent(tx: WriteTx, ticket: str, parent_id: str | None) -> str | None:
    """The id of the parent. Raises Invalid unless it is a session of this ticket."""
    if parent_id is None:
        return None
    parent = find(tx, parent_id)
    if parent is None or parent.ticket != ticket:
        raise Invalid.field("parent_id", f"there is no session {parent_id} on ticket {ticket}")
    return parent.id


def _check_not_below(tx: WriteTx, session: Session, parent_id: str) -> None:
    """Raises Invalid when the new parent is the session or one of its descendants."""
    above: str | None = parent_id
    while above is not None:
        if above == session.id:
            raise Invalid.field("parent_id", "a session cannot be below itself")
        above = tx.conn.scalar(select(sessions.c.parent_id).where(sessions.c.id == above))


def _session(row: Any) -> Session:
    fields = row._asdict()
    del fields["started_by_kind"], fields["started_by_name"], fields["seen_at"]
    return Session.model_validate({**fields, "started_by": actor(row, "started_by")})
