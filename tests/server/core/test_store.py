"""Transactions: all or nothing, told after the commit, in order, and to every receiver."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import gevent
import pytest
from sqlalchemy import text

from cortex_server import commits, log, signals
from cortex_server.db import faults, postgres
from cortex_server.domains import projects, teams, tickets
from cortex_server.errors import NotFound, StorageFull, Unavailable
from cortex_server.store import Store
from tests.support.databases import empty_engine, fresh_sqlite, make_store
from tests.support.in_process import until
from tests.support.stores import ALICE, doing, read_log

TYPES = ("team.created", "project.created", "project.deleted", "label.created", "ticket.created")


class Heard:
    """Receives the events of a store; notes for each what another reader sees committed then."""

    def __init__(self, store):
        self.store = store
        self.positions, self.heads, self.types = [], [], []
        for name in TYPES:
            signals.event(name).connect(self.receive, sender=store)

    def receive(self, sender, event):
        assert sender is self.store
        self.positions.append(event.position)
        self.types.append(event.type)
        self.heads.append(head(self.store))


@pytest.fixture
def heard(store):
    return Heard(store)


def head(store):
    with store.read() as tx:
        return log.state(tx.conn).head


def team(tx, key):
    return teams.create(tx, {"key": key, "name": key})


def test_signals_go_out_after_the_commit_in_the_order_of_the_events(store, heard):
    with store.write(ALICE) as tx:
        project = projects.create(tx, {"key": "CTX", "name": "x"})
        tickets.create(tx, project, {"title": "x", "labels": ["b", "a"]})
        team(tx, "T")
        assert heard.types == []
    assert heard.types == [
        "project.created", "label.created", "label.created", "ticket.created", "team.created",
    ]  # fmt: skip
    assert heard.positions == [1, 2, 3, 4, 5]
    assert heard.heads == [5] * 5
    assert store.published == 5


def test_a_rollback_tells_nobody_and_keeps_nothing(store, do, heard):
    told = []
    receiver = told.append
    signals.internal("x").connect(lambda *_: receiver(1), sender=store, weak=False)

    def fail(tx):
        team(tx, "T")
        tx.announce("x")
        teams.get(tx, "nowhere")

    with pytest.raises(NotFound):
        do(fail)
    assert heard.types == told == []
    assert head(store) == store.published == 0
    with store.read() as tx:
        assert teams.find(tx, "T") is None


def test_a_killed_writer_keeps_nothing_and_lets_the_next_one_in(store, heard):
    begun = gevent.event.Event()

    def write():
        with store.write(ALICE) as tx:
            team(tx, "A")
            begun.set()
            gevent.sleep(100)

    greenlet = gevent.spawn(write)
    begun.wait(5)
    greenlet.kill()
    with store.write(ALICE) as tx:
        team(tx, "B")
    assert heard.types == ["team.created"]
    with store.read() as tx:
        assert teams.find(tx, "A") is None


def test_a_receiver_that_raises_neither_fails_the_change_nor_silences_the_others(store):
    called = []

    def bad(_sender, event):
        called.append("bad")
        raise ZeroDivisionError

    def good(_sender, event):
        called.append("good")

    for receiver in (bad, good, bad):
        signals.event("team.created").connect(receiver, sender=store)
    another_good = Heard(store)
    with store.write(ALICE) as tx:
        team(tx, "T")
        team(tx, "U")
    assert sorted(called) == ["bad", "bad", "good", "good"]
    assert another_good.positions == [1, 2]
    assert store.published == 2


def test_receivers_of_one_store_do_not_hear_another(store, heard):
    other = Store(store.engine, store.clock)
    with other.write(ALICE) as tx:
        team(tx, "T")
    assert heard.types == []


def test_announcements_come_after_the_events_and_only_then(store, heard):
    order = []

    def receiver(_sender, token_id):
        order.append((token_id, list(heard.types)))

    signals.internal(signals.TOKEN_REVOKED).connect(receiver, sender=store)
    with store.write(ALICE) as tx:
        tx.announce(signals.TOKEN_REVOKED, token_id="t1")
        team(tx, "T")
        assert order == []
    assert order == [("t1", ["team.created"])]


def test_an_event_that_the_catalogue_does_not_know_fails_the_change(store, do):
    with pytest.raises(KeyError):
        do(lambda tx: tx.emit("team.exploded", team(tx, "T")))
    assert head(store) == 0


def test_concurrent_writers_take_turns_and_publish_in_order(store):
    """They switch inside their transactions; none sees another's half."""
    heard = Heard(store)

    def write(name):
        for number in range(5):
            with store.write(ALICE) as tx:
                team(tx, f"{name}{number}a")
                gevent.sleep(0)
                team(tx, f"{name}{number}b")

    gevent.joinall([gevent.spawn(write, name) for name in "WXYZ"], raise_error=True)
    assert heard.positions == list(range(1, 41))
    keys = [event.payload.split('"key":"')[1][:3] for event in read_log(store).events]
    assert all(a[:2] == b[:2] for a, b in zip(keys[::2], keys[1::2], strict=True))


