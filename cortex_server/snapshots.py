"""Whole states, each read in one transaction and shared by all who ask for the same head."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlalchemy import bindparam, func, literal_column, select

from cortex_server import log
from cortex_server.auth import Grant
from cortex_server.db import schema
from cortex_server.db.statements import Statement
from cortex_server.domains import arrivals, boards, project_rows, settings
from cortex_server.domains.sessions import ACTIVE
from cortex_server.events.objects import Project, Wire
from cortex_server.flights import Flights
from cortex_server.store import ReadTx, Store

CACHED_BOARDS = 32
CACHED_BYTES = 128 * 2**20  # of all kept boards, each with its frame
CACHED_OVERVIEWS = 1000


@dataclass(frozen=True)
class Snapshot:
    """body: the JSON of the state at `head`, as bytes · seq: of the project, None for several."""

    epoch: str
    head: int
    floor: int
    seq: int | None
    body: bytes

    @property
    def id(self) -> str:
        return f"{self.epoch}.{self.head}"

    @cached_property
    def frame(self) -> bytes:
        """The event `state`, joined once for all streams that begin with it."""
        return b"id: %s\nevent: state\ndata: %s\n\n" % (self.id.encode(), self.body)


class Snapshots:
    """Builds states; a board is built once for each project and head."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._flights: Flights[Snapshot] = Flights()
        self._boards: OrderedDict[tuple[str, str | None], Snapshot] = OrderedDict()
        self._overviews: dict[str, tuple[tuple[int, str], dict[str, Any]]] = {}

    def board(self, project: str, ticket: str | None = None, head: int | None = None) -> Snapshot:
        """The board of a project, or only what concerns one ticket of it.

        head: who knows the newest position says so, and a kept state of it costs no transaction;
        its `floor` may then be outdated. Raises NotFound when there is no such project.
        """
        while (found := self._board(project, ticket, head)) is None:
            pass
        return found

    def _board(self, project: str, ticket: str | None, head: int | None) -> Snapshot | None:
        """As `board`; None when another was building it and failed, or has just ended."""
        kept = self._boards.get((project, ticket))
        if kept and kept.head == head:
            self._boards.move_to_end((project, ticket))
            return kept
        with self._store.read() as tx:
            state = log.state(tx.conn)
            kept = self._boards.get((project, ticket))
            if kept and (kept.epoch, kept.head) == (state.epoch, state.head):
                self._boards.move_to_end((project, ticket))
                if kept.floor == state.floor:
                    return kept
                return self._keep((project, ticket), replace(kept, floor=state.floor))
            if not self._flights.begun((project, ticket, state)):
                return self._flights.share(
                    (project, ticket, state), lambda: self._build(tx, state, project, ticket)
                )
        # Without the transaction: while it waits it must not hold a connection.
        return self._flights.result((project, ticket, state))

    def _build(self, tx: ReadTx, state: log.LogState, project: str, ticket: str | None) -> Snapshot:
        found = project_rows.get(tx, project)
        seq = log.seq_of(tx.conn, project)
        stamp = {"epoch": state.epoch, "head": state.head, "seq": seq}
        body = boards.encoded(tx, found, ticket, stamp)
        snapshot = Snapshot(state.epoch, state.head, state.floor, seq, body)
        return self._keep((project, ticket), snapshot)

    def _keep(self, key: tuple[str, str | None], snapshot: Snapshot) -> Snapshot:
        self._boards[key] = snapshot
        self._boards.move_to_end(key)
        size = sum(2 * len(board.body) for board in self._boards.values())
        while len(self._boards) > 1 and (len(self._boards) > CACHED_BOARDS or size > CACHED_BYTES):
            size -= 2 * len(self._boards.popitem(last=False)[1].body)
        return snapshot

    def firehose(self, grant: Grant) -> Snapshot:
        """The projects that the token may read, and the teams."""
        with self._store.read() as tx:
            state = log.state(tx.conn)
            content = {"projects": _json(_projects(tx, grant)), "teams": _teams(tx)}
        body = {"epoch": state.epoch, "head": state.head} | content
        return Snapshot(state.epoch, state.head, state.floor, None, log.encode(body).encode())

    def dashboard(self, grant: Grant) -> dict[str, Any]:
        """Counts of all projects that the token may read."""
        with self._store.read() as tx:
            state = log.state(tx.conn)
            seqs = {row.key: row.seq for row in _SEQS.all(tx.conn)}
            rows = [
                self._overview(tx, project, seqs[project.key.lower()])
                for project in _projects(tx, grant)
            ]
        totals: dict[str, Any] = {"projects": len(rows)}
        for row in rows:
            _add(totals, {k: v for k, v in row.items() if k not in ("project", "name", "columns")})
        stamp = {"epoch": state.epoch, "head": state.head, "at": tx.now}
        return stamp | {"projects": rows, "totals": totals}

    def _overview(self, tx: ReadTx, project: Project, seq: int) -> dict[str, Any]:
        """The counts of a project, which are worked out again only when something happened in it.

        Or when a minute has passed: throughput falls by itself.
        """
        stamp = (seq, tx.now[:16])
        known = self._overviews.get(project.key)
        if known is None or known[0] != stamp:
            if len(self._overviews) >= CACHED_OVERVIEWS:
                self._overviews.clear()
            known = self._overviews[project.key] = (stamp, _overview(tx, project))
        return known[1]


