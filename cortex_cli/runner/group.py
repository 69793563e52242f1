"""The processes of one attempt: started under a guardian, and ended so that none is left."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from cortex_cli.runner import guardian, processes
from cortex_cli.runner.errors import GroupError
from cortex_cli.runner.lifeline import FIRST_FREE, Lifeline

GRACE_S = 3.0
_ANSWER_S = 20.0
_KILL_S = 3.0  # how long a guardian may take to kill, beyond the grace
_SWEEP_S = 10.0
_LOOK_EVERY_S = 0.02
_LOST = -signal.SIGKILL
_FOR_GUARDIANS = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "PYTHONPATH", "PYTHONHOME")


class Child:
    """A program of a group. The pipes are the caller's to read and to close."""

    def __init__(self, group: Group, number: int, pipes: _Pipes) -> None:
        self._group = group
        self._number = number
        self.pid = 0
        self.returncode: int | None = None
        self.stdin = pipes.stdin
        self.stdout = pipes.stdout
        self.stderr = pipes.stderr
        self._answered = threading.Event()
        self._exited = threading.Event()
        self._refusal: tuple[int, str] | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative for a signal. Raises TimeoutError."""
        if not self._exited.wait(timeout):
            raise TimeoutError(f"Process {self.pid} still runs.")
        return cast(int, self.returncode)

    def send_signal(self, number: int) -> None:
        """Signal this process only; nothing happens when it has exited."""
        self._group._send({"do": "signal", "id": self._number, "number": int(number)})

    def close(self) -> None:
        """Close our ends of the pipes."""
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not flushed has no reader
                    pipe.close()

    def _wait_until_started(self, argv: Sequence[str], timeout: float) -> None:
        if not self._answered.wait(timeout):
            raise GroupError("The guardian does not answer.")
        if self._refusal is not None:
            number, what = self._refusal
            if number:
                raise OSError(number, what, argv[0])
            raise GroupError(f"{argv[0]} was not started: {what}.")

    def _started(self, pid: int) -> None:
        self.pid = pid
        self._answered.set()

    def _refused(self, number: int, what: str) -> None:
        self._refusal = (number, what)
        self._answered.set()

    def _ended(self, code: int) -> None:
        self.returncode = code
        self._exited.set()


class Group:
    """All processes of an attempt, including those that its programs start.

    deadline: by time.monotonic(); nothing of the group lives longer. TERM comes `grace_s` (at
    most a quarter of the time left) before it. Move it on with `extend`.
    ended_by: why it is being ended, or was: stopped, deadline, terminated (the guardian got
    SIGTERM) or guardian lost; None before.
    """

    def __init__(
        self, attempt: str, *, deadline: float | None = None, grace_s: float = GRACE_S
    ) -> None:
        self.attempt = attempt
        self.ended_by: str | None = None
        self._grace_s = grace_s
        self._children: dict[int, Child] = {}
        self._next = 0
        self._living = self._ended = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        ours, theirs = socket.socketpair()
        with theirs:
            self._guardian = _start_guardian(attempt, theirs)
        limit = struct.pack("ll", int(_ANSWER_S), 0)  # for sending only
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._lifeline = Lifeline(ours)
        if deadline is None:
            self._send({"do": "extend", "until": None, "grace_s": grace_s})
        else:
            self.extend(deadline)
        threading.Thread(target=self._listen, name=f"group {attempt}", daemon=True).start()

    @property
    def guardian_pid(self) -> int:
        return self._guardian.pid

    def popen(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        stdin: bool = False,
        descriptors: Mapping[int, int] | None = None,
    ) -> Child:
        """Start a program in a session of its own; pipes are its standard output and error.

        stdin: whether it gets a pipe too, instead of /dev/null. descriptors: {number there:
        ours}, for 3 to 63; ours stay ours to close. PATH is that of `environ`.
        Raises OSError when it cannot be executed, GroupError when the group is over.
        """
        more = dict(descriptors or {})
        if not all(2 < number < FIRST_FREE for number in more):
            raise ValueError("descriptors of a program are 3 to 63")
        if not cwd.is_dir():  # otherwise it would seem that the program is missing
            raise NotADirectoryError(errno.ENOTDIR, "There is no such directory", str(cwd))
        pipes = _Pipes(stdin)
        try:
            theirs = pipes.theirs | more
            with self._lock:
                self._next += 1
                number = self._next
                child = self._children[number] = Child(self, number, pipes)
            request = {
                "do": "start",
                "id": number,
                "argv": list(argv),
                "cwd": str(cwd),
                "environ": {**environ, "CORTEX_ATTEMPT": self.attempt},
                "descriptors": list(theirs),
            }
            self._send(request, list(theirs.values()))
            if self._over.is_set():
                raise GroupError(f"{argv[0]} was not started: the group was ended.")
            child._wait_until_started(argv, _ANSWER_S)
        except BaseException:  # an interrupt, too: nobody else knows of the descriptors
            pipes.close_ours()
            raise
        finally:
            pipes.close_theirs()
        return child

    def extend(self, deadline: float) -> None:
        """Let the group live until then, by time.monotonic()."""
        left = deadline - time.monotonic()
        grace_s = max(min(self._grace_s, left / 4), 0.0)
        self._send({"do": "extend", "until": guardian.now() + left, "grace_s": grace_s})

    def alive(self) -> bool:
        """Say whether any process of the group may still live, the guardian apart."""
        return self._living and not self._over.is_set()

    def stop(self, grace_s: float | None = None) -> None:
        """End everything: TERM, KILL after the grace. Returns when all are dead.

        The group can start nothing afterwards. Raises GroupError when something cannot be
        killed (a process that hangs in the kernel); `alive` then goes on to tell.
        """
        grace_s = self._grace_s if grace_s is None else grace_s
        self._send({"do": "stop", "grace_s": grace_s})
        if self._over.wait(grace_s + _KILL_S):
            return
        self._guardian.kill()  # frozen, perhaps; _listen sweeps what it leaves
        if not self._over.wait(_SWEEP_S + _KILL_S):
            raise GroupError(f"Not all processes of attempt {self.attempt} could be ended.")

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _send(self, value: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Tell the guardian; that it is gone is found out by who listens."""
        with self._lock, contextlib.suppress(OSError):
            self._lifeline.send(value, descriptors)

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while not self._ended:
                for value in self._lifeline.receive():
                    self._hear(value)
        if not self._ended:
            self.ended_by = self.ended_by or "guardian lost"
            while sweep(self.attempt, grace_s=0.0).left:
                time.sleep(_LOOK_EVERY_S)
        self._guardian.wait()
        self._living = False
        self._over.set()
        with self._lock:
            self._lifeline.close()
            children = list(self._children.values())
        for child in children:
            child._refused(0, "the group was ended")
            if child.returncode is None:
                child._ended(_LOST)

    def _hear(self, value: dict[str, Any]) -> None:
        match value["say"]:
            case "started":
                self._living = True
                self._children[value["id"]]._started(value["pid"])
            case "refused":
                self._children.pop(value["id"])._refused(value["errno"], value["what"])
            case "exited":
                self._children[value["id"]]._ended(value["code"])
            case "empty":
                self._living = False
            case "ending":
                self.ended_by = value["why"]
            case "ended":
                self._ended = True


