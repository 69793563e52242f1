"""One attempt at work in OpenCode: its server, from the start to the end of the work."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex_cli.runner.adapters import Job, Outcome, Report
from cortex_cli.runner.errors import AdapterError
from cortex_cli.runner.opencode.client import Refused, Unreachable
from cortex_cli.runner.opencode.conversation import Conversation, fetch
from cortex_cli.runner.opencode.events import Connected, Events, Happened, Lost, Signal
from cortex_cli.runner.opencode.server import Health, Server
from cortex_cli.runner.opencode.sessions import Session
from cortex_cli.runner.redaction import Redactor

if TYPE_CHECKING:
    from cortex_cli.runner.group import Group

_QUEUE = 5_000  # signals; beyond that the server is read more slowly
_TICK_S = 0.25  # how soon a dead server is noticed
_TOGETHER = 500  # signals that are taken between two looks at the clock


@dataclass(frozen=True)
class Timing:
    """start_s: until the server answers. settle_s: how long all must be quiet at the end.
    begin_s: until a prompt is begun. health_every_s, health_timeout_s: between two questions, and
    for an answer. unhealthy_s: how long it may not answer before the attempt fails."""

    start_s: float = 60.0
    settle_s: float = 1.0
    begin_s: float = 120.0
    health_every_s: float = 5.0
    health_timeout_s: float = 5.0
    unhealthy_s: float = 300.0


@dataclass(frozen=True)
class Checked:
    """The answer of a health request; None: it is well."""

    reason: str | None


@dataclass(frozen=True)
class Stop:
    pass


class OpenCodeRun:
    """A server, the thread that follows it, and what people have to say to it."""

    def __init__(
        self, job: Job, group: Group, report: Report, argv: Sequence[str], timing: Timing
    ) -> None:
        """Start the server. Raises AdapterError."""
        self._job = job
        self._report = report
        self._timing = timing
        options = (job.profile or {}).get("options") or {}
        self._model = _model(options.get("model"))
        arguments = [str(argument) for argument in options.get("args") or []]
        self._server = Server(group, [*argv, *arguments], job.worktree, job.environ)
        self._redactor = Redactor([*job.secrets, self._server.password])
        self._conversation = Conversation(report, self._redactor)
        self._signals: queue.Queue[Signal | Checked | Stop] = queue.Queue(_QUEUE)
        self._lock = threading.RLock()  # of the conversation
        self._events: Events | None = None
        self._health: Health | None = None
        self._root: str | None = None
        self._stopping = threading.Event()
        self._closing = threading.Event()
        self._over = threading.Event()
        self._outcome = Outcome("failed", "OpenCode's run broke down.")
        self._finished_since: float | None = None
        self._stuck_since: float | None = None
        self._unhealthy_since: float | None = None
        self._unhealthy_why: str | None = None
        self._behind = False  # something may have been missed
        self._told = ("starting", "connecting")  # status, and link, of the instance
        name = str(job.attempt.get("id", ""))
        self._thread = threading.Thread(target=self._work, args=(name,), name=f"opencode {name}")
        self._thread.daemon = True
        report.instance("starting", self._server.client.url, link="connecting")
        self._thread.start()

    def wait(self) -> Outcome:
        self._over.wait()
        self._thread.join()
        return self._outcome

    def prompt(self, text: str, session: str | None) -> None:
        with self._lock:
            target = self._session(session)
            target.echoes.append(text)
            target.expecting = time.monotonic()
            self._finished_since = None
        try:
            self._send(target, text)
        except AdapterError:
            with self._lock:
                target.expecting = None
                if text in target.echoes:
                    target.echoes.remove(text)
            raise
        with self._lock:
            self._conversation.tell()

    def answer(self, question: str, choices: Sequence[str], text: str | None) -> None:
        with self._lock:
            self._check_open()
            answer = self._conversation.asks.take(question, choices, text)
        if answer is None:
            return
        try:
            self._server.client.post(answer.path, answer.body)
        except Unreachable:
            with self._lock:
                self._conversation.asks.untake(question)
            raise
        except Refused:  # answered elsewhere, or gone with its turn
            with self._lock:
                self._conversation.asks.gone(answer.ask.id)
            raise
        with self._lock:
            self._conversation.asks.gone(answer.ask.id)
            self._conversation.tell()

    def abort(self, session: str | None) -> None:
        with self._lock:
            target = self._session(session)
            target.interrupted = target.interrupted or not target.idle
        self._server.client.post(f"/session/{target.key}/abort")

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(queue.Full):  # then it is awake
            self._signals.put_nowait(Stop())

    def _session(self, key: str | None) -> Session:
        self._check_open()
        target = self._conversation.sessions.get(key or self._root)
        if target is None:
            why = f"has no session {key}" if key and self._root else "is only starting"
            raise AdapterError(f"OpenCode {why}.")
        return target

    def _check_open(self) -> None:
        if self._closing.is_set() or self._stopping.is_set():
            raise AdapterError("The attempt's work in OpenCode is over.")

    def _send(self, session: Session, text: str) -> None:
        body: dict[str, Any] = {"parts": [{"type": "text", "text": text}]}
        if self._model is not None and session.parent is None:
            body["model"] = self._model
        if session.agent is not None:  # or it becomes the default one, which may do more
            body["agent"] = session.agent
        self._server.client.post(f"/session/{session.key}/prompt_async", body)

    def _work(self, name: str) -> None:
        """Do it all, and leave nothing behind."""
        try:
            try:
                outcome = self._start(name) or self._follow()
            except AdapterError as error:
                outcome = Outcome("failed", str(error))
            except Exception as error:  # what a newer server says may have another shape
                outcome = Outcome("failed", f"OpenCode said something unexpected: {error!r}")
            self._end(outcome)
        finally:
            self._over.set()

    def _start(self, name: str) -> Outcome | None:
        """Wait for the server, create the session, send the prompt."""
        timing = self._timing
        if not self._server.wait_until_ready(timing.start_s, self._stopping.is_set):
            return Outcome("cancelled")
        client = self._server.client
        self._events = Events(client, self._deliver, name)
        if not self._connected(timing.start_s):
            return Outcome("cancelled")
        self._tell_instance("running", "connected")
        self._health = Health(
            client,
            lambda reason: self._deliver(Checked(reason)),
            name,
            every_s=timing.health_every_s,
            timeout_s=timing.health_timeout_s,
        )
        info = client.post("/session", {"title": str(self._job.ticket.get("title") or "Untitled")})
        with self._lock:
            self._conversation.begin(info)
            self._root = str(info["id"])
            self._conversation.sessions.root.expecting = time.monotonic()
            self._conversation.tell()
        self._send(self._conversation.sessions.root, self._job.prompt)
        return None

    def _connected(self, within_s: float) -> bool:
        """Wait for the events, so that nothing that the session does is missed; False on a stop."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                match self._signals.get(timeout=_TICK_S):
                    case Connected():
                        return True
                    case Stop():
                        return False
        raise AdapterError("OpenCode tells no events.")

    def _follow(self) -> Outcome:
        """Take what comes until the work is over."""
        while True:
            if self._stopping.is_set():
                return Outcome("cancelled")
            for signal in self._next():
                with self._lock:
                    self._take(signal, time.monotonic())
                if isinstance(signal, Connected):
                    self._catch_up()  # before what follows, or it would come out of order
            now = time.monotonic()
            with self._lock:
                self._conversation.transcript.tell(now)
            if (code := self._server.exit_code()) is not None:
                return self._died(code)
            if self._behind:
                self._catch_up()
            if (outcome := self._verdict(now)) is not None:
                return outcome

    def _next(self) -> list[Signal | Checked | Stop]:
        """Wait for signals, or until there is something to tell."""
        now = time.monotonic()
        due = self._conversation.transcript.next_due()
        patience = _TICK_S if due is None else min(max(due - now, 0.0), _TICK_S)
        signals: list[Signal | Checked | Stop] = []
        with contextlib.suppress(queue.Empty):
            signals.append(
                self._signals.get(timeout=patience) if patience else self._signals.get_nowait()
            )
            while len(signals) < _TOGETHER:
                signals.append(self._signals.get_nowait())
        return signals

    def _take(self, signal: Signal | Checked | Stop, now: float) -> None:
        match signal:
            case Happened():
                self._conversation.take(signal.type, signal.properties, now)
            case Lost():
                self._conversation.missed()
                self._tell_instance(link="disconnected")
            case Connected():
                self._conversation.missed()
                self._tell_instance(link="connected")
            case Checked():
                self._checked(signal.reason, now)

    def _checked(self, reason: str | None, now: float) -> None:
        if reason is None and self._unhealthy_since is not None:
            self._unhealthy_since = self._unhealthy_why = None
            self._tell_instance("running")
        elif reason is not None and self._unhealthy_since is None:
            self._unhealthy_since, self._unhealthy_why = now, self._redactor.text(reason)
            self._tell_instance("unhealthy")

    def _tell_instance(self, status: str | None = None, link: str | None = None) -> None:
        """Tell how the server is, and the connection to its events, when one of them is news."""
        told = (status or self._told[0], link or self._told[1])
        if told != self._told:
            self._told = told
            url = self._server.client.url
            self._report.instance(told[0], url, self._unhealthy_why, told[1])

    def _catch_up(self) -> bool:
        """Fetch the state and tell what was missed; False when it could not be had now."""
        try:
            state = fetch(self._server.client.get, str(self._root))
        except AdapterError:
            self._behind = True
            self._check_root()
            return False
        with self._lock:
            self._behind = False
            now = time.monotonic()
            self._conversation.catch_up(state, now)
            self._conversation.transcript.tell(now)
        return True

    def _check_root(self) -> None:
        """Raises Refused when somebody deleted the session."""
        try:
            self._server.client.get(f"/session/{self._root}")
        except Unreachable:
            pass

    def _verdict(self, now: float) -> Outcome | None:
        """Return how the work ended, when it did."""
        if (
            self._unhealthy_since is not None
            and now - self._unhealthy_since > self._timing.unhealthy_s
        ):
            return Outcome("failed", "OpenCode's server has stopped answering.")
        talk = self._conversation
        with self._lock:
            self._finished_since = (self._finished_since or now) if talk.finished() else None
            self._stuck_since = (self._stuck_since or now) if talk.stuck() else None
        if self._stuck_since is not None and now - self._stuck_since > self._timing.begin_s:
            return Outcome("failed", "OpenCode did not begin to work on the prompt.")
        if self._finished_since is None or now - self._finished_since < self._timing.settle_s:
            return None
        # An idle session may still have late news, and a queued prompt: ask before believing it.
        if not self._catch_up():
            return None
        with self._lock:
            if not talk.finished():
                self._finished_since = None
                return None
            self._closing.set()
            return talk.outcome()

    def _died(self, code: int) -> Outcome:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        words = self._redactor.text(self._server.last_words())
        self._report.log("error", f"OpenCode's server ended with {how}: {words}")
        return Outcome("failed", f"OpenCode's server ended with {how}.", code)

    def _end(self, outcome: Outcome) -> None:
        """Close what is open, tell the rest, end the server."""
        self._closing.set()
        died = self._server.exit_code() is not None
        if self._events is not None:  # before the server, which waits for who listens
            self._events.close()
        try:
            with self._lock:
                if self._root is not None:
                    self._conversation.end(outcome)
        finally:
            self._server.stop()
        if self._health is not None:
            self._health.close()
        reason = self._redactor.text(outcome.reason) if outcome.reason else None
        self._outcome = Outcome(outcome.status, reason, outcome.exit_code)
        failed_itself = died and outcome.status == "failed"
        self._report.instance(
            "error" if failed_itself else "stopped",
            error=reason if failed_itself else None,
            link="disconnected",
        )

    def _deliver(self, signal: Signal | Checked) -> None:
        """Put a signal in line; wait when it is long, unless all is over."""
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._signals.put(signal, timeout=_TICK_S)
                return


def _model(name: Any) -> dict[str, str] | None:
    """`provider/model` as OpenCode wants it."""
    provider, slash, model = str(name or "").partition("/")
    if name and not (provider and slash and model):
        raise AdapterError(f"The model {name} should be named as provider/model.")
    return {"providerID": provider, "modelID": model} if name else None
