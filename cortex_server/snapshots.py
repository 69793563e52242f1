"""Whole states, each read in one transaction and shared by all who ask for the same head."""

import json
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select

from cortex_server import log
from cortex_server.auth import Grant
from cortex_server.clock import iso, parse_iso
from cortex_server.db import schema
from cortex_server.domains import label_rows, project_rows, reviews, sessions, settings, ticket_rows
from cortex_server.events.objects import Project, Wire
from cortex_server.store import ReadTx, Store

CACHED_BOARDS = 32
CACHED_OVERVIEWS = 1000
THROUGHPUT = {"1d": timedelta(days=1), "7d": timedelta(days=7)}


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


class Snapshots:
    """Builds states; a board is built once for each project and head."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._boards: OrderedDict[tuple[str, str | None], Snapshot] = OrderedDict()
        self._overviews: dict[str, tuple[tuple[int, str], dict[str, Any]]] = {}

    def board(self, project: str, ticket: str | None = None) -> Snapshot:
        """The board of a project, or only what concerns one ticket of it.

        Raises NotFound when there is no such project.
        """
        with self._store.read() as tx:
            state = log.state(tx.conn)
            cached = self._boards.get((project, ticket))
            if cached and (cached.epoch, cached.head) == (state.epoch, state.head):
                self._boards.move_to_end((project, ticket))
                return replace(cached, floor=state.floor)
            content = _board(tx, project_rows.get(tx, project), ticket)
            seq = log.seq_of(tx.conn, project)
        body = {"epoch": state.epoch, "head": state.head, "seq": seq} | content
        snapshot = Snapshot(state.epoch, state.head, state.floor, seq, log.encode(body).encode())
        self._boards[(project, ticket)] = snapshot
        self._boards.move_to_end((project, ticket))
        while len(self._boards) > CACHED_BOARDS:
            self._boards.popitem(last=False)
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
            rows = [self._overview(tx, project) for project in _projects(tx, grant)]
        totals: dict[str, Any] = {"projects": len(rows)}
        for row in rows:
            _add(totals, {k: v for k, v in row.items() if k not in ("project", "name", "columns")})
        stamp = {"epoch": state.epoch, "head": state.head, "at": tx.now}
        return stamp | {"projects": rows, "totals": totals}

    def _overview(self, tx: ReadTx, project: Project) -> dict[str, Any]:
        """The counts of a project, which are worked out again only when something happened in it.

        Or when a minute has passed: throughput falls by itself.
        """
        stamp = (log.seq_of(tx.conn, project.key), tx.now[:16])
        known = self._overviews.get(project.key)
        if known is None or known[0] != stamp:
            if len(self._overviews) >= CACHED_OVERVIEWS:
                self._overviews.clear()
            known = self._overviews[project.key] = (stamp, _overview(tx, project))
        return known[1]


def _board(tx: ReadTx, project: Project, ticket: str | None) -> dict[str, Any]:
    tickets = schema.tickets
    where = tickets.c.project == project.key
    where &= ~tickets.c.archived if ticket is None else tickets.c.key == ticket
    rows = tx.conn.execute(select(tickets).where(where)).all()
    order = {column.name: place for place, column in enumerate(project.columns)}
    found = ticket_rows.from_rows(tx, rows)
    found.sort(key=lambda t: (order.get(t.status, len(order)), t.rank, t.id))

    open_sessions = sessions.active_of_project(tx, project.key)
    open_reviews = reviews.open_of_project(tx, project.key)
    return {
        "project": project.json_dict(),
        "labels": _json(label_rows.of_project(tx, project.key)),
        "tickets": _json(found),
        "sessions": _json([s for s in open_sessions if ticket in (None, s.ticket)]),
        "attempts": [],
        "reviews": _json([r for r in open_reviews if ticket in (None, r.ticket)]),
        "permissions": [],
        "batches": [],
    }


def _projects(tx: ReadTx, grant: Grant) -> list[Project]:
    query = select(schema.projects).order_by(schema.projects.c.key)
    if grant.projects is not None:
        query = query.where(schema.projects.c.key.in_(sorted(grant.projects)))
    return [project_rows.from_row(row) for row in tx.conn.execute(query)]


def _teams(tx: ReadTx) -> list[dict[str, Any]]:
    rows = tx.conn.execute(select(schema.teams).order_by(schema.teams.c.key))
    return [dict(row._mapping) for row in rows]


def _overview(tx: ReadTx, project: Project) -> dict[str, Any]:
    tickets, sessions_, reviews_ = schema.tickets, schema.sessions, schema.reviews
    mine = (tickets.c.project == project.key) & ~tickets.c.archived
    counted = select(tickets.c.status, func.count()).where(mine).group_by(tickets.c.status)
    by_column = _counts(tx, counted)
    in_project = sessions_.c.project == project.key
    by_status = select(sessions_.c.status, func.count()).where(
        in_project & (sessions_.c.status != "ended")
    )
    working = _counts(tx, by_status.group_by(sessions_.c.status))
    asked = (reviews_.c.project == project.key) & (reviews_.c.state == "requested")
    statuses = ("starting", "working", "idle", "awaiting_input", "error")
    return {
        "project": project.key,
        "name": project.name,
        "columns": {column.name: by_column.get(column.name, 0) for column in project.columns},
        "sessions": {status: working.get(status, 0) for status in statuses},
        "attempts": {"running": 0, "waiting": 0, "failed": 0, "lost": 0},
        "open_reviews": tx.conn.scalar(select(func.count()).select_from(reviews_).where(asked)),
        "open_permissions": 0,
        "throughput": _throughput(tx, project),
    }


def _counts(tx: ReadTx, query: Select[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in tx.conn.execute(query)}


def _throughput(tx: ReadTx, project: Project) -> dict[str, int]:
    """How many tickets entered the done column in each span; each counts once."""
    done = settings.project_values(tx, project)["done_column"]
    events = schema.events
    entered = (events.c.project == project.key) & (events.c.type == "ticket.moved")
    now = parse_iso(tx.now)
    since = iso(now - max(THROUGHPUT.values()))
    query = select(events.c.ticket, events.c.at, events.c.payload).where(
        entered & (events.c.at >= since)
    )
    rows = tx.conn.execute(query.order_by(events.c.position))
    last = {ticket: at for ticket, at, payload in rows if _entered(payload, done)}
    return {
        name: sum(at >= iso(now - span) for at in last.values())
        for name, span in THROUGHPUT.items()
    }


def _entered(moved: str, column: str) -> bool:
    change = json.loads(moved)["changed"].get("status")
    return change is not None and change["to"] == column


def _json(objects: list[Any]) -> list[dict[str, Any]]:
    return [item.json_dict() if isinstance(item, Wire) else item for item in objects]


def _add(totals: dict[str, Any], row: dict[str, Any]) -> None:
    for name, value in row.items():
        if isinstance(value, dict):
            _add(totals.setdefault(name, {}), value)
        else:
            totals[name] = totals.get(name, 0) + value
