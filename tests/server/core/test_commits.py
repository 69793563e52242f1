"""Mutations that share a commit: each all or nothing, none acknowledged before the disk."""

import gevent
import pytest
from sqlalchemy import event

from cortex_server import log, signals
from cortex_server.domains import teams
from cortex_server.errors import NotFound, StorageFull, Unavailable
from tests.support.stores import ALICE, read_log


class Commits:
    """Counts the commits of a store, and notes what was published at each."""

    def __init__(self, store):
        self.store = store
        self.published = []
        tell = store.tell

        def told(group):
            tell(group)
            self.published.append(store.published)

        store.tell = told


@pytest.fixture
def commits(store):
    return Commits(store)


def create(store, key, then=lambda tx: None):
    with store.write(ALICE) as tx:
        teams.create(tx, {"key": key, "name": key})
        then(tx)
    return key


def together(store, *writers):
    """Start writers at once; what each returned or raised."""

    def run(writer):
        try:
            return writer()
        except Exception as error:
            return error

    greenlets = [gevent.spawn(run, writer) for writer in writers]
    gevent.joinall(greenlets, timeout=10, raise_error=True)
    return [greenlet.value for greenlet in greenlets]


def keys(store):
    with store.read() as tx:
        return [team.key for team in teams.listing(tx, 100, None).items]


def test_those_who_come_together_share_a_commit(store, commits):
    done = together(store, *(lambda k=k: create(store, k) for k in "ABCDEF"))
    assert done == list("ABCDEF")
    assert len(commits.published) < 6
    assert commits.published[-1] == 6
    assert [e.position for e in read_log(store).events] == [1, 2, 3, 4, 5, 6]


def test_one_alone_is_committed_at_once(store, commits):
    create(store, "A")
    create(store, "B")
    assert commits.published == [1, 2]


def test_nobody_returns_before_the_commit_and_its_publication(store):
    at_return = {}

    def write(key):
        create(store, key)
        at_return[key] = (store.published, sorted(keys(store)))

    together(store, *(lambda k=k: write(k) for k in "ABC"))
    assert sorted(at_return) == list("ABC")
    for key, (published, stored) in at_return.items():
        assert key in stored
        assert published == len(stored)


def test_one_that_fails_leaves_no_hole_and_does_not_touch_the_others(store):
    def fail(tx):
        teams.get(tx, "nowhere")

    done = together(
        store,
        lambda: create(store, "A"),
        lambda: create(store, "B", fail),
        lambda: create(store, "C"),
        lambda: create(store, "D", fail),
    )
    assert [type(x) for x in done] == [str, NotFound, str, NotFound]
    assert sorted(keys(store)) == ["A", "C"]
    assert [e.position for e in read_log(store).events] == [1, 2]


def test_where_all_fail_nothing_is_committed(store, commits):
    def fail(tx):
        teams.get(tx, "nowhere")

    done = together(store, *(lambda k=k: create(store, k, fail) for k in "ABC"))
    assert [type(x) for x in done] == [NotFound] * 3
    assert commits.published == []
    assert create(store, "D") == "D"
    assert store.published == 1


def test_a_member_killed_while_it_waits_for_the_disk_is_committed_all_the_same(store):
    waiting = gevent.spawn(create, store, "A")
    others = [gevent.spawn(create, store, key) for key in "BC"]
    gevent.sleep(0)
    waiting.kill(block=False)
    gevent.joinall(others, timeout=10, raise_error=True)
    # either it was killed in its turn, then nothing of it is there, or it is there whole
    assert [e.position for e in read_log(store).events] == list(range(1, store.published + 1))
    assert set(keys(store)) >= {"B", "C"}


def test_one_killed_while_it_queues_stops_nobody(store):
    inside, go_on = gevent.event.Event(), gevent.event.Event()

    def slow(tx):
        inside.set()
        go_on.wait(10)

    first = gevent.spawn(create, store, "A", slow)
    inside.wait(10)
    queued = gevent.spawn(create, store, "B")
    gevent.sleep(0)
    queued.kill()
    go_on.set()
    first.join(10)
    assert first.value == "A"
    assert keys(store) == ["A"]
    assert create(store, "C") == "C"


