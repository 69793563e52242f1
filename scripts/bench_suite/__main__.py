"""Run the rows that are asked for, print the tables, and keep the figures; see scripts/bench."""

import argparse
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.bench_suite import cortex, machine, page, peers, report
from scripts.bench_suite.install import Home, say
from scripts.bench_suite.peers import boards as board_peers
from scripts.bench_suite.program import Unavailable
from scripts.bench_suite.rows import (
    agents,
    boards,
    fanout,
    memory,
    mutations,
    storm,
    terminal,
    workers,
)
from scripts.bench_suite.target import Target

ROWS = ("A", "B", "C", "D", "bulk", "storm", "mutations", "agents", "workers", "terminal")
# One server for all of these: the quiet ones first. The others begin with a fresh one each.
FANOUT: dict[str, Callable[..., dict[str, Any]]] = {
    "C": fanout.row_c,
    "B": fanout.row_b,
    "bulk": fanout.row_bulk,
    "A": fanout.row_a,
}
Measured = Iterator[tuple[str, dict[str, Any]]]


def attempt(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a row measured, or why it could not."""
    try:
        return measure()
    except Unavailable as reason:
        return {"absent": str(reason)}
    except (OSError, ValueError, KeyError) as error:
        traceback.print_exc()
        return {"absent": f"{type(error).__name__}: {error}"[:300]}


class Bench:
    """Everything that one run measures."""

    def __init__(self, rows: list[str], plan: fanout.Plan) -> None:
        self.rows, self.plan = rows, plan
        self.home = Home()

    def start(self, name: str, tickets: int = 1) -> Target:
        if name == "cortex":
            return cortex.start(self.home, tickets=tickets)
        return peers.start(name, self.home)

    def run(self, targets: list[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for name in targets:
            rows = found.setdefault(name, {})
            for row, figures in self._of_target(name):
                rows[row] = figures
                say(f"{name} {row}: {report.brief(row, figures)}")
        return found

    def _of_target(self, name: str) -> Measured:
        if name in board_peers.BOARDS:
            if "terminal" in self.rows:
                yield "terminal", attempt(lambda: self._of_board(name))
            return
        wanted = [row for row in FANOUT if row in self.rows]
        if name != "cortex":
            wanted = [row for row in wanted if row != "bulk"]
        if wanted:
            try:
                with self.start(name) as target:
                    yield from self._fanout(target, wanted)
            except (Unavailable, OSError) as reason:
                yield from ((row, {"absent": str(reason)}) for row in wanted)
        if "D" in self.rows:
            yield "D", attempt(lambda: self._on(name, memory.row_d))
        if name == "cortex":
            yield from self._of_cortex()

    def _fanout(self, target: Target, wanted: list[str]) -> Measured:
        if "bulk" in wanted and isinstance(target, cortex.Cortex):
            target.can_bulk()
        for row in wanted:
            yield row, attempt(lambda row=row: FANOUT[row](target, self.plan))

    def _on(self, name: str, row: Callable[..., dict[str, Any]], tickets: int = 1) -> Any:
        with self.start(name, tickets) as target:
            return row(target, self.plan)

    def _of_board(self, name: str) -> dict[str, Any]:
        with board_peers.start(name, self.home) as board:
            return boards.row_board(board, self.plan)

    def _of_cortex(self) -> Measured:
        own: dict[str, Callable[[], dict[str, Any]]] = {
            "storm": lambda: self._on("cortex", storm.row_storm, storm.TICKETS),
            "mutations": lambda: (
                self._on("cortex", mutations.row_mutations, storm.TICKETS)
                | mutations.bare_flask(self.home, self.plan)
            ),
            "agents": lambda: self._on("cortex", agents.row_agents),
            "workers": lambda: workers.row_workers(self.home, self.plan),
            "terminal": lambda: self._on("cortex", terminal.row_terminal, boards.TICKETS),
        }
        for row, measure in own.items():
            if row in self.rows:
                yield row, attempt(measure)


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", add_help=False)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--targets", type=lambda text: text.split(","))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--docs-from", type=Path, action="append")
    given = parser.parse_args(words)
    known = ["cortex", *peers.PEERS, *board_peers.BOARDS]
    given.rows = given.rows or list(ROWS)
    given.targets = given.targets or (["cortex"] if given.quick else known)
    given.runs = given.runs or (1 if given.quick else 3)
    for what, names, allowed in (("row", given.rows, ROWS), ("target", given.targets, known)):
        if wrong := set(names) - set(allowed):
            parser.error(f"no such {what}: {', '.join(sorted(wrong))} (see --help)")
    return given


def measure(given: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Run it all, pinned; results are on disk after each run."""
    machine.allow_descriptors()
    server, client = machine.cores()
    if server == client:
        say("only one core: server and load client share it, so the figures are lower")
    results: dict[str, Any] = {
        "version": 1,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": given.quick,
        "machine": machine.describe(),
        "runs": [],
    }
    os.sched_setaffinity(0, client)
    bench = Bench(given.rows, fanout.QUICK if given.quick else fanout.Plan())
    for number in range(given.runs):
        begun = time.monotonic()
        results["runs"].append(bench.run(given.targets))
        results["median"] = report.median(results["runs"])
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1), encoding="utf-8")
        say(f"run {number + 1} of {given.runs}: {time.monotonic() - begun:.0f} s; kept in {out}")
    return results


def main(words: list[str]) -> int:
    given = arguments(words)
    if platform.system() != "Linux":
        say("needs Linux: it uses epoll, /proc and processor affinity")
        return 1
    if given.docs_from:
        kept = [json.loads(path.read_text(encoding="utf-8")) for path in given.docs_from]
        page.write(report.joined(kept))
        return 0
    results = measure(given, (given.json or Home().path / "results.json").resolve())
    sys.stdout.write(report.tables(results))
    if given.write_docs:
        page.write(results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
