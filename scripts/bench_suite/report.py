"""The figures as Markdown tables."""

import statistics
from collections.abc import Sequence
from typing import Any

from scripts.bench_suite.figures import number, table
from scripts.bench_suite.report_terminal import terminal_table

DAGGER = "†"
DOUBLE = "‡"
CLIENT_LIMIT = 0.95
DISTURBED = 0.1  # of a core, used by other programs
FOOTNOTES = (
    f"{DAGGER} the load client was at its limit: the server could do more.\n",
    f"{DOUBLE} other programs used the two cores too: measure again.\n",
)


def median(runs: Sequence[Any]) -> Any:
    """One value of many of the same form: numbers by their median, lists joined, text the first.

    A row that some runs miss is that of the others.
    """
    first = runs[0]
    if isinstance(first, dict):
        keys = dict.fromkeys(key for run in runs for key in run)
        found = {key: median([run[key] for run in runs if key in run]) for key in keys}
        if "absent" in found and len(found) > 1:
            del found["absent"]
        return found
    if isinstance(first, bool):
        return any(runs)
    if isinstance(first, int | float):
        return statistics.median(runs)
    if isinstance(first, list):
        return [item for run in runs for item in run]
    return first


def joined(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several results of one machine as one: a row may have been measured again by itself."""
    runs = [run for result in results for run in result["runs"]]
    return {**results[0], "runs": runs, "median": median(runs)}


def brief(row: str, figures: dict[str, Any]) -> str:
    """One line about a row, for the eye while it runs."""
    if "absent" in figures:
        return f"absent: {figures['absent']}"
    wanted = {
        "A": ("p99_below_250_ms", "p99_below_50_ms"),
        "B": ("deliveries_per_s", "p99_ms", "lost", "client_cpu"),
        "bulk": ("deliveries_per_s", "p99_ms", "lost", "client_cpu"),
        "C": ("p50_ms", "p99_ms"),
        "storm": ("fresh_all_s", "resumed_all_s"),
        "workers": ("across_p50_ms", "across_p99_ms"),
    }.get(row, [key for key in figures if not isinstance(figures[key], dict)])
    text = ", ".join(f"{key} {number(figures[key])}" for key in wanted if _is_number(figures, key))
    return text or ", ".join(f"{k} {number(v.get('per_s_8'))}/s" for k, v in figures.items())


def _is_number(figures: dict[str, Any], key: str) -> bool:
    return isinstance(figures.get(key), int | float)


def servers(median_of: dict[str, Any]) -> dict[str, Any]:
    """Those that were measured as servers: all but the boards of others."""
    return {name: rows for name, rows in median_of.items() if rows.keys() != {"terminal"}}


def tables(results: dict[str, Any]) -> str:
    """Every table that there are figures for."""
    median_of = results["median"]
    served = servers(median_of)
    parts = [fanout_table(served), reach_table(served)]
    own = median_of.get("cortex", {})
    makers = {
        "storm": storm_table, "mutations": mutations_table, "workers": workers_table,
        "agents": agents_table,
    }  # fmt: skip
    for row, make in makers.items():
        if row in own:
            absent = own[row].get("absent")
            parts.append(f"{row}: absent ({absent})\n" if absent else make(own[row]))
    parts.append(terminal_table(results))
    return "\n" + "\n".join(part for part in parts if part) + "\n" + absent_list(median_of)


def fanout_table(median_of: dict[str, Any]) -> str:
    rows = [
        [
            name, _row_a(rows.get("A")), _row_b(rows.get("B")), _row_b(rows.get("bulk")),
            _row_c(rows.get("C")), _row_d(rows.get("D")),
        ]
        for name, rows in median_of.items()
    ]  # fmt: skip
    head = [
        "", "A: deliveries/s, p99 < 250 / < 50 ms", "B: deliveries/s", "bulk: deliveries/s",
        "C: p50 / p99 ms", "D: KiB a connection, 1,000 / 10,000",
    ]  # fmt: skip
    text = table(head, rows)
    notes = [note for note in FOOTNOTES if note[0] in text]
    return text + "\n" * bool(notes) + "\n".join(notes)


def _marks(busy_client: bool, others: float) -> str:
    return DAGGER * busy_client + DOUBLE * (others > DISTURBED)


def _row_a(figures: dict[str, Any] | None) -> str:
    if not figures or "absent" in figures:
        return "–"
    others = statistics.median(step.get("others_cpu", 0) for step in figures["steps"])
    return " / ".join(
        number(figures[f"p99_below_{limit}_ms"] or None)
        + _marks(figures[f"saturated_{limit}"], others)
        for limit in (250, 50)
    )


def _row_b(figures: dict[str, Any] | None) -> str:
    if not figures or "absent" in figures:
        return "–"
    marks = _marks(figures["client_cpu"] > CLIENT_LIMIT, figures.get("others_cpu", 0))
    lost = f", lost {figures['lost']:.0%}" if figures["lost"] > 0.005 else ""
    return number(figures["deliveries_per_s"]) + marks + lost


def _row_c(figures: dict[str, Any] | None) -> str:
    if not figures or "absent" in figures:
        return "–"
    marks = _marks(False, figures.get("others_cpu", 0))
    return f"{number(figures['p50_ms'])} / {number(figures['p99_ms'])}{marks}"


def _row_d(figures: dict[str, Any] | None) -> str:
    if not figures or "absent" in figures:
        return "–"
    return f"{number(figures.get('kib_1000'))} / {number(figures.get('kib_10000'))}"


def reach_table(median_of: dict[str, Any]) -> str:
    """One event to all of row D's streams, after they had been idle."""
    rows = [
        [name, number(row.get("reach_ms_1000")), number(row.get("reach_ms_10000"))]
        for name, rows in median_of.items()
        if (row := rows.get("D", {})) and "absent" not in row
    ]
    head = ["one event to all idle streams: p99 ms", "1,000", "10,000"]
    return table(head, rows) if rows else ""


def storm_table(figures: dict[str, Any]) -> str:
    names = {
        "fresh": "hello and state, nothing cached",
        "fresh_after_change": "the same, after a change",
        "resumed": "with Last-Event-ID, 50 events missed",
    }
    rows = [
        [
            title, number(figures[f"{name}_all_s"]), number(figures[f"{name}_p50_s"]),
            number(figures[f"{name}_mib"]), number(figures[f"{name}_cpu_ms_each"]),
        ]
        for name, title in names.items()
    ]  # fmt: skip
    return table(["2,000 boards at once", "all, s", "half, s", "MiB", "CPU ms each"], rows)


def mutations_table(figures: dict[str, Any]) -> str:
    rows = [
        [
            name.replace("_", " "), number(of["per_s_1"]), number(of["per_s_8"]),
            number(of["p50_ms_8"]), number(of["p99_ms_8"]), number(of["cpu_us_8"]),
        ]
        for name, of in figures.items()
    ]  # fmt: skip
    head = ["", "1 connection, /s", "8 connections, /s", "p50 ms", "p99 ms", "CPU µs"]
    return table(head, rows)


def agents_table(figures: dict[str, Any]) -> str:
    rows = [
        ["deltas/s, ten agents", number(figures["deltas_per_s"])],
        ["requests/s that they come in", number(figures["requests_per_s"])],
        ["server, share of a core", number(figures["server_cpu"])],
        ["a word at a subscriber: p50 ms", number(figures["p50_ms"])],
        ["the same: p99 ms", number(figures["p99_ms"])],
        ["rows of the log", number(figures["log_rows"])],
        ["texts that are whole", number(figures["whole_at_the_end"])],
    ]
    return table(["ten agents stream at once", ""], rows)


def workers_table(figures: dict[str, Any]) -> str:
    one = figures["comment_one_worker"]
    rows = [
        ["commit on one to arrival on another: p50 ms", number(figures["across_p50_ms"])],
        ["the same: p99 ms", number(figures["across_p99_ms"])],
        ["comments/s on one worker, 8 connections", number(one["per_s_8"])],
        ["following the log, CPU µs an event and process", number(figures["tailer_us_per_event"])],
        ["commits/s that bump one counter, 8 writers", number(figures["counter_commits_per_s"])],
    ]
    return table(["PostgreSQL", ""], rows)


def absent_list(median_of: dict[str, Any]) -> str:
    reasons = [
        f"- {name}, {row}: {figures['absent']}\n"
        for name, rows in median_of.items()
        for row, figures in rows.items()
        if "absent" in figures
    ]
    return "\nAbsent:\n" + "".join(reasons) if reasons else ""
