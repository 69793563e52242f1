"""An attempt's sessions, messages and questions: from the agent's names for them to the board's.

The text of a message that grows is kept until it is complete. Deltas may get lost on the way (the
server tells them on before it stores them); when it then misses some text, the whole message so far
is put instead, and the deltas go on from there.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cortex_cli import sdk
from cortex_cli.runner import sendable
from cortex_cli.runner.outbox import Body, Entry, Outbox
from cortex_cli.runner.redaction import RedactedStream, Redactor

_MESSAGE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_PARTS_MAX = 1000
_MESSAGE_MAX = sendable.TEXT_MAX  # characters of all parts; in JSON each takes up to six bytes
_MESSAGES_MAX, _DELTAS_MAX = 200, 1000  # of one request
_GROWING_MAX = 1000  # of more that are never completed the oldest grow no longer
_DELTA_EVERY_S = 0.04
_GONE = 404


@dataclass
class _Text:
    """A part that grows. raw: how much the agent said; told: what of it may be told, so far."""

    stream: RedactedStream
    raw: int = 0
    told: list[str] = field(default_factory=list)
    length: int = 0

    def feed(self, text: str) -> str:
        """Take what follows; return what can be told of it now."""
        self.raw += len(text)
        more = sendable.text(self.stream.feed(text), len(text) + sendable.TEXT_MAX)
        more = more[: max(sendable.TEXT_MAX - self.length, 0)]
        self.told.append(more)
        self.length += len(more)
        return more

    def text(self) -> str:
        self.told = ["".join(self.told)]
        return self.told[0]


@dataclass
class _Growing:
    """A message that is not complete: its parts, and the texts of those that grow, by number."""

    role: str
    parts: list[Body]
    texts: dict[int, _Text]

    def body(self, message: str) -> Body:
        parts = [
            {**part, "text": self.texts[index].text()} if index in self.texts else part
            for index, part in enumerate(self.parts)
        ]
        return {"id": message, "role": self.role, "parts": parts, "status": "streaming"}


class Conversation:
    """Tells of sessions by the agent's keys. root: the id of the attempt's own session, if any."""

    def __init__(
        self, outbox: Outbox, redactor: Redactor, *, attempt: str, ticket: str, root: str | None
    ) -> None:
        self._outbox = outbox
        self._redactor = redactor
        self._attempt = attempt
        self._ticket = ticket
        self._root = root
        self._ids: dict[str, str] = {}
        self._told: dict[str, Body] = {}  # what was said of each session, by key
        self._growing: dict[tuple[str, str], _Growing] = {}
        self._asked: dict[str, str] = {}  # the permission of each question
        self._open: dict[str, str] = {}  # the session of each open question
        self.withdrew = 0  # how many questions
        self._lock = threading.RLock()

    def session(self, key: str, parent: str | None, fields: Mapping[str, str | None]) -> None:
        """Tell of a session, or of what changed about it. The first one is the root."""
        with self._lock:
            self._session(key, parent, fields)

    def key_of(self, session: str | None) -> str | None:
        """Return the agent's key of one of the board's sessions, None for an unknown one."""
        with self._lock:
            return next((key for key, known in self._ids.items() if known == session), None)

    def doing(self, key: str, status: str, tool: str | None, work: str | None) -> None:
        with self._lock:
            body = {
                "status": status,
                "tool": self._line(tool),
                "work": self._line(work),
            }
            if self._tell_once(key, body):
                self._put(key, "PATCH", self._path(key), body, join=_latest)

    def ended(self, key: str, outcome: str) -> None:
        with self._lock:
            for of, message in list(self._growing):
                if of == key:
                    self._growing.pop((of, message))
            self._put(key, "POST", f"{self._path(key)}/end", {"outcome": outcome})

    def message(
        self, key: str, message: str, role: str, parts: Sequence[Mapping[str, Any]], complete: bool
    ) -> None:
        """Tell a whole message so far."""
        self._outbox.wait_for_room()
        name = _message_id(message)
        with self._lock:
            plain = _fitting([self._part(part, complete) for part in parts[:_PARTS_MAX]])
            if complete:
                self._growing.pop((key, name), None)
                body = {"id": name, "role": role, "parts": plain, "status": "complete"}
            else:
                growing = self._grow(role, plain, parts)
                self._growing[key, name] = growing
                if len(self._growing) > _GROWING_MAX:
                    del self._growing[next(iter(self._growing))]
                body = growing.body(name)
            self._put_message(key, body)

    def delta(self, key: str, message: str, part: int, offset: int, text: str) -> None:
        """Append to a part; what is already known is left out, what leaves a hole is dropped."""
        name = _message_id(message)
        with self._lock:
            growing = self._growing.get((key, name))
            grows = growing.texts.get(part) if growing else None
            if grows is None or offset > grows.raw:
                return  # the whole message is still to come
            at = grows.length
            more = grows.feed(text[grows.raw - offset :])
            # With too much waiting only the copy here grows: the server notices the hole later.
            if more and self._outbox.has_room():
                delta = {"message": name, "part": part, "offset": at, "text": more}
                self._put(
                    key, "POST", f"{self._path(key)}/deltas", {"deltas": [delta]},
                    join=_longer, adds=True, delay_s=_DELTA_EVERY_S, refused=self._missed,
                )  # fmt: skip

    def ask(self, key: str, question: str, body: Body) -> None:
        """Ask a person; the body is the permission's, without its external id."""

        def answered(permission: Any) -> None:
            with self._lock:
                self._asked[question] = str(permission["id"])

        with self._lock:
            self._open[question] = key
            asked = {**body, "external_id": sendable.text(question, sendable.NAME_MAX)}
            path = f"{self._path(key)}/permissions"
            self._put(key, "POST", path, asked, answered=answered)

    def withdrawn(self, question: str) -> None:
        with self._lock:
            key = self._open.pop(question, None)
            if key is None:
                return
            self.withdrew += 1

            def path() -> str | None:
                with self._lock:
                    found = self._asked.pop(question, None)
                return None if found is None else f"/api/permissions/{found}/withdraw"

            self._put(key, "POST", path, {}, refused=lambda _entry, _error: True)

    def was_answered(self, question: str) -> None:
        """Forget a question that the board has answered."""
        with self._lock:
            self._open.pop(question, None)
            self._asked.pop(question, None)

    def _session(self, key: str, parent: str | None, fields: Mapping[str, str | None]) -> None:
        given = {
            name: self._line(value, sendable.TITLE_MAX if name == "title" else sendable.NAME_MAX)
            for name, value in fields.items()
            if value is not None
        }
        if key in self._ids:
            if given and self._tell_once(key, given):
                self._put(key, "PATCH", self._path(key), given)
            return
        is_root = not self._ids
        self._ids[key] = self._root if is_root and self._root else str(uuid.uuid4())
        self._told[key] = dict(given)
        if is_root and self._root:
            if given:
                self._put(key, "PATCH", self._path(key), given)
            return
        above = self._ids.get(parent or "") or (None if is_root else next(iter(self._ids.values())))
        body = {"id": self._ids[key], "attempt": self._attempt, **given}
        path = sdk.url_path("api", "tickets", self._ticket, "sessions")
        self._put(key, "POST", path, {**body, "parent_id": above} if above else body)

    def _path(self, key: str) -> str:
        """Return where the session is; one that was not told of is told of now."""
        if key not in self._ids:
            self._session(key, None, {})
        return f"/api/sessions/{self._ids[key]}"

    def _put(self, key: str, method: str, path: Any, body: Body, **more: Any) -> None:
        self._outbox.put(Entry(f"session {key}", method, path, body, **more))

    def _put_message(self, key: str, body: Body) -> None:
        self._put(
            key, "POST", f"{self._path(key)}/messages", {"messages": [body]},
            join=_newest, many="messages",
        )  # fmt: skip

    def _tell_once(self, key: str, body: Body) -> bool:
        """Say whether this is news, and remember it."""
        self._path(key)
        known = self._told.setdefault(key, {})
        news = {name: value for name, value in body.items() if known.get(name) != value}
        known.update(news)
        return bool(news)

    def _part(self, part: Mapping[str, Any], complete: bool) -> Body:
        grows = not complete and part.get("status") == "streaming"
        return {
            "type": part.get("type") or "text",
            "text": ""
            if grows
            else sendable.text(self._redactor.text(str(part.get("text") or ""))),
            "tool": self._line(part.get("tool"), sendable.NAME_MAX),
            "input": sendable.tool_input(self._redactor.value(part.get("input"))),
            "status": "streaming" if grows else "complete",
        }

    def _grow(self, role: str, plain: list[Body], parts: Sequence[Mapping[str, Any]]) -> _Growing:
        texts = {}
        for index, part in enumerate(plain):
            if part["status"] == "streaming":
                texts[index] = _Text(self._redactor.stream())
                texts[index].feed(str(parts[index].get("text") or ""))
        return _Growing(role, plain, texts)

    def _line(self, value: object, most: int = sendable.LINE_MAX) -> str | None:
        return None if value is None else sendable.line(self._redactor.text(str(value)), most)

    def _missed(self, entry: Entry, error: sdk.Refused) -> bool:
        """Put the messages whole whose deltas the server could not append.

        What waits for them is part of that already.
        """
        if error.status not in (409, _GONE, 413):
            return False
        key = entry.lane.removeprefix("session ")
        applied = error.body.get("applied")
        rest = entry.body["deltas"][applied if isinstance(applied, int) else 0 :]
        with self._lock:
            names = {delta["message"] for delta in rest}
            whole = [
                self._growing[key, name].body(name)
                for name in names
                if (key, name) in self._growing
            ]

            def keeps(waiting: Entry) -> bool:
                if "deltas" in waiting.body:
                    left = [d for d in waiting.body["deltas"] if d["message"] not in names]
                    waiting.body = {"deltas": left}
                    return bool(left)
                return True

            path = f"{self._path(key)}/messages"
            first = Entry(entry.lane, "POST", path, {"messages": whole}, many="messages")
            self._outbox.rewrite(entry.lane, keeps, [first] if whole else [])
        return True


