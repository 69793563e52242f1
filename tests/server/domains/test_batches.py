"""Batches: several tickets run together, from their creation to the merge of their branches."""

import pytest

from cortex_server.domains import attempts, batch_merges, batches, claims, leases, runners, tickets
from cortex_server.domains import settings as project_settings
from cortex_server.errors import Conflict, Invalid, Malformed
from cortex_server.events.objects import Actor
from tests.support.stores import ALICE

LEASE_S = 30.0
RUNNER = Actor(kind="runner", name="r-1")
AGENT = {"name": "opencode", "adapter": "opencode", "capabilities": []}


class Shop:
    """A project whose tickets a runner works on. events: of batches, by type and ticket."""

    def __init__(self, do, see, project, happened, clock):
        self.do, self.see, self.project = do, see, project
        self._happened, self._clock = happened, clock
        self.runner = self.register("r-1")

    def register(self, name):
        offer = {
            "name": name, "host": "here", "version": "1", "parallel": 100, "projects": None,
            "agents": [AGENT],
        }  # fmt: skip
        return self.do(runners.register, offer, LEASE_S, actor=RUNNER)

    def tickets(self, count, **fields):
        made = [
            self.do(tickets.create, self.project, {"title": f"No {n}", **fields})
            for n in range(count)
        ]
        return [ticket.key for ticket in made]

    def batch(self, keys, **fields):
        wanted = {"tickets": keys, "agent": "opencode", "mode": "parallel", **fields}
        return self.do(batches.create, self.project, wanted)

    def now(self, batch):
        return self.see(batches.get, batch.id)

    def statuses(self, batch):
        return [ticket.status for ticket in self.now(batch).tickets]

    def claim(self, runner=None):
        """The next attempt, at work; None when there is none."""
        self._clock.advance(0.001)
        claim = self.do(claims.claim, runner or self.runner, None, LEASE_S, actor=RUNNER)
        if claim is None:
            return None
        changes = {"status": "running", "branch": f"cortex/{claim['ticket'].key}-1"}
        self.do(attempts.patch, claim["attempt"], changes, actor=RUNNER)
        return self.see(attempts.get, claim["attempt"].id)

    def end(self, attempt, status="succeeded", **said):
        self._clock.advance(0.001)
        return self.do(attempts.end, attempt.id, attempt.generation, status, actor=RUNNER, **said)

    def run(self, *outcomes):
        """Claim and end one attempt after the other."""
        for outcome in outcomes:
            self.end(self.claim(), outcome)

    def merge_claim(self, runner=None):
        found = self.do(batch_merges.claim, runner or self.runner, None, LEASE_S, actor=RUNNER)
        return found and found["batch"]

    def report(self, batch, ticket, result, **said):
        return self.do(
            batch_merges.report, batch.id, batch.generation, ticket, result, actor=RUNNER, **said
        )

    def finish(self, batch, status="completed", **said):
        return self.do(batch_merges.finish, batch.id, batch.generation, status, said, actor=RUNNER)

    @property
    def events(self):
        found = [event for event in self._happened() if event["type"].startswith("batch.")]
        return [
            " ".join([event["type"].removeprefix("batch."), event["ticket"] or ""]).strip()
            for event in found
        ]


@pytest.fixture
def shop(do, see, project, happened, clock):
    return Shop(do, see, project, happened, clock)


def test_a_parallel_batch_tells_every_step_in_order_until_one_pull_request(shop):
    keys = shop.tickets(3)
    shop.batch(keys, limit=2)
    a, b, c = keys
    assert shop.events == ["created", "started", f"ticket.started {a}", f"ticket.started {b}"]
    first, second = shop.claim(), shop.claim()
    assert shop.claim() is None, "two at a time"
    shop.end(second)
    assert shop.events == [f"ticket.completed {b}", f"ticket.started {c}"]
    shop.end(first)
    shop.run("failed")
    assert shop.events == [f"ticket.completed {a}", f"ticket.failed {c}", "merging"]
    merging = shop.merge_claim()
    assert (merging.runner, merging.generation) == ("r-1", 1)
    shop.report(merging, a, "merged", commit="c1")
    shop.report(merging, b, "conflict", files=["shared.txt"])
    done = shop.finish(merging, branch="cortex/batch-1", commit="c1", pr_url="https://x/1")
    assert shop.events == [f"ticket.skipped {b}", "completed"]
    assert [t.status for t in done.tickets] == ["merged", "skipped", "failed"]
    assert (done.status, done.pr_url, done.tickets[0].commit) == ("completed", "https://x/1", "c1")
    assert (done.tickets[1].files, done.ended_at is not None) == (["shared.txt"], True)


