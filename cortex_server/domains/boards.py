"""The content of a board, encoded in slices: a large one keeps nobody waiting."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, select

from cortex_server import log
from cortex_server.db.schema import labels, ticket_dependencies, ticket_labels, tickets
from cortex_server.db.statements import Statement
from cortex_server.domains import board_work, label_rows, reviews, sessions, ticket_rows
from cortex_server.domains.rows import let_others_run
from cortex_server.events.objects import Project, Ticket, Wire
from cortex_server.store import ReadTx

_Names = dict[str, list[str]]
_SLICE = 250  # tickets
_DERIVED = ("labels", "depends_on")


@dataclass(frozen=True)
class Board:
    """body: as JSON · statuses, until: see `board_work.Work`."""

    body: bytes
    statuses: tuple[tuple[str, bytes], ...]
    until: str | None


def _of_slice(query: Select[Any]) -> Statement:
    """The query for the cards of a project whose numbers are above `after` and up to `last`."""
    return Statement(
        query.where(
            tickets.c.project == bindparam("project"),
            tickets.c.archived.is_(False),
            tickets.c.number > bindparam("after"),
            tickets.c.number <= bindparam("last"),
        )
    )


_CARDS = Statement(
    select(*(tickets.c[name] for name in Ticket.model_fields if name not in _DERIVED))
    .where(
        tickets.c.project == bindparam("project"),
        tickets.c.archived.is_(False),
        tickets.c.number > bindparam("after"),
    )
    .order_by(tickets.c.number)
    .limit(_SLICE)
)
_LABELS = _of_slice(
    select(tickets.c.key, labels.c.name)
    .join(ticket_labels, ticket_labels.c.ticket == tickets.c.key)
    .join(labels, labels.c.id == ticket_labels.c.label)
)
_NEEDS = _of_slice(
    select(tickets.c.key, ticket_dependencies.c.depends_on).join(
        ticket_dependencies, ticket_dependencies.c.ticket == tickets.c.key
    )
)


def encoded(tx: ReadTx, project: Project, ticket: str | None, stamp: dict[str, Any]) -> Board:
    """The board: the stamp, then the content; or only what concerns one ticket."""
    cards = _cards(tx, project) if ticket is None else _card(tx, project, ticket)
    open_sessions = sessions.active_of_project(tx, project.key)
    open_reviews = reviews.open_of_project(tx, project.key)
    work = board_work.of_board(tx, project.key, ticket)
    before = stamp | {
        "project": project.json_dict(),
        "labels": _json(label_rows.of_project(tx, project.key)),
    }
    between = {"sessions": _json([s for s in open_sessions if ticket in (None, s.ticket)])}
    behind = {
        "reviews": _json([r for r in open_reviews if ticket in (None, r.ticket)]),
        "permissions": work.permissions,
        "batches": work.batches,
    }
    pieces = (
        log.encode(before)[:-1],
        ',"tickets":[',
        ",".join(cards),
        "],",
        log.encode(between)[1:-1],
        ',"attempts":[',
        ",".join(work.attempts),
        "],",
        log.encode(behind)[1:],
    )
    return Board("".join(pieces).encode(), work.statuses, work.until)


def _cards(tx: ReadTx, project: Project) -> list[str]:
    """The cards of all columns in board order, each of them as JSON.

    They are not made into objects first, which would cost ten times as much.
    """
    order = {column.name: place for place, column in enumerate(project.columns)}
    found = []
    for rows, names, needs in _slices(tx, project.key):
        for row in rows:
            fields = row._asdict()
            fields["labels"] = sorted(names.get(row.key, ()))
            fields["depends_on"] = sorted(needs.get(row.key, ()))
            place = order.get(row.status, len(order))
            found.append((place, row.rank, row.id, log.encode(fields)))
        let_others_run()
    found.sort()
    return [card for *_, card in found]


def _slices(tx: ReadTx, project: str) -> Iterator[tuple[Sequence[Any], _Names, _Names]]:
    """The rows of cards by number, with their labels and dependencies by key."""
    after = 0
    while rows := _CARDS.all(tx.conn, project=project, after=after):
        bounds = {"project": project, "after": after, "last": rows[-1].number}
        yield rows, _by_key(_LABELS.all(tx.conn, **bounds)), _by_key(_NEEDS.all(tx.conn, **bounds))
        after = rows[-1].number


def _by_key(pairs: Sequence[Any]) -> _Names:
    found: _Names = defaultdict(list)
    for key, name in pairs:
        found[key].append(name)
    return found


def _card(tx: ReadTx, project: Project, key: str) -> list[str]:
    ticket = ticket_rows.find(tx, key)
    if ticket is None or ticket.project != project.key:
        return []
    return [log.encode(ticket.json_dict())]


def _json(objects: Sequence[Wire]) -> list[dict[str, Any]]:
    return [item.json_dict() for item in objects]