class Swept(NamedTuple):
    """ended: what was found and is dead now. left: what could not be ended in time."""

    ended: list[processes.Seen]
    left: list[processes.Seen]


def sweep(attempt: str, *, grace_s: float = GRACE_S, limit_s: float = _SWEEP_S) -> Swept:
    """Find and end what is left of an attempt whose runner or guardian was killed.

    A guardian that still lives is told to end its group. What carries the attempt's mark in its
    environment, and everything below that or the guardian, is ended from here as well. Takes
    `grace_s` and a moment; at most `limit_s`.
    """
    until = time.monotonic() + limit_s
    guardians = processes.marked(processes.everyone(), "CORTEX_GUARDIAN", attempt)
    found = {seen[:2]: seen for seen in _orphans(attempt)}
    for seen in guardians:
        processes.send(seen, signal.SIGCONT)
        processes.send(seen, signal.SIGTERM)
    kill_at = time.monotonic() + grace_s
    warned: set[processes.Seen] = set()
    while remaining := _orphans(attempt):
        moment = time.monotonic()
        for seen in remaining:
            found.setdefault(seen[:2], seen)
            if moment >= kill_at:
                processes.send(seen, signal.SIGKILL)
            elif seen not in warned:
                warned.add(seen)
                processes.send(seen, signal.SIGTERM)
                processes.send(seen, signal.SIGCONT)
        if moment >= until:
            break
        time.sleep(_LOOK_EVERY_S)
    left = {seen[:2] for seen in remaining}
    return Swept([seen for key, seen in found.items() if key not in left], remaining)


def _orphans(attempt: str) -> list[processes.Seen]:
    """Return what lives of an attempt: marked, or below what is; never this process or those above.

    The guardian comes last: what it leaves unmarked is below it only as long as it lives.
    """
    table = processes.everyone()
    guardians = processes.marked(table, "CORTEX_GUARDIAN", attempt)
    programs = processes.marked(table, "CORTEX_ATTEMPT", attempt)
    found = [*programs, *processes.below(table, [seen.pid for seen in programs + guardians])]
    above, pid = {os.getpid()}, os.getppid()
    while pid in table and pid not in above:
        above.add(pid)
        pid = table[pid].parent
    living = [seen for seen in found if not seen.zombie and seen.pid not in above]
    return list(dict.fromkeys(living)) or guardians


class _Pipes:
    """The standard streams of a program that is about to start: their ends and ours."""

    def __init__(self, stdin: bool) -> None:
        self.theirs: dict[int, int] = {}
        self.stdin: IO[bytes] | None = None
        if stdin:
            self.theirs[0], write = os.pipe()
            self.stdin = os.fdopen(write, "wb")
        else:
            self.theirs[0] = os.open(os.devnull, os.O_RDONLY)
        read, self.theirs[1] = os.pipe()
        self.stdout: IO[bytes] = os.fdopen(read, "rb")
        read, self.theirs[2] = os.pipe()
        self.stderr: IO[bytes] = os.fdopen(read, "rb")

    def close_theirs(self) -> None:
        for number in self.theirs.values():
            os.close(number)

    def close_ours(self) -> None:
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()


def _start_guardian(attempt: str, end: socket.socket) -> subprocess.Popen[bytes]:
    """Start one that outlives this process, with `end` as its standard input.

    Its environment holds no secret, and its own mark: it is not one of the agent's programs.
    """
    environ = {name: os.environ[name] for name in _FOR_GUARDIANS if name in os.environ}
    return subprocess.Popen(
        # -P: the current directory is no place to import from.
        [sys.executable, "-P", "-m", guardian.__name__, attempt],
        stdin=end.fileno(),
        stdout=subprocess.DEVNULL,
        cwd="/",
        env={**environ, "CORTEX_GUARDIAN": attempt},
        start_new_session=True,
    )
