"""Starts the programs of one attempt, and kills everything below it when nobody vouches for them.

    python -m cortex_cli.runner.guardian ATTEMPT    (standard input: the socket of a runner)

It kills when the runner says so, when the socket ends (the runner was killed), when the deadline
passes that the runner moves on with each renewed lease, and on SIGTERM: first TERM, then KILL
after a grace, until nothing is left. On Linux it is a subreaper: whatever was started below it
stays below it, also after setsid or a double fork, so that "no children" means that all are dead.
Elsewhere it looks for descendants and for the mark CORTEX_ATTEMPT in the environment. Is the
guardian itself killed, its own children die with it (Linux) and the runner sweeps the others.

Imports little, so that it is there at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import time
from typing import Any, NoReturn

from cortex_cli.runner import processes
from cortex_cli.runner.lifeline import Lifeline

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LONGEST_NAP_S = 1.0  # a suspended machine wakes up past its deadline
_KILL_EVERY_S = 0.02
_SEND_S = 5.0
_COULD_NOT_START = 127
_SAYS_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SET_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_LINUX = sys.platform == "linux"


def now() -> float:
    """Seconds that on Linux also pass while the machine sleeps, as those of a lease do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if _LINUX else time.monotonic()


class Guardian:
    """The loop, and what it knows.

    Hears: start {id, argv, cwd, environ, descriptors}, extend {until, grace_s}, signal {id,
    number}, stop {grace_s}. Says: started {id, pid}, refused {id, errno, what}, exited {id,
    code}, empty, ending {why}, ended.
    """

    def __init__(self, runner: Lifeline, attempt: str) -> None:
        self._runner = runner
        self._attempt = attempt
        self._children: dict[int, int] = {}  # pid: the runner's id of it
        self._until: float | None = None
        self._grace_s = 3.0
        self._why: str | None = None  # set: it is over, all must die
        self._kill_at = 0.0
        self._ending = False  # and that is still to be said
        self._orphaned = False
        self._empty = True

    def run(self) -> None:
        """Return when the runner is done with it, or gone, and everything is dead."""
        wake, waker = os.pipe()
        for end in (wake, waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _SAYS_STOP:
            signal.signal(number, lambda *_: self._stop("terminated", self._grace_s))
        while True:
            watched = [wake] if self._orphaned else [wake, self._runner.fileno()]
            ready, _, _ = select.select(watched, [], [], self._nap_s())
            if wake in ready:
                os.read(wake, 4096)
            if self._runner.fileno() in ready:
                self._hear()
            self._watch_the_clock()
            if self._ending:
                self._ending = False
                self._say({"say": "ending", "why": self._why})
            self._reap()
            if self._why and self._all_dead():
                self._say({"say": "ended"})
                return

    def _nap_s(self) -> float:
        if self._why:
            left = max(self._kill_at - now(), _KILL_EVERY_S)
        elif self._until is not None:
            left = max(self._until - self._grace_s - now(), 0.0)
        else:
            left = _LONGEST_NAP_S
        return min(left, _LONGEST_NAP_S)

    def _watch_the_clock(self) -> None:
        moment = now()
        if not self._why and self._until is not None and moment >= self._until - self._grace_s:
            self._stop("deadline", self._until - moment)
        if self._why and moment >= self._kill_at:
            self._kill_all()

    def _stop(self, why: str, grace_s: float) -> None:
        """Ask all to end, and kill them after the grace; a later call can only make it sooner."""
        kill_at = now() + max(grace_s, 0.0)
        if self._why:
            self._kill_at = min(self._kill_at, kill_at)
            return
        self._why, self._kill_at = why, kill_at
        if self._until is not None:
            self._kill_at = min(kill_at, self._until)
        self._ending = True
        for seen in self._remaining():
            processes.send(seen, signal.SIGTERM)
            processes.send(seen, signal.SIGCONT)  # who was suspended could not hear it

    def _kill_all(self) -> None:
        remaining = self._remaining()
        # A whole group dies at once, however fast it forks. The id of a group cannot be reused
        # while a child that was not waited for is in it.
        mine = os.getpid()
        groups = {seen.group for seen in remaining if seen.parent == mine} - {os.getpgid(0), 0, 1}
        for group in groups:
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        for seen in remaining:  # orphans come to us only on Linux
            if not seen.zombie and seen.group not in groups:
                processes.send(seen, signal.SIGKILL)

    def _remaining(self) -> list[processes.Seen]:
        table = processes.everyone()
        found = processes.below(table, [os.getpid()])
        if not _LINUX:  # nothing keeps orphans below us
            strays = processes.marked(table, "CORTEX_ATTEMPT", self._attempt)
            found += [*strays, *processes.below(table, [stray.pid for stray in strays])]
        return list(dict.fromkeys(found))

    def _all_dead(self) -> bool:
        # A subreaper without children has no descendants at all.
        return self._empty and (_LINUX or not self._remaining())

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                if not self._empty:
                    self._empty = True
                    self._say({"say": "empty"})
                return
            if pid == 0:
                return
            if pid in self._children:
                code = os.waitstatus_to_exitcode(status)
                self._say({"say": "exited", "id": self._children.pop(pid), "code": code})

    def _say(self, value: dict[str, Any]) -> None:
        if not self._orphaned:
            try:
                self._runner.send(value)
            except OSError:  # gone, or it hangs: then nobody vouches for anything
                self._lose_the_runner()

    def _hear(self) -> None:
        try:
            values = self._runner.receive()
        except (EOFError, OSError):
            self._lose_the_runner()
            return
        for value in values:
            match value["do"]:
                case "start":
                    self._start(value)
                case "extend":
                    self._until, self._grace_s = value["until"], value["grace_s"]
                case "signal":
                    self._signal(value)
                case "stop":
                    self._stop("stopped", value["grace_s"])

    def _lose_the_runner(self) -> None:
        self._orphaned = True
        self._stop("runner lost", self._grace_s)

    def _signal(self, value: dict[str, Any]) -> None:
        for pid, known in self._children.items():
            if known == value["id"]:  # not waited for yet: the id is still its own
                with contextlib.suppress(OSError):
                    os.kill(pid, value["number"])

    def _start(self, value: dict[str, Any]) -> None:
        targets: list[int] = value["descriptors"]
        received = self._runner.take(len(targets))
        try:
            if self._why:
                self._refuse(value, 0, "the group was ended")
                return
            pid = self._fork(value, dict(zip(targets, received, strict=True)))
        except OSError as error:
            self._refuse(value, error.errno or 0, error.strerror or str(error))
            return
        finally:
            for number in received:
                os.close(number)
        self._children[pid] = value["id"]
        self._empty = False
        self._say({"say": "started", "id": value["id"], "pid": pid})

    def _refuse(self, value: dict[str, Any], number: int, what: str) -> None:
        self._say({"say": "refused", "id": value["id"], "errno": number, "what": what})

    def _fork(self, value: dict[str, Any], descriptors: dict[int, int]) -> int:
        """Start the program; return its id. Raises OSError when it cannot be executed."""
        guardian = os.getpid()
        failed, fails = os.pipe()  # closed by a successful exec
        fails = _moved_up(fails)
        pid = os.fork()
        if pid == 0:
            _become(value, descriptors, guardian, fails)
        os.close(fails)
        with os.fdopen(failed, "rb") as answer:
            number = answer.read()
        if number:
            os.waitpid(pid, 0)
            raise OSError(int(number), os.strerror(int(number)))
        return pid


def _moved_up(number: int) -> int:
    """Return a copy out of the way of the descriptors that programs get."""
    import fcntl

    from cortex_cli.runner.lifeline import FIRST_FREE

    copy = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
    os.close(number)
    return copy


def _become(
    value: dict[str, Any], descriptors: dict[int, int], guardian: int, fails: int
) -> NoReturn:
    """Turn this fork into the program; say on `fails` why it could not be."""
    try:
        os.setsid()
        if _LINUX:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != guardian:  # killed before the line above
                os._exit(_COULD_NOT_START)
        signal.set_wakeup_fd(-1)
        for number in (*_SAYS_STOP, *_SET_BY_PYTHON, signal.SIGCHLD, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for target, received in descriptors.items():
            os.dup2(received, target)
        os.chdir(value["cwd"])
        os.execvpe(value["argv"][0], value["argv"], value["environ"])  # noqa: S606  # as meant
    except OSError as error:
        os.write(fails, str(error.errno or 1).encode())
    finally:
        os._exit(_COULD_NOT_START)


def _prctl(option: int, argument: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main() -> None:
    if _LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    end = socket.socket(fileno=os.dup(0))
    end.settimeout(_SEND_S)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    Guardian(Lifeline(end), sys.argv[1]).run()


if __name__ == "__main__":
    main()
