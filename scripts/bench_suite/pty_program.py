"""A program on a pseudo-terminal: what its screen shows, and when each byte of it came."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from typing import Any

import pyte

from scripts.bench_suite.program import Unavailable

COLUMNS, ROWS = 120, 36


class Screen:
    """The program's screen. `until` returns when what is looked for had arrived, not been drawn."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
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
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **env},
            start_new_session=True,
        )
        os.close(slave)

    def until(self, shown: Callable[[str], Any], deadline_s: float = 10) -> float:
        """Read until `shown(text of the screen)`; the time at which that part was read."""
        give_up = time.monotonic() + deadline_s
        while time.monotonic() < give_up:
            at = self.read(give_up - time.monotonic())
            if at and shown("\n".join(self.screen.display)):
                return at
        last = "\n".join(line.rstrip() for line in self.screen.display if line.strip())
        raise Unavailable(f"the screen never showed it:\n{last}")

    def read(self, wait_s: float) -> float | None:
        """Take what has come, at once; when that was, or None when nothing came."""
        if not select.select([self.master], [], [], max(wait_s, 0))[0]:
            return None
        at = time.monotonic()
        try:
            part = os.read(self.master, 65_536)
        except OSError:  # the program has ended
            raise Unavailable("the program ended: " + " ".join(self.screen.display)) from None
        self.bytes += len(part)
        self.stream.feed(part)
        return at

    def settle(self, quiet_s: float = 0.3) -> None:
        """Read until nothing has come for a while."""
        while self.read(quiet_s):
            pass

    def press(self, keys: bytes) -> float:
        """Type; when that was."""
        at = time.monotonic()
        os.write(self.master, keys)
        return at

    def close(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.master)
