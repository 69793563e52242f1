"""Two plots as SVG, drawn by hand: no library is worth its weight here."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 150, 30, 50, 50
COLORS = ("#0b6e4f", "#d1495b", "#2e6fb7", "#c98a04", "#7a4fa3", "#5f6b73")
LIMITS_MS = (50, 250)
KEPT_UP = 0.97


class Axis:
    """A logarithmic axis from `low` to `high`, drawn between two pixels."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        usable = [value for value in values if 0 < value < math.inf] or [1.0, 10.0]
        self.low = 10 ** math.floor(math.log10(min(usable)))
        self.high = max(10 ** math.ceil(math.log10(max(usable))), self.low * 10)
        self.begin, self.end = begin, end

    def at(self, value: float) -> float:
        share = math.log10(max(value, self.low) / self.low) / math.log10(self.high / self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[float]:
        count = round(math.log10(self.high / self.low))
        return [self.low * 10**power for power in range(count + 1)]


def bars(median: dict[str, Any]) -> str:
    """Deliveries/s of rows A and B, a group of bars for each server."""
    series = {
        "A, p99 < 250 ms": lambda of: of.get("A", {}).get("p99_below_250_ms", 0),
        "A, p99 < 50 ms": lambda of: of.get("A", {}).get("p99_below_50_ms", 0),
        "B": lambda of: of.get("B", {}).get("deliveries_per_s", 0),
    }
    values = {name: [read(of) for read in series.values()] for name, of in median.items()}
    axis = Axis([v for group in values.values() for v in group], LEFT, WIDTH - RIGHT)
    parts = [_grid_x(axis), _legend(list(series))]
    step = (HEIGHT - TOP - BOTTOM) / max(len(values), 1)
    thick = step / 4.5
    for row, (name, group) in enumerate(values.items()):
        top = TOP + row * step + thick / 2
        parts.append(_text(LEFT - 8, top + step / 2 - thick / 4, name, "end"))
        for place, value in enumerate(group):
            y = top + place * thick
            width = axis.at(value) - LEFT if value else 0
            parts.append(
                f'<rect x="{LEFT}" y="{y:.1f}" width="{width:.1f}" height="{thick * 0.85:.1f}" '
                f'fill="{COLORS[place]}"/>'
            )
    return _svg("Deliveries per second (logarithmic)", parts)


def latency(median: dict[str, Any]) -> str:
    """p99 over deliveries/s for every step of row A that kept up, a line for each server."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for name, of in median.items():
        steps = of.get("A", {}).get("steps", [])
        kept = [step for step in steps if step["p99_ms"] < math.inf and step["kept_up"] > KEPT_UP]
        lines[name] = sorted((step["deliveries_per_s"], step["p99_ms"]) for step in kept)
    across = Axis([x for line in lines.values() for x, _ in line], LEFT, WIDTH - RIGHT)
    up = Axis([y for line in lines.values() for _, y in line], HEIGHT - BOTTOM, TOP)
    parts = [_grid_x(across), _grid_y(up), _legend(list(lines))]
    for color, line in zip(COLORS, lines.values(), strict=False):
        points = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{across.at(x):.1f}" cy="{up.at(y):.1f}" r="2.5" fill="{color}"/>'
            for x, y in line
        ]
    return _svg("Row A: p99 in ms over deliveries per second, 1,000 subscribers", parts)


def _grid_x(axis: Axis) -> str:
    parts = []
    for tick in axis.ticks():
        x = axis.at(tick)
        parts.append(_line(x, TOP, x, HEIGHT - BOTTOM))
        parts.append(_text(x, HEIGHT - BOTTOM + 18, _short(tick), "middle"))
    return "".join(parts)


def _grid_y(axis: Axis) -> str:
    parts = []
    for tick in axis.ticks():
        parts.append(_line(LEFT, axis.at(tick), WIDTH - RIGHT, axis.at(tick)))
        parts.append(_text(LEFT - 8, axis.at(tick) + 4, f"{_short(tick)} ms", "end"))
    for limit in LIMITS_MS:
        if axis.low < limit < axis.high:
            y = axis.at(limit)
            parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "#888", ' stroke-dasharray="5 4"'))
    return "".join(parts)


def _legend(names: Sequence[str]) -> str:
    parts, step = [], (WIDTH - 20) / max(len(names), 1)
    for place, name in enumerate(names):
        x = 10 + place * step
        color = COLORS[place % len(COLORS)]
        parts.append(f'<rect x="{x:.1f}" y="{HEIGHT - 18}" width="12" height="12" fill="{color}"/>')
        parts.append(_text(x + 17, HEIGHT - 7, name, "start"))
    return "".join(parts)


def _short(value: float) -> str:
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _line(
    x1: float, y1: float, x2: float, y2: float, color: str = "#ddd", more: str = ""
) -> str:  # fmt: skip
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{color}"{more}/>'


def _text(x: float, y: float, words: str, anchor: str, size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="#222">{escape(words)}</text>'


def _svg(title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="system-ui, sans-serif" role="img" aria-label="{escape(title)}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    )
    return head + _text(10, 26, title, "start", 15) + "\n" + "\n".join(parts) + "\n</svg>\n"
