"""The terminal row: our board beside others, `watch`, and how long a command takes to start."""

import json
import os
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripts.bench_suite.cortex import PROJECT, Cortex
from scripts.bench_suite.load import Loop, Sender
from scripts.bench_suite.program import Unavailable
from scripts.bench_suite.pty_program import Screen
from scripts.bench_suite.rows import agents, boards
from scripts.bench_suite.rows.fanout import Plan, percentile

CORTEX = str(Path(sys.executable).with_name("cortex"))
EVENTS_PER_S = 50.0
HELP_PRESSES = 100
HELP_HEADLINE = b" Keys "
LOG_MIB = 10
LINE_BYTES = 1_000
LINES_A_REQUEST = 100
TABS = 8  # more than a ticket has here
TAB_S = 2.0  # until what is in one has come


def row_terminal(target: Cortex, plan: Plan) -> dict[str, Any]:
    """ms of each, as a person at the terminal would see them."""
    board = _board(target)
    rounds = max(3, int(plan.seconds))
    version, show = [CORTEX, "--version"], [CORTEX, "ticket", "show", target.ticket]
    return {
        "start_version_ms": boards.start(board, version, rounds),
        "start_ticket_show_ms": boards.start(board, show, rounds),
        **boards.row_board(board, plan),
        **_help_and_esc(target, board),
        **_while_streaming(target, board),
        **_with_a_log(target, board),
        **_watch(target, board.env, plan),
    }


def _board(target: Cortex) -> boards.Board:
    def change(number: int) -> str:
        title = f"Change {number:06d}"
        target.api("PATCH", f"/api/tickets/{target.ticket}", title=title)
        return title

    return boards.Board(
        [CORTEX, "board", "--project", PROJECT],
        [CORTEX, "--help"],
        live=lambda text: "● live" in text and target.ticket in text,
        cards=lambda text: target.ticket in text,
        env=target.environment() | {"CORTEX_TOKEN": target.token, "CORTEX_PROJECT": PROJECT},
        change=change,
    )


def _opened(board: boards.Board) -> Screen:
    screen = board.open()
    screen.until(board.live)
    screen.settle()
    return screen


