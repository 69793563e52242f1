"""The one who publishes on PostgreSQL: everything, once, in order, whoever committed it."""

import json
import time
from contextlib import closing

import gevent
import pytest

from cortex_server import log, signals, tailer
from cortex_server.clock import SystemClock
from cortex_server.config import Config
from cortex_server.db import postgres
from cortex_server.domains import teams
from cortex_server.log import Draft
from cortex_server.store import Store
from cortex_server.tailer import Tailer
from tests.support.databases import empty_engine, make_store
from tests.support.in_process import InProcess, until
from tests.support.postgres import execute, postgres_of_its_own
from tests.support.stores import ALICE, doing

pytestmark = pytest.mark.postgres


class Process:
    """What one process knows: a store that publishes nothing itself, and its tailer."""

    def __init__(self, engine, clock):
        self.store = Store(engine, clock)
        self.do = doing(self.store)
        self.url = engine.url.render_as_string(hide_password=False)
        with self.store.read() as tx:
            epoch = log.state(tx.conn).epoch
        self.tailer = Tailer(self.url, epoch, self.store.publisher, clock)
        self.store.tell = lambda _group: self.tailer.wake()
        self.positions, self.heard, self.stale = [], [], []
        self.connects = self.restarts = 0
        self.tailer.heard = lambda channel, payload: self.heard.append((channel, payload))
        self.tailer.connected = self._connected
        self.tailer.on_stale = self.stale.append
        self.tailer.restart = self._restarted
        signals.event("team.created").connect(self._receive, sender=self.store)

    def _receive(self, _sender, event):
        self.positions.append(event.position)

    def _connected(self):
        self.connects += 1

    def _restarted(self):
        self.restarts += 1

    def team(self, key):
        self.do(teams.create, {"key": key, "name": key})

    def follow(self):
        self.tailer.start()
        until(lambda: self.connects, "it follows the log")
        return self

    def has(self, *positions):
        until(lambda: self.positions == list(positions), f"{positions} are published")


@pytest.fixture
def engine():
    return empty_engine("postgres")


@pytest.fixture
def process(engine):
    made = []

    def make(clock=None):
        clock = clock or SystemClock()  # the poll goes by it
        made.append(Process(engine, clock))
        return made[-1]

    yield make
    for one in made:
        one.tailer.stop()


def write_unnoticed(engine, count, payload="{}"):
    """Commit events of which no notification tells."""
    with engine.begin() as conn:
        draft = Draft("team.created", "", None, "2026-01-26T15:53:01Z", "user", "x", payload)
        log.append(conn, [draft] * count)


def test_what_any_process_commits_is_published_by_all_in_order(process):
    first, second = process().follow(), process().follow()
    for n in range(6):
        (first, second)[n % 2].team(f"t{n}")
    first.has(*range(1, 7))
    second.has(*range(1, 7))


def test_nothing_is_published_by_the_commit_itself(process):
    alone = process()
    alone.team("t")
    assert alone.positions == []
    alone.follow().has(1)


def test_what_no_notification_told_of_is_found(process, engine):
    one = process().follow()
    write_unnoticed(engine, 3)
    one.has(1, 2, 3)


@pytest.mark.parametrize("limits", [{"PAGE": 2}, {"PAGE_BYTES": 150}])
def test_a_long_log_is_read_in_pages(process, engine, monkeypatch, limits):
    for name, value in limits.items():
        monkeypatch.setattr(tailer, name, value)
    one = process()
    write_unnoticed(engine, 7, json.dumps("x" * 100))
    one.follow().has(*range(1, 8))


def test_after_a_lost_connection_it_goes_on_where_it_was(process):
    one, other = process().follow(), process()
    for n in range(3):
        execute(
            one.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s",
            "%FROM events WHERE position > $1%",
        )
        other.team(f"t{n}")
        until(lambda n=n: one.connects == n + 2, "it listens again")
        one.has(*range(1, n + 2))


def test_signals_and_text_come_beside_the_log_after_what_was_committed_before(process):
    one, other = process().follow(), process()
    seen = []
    one.tailer.heard = lambda channel, payload: seen.append((payload, list(one.positions)))
    with other.store.write(ALICE) as tx:
        teams.create(tx, {"key": "a", "name": "a"})
        tx.announce(signals.TOKEN_REVOKED, token_id="t1")
    execute(one.url, "SELECT pg_notify(%s, %s)", postgres.DELTAS, "text")
    until(lambda: len(seen) == 2, "both are heard")
    assert seen == [('{"signal":"token-revoked","token_id":"t1"}', [1]), ("text", [1])]


