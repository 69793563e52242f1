"""The line protocol of the `command` adapter: a JSON object a line becomes a call of the report.

docs/agents.md is its specification. What cannot be understood raises Misspoken, which says what
was wrong; the program goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

from cortex_cli.runner.adapters import LogKind, Report

LINE_MAX = 1_048_576  # bytes
MAIN = "main"  # the session that is meant when none is named
ACCEPTS = ("prompt", "abort")
_TODO = ("pending", "in_progress", "completed", "cancelled")
_DOING = ("working", "idle", "awaiting_input", "error")
_OUTCOMES = ("succeeded", "failed", "cancelled")
_KINDS = ("text", "tool", "error", "system")
_ROLES = ("user", "assistant", "system", "tool")
_PARTS = ("text", "thinking", "tool", "error")
_PART_STATUS = ("streaming", "complete")
_QUESTIONS = ("permission", "question")
_MOST = 1000  # sessions, and messages whose deltas are counted
_MOST_OPEN = 100  # questions; the board shows all of them
_LONGEST_ID = 200  # characters
_REQUIRED = object()
Fields = Mapping[str, Any]


class Misspoken(Exception):
    """A line of the protocol is wrong. The message says how."""


class Listener:
    """Hears one program. open: the questions that it asked and nobody has answered yet.

    accepts: what the program said that it takes from the board: prompt, abort.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self.open: set[str] = set()
        self.accepts: frozenset[str] = frozenset()
        self._sessions: set[str] = set()
        self._growing: dict[tuple[str, str], list[int]] = {}  # characters of each part
        self._verbs: dict[str, Callable[[Fields], None]] = {
            "hello": self._hello,
            "log": self._log,
            "status": self._status,
            "progress": self._progress,
            "todos": self._todos,
            "session": self._session,
            "message": self._message,
            "delta": self._delta,
            "ask": self._ask,
            "withdrawn": self._withdrawn,
        }

    def hear(self, line: bytes) -> None:
        """Act on one line. Raises Misspoken."""
        if not line.strip():
            return
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Misspoken(f"not JSON: {error}") from None
        if not isinstance(fields, dict):
            raise Misspoken("not a JSON object")
        verb = self._verbs.get(_text(fields, "type"))
        if verb is None:
            raise Misspoken(f"type must be one of {', '.join(self._verbs)}")
        try:
            verb(fields)
        except RecursionError:
            raise Misspoken("nested too deeply") from None

    def _hello(self, fields: Fields) -> None:
        found = _list(fields, "accepts")
        self.accepts = frozenset(_one_of({"accepts": one}, "accepts", ACCEPTS) for one in found)

    def _log(self, fields: Fields) -> None:
        kind = _one_of(fields, "kind", _KINDS, "text")
        self._report.log(cast(LogKind, kind), _text(fields, "text"), _maybe(fields, "tool"))

    def _status(self, fields: Fields) -> None:
        if "waiting" in fields:
            self._report.status(_flag(fields, "waiting"))
            return
        status = _one_of(fields, "status", _DOING)
        tool, work = _maybe(fields, "tool"), _maybe(fields, "work")
        self._report.doing(self._of(fields), status, tool, work)

    def _progress(self, fields: Fields) -> None:
        self._report.progress(_text(fields, "text"))

    def _todos(self, fields: Fields) -> None:
        self._report.todos(
            [
                {
                    "text": _text(todo, "text"),
                    "status": _one_of(todo, "status", _TODO, "pending"),
                }
                for todo in _objects(fields, "todos")
            ]
        )

    def _session(self, fields: Fields) -> None:
        key = _id(fields, "id")
        parent = _maybe(fields, "parent")
        outcome = _one_of(fields, "outcome", _OUTCOMES, "")
        if parent is not None and parent not in self._sessions:
            raise Misspoken(f"parent names no session that was told: {parent[:80]!r}")
        named = {name: _maybe(fields, name) for name in ("title", "agent", "model")}
        if key not in self._sessions and len(self._sessions) >= _MOST:
            raise Misspoken(f"there are {_MOST} sessions already")
        if key not in self._sessions or any(named.values()):
            self._sessions.add(key)
            self._report.session(key, parent=parent, **named)
        if outcome:
            self._report.session_ended(key, outcome)

    def _message(self, fields: Fields) -> None:
        message = _id(fields, "id")
        role = _one_of(fields, "role", _ROLES, "assistant")
        complete = _flag(fields, "complete", True)
        if "text" in fields:
            parts = [_part({"text": fields["text"]}, complete)]
        else:
            parts = [_part(part, complete) for part in _objects(fields, "parts")]
        key = self._of(fields)
        self._growing.pop((key, message), None)
        if not complete:
            self._grow(key, message, [len(part["text"]) for part in parts])
        self._report.message(key, message, role, parts, complete)

    def _delta(self, fields: Fields) -> None:
        message, text = _id(fields, "message"), _text(fields, "text")
        part, key = _number(fields, "part", 0), self._of(fields)
        lengths = self._growing.get((key, message))
        if part >= len(lengths or [0]):
            raise Misspoken(f"part {part} is none of the message's: tell the message first")
        if lengths is None:
            lengths = self._grow(key, message, [0])
            self._report.message(key, message, "assistant", [_part({}, False)], False)
        offset = _number(fields, "offset", lengths[part])
        if offset > lengths[part]:
            raise Misspoken(f"offset {offset} leaves a hole after {lengths[part]} characters")
        lengths[part] = max(lengths[part], offset + len(text))
        self._report.delta(key, message, part, offset, text)

    def _ask(self, fields: Fields) -> None:
        question = _id(fields, "id")
        kind = cast(
            Literal["permission", "question"], _one_of(fields, "kind", _QUESTIONS, "question")
        )
        title, detail = _text(fields, "title"), _text(fields, "detail", "")
        multiple, free_text = _flag(fields, "multiple", False), _flag(fields, "free_text", False)
        options = [_option(option) for option in _list(fields, "options", ())]
        if not options and not free_text:
            raise Misspoken("options must not be empty unless free_text is true")
        key = self._of(fields)
        if len(self.open) >= _MOST_OPEN:
            raise Misspoken(f"{_MOST_OPEN} questions are open already")
        self.open.add(question)
        self._report.ask(
            key,
            question,
            kind=kind,
            title=title,
            detail=detail,
            options=options,
            multiple=multiple,
            free_text=free_text,
        )

    def _withdrawn(self, fields: Fields) -> None:
        question = _id(fields, "id")
        if question not in self.open:
            raise Misspoken(f"id names no open question: {question[:80]!r}")
        self.open.discard(question)
        self._report.withdrawn(question)

    def _of(self, fields: Fields) -> str:
        """Return the session that a line is about; the first one is made when there is none."""
        key = _text(fields, "session", MAIN)
        if key not in self._sessions:
            if key != MAIN:
                raise Misspoken(f"session names none that was told: {key[:80]!r}")
            self._sessions.add(key)
            self._report.session(key)
        return key

    def _grow(self, key: str, message: str, lengths: list[int]) -> list[int]:
        self._growing[key, message] = lengths
        if len(self._growing) > _MOST:  # the oldest, which was never completed
            del self._growing[next(iter(self._growing))]
        return lengths


