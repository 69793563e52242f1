"""The adapter for any program: its lines are the log, its exit code decides.

    cortex runner --agent NAME=command:PROGRAM ARGUMENTS…

The program finds the prompt on its standard input, in the file that CORTEX_PROMPT_FILE names, and,
when it is short enough, in CORTEX_PROMPT. On CORTEX_PROTOCOL_FD it may tell more, in the line
protocol of docs/agents.md; answers come back on CORTEX_ANSWER_FD.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from cortex_cli.runner.adapters import AdapterError, Capability, Job, Outcome, Report
from cortex_cli.runner.errors import GroupError
from cortex_cli.runner.group import Child, Group
from cortex_cli.runner.output_log import Allowance, OutputLog
from cortex_cli.runner.protocol import LINE_MAX, Listener, Misspoken
from cortex_cli.runner.redaction import Redactor

OPTION = "command"
_PROTOCOL_FD, _ANSWER_FD = 3, 4
_LONGEST_VARIABLE = 100_000  # bytes; the system's own limit is 128 KiB
_CHUNK = 65_536
_TICK_S = 0.1
_DRAIN_S = 1.0  # how long the pipes may stay open after the exit: something else holds them
_DRAIN_MAX_S = 10.0  # and when that goes on to write
_STOP_S = 5.0
_UNREAD_MAX = 1_048_576  # bytes of answers that the program has not taken
_PROTOCOL_AT_ONCE, _PROTOCOL_PER_S = 8 * 1_048_576, 2 * 1_048_576
_REASON_MAX = 200


class CommandAdapter:
    name = "command"

    def missing(self, environ: Mapping[str, str], options: Mapping[str, str]) -> str | None:
        try:
            argv = _split(options)
        except AdapterError as error:
            return str(error)
        if argv and shutil.which(argv[0], path=environ.get("PATH")) is None:
            return f"There is no program {argv[0]}."
        return None

    def capabilities(self) -> Sequence[Capability]:
        """What the protocol can; a program need not."""
        return ("prompt", "questions", "permissions", "deltas", "children", "todos", "abort")

    def start(self, job: Job, group: Group, report: Report) -> CommandRun:
        argv = _argv(job)
        told, tells = os.pipe()
        hears, answers = os.pipe()
        try:
            environ = {**job.environ, **_prompt(job), **_model(job)}
            environ["CORTEX_PROTOCOL_FD"] = str(_PROTOCOL_FD)
            environ["CORTEX_ANSWER_FD"] = str(_ANSWER_FD)
            descriptors = {_PROTOCOL_FD: tells, _ANSWER_FD: hears}
            child = group.popen(
                argv, cwd=job.worktree, environ=environ, stdin=True, descriptors=descriptors
            )
        except (OSError, GroupError) as error:
            os.close(told)
            os.close(answers)
            raise AdapterError(f"{argv[0]} cannot be started: {error}") from error
        finally:
            os.close(tells)
            os.close(hears)
        return CommandRun(job, group, report, child, os.fdopen(told, "rb"), answers)


class CommandRun:
    """A started program. One thread reads all that it says; another gives it the prompt."""

    def __init__(
        self,
        job: Job,
        group: Group,
        report: Report,
        child: Child,
        protocol: IO[bytes],
        answers: int,
    ) -> None:
        redactor = Redactor(job.secrets)
        self._name = Path(_argv(job)[0]).name
        self._group, self._child = group, child
        self._out = OutputLog("text", report.log, redactor)
        self._err = OutputLog("error", report.log, redactor)
        self._wrong = OutputLog("error", report.log, redactor)
        self._protocol, self._listener = protocol, Listener(report)
        self._line, self._lines = b"", 0
        self._answers: int | None = answers
        self._unread = b""
        self._lock = threading.Lock()
        self._stop_by: float | None = None
        self._over = threading.Event()
        self._outcome: Outcome
        os.set_blocking(answers, False)
        for work in (lambda: self._give(job.prompt), self._listen):
            threading.Thread(target=work, name=f"command {group.attempt}", daemon=True).start()

    def wait(self) -> Outcome:
        self._over.wait()
        return self._outcome

    def prompt(self, text: str, session: str | None) -> None:
        self._require("prompt")
        self._answer({"type": "prompt", "text": text, "session": session})

    def answer(self, question: str, choices: Sequence[str], text: str | None) -> None:
        if question not in self._listener.open:
            raise AdapterError(f"{self._name} has no open question {question}.")
        self._answer({"type": "answer", "id": question, "choices": list(choices), "text": text})
        self._listener.open.discard(question)

    def abort(self, session: str | None) -> None:
        self._require("abort")
        self._answer({"type": "abort", "session": session})

    def stop(self) -> None:
        self._stop_by = time.monotonic() + _STOP_S
        self._child.send_signal(signal.SIGTERM)

    def _require(self, what: str) -> None:
        if what not in self._listener.accepts:
            raise AdapterError(f"{self._name} takes no {what} while it works.")

    def _find_outcome(self) -> Outcome:
        code, why = self._child.poll(), self._group.ended_by
        if self._stop_by is not None or (why == "stopped" and code != 0):
            return Outcome("cancelled", f"{self._name} was stopped.", code)
        if code == 0:
            return Outcome("succeeded", exit_code=0)
        if why is not None:
            return Outcome("failed", f"{self._name} was ended: {why}.", code)
        return Outcome("failed", self._why(code), code)

    def _why(self, code: int | None) -> str:
        how = "was killed" if code is None else f"exited with {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"was ended by {signal.Signals(-code).name}"
        last = " ".join(self._err.last_line.split())[:_REASON_MAX]
        return f"{self._name} {how}{': ' + last if last else '.'}"

    def _give(self, prompt: str) -> None:
        """Write the prompt to the program's standard input; that it is not read is no fault."""
        stdin = self._child.stdin
        if stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                stdin.write(prompt.encode("utf-8", "replace"))
            with contextlib.suppress(OSError, ValueError):
                stdin.close()

    def _listen(self) -> None:
        """Read until the program is gone and has said all."""
        try:
            self._read_all()
        finally:
            with self._lock:
                if self._answers is not None:
                    os.close(self._answers)
                self._answers = None
            for one in (self._protocol, self._child.stdout, self._child.stderr):
                one.close()
            self._outcome = self._find_outcome()
            self._over.set()

    def _read_all(self) -> None:
        allowed = Allowance(_PROTOCOL_AT_ONCE, _PROTOCOL_PER_S, time.monotonic)
        feeds = {
            self._child.stdout: self._out.feed,
            self._child.stderr: self._err.feed,
            self._protocol: self._hear,
        }
        give_up: float | None = None
        with selectors.DefaultSelector() as selector:
            for pipe, feed in feeds.items():
                selector.register(pipe, selectors.EVENT_READ, feed)
            while selector.get_map():
                events = selector.select(_TICK_S)
                for key, _ in events:
                    if key.fileobj is self._protocol and allowed.left() <= 0:
                        time.sleep(_TICK_S / 10)  # it has to wait, and so does the program
                        continue
                    chunk = os.read(key.fd, _CHUNK)
                    if not chunk:
                        selector.unregister(key.fileobj)
                        continue
                    if key.fileobj is self._protocol:
                        allowed.take(len(chunk))
                    key.data(chunk)
                self._tick()
                give_up = give_up or self._give_up()
                if give_up is not None and self._has_said_all(give_up, bool(events)):
                    break
        self._finish()

    def _tick(self) -> None:
        for log in (self._out, self._err, self._wrong):
            log.tick()
        with self._lock:
            self._flush()

    def _give_up(self) -> float | None:
        """Return when to stop listening: something else may hold the pipes open."""
        if self._child.poll() is not None:
            return time.monotonic() + _DRAIN_S
        return self._stop_by

    def _has_said_all(self, give_up: float, speaks: bool) -> bool:
        """Say whether to stop listening. What was printed before the exit is still read."""
        late_s = time.monotonic() - give_up
        exited = self._child.poll() is not None
        return late_s >= (_DRAIN_MAX_S if exited and speaks else 0.0)

    def _finish(self) -> None:
        if self._line:
            self._hear(b"\n")
        for log in (self._out, self._err, self._wrong):
            log.finish()
        # All pipes are closed: it ends now, or goes on silently.
        while self._child.poll() is None:
            if self._stop_by is not None and time.monotonic() >= self._stop_by:
                return
            with contextlib.suppress(TimeoutError):
                self._child.wait(_TICK_S)

    def _hear(self, chunk: bytes) -> None:
        *whole, self._line = (self._line + chunk).split(b"\n")
        for line in whole:
            self._lines += 1
            try:
                if len(line) > LINE_MAX:
                    raise Misspoken(f"longer than {LINE_MAX:,} bytes")
                self._listener.hear(line)
            except Misspoken as error:
                what = f"Line {self._lines} of the protocol: {error}\n"
                self._wrong.feed(what.encode("utf-8", "replace"))
        if len(self._line) > LINE_MAX:
            self._line = self._line[: LINE_MAX + 1]  # enough to know it when its end comes

    def _answer(self, value: dict[str, Any]) -> None:
        line = json.dumps(value).encode() + b"\n"
        with self._lock:
            if self._answers is None:
                raise AdapterError(f"{self._name} has ended.")
            if len(self._unread) + len(line) > _UNREAD_MAX:
                raise AdapterError(f"{self._name} does not read its answers.")
            self._unread += line
            self._flush()

    def _flush(self) -> None:
        """Write what the pipe takes now; the rest goes with a later tick."""
        while self._unread and self._answers is not None:
            try:
                written = os.write(self._answers, self._unread)
            except BlockingIOError:
                return
            except OSError:  # closed by the program
                os.close(self._answers)
                self._answers = None
                return
            self._unread = self._unread[written:]


