"""Turns what one server tells into a report: each event to its session, and what was missed.

An event may come twice, late, or after a newer state was fetched: all of them only ever add to
what is known. Not safe for threads: the caller has a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_cli.runner.adapters import Outcome, Report
from cortex_cli.runner.opencode.asks import Asks
from cortex_cli.runner.opencode.sessions import Session, Sessions
from cortex_cli.runner.opencode.transcript import Transcript
from cortex_cli.runner.redaction import Redactor

_TODO = ("pending", "in_progress", "completed", "cancelled")
_ABORTED = "MessageAbortedError"
_LONGEST_REASON = 500


@dataclass
class Fetched:
    """The state of a server, as requests gave it. sessions: parents before children."""

    sessions: list[Mapping[str, Any]] = field(default_factory=list)
    messages: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    todos: list[Mapping[str, Any]] = field(default_factory=list)
    status: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    permissions: list[Mapping[str, Any]] = field(default_factory=list)
    questions: list[Mapping[str, Any]] = field(default_factory=list)


def fetch(get: Callable[[str], Any], root: str) -> Fetched:
    """Ask for everything about a session and its descendants. Raises what `get` raises."""
    found = Fetched()
    # What is asked for first is older than what comes later: so a session that is idle
    # in `status` has said everything in its messages only if these come after it.
    found.status = get("/session/status") or {}
    found.permissions = get("/permission") or []
    found.questions = get("/question") or []
    waiting = [get(f"/session/{root}")]
    while waiting:
        info = waiting.pop(0)
        found.sessions.append(info)
        waiting += get(f"/session/{info['id']}/children") or []
    for info in found.sessions:
        found.messages[info["id"]] = get(f"/session/{info['id']}/message") or []
    found.todos = get(f"/session/{root}/todo") or []
    return found


class Conversation:
    """What is known of the sessions of one attempt."""

    def __init__(self, report: Report, redactor: Redactor) -> None:
        self._report = report
        self._redactor = redactor
        self.sessions = Sessions(report, redactor)
        self.transcript = Transcript(report, redactor)
        self.asks = Asks(report, redactor)
        self._waiting = False
        self._todos: list[dict[str, str]] | None = None
        self._takes: dict[str, Callable[[Session, Mapping[str, Any], float], None]] = {
            "message.updated": self._message,
            "message.removed": self._removed,
            "message.part.updated": self._part,
            "message.part.removed": self._removed,
            "message.part.delta": self._delta,
            "session.status": self._status,
            "session.idle": self._idle,
            "session.error": self._error,
            "session.deleted": self._idle,
            "todo.updated": self._todo,
            "permission.asked": lambda _, given, __: self.asks.ask("permission", given),
            "question.asked": lambda _, given, __: self.asks.ask("question", given),
            "permission.replied": self._replied,
            "question.replied": self._replied,
            "question.rejected": self._replied,
        }

    def begin(self, info: Mapping[str, Any]) -> None:
        """Take the root session, which was just created."""
        self.sessions.begin(info)

    def take(self, kind: str, given: Mapping[str, Any], now: float) -> None:
        """Take an event. now: time.monotonic()."""
        if kind in ("session.created", "session.updated"):
            self.sessions.learn(given.get("info") or {})
            return
        key = given.get("sessionID")
        if key is None and kind == "session.error":
            key = self.sessions.root.key
        session = self.sessions.get(key)
        if session is not None and kind in self._takes:
            self._takes[kind](session, given, now)
            if kind != "message.part.delta":
                self.tell()

    def missed(self) -> None:
        """Know that events were lost."""
        self.transcript.missed()

    def catch_up(self, state: Fetched, now: float) -> None:
        """Take the state of the server: what was missed is told, and nothing else."""
        for info in state.sessions:
            self.sessions.learn(info)
        for session in self.sessions:
            for item in state.messages.get(session.key, []):
                self._message(session, {"info": item["info"]}, now)
                for part in item.get("parts") or []:
                    self._part(session, {"part": part}, now)
            status = state.status.get(session.key) or {"type": "idle"}
            self._status(session, {"status": status}, now)
        for kind, listed in (("permission", state.permissions), ("question", state.questions)):
            for request in listed:
                asking = self.sessions.get(request.get("sessionID"))
                # an abort leaves what it asked in the list
                if asking is not None and asking.status != "idle":
                    self.asks.ask(kind, request)
            there = {str(request.get("id")) for request in listed}
            for ask in self.asks.of():
                if ask.kind == kind and ask.id not in there:
                    self.asks.gone(ask.id)
        self._todo(self.sessions.root, {"todos": state.todos}, now)
        self.tell()

    def tell(self) -> None:
        """Report what the sessions do, and whether a person is waited for."""
        for session in self.sessions:
            ask = next(self.asks.of(session.key), None)
            asked = None if ask is None else _asked(ask.request, ask.kind)
            self.sessions.tell(session, asked)
        waiting = next(self.asks.of(), None) is not None or self.paused()
        # The board takes it that a withdrawn question ends the waiting.
        if waiting != self._waiting or (waiting and self.asks.withdrew):
            self._report.status(waiting)
        self._waiting, self.asks.withdrew = waiting, False

    def finished(self) -> bool:
        """Say whether nothing works, nothing is to be begun, and no person has the word.

        What is asked keeps its session busy.
        """
        return all(session.idle for session in self.sessions) and not self.paused()

    def stuck(self) -> bool:
        """Say whether nothing works though a prompt was sent."""
        busy = any(session.status != "idle" for session in self.sessions)
        return not busy and not all(session.idle for session in self.sessions)

    def paused(self) -> bool:
        """Say whether a person ended the turn of the root, and has to say how to go on."""
        return self.sessions.root.idle and self.sessions.root.interrupted

    def end(self, outcome: Outcome) -> None:
        """Tell what is left, and that nothing follows."""
        for ask in self.asks.of():
            self.asks.gone(ask.id)
        self.transcript.finish()
        for session in self.sessions:
            session.status, session.expecting = "idle", None
        self.tell()
        self.sessions.end(outcome.status)

    def outcome(self) -> Outcome:
        """Return how the work ended, once all is quiet."""
        root = self.sessions.root
        if root.error is not None:
            return Outcome("failed", root.error)
        if root.finish == "tool-calls":
            return Outcome(
                "failed", "OpenCode stopped after a tool call, in the middle of its turn."
            )
        return Outcome("succeeded")

    def _message(self, session: Session, given: Mapping[str, Any], now: float) -> None:
        info = given.get("info") or {}
        message_id = str(info.get("id"))  # they are in the order of their making
        self.transcript.info(session.key, info, now)
        if info.get("role") != "assistant":
            session.newest_prompt = max(session.newest_prompt, message_id)
            return
        if message_id < session.newest_answer:
            return
        if message_id > session.newest_answer:
            session.newest_answer = message_id
            session.turn_begins()
        session.finish = info.get("finish")
        if error := info.get("error"):
            self._fail(session, error)

    def _part(self, session: Session, given: Mapping[str, Any], now: float) -> None:
        part = given.get("part") or {}
        if self._is_echo(session, part):
            self.transcript.echo(session.key, str(part.get("messageID")))
        if part.get("type") == "tool":
            self._tool(session, part)
        done = self.transcript.part(session.key, part, now)
        if done is None or self.transcript.by_a_person(session.key, str(part.get("messageID"))):
            return
        if done.kind == "text" and done.text.strip():
            self._report.log("text", done.text)
        elif done.kind == "tool":
            words = (part.get("state") or {}).get("title") or done.tool or ""
            failed = (part.get("state") or {}).get("status") == "error"
            line = f"{words}: {done.text}" if failed else str(words)
            self._report.log("error" if failed else "tool", self._redactor.text(line), done.tool)

    def _is_echo(self, session: Session, part: Mapping[str, Any]) -> bool:
        text = part.get("text")
        if part.get("type") != "text" or text not in session.echoes:
            return False
        if not self.transcript.by_a_person(session.key, str(part.get("messageID"))):
            return False
        session.echoes.remove(text)
        return True

    def _tool(self, session: Session, part: Mapping[str, Any]) -> None:
        state = part.get("state") or {}
        if state.get("status") in ("pending", "running"):
            given = state.get("input") or {}
            work = state.get("title") or given.get("command") or given.get("description")
            session.tools[str(part.get("id"))] = (str(part.get("tool")), str(work or ""))
        else:
            session.tools.pop(str(part.get("id")), None)

    def _delta(self, session: Session, given: Mapping[str, Any], now: float) -> None:
        if given.get("field") == "text":
            ids = str(given.get("messageID")), str(given.get("partID"))
            self.transcript.delta(session.key, *ids, str(given.get("delta") or ""), now)

    def _removed(self, session: Session, given: Mapping[str, Any], now: float) -> None:
        part = given.get("partID")
        self.transcript.removed(session.key, str(given.get("messageID")), part, now)

    def _status(self, session: Session, given: Mapping[str, Any], now: float) -> None:
        status = given.get("status") or {}
        if status.get("type") == "idle":
            self._idle(session, given, now)
            return
        session.turn_begins()
        session.status = str(status.get("type"))
        if session.status == "retry":
            attempt, message = status.get("attempt"), status.get("message")
            retry = f"trying again ({attempt}): {message}"
            if retry != session.retry:
                session.retry = retry
                self._report.log("system", self._redactor.text(f"OpenCode is {retry}"))

    def _idle(self, session: Session, _given: Mapping[str, Any], _now: float) -> None:
        session.status, session.retry = "idle", None
        session.tools.clear()
        for ask in self.asks.of(session.key):
            self.asks.gone(ask.id)  # an aborted turn says nothing about what it asked

    def _error(self, session: Session, given: Mapping[str, Any], _now: float) -> None:
        session.expecting = None
        self._fail(session, given.get("error") or {})

    def _fail(self, session: Session, error: Mapping[str, Any]) -> None:
        if error.get("name") == _ABORTED:
            session.interrupted = True
            return
        words = (error.get("data") or {}).get("message") or error.get("name") or "unknown"
        reason = self._redactor.text(" ".join(str(words).split()))[:_LONGEST_REASON]
        if session.error != reason:
            session.error = reason
            self._report.log("error", reason)

    def _replied(self, _session: Session, given: Mapping[str, Any], _now: float) -> None:
        self.asks.gone(str(given.get("requestID")))

    def _todo(self, session: Session, given: Mapping[str, Any], _now: float) -> None:
        if session is not self.sessions.root:
            return
        items = [
            {
                "text": self._redactor.text(str(item.get("content") or "")),
                "status": item["status"] if item.get("status") in _TODO else "pending",
            }
            for item in given.get("todos") or []
        ]
        if items != (self._todos or []):
            self._todos = items
            self._report.todos(items)


def _asked(request: Mapping[str, Any], kind: str) -> str:
    if kind == "permission":
        return f"may it use {request.get('permission')}?"
    questions = request.get("questions") or [{}]
    return str(questions[0].get("question") or questions[0].get("header") or "a question")
