"""Programs in tmux, on a server of its own: their screens as a person would see them."""

import os
import re
import shlex
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import needs
from tests.support.server import DEADLINE_S, wait_for

_TELL_THE_END = r"printf '\nended with %s\n' $?; exec cat"
_SEPARATOR = "=-= the next pane =-="


class Tmux:
    """A tmux server with no configuration; every program has a window of its own."""

    def __init__(self) -> None:
        self._argv = [needs.program("tmux"), "-L", f"cortex-{uuid.uuid4().hex}", "-f", "/dev/null"]
        self._environ = {k: v for k, v in os.environ.items() if k not in ("TMUX", "TMUX_PANE")}
        self.run("new-session", "-d")  # keeps the server up

    def open(
        self, argv: Sequence[str], environ: Mapping[str, str], directory: Path,
        width: int = 120, height: int = 36,
    ) -> "Pane":  # fmt: skip
        """Run a program with just this environment on a terminal of this size.

        A shell stays behind it to tell its exit code: tmux's pane_dead_status is not reliable.
        """
        environ = {k: v for k, v in environ.items() if k not in ("LINES", "COLUMNS", "TERM")}
        words = ["env", "-i", *(f"{k}={v}" for k, v in environ.items()), "TERM=screen-256color"]
        pane = self.run(
            "new-session", "-d", "-P", "-F", "#{pane_id}", "-x", str(width), "-y", str(height),
            "-c", str(directory), f"{shlex.join([*words, *argv])}; {_TELL_THE_END}",
        )  # fmt: skip
        return Pane(self, pane.strip())

    def screens(self, *panes: "Pane") -> list[str]:
        """What several panes show, at one moment."""
        words: list[str] = []
        for pane in panes:
            words += ["capture-pane", "-p", "-t", pane.id, ";", "display-message", "-p", _SEPARATOR]
            words.append(";")
        return self.run(*words[:-1]).split(f"{_SEPARATOR}\n")[:-1]

    def close(self) -> None:
        subprocess.run([*self._argv, "kill-server"], check=False, capture_output=True)

    def run(self, *words: str) -> str:
        """One command of tmux; what it prints."""
        ran = subprocess.run(
            [*self._argv, *words], env=self._environ, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


class Pane:
    """One program's terminal."""

    def __init__(self, tmux: Tmux, pane: str) -> None:
        self.id = pane
        self._tmux = tmux

    def screen(self) -> str:
        return self._tmux.screens(self)[0]

    def everything(self) -> str:
        """Also what has left the screen; lines that were wrapped are whole."""
        return self._tmux.run("capture-pane", "-p", "-J", "-S", "-", "-t", self.id)

    def press(self, *keys: str) -> None:
        self._tmux.run("send-keys", "-t", self.id, *keys)

    def until(self, text: str, deadline_s: float = DEADLINE_S) -> str:
        """Wait until the screen holds `text`; return the screen."""

        def shown() -> str:
            screen = self.screen()
            return screen if text in screen else ""

        try:
            return wait_for(shown, f"the screen shows {text!r}", deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows:\n{self.screen()}") from None

    def exit_code(self) -> int:
        """Wait for the program's end."""
        ended = re.compile(r"^ended with (\d+)$", re.MULTILINE)
        return int(wait_for(lambda: ended.findall(self.screen()), "the program has ended")[0])
