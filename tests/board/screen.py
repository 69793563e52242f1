"""A program on a pseudo-terminal, and what a person would see on it."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pyte

ROOT = Path(__file__).resolve().parent.parent.parent
DEADLINE_S = 20.0
FRAME_S = 0.02  # without a byte, after which a frame is whole

# Opening a terminal gives it to the leader of a session that has none.
TAKE_TERMINAL = ["sh", "-c", 'tty=$0; exec "$@" <>"$tty" >&0 2>&1']

PROGRAM = """
import sys
from cortex_cli.board import app

def connect():
    from cortex_cli.sdk import CortexClient
    return CortexClient(sys.argv[1], "a-token-of-the-tests")

sys.exit(app.run(connect, "CTX", url=sys.argv[1]))
"""


class Screen(pyte.Screen):
    """What pyte lacks of a modern terminal, and curses makes use of: SU, SD and REP."""

    last = " "

    def draw(self, data: str) -> None:
        super().draw(data)
        self.last = data[-1:] or self.last

    def repeat_last(self, count: int = 1) -> None:
        self.draw(self.last * (count or 1))

    def scroll_up(self, count: int = 1) -> None:
        self._at_margin(bottom=True, count=count)

    def scroll_down(self, count: int = 1) -> None:
        self._at_margin(bottom=False, count=count)

    def _at_margin(self, bottom: bool, count: int) -> None:
        top, last = self.margins or (0, self.lines - 1)
        before, self.cursor.y = self.cursor.y, last if bottom else top
        for _ in range(count or 1):
            (self.index if bottom else self.reverse_index)()
        self.cursor.y = before


class Stream(pyte.ByteStream):
    csi: ClassVar = {
        **pyte.ByteStream.csi, "S": "scroll_up", "T": "scroll_down", "b": "repeat_last"
    }  # fmt: skip
    events = pyte.ByteStream.events | {"scroll_up", "scroll_down", "repeat_last"}


class Terminal:
    """raw: all that was sent to it. until: wait for a screen; send: type; resize; stop."""

    def __init__(self, argv: list[str], width: int = 120, height: int = 30, **env: str) -> None:
        self._master, self._slave = pty.openpty()
        self.raw = b""
        self._screen = Screen(width, height)
        self._stream = Stream(self._screen)
        self._set_size(width, height)
        self.modes = termios.tcgetattr(self._slave)
        environ = {
            "PATH": os.environ["PATH"], "HOME": "/nonexistent", "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT),
            "LINES": "7", "COLUMNS": "33",  # as some shells export them: to be ignored
            "XDG_CACHE_HOME": "/dev/null/none",  # no test begins with what another saw
        }  # fmt: skip
        self.process = subprocess.Popen(
            [*TAKE_TERMINAL, os.ttyname(self._slave), *argv],
            env=environ | env, stdin=subprocess.DEVNULL, start_new_session=True, cwd=ROOT,
        )  # fmt: skip

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width: int, height: int) -> None:
        self._screen.resize(height, width)
        self._set_size(width, height)

    def send(self, text: str) -> None:
        os.write(self._master, text.encode())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def look(self, y: int, x: int) -> tuple[str, bool, bool]:
        """(colour, bold, reverse) of a cell; pyte knows nothing of dim."""
        cell = self._screen.buffer[y][x]
        return cell.fg, cell.bold, cell.reverse

    def read(self, wait_s: float = 0.05) -> bool:
        """Draw what has come; wait for something, but not long."""
        if not select.select([self._master], [], [], wait_s)[0]:
            return False
        got = os.read(self._master, 65_536)
        self.raw += got
        self._stream.feed(got)
        return True

    def until(self, wanted: str | Callable[[str], Any], deadline_s: float = DEADLINE_S) -> str:
        """Read until the screen holds `wanted`, and the rest of its frame; fails with the screen.

        A frame comes in pieces: what is at its end may not be there when its beginning is.
        """
        give_up = time.monotonic() + deadline_s
        while not (wanted in self.text if isinstance(wanted, str) else wanted(self.text)):
            assert time.monotonic() < give_up, f"not on the screen: {wanted}\n{self.text}"
            self.read()
        return self.settled(FRAME_S)

    def settled(self, quiet_s: float = 0.2) -> str:
        """Read until nothing more comes."""
        while self.read(quiet_s):
            pass
        return self.text

    def ended(self) -> int:
        """Read until the program ends. Returns its exit code."""
        give_up = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < give_up, f"it does not end\n{self.text}"
            self.read()
        self.settled(0.05)
        return self.process.returncode

    def modes_now(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


def python(code: str, *argv: str) -> list[str]:
    return [sys.executable, "-W", "error", "-c", code, *argv]
