"""docs/scaling.md, from the costs alone: no figure is typed by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.bench_suite.install import ROOT, say
from scripts.bench_suite.report import number, table
from scripts.simulation.capacity import Load, Machine
from scripts.simulation.costs import Costs
from scripts.simulation.study import growth

PAGE = Path(__file__).with_name("scaling.template.md")
LOADS = [
    Load(10, 20, 1.0),
    Load(100, 50, 1.0),
    Load(1_000, 50, 0.5),
    Load(1_000, 100, 2.0),
    Load(10_000, 100, 0.05),
    Load(10_000, 100, 0.2),
    Load(10_000, 100, 1.0),
]
MEANINGS = {
    "mutation": ("a change over HTTP, PostgreSQL", "µs of a core"),
    "local_mutation": ("a change over HTTP, SQLite", "µs of a core"),
    "wake": ("one write to a stream", "µs of a core"),
    "delivery": ("an event in that write", "µs of a core"),
    "tailer": ("following the log, an event, in every process", "µs of a core"),
    "turn": ("a commit, one writer after the other", "µs"),
    "statements": ("each change in it, also one after the other", "µs"),
    "connect": ("a stream that begins, with the state of 200 tickets", "µs of a core"),
    "resume": ("a stream that comes back, with 50 events to replay", "µs of a core"),
    "snapshot_build": ("building that state, once a board, head and worker", "µs of a core"),
    "notify_ms": ("commit to another process's reading it", "ms"),
    "connection_kib": ("an idle stream", "KiB"),
    "worker_mib": ("a worker without streams", "MiB"),
    "event_bytes": ("an event on the wire", "bytes"),
}


def write(
    results: Mapping[str, Any], costs: Costs, answer: str, compared: str, machine: Machine
) -> None:
    """Fill in the template."""
    rows = [[what, number(getattr(costs, name)), unit] for name, (what, unit) in MEANINGS.items()]
    head = [
        "boards", "streams", "events/s", "workers", "machines", "GiB",
        "used up first, as events grow",
    ]  # fmt: skip
    filled = {
        "measured": f"{results['machine']['cpu']}, {results['at'][:10]}",
        "costs": table(["", "", ""], rows),
        "machine": f"{machine.cores} cores, {machine.memory_gib:g} GiB, "
        f"{machine.network_gbit:g} Gbit/s",
        "growth": table(head, growth(costs, machine, LOADS)),
        "answer": answer,
        "compared": compared,
    }
    page = PAGE.read_text(encoding="utf-8")
    for name, value in filled.items():
        page = page.replace("{{" + name + "}}", value.strip())
    (ROOT / "docs/scaling.md").write_text(page, encoding="utf-8")
    say("wrote docs/scaling.md")
