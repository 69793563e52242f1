"""The board in tmux, as people run it: what a pane goes through, and its modes after it."""

import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.board.fakeserver import FakeServer
from tests.board.screen import PROGRAM, ROOT
from tests.support.server import wait_for
from tests.support.tmux import Pane, Tmux

pytestmark = pytest.mark.e2e

SIGNALS = {"INT": 130, "TERM": 143, "HUP": 129, "QUIT": 131}
# What a pane is like for the next program: cursor shown, no mouse, no other screen or keypad.
FLAGS = "#{alternate_on} #{mouse_any_flag} #{cursor_flag} #{keypad_cursor_flag} #{keypad_flag}"
SIZES = [(80, 24), (1, 1), (500, 200), (40, 12), (300, 5), (2, 50), (19, 4), (59, 13), (99, 30)]


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    running = Tmux()
    yield running
    running.close()


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.stop()


class Shell:
    """A pane with a shell in which boards are run. pid: of the board that runs."""

    def __init__(self, tmux: Tmux, directory: Path, url: str) -> None:
        self.tmux, self.directory = tmux, directory
        board = shlex.join([sys.executable, "-W", "error", "-c", PROGRAM, url])
        (directory / "board").write_text(f"echo $$ > pid\nexec {board}\n")
        environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        environ |= {"PS1": "shell> ", "HOME": str(directory)}
        socket = tmux.run("display-message", "-p", "#{socket_path}").strip()
        self.pane: Pane = tmux.open(["sh", "-i"], environ | {"TMUX": f"{socket},1,0"}, directory)
        self.pane.until("shell>")

    def types(self, line: str) -> None:
        self.pane.press(line, "Enter")

    def opens(self) -> None:
        (self.directory / "pid").unlink(missing_ok=True)
        self.types("clear; sh board; echo ended with $?.")
        self.pane.until("● live")

    @property
    def pid(self) -> int:
        return int((self.directory / "pid").read_text())

    def modes(self, name: str) -> tuple[str, str]:
        """The terminal's modes, of the kernel and of tmux, as the shell leaves them to others."""
        told = self.directory / name
        self.types(f"stty -a > {name}.new; mv {name}.new {name}")
        wait_for(told.exists, "stty has told")
        return told.read_text(), self.tmux.run("display-message", "-p", "-t", self.pane.id, FLAGS)

    def resize(self, width: int, height: int) -> None:
        size = ("-x", str(width), "-y", str(height))
        self.tmux.run("resize-window", "-t", self.pane.id, *size)


@pytest.fixture
def shell(tmux: Tmux, fake: FakeServer, tmp_path: Path) -> Shell:
    return Shell(tmux, tmp_path, fake.url)


def test_after_each_signal_the_pane_is_as_it_was(shell: Shell) -> None:
    before = shell.modes("before")
    for name, code in SIGNALS.items():
        shell.opens()
        os.kill(shell.pid, signal.Signals[f"SIG{name}"])
        shell.pane.until(f"ended with {code}.")
        assert shell.modes(f"after-{name}") == before, name


def test_stopped_and_back_in_any_way_it_is_the_same_board(shell: Shell, fake: FakeServer) -> None:
    before = shell.modes("before")
    shell.opens()
    during = shell.tmux.run("display-message", "-p", "-t", shell.pane.id, FLAGS)

    shell.pane.press("C-z")
    shell.pane.until("Stopped")
    assert shell.modes("stopped") == before
    fake.move(1, "done")
    shell.types("fg")
    shell.pane.until("Done 1")

    os.kill(shell.pid, signal.SIGSTOP)  # nothing could be given back, and the shell wrote over it
    left = r"printf '\033[?1049l'; echo scribbled; echo over it"
    shell.pane.press(left, "C-j")  # not Enter: the terminal's modes are still the board's
    shell.pane.until("over it")
    fake.move(2, "done")
    shell.pane.press("fg", "C-j")
    screen = shell.pane.until("Done 2")
    assert "scribbled" not in shell.pane.screen(), screen
    assert shell.tmux.run("display-message", "-p", "-t", shell.pane.id, FLAGS) == during

    shell.pane.press("q")
    wait_for(lambda: "● live" not in shell.pane.screen(), "the board is left")
    shell.types("echo left with $?.")
    shell.pane.until("left with 0.")
    assert shell.modes("after") == before


def test_a_storm_of_resizes_ends_with_the_right_screen(shell: Shell, fake: FakeServer) -> None:
    shell.opens()
    for _ in range(3):
        for width, height in SIZES:
            shell.resize(width, height)
    fake.move(1, "review")
    shell.resize(100, 30)

    def is_right() -> bool:
        first, columns, *_, last = (line.rstrip() for line in shell.pane.screen().splitlines())
        return (
            first.endswith("● live")
            and re.findall(r"\w (\d)\S* ─", columns) == ["1", "2", "2", "0"]
            and last.startswith(" Enter open")
        )

    wait_for(is_right, "the screen is that of its size")
    assert shell.pane.screen().count("╭") == shell.pane.screen().count("╰") == 4


def test_paste_and_copy(shell: Shell, fake: FakeServer) -> None:
    shell.opens()
    shell.tmux.run("set-buffer", "-b", "text", "qD\nsecond")
    shell.tmux.run("paste-buffer", "-p", "-b", "text", "-t", shell.pane.id)
    shell.pane.until("it did nothing")

    shell.pane.press("c")
    shell.pane.until("Comment on CTX-1")
    shell.tmux.run("paste-buffer", "-p", "-b", "text", "-t", shell.pane.id)
    shell.pane.press("Enter")
    wait_for(lambda: fake.requests, "the comment was sent")
    assert fake.requests[-1][2] == {"body": "qD\nsecond"}

    shell.pane.press("y")
    shell.pane.until("Copied CTX-1 (tmux)")
    assert shell.tmux.run("show-buffer") == "CTX-1"
