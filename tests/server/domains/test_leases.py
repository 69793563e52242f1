"""Leases that run out: what reads say at once, what the reconciler says once, and when not yet."""

import pytest
from sqlalchemy import select

from cortex_server.db.work import attempts as table
from cortex_server.domains import (
    attempt_log,
    attempts,
    comments,
    conversations,
    leases,
    questions,
    retention,
    runners,
    sessions,
)
from cortex_server.domains.leases import AT_ONCE
from cortex_server.ids import new_id
from cortex_server.store import SYSTEM
from tests.support.attempts import BY_RUNNER, LEASE_S, Work, refused


@pytest.fixture
def work(do):
    return Work(do)


@pytest.fixture
def expired(work, ticket, clock):
    """An attempt that ran, whose runner has been silent for the time of a lease."""
    attempt = work.running(ticket)
    clock.advance(LEASE_S)
    return attempt


def ids(listing):
    return [attempt.id for attempt in listing.items]


def test_without_a_lease_nothing_reads_as_running(see, store, ticket, expired, happened):
    happened()
    stored = select(table.c.status)
    assert see(lambda tx: tx.conn.scalar(stored)) == "running"
    assert see(attempts.get, expired.id).status == "lost"

    def listed(**wanted):
        return ids(see(attempts.listing, None, wanted, limit=9, cursor=None))

    assert listed() == listed(status="lost") == listed(active=False) == [expired.id]
    assert listed(status="running") == listed(active=True) == []
    assert see(attempts.active_of_project, "CTX") == []
    assert see(attempts.next_expiry, "CTX") is None
    assert happened() == []


def test_with_a_lease_it_is_counted_and_listed_as_it_is(work, see, ticket, clock):
    attempt = work.running(ticket)
    clock.advance(LEASE_S - 1)
    assert see(attempts.active_of_project, "CTX") == [attempt]
    assert see(attempts.next_expiry, "CTX") > attempt.updated_at
    found = see(attempts.listing, frozenset(["CTX"]), {"active": True}, limit=9, cursor=None)
    assert ids(found) == [attempt.id]
    assert ids(see(attempts.listing, frozenset(), {}, limit=9, cursor=None)) == []


def test_a_lost_attempt_is_told_once_by_the_system_and_said_on_its_ticket(
    work, see, ticket, expired, happened
):
    happened()
    assert see(leases.are_due)
    assert work.expire()
    told = happened()
    assert [event["type"] for event in told] == [
        "attempt.status", "attempt.log", "comment.added", "session.ended", "runner.offline",
    ]  # fmt: skip
    assert {event["actor"]["kind"] for event in told} == {"system"}
    lost = see(attempts.get, expired.id)
    assert told[0]["payload"] == lost.json_dict()
    assert (lost.status, lost.runner) == ("lost", "r-1")
    assert "r-1" in lost.reason
    (comment,) = see(comments.listing, ticket.key, 9, None).items
    assert comment.author == SYSTEM
    assert f"cortex attempt retry {lost.id}" in comment.body
    assert see(attempt_log.tail, lost.id, 9).items[0].kind == "system"

    work.expire()
    assert happened() == []
    assert not see(leases.are_due)


def test_who_comes_second_finds_nothing_to_say(do, see, expired, happened):
    happened()
    assert do(attempts.lose, expired.id).status == "lost"
    assert do(attempts.lose, expired.id) is None
    assert happened.types().count("attempt.status") == 1


def test_a_lease_that_was_renewed_meanwhile_is_not_lost(work, do, see, expired, happened):
    runner = see(runners.every)[0]
    happened()
    assert work.beat(runner, expired) == [expired.id]
    assert do(attempts.lose, expired.id) is None
    assert see(attempts.get, expired.id).status == "running"
    online, told = happened()
    assert (online["type"], online["payload"]["status"]) == ("runner.online", "online")
    assert (told["type"], told["payload"]["status"]) == ("attempt.status", "running")
    assert told["payload"] == see(attempts.get, expired.id).json_dict()
    assert told["payload"]["revision"] == expired.revision + 1, "whoever read `lost` hears it"
    work.beat(runner, expired)
    assert happened() == []


def test_a_question_asked_without_a_lease_keeps_it_waiting_when_that_is_renewed(
    work, do, see, expired
):
    session = see(sessions.get, expired.session)
    do(questions.ask, session, {"title": "Go on?", "free_text": True})
    assert see(attempts.get, expired.id).status == "lost"
    work.beat(see(runners.every)[0], expired)
    assert see(attempts.get, expired.id).status == "waiting"