def _projects(tx: ReadTx, grant: Grant) -> list[Project]:
    query = select(schema.projects).order_by(schema.projects.c.key)
    if grant.projects is not None:
        query = query.where(schema.projects.c.key.in_(sorted(grant.projects)))
    return [project_rows.from_row(row) for row in tx.conn.execute(query)]


def _teams(tx: ReadTx) -> list[dict[str, Any]]:
    rows = tx.conn.execute(select(schema.teams).order_by(schema.teams.c.key))
    return [dict(row._mapping) for row in rows]


def _overview(tx: ReadTx, project: Project) -> dict[str, Any]:
    by_column = _counts(tx, _CARDS, project)
    working = _counts(tx, _WORKING, project)
    done = settings.project_values(tx, project)["done_column"]
    return {
        "project": project.key,
        "name": project.name,
        "columns": {column.name: by_column.get(column.name, 0) for column in project.columns},
        "sessions": {status: working.get(status, 0) for status in ACTIVE},
        "attempts": {"running": 0, "waiting": 0, "failed": 0, "lost": 0},
        "open_reviews": _ASKED.scalar(tx.conn, project=project.key),
        "open_permissions": 0,
        "throughput": arrivals.throughput(tx, project.key, done),
    }


_SEQS = Statement(select(schema.project_counters.c.key, schema.project_counters.c.seq))
_CARDS = Statement(
    select(schema.tickets.c.status, func.count())
    .where(schema.tickets.c.project == bindparam("project"), schema.tickets.c.archived.is_(False))
    .group_by(schema.tickets.c.status)
)
_WORKING = Statement(
    select(schema.sessions.c.status, func.count())
    .where(schema.sessions.c.project == bindparam("project"))
    .where(schema.sessions.c.status.in_([literal_column(f"'{name}'") for name in ACTIVE]))
    .group_by(schema.sessions.c.status)
)
_ASKED = Statement(
    select(func.count())
    .select_from(schema.reviews)
    .where(schema.reviews.c.project == bindparam("project"))
    .where(schema.reviews.c.state == "requested")
)


def _counts(tx: ReadTx, counted: Statement, project: Project) -> dict[str, int]:
    return {row[0]: row[1] for row in counted.all(tx.conn, project=project.key)}


def _json(objects: list[Any]) -> list[dict[str, Any]]:
    return [item.json_dict() if isinstance(item, Wire) else item for item in objects]


def _add(totals: dict[str, Any], row: dict[str, Any]) -> None:
    for name, value in row.items():
        if isinstance(value, dict):
            _add(totals.setdefault(name, {}), value)
        else:
            totals[name] = totals.get(name, 0) + value
