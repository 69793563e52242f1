"""Runners: processes that claim attempts. A runner is online until nothing was heard of it for
the time of a lease; that is evaluated when it is read, too."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from cortex_server.clock import later
from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import attempts, runners
from cortex_server.domains import agents, pages, project_rows
from cortex_server.domains.attempt_rows import HAS_RUNNER
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import bump, differences
from cortex_server.errors import Conflict, NotFound
from cortex_server.events.work import Runner
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

FORGOTTEN_S = 30 * 86_400  # offline for so long
_BY_ID = Statement(select(runners).where(runners.c.id == bindparam("id")))
_BY_NAME = Statement(select(runners).where(runners.c.name == bindparam("name")))
_ALL = Statement(select(runners))
_SEEN = Statement(
    update(runners)
    .where(runners.c.id == bindparam("_id"))
    .values(seen_at=bindparam("seen_at"), lease_expires_at=bindparam("until"))
)
_RELEASE = Statement(
    update(attempts)
    .where(
        attempts.c.runner == bindparam("_runner"),
        HAS_RUNNER,
        attempts.c.lease_expires_at > bindparam("now"),
    )
    .values(lease_expires_at=bindparam("now"))
)


def get(tx: ReadTx, runner_id: str) -> Runner:
    row = _BY_ID.one_or_none(tx.conn, id=runner_id.lower())
    if row is None:
        raise NotFound(f"There is no runner {runner_id}; `cortex runner list` shows them.")
    return _runner(row, tx.now)


def every(tx: ReadTx) -> list[Runner]:
    """All runners, by name."""
    # sorted here: the database may go by a language's order, and pages go by this one
    return sorted(
        (_runner(row, tx.now) for row in _ALL.all(tx.conn)), key=lambda runner: runner.name
    )


def listing(
    tx: ReadTx, readable: frozenset[str] | None, limit: int, cursor: str | None
) -> Listing[Runner]:
    """Runners by name: those that serve all projects, or one of the readable ones."""
    after = pages.decode(cursor, str)
    found = [
        runner
        for runner in every(tx)
        if reaches(runner, readable) and (after is None or runner.name > after[0])
    ]
    return pages.page(
        found[: limit + 1], limit, lambda runner: runner, lambda runner: pages.encode(runner.name)
    )


def reaches(runner: Runner, readable: frozenset[str] | None) -> bool:
    """Whether who may read these projects (None for all) may see the runner."""
    return readable is None or runner.projects is None or bool(readable & set(runner.projects))


def within(served: Sequence[str] | None, readable: frozenset[str] | None) -> bool:
    """Whether a token for these projects (None for all) may be a runner that serves those.

    It gets the commands of all of them, and gives up all of their leases.
    """
    return readable is None or (served is not None and readable.issuperset(served))


def register(
    tx: WriteTx, fields: dict[str, Any], lease_s: float, readable: frozenset[str] | None = None
) -> Runner:
    """Note that a runner is there and what it offers. One that comes back by its name keeps its id,
    unless it comes from another machine: then whoever had the name hears that it is no longer his.

    fields: name, host, version, parallel, projects (keys, None for all), agents (each a name, an
    adapter, capabilities), and maybe id, that it was given before. readable: the projects of the
    token that asks, None for all.
    Raises Conflict (runner_name_taken) while another of that name is online, and for the name of
    one that served more than the token may.
    """
    row = _BY_NAME.one_or_none(tx.conn, name=fields["name"])
    if row is not None and not within(row.projects, readable):
        raise Conflict(
            f"A runner {row.name} is of projects that this token is not for. Give this one "
            "another name.",
            code="runner_name_taken",
        )
    offers = sorted(fields["agents"], key=lambda offer: str(offer["name"]))
    plain = {name: fields[name] for name in ("name", "host", "version", "parallel", "projects")}
    plain["agents"] = [offer["name"] for offer in offers]
    touched = agents.of_names(tx, plain["agents"] + ([] if row is None else row.agents))
    if row is None:
        stamps = {"revision": 1, "created_at": tx.now, "updated_at": tx.now}
        seen = {"status": "online", "seen_at": tx.now, "lease_expires_at": later(tx.now, lease_s)}
        runner_id = new_id()
        insertion(runners).run(tx.conn, id=runner_id, **plain, **seen, **stamps)
        _tell(tx, get(tx, runner_id))
    else:
        runner_id = _come_back(tx, row, fields.get("id"), plain, lease_s)
    agents.offered(tx, offers, touched)
    return get(tx, runner_id)


def _come_back(
    tx: WriteTx, row: Any, own_id: str | None, plain: dict[str, Any], lease_s: float
) -> str:
    """Returns its id."""
    before = _runner(row, tx.now)  # offline, too, when nobody has said so yet
    if own_id != row.id and plain["host"] != row.host:
        before = _take_over(tx, row, before)
    changed = differences(before, {**plain, "status": "online"})
    _SEEN.run(tx.conn, _id=before.id, seen_at=tx.now, until=later(tx.now, lease_s))
    if changed:
        bump(tx, runners, before.id, before, changed)
        _tell(tx, get(tx, before.id), before.projects)
    return before.id


def _take_over(tx: WriteTx, row: Any, before: Runner) -> Runner:
    """Pass the name on. Raises Conflict (runner_name_taken) while it is in use."""
    if before.status == "online":
        raise Conflict(
            f"A runner {row.name} is online on {row.host}. Give this one another name, or end "
            f"that one first; if it is gone already, this name is free at {row.lease_expires_at}.",
            code="runner_name_taken",
        )
    if row.status == "online":
        before = _go_offline(tx, _runner(row, None))
    other = new_id()
    tx.conn.execute(update(runners).where(runners.c.id == row.id).values(id=other))
    return before.model_copy(update={"id": other})


def heard_of(tx: WriteTx, runner: Runner, lease_s: float) -> Runner:
    """Note a sign of life; one that was offline is online again."""
    before = get(tx, runner.id)
    _SEEN.run(tx.conn, _id=runner.id, seen_at=tx.now, until=later(tx.now, lease_s))
    if before.status == "offline":
        bump(tx, runners, runner.id, before, {"status": "online"})
        _tell(tx, get(tx, runner.id))
    return get(tx, runner.id)


def leave(tx: WriteTx, runner: Runner) -> Runner:
    """Note that it ends, with all that it ran. What it has not told the end of has no owner."""
    _RELEASE.run(tx.conn, _runner=runner.name, now=tx.now)
    stored = _runner(_BY_ID.one(tx.conn, id=runner.id), None)
    return _go_offline(tx, stored) if stored.status == "online" else stored


def silence(tx: WriteTx) -> list[Runner]:
    """Say of those that were not heard of for long that they are offline. Returns them."""
    return [
        _go_offline(tx, _runner(row, None))
        for row in _ALL.all(tx.conn)
        if row.status == "online" and row.lease_expires_at <= tx.now
    ]


def forget(tx: WriteTx) -> int:
    """Delete those that are offline for a month. Returns how many."""
    oldest = later(tx.now, -FORGOTTEN_S)
    gone = [row for row in _ALL.all(tx.conn) if row.status == "offline" and row.seen_at <= oldest]
    touched = agents.of_names(tx, [agent for row in gone for agent in row.agents])
    for row in gone:
        tx.conn.execute(delete(runners).where(runners.c.id == row.id))
    agents.offered(tx, [], touched)
    return len(gone)


def _go_offline(tx: WriteTx, stored: Runner) -> Runner:
    bump(tx, runners, stored.id, stored, {"status": "offline"})
    offline = get(tx, stored.id)
    _tell(tx, offline)
    return offline


def _tell(tx: WriteTx, runner: Runner, before: Sequence[str] | None = ()) -> None:
    """Emit its status for each project that it serves, or once for all.

    before: the projects that it served until now, which are to know as well.
    """
    scopes: Iterable[str | None] = [None]
    if runner.projects is not None and before is not None:
        named = {*runner.projects, *before}
        scopes = sorted(key for key in named if project_rows.find(tx, key))  # one may be deleted
    for project in scopes:
        tx.emit(f"runner.{runner.status}", runner, project)


def _runner(row: Any, now: str | None) -> Runner:
    """now: the time at which it is read; None for what is stored."""
    fields = row._asdict()
    expires_at = fields.pop("lease_expires_at")
    if now is not None and expires_at <= now:
        fields["status"] = "offline"
    return Runner.model_validate(fields)