def test_a_sequential_batch_begins_one_after_the_other_in_its_order(shop):
    a, b = shop.tickets(2)
    batch = shop.batch([b, a], mode="sequential", limit=5, merge=False)
    assert shop.events == ["created", "started", f"ticket.started {b}"]
    assert shop.statuses(batch) == ["running", "pending"]
    shop.run("succeeded", "succeeded")
    assert shop.events == [
        f"ticket.completed {b}", f"ticket.started {a}", f"ticket.completed {a}", "completed",
    ]  # fmt: skip


def test_without_a_limit_as_many_run_as_the_project_allows(shop, do):
    do(project_settings.patch, "CTX", {"attempts_parallel": 3}, None)
    batch = shop.batch(shop.tickets(5))
    assert shop.statuses(batch).count("running") == 3


def test_a_batch_can_be_held_and_started_once(shop, do):
    batch = shop.batch(shop.tickets(1), start=False)
    assert (batch.status, shop.events) == ("pending", ["created"])
    assert do(batches.start, batch, None).status == "running"
    assert do(batches.start, shop.now(batch), None).revision == shop.now(batch).revision
    assert [event.split()[0] for event in shop.events] == ["started", "ticket.started"]


@pytest.mark.parametrize(
    ("change", "field"),
    [("twice", "tickets"), ("elsewhere", "tickets"), ("archived", "tickets")],
)
def test_what_no_batch_can_be_made_of_is_refused(shop, do, see, change, field):
    (key,) = shop.tickets(1)
    refs = {"twice": [key, key.lower()], "elsewhere": [key, "OTHER-1"], "archived": [key]}[change]
    if change == "archived":
        do(tickets.patch, see(tickets.get, key), {"archived": True}, None)
    shop.events  # noqa: B018 - so far
    with pytest.raises(Invalid) as refused:
        shop.batch(refs)
    assert refused.value.extra["errors"][0]["field"] == field
    assert shop.events == []


def test_an_agent_that_nobody_offers_is_refused_at_once(shop):
    with pytest.raises(Malformed):
        shop.batch(shop.tickets(2), agent="nobody", start=False)


def test_a_failure_stops_what_has_not_begun_where_that_is_asked_for(shop):
    keys = shop.tickets(3)
    batch = shop.batch(keys, limit=2, stop_on_failure=True)
    first, second = shop.claim(), shop.claim()
    shop.end(first, "failed", reason="No luck")
    assert shop.statuses(batch) == ["failed", "running", "cancelled"]
    shop.end(second)
    over = shop.now(batch)
    assert (over.status, over.reason) == ("failed", f"{keys[0]} failed: No luck")
    assert [ticket.status for ticket in over.tickets] == ["failed", "completed", "cancelled"]
    assert shop.merge_claim() is None


def test_a_batch_of_which_nothing_succeeds_fails_without_a_merge(shop):
    batch = shop.batch(shop.tickets(2))
    shop.run("failed", "cancelled")
    assert (shop.now(batch).status, shop.statuses(batch)) == ("failed", ["failed", "cancelled"])
    assert shop.events[-3:][0].startswith("ticket.failed")


def test_a_lost_attempt_fails_its_ticket(shop, do, clock):
    batch = shop.batch(shop.tickets(1))
    shop.claim()
    clock.advance(LEASE_S + 1)
    do(leases.expire)
    (row,) = shop.now(batch).tickets
    assert row.status == "failed"
    assert "Nothing was heard" in row.error


def test_cancelling_stops_what_runs_and_is_over_when_that_is_dead(shop, do):
    a, b, c = keys = shop.tickets(3)
    batch = shop.batch(keys, limit=2)
    running = shop.claim()  # the other one waits in the queue
    shop.events  # noqa: B018 - so far
    still = do(batches.cancel, shop.now(batch), None)
    assert (still.status, shop.statuses(batch)) == (
        "running", ["running", "cancelled", "cancelled"],
    )  # fmt: skip
    assert do(attempts.get, running.id).status == "stopping"
    shop.end(running, "cancelled")
    over = shop.now(batch)
    assert (over.status, over.reason) == ("cancelled", "Cancelled by alice.")
    assert shop.events == [
        f"ticket.cancelled {c}", f"ticket.cancelled {b}", f"ticket.cancelled {a}", "cancelled",
    ]  # fmt: skip
    assert do(batches.cancel, over, None) == over


