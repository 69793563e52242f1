"""Runners and servers that are killed, and networks that are cut for longer than a lease.

Nothing runs twice, nothing is said to run without an owner, nothing that was done is lost.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.proxy import BreakingProxy
from tests.support.server import free_port, wait_for
from tests.support.workplace import RunnerProcess, Workplace

LEASE_S = 3.0
pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(120)]

# Says again and again that it lives, in a process that has left its group.
TICKS = """
cat > tick.sh <<'END'
while :; do date +%s.%N >> "$1/$CORTEX_ATTEMPT"; sleep 0.05; done
END
echo uncommitted > work.txt
setsid sh tick.sh {ticks} &
wait
"""


class Ticking(Workplace):
    """A workplace whose agent `ticks` ticks; `ends` counts to 80 within four seconds."""

    def __init__(self, server, directory):
        super().__init__(server, directory)
        self.ticks = directory / "ticks"
        self.ticks.mkdir()
        self.agents = [
            self.agent("ticks", TICKS.replace("{ticks}", str(self.ticks))),
            self.agent("ends", "for i in $(seq 80); do echo $i; sleep 0.05; done; echo x > x.txt"),
        ]

    def last_tick(self, attempt):
        """When it last lived, in seconds since 1970; None when it never did."""
        path = self.ticks / attempt["id"]
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return float(lines[-1]) if lines else None

    def check_dead(self, attempt, *, before):
        """Its last tick came before that moment, and none comes any more."""
        last = self.last_tick(attempt)
        assert last is not None
        assert last < before, "it outlived its lease"
        assert self.at_work() == []
        assert self.last_tick(attempt) == last

    def check_kept(self, attempt):
        assert Path(attempt["worktree"], "work.txt").read_text() == "uncommitted\n"


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def place(make_server, tmp_path, port):
    server = make_server(lease_s=LEASE_S, allowed_hosts=f"127.0.0.1:{port}", retry_ms=20)
    return Ticking(server, tmp_path)


@pytest.fixture
def start(place):
    started = []

    def start(name, **options):
        started.append(RunnerProcess(place, name, place.agents, **options))
        return started[-1]

    yield start
    for runner in started:
        runner.kill()
    wait_for(lambda: not place.at_work(), "all agents are dead")


def test_a_runner_killed_by_kill_9_is_no_owner_and_its_agent_dies(place, start):
    runner = start("one")
    attempt = place.attempt("ticks")
    wait_for(lambda: place.last_tick(attempt), "it lives")
    runner.kill()
    lost = place.wait_for_status(attempt, "lost")
    place.check_dead(attempt, before=time.time())
    place.check_kept(lost)
    wait_for(lambda: place.find(attempt)["ended_at"], "it is said, not only read so")
    comments = place.server.api("GET", f"/tickets/{attempt['ticket']}/comments").json()["items"]
    assert "is lost" in comments[-1]["body"]
    start("two")
    again = place.server.make(f"/attempts/{attempt['id']}/retry")
    assert place.wait_for_status(again, "running")["runner"] == "two"
    wait_for(lambda: place.last_tick(again), "the new one lives")
    place.check_kept(lost)


def test_a_guardian_and_its_runner_killed_together_leave_no_agent_behind(place, start):
    runner = start("one")
    attempt = place.attempt("ticks")
    wait_for(lambda: place.last_tick(attempt), "it lives")
    running = place.wait_for_status(attempt, "running")
    runner.kill()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"CORTEX_GUARDIAN={attempt['id']}".encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)
    runner.start()
    place.wait_for_status(attempt, "failed", "lost")
    place.check_dead(attempt, before=time.time())
    place.check_kept(running)


def test_a_server_that_comes_back_within_the_lease_interrupts_nothing(make_server, tmp_path):
    place = Ticking(make_server(lease_s=12), tmp_path)
    runner = RunnerProcess(place, "one", place.agents)
    attempt = place.attempt("ends")
    wait_for(lambda: "5" in place.said(attempt).split(), "it counts")
    for _ in range(2):
        place.server.kill()
        place.server.start()
    ended = place.wait_for_status(attempt, "succeeded", "failed", "lost")
    assert (ended["status"], ended["generation"]) == ("succeeded", 1)
    assert place.said(attempt).split()[:80] == [str(number) for number in range(1, 81)]
    assert runner.said("attempt.lost") == []
    assert runner.stop() == 0


def test_a_network_cut_for_longer_than_the_lease_ends_the_agent_first(place, start, port):
    with BreakingProxy(place.server, port) as proxy:
        runner = start("one", url=proxy.url)
        attempt = place.attempt("ticks")
        wait_for(lambda: place.last_tick(attempt), "it lives")
    # The proxy is gone now: connections are broken, new ones refused.
    lost = place.wait_for_status(attempt, "lost")
    place.check_dead(attempt, before=time.time())
    place.check_kept(lost)
    runner.wait_until(lambda: runner.said("attempt.lost"), "the runner knows")
    with BreakingProxy(place.server, port):
        again = place.server.make(f"/attempts/{attempt['id']}/retry")
        place.wait_for_status(again, "running")
        wait_for(lambda: place.last_tick(again), "the new one lives")
        assert place.find(attempt)["status"] == "lost"
        assert runner.stop() == 0
    assert place.wait_for_status(again, "cancelled")


def test_a_frozen_runner_loses_its_claim_and_its_agent(place, start):
    runner = start("one")
    attempt = place.attempt("ticks")
    wait_for(lambda: place.last_tick(attempt), "it lives")
    runner.process.send_signal(signal.SIGSTOP)
    place.wait_for_status(attempt, "lost")
    place.check_dead(attempt, before=time.time())
    # Until it is said, too, the owner may still tell an end of its own.
    comments = f"/tickets/{attempt['ticket']}/comments"
    wait_for(lambda: place.server.api("GET", comments).json()["items"], "it is said")
    runner.process.send_signal(signal.SIGCONT)
    runner.wait_until(lambda: runner.said("attempt.lost"), "it knows that it lost the claim")
    assert place.find(attempt)["status"] == "lost"
    assert runner.stop() == 0


def test_a_server_that_answers_nothing_for_longer_than_the_lease_is_as_good_as_none(place, start):
    runner = start("one")
    attempt = place.attempt("ticks")
    wait_for(lambda: place.last_tick(attempt), "it lives")
    os.killpg(place.server.process.pid, signal.SIGSTOP)
    try:
        # From the last renewal on, which may have been answered just now.
        wait_for(lambda: not place.at_work(), "the agent is dead", LEASE_S)
        runner.wait_until(lambda: runner.said("attempt.lost"), "the runner knows")
    finally:
        os.killpg(place.server.process.pid, signal.SIGCONT)
    # A heartbeat that waited at the server may have renewed the lease: then the runner says it.
    wait_for(lambda: place.find(attempt)["ended_at"], "it is over", LEASE_S)
    assert place.find(attempt)["status"] in ("lost", "failed")
    again = place.server.make(f"/attempts/{attempt['id']}/retry")
    place.wait_for_status(again, "running")
    assert runner.stop() == 0
