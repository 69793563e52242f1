"""Snapshots: what is in them, and that an unchanged board is built once."""

import json

import pytest

from cortex_server import log
from cortex_server import snapshots as snapshots_module
from cortex_server.domains import projects, reviews, sessions, settings, teams, tickets
from cortex_server.errors import NotFound
from cortex_server.snapshots import CACHED_BOARDS, Snapshots
from tests.support.stores import ALICE


@pytest.fixture
def snapshots(store):
    return Snapshots(store)


def grant(projects_=None, ticket=None):
    from cortex_server.auth import Grant

    keys = None if projects_ is None else frozenset(projects_)
    return Grant("t", "read", ALICE, keys, ticket, None)


def board(snapshots, *arguments):
    return json.loads(snapshots.board(*arguments).body)


def state(store):
    with store.read() as tx:
        return log.state(tx.conn)


def test_a_board_holds_what_is_open_in_board_order(store, do, see, snapshots, project):
    def card(**fields):
        return do(tickets.create, project, {"title": "x", **fields})

    done, second = card(status="done"), card()
    first = card(position=0, labels=["Zeta", "alpha"])
    card(archived=True)
    session = do(sessions.start, done, {})
    ended = do(sessions.start, done, {})
    do(sessions.end, ended, None, None)
    asked = do(reviews.request, done, {"summary": "x"})
    answered = do(reviews.request, done, {"summary": "y"})
    do(reviews.patch, answered, {"state": "approved"}, None)

    found = board(snapshots, "CTX")
    assert list(found) == [
        "epoch", "head", "seq", "project", "labels", "tickets", "sessions", "attempts", "reviews",
        "permissions", "batches",
    ]  # fmt: skip
    now = state(store)
    assert (found["epoch"], found["head"]) == (now.epoch, now.head)
    assert found["seq"] == now.head  # there is one project, and nothing outside of it
    assert found["project"] == see(projects.get, "CTX").json_dict()
    keys = [first.key, second.key, done.key]
    assert found["tickets"] == [see(tickets.get, key).json_dict() for key in keys]
    assert [label["name"] for label in found["labels"]] == ["alpha", "Zeta"]
    assert found["sessions"] == [see(sessions.get, session.id).json_dict()]
    assert found["reviews"] == [see(reviews.get, asked.id).json_dict()]
    assert found["attempts"] == found["permissions"] == found["batches"] == []


def test_a_snapshot_knows_its_position(store, snapshots, project):
    snapshot = snapshots.board("CTX")
    now = state(store)
    assert (snapshot.epoch, snapshot.head, snapshot.floor, snapshot.seq) == (
        now.epoch, 1, 0, 1,
    )  # fmt: skip
    assert snapshot.id == f"{now.epoch}.1"
    assert snapshot.body.isascii()
    assert b"\n" not in snapshot.body


def test_a_board_is_built_once_for_each_head(store, do, snapshots, project):
    first = snapshots.board("CTX")
    assert snapshots.board("CTX").body is first.body
    do(tickets.create, project, {"title": "x"})
    second = snapshots.board("CTX")
    assert (second.head, len(json.loads(second.body)["tickets"])) == (2, 1)
    assert snapshots.board("CTX").body is second.body


def test_a_kept_board_knows_that_the_log_was_pruned(store, snapshots, project):
    snapshots.board("CTX")
    with store.write(ALICE) as tx:
        log.prune(tx.conn, "", 0)
    assert snapshots.board("CTX").floor == 1


def test_a_board_is_never_from_before_a_new_epoch(store, snapshots, project):
    from sqlalchemy import update

    from cortex_server.db.schema import log_state

    snapshots.board("CTX")
    with store.write(ALICE) as tx:
        tx.conn.execute(update(log_state).values(epoch="feedbeef"))
    assert board(snapshots, "CTX")["epoch"] == "feedbeef"


def test_only_so_many_boards_are_kept(do, snapshots):
    for number in range(CACHED_BOARDS + 3):
        do(projects.create, {"key": f"P{number}", "name": "x"})
    kept = snapshots.board("P0").body
    for number in range(CACHED_BOARDS + 3):
        snapshots.board(f"P{number}")
        snapshots.board("P0")
    assert snapshots.board("P0").body is kept
    assert len(snapshots._boards) == CACHED_BOARDS


def test_kept_boards_are_bounded_by_their_bytes_and_the_newest_is_kept(do, snapshots, monkeypatch):
    for key in ("A", "B", "C"):
        do(projects.create, {"key": key, "name": "x"})
    size = max(2 * len(snapshots.board(key).body) for key in ("A", "B", "C"))
    monkeypatch.setattr(snapshots_module, "CACHED_BYTES", 2 * size)
    large = do(projects.create, {"key": "D", "name": "x"})  # a new head: all are built again
    for key in ("A", "B", "C"):
        snapshots.board(key)
    assert [key for key, _ in snapshots._boards] == ["B", "C"]
    do(tickets.create, large, {"title": "x", "body": "x" * 2 * size})
    kept = snapshots.board("D").body
    assert [key for key, _ in snapshots._boards] == ["D"]
    assert snapshots.board("D").body is kept


def test_a_board_of_one_ticket_has_what_concerns_it(do, snapshots, project):
    mine, other = (do(tickets.create, project, {"title": "x"}) for _ in range(2))
    for ticket in (mine, other):
        do(sessions.start, ticket, {})
        do(reviews.request, ticket, {"summary": "x"})
    found = board(snapshots, "CTX", mine.key)
    assert [t["key"] for t in found["tickets"]] == [mine.key]
    assert {s["ticket"] for s in found["sessions"]} == {mine.key}
    assert {r["ticket"] for r in found["reviews"]} == {mine.key}
    assert len(board(snapshots, "CTX")["tickets"]) == 2


