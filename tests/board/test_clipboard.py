"""Copying with the programs that are there; what each did is told as it was."""

import queue
import sys
from pathlib import Path

import pytest

from cortex_cli.board import clipboard
from cortex_cli.board.messages import Copied


@pytest.fixture
def programs(tmp_path: Path):
    """Make programs of these names, each a line of shell; return their directory."""

    def make(**lines: str) -> Path:
        for name, line in lines.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{line}\n")
            program.chmod(0o755)
        return tmp_path

    return make


def copied(text: str, environ: dict[str, str], sent: bool = True) -> Copied:
    told: queue.SimpleQueue[Copied] = queue.SimpleQueue()
    clipboard.copy(text, environ, sent, told.put)
    return told.get(timeout=20)


def test_each_program_that_the_session_has_gets_the_text(programs):
    there = programs(tmux='/bin/cat > "$0.$1"', wl_copy='/bin/cat > "$0.out"', xclip="exit 1")
    environ = {"PATH": str(there), "TMUX": "/s", "WAYLAND_DISPLAY": "w", "DISPLAY": ":0"}

    assert copied("CTX-1 猫", environ) == Copied("CTX-1 猫", ("tmux", "wl-copy"), True)
    assert (there / "tmux.load-buffer").read_text() == "CTX-1 猫"
    assert (there / "wl-copy.out").read_text() == "CTX-1 猫"


def test_a_program_without_its_session_is_not_run(programs):
    there = programs(tmux="exit 0", wl_copy="exit 0", xclip="exit 0")

    assert clipboard.programs({"PATH": str(there)}) == []
    assert copied("CTX-1", {"PATH": str(there)}, sent=False) == Copied("CTX-1", (), False)


def test_a_program_that_hangs_is_not_waited_for(programs, monkeypatch):
    monkeypatch.setattr(clipboard, "LIMIT_S", 0.05)
    there = programs(xclip="exec /bin/sleep 60")

    assert copied("CTX-1", {"PATH": str(there), "DISPLAY": ":0"}) == Copied("CTX-1", (), True)


def test_the_mac_has_its_own(programs, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    there = programs(pbcopy="/bin/cat >/dev/null")

    assert copied("CTX-1", {"PATH": str(there)}).by == ("pbcopy",)
