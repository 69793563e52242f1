"""Lists of tickets: filters, words, pages.

A page reads in proportion to what it shows, wherever it is: every filter has an index in the order
of the list, and words go by the index of `ticket_words` (PostgreSQL has one of its own).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from cortex_server.db.engine import is_sqlite
from cortex_server.db.schema import labels, projects, ticket_labels, tickets
from cortex_server.domains import pages, ticket_words
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import let_others_run
from cortex_server.domains.ticket_rows import from_rows
from cortex_server.domains.ticket_words import Half
from cortex_server.events.objects import Ticket
from cortex_server.store import ReadTx

_FILTERS = ("label", "assignee", "status", "priority", "type")
_FEW = 300  # candidates that are compared without asking which index would name fewer
_FIRST = 100  # candidates of the first batch by the index of words
_MANY = 900  # the most keys in one IN list; SQLite before 3.32 allows 999 variables


@dataclass(frozen=True)
class TicketFilter:
    """None means any. q: words that all occur in the title, the body or the key."""

    readable: frozenset[str] | None = None
    project: str | None = None
    status: str | None = None
    label: str | None = None
    assignee: str | None = None
    type: str | None = None
    priority: str | None = None
    q: str | None = None
    archived: Literal["false", "true", "any"] = "false"

    @property
    def words(self) -> list[str]:
        return (self.q or "").split()


def listing(tx: ReadTx, wanted: TicketFilter, limit: int, cursor: str | None) -> Listing[Ticket]:
    """Tickets by project and number, oldest first."""
    rows: list[Any] = []
    for span in _spans(wanted, pages.decode(cursor, str, int)):
        rows += _rows(tx, span, limit + 1 - len(rows))
        if len(rows) > limit:
            break
    found = from_rows(tx, rows)
    return pages.page(found, limit, lambda t: t, lambda t: pages.encode(t.project, t.number))


@dataclass(frozen=True)
class _Span:
    """A stretch of the list: of one project behind a number, or of all projects behind a key."""

    wanted: TicketFilter
    number: int = 0
    behind: str | None = None

    @property
    def project(self) -> str | None:
        return self.wanted.project

    def bounds(self, column: ColumnElement[str], number: ColumnElement[int]) -> Iterator[Any]:
        """Where it lies. column: the project's key · number: the ticket's."""
        wanted = self.wanted
        if wanted.readable is not None:
            yield column.in_(sorted(wanted.readable))
        if wanted.project is not None:
            yield column == wanted.project
            yield number > self.number
        if self.behind is not None:
            yield column > self.behind


def _spans(wanted: TicketFilter, after: tuple[Any, ...] | None) -> list[_Span]:
    """Of one project each, or all that follow: a comparison of both at once would use no index."""
    if after is None:
        return [_Span(wanted)]
    project, number = after
    if wanted.project == project:
        return [_Span(wanted, number)]
    behind = _Span(wanted, behind=project)
    if wanted.project is not None:
        return [behind]
    return [_Span(replace(wanted, project=project), number), behind]


def _spans_after(span: _Span, row: Any) -> list[_Span]:
    return _spans(span.wanted, (row.project, row.number))


def _rows(tx: ReadTx, span: _Span, most: int) -> list[Any]:
    if not span.wanted.words or not is_sqlite(tx.conn):
        return list(tx.conn.execute(_page(_scans(tx, span, most), most)).all())
    found: list[Any] = []
    for part, keys in _candidates(tx, span, most):
        rest = most - len(found)
        query = select(tickets).where(tickets.c.key.in_(keys), *_all_of(tx, part))
        ordered = query.order_by(*map(_held_back(tx), _ORDER))
        found += tx.conn.execute(ordered.limit(rest)).all()
        if len(found) >= most:
            break
    return found


_ORDER = (tickets.c.project, tickets.c.number)


def _page(scans: list[Select[Any]], most: int) -> Select[Any]:
    """The first tickets that several scans name, each of which is in order and limited."""
    named = union_all(*(select(scan.subquery()) for scan in scans)).subquery()
    keys = select(named.c.key).order_by(named.c.project, named.c.number).limit(most)
    return select(tickets).where(tickets.c.key.in_(keys)).order_by(*_ORDER)


def _scans(tx: ReadTx, span: _Span, most: int, words: bool = True) -> list[Select[Any]]:
    """The keys, projects and numbers of the first `most` that match; of each half, or of all."""
    driver = _driver(tx, span)
    holding = list(_holding(tx, span.wanted.words)) if words else []
    return [scan.where(*holding) for scan in _scans_by(tx, span, most, driver)]


def _scans_by(tx: ReadTx, span: _Span, most: int, driver: str | None) -> list[Select[Any]]:
    if driver == "label":
        return [_scan_of_label(tx, span, most)]
    return [_scan(tx, span, half, most, driver) for half in _halves(span.wanted)]


def _halves(wanted: TicketFilter) -> list[bool]:
    """The values of `archived`. Asked one by one, each is in the order of an index."""
    return {"false": [False], "true": [True], "any": [False, True]}[wanted.archived]


def _driver(tx: ReadTx, span: _Span) -> str | None:
    """Of several filters the one that names the fewest tickets, as far as a glance can tell.

    PostgreSQL has statistics and chooses by itself; the choice is made for SQLite.
    """
    given = [name for name in _FILTERS if getattr(span.wanted, name) is not None]
    if len(given) < 2 or not is_sqlite(tx.conn):
        return given[0] if given else None
    counts = {}
    for name in given:
        others: dict[str, Any] = {other: None for other in given if other != name}
        alone = replace(span, wanted=replace(span.wanted, q=None, **others))
        scans = _scans_by(tx, alone, _FEW, name)
        named = union_all(*(select(scan.subquery().c.key) for scan in scans)).subquery()
        counts[name] = tx.conn.scalar(select(func.count()).select_from(named)) or 0
    return min(given, key=lambda name: counts[name])


def _scan(tx: ReadTx, span: _Span, archived: bool, most: int, driver: str | None) -> Select[Any]:
    held = _held_back(tx, driver is not None)
    query = select(tickets.c.key, tickets.c.project, tickets.c.number)
    column: ColumnElement[str] = tickets.c.project
    if span.project is None:
        # Project by project: within each an index is in order, so no more than a page is read.
        column = projects.c.key
        query = query.join(projects, _held_back(tx)(column) == tickets.c.project)
    query = query.where(
        *span.bounds(column, tickets.c.number),
        tickets.c.archived.is_(archived),
        *_equals(span.wanted, driver, held),
    )
    return query.order_by(column, tickets.c.number).limit(most)


def _scan_of_label(tx: ReadTx, span: _Span, most: int) -> Select[Any]:
    """By the tickets that carry it; their projects, labels and tickets in this order."""
    held = _held_back(tx)
    carried = ticket_labels.c
    query = (
        select(tickets.c.key, tickets.c.project, tickets.c.number)
        .join(ticket_labels, tickets.c.key == held(carried.ticket))
        .join(labels, carried.label == held(labels.c.id))
    )
    column: ColumnElement[str] = labels.c.project
    if span.project is None:
        column = projects.c.key
        query = query.join(projects, labels.c.project == held(column))
    query = query.where(
        labels.c.name_folded == str(span.wanted.label).casefold(),
        *span.bounds(column, carried.number),
        *_equals(span.wanted, "label", held),
    )
    if span.wanted.archived != "any":
        query = query.where(held(tickets.c.archived).is_(span.wanted.archived == "true"))
    return query.order_by(column, carried.number).limit(most)


def _held_back(tx: ReadTx, wanted: bool = True) -> Callable[[Any], Any]:
    """Keeps a column from being looked up in an index: SQLite has no statistics to choose by."""
    if not is_sqlite(tx.conn) or not wanted:
        return lambda column: column
    return lambda column: UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _equals(
    wanted: TicketFilter, driver: str | None, held: Callable[[Any], Any]
) -> Iterator[ColumnElement[bool]]:
    for name in _FILTERS:
        value = getattr(wanted, name)
        if value is not None and name != "label":
            column = tickets.c[name]
            yield (column if name == driver else held(column)) == value
    if wanted.label is not None and driver != "label":
        carrying = (
            select(1)
            .select_from(ticket_labels.join(labels, labels.c.id == ticket_labels.c.label))
            .where(ticket_labels.c.ticket == tickets.c.key)
            .where(labels.c.name_folded == wanted.label.casefold())
        )
        yield carrying.exists()


def _all_of(tx: ReadTx, span: _Span) -> Iterator[ColumnElement[bool]]:
    """All that a candidate must be; only its key is looked up."""
    wanted = span.wanted
    held = _held_back(tx)
    yield from span.bounds(held(tickets.c.project), held(tickets.c.number))
    if wanted.archived != "any":
        yield held(tickets.c.archived).is_(wanted.archived == "true")
    yield from _equals(wanted, None, held)
    yield from _holding(tx, wanted.words)


def _candidates(tx: ReadTx, span: _Span, most: int) -> Iterator[tuple[_Span, list[str]]]:
    """Keys of tickets that may match, in the order of the list, in batches that can be compared.

    Each with the part of the span that it is for: only what lies there has not been named before.
    Two glances first, since the common searches end there: the tickets that the other filters
    name, and of all projects the tickets that hold the words, where they are few.
    """
    few = _first(tx, span, _FEW)
    if len(few) < _FEW:
        yield span, [row.key for row in few]
        return
    rest = [span]
    if all(len(word) < ticket_words.TRIGRAM for word in span.wanted.words):
        # A letter or two are in many texts: often the first tickets fill the page.
        yield span, [row.key for row in few]
        rest = _spans_after(span, few[-1])
    expression = ticket_words.expression(tx, span.wanted.words)
    for part in rest:
        found = _walk(tx, part) if expression is None else _by_index(tx, part, expression, most)
        yield from ((part, keys) for keys in found)


def _by_index(tx: ReadTx, span: _Span, expression: str, most: int) -> Iterator[list[str]]:
    if span.project is None:
        keys = ticket_words.anywhere(tx, expression, _MANY)
        if keys is not None:
            yield keys
            return
    for project in [span.project] if span.project is not None else _projects(tx, span):
        halves = [Half(project, half, span.number) for half in _halves(span.wanted)]
        yield from ticket_words.in_order(tx, expression, halves, max(most * 2, _FIRST))


def _first(tx: ReadTx, span: _Span, most: int) -> list[Any]:
    scans = _scans(tx, span, most, words=False)
    named = union_all(*(select(scan.subquery()) for scan in scans)).subquery()
    ordered = select(named).order_by(named.c.project, named.c.number).limit(most)
    return list(tx.conn.execute(ordered).all())


def _walk(tx: ReadTx, span: _Span) -> Iterator[list[str]]:
    """All that the other filters name, some at a time."""
    spans = [span]
    while spans:
        rows = _first(tx, spans[0], _MANY)
        if rows:
            yield [row.key for row in rows]
            let_others_run()
        spans[:1] = _spans_after(spans[0], rows[-1]) if len(rows) == _MANY else []


def _projects(tx: ReadTx, span: _Span) -> list[str]:
    query = select(projects.c.key).where(*span.bounds(projects.c.key, tickets.c.number))
    return list(tx.conn.scalars(query.order_by(projects.c.key)))


def _holding(tx: ReadTx, words: list[str]) -> Iterator[ColumnElement[bool]]:
    for word in words:
        if is_sqlite(tx.conn):
            yield or_(*_on_sqlite(word))
        else:
            yield or_(*_on_postgres(word))


def _on_sqlite(word: str) -> Iterator[ColumnElement[bool]]:
    for column in (tickets.c.title, tickets.c.body, tickets.c.key):
        yield func.lower(column).like(_pattern(word.lower()), escape="\\")
        if not word.isascii():
            # SQLite folds the case of ASCII only: find such a word at least as it is written.
            yield column.like(_pattern(word), escape="\\")


def _on_postgres(word: str) -> Iterator[ColumnElement[bool]]:
    """The database folds both sides; what its locale does not fold is found in lower case too."""
    yield _TEXT.like(func.lower(_pattern(word)))
    if not word.isascii():
        yield _TEXT.like(_pattern(word.lower()))


def _pattern(word: str) -> str:
    return "%" + re.sub(r"([%_\\])", r"\\\1", word) + "%"


# As the index has it, to the letter. No word holds a line break, so none is found across two.
_TEXT: ColumnElement[str] = literal_column(
    "lower(tickets.title || E'\\n' || tickets.body || E'\\n' || tickets.key)", Text
)
