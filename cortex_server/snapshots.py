"""Whole states, each read in one transaction and shared by all who ask for the same head."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from zlib import crc32

from sqlalchemy import bindparam, func, select

from cortex_server import log
from cortex_server.auth import Grant
from cortex_server.clock import iso
from cortex_server.db import schema
from cortex_server.db.statements import Statement
from cortex_server.domains import board_work, boards, overviews, project_rows, runners
from cortex_server.domains.overviews import Overview
from cortex_server.events.objects import Project, Wire
from cortex_server.events.work import Runner
from cortex_server.flights import Flights
from cortex_server.store import ReadTx, Store

CACHED_BOARDS = 32
CACHED_BYTES = 128 * 2**20  # of all kept boards, each with its frame
CACHED_OVERVIEWS = 1000


@dataclass(frozen=True)
class Snapshot:
    """body: the JSON of the state at `head`, as bytes · seq: of the project, None for several.

    statuses: of each recent attempt its ticket and its frame · until: what is shown of attempts is
    true until then, None: until something happens.
    """

    epoch: str
    head: int
    floor: int
    seq: int | None
    body: bytes
    statuses: tuple[tuple[str, bytes], ...] = ()
    until: str | None = None

    @property
    def id(self) -> str:
        return f"{self.epoch}.{self.head}"

    @cached_property
    def tag(self) -> str:
        """Stands for these very bytes: leases run out, and days pass, without an event."""
        return f"{self.id}.{crc32(self.body):08x}" if self.statuses else self.id

    @cached_property
    def all_statuses(self) -> bytes:
        """The frames of all recent attempts, joined once."""
        return b"".join(frame for _, frame in self.statuses)

    def statuses_of(self, ticket: str | None) -> bytes:
        """The frames of all recent attempts, or of those on one ticket."""
        if ticket is None:
            return self.all_statuses
        return b"".join(frame for of, frame in self.statuses if of == ticket)

    @cached_property
    def frame(self) -> bytes:
        """The event `state`, joined once for all streams that begin with it."""
        return b"id: %s\nevent: state\ndata: %s\n\n" % (self.id.encode(), self.body)


@dataclass(frozen=True)
class Dashboard:
    """until: a lease runs out then, and what is shown of attempts is to be read again."""

    body: dict[str, Any]
    until: str | None


class Snapshots:
    """Builds states; a board is built once for each project and head."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._flights: Flights[Snapshot] = Flights()
        self._boards: OrderedDict[tuple[str, str | None], Snapshot] = OrderedDict()
        self._overviews: dict[str, tuple[tuple[int, str], Overview]] = {}
        self._seqs: tuple[int, dict[str, int]] = (-1, {})

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
        if kept and kept.head == head and self._holds(kept):
            self._boards.move_to_end((project, ticket))
            return kept
        with self._store.read() as tx:
            state = log.state(tx.conn)
            kept = self._boards.get((project, ticket))
            same = kept and (kept.epoch, kept.head) == (state.epoch, state.head)
            if kept and same and self._holds(kept):
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
        board = boards.encoded(tx, found, ticket, stamp)
        of = (state.epoch, state.head, state.floor, seq)
        snapshot = Snapshot(*of, board.body, board.statuses, board.until)
        return self._keep((project, ticket), snapshot)

    def _holds(self, kept: Snapshot) -> bool:
        """Whether no lease has run out since: an attempt without an owner never reads as running.

        One that was renewed in the meantime reads as before.
        """
        return kept.until is None or iso(self._store.clock.now()) < kept.until

    def _keep(self, key: tuple[str, str | None], snapshot: Snapshot) -> Snapshot:
        self._boards[key] = snapshot
        self._boards.move_to_end(key)
        size = sum(2 * len(board.body) for board in self._boards.values())
        while len(self._boards) > 1 and (len(self._boards) > CACHED_BOARDS or size > CACHED_BYTES):
            size -= 2 * len(self._boards.popitem(last=False)[1].body)
        return snapshot

    def firehose(self, grant: Grant) -> Snapshot:
        """The projects that the token may read, the teams, and what attempts are at work."""
        with self._store.read() as tx:
            state = log.state(tx.conn)
            content = {"projects": _json(_projects(tx, grant)), "teams": _teams(tx)}
            at_work = board_work.statuses(tx, board_work.at_work(tx, grant.projects))
        body = {"epoch": state.epoch, "head": state.head} | content
        encoded = log.encode(body).encode()
        return Snapshot(state.epoch, state.head, state.floor, None, encoded, at_work)

    def seqs(self, grant: Grant, position: int) -> dict[str, int]:
        """The seq that each project which the token may read had at a position near the head.

        It is worked out once for each position, and counts what came since: little, that is.
        """
        if self._seqs[0] != position:
            with self._store.read() as tx:
                keys = tx.conn.execute(select(schema.projects.c.key)).scalars().all()
                later = {row.project: row.count for row in _LATER.all(tx.conn, position=position)}
                now = {row.key: row.seq for row in _SEQS.all(tx.conn)}
            since: dict[str, int] = {}
            for key, count in later.items():
                since[key.lower()] = since.get(key.lower(), 0) + count
            found = {key: now[key.lower()] - since.get(key.lower(), 0) for key in keys}
            self._seqs = (position, found)
        known = self._seqs[1]
        return {k: n for k, n in known.items() if grant.projects is None or k in grant.projects}

    def dashboard(self, grant: Grant) -> Dashboard:
        """What is where in all projects that the token may read, and which runners serve them."""
        with self._store.read() as tx:
            state = log.state(tx.conn)
            seqs = {row.key: row.seq for row in _SEQS.all(tx.conn)}
            found = [
                self._overview(tx, project, seqs[project.key.lower()])
                for project in _projects(tx, grant)
            ]
            seen = [one for one in runners.every(tx) if runners.reaches(one, grant.projects)]
        totals: dict[str, Any] = {"projects": len(found)}
        for one in found:
            left_out = ("project", "name", "columns")
            _add(totals, {k: v for k, v in one.counts.items() if k not in left_out})
        body = {
            "epoch": state.epoch, "head": state.head, "at": tx.now,
            "projects": [one.counts for one in found],
            "totals": totals,
            "attempts": _oldest([item for one in found for item in one.attempts], "created_at"),
            "needs": _oldest([item for one in found for item in one.needs], "at"),
            "runners": [_runner(one) for one in seen],
        }  # fmt: skip
        return Dashboard(body, min((one.until for one in found if one.until), default=None))

    def _overview(self, tx: ReadTx, project: Project, seq: int) -> Overview:
        """Of one project. It is worked out again only when something happened in it.

        Or when a minute has passed, throughput falls by itself, or a lease has run out.
        """
        stamp = (seq, tx.now[:16])
        known = self._overviews.get(project.key)
        over = known is not None and known[1].until is not None and known[1].until <= tx.now
        if known is None or known[0] != stamp or over:
            if len(self._overviews) >= CACHED_OVERVIEWS:
                self._overviews.clear()
            known = self._overviews[project.key] = (stamp, overviews.of_project(tx, project))
        return known[1]


