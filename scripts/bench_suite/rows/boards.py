"""What is measured of any board on a terminal, ours or a peer's: by its bytes and its processes."""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.bench_suite.program import Unavailable
from scripts.bench_suite.pty_program import PAUSE_S, Screen
from scripts.bench_suite.rows.fanout import Plan, percentile

TICKETS = 1_000
KEYS = 200  # so that the slowest hundredth is more than one of them
START_S = 60.0
IDLE_S = 10.0


@dataclass
class Board:
    """A program that shows a board of so many tickets.

    live: whether a screen's text is the board as it is now · cards: whether it has cards at all
    change: changes a visible ticket, its number being a new one; what the screen then shows
    keys: pairs of keys, the second undoes the first · pause_s: its longest pause within a frame
    """

    command: list[str]
    help: list[str]
    live: Callable[[str], bool]
    cards: Callable[[str], bool]
    env: dict[str, str] = field(default_factory=dict)
    directory: Path | None = None
    change: Callable[[int], str] | None = None
    keys: tuple[bytes, bytes] = (b"j", b"k")
    pause_s: float = PAUSE_S
    presses: int = KEYS

    def open(self) -> Screen:
        return Screen(self.command, self.env, self.directory)


def row_board(board: Board, plan: Plan) -> dict[str, Any]:
    """ms of each, as a person at the terminal would see them; and what it takes while it waits."""
    rounds = max(3, int(plan.seconds))
    return {
        "start_help_ms": start(board, board.help, rounds),
        **frames(board, rounds),
        **live(board, rounds * 4),
    }


def start(board: Board, command: list[str], rounds: int) -> float:
    """ms from the start of a command to its end."""
    times = []
    for _ in range(rounds):
        begun = time.monotonic()
        done = subprocess.run(
            command,
            check=False,
            env={**os.environ, **board.env},
            cwd=board.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        times.append(time.monotonic() - begun)
        if done.returncode:
            raise Unavailable(f"{' '.join(command)} failed")
    return percentile(times, 0.5) * 1000


def frames(board: Board, rounds: int) -> dict[str, float]:
    """From the start of the process to the first cell, the first cards, and the board as it is."""
    found: dict[str, list[float]] = {"first_frame_ms": [], "cards_ms": [], "live_frame_ms": []}
    for number in range(rounds + 1):
        with closing(board.open()) as screen:
            times = screen.firsts((str.strip, board.cards, board.live), START_S)
            times = [at - screen.begun for at in times]
        if number:  # the first one warms up: what was cached, and what was compiled
            for name, taken in zip(found, times, strict=True):
                found[name].append(taken)
    return {name: percentile(times, 0.5) * 1000 for name, times in found.items()}


def live(board: Board, rounds: int) -> dict[str, float]:
    with closing(board.open()) as screen:
        screen.until(board.live, START_S)
        screen.settle(1)
        memory, idle = screen.memory_mib(), _idle(screen)
        return {
            **keys(board, screen),
            **(events(board, screen, rounds) if board.change else {}),
            "memory_mib": memory,
            **idle,
        }


def keys(board: Board, screen: Screen) -> dict[str, float]:
    """A key that moves the selection, to the last byte of what it changes on the screen."""
    times, before = [], screen.bytes
    for number in range(board.presses):
        taken = screen.answer(board.keys[number % 2], pause_s=board.pause_s)
        times += [] if taken is None else [taken]
    if len(times) < board.presses / 2:
        raise Unavailable("keys change nothing on the screen")
    return {
        "key_to_paint_p50_ms": percentile(times, 0.5),
        "key_to_paint_p99_ms": percentile(times, 0.99),
        "key_bytes": (screen.bytes - before) / len(times),
    }


def events(board: Board, screen: Screen, rounds: int) -> dict[str, float]:
    """From a change made elsewhere, when it was stored, to its last cell on the screen."""
    assert board.change
    times, before = [], screen.bytes
    for number in range(rounds):
        wanted = board.change(number)
        changed = time.monotonic()
        shown = screen.until(lambda text, wanted=wanted: wanted in text)
        screen.settle(0.05)
        times.append(max(shown - changed, 0.0) * 1000)
    return {
        "event_to_paint_p50_ms": percentile(times, 0.5),
        "event_to_paint_p99_ms": percentile(times, 0.99),
        "event_bytes": (screen.bytes - before) / rounds,
    }


def _idle(screen: Screen) -> dict[str, float]:
    before = screen.used()
    give_up = time.monotonic() + IDLE_S
    while (left := give_up - time.monotonic()) > 0:
        screen.read(left)
    after = screen.used()
    return {
        "idle_cpu_ms": (after.cpu_s - before.cpu_s) * 1000,
        "idle_wakeups": sum(
            times - before.sleeps.get(thread, 0) for thread, times in after.sleeps.items()
        ),
        "idle_bytes": after.bytes - before.bytes,
    }