def test_a_batch_whose_attempts_wait_in_the_queue_is_cancelled_at_once(shop, do):
    batch = shop.batch(shop.tickets(2))
    assert do(batches.cancel, batch, None).status == "cancelled"
    assert shop.claim() is None


def test_a_held_batch_is_cancelled_at_once(shop, do):
    a, b = shop.tickets(2)
    batch = shop.batch([a, b], start=False)
    over = do(batches.cancel, batch, None)
    assert (over.status, shop.statuses(batch)) == ("cancelled", ["cancelled"] * 2)
    assert shop.events == ["created", f"ticket.cancelled {a}", f"ticket.cancelled {b}", "cancelled"]
    with pytest.raises(Conflict):
        do(batches.start, over, None)


def test_what_succeeds_while_a_batch_is_cancelled_begins_nothing(shop, do):
    batch = shop.batch(shop.tickets(2), mode="sequential")
    running = shop.claim()
    do(batches.cancel, batch, None)
    shop.end(running, "succeeded")
    assert (shop.now(batch).status, shop.statuses(batch)) == (
        "cancelled", ["completed", "cancelled"],
    )  # fmt: skip


def test_cancelling_takes_the_merge_from_its_runner(shop, do):
    (key,) = shop.tickets(1)
    shop.batch([key])
    shop.run("succeeded")
    merging = shop.merge_claim()
    assert do(batches.cancel, shop.now(merging), None).status == "cancelled"
    with pytest.raises(Conflict) as refused:
        shop.report(merging, key, "merged", commit="c1")
    assert refused.value.code == "stale_generation"
    pair = [(merging.id, merging.generation)]
    assert do(batch_merges.renew, shop.runner, pair, LEASE_S) == []


def test_a_conflict_fails_the_batch_where_that_is_asked_for(shop):
    a, b = shop.tickets(2)
    shop.batch([a, b], on_conflict="fail")
    shop.run("succeeded", "succeeded")
    merging = shop.merge_claim()
    shop.report(merging, a, "merged", commit="c1")
    shop.events  # noqa: B018 - so far
    over = shop.report(merging, b, "conflict", files=["b.txt", "a.txt"])
    assert shop.events == [f"ticket.failed {b}", "failed"]
    assert (over.status, over.reason) == ("failed", f"{b}: Conflicts in a.txt, b.txt.")
    assert shop.finish(merging, "failed").revision == over.revision
    with pytest.raises(Conflict):
        shop.finish(merging, "completed")


def test_nothing_to_merge_but_conflicts_is_a_failure(shop):
    (key,) = shop.tickets(1)
    shop.batch([key])
    shop.run("succeeded")
    merging = shop.merge_claim()
    shop.report(merging, key, "conflict", files=["x"])
    over = shop.finish(merging)
    assert (over.status, over.reason) == ("failed", "All of its branches conflict.")


def test_telling_it_twice_is_once(shop):
    a, b = shop.tickets(2)
    shop.batch([a, b])
    shop.run("succeeded", "succeeded")
    merging = shop.merge_claim()
    shop.report(merging, a, "merged", commit="c1")
    shop.report(merging, b, "conflict", files=["x"])
    before = shop.now(merging).revision
    shop.report(merging, a, "merged", commit="c1")
    shop.report(merging, b, "conflict", files=["x"])
    assert shop.now(merging).revision == before
    over = shop.finish(merging)
    assert shop.finish(merging).revision == over.revision
    assert [event for event in shop.events if "skipped" in event] == [f"ticket.skipped {b}"]


def test_a_lost_merger_is_followed_by_another_who_goes_on(shop, do, clock):
    a, b = shop.tickets(2)
    shop.batch([a, b])
    shop.run("succeeded", "succeeded")
    other = shop.register("r-2")
    assert shop.merge_claim(other) is None, "who has the branches comes first"
    first = shop.merge_claim()
    assert shop.merge_claim() is None
    shop.report(first, a, "merged", commit="c1")
    clock.advance(LEASE_S - 1)
    pair = [(first.id, first.generation)]
    assert do(batch_merges.renew, shop.runner, pair, LEASE_S) == [first.id]
    clock.advance(LEASE_S - 1)
    assert (do(batch_merges.expire), shop.merge_claim(other)) == (0, None)
    clock.advance(2)
    assert shop.now(first).runner is None, "nobody merges it now"
    assert do(batch_merges.expire) == 1
    claim = do(batch_merges.claim, other, None, LEASE_S, actor=RUNNER)
    second = claim["batch"]
    assert (second.runner, second.generation) == ("r-2", 2)
    assert [attempt.ticket for attempt in claim["attempts"]] == [b]
    with pytest.raises(Conflict) as refused:
        shop.finish(first)
    assert refused.value.code == "stale_generation"
    assert do(batch_merges.renew, shop.runner, pair, LEASE_S) == []
    shop.report(second, b, "merged", commit="c2")
    assert shop.finish(second).status == "completed"


