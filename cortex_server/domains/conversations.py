"""Sessions as parts of attempts: their start, what people say into them, and their end."""

from typing import Any

from cortex_server.db.work import attempts as attempt_table
from cortex_server.domains import (
    agents,
    attempt_states,
    attempts,
    endings,
    instances,
    messages,
    permissions,
    questions,
    sessions,
)
from cortex_server.domains.rows import bump
from cortex_server.errors import Conflict, Invalid
from cortex_server.events.objects import Message, Session, SessionOutcome, Ticket
from cortex_server.events.payloads import AttemptSession
from cortex_server.events.work import Attempt
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

_OUTCOMES: dict[str, SessionOutcome] = {
    "succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled", "lost": "failed",
}  # fmt: skip
_HELD = ("starting", "running", "waiting")  # by a runner that can do something
ABORT_ASKED = "The agent was asked to end its turn."


def start(tx: WriteTx, ticket: Ticket, fields: dict[str, Any]) -> Session:
    """Start a session; one of an attempt becomes its root if it has none and no parent.

    A child belongs to the attempt of its parent, unless it names one. Raises Invalid for an
    attempt on another ticket, Conflict when nobody holds that one (see `attempts.check_held`), and
    what `sessions.start` raises.
    """
    attempt = _attempt(tx, ticket, fields)
    if attempt is None:
        return sessions.start(tx, ticket, fields)
    attempts.check_held(tx, attempt)
    session = sessions.start(tx, ticket, fields, attempt.id)
    root = attempt.session is None and session.parent_id is None
    if root:
        bump(tx, attempt_table, attempt.id, attempt, {"session": session.id})
    now = attempts.get(tx, attempt.id)
    told = AttemptSession(
        attempt=now.id, revision=now.revision, updated_at=now.updated_at,
        session=session.id, root=root,
    )  # fmt: skip
    tx.emit("attempt.session", told, session.project, session.ticket)
    return session


def prompt(tx: WriteTx, session: Session, text: str) -> Message:
    """Say something to the agent: a message of the user, and a command to whoever runs it.

    Raises Conflict (session_ended, nobody_holds, not_offered) when nobody would hear it.
    """
    attempt = _holder(tx, session)
    _check_takes(tx, attempt, "prompt")
    fields = {"role": "user", "parts": [{"type": "text", "text": text}]}
    message, _ = messages.put(tx, session, f"prompt-{new_id()}", fields, None)
    said = {"session": session.id, "text": text, "message": message.id}
    attempts.request(tx, attempt, "prompt", said)
    return message


def abort(tx: WriteTx, session: Session) -> None:
    """Ask the agent to end its turn, not its work: a command, and a message that says so.

    Raises Conflict as `prompt`.
    """
    attempt = _holder(tx, session)
    _check_takes(tx, attempt, "abort")
    attempts.request(tx, attempt, "abort", {"session": session.id})
    # Whoever reads the conversation sees why the agent stopped; and the event wakes its runner.
    fields = {"role": "system", "parts": [{"type": "text", "text": ABORT_ASKED}]}
    messages.put(tx, session, f"abort-{new_id()}", fields, None)


def end(
    tx: WriteTx, session: Session, outcome: SessionOutcome | None, revision: int | None
) -> Session:
    """As `sessions.end`; what it asked is asked no more."""
    ended = sessions.end(tx, session, outcome, revision)
    for asked in permissions.open_of_session(tx, session.id):
        questions.withdraw(tx, asked)
    return ended


@endings.closing
def close(tx: WriteTx, attempt: Attempt) -> None:
    """An attempt has ended: its questions are asked no more, its sessions end, the last first,
    with what streamed as far as it came, and its server is stopped.
    """
    permissions.withdraw(tx, permissions.open_of_attempt(tx, attempt.id))
    for session in reversed(sessions.of_attempt(tx, attempt.id)):
        if session.status != "ended":
            sessions.end(tx, session, _OUTCOMES[attempt.status], None)
    instances.stop(tx, attempt)


def _attempt(tx: ReadTx, ticket: Ticket, fields: dict[str, Any]) -> Attempt | None:
    """The attempt that a new session belongs to. Raises Invalid."""
    named, parent_id = fields.get("attempt"), fields.get("parent_id")
    parent = None if parent_id is None else sessions.find(tx, parent_id)
    if named is None and parent is not None and parent.ticket == ticket.key:
        named = parent.attempt
    if named is None:
        return None
    found = attempts.find(tx, named)
    if found is None or found.ticket != ticket.key:
        raise Invalid.field("attempt", f"there is no attempt {named} on ticket {ticket.key}")
    return found


_VERBS: dict[str, str] = {"prompt": "takes nothing that is said to it", "abort": "ends no turn"}


def _check_takes(tx: ReadTx, attempt: Attempt, capability: str) -> None:
    """Raises Conflict (not_offered) when its agent is known not to take that."""
    agent = agents.find(tx, attempt.agent)
    if agent is not None and capability not in agent.capabilities:
        raise Conflict(
            f"The agent {attempt.agent} {_VERBS[capability]}; stop its attempt on "
            f"{attempt.ticket}, or comment there.",
            code="not_offered",
        )


def _holder(tx: ReadTx, session: Session) -> Attempt:
    """The attempt that somebody runs, of the session. Raises Conflict when nobody does."""
    if session.status == "ended":
        raise Conflict(
            f"Session {session.id} has ended; start another attempt on {session.ticket}.",
            code="session_ended",
        )
    attempt = None if session.attempt is None else attempts.find(tx, session.attempt)
    if attempt is None:
        raise Conflict(
            f"Session {session.id} was started by hand: no runner holds it. Write to the agent "
            f"where it runs, or comment on {session.ticket}.",
            code="nobody_holds",
        )
    if attempt.status not in _HELD or attempt.runner is None:
        raise Conflict(
            f"{attempt_states.name(attempt)} is {attempt.status}: no runner holds session "
            f"{session.id}. Try again when one does, or start another attempt.",
            code="nobody_holds",
        )
    return attempt
