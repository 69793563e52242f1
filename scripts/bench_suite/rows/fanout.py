"""Rows A, B, C and bulk: how much reaches the subscribers, and how soon."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.bench_suite import machine
from scripts.bench_suite.load import Crowd, Loop, Sender, no_collector
from scripts.bench_suite.program import Unavailable
from scripts.bench_suite.target import Target

LIMITS_MS = (250, 50)
KEPT_UP = 0.97  # of the publishes that were due
SATURATED = 0.95  # of its core: then the figure is the client's
DRAIN_S = 5.0
SAMPLED = 10  # streams whose times are read where so much comes that reading all would count
FIRST_RATE = 8.0  # events/s


@dataclass(frozen=True)
class Plan:
    """How long the steps are, and how close the search of row A comes."""

    step_s: float = 3.0
    precision: float = 1.06
    publishes: int = 5_000
    idle: Sequence[int] = (1_000, 10_000)
    seconds: float = 5.0  # of rows C and mutations


QUICK = Plan(step_s=1.0, precision=1.15, publishes=1_000, idle=(1_000,), seconds=1.5)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed; infinite without any."""
    if not values:
        return float("inf")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Stage:
    """A crowd that listens, a sender beside it, and what each measurement cost both sides."""

    def __init__(self, target: Target, subscribers: int, sampled: int = 100) -> None:
        self.target = target
        self.loop = Loop()
        self.crowd = Crowd(self.loop, target.port, target.subscribe)
        self.sender = Sender(self.loop, target.port, target.publish)
        begun = self.crowd.connect(subscribers, sampled, greets=target.greets)
        if not begun or not self.all_receive(subscribers):
            raise Unavailable(f"only {self.crowd.greeted} of {subscribers} streams began")
        self.subscribers = subscribers
        self.crowd.settle()

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()

    def all_receive(self, subscribers: int, tries: int = 20) -> bool:
        """Publish until every stream has begun: some servers say nothing before."""
        for _ in range(tries):
            if self.crowd.greeted == subscribers:
                return True
            self.sender.flood(1)
            self.crowd.settle(0.2)
        return False

    def measure(self, send: Any, events_each: int = 1) -> dict[str, Any]:
        """Call `send`, wait until everything has arrived, and say what happened.

        send: publishes; returns how many requests were due. The time ends with the last arrival.
        """
        crowd, sender = self.crowd, self.sender
        crowd.settle(0.1)
        sender.times_s.clear()
        before, all_before, done_before = self.target.cpu_s(), machine.pinned_s(), sender.done
        with no_collector():
            start, own = time.monotonic(), time.process_time()
            due = send()
            sending_s = time.monotonic() - start
            last = self._drain(done_before, events_each)
            own = time.process_time() - own
        elapsed, wall = last - start, time.monotonic() - start
        used, used_by_all = self.target.cpu_s() - before, machine.pinned_s() - all_before
        published = sender.done - done_before
        expected = published * events_each * self.subscribers
        waits = crowd.latencies_us
        return {
            "due_per_s": due / sending_s,
            "events_per_s": published * events_each / sending_s,
            "deliveries_per_s": crowd.received / elapsed,
            "p50_ms": percentile(waits, 0.50) / 1000,
            "p99_ms": percentile(waits, 0.99) / 1000,
            "lost": 1 - crowd.received / expected if expected else 1.0,
            "kept_up": published / due if due else 0.0,
            "bytes_per_delivery": crowd.bytes / max(crowd.received, 1),
            "answer_p50_ms": percentile(sender.times_s, 0.5) * 1000,
            "server_cpu": used / wall,
            "others_cpu": max(used_by_all - used - own, 0.0) / wall,
            "client_cpu": own / wall,
            "seconds": wall,
            "cpu_us_per_event": used * 1e6 / max(published, 1),
        }

    def _drain(self, done_before: int, events_each: int) -> float:
        """Read until all has arrived or nothing more comes; when the last event came."""
        seen, last = -1, time.monotonic()
        give_up = last + DRAIN_S
        while time.monotonic() < min(give_up, last + 1.5):
            wanted = (self.sender.done - done_before) * events_each * self.subscribers
            if self.crowd.received != seen:
                seen, last = self.crowd.received, time.monotonic()
            if self.sender.done == self.sender.sent and seen >= wanted:
                break
            self.loop.turn()
        return last


