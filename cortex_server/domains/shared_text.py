"""Live text where several processes serve one database: in a table that does not outlive a crash.

A delta and the notification that tells every process of it commit together, without waiting for
the disk. What is in the table follows the stored text without a hole; whoever stores the text
takes it out of the table in the same transaction, so a reader sees each character once.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from time import monotonic
from typing import Any

from gevent.lock import BoundedSemaphore

from cortex_server.channels import EphemeralEvent
from cortex_server.db import postgres
from cortex_server.db.engine import driver_of
from cortex_server.db.faults import translated
from cortex_server.domains import live, messages, sessions
from cortex_server.errors import NotFound, Unavailable
from cortex_server.events.objects import Message
from cortex_server.store import ReadTx, WriteTx

PIECE = 1_200  # code points in one notification: at most six bytes each, beside 500 of the rest
IDLE_S = 1.0  # after which a connection is tried before it is used
TURN_S = 3.0  # for the turn in this process, and as long again for the one among all
_TURNS = 0x636C  # "cl", the first half of the advisory locks under which a message grows
# A process that stands still with a lock keeps the others waiting: not for long, and it loses it.
_SETTINGS = (
    "-c synchronous_commit=off -c statement_timeout=10s"
    f" -c lock_timeout={TURN_S:g}s -c idle_in_transaction_session_timeout=10s"
)
# The second keeps out who wants the database for itself.
_TAKE_TURN = "SELECT pg_advisory_xact_lock(%s, hashtext(%s)), pg_try_advisory_xact_lock_shared(%s)"

# Parts are a large value, which is read only when nothing of the part is in the table.
_STATE = """
SELECT m.revision, m.status, coalesce(
    (SELECT max(d.start + char_length(d.text)) FROM live_deltas d
     WHERE d.session = m.session AND d.message = m.id AND d.part = %(part)s
       AND d.revision = m.revision),
    char_length(m.parts::json -> %(part)s ->> 'text'))
