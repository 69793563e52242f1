"""Turns what agents, repositories and adapters say into what the server takes.

The server refuses NUL, lone surrogates, NaN, huge numbers and deep nesting, and one bad item would
take a whole request with it. Texts over a limit are cut, and say so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

TEXT_MAX = 1_048_576
TITLE_MAX, NAME_MAX, LINE_MAX = 500, 200, 2000
INPUT_MAX = 65_536  # characters of JSON
_CUT = " […]"
_DEPTH_MAX = 32
_INTEGER_MAX = 2**53


def text(value: object, most: int = TEXT_MAX) -> str:
    """Return the text as the server takes it, cut to `most` characters."""
    plain = str(value)
    if "\0" in plain:
        plain = plain.replace("\0", "�")
    if not plain.isascii():  # lone surrogates come from names that are no UTF-8
        plain = plain.encode("utf-8", "replace").decode("utf-8")
    return plain if len(plain) <= most else plain[: most - len(_CUT)] + _CUT


def line(value: object, most: int = LINE_MAX) -> str | None:
    """Return one line, None for a blank one."""
    plain = " ".join(text(value, 4 * most).split()) if value is not None else ""
    return text(plain, most) or None


def json_value(value: Any, depth: int = 0) -> Any:
    """Return the same JSON value without what the server refuses."""
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _INTEGER_MAX else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= _DEPTH_MAX:
        return text(json.dumps(value, default=str), LINE_MAX)
    if isinstance(value, dict):
        return {text(key): json_value(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner, depth + 1) for inner in value]
    return text(value)


def tool_input(value: Any) -> Any:
    """Return what a tool was called with; of too much, the beginning as text."""
    found = json_value(value)
    shown = json.dumps(found, ensure_ascii=False)
    return found if len(shown) <= INPUT_MAX else text(shown, INPUT_MAX)


def pieces(value: str, most: int) -> Iterator[str]:
    """Yield a long text in pieces, cut after a line's end where there is one."""
    while len(value) > most:
        at = value.rfind("\n", most // 2, most) + 1 or most
        yield value[:at]
        value = value[at:]
    yield value
