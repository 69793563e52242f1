"""Read the costs, answer the question, and say how far the model can be trusted."""

import argparse
import json
import sys
from pathlib import Path

from scripts.bench_suite.report import number, table
from scripts.simulation import capacity, costs, page, study, validation

COSTS = Path(__file__).with_name("costs.json")


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", add_help=False)
    parser.add_argument("--boards", type=int, default=10_000)
    parser.add_argument("--subscribers", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--cores", type=int, default=32)
    parser.add_argument("--memory", type=float, default=128)
    parser.add_argument("--network", type=float, default=10)
    parser.add_argument("--restart", choices=study.RESTARTS, default="machine")
    parser.add_argument("--jitter", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--costs", type=Path, default=COSTS)
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args(words)


def answer(found: study.Study) -> str:
    """A study as text."""
    load, outcome = found.load, found.outcome
    limit, factor = found.limit
    waits = [number(value * 1000) for value in _p50_p99(outcome.delivery_s)]
    storm = [number(value * 1000) for value in _p50_p99(outcome.storm_delivery_s)]
    text = f"""{load.boards:,} boards, {load.streams:,} streams, {load.events:,.0f} events/s, \
{load.deliveries:,.0f} deliveries/s
{found.workers} workers on {found.machines} machines of {found.machine.cores} cores, \
{found.memory_gib:,.1f} GiB{"" if found.enough else ": NOT ENOUGH, see what is in use"}

{table(["in use", ""], [[name, f"{share:.0%}"] for name, share in found.used.items()])}
{table(["a worker's core", ""], [[name, f"{share:.1%}"] for name, share in found.core.items()])}
simulated: core {outcome.busy:.0%}, database {outcome.database_busy:.0%}; \
request to delivery p50 {waits[0]} ms, p99 {waits[1]} ms
used up first: {limit}, at {factor:.1f} times these events
"""
    if found.cut:
        text += f"""restart of {found.restart}: {found.cut:,} streams come to each worker, all are \
back after {outcome.back_s:.1f} s
deliveries meanwhile: p50 {storm[0]} ms, p99 {storm[1]} ms
"""
    return text


def _p50_p99(values: list[float]) -> tuple[float, float]:
    return validation.percentile(values, 0.5), validation.percentile(values, 0.99)


def compared(found: list[validation.Comparison]) -> str:
    """The validation as a table."""
    rows = [
        [point.what, number(point.measured), number(point.modelled), f"{point.error:+.0%}"]
        for point in found
    ]
    return table(["", "measured", "modelled", "error"], rows)


def main(words: list[str]) -> int:
    given = arguments(words)
    try:
        results = json.loads(given.costs.read_text(encoding="utf-8"))
        prices = costs.from_results(results)
    except (OSError, costs.Incomplete) as reason:
        print(f"simulate: {reason}; run scripts/bench first (--json FILE)", file=sys.stderr)
        return 1
    load = capacity.Load(given.boards, given.subscribers, given.rate)
    machine = capacity.Machine(given.cores, given.memory, given.network)
    found = study.study(
        load, machine, prices, given.workers, given.restart, given.jitter, given.seconds, given.seed
    )
    points = validation.compare(results, prices, given.seed)
    if given.write_docs:
        page.write(results, prices, answer(found), compared(points), machine)
        return 0
    sys.stdout.write(answer(found) + "\n" + compared(points))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
