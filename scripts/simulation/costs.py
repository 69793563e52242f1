"""What things cost, taken from the results of scripts/bench."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STREAMS_OF_A, STREAMS_OF_B = 1_000, 100
WINDOW_S = 0.01  # the server's fan-out (cortex_server/bus.py): the time between two rounds of a
SHARE = 1.5  # channel is at least WINDOW_S and SHARE (there 1.25 to 3) times what the last one took
WINDOW_MAX_S = 1.0
GRIDS, GRID = 6, 8
MIN_WAKE_US = 0.1
MIN_STATEMENTS_US = 100.0
MIN_TAILER_US = 1.0  # less than that is not measured


class Incomplete(Exception):
    """The results lack a row that the model needs; the message names it."""


@dataclass(frozen=True)
class Point:
    """What was measured: events/s to so many streams, and what each event cost, in µs."""

    rate: float
    streams: int
    event_us: float


@dataclass(frozen=True)
class Costs:
    """Processor time in µs of one core, unless the name says otherwise.

    mutation: a request that changes something, on PostgreSQL · local_mutation: on SQLite
    wake: one write to a stream, which may have to be woken for it · delivery: each event in it
    tailer: an event that a process reads from the log, whether or not anybody there wants it
    turn, statements: what a process holds the one writer's turn for: a commit with all that waits
    in that process, and for each change in it
    """

    mutation: float
    local_mutation: float
    local_commit: float
    wake: float
    delivery: float
    tailer: float
    turn: float
    statements: float
    connect: float
    resume: float
    snapshot_build: float
    notify_ms: float
    connection_kib: float
    worker_mib: float
    event_bytes: float


def from_results(results: Mapping[str, Any]) -> Costs:
    """Read the medians. Raises Incomplete."""
    own = results["median"].get("cortex", {})
    a, d, storm, single, across = (
        _row(own, name) for name in ("A", "D", "storm", "mutations", "workers")
    )
    local_mutation = single["comment"]["cpu_us_8"]
    points = [_point(step, STREAMS_OF_A) for step in a["steps"]]
    points += [_point(row, STREAMS_OF_B) for row in (_row(own, "B"), _row(own, "C"))]
    wake, delivery = fan_out(points, local_mutation)
    one = across["comment_one_worker"]
    turn = 1e6 / across["counter_commits_per_s"]
    return Costs(
        mutation=one["cpu_us_8"],
        local_mutation=local_mutation,
        # what a lone writer waits beyond its own processing: the fsync and the way there
        local_commit=max(single["comment"]["p50_ms_1"] * 1000 - single["comment"]["cpu_us_1"], 0),
        wake=wake,
        delivery=delivery,
        tailer=max(across["tailer_us_per_event"], MIN_TAILER_US),
        turn=turn,
        # what a lone writer waits beyond its own processing and the commit
        statements=max(one["p50_ms_1"] * 1000 - one["cpu_us_1"] - turn, MIN_STATEMENTS_US),
        connect=storm["fresh_cpu_ms_each"] * 1000,
        resume=storm["resumed_cpu_ms_each"] * 1000,
        snapshot_build=storm["snapshot_build_ms"] * 1000,
        notify_ms=max(across["across_p50_ms"] - one["p50_ms_1"], 0.1),
        connection_kib=d.get("kib_10000", d["kib_1000"]),
        worker_mib=d["base_mib"],
        event_bytes=a["steps"][0]["bytes_per_delivery"],
    )


def _point(figures: Mapping[str, float], streams: int) -> Point:
    return Point(figures["events_per_s"], streams, figures["cpu_us_per_event"])


def _row(own: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    row = own.get(name, {"absent": "it was not measured"})
    if "absent" in row:
        raise Incomplete(f"row {name} of cortex: {row['absent']}")
    found: Mapping[str, Any] = row
    return found


def fan_out(points: Sequence[Point], mutation: float) -> tuple[float, float]:
    """(wake, delivery) in µs: those whose ratios to what was measured are nearest to 1.

    An event costs `mutation + streams * (wake / joined + delivery)`, and how many events a round
    joins depends on both in turn: so look on a grid, then on a finer one around the best.
    """
    each = [max((point.event_us - mutation) / point.streams, MIN_WAKE_US) for point in points]

    def error(costs: tuple[float, float]) -> float:
        wake, delivery = costs
        modelled = (
            wake / joined_paced(point.rate, point.streams, wake, delivery) + delivery
            for point in points
        )
        return sum(math.log(m / e) ** 2 for m, e in zip(modelled, each, strict=True))

    best, spread = (10.0, 0.5), 1000.0
    for _ in range(GRIDS):
        factors = [spread ** (place / GRID) for place in range(-GRID, GRID + 1)]
        best = min(((best[0] * x, best[1] * y) for x in factors for y in factors), key=error)
        spread **= 0.4
    return best


def joined(rate: float, streams: float, wake: float, delivery: float) -> float:
    """How many events a round to so many streams holds, at so many events/s of their channel.

    The first event of a quiet channel goes at once; then a window passes, in which others gather:
    1 + rate * window, where the window grows with what the round itself takes.
    """
    grows = rate * SHARE * streams / 1e6
    left = 1 - grows * delivery
    by_work = (1 + grows * wake) / left if left > 0 else math.inf
    return min(max(1 + rate * WINDOW_S, by_work), 1 + rate * WINDOW_MAX_S)


def joined_paced(rate: float, streams: float, wake: float, delivery: float) -> float:
    """The same where events come at even intervals, as the benchmarks send them.

    One that comes when the window has passed is alone; else a round follows each window.
    """
    grows = rate * SHARE * streams / 1e6
    left = 1 - grows * delivery
    by_work = grows * wake / left if left > 0 else math.inf
    return min(max(1.0, rate * WINDOW_S, by_work), max(1.0, rate * WINDOW_MAX_S))


def window_s(took_s: float) -> float:
    """How long after the beginning of a round that took so long the next one may begin."""
    return min(max(WINDOW_S, SHARE * took_s), WINDOW_MAX_S)
