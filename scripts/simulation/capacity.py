"""The arithmetic: what a load takes of each resource, and how many of each it needs."""

import math
from dataclasses import dataclass, replace

from scripts.simulation.costs import Costs, joined

TARGET = 0.7  # of a core: beyond it queues grow fast
HEARTBEAT_S = 15.0
STREAMS_OF_A_WORKER = 10_000  # as measured
MEMORY_SHARE = 0.8
DATABASE = "database (the writer's turn)"
ROUND_S = 0.1
MAX_WORKERS = 100_000


@dataclass(frozen=True)
class Load:
    """What is asked. rate: events/s of each board."""

    boards: int
    subscribers: int
    rate: float

    @property
    def streams(self) -> int:
        return self.boards * self.subscribers

    @property
    def events(self) -> float:
        """Of all boards together, each second."""
        return self.boards * self.rate

    @property
    def deliveries(self) -> float:
        return self.events * self.subscribers

    def times(self, factor: float) -> "Load":
        """The same boards and readers with so many times the events."""
        return replace(self, rate=self.rate * factor)


@dataclass(frozen=True)
class Machine:
    cores: int = 32
    memory_gib: float = 128.0
    network_gbit: float = 10.0


def machines_for(workers: int, load: Load, costs: Costs, machine: Machine) -> int:
    """How many machines hold so many workers, one a core, and their connections' memory."""
    gib = memory_gib(workers, load, costs)
    return max(
        math.ceil(workers / machine.cores), math.ceil(gib / (machine.memory_gib * MEMORY_SHARE))
    )


def memory_gib(workers: int, load: Load, costs: Costs) -> float:
    """Resident memory of all workers and their streams."""
    return (workers * costs.worker_mib * 1024 + load.streams * costs.connection_kib) / 2**20


def worker_cpu(workers: int, load: Load, costs: Costs) -> dict[str, float]:
    """What of a worker's core goes where. Only `following the log` does not shrink with workers."""
    local = load.subscribers / workers
    per_write = costs.delivery
    per_write += costs.wake / joined(load.rate, local, costs.wake, costs.delivery)
    parts = {
        "changes": load.events / workers * costs.mutation,
        "following the log": load.events * costs.tailer,
        "deliveries": load.deliveries / workers * per_write,
        "heartbeats": load.streams / workers / HEARTBEAT_S * costs.wake,
    }
    return {name: us / 1e6 for name, us in parts.items()}


def database(workers: int, load: Load, costs: Costs) -> float:
    """The share of the time in which somebody has the writer's turn.

    What waits in one process shares a commit; so there need not be more than one commit for each
    process in ROUND_S, the longest that a change may wait for its turn.
    """
    commits = min(load.events, workers / ROUND_S)
    return (load.events * costs.statements + commits * costs.turn) / 1e6


def utilisation(
    workers: int, machines: int, load: Load, costs: Costs, machine: Machine
) -> dict[str, float]:
    """Each resource's share that is in use; above 1 the load cannot be carried."""
    bits = load.deliveries * costs.event_bytes * 8
    return {
        "worker's core": sum(worker_cpu(workers, load, costs).values()),
        DATABASE: database(workers, load, costs),
        "memory": memory_gib(workers, load, costs) / (machines * machine.memory_gib),
        "network": bits / (machines * machine.network_gbit * 1e9),
        "streams of a worker": load.streams / (workers * STREAMS_OF_A_WORKER),
    }


def workers_for(load: Load, costs: Costs) -> int | None:
    """The fewest workers whose cores stay below TARGET, or None when no number is enough."""
    if load.events * costs.tailer / 1e6 >= TARGET:
        return None
    fits = [
        workers
        for workers in (math.ceil(load.streams / STREAMS_OF_A_WORKER), 1)
        if sum(worker_cpu(max(workers, 1), load, costs).values()) <= TARGET
        and workers * STREAMS_OF_A_WORKER >= load.streams
    ]
    if fits:
        return max(min(fits), 1)
    # everything but following the log shrinks with the workers
    following = load.events * costs.tailer / 1e6
    shared = sum(worker_cpu(1, load, costs).values()) - following
    needed = math.ceil(shared / (TARGET - following))
    found = max(needed, math.ceil(load.streams / STREAMS_OF_A_WORKER))
    return found if found <= MAX_WORKERS else None


def first_limit(
    workers: int, machines: int, load: Load, costs: Costs, machine: Machine
) -> tuple[str, float]:
    """Which resource is used up first as events grow, and at how many times this load.

    Memory and the number of streams do not grow with events, and are left out.
    """
    low, high = 0.0, 1e6
    growing = ("worker's core", DATABASE, "network")

    def worst(factor: float) -> tuple[float, str]:
        used = utilisation(workers, machines, load.times(factor), costs, machine)
        return max((used[name], name) for name in growing)

    for _ in range(80):
        middle = (low + high) / 2
        if worst(middle)[0] < 1:
            low = middle
        else:
            high = middle
    return worst(high)[1], high
