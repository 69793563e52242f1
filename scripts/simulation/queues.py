"""A simulation of the queues, event by event: where a delivery waits, and for how long.

A worker is one server with one queue, in order of arrival (its hub). A change is worked on by its
worker, then waits for the writer's turn (one for all, in the database), then every worker is told,
reads all that is new at once, and writes to those of its streams that follow the board; what comes
for a channel within the window after a round goes out with the next one. All workers are alike, so
a few of them are simulated in full, and the rest only as a source of changes.
"""

import heapq
import itertools
import random
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.simulation.capacity import Load
from scripts.simulation.costs import Costs, window_s

IN_FULL = 4  # workers
MOST_SAMPLES = 400_000


@dataclass(frozen=True)
class Scenario:
    """cut: how many streams of each worker come back, over jitter_s, in the middle.

    local: one process with SQLite: no log is followed, and the commit is its own disk's.
    """

    load: Load
    workers: int
    seconds: float = 5.0
    cut: int = 0
    jitter_s: float = 1.0
    fresh: bool = False  # whether those who come back need a state
    local: bool = False


@dataclass
class Outcome:
    """delivery_s: from the request to the write, a sample · busy: share of a worker's core

    storm_delivery_s: the same of changes made while streams came back · back_s: until all had.
    """

    delivery_s: list[float] = field(default_factory=list)
    storm_delivery_s: list[float] = field(default_factory=list)
    busy: float = 0.0
    database_busy: float = 0.0
    back_s: float = 0.0


# What a worker does: called when its turn has come; returns how long it takes, and what follows.
Job = Callable[[], tuple[float, Callable[[], None]]]


class Worker:
    """One server with one queue. unread: (asked at, board) of the events that it has yet to read.

    joining: by board, when the events that wait for the next write were asked for.
    """

    def __init__(self) -> None:
        self.queue: deque[Job] = deque()
        self.working = False
        self.busy_s = 0.0
        self.unread: list[tuple[float, int]] = []
        self.next_round_at: dict[int, float] = {}
        self.joining: dict[int, list[float]] = defaultdict(list)
        self.built: set[int] = set()


