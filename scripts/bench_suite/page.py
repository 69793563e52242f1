"""docs/performance.md and its plots, from the results alone: no figure is typed by hand."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.bench_suite import figures, plot, report
from scripts.bench_suite.install import ROOT, say

PAGE = Path(__file__).with_name("performance.template.md")
DOCS = ROOT / "docs"
COSTS = ROOT / "scripts/simulation/costs.json"


def write(results: dict[str, Any], docs: Path = DOCS) -> None:
    """Write the page and its two plots. Sections without figures say so."""
    median = report.servers(results["median"])
    (docs / "performance-throughput.svg").write_text(plot.bars(median), encoding="utf-8")
    (docs / "performance-latency.svg").write_text(plot.latency(median), encoding="utf-8")
    (docs / "performance.md").write_text(text(results), encoding="utf-8")
    kept = {"at": results["at"], "machine": results["machine"]}
    kept["median"] = {"cortex": results["median"].get("cortex", {})}
    COSTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    say("wrote docs/performance.md, its plots, and what scripts/simulate reads")


def text(results: dict[str, Any]) -> str:
    """The template with its `{{name}}` filled in."""
    median = report.servers(results["median"])
    own = median.get("cortex", {})
    filled = {
        "dagger": report.DAGGER,
        "machine": _machine(results),
        "fanout": report.fanout_table(median),
        "limits": _limits(median),
        "reach": report.reach_table(median),
        "storm": _section(own, "storm", report.storm_table),
        "mutations": _section(own, "mutations", report.mutations_table),
        "agents": _section(own, "agents", report.agents_table),
        "workers": _section(own, "workers", report.workers_table),
        "terminal": report.terminal_table(results) or "Not measured.",
        "absent": report.absent_list(results["median"]).strip() or "Nothing was absent.",
    }
    page = PAGE.read_text(encoding="utf-8")
    for name, value in filled.items():
        page = page.replace("{{" + name + "}}", value.strip())
    return page


def _section(own: dict[str, Any], row: str, make: Any) -> str:
    of = own.get(row, {"absent": "not measured"})
    return f"Absent: {of['absent']}" if "absent" in of else str(make(of))


def _machine(results: dict[str, Any]) -> str:
    of = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in of["versions"].items())
    how = "one quick run: shapes only" if results["quick"] else _medians(results["runs"])
    return (
        f"{of['cpu']}, {of['cores']} cores, {of['memory_gib']} GiB, {of['system']}, "
        f"fdatasync {of['fsync_ms']} ms (p99 {of['fsync_p99_ms']} ms); "
        f"Python {of['python']}, {versions}. "
        f"Measured {results['at'][:10]}, {how}."
    )


def _medians(runs: list[dict[str, Any]]) -> str:
    """Of how many runs the figures are; a row may have been measured again by itself."""
    times = Counter(row for run in runs for row in run.get("cortex", {}))
    most, fewest = max(times.values(), default=len(runs)), min(times.values(), default=len(runs))
    often = ", ".join(row for row, count in times.items() if count == most)
    return f"medians of {most}" if most == fewest else f"medians of {fewest}; of {most}: {often}"


def _limits(median: dict[str, Any]) -> str:
    """Who was busy in row B, and what an event cost: the limit is where the load is near 100 %."""
    rows = []
    for name, of in median.items():
        row = of.get("B", {"absent": ""})
        if "absent" in row:
            continue
        rows.append(
            [
                name,
                f"{row['server_cpu']:.0%}",
                f"{row['client_cpu']:.0%}",
                figures.number(row["events_per_s"]),
                figures.number(row["cpu_us_per_event"]),
            ]
        )
    head = ["row B", "server's core", "client's core", "events/s", "server CPU µs an event"]
    return figures.table(head, rows) if rows else "Row B was not measured."
