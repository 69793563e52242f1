"""What the dashboard shows of agents at work, and that it does not go stale by itself."""

import pytest

from cortex_server.auth import Grant
from cortex_server.domains import attempts, reviews, tickets
from cortex_server.domains.overviews import MOST
from cortex_server.snapshots import Snapshots
from tests.support.attempts import LEASE_S, Work
from tests.support.stores import ALICE


@pytest.fixture
def work(do):
    return Work(do)


@pytest.fixture
def ticket_of(do, project):
    return lambda title="Fix it": do(tickets.create, project, {"title": title})


@pytest.fixture
def shown(store):
    """The dashboard, as one who keeps what was worked out before."""
    kept = Snapshots(store)

    def show(*projects):
        grant = Grant("t", "read", ALICE, frozenset(projects) if projects else None, None, None)
        return kept.dashboard(grant).body

    return show


def counts(found):
    return found["projects"][0]["attempts"]


def test_it_shows_what_works_and_what_waits(work, do, ticket_of, shown):
    first, second, third = (ticket_of(f"No {n}") for n in range(3))
    runner = work.runner()
    at_work = work.running(first, runner)
    asking = work.tell(work.running(second, runner), status="waiting")
    queued = work.start(third)
    found = shown()
    assert counts(found) == {"queued": 1, "running": 1, "waiting": 1, "failed": 0, "lost": 0}
    assert found["totals"]["attempts"] == counts(found)
    assert [a["id"] for a in found["attempts"]] == [at_work.id, asking.id, queued.id]
    shown_first = found["attempts"][0]
    assert (shown_first["title"], shown_first["agent"], shown_first["runner"]) == (
        "No 0", "shell", "r-1",
    )  # fmt: skip
    (seen,) = found["runners"]
    assert (seen["name"], seen["status"], seen["agents"]) == ("r-1", "online", ["shell"])
    assert found["needs"] == []


def test_what_needs_a_person_is_there_until_it_is_seen_to(work, do, ticket_of, shown, clock):
    failed, lost, asked = ticket_of(), ticket_of(), ticket_of()
    runner = work.runner()
    review = do(reviews.request, asked, {"summary": "Look"})
    clock.advance(1)
    wrong = work.end(work.running(failed, runner), "failed", reason="No luck")
    gone = work.running(lost, runner)
    clock.advance(LEASE_S + 1)
    found = shown()
    assert counts(found)["lost"] == 1, "also before anybody has said so"
    assert found["attempts"] == []
    kinds = [(need["kind"], need["id"], need["text"]) for need in found["needs"]]
    assert kinds == [
        ("review", review.id, "Look"), ("failed", wrong.id, "No luck"),
        ("lost", gone.id, "Fix it"),
    ]  # fmt: skip
    work.expire()
    assert [need["kind"] for need in shown()["needs"]] == ["review", "failed", "lost"]
    do(reviews.patch, review, {"state": "approved"}, None)
    do(attempts.retry, wrong)
    found = shown()
    assert [need["kind"] for need in found["needs"]] == ["lost"]
    assert counts(found) == {"queued": 1, "running": 0, "waiting": 0, "failed": 0, "lost": 1}
    clock.advance(86_400)
    found = shown()
    assert (found["needs"], counts(found)["lost"]) == ([], 0)
    assert found["runners"][0]["status"] == "offline"


def test_a_lease_that_runs_out_shows_without_an_event(work, do, ticket_of, shown, clock):
    """Counts are kept while nothing happens in the project; the minute stays the same, too."""
    runner = work.runner()
    attempt = work.running(ticket_of(), runner)
    clock.advance(LEASE_S - 1)
    assert counts(shown())["running"] == 1
    work.beat(runner, attempt)
    clock.advance(2)
    assert counts(shown())["running"] == 1, "it was renewed"
    clock.advance(LEASE_S - 3)
    assert counts(shown())["running"] == 1
    clock.advance(1)
    assert (counts(shown())["running"], counts(shown())["lost"]) == (0, 1)


def test_the_lists_are_bounded_and_the_counts_are_not(work, ticket_of, shown):
    ticket = ticket_of()
    work.runner()
    for _ in range(MOST + 2):
        work.start(ticket)
    found = shown()
    assert (len(found["attempts"]), counts(found)["queued"]) == (MOST, MOST + 2)


def test_only_readable_projects_are_shown(work, ticket_of, shown):
    work.running(ticket_of())
    found = shown("OTHER")
    assert (found["projects"], found["attempts"], found["needs"]) == ([], [], [])


def test_the_stream_tells_of_a_lease_that_runs_out(live):
    project = live.project()
    work = Work(live.do)
    work.running(live.ticket(project))
    reader = live.open(dashboard=True)
    live.clock.advance(LEASE_S)
    reader.later(0.5)
    overviews = [frame.data for frame in reader.of("dashboard_overview")]
    assert [counts(o)["running"] for o in overviews] == [1, 0]
    reader.later(5)
    assert len(reader.of("dashboard_overview")) == 2
