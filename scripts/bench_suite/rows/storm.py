"""The connect storm: thousands of boards at once, new ones and such that come back."""

import select
import time
from typing import Any

from scripts.bench_suite.cortex import Cortex
from scripts.bench_suite.load import Loop, Sender, no_collector, open_socket
from scripts.bench_suite.program import Unavailable
from scripts.bench_suite.rows.fanout import Plan, percentile

BOARDS = 2_000
TICKETS = 200
BUILDS = 9  # one change each
MISSED = 50  # events that those who come back have not seen
OPENING_FRAMES = 3  # retry, hello, state
RESUMED_FRAMES = 2  # retry, hello
DEADLINE_S = 60.0
LINE_END = 10


class Arrival:
    """One stream, until it has its opening: so many frames."""

    def __init__(self, storm: "Storm") -> None:
        self.storm = storm
        self.frames = 0
        self.ends_in_newline = False
        self.asked = False
        self.sock = open_socket(storm.port)
        self.fd = self.sock.fileno()
        storm.loop.add(self, select.EPOLLOUT)

    def ready(self, mask: int) -> None:
        if not self.asked:
            self.sock.send(self.storm.request)
            self.asked = True
            self.storm.loop.epoll.modify(self.fd, select.EPOLLIN)
            return
        block = self.storm.loop.block
        try:
            size = self.sock.recv_into(block)
        except BlockingIOError:
            return
        if not size:
            raise Unavailable("the server ended a stream during the storm")
        self.storm.bytes += size
        if self.frames >= self.storm.frames:
            return
        self.frames += block.count(b"\n\n", 0, size)
        if self.ends_in_newline and block[0] == LINE_END:
            self.frames += 1  # the end of a frame lay across two blocks
        self.ends_in_newline = block[size - 1] == LINE_END
        if self.frames >= self.storm.frames:
            self.storm.times_s.append(time.monotonic() - self.storm.begun)


class Storm:
    """Everybody at once. times_s: of each opening, since the first connect."""

    def __init__(self, port: int, request: bytes, frames: int) -> None:
        self.port, self.request, self.frames = port, request, frames
        self.loop = Loop()
        self.bytes = 0
        self.times_s: list[float] = []
        self.begun = 0.0

    def run(self, count: int) -> None:
        with no_collector():
            self.begun = time.monotonic()
            for number in range(count):
                Arrival(self)
                if number % 50 == 0:
                    self.loop.turn(0)
            self.loop.until(lambda: len(self.times_s) == count, DEADLINE_S)


def row_storm(target: Cortex, plan: Plan) -> dict[str, Any]:
    """Seconds until every board has hello and state, or hello and the events that it missed."""
    since = target.api("GET", f"/api/projects/{target.project}/board")
    cursor = f"{since['epoch']}.{since['head']}"
    fresh = _storm(target, target.stream(), OPENING_FRAMES)
    loop = Loop()
    Sender(loop, target.port, target.publish).flood(MISSED - BUILDS)
    loop.close()
    after_change = _storm(target, target.stream(), OPENING_FRAMES)
    build_ms = _build_ms(target)
    request = target.stream(**{"Last-Event-ID": cursor})
    resumed = _storm(target, request, RESUMED_FRAMES + MISSED)
    return {
        "snapshot_build_ms": build_ms,
        **{f"fresh_{name}": value for name, value in fresh.items()},
        **{f"fresh_after_change_{name}": value for name, value in after_change.items()},
        **{f"resumed_{name}": value for name, value in resumed.items()},
    }


def _build_ms(target: Cortex) -> float:
    """What a GET of the board takes longer after a change than when it is there already."""
    board = target.request("GET", f"/api/projects/{target.project}/board")
    loop = Loop()
    changing = Sender(loop, target.port, target.publish, 1)
    reading = Sender(loop, target.port, lambda number: board, 1)
    for _ in range(BUILDS):
        changing.flood(1)
        reading.flood(2)
    loop.close()
    extra = [
        first - again
        for first, again in zip(reading.times_s[::2], reading.times_s[1::2], strict=True)
    ]
    return percentile(extra, 0.5) * 1000


def _storm(target: Cortex, request: bytes, frames: int) -> dict[str, float]:
    storm = Storm(target.port, request, frames)
    before = target.cpu_s()
    storm.run(BOARDS)
    arrived = len(storm.times_s)
    cpu_s = target.cpu_s() - before
    storm.loop.close()
    if arrived < BOARDS:
        raise Unavailable(f"only {arrived} of {BOARDS} boards within {DEADLINE_S:.0f} s")
    return {
        "all_s": max(storm.times_s),
        "p50_s": percentile(storm.times_s, 0.5),
        "mib": storm.bytes / 2**20,
        "cpu_ms_each": cpu_s * 1000 / BOARDS,
    }
