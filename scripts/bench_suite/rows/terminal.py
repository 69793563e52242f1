"""The terminal rows: frames, keys and events on a pseudo-terminal, `watch`, starting the CLI."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from scripts.bench_suite.cortex import PROJECT, Cortex
from scripts.bench_suite.load import Loop, Sender
from scripts.bench_suite.program import Unavailable
from scripts.bench_suite.pty_program import Screen
from scripts.bench_suite.rows.fanout import Plan, percentile

CORTEX = str(Path(sys.executable).with_name("cortex"))
EVENTS_PER_S = 50.0
HELP_HEADLINE = "This help"
STARTS = {"help": ["--help"], "version": ["--version"], "ticket_show": ["ticket", "show", "{}"]}


def row_terminal(target: Cortex, plan: Plan) -> dict[str, Any]:
    """ms of each, as a person at the terminal would see them."""
    env = target.environment() | {"CORTEX_TOKEN": target.token, "CORTEX_PROJECT": PROJECT}
    rounds = max(3, int(plan.seconds))
    return {
        **_starts(target, env, rounds),
        **_frames(target, env, rounds),
        **_keys_and_events(target, env, rounds * 4),
        **_watch(target, env, plan),
    }


def _starts(target: Cortex, env: dict[str, str], rounds: int) -> dict[str, float]:
    found = {}
    for name, words in STARTS.items():
        times = []
        for _ in range(rounds):
            start = time.monotonic()
            command = [CORTEX, *(word.format(target.ticket) for word in words)]
            done = subprocess.run(
                command, check=False, env={**os.environ, **env}, stdout=subprocess.DEVNULL
            )
            times.append(time.monotonic() - start)
            if done.returncode:
                raise Unavailable(f"cortex {' '.join(words)} failed")
        found[f"start_{name}_ms"] = percentile(times, 0.5) * 1000
    return found


def _board(env: dict[str, str]) -> Screen:
    return Screen([CORTEX, "board", "--project", PROJECT], env)


def _frames(target: Cortex, env: dict[str, str], rounds: int) -> dict[str, float]:
    """From the start of the process to the first cell of a frame, and to the live board."""
    first, live = [], []
    for _ in range(rounds):
        with closing(_board(env)) as screen:
            first.append(screen.until(str.strip) - screen.begun)
            shown = screen.until(lambda text: "live" in text and target.ticket in text)
            live.append(shown - screen.begun)
    return {
        "first_frame_ms": percentile(first, 0.5) * 1000,
        "live_frame_ms": percentile(live, 0.5) * 1000,
    }


def _keys_and_events(target: Cortex, env: dict[str, str], rounds: int) -> dict[str, float]:
    """On a quiet board, then keys while other tickets' comments come at EVENTS_PER_S."""
    with closing(_board(env)) as screen:
        screen.until(lambda text: "live" in text and target.ticket in text)
        screen.settle()
        before = screen.bytes
        events = [_event(target, screen, number) for number in range(rounds)]
        event_bytes = (screen.bytes - before) / rounds
        quiet = [ms for _ in range(rounds) for ms in _help(screen)]
        with _Traffic(target):
            busy = [ms for _ in range(rounds) for ms in _help(screen)]
    return {
        "event_to_paint_p50_ms": percentile(events, 0.5),
        "event_to_paint_p99_ms": percentile(events, 0.99),
        "event_bytes": event_bytes,
        "key_to_paint_p50_ms": percentile(quiet, 0.5),
        "key_to_paint_p99_ms": percentile(quiet, 0.99),
        "key_under_events_p50_ms": percentile(busy, 0.5),
        "key_under_events_p99_ms": percentile(busy, 0.99),
    }


def _event(target: Cortex, screen: Screen, number: int) -> float:
    """ms from the answer of a change, which is after its commit, to its last cell on the screen."""
    title = f"Change {number:06d}"
    target.api("PATCH", f"/api/tickets/{target.ticket}", title=title)
    committed = time.monotonic()
    shown = screen.until(lambda text: title in text)
    screen.settle(0.05)
    return max(shown - committed, 0.0) * 1000


def _help(screen: Screen) -> list[float]:
    """ms from `?` to the help, and from `?` to the board again."""
    opened = screen.press(b"?")
    open_ms = (screen.until(lambda text: HELP_HEADLINE in text) - opened) * 1000
    screen.read(0.02)
    closed = screen.press(b"?")
    close_ms = (screen.until(lambda text: HELP_HEADLINE not in text) - closed) * 1000
    screen.read(0.02)
    return [open_ms, close_ms]


class _Traffic:
    """Comments at EVENTS_PER_S from a thread, as long as the block lasts."""

    def __init__(self, target: Cortex) -> None:
        self._stop = threading.Event()
        self._target = target
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        loop = Loop()
        sender = Sender(loop, self._target.port, self._target.publish, 2)
        while not self._stop.is_set():
            sender.pace(EVENTS_PER_S, 0.2)
        loop.close()

    def __enter__(self) -> "_Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


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