def row_a(target: Target, plan: Plan, subscribers: int = 1_000) -> dict[str, Any]:
    """The most deliveries/s for each limit of p99, by doubling and then halving the rate."""
    steps: dict[float, dict[str, Any]] = {}
    with Stage(target, subscribers) as stage:
        stage.measure(lambda: stage.sender.pace(10, 0.5))

        def tried(rate: float) -> dict[str, Any]:
            return {"rate": rate, **stage.measure(lambda: stage.sender.pace(rate, plan.step_s))}

        def passes(rate: float, limit_ms: float) -> bool:
            if rate not in steps:
                steps[rate] = tried(rate)
            if not _fits(steps[rate], limit_ms) and rate not in again:
                again.add(rate)
                steps[rate] = min(steps[rate], tried(rate), key=_badness)
            return _fits(steps[rate], limit_ms)

        found = {}
        again: set[float] = set()  # rates that got their second try
        for limit in LIMITS_MS:
            rate = _search(lambda r, limit=limit: passes(r, limit), sorted(steps), plan.precision)
            best = steps.get(rate) if rate else None
            found[f"p99_below_{limit}_ms"] = best["deliveries_per_s"] if best else 0.0
            found[f"saturated_{limit}"] = bool(best and best["client_cpu"] > SATURATED)
    fastest = max(steps.values(), key=lambda step: step["deliveries_per_s"])
    return {
        **found,
        "cpu_us_per_event": fastest["cpu_us_per_event"],
        "steps": sorted(steps.values(), key=lambda step: step["rate"]),
    }


def _fits(step: dict[str, Any], limit_ms: float) -> bool:
    return not _badness(step)[0] and step["p99_ms"] < limit_ms


def _badness(step: dict[str, Any]) -> tuple[bool, float]:
    """Whether publishes were late or deliveries lost, and p99: the lesser is the better try."""
    return step["kept_up"] < KEPT_UP or step["lost"] > 0, step["p99_ms"]


def _search(passes: Callable[[float], bool], tried: list[float], precision: float) -> float | None:
    """The highest rate that passes, or None when none does. tried: what is known already."""
    low = high = None
    if tried:
        low = max((rate for rate in tried if passes(rate)), default=None)
        high = min((rate for rate in tried if low and rate > low), default=None)
        if low is None:
            return None
    else:
        low = FIRST_RATE if passes(FIRST_RATE) else None
    while high is None:  # a hiccup at a low rate must not end it
        rate = low * 2 if low else FIRST_RATE * 2
        if passes(rate):
            low = rate
        elif low is None:
            return None
        else:
            high = rate
    while high / low > precision:
        middle = round((high * low) ** 0.5, 1)
        if passes(middle):
            low = middle
        else:
            high = middle
    return low


def row_b(target: Target, plan: Plan, subscribers: int = 100) -> dict[str, Any]:
    """As many publishes as the connections carry, one after the other."""
    with Stage(target, subscribers, SAMPLED) as stage:
        stage.measure(lambda: stage.sender.flood(200))
        return stage.measure(lambda: stage.sender.flood(plan.publishes))


def row_c(target: Target, plan: Plan, subscribers: int = 100) -> dict[str, Any]:
    """A quiet board: 20 events/s."""
    with Stage(target, subscribers) as stage:
        stage.measure(lambda: stage.sender.pace(20, 0.5))
        return stage.measure(lambda: stage.sender.pace(20, plan.seconds))


def row_bulk(target: Target, plan: Plan, subscribers: int = 100) -> dict[str, Any]:
    """The events of row B in one request."""
    if target.bulk is None:
        raise Unavailable("takes no bulk")
    make = target.bulk
    with Stage(target, subscribers, 1) as stage:
        stage.sender.make = lambda number: make(plan.publishes)
        return stage.measure(lambda: stage.sender.flood(1), plan.publishes)
