"""Messages: what was said in a session, in ordered parts.

A PUT is the whole message. What grows between two PUTs comes as deltas (`domains.live`). The
revision counts PUTs and the completion; text that deltas append is outside it, so that a writer
who knows the message from its last answer or event is not refused because it grew since.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select, update

from cortex_server.db.schema import messages
from cortex_server.db.statements import Statement, insertion
from cortex_server.domains import pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.redaction import redacted, redacted_value
from cortex_server.domains.rows import check_revision, let_others_run
from cortex_server.errors import Conflict, Invalid, NotFound
from cortex_server.events.objects import Message, Part, Session
from cortex_server.store import ReadTx, WriteTx

TEXT_MAX = 1_048_576  # characters of one part
_SLICE = 200  # messages that are written together; others run in between
_PART = {"type": None, "text": "", "tool": None, "input": None, "status": "complete"}  # in order
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_ONE = (messages.c.session == bindparam("of")) & (messages.c.id == bindparam("message"))
_BY_ID = Statement(select(messages).where(_ONE))
_LAST = Statement(select(func.max(messages.c.number)).where(messages.c.session == bindparam("of")))


def get(tx: ReadTx, session_id: str, message_id: str) -> Message:
    message = find(tx, session_id, message_id)
    if message is None:
        raise NotFound(f"There is no message {message_id} in session {session_id}.")
    return message


def find(tx: ReadTx, session_id: str, message_id: str) -> Message | None:
    row = _BY_ID.one_or_none(tx.conn, of=session_id.lower(), message=message_id)
    return None if row is None else _message(row)


def listing(
    tx: ReadTx, session_id: str, limit: int, cursor: str | None, after: int = 0
) -> Listing[Message]:
    """The session's messages in the order in which they were begun; after one with this number."""
    query = select(messages).where(messages.c.session == session_id.lower())
    if named := pages.decode(cursor, int):
        after = named[0]
    if after:
        query = query.where(messages.c.number > after)
    rows = tx.conn.execute(query.order_by(messages.c.number).limit(limit + 1)).all()
    return pages.page(rows, limit, _message, lambda row: pages.encode(row.number))


def tail(tx: ReadTx, session_id: str, count: int, before: int | None = None) -> Listing[Message]:
    """The last messages, or the last before the one with this number; in their order."""
    query = select(messages).where(messages.c.session == session_id.lower())
    if before is not None:
        query = query.where(messages.c.number < before)
    rows = tx.conn.execute(query.order_by(messages.c.number.desc()).limit(count)).all()
    return Listing([_message(row) for row in reversed(rows)], None)


def put(
    tx: WriteTx, session: Session, message_id: str, fields: dict[str, Any], revision: int | None
) -> tuple[Message, bool]:
    """Store a whole message; True when it is new. The same message again changes nothing.

    Events: message.created; later message.updated, but none while the message streams on and only
    the text of its streaming parts grew, since deltas carry that. Text that is only in LiveText
    has to be flushed before, in the same transaction, or growth looks like a change.
    A session that has ended takes late final messages, new ones too, but nothing that streams.
    Raises Conflict (session_ended) for that, Invalid for an id that cannot be one.
    """
    if not _ID.fullmatch(message_id):
        raise Invalid.field("id", "1 to 128 letters, digits and . _ : -")
    parts, status = _normal(fields)
    stored = find(tx, session.id, message_id)
    if stored is None:
        _check_open(session, status)
        return _create(tx, session, message_id, fields["role"], parts, status), True
    check_revision(f"Message {message_id}", stored, revision)
    wanted = stored.model_copy(update={"role": fields["role"], "parts": parts, "status": status})
    if _same(wanted, stored):
        return stored, False
    _check_open(session, status)
    updated = _store(tx, wanted)
    if not _only_grew(stored, updated):
        tx.emit("message.updated", updated, updated.project, updated.ticket)
    return updated, False


@dataclass
class Stored:
    """How many messages of a list were new, changed, and neither."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0


def put_many(tx: WriteTx, session: Session, items: Sequence[dict[str, Any]]) -> Stored:
    """Store many whole messages in their order, all or none; each as `put` would, with its `id`.

    New ones next to each other are written together: a hundred cost little more than one.
    """
    known = _known(tx, session.id, [item["id"] for item in items])
    done = Stored()
    fresh: list[dict[str, Any]] = []
    for index, item in enumerate(items):
        if not _ID.fullmatch(item["id"]):
            raise Invalid.field(f"messages.{index}.id", "1 to 128 letters, digits and . _ : -")
        if item["id"] not in known:
            known.add(item["id"])
            fresh.append(item)
            continue
        done.created += _create_many(tx, session, fresh)
        fresh = []
        before = get(tx, session.id, item["id"])
        after, _ = put(tx, session, item["id"], item, None)
        if after == before:
            done.unchanged += 1
        else:
            done.updated += 1
    done.created += _create_many(tx, session, fresh)
    return done


def complete_all(tx: WriteTx, session: Session) -> None:
    """Complete the session's streaming messages, as they are stored."""
    where = (messages.c.session == session.id) & (messages.c.status == "streaming")
    streaming = select(messages).where(where).order_by(messages.c.number)
    for row in tx.conn.execute(streaming).all():
        message = _message(row)
        # pieces that deltas brought may only together be a secret
        parts = [
            part.model_copy(update={"status": "complete", "text": redacted(part.text)})
            for part in message.parts
        ]
        done = _store(tx, message.model_copy(update={"parts": parts, "status": "complete"}))
        tx.emit("message.updated", done, done.project, done.ticket)