def test_receivers_that_switch_do_not_mix_up_the_order(store):
    """Nobody commits between a commit and its publication, also where several share it."""
    heard = []

    def receive(_sender, event):
        gevent.sleep(0)
        heard.append((event.position, head(store)))

    signals.event("team.created").connect(receive, sender=store)

    def write(name):
        with store.write(ALICE) as tx:
            team(tx, name)

    gevent.joinall([gevent.spawn(write, name) for name in "ABC"], raise_error=True)
    gevent.joinall([gevent.spawn(write, name) for name in "DEF"], raise_error=True)
    assert heard == [(1, 3), (2, 3), (3, 3), (4, 6), (5, 6), (6, 6)]


def test_a_read_transaction_sees_one_moment(store):
    with store.write(ALICE) as tx:
        team(tx, "A")
    with store.read() as tx:
        before = log.state(tx.conn)
        with store.write(ALICE) as other:
            team(other, "B")
        assert log.state(tx.conn) == before
        assert teams.find(tx, "B") is None
        assert len(log.after(tx.conn, 0).events) == 1


@pytest.mark.postgres
def test_a_read_transaction_cannot_write_on_postgresql(clock):
    store = Store(empty_engine("postgres"), clock)
    with pytest.raises(Exception, match="read-only"), store.read() as tx:
        tx.conn.execute(text("UPDATE log_state SET head = 5"))
    with store.write(ALICE) as tx:
        team(tx, "A")


@pytest.mark.postgres
def test_who_stands_still_in_its_turn_does_not_stop_the_others_for_ever(clock):
    store = Store(empty_engine("postgres"), clock)
    query = text("SHOW idle_in_transaction_session_timeout")
    with store.write(ALICE) as tx:
        assert tx.conn.scalar(query) == "30s"
    with store.read() as tx:
        assert tx.conn.scalar(query) == "0"


@pytest.mark.postgres
def test_nobody_writes_while_a_program_has_the_database_for_itself(clock):
    store = Store(empty_engine("postgres"), clock)
    url = store.engine.url.render_as_string(hide_password=False)
    with closing(postgres.connect(url)) as program:
        with store.write(ALICE) as tx:
            team(tx, "A")
            assert not postgres.take_alone(program)  # no moment in between: it has begun
        assert postgres.take_alone(program)
        with pytest.raises(Unavailable, match="for itself"), store.write(ALICE) as tx:
            team(tx, "B")
    until(lambda: doing(store)(team, "C"), "it goes on")
    assert [e.position for e in read_log(store).events] == [1, 2]


def test_a_read_within_a_read_is_the_same_one(store):
    with store.read() as tx:
        with store.read() as inner:
            assert inner is tx
        assert teams.find(tx, "A") is None
        with store.write(ALICE) as other:
            team(other, "A")
        assert teams.find(tx, "A") is None
    with store.read() as tx:
        assert teams.find(tx, "A") is not None