class Simulation:
    """Run it once: `Simulation(scenario, costs, seed).run()`."""

    def __init__(self, scenario: Scenario, costs: Costs, seed: int) -> None:
        self.scenario, self.costs = scenario, costs
        self.random = random.Random(seed)  # noqa: S311
        self.workers = [Worker() for _ in range(min(IN_FULL, scenario.workers))]
        self.outcome = Outcome()
        self.now = self.database_busy_s = 0.0
        self.committing = False
        self.turns: deque[int] = deque()  # workers that wait to write
        self.uncommitted: dict[int, list[tuple[float, int]]] = defaultdict(list)
        self.storm_at = scenario.seconds / 2
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._sojourns = [costs.mutation / 1e6]

    def run(self) -> Outcome:
        self._next_change()
        self._schedule_storm()
        while self._agenda:
            self.now, _, happen = heapq.heappop(self._agenda)
            happen()
        end = max(self.now, self.scenario.seconds)
        self.outcome.busy = sum(w.busy_s for w in self.workers) / len(self.workers) / end
        self.outcome.database_busy = self.database_busy_s / end
        return self.outcome

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), happen))

    def _ask(self, worker: Worker, job: Job) -> None:
        """Queue a job behind the others."""
        worker.queue.append(job)
        if not worker.working:
            self._work(worker)

    def _work(self, worker: Worker) -> None:
        worker.working = bool(worker.queue)
        if not worker.working:
            return
        seconds, then = worker.queue.popleft()()
        worker.busy_s += seconds

        def done() -> None:
            then()
            self._work(worker)

        self._at(self.now + seconds, done)

    # a change, from its request to its commit

    def _next_change(self) -> None:
        when = self.now + self.random.expovariate(self.scenario.load.events)
        if when < self.scenario.seconds:
            self._at(when, self._change)

    def _change(self) -> None:
        self._next_change()
        asked, board = self.now, self.random.randrange(self.scenario.load.boards)
        place = self.random.randrange(self.scenario.workers)
        cost = self.costs.local_mutation if self.scenario.local else self.costs.mutation

        def changed() -> None:
            self._sojourns.append(self.now - asked)
            self._commit(place, asked, board)

        if place < len(self.workers):
            self._ask(self.workers[place], lambda: (cost / 1e6, changed))
        else:  # on a worker like those that are simulated in full
            wait = self.random.choice(self._sojourns[-500:])
            self._at(asked + wait, lambda: self._commit(place, asked, board))

    def _commit(self, place: int, asked: float, board: int) -> None:
        if not self.uncommitted[place]:
            self.turns.append(place)
        self.uncommitted[place].append((asked, board))
        if not self.committing:
            self._next_commit()

    def _next_commit(self) -> None:
        """One worker after the other, each with all that waits there."""
        self.committing = bool(self.turns)
        if not self.committing:
            return
        group = self.uncommitted.pop(self.turns.popleft())
        costs, local = self.costs, self.scenario.local
        us = costs.local_commit if local else costs.turn + len(group) * costs.statements
        self.database_busy_s += us / 1e6

        def committed() -> None:
            told_s = 0.0 if local else costs.notify_ms / 1000
            self._at(self.now + told_s, lambda: self._tell(group))
            self._next_commit()

        self._at(self.now + us / 1e6, committed)

    # the log is read, and what it holds is written to the streams

    def _tell(self, group: list[tuple[float, int]]) -> None:
        for worker in self.workers:
            told_already = bool(worker.unread)
            worker.unread = [*worker.unread, *group]
            if not told_already:
                self._ask(worker, lambda w=worker: self._read(w))

    def _read(self, worker: Worker) -> tuple[float, Callable[[], None]]:
        """Read all that is new, however much it has become meanwhile."""
        page, worker.unread = worker.unread, []
        each = 0.0 if self.scenario.local else self.costs.tailer / 1e6
        return len(page) * each, lambda: self._fan_out(worker, page)

    def _fan_out(self, worker: Worker, page: list[tuple[float, int]]) -> None:
        for asked, board in page:
            waiting = worker.joining[board]
            waiting.append(asked)
            if len(waiting) > 1:
                continue  # goes out with the one that waits already
            self._at(
                max(worker.next_round_at.get(board, 0.0), self.now),
                lambda b=board: self._ask(worker, lambda: self._write(worker, b)),
            )

    def _write(self, worker: Worker, board: int) -> tuple[float, Callable[[], None]]:
        """To all streams of the board, one after the other, whatever has come until now."""
        events = worker.joining.pop(board)
        readers = self._readers()
        each = (self.costs.wake + len(events) * self.costs.delivery) / 1e6
        worker.next_round_at[board] = self.now + window_s(readers * each)
        found = self.outcome.storm_delivery_s if self._in_storm() else self.outcome.delivery_s
        if len(found) < MOST_SAMPLES:
            for place in range(0, readers, max(readers // 20, 1)):  # some of them, evenly
                found += [self.now + (place + 1) * each - asked for asked in events]
        return readers * each, lambda: None

    def _readers(self) -> int:
        """How many of a board's streams are on one worker: each is on any with the same chance."""
        share = self.scenario.load.subscribers / self.scenario.workers
        whole = int(share)
        return whole + (self.random.random() < share - whole)

    # streams that come back

    def _in_storm(self) -> bool:
        lasts_s = max(self.scenario.jitter_s, self.outcome.back_s) if self.scenario.cut else -1
        return self.storm_at <= self.now <= self.storm_at + lasts_s

    def _schedule_storm(self) -> None:
        for worker in self.workers if self.scenario.cut else ():
            for _ in range(self.scenario.cut):
                when = self.storm_at + self.random.random() * self.scenario.jitter_s
                self._at(when, lambda w=worker: self._ask(w, lambda: self._come_back(w)))

    def _come_back(self, worker: Worker) -> tuple[float, Callable[[], None]]:
        us = self.costs.connect if self.scenario.fresh else self.costs.resume
        board = self.random.randrange(self.scenario.load.boards)
        if self.scenario.fresh and board not in worker.built:
            worker.built.add(board)
            us += self.costs.snapshot_build

        def back() -> None:
            self.outcome.back_s = max(self.outcome.back_s, self.now - self.storm_at)

        return us / 1e6, back