def _fitting(parts: list[Body]) -> list[Body]:
    """Return the parts of a message that fits into one request; the longest texts are cut."""
    while sum(len(part["text"]) for part in parts) > _MESSAGE_MAX:
        longest = max(parts, key=lambda part: len(part["text"]))
        longest["text"] = sendable.text(longest["text"], len(longest["text"]) // 2)
    return parts


def _message_id(given: str) -> str:
    """Return the agent's id of a message, or one that stands for it, where it cannot be one."""
    return given if _MESSAGE_ID.fullmatch(given) else str(uuid.uuid5(uuid.NAMESPACE_URL, given))


def _latest(old: Body, new: Body) -> Body | None:
    """Join: what a session does now; a change of its description stands for itself."""
    return new if old.keys() == new.keys() else None


def _newest(old: Body, new: Body) -> Body | None:
    """Join: the messages of both, each once and as it is now, in the order of their beginning."""
    found = {message["id"]: message for message in old["messages"]}
    found.update({message["id"]: message for message in new["messages"]})
    return {"messages": list(found.values())} if len(found) <= _MESSAGES_MAX else None


def _longer(old: Body, new: Body) -> Body | None:
    """Join: the deltas of both, those that continue each other as one."""
    joined = list(old["deltas"])
    for delta in new["deltas"]:
        last = joined[-1]
        same = (last["message"], last["part"]) == (delta["message"], delta["part"])
        if same and last["offset"] + len(last["text"]) == delta["offset"]:
            joined[-1] = {**last, "text": last["text"] + delta["text"]}
        else:
            joined.append(delta)
    return {"deltas": joined} if len(joined) <= _DELTAS_MAX else None
