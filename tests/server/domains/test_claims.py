"""Claims: who gets which attempt, and what comes with it."""

import pytest

from cortex_server import auth
from cortex_server.domains import (
    attempts,
    claims,
    profiles,
    projects,
    retention,
    sessions,
    settings,
    tickets,
    tokens,
)
from cortex_server.errors import Unauthenticated
from tests.support.attempts import LEASE_S, Work


@pytest.fixture
def work(do):
    return Work(do)


@pytest.fixture
def make(do):
    """A new ticket in a project, which is made when it is not there."""

    def call(key="CTX", **fields):
        found = do(projects.find, key) or do(projects.create, {"key": key, "name": key})
        return do(tickets.create, found, {"title": "x", **fields})

    return call


def taken(claim):
    return None if claim is None else claim["attempt"].id


def test_a_claim_brings_all_that_the_runner_needs(work, do, see, ticket, happened):
    runner = work.runner()
    options = {"model": "m-1", "args": ["-x"]}
    do(profiles.create, {"name": "fast", "agent": "shell", "options": options})
    attempt = work.start(ticket, profile="fast")
    happened()
    claim = work.claim(runner)
    found = claim["attempt"]
    assert (found.id, found.status, found.generation) == (attempt.id, "starting", 1)
    assert (found.runner, found.session) == ("r-1", claim["session"].id)
    assert found == see(attempts.get, attempt.id)
    assert (claim["ticket"].key, claim["ticket"].status) == (ticket.key, "progress")
    assert (claim["project"].key, claim["kind"]) == ("CTX", "attempt")
    assert claim["profile"].options.args == ["-x"]
    assert claim["settings"]["push"] is True
    session = see(sessions.get, claim["session"].id)
    assert (session.attempt, session.agent, session.model) == (attempt.id, "shell", "m-1")
    assert happened.types() == [
        "session.started",
        "attempt.session",
        "attempt.status",
        "ticket.moved",
    ]


def test_the_token_of_a_claim_is_good_for_its_ticket_until_the_end(work, see, ticket):
    runner = work.runner()
    attempt = work.start(ticket)
    secret = work.claim(runner)["token"]
    grant = see(auth.grant_for, secret)
    assert (grant.role, grant.ticket, grant.attempt) == ("agent", ticket.key, attempt.id)
    assert (grant.actor.kind, grant.actor.name) == ("agent", "shell")
    assert grant.projects == frozenset(["CTX"])
    work.end(attempt, "failed")
    with pytest.raises(Unauthenticated) as refused:
        see(auth.grant_for, secret)
    assert refused.value.code == "token_revoked"


def test_the_end_announces_that_the_token_is_revoked(work, ticket, store):
    attempt = work.running(ticket)
    with store.write(attempt.started_by) as tx:
        attempts.end(tx, attempt.id, 1, "failed")
        assert [name for name, _ in tx.announcements] == ["token-revoked"]


def test_nothing_is_claimed_twice(work, ticket):
    first, second = work.runner("r-1"), work.runner("r-2")
    attempt = work.start(ticket)
    assert taken(work.claim(first)) == attempt.id
    assert work.claim(second) is None
    assert work.claim(first) is None


def test_a_claim_that_comes_too_late_changes_nothing(work, do, ticket, monkeypatch):
    runner = work.runner()
    attempt = work.start(ticket)
    do(attempts.stop, attempt)
    monkeypatch.setattr(claims, "_next", lambda tx, runner, readable: attempt)
    assert work.claim(runner) is None


def test_the_project_with_the_fewest_at_work_comes_first_then_the_oldest(work, make):
    runner = work.runner(parallel=9)
    one = [work.start(make("ONE")) for _ in range(3)]
    two = [work.start(make("TWO")) for _ in range(2)]
    order = [taken(work.claim(runner)) for _ in range(5)]
    assert order == [a.id for a in (one[0], two[0], one[1], two[1], one[2])]


def test_a_runner_gets_only_what_it_can_and_may_run(work, do, make):
    work.runner("r-1", ["shell", "opencode"])
    shell, other = work.start(make("ONE")), work.start(make("ONE"), "opencode")
    make("TWO")
    elsewhere = work.runner("r-2", ["shell"], projects=["TWO"])
    assert work.claim(elsewhere) is None
    assert work.claim(work.runner("r-3", ["opencode"]), frozenset(["TWO"])) is None
    assert taken(work.claim(work.runner("r-4", ["opencode"], projects=["ONE"]))) == other.id
    assert taken(work.claim(work.runner("r-5", ["shell"]), frozenset(["ONE"]))) == shell.id


def test_a_runner_gets_no_more_than_it_wants(work, make):
    runner = work.runner(parallel=2)
    found = [work.start(make()) for _ in range(3)]
    assert [taken(work.claim(runner)) for _ in range(3)] == [found[0].id, found[1].id, None]
    work.end(found[0], "failed")
    assert taken(work.claim(runner)) == found[2].id


def test_a_project_runs_no_more_than_it_allows(work, do, make):
    runner = work.runner()
    found = [work.start(make()) for _ in range(3)]
    do(settings.patch, "CTX", {"attempts_parallel": 2}, None)
    assert [taken(work.claim(runner)) for _ in range(3)] == [found[0].id, found[1].id, None]
    late = work.start(make("TWO"))
    assert taken(work.claim(runner)) == late.id


def test_a_ticket_waits_for_all_that_it_depends_on(work, do, make):
    runner = work.runner()
    first, second = make(), make()
    attempt = work.start(make(depends_on=[first.key, second.key]))
    free = work.start(make())
    assert taken(work.claim(runner)) == free.id
    do(tickets.move, first, "review", None, None)
    do(tickets.patch, second, {"archived": True}, None)
    assert work.claim(runner) is None
    do(settings.patch, "CTX", {"done_column": "review"}, None)
    assert taken(work.claim(runner)) == attempt.id


def test_renewing_prolongs_only_what_is_the_runners_own(work, make, clock, see):
    first, second = work.runner("r-1"), work.runner("r-2")
    mine, ended, queued = (work.start(make()) for _ in range(3))
    mine, ended = work.claim(first)["attempt"], work.claim(first)["attempt"]
    work.end(ended, "failed")
    old = mine.model_copy(update={"generation": 0})
    assert work.beat(first, mine, ended, queued, old) == [mine.id]
    assert work.beat(second, mine) == []
    clock.advance(LEASE_S - 1)
    assert work.beat(first, mine) == [mine.id]
    clock.advance(LEASE_S - 1)
    assert see(attempts.get, mine.id).status == "starting"
    clock.advance(1)
    assert see(attempts.get, mine.id).status == "lost"


def test_renewing_is_no_change(work, ticket, happened):
    runner = work.runner()
    attempt = work.running(ticket, runner)
    happened()
    assert work.beat(runner, attempt) == [attempt.id]
    assert happened() == []


def test_tokens_of_attempts_that_are_over_are_dropped_after_a_day(work, do, see, ticket, clock):
    attempt = work.running(ticket)
    kept = len(see(tokens.listing, 100, None).items)
    work.end(attempt, "failed")
    clock.advance(80_000)
    assert do(retention.drop_tokens) == 0
    clock.advance(10_000)
    assert do(retention.drop_tokens) == 1
    assert len(see(tokens.listing, 100, None).items) == kept - 1
