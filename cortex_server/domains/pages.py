"""Keyset pagination: a cursor names the last row seen, so pages stay right while rows change."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Select, false, select, union_all

from cortex_server.errors import Malformed

T = TypeVar("T")


@dataclass(frozen=True)
class Listing(Generic[T]):
    """One page. next_cursor: pass it to get the following page; None at the end."""

    items: Sequence[T]
    next_cursor: str | None


def encode(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The values of a cursor, None for the first page. Raises Malformed when it is not ours."""
    if cursor is None:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        values = None
    matches = isinstance(values, list) and [type(value) for value in values] == list(kinds)
    if not matches:
        raise Malformed("cursor: use the next_cursor of the page before, unchanged.")
    return tuple(values)


def of_projects(
    query: Select[Any],
    column: ColumnElement[str],
    projects: Iterable[str],
    order: Sequence[Column[Any]],
    limit: int,
) -> Select[Any]:
    """The first rows of the query in several projects, by one ordered index scan in each.

    column: the project's key. A query for all of them at once would read and sort their rows.
    """
    scans = [
        select(query.where(column == key).order_by(*order).limit(limit).subquery())
        for key in sorted(projects)
    ]
    if not scans:
        return query.where(false())
    found = union_all(*scans).subquery()
    return select(found).order_by(*(found.c[part.key] for part in order)).limit(limit)


def page(
    rows: Sequence[Any], limit: int, make: Callable[[Any], T], key: Callable[[Any], str]
) -> Listing[T]:
    """A listing of at most `limit` from rows that were read with `limit + 1`."""
    shown = rows[:limit]
    return Listing([make(row) for row in shown], key(shown[-1]) if len(rows) > limit else None)
