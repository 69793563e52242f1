"""Housekeeping: each duty when it is due, whatever happens to the others."""

import json
from dataclasses import replace

from sqlalchemy import func, select

from cortex_server import log
from cortex_server.db import schema
from cortex_server.domains import idempotency, messages, sessions, settings, tokens
from cortex_server.events.payloads import Keyed
from cortex_server.reconciler import Reconciler
from tests.support.clocks import Running
from tests.support.stores import ALICE


def count(store, table):
    with store.read() as tx:
        return tx.conn.scalar(select(func.count()).select_from(table))


def state(store):
    with store.read() as tx:
        return log.state(tx.conn)


class Duties:
    """The duties of a reconciler, each of which only notes that it was done."""

    def __init__(self, reconciler, periods):
        self.done = []
        self.reconciler = reconciler
        reconciler._duties = [(period, self.duty(period)) for period in periods]
        reconciler._due_at = [0.0] * len(periods)

    def duty(self, period):
        def call():
            self.done.append(period)
            if period < 0.2:
                raise ZeroDivisionError

        return call

    def at(self, now_s):
        self.done.clear()
        self.reconciler.tick(now_s)
        return list(self.done)


def test_each_duty_is_done_when_it_is_due(live):
    duties = Duties(Reconciler(live.services), [0.5, 1.0, 60.0])
    assert duties.at(100.0) == [0.5, 1.0, 60.0]
    assert duties.at(100.4) == []
    assert duties.at(100.5) == [0.5]
    assert duties.at(101.0) == [0.5, 1.0]
    assert duties.at(160.0) == [0.5, 1.0, 60.0]
    assert duties.at(160.1) == []


def test_a_duty_that_fails_stops_no_other_and_is_tried_again(live):
    duties = Duties(Reconciler(live.services), [0.5, 0.1, 1.0])
    assert duties.at(100.0) == [0.5, 0.1, 1.0]
    assert duties.at(100.2) == [0.1]


def test_a_duty_that_has_more_to_do_lets_the_others_go_first(live):
    reconciler = Reconciler(live.services)
    done = []
    left = [True, True, False]
    reconciler._duties = [
        (300.0, lambda: done.append("long") or left.pop(0)),
        (0.5, lambda: done.append("short")),
    ]
    reconciler._due_at = [0.0, 0.0]
    for tick in range(5):
        reconciler.tick(100.0 + tick / 2)
    assert done == ["long", "short"] * 3 + ["short"] * 2


def test_pruning_a_long_log_takes_turns(make_live):
    live = make_live(log_retention_events=10)
    live.ticket(live.project())
    with live.store.write(ALICE) as tx:
        for _ in range(3 * log.PRUNE_SLICE):
            tx.emit("team.deleted", Keyed(id="x", key="x"))
    reconciler = Reconciler(replace(live.services, clock=Running(live.clock, 0.4)))
    assert reconciler.prune(), "one slice, and no time for the next one"
    assert state(live.store).floor < log.PRUNE_SLICE * 2
    while reconciler.prune():
        pass
    assert state(live.store).head - state(live.store).floor == 10


def test_every_duty_is_done_on_a_real_server_without_a_fault(live, caplog):
    reconciler = Reconciler(live.services)
    live.project()
    for _ in range(3):
        live.clock.advance(400)
        reconciler.tick(live.clock.monotonic())
    assert "duty_failed" not in caplog.text


def test_text_that_came_by_deltas_is_stored_without_events(live):
    project = live.project()
    session = live.do(sessions.start, live.ticket(project), {})
    parts = [{"type": "text", "text": "", "status": "streaming"}]
    fields = {"role": "assistant", "parts": parts}
    message, _ = live.do(messages.put, session, "m1", fields, None)
    live.services.live.append(message, 0, 0, "hello")
    head = live.store.published
    Reconciler(live.services).tick(live.clock.monotonic())
    with live.store.read() as tx:
        stored = messages.get(tx, session.id, "m1")
    assert stored.parts[0].text == "hello"
    assert stored.revision == 1
    assert live.store.published == state(live.store).head == head


def test_the_head_is_noted_beside_the_database(live):
    live.project()
    Reconciler(live.services).tick(live.clock.monotonic())
    path = live.services.config.database_path
    noted = json.loads(path.with_name(path.name + ".epoch").read_text())
    assert noted == {"epoch": live.services.epoch, "head": 1}
    assert live.metric("cortex_log_head") == 1


def test_the_last_use_of_tokens_is_stored(live):
    made = live.do(tokens.create, {"name": "t", "role": "admin"})
    live.services.last_used.note(made.id, "2026-01-26T15:53:01.717454Z")
    Reconciler(live.services).tick(live.clock.monotonic())
    with live.store.read() as tx:
        assert tokens.get(tx, made.id).last_used_at == "2026-01-26T15:53:01.717454Z"


def test_old_answers_go(live):
    claim = idempotency.claim("t", "k", ("POST", "/x", b""), None)
    live.do(idempotency.keep, claim, idempotency.Answer(200, {}, b"{}"))
    reconciler = Reconciler(live.services)
    reconciler.tick(live.clock.monotonic())
    assert count(live.store, schema.idempotency) == 1
    live.clock.advance(86_400)
    reconciler.tick(live.clock.monotonic())
    assert count(live.store, schema.idempotency) == 0


def test_the_log_is_cut_to_what_the_configuration_keeps(make_live):
    live = make_live(log_retention_events=3)
    project = live.project()
    for _ in range(5):
        live.ticket(project)
    Reconciler(live.services).tick(live.clock.monotonic())
    assert (state(live.store).floor, state(live.store).head) == (3, 6)


def test_the_log_is_cut_by_age(make_live):
    live = make_live(log_retention_days=2)
    project = live.project()
    live.clock.advance(86_400)
    live.ticket(project)
    live.clock.advance(86_400 * 1.5)
    Reconciler(live.services).tick(live.clock.monotonic())
    assert state(live.store).floor == 1


def test_a_setting_wins_over_the_configuration(make_live):
    live = make_live(log_retention_events=3)
    project = live.project()
    for _ in range(5):
        live.ticket(project)
    live.do(settings.patch, None, {"log_retention_events": 2}, None)
    Reconciler(live.services).tick(live.clock.monotonic())
    assert (state(live.store).floor, state(live.store).head) == (5, 7)


def test_pruning_waits_its_five_minutes(make_live):
    live = make_live(log_retention_events=1)
    reconciler = Reconciler(live.services)
    reconciler.tick(live.clock.monotonic())
    project = live.project()
    live.ticket(project)
    live.clock.advance(299)
    reconciler.tick(live.clock.monotonic())
    assert state(live.store).floor == 0
    live.clock.advance(1)
    reconciler.tick(live.clock.monotonic())
    assert state(live.store).floor == 1


def test_only_the_leader_does_what_one_is_to_do(live):
    leads = []
    reconciler = Reconciler(live.services, lambda: bool(leads))
    live.services.last_used.note("t", "2026-01-26T15:53:01.717454Z")
    claim = idempotency.claim("t", "k", ("POST", "/x", b""), None)
    live.do(idempotency.keep, claim, idempotency.Answer(200, {}, b"{}"))
    live.clock.advance(86_400)
    reconciler.tick(live.clock.monotonic())
    assert count(live.store, schema.idempotency) == 1
    assert not live.services.last_used.dirty(), "its own duties it does all the same"
    leads.append(True)
    live.clock.advance(0.5)
    reconciler.tick(live.clock.monotonic())
    assert count(live.store, schema.idempotency) == 0
