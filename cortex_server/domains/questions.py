"""Asking people and answering: what that does to the session and the attempt that wait for it."""

from collections.abc import Sequence
from typing import Any

from cortex_server.db.statements import insertion
from cortex_server.db.work import permissions as table
from cortex_server.domains import attempts, permissions, sessions
from cortex_server.domains.redaction import redacted
from cortex_server.domains.rows import actor_columns
from cortex_server.errors import Conflict, Invalid
from cortex_server.events.objects import Session
from cortex_server.events.work import Option, Permission
from cortex_server.ids import new_id
from cortex_server.store import WriteTx

OPEN_MAX = 100  # of an attempt, or of a session by hand: every state of a board holds all of them


def ask(tx: WriteTx, session: Session, fields: dict[str, Any]) -> tuple[Permission, bool]:
    """Ask a person; True when it was not asked before under this `external_id`.

    The session awaits input then, and its attempt waits. Raises Conflict (session_ended,
    too_many_questions), Invalid when there is nothing to choose and nothing to write, or two
    options have the same id.
    """
    external_id = fields.get("external_id")
    if external_id is not None and (known := permissions.find(tx, session.id, external_id)):
        return known, False
    if session.status == "ended":
        raise Conflict(f"Session {session.id} has ended; nobody waits.", code="session_ended")
    if len(_open_beside(tx, session)) >= OPEN_MAX:
        raise Conflict(f"{OPEN_MAX} questions wait for an answer.", code="too_many_questions")
    options = _options(fields.get("options") or [], bool(fields.get("free_text")))
    values = {
        "id": new_id(), "project": session.project, "ticket": session.ticket,
        "attempt": session.attempt, "session": session.id, "external_id": external_id,
        "kind": fields.get("kind") or "question", "title": redacted(fields["title"]),
        "detail": redacted(fields.get("detail") or ""),
        "options": options, "multiple": bool(fields.get("multiple")),
        "free_text": bool(fields.get("free_text")), "state": "open", "choices": None, "text": None,
        **actor_columns("asked_by", tx.actor), **actor_columns("answered_by", None),
        "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    insertion(table).run(tx.conn, **values)
    asked = permissions.get(tx, str(values["id"]))
    tx.emit("permission.asked", asked, asked.project, asked.ticket)
    sessions.patch(tx, session, {"status": "awaiting_input"}, None)
    _set_waiting(tx, asked, True)
    return asked, True


def reply(
    tx: WriteTx, permission: Permission, choices: Sequence[str], text: str | None
) -> Permission:
    """Answer it: the runner of its attempt gets the answer, and who waited goes on.

    What is stored of the text is without secrets; the agent gets it as it is.
    Raises Conflict (already_answered, withdrawn), Invalid for an answer that is not offered.
    """
    _check_open(permission)
    _check_answer(permission, choices, text)
    answer = {"choices": list(choices), "text": None if text is None else redacted(text)}
    by = actor_columns("answered_by", tx.actor)
    answered = permissions.close(tx, permission, {"state": "answered", **answer, **by})
    # What an agent asked by itself (its token is the attempt's) it waits for itself.
    if answered.attempt is not None and answered.asked_by.kind != "agent":
        payload = {
            "permission": answered.id, "external_id": answered.external_id,
            "choices": list(choices), "text": text,
        }  # fmt: skip
        attempts.request(tx, attempts.get(tx, answered.attempt), "answer", payload)
    _go_on(tx, answered)
    return answered


def withdraw(tx: WriteTx, permission: Permission) -> Permission:
    """Ask it no more: it was answered elsewhere, or is of no interest. Twice changes nothing."""
    if permission.state != "open":
        return permission
    withdrawn = permissions.close(tx, permission, {"state": "withdrawn"})
    _go_on(tx, withdrawn)
    return withdrawn


def _open_beside(tx: WriteTx, session: Session) -> list[Permission]:
    if session.attempt is None:
        return permissions.open_of_session(tx, session.id)
    return permissions.open_of_attempt(tx, session.attempt)


def _options(given: Sequence[dict[str, Any]], free_text: bool) -> list[dict[str, Any]]:
    """The options with every field. Raises Invalid."""
    if not given and not free_text:
        raise Invalid.field("options", "offer at least one, or allow free_text")
    options = [
        Option(
            id=option["id"],
            label=redacted(option["label"]),
            description=redacted(option.get("description") or "") or None,
        )
        for option in given
    ]
    if len({option.id for option in options}) < len(options):
        raise Invalid.field("options", "each needs an id of its own")
    return [option.model_dump() for option in options]


def _check_open(permission: Permission) -> None:
    what = f'The question "{permission.title}"'
    if permission.state == "withdrawn":
        raise Conflict(f"{what} is no longer asked.", code="withdrawn")
    if permission.state == "answered":
        by = permission.answered_by
        name = by.name if by else "somebody"
        raise Conflict(
            f"{what} was answered by {name} already.",
            code="already_answered",
            answered_by=by.json_dict() if by else None,
            choices=permission.choices,
        )


def _check_answer(permission: Permission, choices: Sequence[str], text: str | None) -> None:
    offered = [option.id for option in permission.options]
    if unknown := [choice for choice in choices if choice not in offered]:
        raise Invalid.field("choices", f"{unknown[0][:100]} is not offered: {', '.join(offered)}")
    if len(set(choices)) < len(choices):
        raise Invalid.field("choices", "name each only once")
    if len(choices) > 1 and not permission.multiple:
        raise Invalid.field("choices", "only one may be chosen")
    if text is not None and not permission.free_text:
        raise Invalid.field("text", f"choose one of {', '.join(offered)}")
    if not choices and not (text or "").strip():
        wanted = "choices" if offered else "text"
        raise Invalid.field(wanted, "is the answer")


def _go_on(tx: WriteTx, closed: Permission) -> None:
    """Whoever waited for this one only works again."""
    session = sessions.get(tx, closed.session)
    if session.status == "awaiting_input" and not permissions.open_of_session(tx, session.id):
        sessions.patch(tx, session, {"status": "working"}, None)
    if closed.attempt and not permissions.open_of_attempt(tx, closed.attempt):
        _set_waiting(tx, closed, False)


def _set_waiting(tx: WriteTx, permission: Permission, waiting: bool) -> None:
    if permission.attempt is not None:
        attempts.set_waiting(tx, attempts.get(tx, permission.attempt), waiting)
