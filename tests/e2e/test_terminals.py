"""The boards and the watcher of a person, in tmux, around one server that comes and goes."""

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, wait_for
from tests.support.tmux import Pane, Tmux
from tests.support.workplace import RunnerProcess, Workplace

pytestmark = pytest.mark.e2e

CORTEX = [sys.executable, "-m", "cortex_cli"]
COLUMNS = ["backlog", "progress", "review", "done"]
SEEN_WITHIN_S = 2.0  # generous: the machine may be busy; the goal is 0.1, and is printed
TITLES = ["Write the parser", "Cut the stream", "Draw the board", "Fix the lease", "Ask the agent"]


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    running = Tmux()
    yield running
    running.close()


class Desk:
    """Two boards and a watcher of one project, and a shell beside them."""

    def __init__(self, tmux: Tmux, server: Server, directory: Path) -> None:
        self.tmux, self.server, self.directory = tmux, server, directory
        self.environ = {**server.env, "CORTEX_PROJECT": "CTX"}
        self.said = directory / "watch.err"
        server.make("/projects", key="CTX", name="Cortex")
        for title in TITLES:
            server.make("/projects/CTX/tickets", title=title)
        self.first = self.head()
        self.boards = [self._open(*CORTEX, "board") for _ in range(2)]
        watch = 'exec "$@" 2>"$0"', str(self.said), *CORTEX, "watch", "--all", "--retries", "0"
        self.watch = self._open("sh", "-c", *watch)
        for board in self.boards:
            board.until("● live")
        wait_for(lambda: "connected" in self.watch_said(), "the watcher is connected")

    def _open(self, *argv: str) -> Pane:
        return self.tmux.open(argv, self.environ, self.directory)

    def watch_said(self) -> str:
        return self.said.read_text() if self.said.exists() else ""

    def head(self) -> int:
        """The position of the newest event."""
        return int(self.server.api("GET", "/projects/CTX/board").json()["head"])

    def cortex(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*CORTEX, *words], env=self.environ, cwd=self.directory,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def move(self, ticket: str, column: str, old: str) -> float:
        """Move a ticket as a person would; return from its commit to the last of the screens."""
        moving = self.cortex("ticket", "move", ticket, column)

        def shown() -> bool:
            *boards, watch = self.tmux.screens(*self.boards, self.watch)
            followed = re.search(rf"ticket\.moved +{ticket}  {old} → {column}", watch)
            return bool(followed) and all(ticket in cards(board)[column] for board in boards)

        wait_for(shown, f"{ticket} is in {column} on all three screens")
        seen = time.time()
        output, _ = moving.communicate(timeout=20)
        assert moving.returncode == 0, output
        ticket_now = self.server.api("GET", f"/tickets/{ticket}").json()
        return seen - datetime.fromisoformat(ticket_now["updated_at"]).timestamp()

    def screens_are_right(self) -> bool:
        """Whether both boards show, card for card, what the server holds."""
        expected = on_the_server(self.server)
        screens = self.tmux.screens(*self.boards)
        return all("● live" in screen and cards(screen) == expected for screen in screens)


def cards(screen: str) -> dict[str, list[str]]:
    """The keys on a board's screen, column by column, from the top."""
    found: dict[str, list[str]] = {column: [] for column in COLUMNS}
    for line in screen.splitlines():
        pieces = re.findall(r"│([^│]*)│", line)
        if len(pieces) != len(COLUMNS):
            continue
        for column, piece in zip(COLUMNS, pieces, strict=True):
            found[column] += re.findall(r"^\W*(CTX-\d+)\b", piece)
    return found


def on_the_server(server: Server) -> dict[str, list[str]]:
    tickets = server.api("GET", "/projects/CTX/board").json()["tickets"]
    found: dict[str, list[str]] = {column: [] for column in COLUMNS}
    for ticket in sorted(tickets, key=lambda ticket: ticket["rank"]):
        found[ticket["status"]].append(ticket["key"])
    return found


@pytest.fixture
def desk(tmux: Tmux, server: Server, tmp_path: Path) -> Desk:
    return Desk(tmux, server, tmp_path)


