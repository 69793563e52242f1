"""Whatever people, runners and the clock do, in any order: what attempts never are."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from cortex_server.db.schema import tokens
from cortex_server.db.work import attempts as table
from cortex_server.domains import attempt_states, attempts, projects, tickets
from cortex_server.domains import settings as project_settings
from cortex_server.errors import Conflict
from cortex_server.store import Store
from tests.support.attempts import LEASE_S, Work
from tests.support.clocks import ManualClock
from tests.support.databases import empty_engine
from tests.support.stores import Happened, doing, seeing

PARALLEL = 2
STATUSES = ("starting", "running", "waiting")
OUTCOMES = ("succeeded", "failed", "cancelled")
REFUSALS = (
    "refused_transition", "attempt_ended", "stale_generation", "lease_expired", "not_over",
)  # fmt: skip
which = st.integers(0, 3)
runner_number = st.integers(0, 1)


class Attempts(RuleBasedStateMachine):
    """Each action does what is allowed, or is refused and changes nothing."""

    @initialize()
    def begin(self):
        self.clock = ManualClock()
        self.store = Store(empty_engine("sqlite"), self.clock)
        self.do, self.see = doing(self.store), seeing(self.store)
        self.work = Work(self.do)
        project = self.do(projects.create, {"key": "CTX", "name": "x"})
        self.do(project_settings.patch, "CTX", {"attempts_parallel": PARALLEL}, None)
        self.ticket = self.do(tickets.create, project, {"title": "x"})
        self.runners = [self.work.runner(name) for name in ("r-1", "r-2")]
        self.happened = Happened(self.store)
        self.last = {}
        self.claims = []

    def tried(self, verb, *arguments, **named):
        before = self.happened.cursor
        try:
            return verb(*arguments, **named)
        except Conflict as refused:
            code = refused.code
        assert code in REFUSALS
        assert Happened(self.store).cursor == before, "refused, and yet something was told"
        return None

    @rule()
    def start(self):
        self.work.start(self.ticket)

    @rule(number=runner_number)
    def claim(self, number):
        claim = self.work.claim(self.runners[number])
        if claim is not None:
            found = claim["attempt"]
            assert (found.id, found.generation) not in self.claims
            self.claims.append((found.id, found.generation))

    @precondition(lambda self: self.claims)
    @rule(index=which, status=st.sampled_from(STATUSES))
    def tell(self, index, status):
        attempt_id, generation = self.claims[-1 - index % len(self.claims)]
        found = self.see(attempts.get, attempt_id)
        self.tried(self.work.tell, found, generation, status=status)

    @precondition(lambda self: self.claims)
    @rule(index=which, status=st.sampled_from(OUTCOMES))
    def end(self, index, status):
        attempt_id, _ = self.claims[-1 - index % len(self.claims)]
        self.tried(self.work.end, self.see(attempts.get, attempt_id), status)

    @precondition(lambda self: self.last)
    @rule(index=which, verb=st.sampled_from([attempts.stop, attempts.retry]))
    def stop_or_retry(self, index, verb):
        attempt_id = list(self.last)[-1 - index % len(self.last)]
        self.tried(self.do, verb, self.see(attempts.get, attempt_id))

    @rule(number=runner_number)
    def beat(self, number):
        runner = self.runners[number]
        held = [self.see(attempts.get, attempt_id) for attempt_id, _ in self.claims]
        renewed = self.work.beat(runner, *held)
        assert {self.see(attempts.get, found).runner for found in renewed} <= {runner.name}

    @rule(seconds=st.sampled_from([1, LEASE_S / 2, LEASE_S]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def expire(self):
        self.work.expire()
        assert self.lease_of_the_running() > self.see(lambda tx: tx.now)

    def lease_of_the_running(self):
        found = select(table.c.lease_expires_at).where(table.c.status.in_(attempt_states.CLAIMED))
        return min(self.see(lambda tx: tx.conn.scalars(found).all()), default="9")

    @invariant()
    def every_status_followed_from_the_one_before(self):
        if not hasattr(self, "happened"):
            return
        for event in self.happened():
            if event["type"] in ("attempt.started", "attempt.status"):
                told = event["payload"]
                before = self.last.get(told["id"])
                allowed = {"queued"} if before is None else attempt_states.NEXT[before]
                assert told["status"] in allowed or told["status"] == before
                self.last[told["id"]] = told["status"]

    @invariant()
    def nothing_is_at_work_without_a_lease_and_nothing_over_has_one_or_a_token(self):
        if not hasattr(self, "last"):
            return
        rows = self.see(lambda tx: tx.conn.execute(select(table)).all())
        assert {row.id: row.status for row in rows} == self.last
        assert sum(row.status in attempt_states.CLAIMED for row in rows) <= PARALLEL
        now = self.see(lambda tx: tx.now)
        living = select(tokens.c.attempt).where(tokens.c.revoked_at.is_(None))
        with_token = set(self.see(lambda tx: tx.conn.scalars(living).all())) - {None}
        assert with_token == {row.id for row in rows if row.status in attempt_states.CLAIMED}
        for row in rows:
            at_work = row.status in attempt_states.CLAIMED
            assert at_work == (row.lease_expires_at is not None)
            read = self.see(attempts.get, row.id).status
            owned = at_work and row.lease_expires_at > now
            assert (read in attempt_states.CLAIMED) == owned


Attempts.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAttempts = Attempts.TestCase