def store_text(tx: WriteTx, message: Message) -> bool:
    """Store the parts of a message that deltas made longer: no event, no new revision.

    False when the message is gone, complete, or was put anew since.
    """
    changed = tx.conn.execute(
        update(messages)
        .where(messages.c.session == message.session, messages.c.id == message.id)
        .where(messages.c.revision == message.revision, messages.c.status == "streaming")
        .values(parts=_plain(message.parts))
    )
    return changed.rowcount == 1


def _normal(fields: dict[str, Any]) -> tuple[list[Part], str]:
    """The parts with every field, and the status of the message: streaming if a part is."""
    parts, status = _normal_plain(fields)
    return [Part.model_validate(part) for part in parts], status


def _normal_plain(fields: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The same, but the parts as JSON types."""
    parts = [_clean({**_PART, **part}) for part in fields["parts"]]
    streams = any(part["status"] == "streaming" for part in parts)
    status = fields.get("status") or ("streaming" if streams else "complete")
    if status == "complete" and streams:
        parts = [{**part, "status": "complete"} for part in parts]
    return parts, status


def _clean(part: dict[str, Any]) -> dict[str, Any]:
    """The part without the secrets in it."""
    shown = {"text": redacted(part["text"])}
    return {**part, **shown, "input": redacted_value(part["input"])}


def _check_open(session: Session, status: str) -> None:
    if session.status == "ended" and status == "streaming":
        raise Conflict(
            f"Session {session.id} has ended: it takes complete messages only.",
            code="session_ended",
        )


def _create(
    tx: WriteTx, session: Session, message_id: str, role: str, parts: list[Part], status: str
) -> Message:
    number = _next_number(tx, session)
    values = _values(tx, session, message_id, number, role, _plain(parts), status)
    insertion(messages).run(tx.conn, **values)
    message = Message.model_validate(values)
    tx.emit("message.created", message, message.project, message.ticket)
    return message


def _create_many(tx: WriteTx, session: Session, items: list[dict[str, Any]]) -> int:
    """Store messages that are all new, in slices, and tell of each. Returns how many."""
    if not items:
        return 0
    first = _next_number(tx, session)
    for start in range(0, len(items), _SLICE):
        rows = []
        for number, item in enumerate(items[start : start + _SLICE], start=first + start):
            parts, status = _normal_plain(item)
            _check_open(session, status)
            rows.append(_values(tx, session, item["id"], number, item["role"], parts, status))
        insertion(messages).run_many(tx.conn, rows)
        for row in rows:
            message = Message.model_validate(row)
            tx.emit("message.created", message, message.project, message.ticket)
        let_others_run()
    return len(items)


def _known(tx: ReadTx, session_id: str, ids: list[str]) -> set[str]:
    """Which of these messages the session has."""
    known: set[str] = set()
    if _LAST.scalar(tx.conn, of=session_id) is None:
        return known
    for start in range(0, len(ids), _SLICE):
        where = messages.c.id.in_(ids[start : start + _SLICE])
        query = select(messages.c.id).where(messages.c.session == session_id, where)
        known.update(tx.conn.scalars(query))
    return known


def _next_number(tx: ReadTx, session: Session) -> int:
    return int(_LAST.scalar(tx.conn, of=session.id) or 0) + 1


def _values(
    tx: WriteTx, session: Session, message_id: str, number: int, role: str,
    parts: list[dict[str, Any]], status: str,
) -> dict[str, Any]:  # fmt: skip
    """The row of a new message."""
    return {
        "session": session.id, "id": message_id, "project": session.project,
        "ticket": session.ticket, "number": number, "role": role, "parts": parts,
        "status": status, "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip


def _store(tx: WriteTx, message: Message) -> Message:
    tx.conn.execute(
        update(messages)
        .where(messages.c.session == message.session, messages.c.id == message.id)
        .values(
            role=message.role,
            parts=_plain(message.parts),
            status=message.status,
            revision=message.revision + 1,
            updated_at=tx.now,
        )
    )
    return get(tx, message.session, message.id)


def _same(one: Message, other: Message) -> bool:
    return _form(one) == _form(other) and _texts(one) == _texts(other)


def _only_grew(before: Message, after: Message) -> bool:
    """True when the message streams on and all that changed is more text in streaming parts."""
    if after.status != "streaming" or _form(before) != _form(after):
        return False
    return all(
        new.text == old.text or (old.status == "streaming" and new.text.startswith(old.text))
        for old, new in zip(before.parts, after.parts, strict=True)
    )


def _form(message: Message) -> str:
    """All of a message that a PUT can change, but the texts. As JSON: in Python, True equals 1."""
    parts = [part.model_dump(mode="json", exclude={"text"}) for part in message.parts]
    return json.dumps([message.role, message.status, parts], sort_keys=True)


def _texts(message: Message) -> list[str]:
    return [part.text for part in message.parts]


def _plain(parts: list[Part]) -> list[dict[str, Any]]:
    return [part.model_dump(mode="json") for part in parts]


def _message(row: Any) -> Message:
    return Message.model_validate(row._asdict())