def _oldest(items: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: (item[by], item["id"]))[: overviews.MOST]


def _runner(runner: Runner) -> dict[str, Any]:
    shown = ("id", "name", "host", "status", "parallel", "agents", "seen_at")
    return {name: getattr(runner, name) for name in shown}


def _projects(tx: ReadTx, grant: Grant) -> list[Project]:
    query = select(schema.projects).order_by(schema.projects.c.key)
    if grant.projects is not None:
        query = query.where(schema.projects.c.key.in_(sorted(grant.projects)))
    return [project_rows.from_row(row) for row in tx.conn.execute(query)]


def _teams(tx: ReadTx) -> list[dict[str, Any]]:
    rows = tx.conn.execute(select(schema.teams).order_by(schema.teams.c.key))
    return [dict(row._mapping) for row in rows]


_SEQS = Statement(select(schema.project_counters.c.key, schema.project_counters.c.seq))
_LATER = Statement(
    select(schema.events.c.project, func.count().label("count"))
    .where(schema.events.c.position > bindparam("position"))
    .where(schema.events.c.project.is_not(None))
    .group_by(schema.events.c.project)
)


def _json(objects: list[Any]) -> list[dict[str, Any]]:
    return [item.json_dict() if isinstance(item, Wire) else item for item in objects]


def _add(totals: dict[str, Any], row: dict[str, Any]) -> None:
    for name, value in row.items():
        if isinstance(value, dict):
            _add(totals.setdefault(name, {}), value)
        else:
            totals[name] = totals.get(name, 0) + value
