"""Figures and tables as a person reads them."""

from collections.abc import Sequence


def number(value: float | None) -> str:
    """A figure as a person reads it: 1,234 k, 870, 12.3, 0.45."""
    if value is None:
        return "–"
    if value >= 1e4:
        return f"{value / 1000:,.0f} k"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