def _part(fields: Fields, complete: bool) -> dict[str, Any]:
    return {
        "type": _one_of(fields, "type", _PARTS, "text"),
        "text": _text(fields, "text", ""),
        "tool": _maybe(fields, "tool"),
        "input": fields.get("input"),
        "status": _one_of(fields, "status", _PART_STATUS, "complete" if complete else "streaming"),
    }


def _option(option: Any) -> dict[str, str]:
    if isinstance(option, str) and option:
        option = {"id": option}
    if not isinstance(option, dict):
        raise Misspoken("options must be strings, or objects with id and label")
    found = {"id": _id(option, "id")}
    return {**found, "label": _text(option, "label", found["id"])}


def _text(fields: Fields, name: str, default: object = _REQUIRED) -> str:
    value = fields.get(name)
    if value is None and default is not _REQUIRED:
        return cast(str, default)
    if not isinstance(value, str) or (default is _REQUIRED and not value):
        raise Misspoken(f"{name} must be text")
    return value


def _id(fields: Fields, name: str) -> str:
    """Return a name that the program gave something: it is kept as long as the program runs."""
    value = _text(fields, name)
    if len(value) > _LONGEST_ID:
        raise Misspoken(f"{name} must have at most {_LONGEST_ID} characters")
    return value


def _maybe(fields: Fields, name: str) -> str | None:
    return _text(fields, name) if fields.get(name) else None


def _one_of(fields: Fields, name: str, known: Sequence[str], default: object = _REQUIRED) -> str:
    value = fields.get(name)
    if value is None and default is not _REQUIRED:
        return cast(str, default)
    if value not in known:
        raise Misspoken(f"{name} must be one of {', '.join(known)}")
    return cast(str, value)


def _flag(fields: Fields, name: str, default: object = _REQUIRED) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise Misspoken(f"{name} must be true or false")
    return value


def _number(fields: Fields, name: str, default: int) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Misspoken(f"{name} must be a number from 0 on")
    return value


def _list(fields: Fields, name: str, default: object = _REQUIRED) -> Sequence[Any]:
    value = fields.get(name, default)
    if not isinstance(value, list | tuple):
        raise Misspoken(f"{name} must be a list")
    return value


def _objects(fields: Fields, name: str) -> Sequence[Fields]:
    found = _list(fields, name)
    if not all(isinstance(one, dict) for one in found):
        raise Misspoken(f"{name} must be a list of objects")
    return found