def test_a_signal_of_a_change_that_failed_is_not_sent(process):
    one, other = process().follow(), process()

    def fail(tx):
        tx.announce(signals.TOKEN_REVOKED, token_id="t1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), other.store.write(ALICE) as tx:
        fail(tx)
    other.team("a")
    one.has(1)
    assert one.heard == []


def test_another_epoch_ends_the_process(process):
    one = process().follow()
    execute(one.url, "UPDATE log_state SET epoch = 'other'")
    until(lambda: one.restarts, "it asks for a restart")


def test_a_log_that_ends_before_what_was_told_gets_a_new_epoch(process, engine):
    """A standby took over that had not got the last commits."""
    one, other = process().follow(), process().follow()
    one.team("a")
    one.has(1)
    other.has(1)
    ((before,),) = execute(one.url, "SELECT epoch FROM log_state")
    with engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM events")
        conn.exec_driver_sql("UPDATE log_state SET head = 0")
    until(lambda: one.restarts and other.restarts, "both ask for a restart")
    ((after,),) = execute(one.url, "SELECT epoch FROM log_state")
    assert after != before


@pytest.mark.parametrize("known", [True, False], ids=["published", "found at the start"])
def test_a_log_that_has_grown_again_after_such_a_loss_gets_a_new_epoch_too(process, engine, known):
    """The head alone does not tell: something else stands at the position that was told."""
    one = process()
    if known:
        one.follow()
    write_unnoticed(engine, 2)
    if not known:
        one = process().follow()
    other = process().follow()
    until(lambda: other.store.published == one.store.published == 2, "both know the log")
    ((before,),) = execute(one.url, "SELECT epoch FROM log_state")
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE events SET payload = '{\"x\":1}' WHERE position = 2")
    until(lambda: one.restarts and other.restarts, "both ask for a restart")
    ((after,),) = execute(one.url, "SELECT epoch FROM log_state")
    assert after != before


def test_a_log_that_is_pruned_to_its_end_goes_on(process, engine, monkeypatch):
    monkeypatch.setattr(tailer, "POLL_S", 0.05)
    one = process().follow()
    write_unnoticed(engine, 2)
    one.has(1, 2)
    with engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM events")
        conn.exec_driver_sql("UPDATE log_state SET floor = head")
    write_unnoticed(engine, 1)
    one.has(1, 2, 3)
    with engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM events")
        conn.exec_driver_sql("UPDATE log_state SET floor = head")
    for _ in range(3):
        before = one.tailer._read_at
        until(lambda before=before: one.tailer._read_at > before, "it has checked it and gone on")
    assert one.restarts == 0


def test_what_is_notified_during_the_first_read_is_heard_at_once(process, engine, monkeypatch):
    monkeypatch.setattr(tailer, "PAGE", 1)
    monkeypatch.setattr(tailer, "POLL_S", 60)
    one = process()
    write_unnoticed(engine, 2)

    def notify(_sender, event):
        if event.position == 1:  # the answer with the second page brings it along
            execute(one.url, "SELECT pg_notify(%s, %s)", postgres.DELTAS, "text")

    signals.event("team.created").connect(notify, sender=one.store)
    one.follow()
    until(lambda: one.heard == [(postgres.DELTAS, "text")], "it is heard")


def test_only_what_cortex_itself_would_notify_is_passed_on(engine, clock, tmp_path):
    """Whoever may connect to the database may notify."""
    url = engine.url.render_as_string(hide_password=False)
    config = Config(data_dir=tmp_path, database_url=url)
    live = InProcess(Store(engine, clock), clock, config)
    revoked, others = [], []

    def receive(_sender, **values):
        revoked.append(values)

    def receive_other(_sender, **values):
        others.append(values)

    signals.internal(signals.TOKEN_REVOKED).connect(receive, sender=live.store)
    signals.internal("another").connect(receive_other, sender=live.store)
    for payload in (
        "", "1", "null", "[]", "{", "{}", '{"signal":"another"}', '{"signal":["another"]}',
        '{"signal":"token-revoked"}', '{"signal":"token-revoked","token_id":7}',
        '{"signal":"token-revoked","token_id":"t1"}',
    ):  # fmt: skip
        live.services.tailer.heard(postgres.COMMITS, payload)
        live.services.tailer.heard(postgres.DELTAS, payload)
    assert revoked == [{"token_id": "t1"}]
    assert others == []
    live.close()


def test_it_is_stale_when_the_log_was_not_read_for_some_seconds(process, clock):
    one = process(clock)
    clock.advance(tailer.STALE_S)
    assert not one.tailer.stale
    clock.advance(0.1)
    assert one.tailer.stale
    one.follow()
    assert not one.tailer.stale


def test_without_a_database_it_becomes_stale_and_then_heals(clock):
    with postgres_of_its_own() as database:
        one = Process(make_store(database.url, clock).engine, clock).follow()
        database.stop()
        clock.advance(60)
        until(lambda: one.stale == [True], "it says so")
        database.start()
        until(lambda: one.stale == [True, False], "it heals")
        one.tailer.stop()
        one.store.engine.dispose()


def test_a_program_that_has_the_database_for_itself_keeps_it_out(process):
    one = process()
    with closing(postgres.connect(one.url)) as alone:
        assert postgres.take_alone(alone)
        one.tailer.start()
        write_unnoticed(one.store.engine, 1)
        gevent.sleep(0.1)  # let it try
        assert (one.connects, one.positions) == (0, [])
    until(lambda: one.connects, "it follows when that has gone")
    one.has(1)


def test_a_stream_that_cannot_read_on_says_goodbye(clock, tmp_path):
    with postgres_of_its_own() as database:
        store = make_store(database.url, clock)
        config = Config(data_dir=tmp_path, database_url=database.url)
        live = InProcess(store, clock, config)
        grant = live.grant()
        doing(store)(teams.create, {"key": "a", "name": "a"})
        live.services.bus.position = 1  # it is published, and no longer in memory
        reader = live.open(grant=grant, cursor=(live.services.epoch, 0), slow=True)
        assert reader.names == ["hello"]
        database.stop()
        reader.go_on()
        assert (reader.last.event, reader.last.data["reason"]) == ("end", "overload")
        assert reader.last.data["reconnect"]
        assert reader.stream.cause == "overload"
        live.close()
        store.engine.dispose()


def test_a_process_that_stood_still_itself_ends_no_stream(process, monkeypatch):
    monkeypatch.setattr(tailer, "STALE_S", 1.2)
    one = process().follow()
    for _ in range(3):
        time.sleep(1.3)  # the whole process: this lets no greenlet run
        assert one.tailer.stale
        gevent.sleep(1.5 * tailer.WATCH_S)
        assert not one.tailer.stale
    assert one.stale == []