def test_there_is_no_board_of_nothing(do, snapshots, project):
    snapshots.board("CTX")
    do(projects.delete, project, None)
    for key in ("CTX", "nowhere"):
        with pytest.raises(NotFound):
            snapshots.board(key)


def test_the_firehose_has_readable_projects_and_all_teams(do, see, snapshots):
    team = do(teams.create, {"key": "T", "name": "t"})
    for key in ("B", "A"):
        do(projects.create, {"key": key, "name": key})
    whole = json.loads(snapshots.firehose(grant()).body)
    assert [p["key"] for p in whole["projects"]] == ["A", "B"]
    assert whole["teams"] == [team.json_dict()]
    some = json.loads(snapshots.firehose(grant(["B"])).body)
    assert some["projects"] == [see(projects.get, "B").json_dict()]
    assert snapshots.firehose(grant([])).seq is None


# the dashboard


def overview(snapshots, *readable):
    return snapshots.dashboard(grant(readable or None)).body


def test_the_dashboard_counts(store, do, snapshots, clock, project):
    first = do(tickets.create, project, {"title": "x"})
    do(tickets.create, project, {"title": "x", "status": "done"})
    do(tickets.create, project, {"title": "x", "archived": True})
    for status in ("working", "working", "awaiting_input", "error"):
        do(sessions.start, first, {"status": status})
    do(sessions.end, do(sessions.start, first, {}), None, None)
    do(reviews.request, first, {"summary": "x"})
    found = overview(snapshots)
    now = state(store)
    assert (found["epoch"], found["head"]) == (now.epoch, now.head)
    assert found["at"] == "2026-01-26T15:53:01.717454Z"
    (row,) = found["projects"]
    assert row == {
        "project": "CTX", "name": "Cortex",
        "columns": {"backlog": 1, "progress": 0, "review": 0, "done": 1},
        "sessions": {"starting": 0, "working": 2, "idle": 0, "awaiting_input": 1, "error": 1},
        "attempts": {"queued": 0, "running": 0, "waiting": 0, "failed": 0, "lost": 0},
        "open_reviews": 1, "open_permissions": 0, "needs": 1, "throughput": {"1d": 0, "7d": 0},
    }  # fmt: skip


def test_the_totals_are_the_sums_and_stay_so(do, snapshots):
    for key in ("A", "B"):
        project = do(projects.create, {"key": key, "name": key})
        for _ in range(2):
            ticket = do(tickets.create, project, {"title": "x"})
            do(sessions.start, ticket, {"status": "idle"})
            do(tickets.move, ticket, "done", None, None)
    for _ in range(3):
        totals = overview(snapshots)["totals"]
        assert totals["projects"] == 2
        assert totals["sessions"]["idle"] == 4
        assert totals["throughput"] == {"1d": 4, "7d": 4}
    assert overview(snapshots, "B")["totals"]["sessions"]["idle"] == 2
    assert [p["project"] for p in overview(snapshots, "B")["projects"]] == ["B"]


def test_the_dashboard_of_nothing(snapshots):
    found = overview(snapshots)
    assert found["projects"] == []
    assert found["totals"] == {"projects": 0}


def test_throughput_is_what_entered_the_last_column_in_time(do, see, snapshots, clock, project):
    day = 86_400

    def throughput():
        return overview(snapshots)["projects"][0]["throughput"]

    first, second = (do(tickets.create, project, {"title": "x"}) for _ in range(2))
    do(tickets.move, first, "done", None, None)
    clock.advance(2 * day)
    do(tickets.patch, second, {"status": "done"}, None)
    assert throughput() == {"1d": 1, "7d": 2}
    do(tickets.move, see(tickets.get, second.key), "done", 0, None)
    do(tickets.move, see(tickets.get, first.key), "review", None, None)
    do(tickets.move, see(tickets.get, first.key), "done", None, None)
    assert throughput() == {"1d": 2, "7d": 2}, "each ticket counts once, by its last entry"
    clock.advance(5 * day)
    assert throughput() == {"1d": 0, "7d": 2}
    clock.advance(3 * day)
    assert throughput() == {"1d": 0, "7d": 0}


def test_the_column_that_counts_as_done_is_a_setting(do, snapshots, project):
    ticket = do(tickets.create, project, {"title": "x"})
    do(tickets.move, ticket, "review", None, None)
    assert overview(snapshots)["projects"][0]["throughput"]["1d"] == 0
    do(settings.patch, "CTX", {"done_column": "review"}, None)
    assert overview(snapshots)["projects"][0]["throughput"]["1d"] == 1


def test_every_change_of_a_project_shows_on_the_next_overview(do, see, snapshots, project):
    """Counts are kept for as long as nothing happens in the project: everything has to end that."""

    def row():
        return json.dumps(overview(snapshots)["projects"][0])

    ticket = do(tickets.create, project, {"title": "x"})
    seen = [row()]
    session = do(sessions.start, ticket, {"status": "working"})
    seen.append(row())
    do(sessions.patch, session, {"status": "idle"}, None)
    seen.append(row())
    do(reviews.request, ticket, {"summary": "x"})
    seen.append(row())
    do(tickets.patch, ticket, {"archived": True}, None)
    seen.append(row())
    do(projects.patch, see(projects.get, "CTX"), {"name": "New"}, None)
    seen.append(row())
    do(projects.delete, see(projects.get, "CTX"), None)
    do(projects.create, {"key": "CTX", "name": "Again"})
    seen.append(row())
    assert len(set(seen)) == len(seen)
