"""Sessions and servers of which nothing is heard any more: said once, and taken back by itself."""

import pytest

from cortex_server.clock import iso
from cortex_server.domains import instances, liveness, messages, sessions, settings
from cortex_server.domains.live import LiveText
from cortex_server.domains.liveness import GAP_S, Attention
from tests.support.at_work import claimed
from tests.support.attempts import Work

SILENT_S = 300
BEFORE = ""  # somebody has listened since ever


@pytest.fixture
def session(do, ticket, happened):
    made = do(sessions.start, ticket, {"status": "working"})
    happened()
    return made


def test_a_silent_session_is_stale_once(do, see, clock, session, happened):
    clock.advance(SILENT_S)
    assert do(liveness.mark_stale, BEFORE) == 0
    clock.advance(1)
    assert do(liveness.mark_stale, BEFORE) == 1
    assert do(liveness.mark_stale, BEFORE) == 0
    event = happened.one()
    assert event["type"] == "session.status"
    assert event["payload"] == see(sessions.get, session.id).json_dict()
    assert (event["payload"]["status"], event["payload"]["stale"]) == ("working", True)


def test_a_clock_that_is_put_back_keeps_no_silent_session_at_work(do, clock, session):
    attention = Attention()
    attention.since(iso(clock.now()))
    clock.set_back(86_400)
    since = attention.since(iso(clock.now()))
    clock.advance(SILENT_S)
    assert do(liveness.mark_stale, since) == 0
    clock.advance(1)
    assert do(liveness.mark_stale, since) == 1


@pytest.mark.parametrize("status", ["idle", "awaiting_input", "error"])
def test_who_waits_for_somebody_may_be_silent(do, clock, session, status):
    do(sessions.patch, session, {"status": status}, None)
    clock.advance(SILENT_S * 10)
    assert do(liveness.mark_stale, BEFORE) == 0


def test_each_project_says_how_long(do, clock, session):
    do(settings.patch, session.project, {"session_silent_s": 5}, None)
    clock.advance(6)
    assert do(liveness.mark_stale, BEFORE) == 1


def stored_delta(do, see, session):
    live = LiveText()
    part = {"type": "text", "text": "", "status": "streaming"}
    message, _ = do(messages.put, session, "m-1", {"role": "assistant", "parts": [part]}, None)
    live.append(message, 0, 0, "text")
    return lambda: do(live.flush)


def another_status(do, see, session):
    """work: another one each time, which is a change of its own."""
    return lambda: do(sessions.patch, session, {"work": f"step {session.revision}"}, None)


SIGNS = {
    "a status": another_status,
    "the same status": lambda do, see, s: lambda: do(sessions.patch, s, {"tool": None}, None),
    "text": stored_delta,
    "a message": lambda do, see, s: lambda: do(sessions.heard, s.id),
}


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS.keys())
def test_a_sign_of_life_counts_and_wakes_a_stale_one(do, see, clock, session, happened, sign):
    tell = sign(do, see, session)
    clock.advance(SILENT_S)
    tell()
    clock.advance(SILENT_S)
    assert do(liveness.mark_stale, BEFORE) == 0, "it was heard in between"
    clock.advance(1)
    assert do(liveness.mark_stale, BEFORE) == 1
    happened()
    stale = see(sessions.get, session.id)
    assert stale.stale
    sign(do, see, stale)() if sign is not stored_delta else do(sessions.heard, session.id)
    assert not see(sessions.get, session.id).stale
    assert "session.status" in happened.types()


def test_hearing_of_an_ended_session_changes_nothing(do, see, session, happened):
    ended = do(sessions.end, session, None, None)
    happened()
    do(sessions.heard, session.id)
    assert see(sessions.get, session.id) == ended
    assert happened() == []


def test_a_silence_that_nobody_could_hear_is_none(do, see, clock, session):
    attention = Attention()
    clock.advance(SILENT_S * 2)
    since = see(lambda tx: attention.since(tx.now))
    assert do(liveness.mark_stale, since) == 0
    for _ in range(int(SILENT_S / GAP_S) + 1):
        clock.advance(GAP_S)
        since = see(lambda tx: attention.since(tx.now))
    assert do(liveness.mark_stale, since) == 1
    clock.advance(GAP_S + 1)
    assert see(lambda tx: attention.since(tx.now)) > since, "it did not listen for a while"


@pytest.fixture
def attempt(do, ticket, happened):
    made = claimed(do, ticket)
    happened()
    return made


def test_an_instance_is_told_when_it_changes(do, see, attempt, happened):
    first, is_new = do(instances.put, attempt, {"status": "starting"})
    assert is_new
    running = {"status": "running", "url": "http://127.0.0.1:1", "link": "connected"}
    second, is_new = do(instances.put, attempt, running)
    assert (second.id, is_new, second.runner) == (first.id, False, "r-1")
    do(instances.put, attempt, running)
    events = happened()
    assert [event["type"] for event in events] == ["opencode.status", "opencode.status"]
    assert events[-1]["payload"] == see(instances.get, first.id).json_dict()


def test_one_whose_runner_is_silent_is_unhealthy_then_stopped(do, see, clock, attempt, happened):
    do(instances.put, attempt, {"status": "running", "link": "connected"})
    clock.advance(15)
    assert do(instances.expire, BEFORE) == 0
    do(instances.put, attempt, {"status": "running", "link": "connected"})
    clock.advance(15.1)
    assert do(instances.expire, BEFORE) == 1
    assert do(instances.expire, BEFORE) == 0
    known = see(instances.find, attempt.id)
    assert (known.status, known.error) == ("unhealthy", instances.SILENT)
    clock.advance(45)
    assert do(instances.expire, BEFORE) == 1
    stopped = see(instances.find, attempt.id)
    assert (stopped.status, stopped.link) == ("stopped", "disconnected")
    clock.advance(600)
    assert do(instances.expire, BEFORE) == 0
    assert happened.types() == ["opencode.status"] * 3


def test_a_heartbeat_speaks_of_it_and_brings_it_back(do, see, clock, ticket, happened):
    work = Work(do)
    runner = work.runner()
    attempt = work.running(ticket, runner)
    do(instances.put, attempt, {"status": "running"})
    happened()
    for _ in range(9):
        clock.advance(10)
        work.beat(runner, attempt)
        assert do(instances.expire, BEFORE) == 0
    clock.advance(16)
    assert do(instances.expire, BEFORE) == 1
    work.beat(runner, attempt)
    assert do(instances.expire, BEFORE) == 1
    known = see(instances.find, attempt.id)
    assert (known.status, known.error) == ("running", None)
    do(instances.put, attempt, {"status": "unhealthy", "error": "it does not answer"})
    assert do(instances.expire, BEFORE) == 0, "its runner knows better"


def test_with_longer_leases_runners_speak_less_often(do, clock, attempt):
    do(instances.put, attempt, {"status": "running"})
    clock.advance(29)
    assert do(instances.expire, BEFORE, beat_s=20.0) == 0
    clock.advance(2)
    assert do(instances.expire, BEFORE, beat_s=20.0) == 1


def test_no_instance_is_silent_while_nobody_listened(do, see, clock, attempt):
    do(instances.put, attempt, {"status": "running"})
    clock.advance(61)
    assert do(instances.expire, see(lambda tx: tx.now)) == 0