def _split(options: Mapping[str, str]) -> list[str]:
    """Split the runner's option as a shell would, without running one. Raises AdapterError."""
    try:
        argv = shlex.split(options.get(OPTION, ""))
    except ValueError as error:
        raise AdapterError(f"The agent's command is not well quoted: {error}.") from None
    if argv and "/" in argv[0]:  # the person meant it from here, not from the worktree
        argv[0] = os.path.abspath(argv[0])
    return argv


def _argv(job: Job) -> list[str]:
    """Return the program and its arguments: the runner's, then the profile's."""
    options = (job.profile or {}).get("options") or {}
    argv = [*_split(job.options), *(options.get("args") or [])]
    if not argv:
        raise AdapterError("The agent has no program: neither --agent nor the profile names one.")
    return argv


def _prompt(job: Job) -> dict[str, str]:
    """Write the prompt into the private home; return the variables that lead to it."""
    content = job.prompt.encode("utf-8", "replace")
    path = Path(job.environ["HOME"]) / "prompt.md"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
    found = {"CORTEX_PROMPT_FILE": str(path)}
    if len(content) <= _LONGEST_VARIABLE and b"\0" not in content:
        found["CORTEX_PROMPT"] = content.decode()
    return found


def _model(job: Job) -> dict[str, str]:
    model = ((job.profile or {}).get("options") or {}).get("model")
    return {"CORTEX_MODEL": model} if model else {}