FROM messages m WHERE m.session = %(session)s AND m.id = %(message)s
"""
_INSERT = """
INSERT INTO live_deltas (session, message, revision, part, start, text)
VALUES (%(session)s, %(message)s, %(revision)s, %(part)s, %(start)s, %(text)s)
"""
_OF_MESSAGES = """
SELECT session, message, revision, part, start, text FROM live_deltas
WHERE session = %s AND message = ANY(%s)
"""
_TAKE = """
DELETE FROM live_deltas
WHERE session = coalesce(%s::text, session) AND message = coalesce(%s::text, message)
RETURNING session, message, revision, part, start, text
"""


class SharedText:
    """The live text of all messages of a database, as one of its processes sees it."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        # Its own: a request that waits here for a connection of the pool would hold one already.
        self._connection: Any = None
        self._turn = BoundedSemaphore(1)
        self._used_at = 0.0

    def append(self, message: Message, part: int, offset: int, text: str, at: str = "") -> int:
        """Append text to a part, tell all processes, and return the new length. Not yet durable.

        Raises what `LiveText.append` raises, and Unavailable when the database cannot be asked.
        """
        live.check_grows(message, part)
        with self._asking() as connection, connection.transaction():
            return self._append(message, part, offset, text, at)

    def shown(self, tx: ReadTx, found: Sequence[Message]) -> list[Message]:
        """The messages, all of one session, as their readers know them."""
        growing = [message.id for message in found if message.status == "streaming"]
        if not growing:
            return list(found)
        rows = driver_of(tx.conn).execute(_OF_MESSAGES, (found[0].session, growing)).fetchall()
        tails = {key[1]: tail for key, tail in _by_message(rows)}
        return [_grown(message, tails.get(message.id, [])) for message in found]

    def dirty(self) -> bool:
        """Whether there is anything to store."""
        with self._asking() as connection:
            query = "SELECT EXISTS (SELECT FROM live_deltas)"
            return bool(connection.execute(query).fetchone()[0])

    def flush(self, tx: WriteTx, session: str | None = None, message: str | None = None) -> None:
        """Store the live text: of all messages, of one session's, or of one.

        No event and no new revision. What belongs to messages that are gone, complete, or were put
        anew is dropped. Before `sessions.end` and `messages.put` call it in the same transaction.
        """
        taken = driver_of(tx.conn).execute(_TAKE, (session, message)).fetchall()
        for key, tail in _by_message(taken):
            stored = messages.find(tx, *key)
            if stored is not None and stored.status == "streaming":
                grown = _grown(stored, tail)
                if grown.parts != stored.parts:
                    messages.store_text(tx, grown)
                    sessions.heard(tx, grown.session)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """The connection, for one at a time. Raises Unavailable when it does not become free.

        Whoever waits here may hold a connection of the pool, so nobody waits for long.
        """
        if not self._turn.acquire(timeout=TURN_S):
            raise Unavailable("Live text waits for the database; try again shortly.")
        try:
            with translated():
                yield self._connected()
        finally:
            self._close_unless_idle()
            self._turn.release()

    def _close_unless_idle(self) -> None:
        """Make it anew after an interruption: an answer may be due that nobody will read."""
        connection = self._connection
        # 0 is IDLE of libpq; a connection that is closed or lost has another one
        if connection is not None and connection.info.transaction_status != 0:
            self.close()

    def _connected(self) -> Any:
        """The connection, in good order as far as that can be known."""
        if self._connection is not None and monotonic() - self._used_at > IDLE_S:
            with suppress(Exception):
                self._connection.execute("SELECT 1")  # may have been lost in the meantime
            self._close_unless_idle()
        if self._connection is None:
            self._connection = postgres.connect(self._database_url, _SETTINGS)
        self._used_at = monotonic()
        return self._connection

    def _append(self, message: Message, part: int, offset: int, text: str, at: str) -> int:
        key = {"session": message.session, "message": message.id, "part": part}
        name = f"{message.session} {message.id}"
        # Two who append to one message take turns; each then sees what the other has committed.
        if not self._run(_TAKE_TURN, (_TURNS, name, postgres.SERVING)).fetchone()[-1]:
            raise Unavailable(postgres.TAKEN)
        state = self._run(_STATE, key).fetchone()
        if state is None:
            raise NotFound(f"There is no message {message.id} in session {message.session}.")
        revision, status = state[:2]
        length = int(state[2])
        if revision != message.revision or status != "streaming":
            raise live.replaced(message)
        live.check_offset(message, part, offset, length)
        live.check_length(message, part, length + len(text))
        if text:
            row = key | {"revision": revision, "start": length, "text": text}
            self._run(_INSERT, row)
            for payload in _payloads(message, part, offset, text, at):
                self._run("SELECT pg_notify(%s, %s)", (postgres.DELTAS, payload))
        return length + len(text)

    def _run(self, statement: str, arguments: Any) -> Any:
        return self._connection.execute(statement, arguments, prepare=True)


def event_of(payload: str) -> EphemeralEvent:
    """The message.delta that a notification carries. Raises ValueError for one that has none."""
    values = json.loads(payload)
    if not all(isinstance(values[name], str) for name in ("project", "ticket", "at")):
        raise ValueError("not a delta")
    return live.delta_event(**values)


def _payloads(message: Message, part: int, offset: int, text: str, at: str) -> Iterable[str]:
    """The arguments of `live.delta_event`, for each piece of a text."""
    for start in range(0, len(text), PIECE):
        piece = {
            "project": message.project, "ticket": message.ticket, "session": message.session,
            "message": message.id, "part": part, "offset": offset + start,
            "text": text[start : start + PIECE], "at": at,
        }  # fmt: skip
        yield json.dumps(piece, ensure_ascii=False, separators=(",", ":"))


def _by_message(rows: list[Any]) -> Iterable[tuple[tuple[str, str], list[Any]]]:
    """(session, message) -> its (revision, part, start, text), in order."""
    for key, tail in groupby(sorted(rows), key=lambda row: (row[0], row[1])):
        yield key, [row[2:] for row in tail]


def _grown(message: Message, tail: list[Any]) -> Message:
    """The message with the text that follows what it has."""
    texts = [part.text for part in message.parts]
    for revision, part, start, text in tail:
        if revision == message.revision and start <= len(texts[part]) < start + len(text):
            texts[part] += text[len(texts[part]) - start :]
    if not tail:
        return message
    parts = [
        part.model_copy(update={"text": text})
        for part, text in zip(message.parts, texts, strict=True)
    ]
    return message.model_copy(update={"parts": parts})
