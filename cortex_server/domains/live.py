"""Live text: what deltas appended to streaming messages and the database does not hold yet.

A delta is told to its readers at once and stored with many others twice a second. Until then its
text is here, in the memory of the only process, and a GET shows both. Where several processes
serve one database it is in `shared_text`.

The stored row is the only evidence of what is safe: text leaves this place two flushes after it
was written, when the row was seen with it. A flush may see what others of its own transaction
wrote, so it lets go of nothing before the commit: a transaction that fails loses nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from cortex_server import log
from cortex_server.channels import EphemeralEvent
from cortex_server.domains import messages, sessions
from cortex_server.domains.messages import TEXT_MAX
from cortex_server.errors import Conflict, NotFound, TooLarge, Unavailable
from cortex_server.events import validate
from cortex_server.events.objects import Message
from cortex_server.events.payloads import Delta
from cortex_server.store import ReadTx, WriteTx

MESSAGE_MAX = TEXT_MAX  # characters held for one message
TOTAL_MAX = 64 * 1_048_576  # and for all of them: a guard for when the disk takes nothing
DELTA = "message.delta"


class Growing(Protocol):
    """Live text, wherever it is kept: `LiveText` in memory, or `SharedText`."""

    def append(self, message: Message, part: int, offset: int, text: str, at: str = "") -> int:
        """Append text to a part, tell its readers, and return the part's new length."""
        ...

    def shown(self, tx: ReadTx, found: Sequence[Message]) -> list[Message]:
        """The messages, all of one session, as their readers know them."""
        ...

    def dirty(self) -> bool:
        """Whether there is anything to store or to let go of."""
        ...

    def flush(self, tx: WriteTx, session: str | None = None, message: str | None = None) -> None:
        """Store the live text: of all messages, of one session's, or of one."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass
class _Tail:
    """The text of one part from code point `base` on. seen: the stored length at the last flush."""

    base: int
    seen: int
    pieces: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def end(self) -> int:
        return self.base + self.size

    def append(self, text: str) -> None:
        self.pieces.append(text)
        self.size += len(text)

    def after(self, stored: int) -> str:
        """What follows the first `stored` code points; nothing when they are too old to tell."""
        if not self.base <= stored <= self.end:
            return ""
        return self._joined()[stored - self.base :]

    def stored(self, safe: int, length: int) -> None:
        """Let go of what the flush before found stored, and note what this one found."""
        cut = safe - self.base
        if cut > 0:
            self.pieces = [self._joined()[cut:]]
            self.base, self.size = self.base + cut, self.size - cut
        self.seen = length

    def _joined(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


@dataclass
class _Live:
    """The tails of one message, by part. They belong to one revision: a PUT makes a new one."""

    revision: int
    tails: dict[int, _Tail] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(tail.size for tail in self.tails.values())


class LiveText:
    """The live text of all messages of this process.

    tell: passes a delta to its readers.
    """

    def __init__(
        self,
        message_max: int = MESSAGE_MAX,
        total_max: int = TOTAL_MAX,
        tell: Callable[[EphemeralEvent], None] = lambda _event: None,
    ) -> None:
        self._live: dict[tuple[str, str], _Live] = {}
        self._message_max = message_max
        self._total_max = total_max
        self._tell = tell

    def append(self, message: Message, part: int, offset: int, text: str, at: str = "") -> int:
        """Append text to a part, tell it, and return its new length in code points. Not durable.

        message: as it is stored · offset: where the sender believes that the part ends · at: now.
        Raises NotFound (no such part), Conflict (complete, or offset_mismatch with the `length`
        that it has), TooLarge, and Unavailable when too much waits for the disk.
        """
        tail = self._tail(message, part)
        length = tail.end if tail else len(message.parts[part].text)
        check_offset(message, part, offset, length)
        self._check_room(message, part, length, len(text))
        if not text:
            return length
        live = self._live.setdefault(_key(message), _Live(message.revision))
        live.tails.setdefault(part, _Tail(length, length)).append(text)
        of = (message.project, message.ticket, message.session, message.id)
        self._tell(delta_event(*of, part, offset, text, at))
        return length + len(text)

    def merge(self, message: Message) -> Message:
        """The message as its readers know it: the stored text and what is live."""
        live = self._live.get(_key(message))
        if live is None or live.revision != message.revision or message.status != "streaming":
            return message
        parts = list(message.parts)
        for index, tail in live.tails.items():
            part = parts[index]
            parts[index] = part.model_copy(update={"text": part.text + tail.after(len(part.text))})
        return message.model_copy(update={"parts": parts})

    def merge_all(self, found: Iterable[Message]) -> list[Message]:
        return [self.merge(message) for message in found]

    def shown(self, _tx: ReadTx, found: Sequence[Message]) -> list[Message]:
        return self.merge_all(found)

    def dirty(self) -> bool:
        """Whether there is anything to store or to let go of."""
        return bool(self._live)

    def flush(self, tx: WriteTx, session: str | None = None, message: str | None = None) -> None:
        """Store the live text: of all messages, of one session's, or of one.

        No event and no new revision: its readers had it as deltas. After the commit it forgets
        messages that are gone, complete, or were put anew. Before `sessions.end` and
        `messages.put` call it in the same transaction.
        """
        for key in list(self._live):
            if session in (None, key[0]) and message in (None, key[1]):
                self._flush(tx, key)

    def close(self) -> None:
        """Nothing: it holds no connection."""

    def forget(self, session: str, message: str) -> None:
        """Drop the live text of a message, since a PUT replaced it."""
        self._live.pop((session, message), None)

    @property
    def size(self) -> int:
        """The characters held; for the bound and for the metrics."""
        return sum(live.size for live in self._live.values())

    def _tail(self, message: Message, part: int) -> _Tail | None:
        """The tail of a part that may grow, if it has one. Drops what a PUT made obsolete."""
        check_grows(message, part)
        live = self._live.get(_key(message))
        if live is None:
            return None
        if live.revision > message.revision:
            raise replaced(message)
        if live.revision < message.revision:
            self.forget(*_key(message))
            return None
        return live.tails.get(part)

    def _check_room(self, message: Message, part: int, length: int, more: int) -> None:
        live = self._live.get(_key(message))
        held = live.size if live else 0
        if length + more > TEXT_MAX or held + more > self._message_max:
            raise TooLarge(
                f"Part {part} of message {message.id} would have {length + more} characters; "
                f"a text has at most {TEXT_MAX}."
            )
        if more > self._total_max - self.size:
            raise Unavailable("Too much text waits to be stored; try again shortly.")

    def _flush(self, tx: WriteTx, key: tuple[str, str]) -> None:
        live = self._live.get(key)
        stored = messages.find(tx, *key)
        # On PostgreSQL others run during each query: what was read before may be replaced by now.
        if live is None or self._live.get(key) is not live:
            return
        if stored is None or stored.revision != live.revision or stored.status != "streaming":
            tx.after_commit.append(partial(self._let_go, key, live))
            return
        merged = self.merge(stored)
        if merged.parts != stored.parts:
            messages.store_text(tx, merged)
            sessions.heard(tx, merged.session)
        for index, tail in live.tails.items():
            length = len(stored.parts[index].text)
            tx.after_commit.append(partial(tail.stored, min(tail.seen, length), length))
        tx.after_commit.append(partial(self._tidy, key, live))

    def _tidy(self, key: tuple[str, str], live: _Live) -> None:
        """Drop the tails that hold nothing any more."""
        live.tails = {index: tail for index, tail in live.tails.items() if tail.size}
        if not live.tails:
            self._let_go(key, live)

    def _let_go(self, key: tuple[str, str], live: _Live) -> None:
        """Forget this one, and not what came in its place meanwhile."""
        if self._live.get(key) is live:
            self.forget(*key)


def check_grows(message: Message, part: int) -> None:
    """Raises NotFound when there is no such part, Conflict when it is complete."""
    if not 0 <= part < len(message.parts):
        raise NotFound(f"Message {message.id} has {len(message.parts)} parts, none is {part}.")
    if "complete" in (message.status, message.parts[part].status):
        raise Conflict(
            f"Part {part} of message {message.id} is complete; put the message to change it.",
            code="message_complete",
        )


def check_offset(message: Message, part: int, offset: int, length: int) -> None:
    """Raises Conflict when text for this offset would leave a hole or repeat something."""
    if offset != length:
        raise Conflict(
            f"Part {part} of message {message.id} has {length} characters, the text is for "
            f"offset {offset}; go on from {length}, or put the whole message.",
            code="offset_mismatch",
            length=length,
        )


def check_length(message: Message, part: int, length: int) -> None:
    """Raises TooLarge when a part would become longer than a PUT may make it."""
    if length > TEXT_MAX:
        raise TooLarge(
            f"Part {part} of message {message.id} would have {length} characters; "
            f"a text has at most {TEXT_MAX}."
        )


def replaced(message: Message) -> Conflict:
    return Conflict(
        f"Message {message.id} was put anew just now; get it and go on from there.",
        code="message_replaced",
    )


def delta_event(
    project: str, ticket: str, session: str, message: str,
    part: int, offset: int, text: str, at: str,
) -> EphemeralEvent:  # fmt: skip
    """The message.delta that tells readers of appended text. offset: where the text begins."""
    payload = Delta(session=session, message=message, part=part, offset=offset, text=text)
    document = {
        "type": DELTA,
        "project": project,
        "ticket": ticket,
        "at": at,
        "payload": validate(DELTA, payload).model_dump(mode="json"),
    }
    frame = f"event: {DELTA}\ndata: {log.encode(document)}\n\n".encode()
    return EphemeralEvent(DELTA, project, ticket, session, frame)


def _key(message: Message) -> tuple[str, str]:
    return message.session, message.id