def test_a_session_cannot_begin_without_a_lease_nor_before_the_claim(
    work, do, see, ticket, other_ticket, expired
):
    with refused("lease_expired"):
        do(conversations.start, ticket, {"attempt": expired.id})
    with refused("no_runner"):
        do(conversations.start, other_ticket, {"attempt": work.start(other_ticket).id})
    work.beat(see(runners.every)[0], expired)
    assert do(conversations.start, ticket, {"attempt": expired.id}).attempt == expired.id


def test_an_owner_without_a_lease_may_still_say_how_it_ended_but_not_that_it_runs(
    work, expired, happened
):
    happened()
    with refused("lease_expired"):
        work.tell(expired, stage="executing")
    assert work.end(expired).status == "succeeded"
    work.expire()
    assert "attempt.status" not in happened.types()[1:]


def test_once_it_is_lost_its_runner_is_refused(work, expired):
    work.expire()
    with refused("attempt_ended"):
        work.end(expired)
    assert work.beat(work.runner(), expired) == []


@pytest.mark.parametrize("verb", [attempts.stop, attempts.retry])
def test_who_stops_or_retries_it_first_hears_that_it_is_lost(
    work, do, see, expired, happened, verb
):
    happened()
    if verb is attempts.stop:
        with refused("attempt_ended"):
            do(verb, expired)
        assert happened() == []  # refused, so nothing of it is stored
        return
    assert do(verb, expired).retry_of == expired.id
    told = happened()
    assert [told[0]["type"], told[-1]["type"]] == ["attempt.status", "attempt.started"]
    assert (told[0]["actor"]["kind"], told[-1]["actor"]["kind"]) == ("system", "user")


def test_a_stop_that_nobody_hears_ends_with_the_lease(work, do, see, ticket, clock):
    attempt = work.running(ticket)
    do(attempts.stop, attempt)
    clock.advance(LEASE_S)
    work.expire()
    lost = see(attempts.get, attempt.id)
    assert lost.status == "lost"
    assert "stopping" in lost.reason


def test_many_are_said_to_be_lost_a_few_at_a_time(work, do, see, ticket, clock):
    attempt = work.running(ticket)

    def multiply(tx):
        (row,) = tx.conn.execute(select(table)).mappings().all()
        for number in range(2, AT_ONCE + 2):
            tx.conn.execute(table.insert().values({**row, "id": new_id(), "number": number}))

    do(multiply)
    clock.advance(LEASE_S)
    assert not work.expire()
    assert see(leases.are_due)
    assert work.expire()
    assert not see(leases.are_due)
    stored = select(table.c.id).where(table.c.status == "lost", table.c.agent == attempt.agent)
    assert len(see(lambda tx: tx.conn.scalars(stored).all())) == AT_ONCE + 1


def test_a_silent_runner_reads_as_offline_and_is_told_once(work, see, do, clock, happened):
    runner = work.runner()
    happened()
    clock.advance(LEASE_S - 1)
    assert see(runners.get, runner.id).status == "online"
    clock.advance(1)
    assert see(runners.get, runner.id).status == "offline"
    work.expire()
    event = happened.one()
    assert (event["type"], event["project"]) == ("runner.offline", None)
    assert event["payload"] == see(runners.get, runner.id).json_dict()
    work.expire()
    assert happened() == []
    work.beat(runner)
    assert happened.types() == ["runner.online"]
    work.beat(runner)
    assert happened() == []


def test_what_a_runner_leaves_behind_has_no_owner(work, do, see, ticket, happened):
    runner = work.runner()
    attempt = work.running(ticket, runner)
    happened()
    assert do(runners.leave, runner, actor=BY_RUNNER).status == "offline"
    assert happened.types() == ["runner.offline"]
    assert see(attempts.get, attempt.id).status == "lost"
    work.expire()
    assert happened.types()[0] == "attempt.status"


def test_logs_of_attempts_that_are_long_over_are_dropped(work, do, see, other_ticket, store):
    over = work.running(other_ticket)
    work.end(over, "failed")
    do(attempt_log.append, over, [{"kind": "text", "text": "x"}])
    going_on = work.running(other_ticket)
    do(attempt_log.append, going_on, [{"kind": "text", "text": "x"}])
    assert do(retention.drop_logs, "2000-01-01T00:00:00.000000Z") == 0
    assert do(retention.drop_logs, "2999-01-01T00:00:00.000000Z") == 1
    assert see(attempt_log.tail, over.id, 9).items == []
    assert len(see(attempt_log.tail, going_on.id, 9).items) == 1


def test_that_it_is_lost_is_not_told_by_the_way(work, do, expired, happened):
    happened()
    do(attempts.tell, do(attempts.get, expired.id))
    assert happened.one()["payload"]["status"] == "running"
