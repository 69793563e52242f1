"""A program on a pseudo-terminal: what its screen shows, and when each byte of it came."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyte

from scripts.bench_suite import machine
from scripts.bench_suite.program import Unavailable

COLUMNS, ROWS = 120, 36
STOP_S = 1.0
PAUSE_S = 0.004  # parts of one frame follow each other faster
START_PAUSE_S = 0.15  # and those of a start, of which the last is the board as it is


class Used(NamedTuple):
    """What a program has used so far. sleeps: how often each of its threads was woken up."""

    cpu_s: float
    sleeps: dict[str, int]
    bytes: int


class Screen:
    """The program's screen. `until` returns when what is looked for had arrived, not been drawn.

    Drawing takes longer than most programs need for a frame. So all that comes without a pause is
    read before any of it is drawn.
    """

    def __init__(
        self, command: list[str], env: Mapping[str, str], directory: Path | None = None
    ) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.bytes = 0
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=directory,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **env},
            start_new_session=True,
        )
        os.close(slave)

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def firsts(self, shown: Sequence[Callable[[str], Any]], deadline_s: float) -> list[float]:
        """Read until each of these was true of the screen; the times at which what made it so came.

        Nothing is drawn before a long pause: that would take from the program while it starts.
        """
        give_up = time.monotonic() + deadline_s
        found: dict[int, float] = {}
        while time.monotonic() < give_up and len(found) < len(shown):
            for at, part in self._parts(give_up - time.monotonic(), START_PAUSE_S):
                self.stream.feed(part)
                text = self.text()
                for number, condition in enumerate(shown):
                    if number not in found and condition(text):
                        found[number] = at
        if len(found) < len(shown):
            raise Unavailable(self._never())
        return [found[number] for number in range(len(shown))]

    def until(self, shown: Callable[[str], Any], deadline_s: float = 10) -> float:
        """Read until `shown(text of the screen)`; the time at which that part was read."""
        give_up, found = time.monotonic() + deadline_s, 0.0
        while time.monotonic() < give_up:
            for at, part in self._parts(give_up - time.monotonic()):
                self.stream.feed(part)
                if shown(self.text()):
                    found = found or at
            if found:
                return found
        raise Unavailable(self._never())

    def _never(self) -> str:
        last = "\n".join(line.rstrip() for line in self.screen.display if line.strip())
        return f"the screen never showed it:\n{last}"

    def read(self, wait_s: float) -> float | None:
        """Take and draw what comes; when the last of it did, or None when nothing came."""
        parts = self._parts(wait_s)
        for _, part in parts:
            self.stream.feed(part)
        return parts[-1][0] if parts else None

    def _parts(self, wait_s: float, pause_s: float = PAUSE_S) -> list[tuple[float, bytes]]:
        found: list[tuple[float, bytes]] = []
        while select.select([self.master], [], [], max(wait_s, 0))[0]:
            wait_s, at = pause_s, time.monotonic()
            try:
                found.append((at, os.read(self.master, 65_536)))
            except OSError:  # the program has ended
                raise Unavailable("the program ended: " + " ".join(self.screen.display)) from None
            self.bytes += len(found[-1][1])
            if len(found) > 1 and at - found[0][0] > 1:
                break  # it never pauses: what has come is drawn now
        return found

    def settle(self, quiet_s: float = 0.3, most_s: float = 5) -> None:
        """Read until nothing has come for a while, at most so long."""
        give_up = time.monotonic() + most_s
        while time.monotonic() < give_up and self.read(quiet_s):
            pass

    def press(self, keys: bytes) -> float:
        """Type; when that was."""
        at = time.monotonic()
        os.write(self.master, keys)
        return at

    def answer(
        self, keys: bytes, wanted: bytes = b"", pause_s: float = PAUSE_S, wait_s: float = 3
    ) -> float | None:
        """ms from a key to the last byte of the frame that it causes, the first one that holds
        `wanted`; None when none comes. It is drawn afterwards."""
        self.read(0)
        pressed, parts, last = self.press(keys), [], 0.0
        give_up = pressed + wait_s
        while not last and (came := self._parts(give_up - time.monotonic(), pause_s)):
            parts += came
            if wanted in b"".join(part for _, part in parts):
                last = came[-1][0]
        for _, part in parts:
            self.stream.feed(part)
        return (last - pressed) * 1000 if last else None

    def used(self) -> Used:
        family = machine.family(self.process.pid)
        sleeps = {thread: times for pid in family for thread, times in _sleeps(pid)}
        return Used(sum(map(machine.cpu_s, family)), sleeps, self.bytes)

    def memory_mib(self) -> float:
        """Of the program and of all that it has started; what is shared counts in parts."""
        return sum(map(machine.memory_kib, machine.family(self.process.pid))) / 1024

    def close(self) -> None:
        """SIGTERM, so that it keeps what it keeps, and SIGKILL for whatever is left."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.master)


def _sleeps(pid: int) -> Iterator[tuple[str, int]]:
    """(thread, how often it slept until something woke it) of a process."""
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.MULTILINE)
        if found:
            yield str(status), int(found[1])
