"""What a person sees: `cortex` on a real pseudo-terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pexpect
import pytest

from tests.cli.conftest import Cortex

pytestmark = pytest.mark.e2e

Terminal = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def terminal(project: str) -> Iterator[Terminal]:
    """Start `cortex` on a terminal of 80 columns."""
    started: list[pexpect.spawn[str]] = []

    def start(*words: str, **environ: str) -> pexpect.spawn[str]:
        child = pexpect.spawn(
            sys.executable, ["-m", "cortex_cli", *words], dimensions=(24, 80), encoding="utf-8",
            timeout=20, env={**os.environ, "TERM": "xterm-256color", **environ},
        )  # fmt: skip
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


def all_of(child: pexpect.spawn[str]) -> str:
    child.expect(pexpect.EOF)
    return str(child.before)


def code_of(child: pexpect.spawn[str]) -> int | None:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def test_a_table_fits_the_terminal_and_cuts_only_the_title(
    terminal: Terminal, cortex: Cortex, project: str
) -> None:
    cortex("ticket", "create", "word " * 40, "-l", "api", "--assignee", "ann")
    lines = all_of(terminal("--no-color", "ticket", "list")).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split() == [
        "KEY", "STATUS", "TYPE", "PRIORITY", "ASSIGNEE", "LABELS", "CHANGED", "TITLE",
    ]  # fmt: skip
    assert lines[1].startswith(f"{project}-1  backlog  work")
    assert lines[1].rstrip().endswith("…")


def test_foreign_control_sequences_and_markup_are_only_text(
    terminal: Terminal, cortex: Cortex, project: str
) -> None:
    cortex("ticket", "create", "\x1b]0;pwned\x07[bold]x[/bold]\x9b2J")
    for words in (["ticket", "list"], ["ticket", "show", "1"], ["board", "--once"]):
        shown = all_of(terminal("--no-color", *words))
        assert "[bold]x[/bold]" in shown
        assert "\x1b" not in shown
        assert "\x9b" not in shown


def test_colours_come_on_a_terminal_and_go_on_request(
    terminal: Terminal, cortex: Cortex, project: str
) -> None:
    cortex("ticket", "create", "T")
    assert "\x1b[" in all_of(terminal("ticket", "show", "1"))
    assert "\x1b[" not in all_of(terminal("ticket", "show", "1", NO_COLOR="1"))
    assert "\x1b[" not in all_of(terminal("ticket", "show", "1", TERM="dumb"))
    assert "\x1b[" not in all_of(terminal("ticket", "show", "1", "--no-color"))


def test_what_is_deleted_is_confirmed_by_its_name(
    terminal: Terminal, cortex: Cortex, project: str
) -> None:
    cortex("ticket", "create", "T")
    wrong = terminal("ticket", "delete", "1")
    wrong.expect(f"Type {project}-1 to go on")
    wrong.sendline("y")
    assert code_of(wrong) == 1
    assert cortex("ticket", "show", "1").code == 0
    right = terminal("ticket", "delete", "1")
    right.expect("to go on")
    right.sendline(f"{project}-1")
    assert code_of(right) == 0
    assert cortex("ticket", "show", "1").code == 5


def test_control_c_at_a_question_is_130_and_changes_nothing(
    terminal: Terminal, cortex: Cortex, project: str
) -> None:
    cortex("ticket", "create", "T")
    child = terminal("ticket", "delete", "1")
    child.expect("to go on")
    child.sendintr()
    assert code_of(child) == 130
    assert cortex("ticket", "show", "1").code == 0


def test_watch_is_readable_on_a_terminal(terminal: Terminal, cortex: Cortex, project: str) -> None:
    cortex("ticket", "create", "A title")
    shown = all_of(terminal("watch", "--no-color", "--since", "0", "--count", "2"))
    assert f"ticket.created     {project}-1  A title" in shown