def test_a_runner_that_leaves_leaves_its_merge(shop, do):
    shop.batch(shop.tickets(1))
    shop.run("succeeded")
    shop.merge_claim()
    do(batch_merges.release, shop.runner)
    assert shop.merge_claim().generation == 2


def test_a_retry_takes_the_place_of_the_failed_attempt_while_the_batch_runs(shop, do, see):
    a, b = shop.tickets(2)
    batch = shop.batch([a, b])
    first, second = shop.claim(), shop.claim()
    shop.end(first, "failed")
    again = do(batches.retry, see(attempts.get, first.id))
    assert (again.batch, shop.statuses(batch)) == (batch.id, ["running", "running"])
    shop.end(second)
    assert shop.now(batch).status == "running"
    shop.run("succeeded")
    assert (shop.now(batch).status, shop.statuses(batch)) == ("merging", ["completed"] * 2)
    late = do(batches.retry, do(attempts.get, first.id))
    assert late.batch is None
    shop.end(shop.claim(), "failed")
    assert shop.statuses(batch) == ["completed"] * 2


def test_a_retry_brings_nothing_back_into_a_batch_that_is_cancelled(shop, do, see):
    batch = shop.batch(shop.tickets(2))
    first, second = shop.claim(), shop.claim()
    shop.end(first, "failed")
    do(batches.cancel, shop.now(batch), None)
    assert do(batches.retry, see(attempts.get, first.id)).batch is None
    shop.end(second, "cancelled")
    assert (shop.now(batch).status, shop.statuses(batch)) == ("cancelled", ["failed", "cancelled"])


def test_a_ticket_begins_after_those_that_it_depends_on_and_from_their_branch(shop):
    a, b = shop.tickets(2)
    (c,) = shop.tickets(1, depends_on=[a])
    batch = shop.batch([c, a, b])
    assert shop.statuses(batch) == ["pending", "running", "running"]
    shop.run("succeeded", "succeeded")
    after = shop.claim()
    assert (after.ticket, after.base) == (c, f"cortex/{a}-1")


def test_a_ticket_is_given_up_with_the_one_that_it_depends_on(shop):
    (a,) = shop.tickets(1)
    (b,) = shop.tickets(1, depends_on=[a])
    (c,) = shop.tickets(1, depends_on=[b])
    batch = shop.batch([c, b, a])
    shop.run("failed")
    assert shop.statuses(batch) == ["cancelled", "cancelled", "failed"]
    assert shop.now(batch).status == "failed"
    assert shop.now(batch).tickets[1].error == f"It depends on {a}, which is failed."


def test_a_ticket_that_was_deleted_fails_and_the_others_go_on(shop, do, see):
    a, b = shop.tickets(2)
    batch = shop.batch([a, b], mode="sequential")
    do(tickets.delete, see(tickets.get, b), None)
    shop.run("succeeded")
    assert shop.statuses(batch) == ["completed", "failed"]
    assert shop.now(batch).status == "merging"


def test_the_board_has_what_is_active_and_what_ended_within_a_day(shop, see, clock):
    over = shop.batch(shop.tickets(1), merge=False)
    shop.run("failed")
    clock.advance(86_399)
    (key,) = shop.tickets(1)
    running = shop.batch([key])
    assert [b.id for b in see(batches.of_board, "CTX")] == [over.id, running.id]
    assert [b.id for b in see(batches.of_board, "CTX", key)] == [running.id]
    clock.advance(2)
    assert [b.id for b in see(batches.of_board, "CTX")] == [running.id]


def test_batches_are_listed_in_pages(shop, see):
    made = [shop.batch(shop.tickets(1)).id for _ in range(3)]
    first = see(batches.listing, None, "CTX", "running", limit=2, cursor=None)
    rest = see(batches.listing, frozenset({"CTX"}), limit=2, cursor=first.next_cursor)
    assert [b.id for b in [*first.items, *rest.items]] == made
    assert first.items[0].tickets[0].status == "running"
    assert list(see(batches.listing, frozenset({"X"}), limit=2, cursor=None).items) == []


def test_a_batch_remembers_who_made_it(shop):
    assert shop.batch(shop.tickets(1)).created_by == ALICE
