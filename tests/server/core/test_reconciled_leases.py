"""When the reconciler says that leases have run out: not before everybody could renew them."""

import pytest

from cortex_server.db.time import DatabaseClock
from cortex_server.domains import attempts, claims, endings, projects
from cortex_server.reconciler import Reconciler
from tests.support.attempts import LEASE_S, Work
from tests.support.clocks import ManualClock
from tests.support.databases import empty_engine


class Board:
    """A running attempt on a live board, and reconcilers whose time is passed in."""

    def __init__(self, live):
        self.live = live
        self.work = Work(live.do)
        self.runner = self.work.runner()
        self.attempt = self.work.running(live.ticket(live.project()))
        self.reader = live.open()

    def reconciler(self):
        return Reconciler(self.live.services)

    def go_on(self, seconds, *reconcilers):
        """Let time pass, some seconds at a time, with these at work."""
        while seconds:
            step = min(seconds, 5)
            seconds -= step
            self.live.clock.advance(step)
            for reconciler in reconcilers:
                reconciler.tick(self.live.clock.monotonic())

    @property
    def told(self):
        """The statuses that were told since."""
        self.reader.settle()
        found = [event for event in self.reader.events if event["type"] == "attempt.status"]
        return [event["payload"]["status"] for event in found]


@pytest.fixture
def board(live):
    return Board(live)


def test_two_reconcilers_say_it_once(board):
    both = board.reconciler(), board.reconciler()
    board.go_on(int(LEASE_S) + 10, *both)
    assert board.told == ["lost"]


def test_a_lease_that_is_renewed_is_never_lost(board):
    reconciler = board.reconciler()
    for _ in range(8):
        board.go_on(10, reconciler)
        assert board.work.beat(board.runner, board.attempt) == [board.attempt.id]
    assert board.told == []


def test_after_a_start_everybody_gets_the_time_of_a_lease(board):
    board.live.clock.advance(1000)  # nobody served
    reconciler = board.reconciler()
    reconciler.tick(board.live.clock.monotonic())
    board.go_on(int(LEASE_S) - 1, reconciler)
    assert board.told == []
    board.go_on(1, reconciler)
    assert board.told == ["lost"]


def test_after_a_gap_too(board):
    reconciler = board.reconciler()
    board.go_on(2, reconciler)
    board.live.clock.advance(1000)  # suspended, or the database was away
    board.go_on(int(LEASE_S) - 1, reconciler)
    assert board.told == []
    board.work.beat(board.runner, board.attempt)
    board.go_on(20, reconciler)
    assert board.told == ["running"], "it read as lost until it was heard of"
    board.go_on(15, reconciler)
    assert board.told == ["running", "lost"]


def test_one_that_cannot_be_told_keeps_no_other_from_being_told(board, monkeypatch):
    def fail(_tx, attempt):
        if attempt.id == board.attempt.id:
            raise ZeroDivisionError

    monkeypatch.setattr(endings, "_CLOSING", [fail])
    ticket = board.live.ticket(board.live.do(projects.get, "CTX"))
    board.work.running(ticket, board.runner)
    board.go_on(int(LEASE_S) + 10, board.reconciler())
    assert board.told[-1:] == ["lost"]
    assert board.told.count("lost") == 1
    assert [e["type"] for e in board.reader.events][-1] == "runner.offline"


def test_a_clock_that_is_put_back_makes_no_lease_longer(board):
    reconciler = board.reconciler()
    board.go_on(10, reconciler)
    board.live.clock.set_back(600)
    board.go_on(10, reconciler)
    board.work.beat(board.runner, board.attempt)
    board.go_on(int(LEASE_S) - 1, reconciler)
    assert board.told == []
    board.live.clock.set_back(600)
    board.go_on(int(LEASE_S) + 10, reconciler)
    assert board.told == ["lost"]
    (left,) = board.live.services.snapshots.dashboard(board.live.grant()).body["runners"]
    assert left["status"] == "offline"


def test_nor_does_one_that_is_put_back_while_nobody_serves(board):
    board.live.clock.set_back(86_400)
    board.go_on(int(LEASE_S) + 10, board.reconciler())
    assert board.told == ["lost"]


def test_a_lease_that_was_given_for_longer_than_now_is_kept(board):
    """Its runner was told so, and its agents live by it."""
    board.live.do(claims.renew, board.runner, [(board.attempt.id, 1)], 10 * LEASE_S)
    board.go_on(9 * int(LEASE_S), board.reconciler())
    assert board.told == []


def test_who_does_not_lead_says_nothing(board):
    follower = Reconciler(board.live.services, leads=lambda: False)
    board.go_on(int(LEASE_S) * 3, follower)
    assert board.told == []


@pytest.mark.postgres
def test_on_postgresql_the_time_is_that_of_the_database():
    own = ManualClock()  # of another year
    clock = DatabaseClock(empty_engine("postgres"), own)
    first = clock.now()
    assert abs((first - own.now()).total_seconds()) > 86_400
    own.advance(7)
    assert (clock.now() - first).total_seconds() == 7
    assert clock.monotonic() == own.monotonic()
    clock.look()
    assert (clock.now() - first).total_seconds() < 5


def test_a_lost_attempt_can_be_tried_again(board):
    board.go_on(int(LEASE_S) + 1, board.reconciler())
    again = board.live.do(attempts.retry, board.attempt)
    assert (again.status, again.retry_of) == ("queued", board.attempt.id)