def test_two_boards_and_a_watcher_follow_a_move(desk: Desk, capsys: pytest.CaptureFixture) -> None:
    moves = [
        (f"CTX-{1 + number % 5}", COLUMNS[1 + number // 5], COLUMNS[number // 5])
        for number in range(15)
    ]
    took = [desk.move(*move) for move in moves]
    assert desk.screens_are_right()
    with capsys.disabled():
        middle, worst = statistics.median(took) * 1000, max(took) * 1000
        sys.stdout.write(f"\n  commit to three screens: {middle:.0f} ms median, {worst:.0f} max\n")
    assert max(took) < SEEN_WITHIN_S


def test_a_killed_server_is_told_and_its_return_makes_everything_right(desk: Desk) -> None:
    desk.move("CTX-1", "progress", "backlog")
    desk.server.kill()
    for board in desk.boards:
        countdown(board)
    wait_for(lambda: "Trying again in" in desk.watch_said(), "the watcher tells the loss")
    desk.server.start()
    desk.server.make("/tickets/CTX-2/move", status="done")
    desk.boards[0].press("r")  # the other comes back by itself
    wait_for(desk.screens_are_right, "both boards show what the server holds")
    desk.move("CTX-3", "review", "backlog")
    assert "connected again" in desk.watch_said()
    assert desk.screens_are_right()
    ids = re.findall(r"  \S+\.(\d+)$", desk.watch.everything(), re.MULTILINE)
    assert [int(position) for position in ids] == list(range(desk.first + 1, desk.head() + 1))


def countdown(board: Pane) -> None:
    """Wait until the board has counted down by a second before one of its attempts."""
    seen: dict[str, set[str]] = {}

    def counted() -> bool:
        for left, attempt in re.findall(r"reconnecting in (\d+) s \((\d)/8\)", board.screen()):
            seen.setdefault(attempt, set()).add(left)
        return any(len(seconds) > 1 for seconds in seen.values())

    wait_for(counted, "the board counts down", deadline_s=40)


class Newcomer:
    """A machine on which nothing of Cortex has run, and a git repository to try it in."""

    def __init__(self, tmux: Tmux, directory: Path) -> None:
        self._tmux = tmux
        self.server = Server(directory)  # never started: only its port and its environment
        self.repository = directory / "a-repo"
        self.repository.mkdir()
        subprocess.run(["git", "init", "-q", str(self.repository)], check=True)

    def open(self, *words: str) -> Pane:
        return self._tmux.open([*CORTEX, *words], self.server.env, self.repository)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CORTEX, *words], env=self.server.env, cwd=self.repository,
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def listed(self, noun: str) -> Any:
        return json.loads(self.run(noun, "list", "--json").stdout)


@pytest.fixture
def newcomer(tmux: Tmux, tmp_path: Path) -> Iterator[Newcomer]:
    home = tmp_path / "newcomer"
    home.mkdir()
    machine = Newcomer(tmux, home)
    yield machine
    machine.run("down")


def test_up_shows_a_board_and_down_ends_the_server_that_outlived_it(newcomer: Newcomer) -> None:
    up = newcomer.open("up")
    board = up.until("● live")
    assert "A-REPO" in board
    assert "No tickets yet." in board
    up.press("q")
    assert up.exit_code() == 0
    assert "stop it with `cortex down`" in up.everything()
    assert newcomer.run("status").returncode == 0
    assert newcomer.run("down").stderr == "The server has stopped.\n"
    assert newcomer.run("status").returncode == 3


def test_the_demo_lives_within_ten_seconds_and_leaves_nothing(newcomer: Newcomer) -> None:
    began = time.monotonic()
    up = newcomer.open("up", "--demo")
    first = up.until("working", deadline_s=10)
    assert "DEMO-1" in first
    lives: Callable[[], bool] = lambda: up.screen() != first  # noqa: E731
    wait_for(lives, "the board changes by itself", 10 - (time.monotonic() - began))
    up.press("q")
    assert up.exit_code() == 0
    assert newcomer.listed("project") == []
    assert [token["name"] for token in newcomer.listed("token") if not token["revoked_at"]] == [
        "local"
    ]


# Asks whether to go on with ticket 1, and works on the other until it is stopped.
AGENT = """
tell() { echo "$1" >&"$CORTEX_PROTOCOL_FD"; }
tell '{"type":"todos","todos":[{"text":"Ask first","status":"in_progress"}]}'
tell '{"type":"message","id":"m","text":"I look around."}'
if [ "${CORTEX_TICKET##*-}" = 1 ]; then
  tell '{"type":"ask","id":"q","title":"Write it?","detail":"to done.txt","options":["Yes","No"]}'
  read -r answer <&"$CORTEX_ANSWER_FD"
  case "$answer" in *Yes*) echo yes > done.txt ;; esac
else
  echo "at it"
  sleep 60
fi
"""


@pytest.fixture
def place(server: Server, tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(server, tmp_path)
    for title in ("Ask the agent", "Cut the stream"):
        place.ticket(title)
    runner = RunnerProcess(place, "runner", [place.agent("scripted", AGENT)])
    yield place
    runner.kill()


def test_an_agent_is_started_answered_and_stopped_from_the_board(
    tmux: Tmux, place: Workplace
) -> None:
    environ = {**place.server.env, "CORTEX_PROJECT": "CTX"}
    board = tmux.open([*CORTEX, "board"], environ, place.directory)
    board.until("● live")
    board.press("s")
    board.until("◆ waiting")
    assert cards(board.until("scripted 1 question"))["progress"] == ["CTX-1"]
    board.press("a")
    assert "Write it?" in board.until("to done.txt")
    board.press("Enter")
    wait_for(lambda: cards(board.screen())["review"] == ["CTX-1"], "the card is in review")
    board.until("✓ succeeded")
    assert (place.worktrees / "CTX" / "CTX-1-1" / "done.txt").read_text() == "yes\n"

    board.press("h", "h", "s")  # it moved under the cursor, which went with it
    board.until("● running")
    board.press("Enter", "]")
    assert "at it" in board.until("at it")
    board.press("]", "]")
    board.until("I look around.")
    board.press("Escape", "x", "Enter")
    board.until("- cancelled")
    wait_for(lambda: place.at_work() == [], "nothing of it is left")
    board.press("d")
    assert "CTX" in board.until("Needs a person 0")
    board.press("Enter", "q")
    assert board.exit_code() == 0

    glance = tmux.open([*CORTEX, "dashboard"], environ, place.directory)
    assert "● live" in glance.until("● online   runner")
    glance.press("Enter")
    wait_for(lambda: cards(glance.screen())["review"] == ["CTX-1"], "its board is open")
    glance.press("q")
    assert glance.exit_code() == 0