def test_a_store_begins_where_the_log_ends(store):
    with store.write(ALICE) as tx:
        team(tx, "A")
    assert Store(store.engine, store.clock).published == 1


def test_what_another_process_committed_is_published_before_the_own(store, heard):
    with Store(store.engine, store.clock).write(ALICE) as tx:
        team(tx, "A")
        team(tx, "B")
    with store.write(ALICE) as tx:
        team(tx, "C")
    assert heard.positions == [1, 2, 3]
    assert store.published == 3


def test_catching_up_over_a_pruned_gap_publishes_the_rest(store, heard):
    other = Store(store.engine, store.clock)
    for key in "ABC":
        with other.write(ALICE) as tx:
            team(tx, key)
    with other.write(ALICE) as tx:
        log.prune(tx.conn, "", 1)
    store.catch_up()
    assert heard.positions == [3]
    assert store.published == 3


def test_the_numbers_of_a_deleted_project_go_on(store, do):
    project = do(projects.create, {"key": "CTX", "name": "x"})
    for _ in range(3):
        do(tickets.create, project, {"title": "x"})
    do(projects.delete, project, None)
    again = do(projects.create, {"key": "ctx", "name": "x"})
    assert do(tickets.create, again, {"title": "x"}).key == "ctx-4"
    assert read_log(store, 5).events[-1].seq == 7


@pytest.fixture
def small_disk(tmp_path, clock):
    """A store whose database cannot grow any more, and what makes it grow again."""
    with fresh_sqlite(tmp_path) as url:
        store = make_store(url, clock)

        def pages(count):
            with store.engine.connect() as conn:
                conn.execute(text(f"PRAGMA max_page_count = {count}"))

        with store.read() as tx:
            now = tx.conn.scalar(text("PRAGMA page_count"))
        pages(now + 10)
        yield store, pages
        store.engine.dispose()


def test_a_full_disk_is_said_so_and_stores_nothing(small_disk):
    store, pages = small_disk
    heard = Heard(store)

    def fill(tx):
        team(tx, "A")
        project = projects.create(tx, {"key": "CTX", "name": "x"})
        tickets.create(tx, project, {"title": "x", "body": "x" * 1_000_000})

    with pytest.raises(StorageFull) as raised, store.write(ALICE) as tx:
        fill(tx)
    assert raised.value.status == 507
    assert heard.types == []
    with store.read() as tx:  # reads go on
        assert teams.find(tx, "A") is None
        assert log.state(tx.conn).head == 0

    pages(1_000_000)
    with store.write(ALICE) as tx:
        team(tx, "B")
    assert heard.positions == [1]


def test_a_database_that_is_locked_by_others_is_unavailable(tmp_path, clock):
    with fresh_sqlite(tmp_path) as url:
        store, other = make_store(url, clock), make_store(url, clock)
        with store.engine.connect() as conn:
            conn.execute(text("PRAGMA busy_timeout = 0"))
        with other.write(ALICE) as tx:
            team(tx, "A")
            with pytest.raises(Unavailable) as raised, store.write(ALICE) as mine:
                team(mine, "B")
        assert raised.value.status == 503
        for each in (store, other):
            each.engine.dispose()


def test_a_mistake_in_our_own_sql_stays_loud(sqlite_store):
    with pytest.raises(Exception, match="no such table"), sqlite_store.read() as tx:
        tx.conn.execute(text("SELECT * FROM nowhere"))


def test_a_failed_write_to_the_disk_at_the_commit_ends_the_process(sqlite_store, monkeypatch):
    """What the page cache holds then is unknown: nothing may be acknowledged from it."""
    codes = []
    monkeypatch.setattr(faults.os, "_exit", codes.append)

    def execute(statement):
        raise sqlite3.OperationalError("disk I/O error")

    def write(tx):
        team(tx, "A")
        monkeypatch.setattr(commits, "driver_of", lambda _conn: SimpleNamespace(execute=execute))

    with pytest.raises(Unavailable):
        doing(sqlite_store)(write)
    assert codes == [70]
    assert sqlite_store.published == 0