def _help_and_esc(target: Cortex, board: boards.Board) -> dict[str, float]:
    """The help is most of the screen, and its effect cannot be mistaken for an event's."""
    with closing(_opened(board)) as screen:
        quiet = _help(screen, HELP_PRESSES)
        with _Traffic(target):
            busy = _help(screen, HELP_PRESSES)
        escaped = [ms for _ in range(HELP_PRESSES // 4) for ms in _opened_and_left(screen)[1:]]
    return {
        "help_to_paint_p50_ms": percentile(quiet, 0.5),
        "help_to_paint_p99_ms": percentile(quiet, 0.99),
        "key_under_events_p50_ms": percentile(busy, 0.5),
        "key_under_events_p99_ms": percentile(busy, 0.99),
        "esc_p50_ms": percentile(escaped, 0.5),
        "esc_p99_ms": percentile(escaped, 0.99),
    }


def _help(screen: Screen, presses: int) -> list[float]:
    return [_opened_and_left(screen)[0] for _ in range(presses)]


def _opened_and_left(screen: Screen) -> tuple[float, float]:
    """ms from `?` to the help, and from Esc to whatever is drawn next."""
    opened = screen.answer(b"?", HELP_HEADLINE)
    screen.read(0.02)
    left = screen.answer(b"\x1b")
    screen.settle(0.01)
    if opened is None or left is None:
        raise Unavailable("no help came")
    return opened, left


class _Busy(ABC):
    """Calls `turn` in a thread again and again, as long as the block lasts."""

    def __init__(self) -> None:
        self._loop = Loop()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @abstractmethod
    def turn(self) -> None:
        """What it does again and again."""

    def _run(self) -> None:
        while not self._stop.is_set():
            self.turn()
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()


class _Traffic(_Busy):
    """Comments on a ticket at EVENTS_PER_S."""

    def __init__(self, target: Cortex) -> None:
        super().__init__()
        self._sender = Sender(self._loop, target.port, target.publish, 2)

    def turn(self) -> None:
        self._sender.pace(EVENTS_PER_S, 0.2)


class _Speech(_Busy):
    """One agent that says agents.DELTAS_PER_S words a second in a session of the ticket."""

    def __init__(self, target: Cortex) -> None:
        super().__init__()
        self._begun = 0.0
        self.agent = agents.start(target, self._loop)

    def turn(self) -> None:
        self._begun = self._begun or time.monotonic()
        self.agent.due = int((time.monotonic() - self._begun) * agents.DELTAS_PER_S) + 1
        if self.agent.sender.idle and self.agent.due > self.agent.told:
            self.agent.sender.send()
        until = time.monotonic() + agents.EVERY_S
        while time.monotonic() < until:
            self._loop.turn(0.01)


def _while_streaming(target: Cortex, board: boards.Board) -> dict[str, float]:
    """Keys in an open ticket while its conversation grows word by word."""
    speech = _Speech(target)
    with closing(_opened(board)) as screen, speech:
        _open_ticket(screen, target)
        _find_tab(screen, agents.WORD.strip())
        times = _help(screen, HELP_PRESSES)
    return {
        "key_while_streaming_p50_ms": percentile(times, 0.5),
        "key_while_streaming_p99_ms": percentile(times, 0.99),
    }


def _open_ticket(screen: Screen, target: Cortex) -> None:
    """By the palette, wherever it is by now."""
    screen.press(b":" + target.ticket.encode())
    screen.until(lambda text: f"{target.ticket}  " in text)
    screen.press(b"\r")
    screen.until(lambda text: "created" in text)
    screen.settle(0.2, 1)


def _find_tab(screen: Screen, text: str) -> None:
    """Go through the tabs of an open ticket until one shows the text."""
    for _ in range(TABS):
        screen.press(b"]")
        give_up = time.monotonic() + TAB_S
        while time.monotonic() < give_up:
            screen.read(0.1)
            if text in screen.text():
                return
    raise Unavailable(f"no tab shows {text!r}:\n{screen.text()}")


def _with_a_log(target: Cortex, board: boards.Board) -> dict[str, float]:
    """Memory after so much of an attempt's log came while it was in view."""
    say = _attempt(target)
    say(0)
    with closing(_opened(board)) as screen:
        _open_ticket(screen, target)
        _find_tab(screen, "line 0000")
        for number in range(1, LOG_MIB * 2**20 // (LINE_BYTES * LINES_A_REQUEST) + 1):
            say(number)
            last = f"line {(number + 1) * LINES_A_REQUEST - 1:06d}"
            screen.until(lambda text, last=last: last in text, 30)
        screen.settle(1)
        return {"memory_log_mib": screen.memory_mib()}


def _attempt(target: Cortex) -> Callable[[int], None]:
    """An attempt on the ticket that runs; what adds so many lines to its log."""
    agent = {"name": "bench", "adapter": "command", "capabilities": []}
    runner = target.api(
        "POST", "/api/runners", name="bench", host="here", version="1", parallel=1,
        projects=[PROJECT], agents=[agent],
    )["id"]  # fmt: skip
    target.api("POST", f"/api/tickets/{target.ticket}/attempts", agent="bench")
    attempt = target.api("POST", f"/api/runners/{runner}/claim")["claim"]["attempt"]
    path, generation = f"/api/attempts/{attempt['id']}", attempt["generation"]
    target.api("PATCH", path, generation=generation, status="running", stage="executing")

    def say(request: int) -> None:
        first = request * LINES_A_REQUEST
        entries = [
            {"kind": "text", "text": f"line {number:06d} " + "x" * (LINE_BYTES - 12)}
            for number in range(first, first + LINES_A_REQUEST)
        ]
        target.api("POST", f"{path}/log", generation=generation, entries=entries)

    return say


def _watch(target: Cortex, env: dict[str, str], plan: Plan) -> dict[str, float]:
    """Lines/s of `cortex watch --json` into a pipe, while it reads the log from its beginning."""
    loop = Loop()
    Sender(loop, target.port, target.publish).flood(plan.publishes // 2)
    loop.close()
    wanted = plan.publishes // 2
    command = [CORTEX, "watch", "--json", "--since", "0", "--count", str(wanted)]
    with subprocess.Popen(
        [*command, "--project", PROJECT],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout
        json.loads(process.stdout.readline())
        start = time.monotonic()
        lines = sum(1 for _ in process.stdout)
        elapsed = time.monotonic() - start
    return {"watch_lines_per_s": lines / elapsed}
