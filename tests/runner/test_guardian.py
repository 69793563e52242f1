"""The guardian: nothing of an attempt outlives its runner, its lease or itself."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cortex_cli.runner import processes
from cortex_cli.runner.group import Group, sweep
from tests.support.families import (
    ENVIRON,
    FAMILY,
    HYDRA,
    PYTHON,
    living,
    pids_of,
    zombies_of,
)
from tests.support.server import wait_for

# A runner: starts the family under a guardian, says so, and vouches for nothing any more.
RUNNER = """
import sys, time
from pathlib import Path
from cortex_cli.runner.group import Group
attempt, directory, family, seconds = sys.argv[1:]
group = Group(attempt, deadline=time.monotonic() + float(seconds), grace_s=0.2)
group.popen([sys.executable, "-S", "-c", family, directory], cwd=Path("/"), environ={})
print(group.guardian_pid, flush=True)
time.sleep(60)
"""
Start = Callable[..., Group]


class Runner:
    """A runner in a process of its own, and the family that it started."""

    def __init__(self, attempt: str, directory: Path, seconds: float) -> None:
        self.attempt = attempt
        argv = [sys.executable, "-c", RUNNER, attempt, str(directory), FAMILY, str(seconds)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.guardian = int(self._process.stdout.readline())
        self.family = pids_of(directory)
        self.all = {**self.family, "guardian": self.guardian}

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start groups that are ended with the test."""
    groups: list[Group] = []

    def make(seconds: float = 30.0, grace_s: float = 0.2) -> Group:
        attempt = f"{request.node.name}-{os.getpid()}-{len(groups)}"
        deadline = time.monotonic() + seconds
        groups.append(Group(attempt, deadline=deadline, grace_s=grace_s))
        return groups[-1]

    yield make
    for group in groups:
        group.stop(0.0)
        for child in group._children.values():
            child.close()


@pytest.fixture
def runner(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Runner]]:
    runners: list[Runner] = []

    def make(seconds: float = 30.0) -> Runner:
        runners.append(Runner(f"{request.node.name}-{os.getpid()}", tmp_path, seconds))
        return runners[-1]

    yield make
    for one in runners:
        one.kill()
        sweep(one.attempt, grace_s=0.0)


def everybody_dies(pids: dict[str, int], within_s: float = 10.0) -> None:
    wait_for(lambda: not living(pids), f"the end of {pids}", within_s)


def test_the_whole_family_dies_with_a_killed_runner(runner) -> None:
    one = runner()
    assert living(one.all) == one.all.keys()
    one.kill()
    everybody_dies(one.all)


def test_a_frozen_runner_cannot_keep_its_agents_beyond_the_deadline(runner) -> None:
    one = runner(seconds=1.2)
    one.signal(signal.SIGSTOP)
    everybody_dies(one.family)


def test_the_deadline_ends_all_after_a_term(start, tmp_path: Path) -> None:
    # Arrange
    group = start(seconds=30.0, grace_s=5.0)
    told = "trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    polite = group.popen(["sh", "-c", told], cwd=tmp_path, environ=ENVIRON)
    group.popen([*PYTHON, FAMILY, str(tmp_path)], cwd=tmp_path, environ=ENVIRON)
    family = pids_of(tmp_path)
    assert polite.stdout.readline() == b"ready\n"

    # Act
    deadline = time.monotonic() + 0.5
    group.extend(deadline)

    # Assert
    wait_for(lambda: not group.alive(), "the end of the group")
    assert 0 < time.monotonic() - deadline < 3
    assert polite.stdout.read() == b"term\n"
    assert polite.wait(5) == 5
    assert living(family) == set()
    assert group.ended_by == "deadline"


def test_an_extended_deadline_is_the_one_that_counts(start, tmp_path: Path) -> None:
    group = start(seconds=0.5)
    group.extend(time.monotonic() + 30)
    child = group.popen(["sleep", "30"], cwd=tmp_path, environ=ENVIRON)
    with pytest.raises(TimeoutError):
        child.wait(0.8)
    assert group.alive()


def test_stop_ends_the_whole_family_and_leaves_no_zombie(start, tmp_path: Path) -> None:
    group = start()
    group.popen([*PYTHON, FAMILY, str(tmp_path)], cwd=tmp_path, environ=ENVIRON)
    family = pids_of(tmp_path)
    group.stop()
    # at once: `stop` returns when it is so
    assert living(family) == set()
    assert not group.alive()
    assert group.ended_by == "stopped"
    assert not zombies_of(os.getpid())
    assert group.guardian_pid not in processes.everyone()


def test_what_forks_faster_than_it_is_killed_dies_too(start, tmp_path: Path) -> None:
    group = start(grace_s=0.1)
    group.popen([*PYTHON, HYDRA, str(tmp_path)], cwd=tmp_path, environ=ENVIRON)
    wait_for(lambda: len(list(tmp_path.glob("head-*"))) > 40, "forty heads")
    group.stop()
    heads = {path.name: int(path.read_text()) for path in tmp_path.glob("head-*[0-9]")}
    assert len(heads) > 40
    assert living(heads) == set()
    assert not processes.marked(processes.everyone(), "CORTEX_ATTEMPT", group.attempt)


def test_the_family_dies_with_a_killed_guardian(start, tmp_path: Path) -> None:
    group = start()
    child = group.popen([*PYTHON, FAMILY, str(tmp_path)], cwd=tmp_path, environ=ENVIRON)
    family = pids_of(tmp_path)
    naked = family.pop("naked")  # unmarked, and no longer below anything of ours
    try:
        os.kill(group.guardian_pid, signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        assert living(family) == set()
        assert not group.alive()
        assert group.ended_by == "guardian lost"
    finally:
        os.kill(naked, signal.SIGKILL)


def test_the_first_program_dies_at_once_with_the_guardian(runner) -> None:
    """Also when nobody is there to sweep: the runner is frozen."""
    one = runner()
    one.signal(signal.SIGSTOP)
    os.kill(one.guardian, signal.SIGKILL)
    everybody_dies({"first": one.family["first"]})
    os.kill(one.family["naked"], signal.SIGKILL)


def test_a_guardian_that_is_told_to_end_ends_its_group(start, tmp_path: Path) -> None:
    group = start()
    group.popen([*PYTHON, FAMILY, str(tmp_path)], cwd=tmp_path, environ=ENVIRON)
    family = pids_of(tmp_path)
    os.kill(group.guardian_pid, signal.SIGTERM)
    wait_for(lambda: not group.alive(), "the end of the group")
    assert living(family) == set()
    assert group.ended_by == "terminated"


@pytest.mark.slow
def test_stop_does_not_wait_for_a_frozen_guardian(start, tmp_path: Path) -> None:
    group = start(grace_s=0.0)
    group.popen([*PYTHON, FAMILY, str(tmp_path)], cwd=tmp_path, environ=ENVIRON)
    family = pids_of(tmp_path)
    naked = family.pop("naked")
    os.kill(group.guardian_pid, signal.SIGSTOP)
    group.stop()
    assert living(family) == set()
    assert not group.alive()
    os.kill(naked, signal.SIGKILL)


def test_a_guardian_is_there_at_once() -> None:
    """It costs little processor time, whatever else this machine does, and imports little."""
    code = "import sys, cortex_cli.runner.guardian; print(*sys.modules)"
    costs = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        modules = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert not {"click", "requests", "psutil", "subprocess", "threading"} & set(modules)
    assert min(costs) < 0.1
