"""What the sessions of one server said, and how much of it was told.

Deltas are gathered for a moment and told together. A part that was open while events may have
been missed is told again when it is whole: OpenCode keeps no text of an open part, so nobody can
say what is missing. An index of a part never changes: what is not for people (steps, snapshots)
gets none, and what was removed stays, empty.

Not safe for threads: the caller has a lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_cli.runner.adapters import Report
from cortex_cli.runner.redaction import RedactedStream, Redactor

GATHER_S = 0.04
_OUTPUT_S = 0.5  # between two tellings of a tool's growing output
LONGEST_PART = 1_000_000  # code points
_KINDS = {"text": "text", "reasoning": "thinking", "tool": "tool"}
_DONE = ("completed", "error")


@dataclass
class Part:
    """One piece of a message. text: redacted, as told or about to be told."""

    kind: str
    stream: RedactedStream
    tool: str | None = None
    input: Any = None
    text: str = ""
    raw: list[str] = field(default_factory=list)  # of an open one, as it came
    waiting: list[str] = field(default_factory=list)
    done: bool = False
    missed: bool = False  # events may be missing: only the end of it is certain
    told: int = 0  # code points

    def wire(self) -> dict[str, Any]:
        return {
            "type": self.kind,
            "text": self.text,
            "tool": self.tool,
            "input": self.input,
            "status": "complete" if self.done else "streaming",
        }


@dataclass
class Message:
    session: str
    id: str
    number: int
    role: str | None = None  # not known yet
    complete: bool = False
    echo: bool = False  # the board has it already: it was written there
    parts: list[Part] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)  # by OpenCode's id of the part
    changed: bool = True  # more than open text grew
    due: float | None = None

    def part(self, part_id: str) -> Part | None:
        number = self.index.get(part_id)
        return None if number is None else self.parts[number]


class Transcript:
    def __init__(self, report: Report, redactor: Redactor) -> None:
        self._report = report
        self._redactor = redactor
        self._messages: dict[tuple[str, str], Message] = {}
        self._due: dict[tuple[str, str], Message] = {}

    def info(self, session: str, info: Mapping[str, Any], now: float) -> None:
        """Take what is known of a message."""
        message = self._message(session, str(info.get("id")))
        role = "user" if info.get("role") == "user" else "assistant"
        complete = role == "user" or bool((info.get("time") or {}).get("completed"))
        if message.role is None or (complete and not message.complete):
            message.role, message.complete = role, complete
            message.changed = True
            self._later(message, now + GATHER_S)

    def part(self, session: str, given: Mapping[str, Any], now: float) -> Part | None:
        """Take a part as it is now; return it when this is what made it whole."""
        kind = _KINDS.get(str(given.get("type")))
        if kind is None or given.get("ignored"):
            return None
        message = self._message(session, str(given.get("messageID")))
        part_id = str(given.get("id"))
        part = message.part(part_id)
        if part is None:
            part = Part(kind, self._redactor.stream())
            message.index[part_id] = len(message.parts)
            message.parts.append(part)
            message.changed = True
            self._later(message, now + GATHER_S)
        if part.done:  # news that is older than what was fetched
            return None
        if kind == "tool":
            self._tool(message, part, given, now)
        else:
            self._text(message, part, given, now)
        return part if part.done else None

    def delta(self, session: str, message_id: str, part_id: str, text: str, now: float) -> None:
        """Append to an open part."""
        message = self._messages.get((session, message_id))
        part = message.part(part_id) if message else None
        if message is None or part is None or part.done or part.missed:
            return
        part.raw.append(text)
        part.waiting.append(text)
        self._later(message, now + GATHER_S)

    def removed(self, session: str, message_id: str, part_id: str | None, now: float) -> None:
        """Empty a part, or all of a message."""
        message = self._messages.get((session, message_id))
        if message is None:
            return
        for known, number in message.index.items():
            if part_id in (None, known):
                part = message.parts[number]
                part.text, part.done = "", True
                part.waiting.clear()
                message.changed = True
        self._later(message, now + GATHER_S)

    def by_a_person(self, session: str, message_id: str) -> bool:
        message = self._messages.get((session, message_id))
        return message is not None and message.role == "user"

    def echo(self, session: str, message_id: str) -> None:
        """Never tell of this message."""
        self._message(session, message_id).echo = True

    def missed(self) -> None:
        """Believe no open part any more: events were lost."""
        for message in self._messages.values():
            for part in message.parts:
                part.missed = part.missed or not part.done

    def next_due(self) -> float | None:
        """Return when `tell` has something to do."""
        return min(
            (message.due for message in self._due.values() if message.due and message.role),
            default=None,
        )

    def tell(self, now: float) -> None:
        """Report what is due, and with it what else its session has: new messages in order."""
        known = [message for message in self._due.values() if message.role is not None]
        sessions = {message.session for message in known if (message.due or 0.0) <= now}
        for message in sorted(known, key=lambda message: message.number):
            if message.session in sessions:
                del self._due[message.session, message.id]
                message.due = None
                self._tell(message)

    def finish(self, session: str | None = None) -> None:
        """Complete and tell everything, of one session or of all: nothing follows."""
        for key, message in self._messages.items():
            if session not in (None, message.session) or message.role is None:
                continue
            if message.complete and message.due is None:
                continue
            self._due.pop(key, None)
            message.due = None
            for part in message.parts:
                if not part.done:
                    self._flow(part)
                    part.text = (part.text + part.stream.finish())[:LONGEST_PART]
                    part.done = True
            message.complete = message.changed = True
            self._tell(message)

    def _message(self, session: str, message_id: str) -> Message:
        key = (session, message_id)
        if key not in self._messages:
            self._messages[key] = Message(session, message_id, len(self._messages))
        return self._messages[key]

    def _later(self, message: Message, due: float) -> None:
        message.due = due if message.due is None else min(message.due, due)
        self._due[message.session, message.id] = message

    def _text(self, message: Message, part: Part, given: Mapping[str, Any], now: float) -> None:
        text = str(given.get("text") or "")
        time_ = given.get("time") or {}
        if time_.get("end") is None and "start" in time_:
            if not text and not part.raw:
                part.missed = False  # announced just now: all of its deltas follow
            elif text.startswith(raw := "".join(part.raw)) and text != raw:
                part.raw.append(text[len(raw) :])
                part.waiting.append(part.raw[-1])
                self._later(message, now + GATHER_S)
            return
        # What was told already may end differently, or have a hole: the whole text counts.
        part.text, part.done = self._redactor.text(text)[:LONGEST_PART], True
        part.waiting.clear()
        part.raw.clear()
        message.changed = True
        self._later(message, now)

    def _tool(self, message: Message, part: Part, given: Mapping[str, Any], now: float) -> None:
        state = given.get("state") or {}
        status = state.get("status")
        metadata = state.get("metadata") or {}
        text = state.get("output") or state.get("error") or metadata.get("output") or ""
        before = part.tool, part.input, part.done
        part.tool = str(given.get("tool") or "tool")
        part.input = self._redactor.value(state.get("input") or {})
        part.done = status in _DONE
        told, part.text = part.text, self._redactor.text(str(text))[:LONGEST_PART]
        if (part.tool, part.input, part.done) != before:
            message.changed = True
            self._later(message, now + GATHER_S)
        elif part.text != told:
            message.changed = True
            self._later(message, now + _OUTPUT_S)

    def _flow(self, part: Part) -> None:
        """Let what waits through the redactor, which may keep the end of it for now."""
        if part.waiting:
            piece = part.stream.feed("".join(part.waiting))
            part.waiting.clear()
            part.text = (part.text + piece)[:LONGEST_PART]

    def _tell(self, message: Message) -> None:
        for part in message.parts:
            if part.kind != "tool" and not part.done:
                self._flow(part)
        if message.echo:
            return
        if message.changed or message.complete:
            self._report.message(
                message.session,
                message.id,
                message.role or "assistant",
                [part.wire() for part in message.parts],
                message.complete,
            )
        else:
            for number, part in enumerate(message.parts):
                if len(part.text) > part.told:
                    new = part.text[part.told :]
                    self._report.delta(message.session, message.id, number, part.told, new)
        message.changed = False
        for part in message.parts:
            part.told = len(part.text)
