"""The terminal's figures as a table: ours with its worst run, and the other boards beside it."""

from typing import Any

from scripts.bench_suite.figures import number, table

# name of a figure: (what it is, what it shall be at most)
FIGURES = {
    "start_help_ms": ("`--help`, ms", "100"),
    "start_version_ms": ("`--version`, ms", ""),
    "start_ticket_show_ms": ("`ticket show`, ms", ""),
    "first_frame_ms": ("first frame, ms", "120"),
    "cards_ms": ("first cards, from the cache, ms", ""),
    "live_frame_ms": ("first live frame, ms", "200"),
    "key_to_paint_p50_ms": ("key to paint, p50 ms", ""),
    "key_to_paint_p99_ms": ("key to paint, p99 ms", "10"),
    "key_bytes": ("bytes for a key", ""),
    "help_to_paint_p50_ms": ("key to a whole screen, p50 ms", ""),
    "help_to_paint_p99_ms": ("key to a whole screen, p99 ms", "10"),
    "key_under_events_p50_ms": ("the same under 50 events/s, p50 ms", ""),
    "key_under_events_p99_ms": ("the same under 50 events/s, p99 ms", "10"),
    "key_while_streaming_p50_ms": ("the same beside a streaming conversation, p50 ms", ""),
    "key_while_streaming_p99_ms": ("the same beside a streaming conversation, p99 ms", "10"),
    "esc_p50_ms": ("Esc to paint, p50 ms", ""),
    "esc_p99_ms": ("Esc to paint, p99 ms", "30"),
    "event_to_paint_p50_ms": ("event to paint, p50 ms", ""),
    "event_to_paint_p99_ms": ("event to paint, p99 ms", "50"),
    "event_bytes": ("bytes for an event", "300"),
    "memory_mib": ("memory (PSS), MiB", "30"),
    "memory_log_mib": ("memory with 10 MiB of log in view, MiB", "50"),
    "idle_cpu_ms": ("idle for 10 s: CPU, ms", "0"),
    "idle_wakeups": ("idle for 10 s: wake-ups", ""),
    "idle_bytes": ("idle for 10 s: bytes", "0"),
    "watch_lines_per_s": ("lines/s of `watch --json`", ""),
}
MORE_IS_BETTER = {"watch_lines_per_s"}
OURS = "cortex"


def of_terminal(rows: dict[str, Any]) -> dict[str, Any]:
    """The figures of the row in one run or in the medians; empty where there are none."""
    found: dict[str, Any] = rows.get("terminal", {})
    return {} if "absent" in found else found


def terminal_table(results: dict[str, Any]) -> str:
    """Medians, and for ours the worst of the runs; "" when nothing was measured."""
    boards = {name: of for name, rows in results["median"].items() if (of := of_terminal(rows))}
    if not boards:
        return ""
    runs = [of_terminal(run[OURS]) for run in results["runs"] if OURS in run]
    others = [name for name in boards if name != OURS]
    rows = []
    for name, (what, bar) in FIGURES.items():
        ours = boards.get(OURS, {}).get(name)
        seen = [run[name] for run in runs if name in run]
        worst = (min if name in MORE_IS_BETTER else max)(seen, default=None)
        theirs = [number(boards[other].get(name)) for other in others]
        rows.append([what, bar and f"≤ {bar}", number(ours), number(worst), *theirs])
    return table(["120x36, 1,000 tickets", "bar", "Cortex", "worst run", *others], rows)