def test_a_failed_commit_fails_every_member_and_tells_nobody(sqlite_store, commits):
    heard = []

    def receive(_sender, event):
        heard.append(event)

    signals.event("team.created").connect(receive, sender=sqlite_store)

    def refuse(_conn):
        raise StorageFull("The disk is full: nothing was stored.")

    ending = sqlite_store._commits._ending
    sqlite_store._commits._ending = refuse
    done = together(sqlite_store, *(lambda k=k: create(sqlite_store, k) for k in "ABC"))
    assert [type(x) for x in done] == [StorageFull] * 3
    assert len({id(x) for x in done}) == 3
    assert heard == []
    assert keys(sqlite_store) == []
    sqlite_store._commits._ending = ending
    assert create(sqlite_store, "D") == "D"
    assert [e.position for e in heard] == [1]


def test_a_transaction_that_ends_under_a_member_fails_those_before_it_too(sqlite_store):
    """SQLite rolls everything back when the disk is full in the middle of a statement."""

    def lose(tx):
        tx.conn.connection.driver_connection.execute("ROLLBACK")
        raise ValueError

    done = together(
        sqlite_store,
        lambda: create(sqlite_store, "A"),
        lambda: create(sqlite_store, "B", lose),
        lambda: create(sqlite_store, "C"),
    )
    assert [type(x) for x in done] == [Unavailable, ValueError, str]
    assert keys(sqlite_store) == ["C"]
    assert [e.position for e in read_log(sqlite_store).events] == [1]


def test_the_hub_runs_on_while_a_group_is_written_to_the_disk(sqlite_store):
    """What the driver does at the commit is seen from another greenlet."""
    during = []

    @event.listens_for(sqlite_store.engine, "commit")
    def _on_commit(_conn):
        during.append(sqlite_store.published)

    ticks = 0

    def tick():
        nonlocal ticks
        while not during:
            ticks += 1
            gevent.sleep(0)

    ticking = gevent.spawn(tick)
    create(sqlite_store, "A")
    ticking.join(10)
    assert ticks > 1


def test_positions_and_seqs_of_a_group_are_those_of_its_members_in_turn(store):
    together(store, *(lambda k=k: create(store, k) for k in "ABCDEFGH"))
    with store.read() as tx:
        assert log.state(tx.conn).head == 8
    order = [e.position for e in read_log(store).events]
    assert order == sorted(order) == list(range(1, 9))


def test_what_is_to_follow_a_commit_follows_it_and_nothing_else(store):
    seen = []

    def then(name):
        return lambda tx: tx.after_commit.append(lambda: seen.append((name, sorted(keys(store)))))

    def fail(tx):
        then("failed")(tx)
        raise ValueError

    def raising(tx):
        tx.after_commit.append(lambda: 1 // 0)  # too late: the others are told all the same

    together(
        store,
        lambda: create(store, "A", then("first")),
        lambda: create(store, "B", fail),
        lambda: create(store, "C", raising),
        lambda: create(store, "D", then("second")),
    )
    assert [name for name, _ in seen] == ["first", "second"]
    assert seen[0][1][0] == "A"
    assert seen[1][1] == ["A", "C", "D"]


def test_nothing_follows_a_commit_that_failed(sqlite_store):
    seen = []

    def refuse(_group):
        raise StorageFull("The disk is full: nothing was stored.")

    sqlite_store._commits._ending = refuse
    with pytest.raises(StorageFull):
        create(sqlite_store, "A", lambda tx: tx.after_commit.append(lambda: seen.append("A")))
    assert seen == []


def test_a_mutation_that_cannot_be_kept_tells_nothing(sqlite_store):
    """Its savepoint was given its events already."""

    def lose_savepoint(tx):
        tx.conn.connection.driver_connection.execute("RELEASE SAVEPOINT mutation")
        tx.conn.connection.driver_connection.execute("SAVEPOINT other")

    done = together(
        sqlite_store,
        lambda: create(sqlite_store, "A"),
        lambda: create(sqlite_store, "B", lose_savepoint),
    )
    assert isinstance(done[1], Exception)
    assert len(read_log(sqlite_store).events) == len(keys(sqlite_store))
