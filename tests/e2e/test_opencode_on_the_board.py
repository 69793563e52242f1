"""OpenCode as a person at the board has it: a real server, a real runner, and a recording."""

import contextlib
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.replays import PROGRAM, RECORDING
from tests.support.server import Server, wait_for
from tests.support.tmux import Pane, Tmux
from tests.support.workplace import RunnerProcess, Workplace

pytestmark = pytest.mark.e2e

# In the order in which the board offers them. What `streams` says ends only when it is aborted.
AGENTS = {"asks": ("perm_once",), "delegates": ("task",), "streams": ("abort", "--delta-ms", "15")}
LAST_WORD = 137
MARKS = ("CORTEX_ATTEMPT", "CORTEX_GUARDIAN")
GATE = """#!/bin/sh
until [ -e "$0.may-begin" ]; do sleep 0.05; done
exec {command} "$@"
"""


class Desk:
    """A runner with agents that begin when they may; and a board for each attempt."""

    def __init__(self, place: Workplace, tmux: Tmux) -> None:
        self._place, self._tmux = place, tmux
        self.runner = RunnerProcess(place, "runner", list(map(self._spec, AGENTS)))

    def _program(self, agent: str) -> Path:
        return self._place.directory / agent

    def _spec(self, agent: str) -> str:
        """An OpenCode that plays this part of the recording, and takes its time to start."""
        scenario, *options = AGENTS[agent]
        argv = [sys.executable, str(PROGRAM), "--recording", str(RECORDING), *options]
        argv += ["--scenario", scenario, "--requests", f"{self._program(agent)}.requests"]
        self._program(agent).write_text(GATE.format(command=shlex.join(argv)))
        self._program(agent).chmod(0o755)
        return f"{agent}=opencode:{shlex.quote(str(self._program(agent)))}"

    def start(self, agent: str) -> Pane:
        """Press `s` on the card of a new ticket, and choose; the agent may not begin yet."""
        ticket = self._place.ticket(f"What {agent}")
        argv = [sys.executable, "-m", "cortex_cli", "--project", self._place.key, "board"]
        # none of its own would begin at the ticket where the last one was left
        cache = {"XDG_CACHE_HOME": str(self._place.directory / f"cache-{agent}")}
        board = self._tmux.open(argv, self._place.server.env | cache, self._place.directory)
        board.until("● live")
        board.until(ticket)  # a screen may be seen while it is drawn
        board.press("s")
        entry = re.search(rf"(\d)  {agent} ", board.until(f"  {agent} "))
        assert entry
        board.press(entry[1])
        board.until(f"│ {agent} ")
        return board

    def follow(self, agent: str, board: Pane) -> None:
        """Open the session's tab before the agent begins, and let it."""
        board.press("Enter")
        board.until(f"│ ● working What {agent}")
        board.press("]", "]", "]")
        board.until("No messages yet.")
        self.begin(agent)

    def begin(self, agent: str) -> None:
        Path(f"{self._program(agent)}.may-begin").touch()

    def sent(self, agent: str, path: str) -> list[Any]:
        """What its OpenCode was told there."""
        lines = Path(f"{self._program(agent)}.requests").read_text().splitlines()
        return [body for to, body in map(json.loads, lines) if path in to]

    def end(self, agent: str, board: Pane) -> None:
        """The attempt has succeeded and nothing of it runs; the board ends as it should."""
        found = self._place.server.api("GET", f"/attempts?project={self._place.key}").json()
        (attempt,) = [attempt for attempt in found["items"] if attempt["agent"] == agent]
        assert attempt["status"] == "succeeded"
        wait_for(lambda: processes_of(attempt["id"]) == [], "nothing of it is left")
        board.press("q")
        assert board.exit_code() == 0


def processes_of(attempt: str) -> list[psutil.Process]:
    """What runs for an attempt: the agent, whatever it has started, and its guardian."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environ = one.environ()
            if attempt in map(environ.get, MARKS):
                found.append(one)
    return found


@pytest.fixture(scope="module")
def desk(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    tmux = Tmux()
    desk = Desk(Workplace(shared_server, tmp_path_factory.mktemp("desk")), tmux)
    yield desk
    desk.runner.kill()
    tmux.close()


def last_word(screen: str) -> int | None:
    """The number of the last word on it, while the agent still writes."""
    words = re.findall(r"\bw(\d+)\b", screen)
    return int(words[-1]) if words and "assistant  writing" in screen else None


def test_text_grows_until_its_turn_is_ended_and_a_prompt_goes_on(desk: Desk) -> None:
    board = desk.start("streams")
    desk.follow("streams", board)
    seen: list[int | None] = []

    def grown() -> bool:
        seen.append(last_word(board.screen()))
        return seen[-1] == LAST_WORD

    wait_for(grown, "the text grows")
    grew = [number for number in seen if number is not None]
    assert grew == sorted(grew)
    assert len(set(grew)) > 3  # and is not told of at once
    board.press("X")
    wait_for(lambda: "writing" not in board.screen(), "the turn is over")
    assert f"w{LAST_WORD}" in board.until("○ idle")
    board.press("Escape")
    assert "◆ waiting" in board.until("streams your turn")

    board.press("Enter", "]", "]", "]", "i")
    board.until("To build in ")
    board.press("and now?", "Enter")
    board.until("Understood.")
    board.until("and now?")
    board.press("]")
    board.until("✓ succeeded")
    assert desk.sent("streams", "/abort") == [None]
    (prompted,) = desk.sent("streams", "/prompt_async")[1:]
    assert prompted["parts"] == [{"type": "text", "text": "and now?"}]
    desk.end("streams", board)


def test_a_permission_is_answered_on_the_board(desk: Desk) -> None:
    board = desk.start("asks")
    desk.begin("asks")
    board.until("asks 1 question")
    board.until("◆ waiting")
    board.press("Enter")
    assert "bash: echo ok>p1.txt" in board.until("Waiting for your answer 1")
    board.press("a")
    board.until("1  Allow once")
    assert desk.sent("asks", "/permission/") == []
    board.press("Enter")
    assert "Waiting for your answer" not in board.until("✓ succeeded")
    board.press("]", "]", "]")
    board.until("Command finished.")
    assert desk.sent("asks", "/permission/") == [{"reply": "once"}]
    desk.end("asks", board)


def test_a_sub_agent_gets_a_tab_and_not_the_focus(desk: Desk) -> None:
    board = desk.start("delegates")
    desk.follow("delegates", board)
    assert "Running a command." not in board.until("│ └ ")
    assert "Running a command." not in board.until("The subagent is done.")
    board.press("]")
    screen = board.until("Running a command.")
    assert "The subagent is done." not in screen
    assert "Command finished." in screen
    board.press("[")
    board.until("The subagent is done.")
    board.press("[", "[", "[")
    board.until("✓ succeeded")
    desk.end("delegates", board)
