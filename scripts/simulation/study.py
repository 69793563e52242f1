"""One question answered: this load, on such machines, with these costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.simulation import capacity
from scripts.simulation.capacity import Load, Machine
from scripts.simulation.costs import Costs
from scripts.simulation.queues import Outcome, Scenario, Simulation

RESTARTS = ("worker", "machine", "all", "restore", "none")


@dataclass(frozen=True)
class Study:
    """enough: whether `workers` carry the load; where no number does, it is what streams need."""

    load: Load
    machine: Machine
    workers: int
    machines: int
    enough: bool
    used: dict[str, float]
    core: dict[str, float]
    limit: tuple[str, float]
    memory_gib: float
    restart: str
    cut: int
    outcome: Outcome


def study(
    load: Load,
    machine: Machine,
    costs: Costs,
    workers: int | None,
    restart: str,
    jitter_s: float,
    seconds: float,
    seed: int,
) -> Study:
    """Size it, then simulate it."""
    needed = capacity.workers_for(load, costs)
    chosen = workers or needed or math.ceil(load.streams / capacity.STREAMS_OF_A_WORKER)
    machines = capacity.machines_for(chosen, load, costs, machine)
    used = capacity.utilisation(chosen, machines, load, costs, machine)
    cut = cut_off(restart, load, chosen, machines)
    fresh = restart == "restore"
    scenario = Scenario(load, chosen, seconds, cut, jitter_s, fresh)
    return Study(
        load=load,
        machine=machine,
        workers=chosen,
        machines=machines,
        enough=needed is not None and chosen >= needed and max(used.values()) <= 1,
        used=used,
        core=capacity.worker_cpu(chosen, load, costs),
        limit=capacity.first_limit(chosen, machines, load, costs, machine),
        memory_gib=capacity.memory_gib(chosen, load, costs),
        restart=restart,
        cut=cut,
        outcome=Simulation(scenario, costs, seed).run(),
    )


def cut_off(restart: str, load: Load, workers: int, machines: int) -> int:
    """How many streams come back to each worker that is there to take them."""
    gone = {"worker": 1, "machine": math.ceil(workers / machines), "none": 0}.get(restart, workers)
    left = workers - gone or workers  # all at once: they come back to themselves
    return math.ceil(load.streams * gone / workers / left) if gone else 0


def growth(costs: Costs, machine: Machine, loads: Sequence[Load]) -> list[list[str]]:
    """For each load: boards, streams, events/s, workers, machines, memory, and what ends it."""
    rows = []
    for load in loads:
        workers = capacity.workers_for(load, costs)
        cells = [f"{load.boards:,}", f"{load.streams:,}", f"{load.events:,.0f}"]
        if workers is None:
            rows.append([*cells, "none is enough", "–", "–", "following the log"])
            continue
        machines = capacity.machines_for(workers, load, costs, machine)
        name, factor = capacity.first_limit(workers, machines, load, costs, machine)
        if factor < 1:
            rows.append([*cells, "none is enough", "–", "–", f"{name}, at {factor:.1f} times"])
            continue
        gib = capacity.memory_gib(workers, load, costs)
        rows.append(
            [
                *cells,
                f"{workers:,}",
                f"{machines:,}",
                f"{gib:,.1f}",
                f"{name}, at {factor:.1f} times",
            ]
        )
    return rows
