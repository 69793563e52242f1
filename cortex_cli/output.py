"""Everything that is printed: tables and fields for people, JSON for scripts, messages.

Text from tickets and agents is untrusted. `clean` and `clean_lines` stand between it and every
terminal; JSON is escaped by its own means, so that it stays the same JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

# What a terminal may act on and JSON leaves as it is: DEL, C1, line separators, bidirectional
# and invisible controls, tags, and what has no meaning at all.
_UNPRINTABLE = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)

_FLEXIBLE = ("TITLE", "TEXT", "SUMMARY", "VALUE", "TICKETS", "TROUBLE", "ANSWER", "WHY", "FILES",
             "WHEN", "DOES")  # fmt: skip


def clean(text: object) -> str:
    """Return one line of text that is safe on any terminal."""
    from cortex_cli.board import text as board_text  # when needed: it imports wcwidth

    return board_text.clean("" if text is None else str(text))


def clean_lines(text: str) -> str:
    """Return text of several lines, each of them safe on any terminal."""
    from cortex_cli.board import text as board_text

    return board_text.clean_block(text)


def say(message: str) -> None:
    """Print a message on standard error. Never fails: whoever reads it may be gone."""
    with contextlib.suppress(OSError):
        click.echo(clean_lines(message), err=True)


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON that says the same on a terminal and to a parser."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return escape_json(text)


def escape_json(text: str) -> str:
    """Return the same JSON text without characters that a terminal would act on."""
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def print_json(value: Any) -> None:
    """Print the API's JSON, indented."""
    click.echo(to_json(value, indent=2))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: fitted to a terminal, and whole into a pipe."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(headers, cells)
    else:
        _print_plain(headers, cells)


def _print_plain(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from cortex_cli.board.text import pad, width

    lines = [headers, *rows]
    widths = [max(width(line[index]) for line in lines) for index in range(len(headers))]
    for line in lines:
        cells = [pad(cell, cells) for cell, cells in zip(line, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def _print_rich(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for header in headers:
        # Rich narrows the columns that may wrap: the long one gives way, and is cut instead.
        table.add_column(header, no_wrap=header not in _FLEXIBLE)
    for row in rows:  # as Text: no markup is read from it
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    Console(color_system=None if no_colour() else "auto", highlight=False).print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values one below the other, without the empty ones."""
    shown = {name: clean(value) for name, value in fields.items() if value not in (None, "", [])}
    widest = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        click.echo(f"{click.style(name.ljust(widest), bold=True)}  {value}")


def no_colour() -> bool:
    """Whether the user wants none, or the terminal has none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def ago(at: object, now: datetime | None = None) -> str:
    """Return how long ago a time of the wire was, such as "4 min"; "" when it is none."""
    from cortex_cli.board.text import age

    try:
        then = datetime.fromisoformat(str(at))
        return age(((now or datetime.now(UTC)) - then).total_seconds())
    except (ValueError, TypeError):
        return ""


def past(at: object, now: datetime | None = None) -> str:
    """Return when a time of the wire was, in a sentence: "4 min ago", "just now"."""
    found = ago(at, now)
    return "just now" if found == "now" else f"{found} ago"


def names(values: Iterable[object]) -> str:
    """Return several values as one cell."""
    return ", ".join(str(value) for value in values)
