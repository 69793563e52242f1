"""What the model says of points that were measured, and by how much it errs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.simulation.capacity import Load
from scripts.simulation.costs import Costs
from scripts.simulation.queues import Scenario, Simulation

SIMULATED_S = 5.0
MOST_BUSY = 0.8


@dataclass(frozen=True)
class Comparison:
    what: str
    measured: float
    modelled: float

    @property
    def error(self) -> float:
        """Relative to what was measured; positive where the model says more."""
        return self.modelled / self.measured - 1 if self.measured else float("inf")


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def compare(results: Mapping[str, Any], costs: Costs, seed: int) -> list[Comparison]:
    """Row C, and a step of row A in which the server was half busy.

    Not a step at the limit: 8 connections that wait for their answers slow down with the server.
    """
    own = results["median"]["cortex"]
    steps = [step for step in own["A"]["steps"] if step["server_cpu"] < MOST_BUSY]
    found = []
    if "C" in own and "absent" not in own["C"]:
        found += _point("C, 100 streams, 20/s", 100, own["C"], costs, seed)
    if steps:
        middle = min(steps, key=lambda step: abs(step["server_cpu"] - MOST_BUSY * 0.75))
        name = f"A, 1,000 streams, {middle['events_per_s']:.0f}/s"
        found += _point(name, 1_000, middle, costs, seed)
    return found


def _point(
    name: str, streams: int, figures: Mapping[str, Any], costs: Costs, seed: int
) -> list[Comparison]:
    load = Load(1, streams, figures["events_per_s"])
    scenario = Scenario(load, workers=1, seconds=SIMULATED_S, local=True)
    outcome = Simulation(scenario, costs, seed).run()
    return [
        Comparison(f"{name}: server's core", figures["server_cpu"], outcome.busy),
        Comparison(f"{name}: p50 ms", figures["p50_ms"], percentile(outcome.delivery_s, 0.5) * 1e3),
        Comparison(
            f"{name}: p99 ms", figures["p99_ms"], percentile(outcome.delivery_s, 0.99) * 1e3
        ),
    ]
