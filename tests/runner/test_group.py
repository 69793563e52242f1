"""The programs of an attempt: started as asked, told of truly, and found again as orphans."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex_cli.runner import processes
from cortex_cli.runner.errors import GroupError
from cortex_cli.runner.group import Child, Group, sweep
from tests.support.families import ENVIRON, FAMILY, PYTHON, living, pids_of, zombies_of
from tests.support.server import wait_for


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    made = Group(f"{request.node.name}-{os.getpid()}", grace_s=0.2)
    yield made
    made.stop(0.0)


def said(child: Child) -> tuple[bytes, bytes]:
    """Return all that a program printed; close its pipes."""
    out, err = child.stdout.read(), child.stderr.read()
    child.close()
    return out, err


def test_a_program_is_run_as_asked(group: Group, tmp_path: Path) -> None:
    script = 'pwd; echo "$1" >&2; env; exit 7'
    environ = {"PATH": ENVIRON["PATH"], "ONE": "wörd\n$x", "CORTEX_ATTEMPT": "forged"}
    child = group.popen(["sh", "-c", script, "sh", "a 'b\" $c"], cwd=tmp_path, environ=environ)
    assert child.wait(5) == 7
    assert child.poll() == 7
    out, err = said(child)
    assert out.decode().startswith(f"{tmp_path}\n")
    assert err == b"a 'b\" $c\n"
    assert "ONE=wörd\n$x\n" in out.decode()
    assert f"CORTEX_ATTEMPT={group.attempt}\n" in out.decode()
    assert "CORTEX_GUARDIAN" not in out.decode()
    assert "HOME=" not in out.decode()


def test_a_program_has_its_own_session_clean_signals_and_no_strange_descriptors(
    tmp_path: Path,
) -> None:
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # guardians inherit it
    try:
        group = Group(f"clean-{os.getpid()}")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    with group:
        child = group.popen(["cat", "/proc/self/status"], cwd=tmp_path, environ=ENVIRON)
        out, _ = said(child)
        listing = ["sh", "-c", "ls -l /proc/$$/fd"]
        fds, _ = said(group.popen(listing, cwd=tmp_path, environ=ENVIRON))
    assert f"\nNSsid:\t{child.pid}" in out.decode()
    assert f"\nNSpgid:\t{child.pid}" in out.decode()
    assert "\nSigIgn:\t0000000000000000\n" in out.decode()
    assert "\nSigBlk:\t0000000000000000\n" in out.decode()
    numbers = [line.split()[8] for line in fds.decode().splitlines() if " -> " in line]
    assert numbers == ["0", "1", "2"]
    assert "0 -> /dev/null" in fds.decode()


def test_descriptors_get_the_numbers_that_are_asked_for(group: Group, tmp_path: Path) -> None:
    read, write = os.pipe()
    second, writes = os.pipe()
    child = group.popen(
        ["sh", "-c", "echo to-five >&5; echo to-nine >&9"],
        cwd=tmp_path,
        environ=ENVIRON,
        descriptors={5: write, 9: writes},
    )
    os.close(write)
    os.close(writes)
    with open(read, "rb") as five, open(second, "rb") as nine:
        assert five.read() == b"to-five\n"
        assert nine.read() == b"to-nine\n"
    child.close()


def test_standard_input_is_a_pipe_on_demand(group: Group, tmp_path: Path) -> None:
    child = group.popen(["cat"], cwd=tmp_path, environ=ENVIRON, stdin=True)
    assert child.stdin is not None
    child.stdin.write(b"hello")
    child.stdin.close()
    assert said(child) == (b"hello", b"")


def test_what_cannot_be_started_says_why(group: Group, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        group.popen(["no-such-program"], cwd=tmp_path, environ=ENVIRON)
    (tmp_path / "plain").write_text("text")
    with pytest.raises(PermissionError):
        group.popen([str(tmp_path / "plain")], cwd=tmp_path, environ=ENVIRON)
    with pytest.raises(NotADirectoryError, match="gone"):
        group.popen(["true"], cwd=tmp_path / "gone", environ=ENVIRON)
    with pytest.raises(OSError, match="list too long"):
        group.popen(["true", "x" * 200_000], cwd=tmp_path, environ=ENVIRON)
    assert not group.alive()
    child = group.popen(["true"], cwd=tmp_path, environ=ENVIRON)
    assert child.wait(5) == 0
    child.close()


def test_several_programs_and_their_exits(group: Group, tmp_path: Path) -> None:
    def sh(script: str) -> Child:
        return group.popen(["sh", "-c", script], cwd=tmp_path, environ=ENVIRON)

    first, second, third = sh("exit 3"), sh("kill -9 $$"), sh("exec sleep 60")
    assert (first.wait(5), second.wait(5)) == (3, -9)
    assert group.alive()
    third.send_signal(signal.SIGINT)
    first.send_signal(signal.SIGINT)  # gone: nothing happens
    assert third.wait(5) == -signal.SIGINT
    wait_for(lambda: not group.alive(), "an empty group")
    fourth = sh("sleep 60 & exit 0")
    assert fourth.wait(5) == 0
    assert group.alive(), "something that it started still lives"
    group.stop()
    assert not group.alive()
    for child in (first, second, third, fourth):
        child.close()
    assert not zombies_of(os.getpid())


def test_an_ended_group_starts_nothing(group: Group, tmp_path: Path) -> None:
    group.stop()
    group.stop()
    group.extend(time.monotonic() + 5)
    with pytest.raises(GroupError, match="was ended"):
        group.popen(["true"], cwd=tmp_path, environ=ENVIRON)


def test_stop_asks_before_it_kills(group: Group, tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done"
    child = group.popen(["sh", "-c", script], cwd=tmp_path, environ=ENVIRON)
    assert child.stdout.readline() == b"ready\n"
    group.stop(5)
    assert child.wait(0) == 4
    assert said(child)[0] == b"bye\n"


def test_who_was_suspended_is_asked_too(group: Group, tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 4' TERM; kill -STOP $$; while :; do sleep 0.01; done"
    child = group.popen(["sh", "-c", script], cwd=tmp_path, environ=ENVIRON)
    stat = Path(f"/proc/{child.pid}/stat")
    wait_for(lambda: ") T " in stat.read_text(), "the suspension")
    group.stop(5)
    assert child.wait(0) == 4
    assert said(child)[0] == b"bye\n"


def test_groups_come_and_go_without_leaving_descriptors(tmp_path: Path) -> None:
    def one() -> None:
        with Group("a-leak") as group:
            group.popen(["true"], cwd=tmp_path, environ=ENVIRON).close()

    one()
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        one()
    # Another thread's may be open for a moment longer.
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= len(before), "all of them are closed")


# Orphans


class Orphans:
    """A family whose guardian was killed, and whose runner could not sweep."""

    def __init__(self, attempt: str, directory: Path) -> None:
        self.attempt = attempt
        directory.mkdir()
        self.first = subprocess.Popen(
            [*PYTHON, FAMILY, str(directory)], env={"CORTEX_ATTEMPT": attempt}
        )
        self.family = pids_of(directory)
        self.naked = self.family.pop("naked")


@pytest.fixture
def orphans(tmp_path: Path) -> Iterator[Orphans]:
    found = Orphans(f"orphans-{os.getpid()}", tmp_path / "family")
    yield found
    os.kill(found.naked, signal.SIGKILL)
    found.first.kill()
    found.first.wait()


def test_a_sweep_ends_the_orphans_of_one_attempt_only(orphans: Orphans, tmp_path: Path) -> None:
    # Arrange: an attempt whose id begins alike, and what merely names ours
    environ = {"CORTEX_ATTEMPT": orphans.attempt + "-2", "X_CORTEX_ATTEMPT": orphans.attempt}
    other = subprocess.Popen([*PYTHON, "import time; time.sleep(60)"], env=environ)

    # Act
    swept = sweep(orphans.attempt, grace_s=0.2)

    # Assert
    assert living(orphans.family) == set()
    assert swept.left == []
    assert set(orphans.family.values()) <= {seen.pid for seen in swept.ended}
    assert other.poll() is None
    other.kill()
    other.wait()
    assert sweep(orphans.attempt).ended == []


def test_a_sweep_has_the_help_of_a_guardian_that_lives(tmp_path: Path) -> None:
    """Below it is also the one without a mark."""
    attempt = f"swept-{os.getpid()}"
    group = Group(attempt, grace_s=0.2)
    child = group.popen([*PYTHON, FAMILY, str(tmp_path)], cwd=tmp_path, environ=ENVIRON)
    family = pids_of(tmp_path)
    swept = sweep(attempt, grace_s=1.0)
    assert living(family) == set()
    assert set(family.values()) - {family["naked"]} <= {seen.pid for seen in swept.ended}
    wait_for(lambda: group.ended_by == "terminated", "the news of the guardian")
    group.stop()
    child.close()


def test_a_sweep_spares_itself_and_those_above() -> None:
    attempt = f"inside-{os.getpid()}"
    code = "import sys; from cortex_cli.runner.group import sweep; print(sweep(sys.argv[1]))"
    inside = f'"{sys.executable}" -c "{code}" {attempt}; echo survived'
    run = subprocess.run(
        ["sh", "-c", inside],
        env={**ENVIRON, "CORTEX_ATTEMPT": attempt},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "Swept(ended=[], left=[])\nsurvived\n"


@pytest.mark.parametrize("send", [processes.send, processes._send_without_handle])
def test_a_reused_process_id_is_never_hit(send) -> None:
    other = subprocess.Popen(["sleep", "60"])
    now = processes.everyone()[other.pid]
    before = now._replace(started=now.started - 1)  # who had the id earlier
    assert not send(before, signal.SIGKILL)
    assert other.poll() is None
    assert send(now, signal.SIGKILL)
    assert other.wait(5) == -signal.SIGKILL
    assert not send(now, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start others' processes")
def test_others_processes_are_not_ours_whatever_their_mark() -> None:
    attempt = f"others-{os.getpid()}"
    other = subprocess.Popen(["sleep", "60"], env={"CORTEX_ATTEMPT": attempt}, user=65534)
    ours = subprocess.Popen(["sleep", "60"], env={"CORTEX_ATTEMPT": attempt})
    try:
        found = processes.marked(processes.everyone(), "CORTEX_ATTEMPT", attempt)
        assert [seen.pid for seen in found] == [ours.pid]
    finally:
        for one in (other, ours):
            one.kill()
            one.wait()


def test_both_ways_to_see_processes_see_the_same() -> None:
    """The one of other systems, with psutil, and the one of Linux."""
    marked = subprocess.Popen(["sleep", "60"], env={"CORTEX_ATTEMPT": "seen"})
    try:
        one = {seen.pid: seen for seen in processes._by_proc()}
        other = {seen.pid: seen for seen in processes._by_psutil()}
        for pid in (os.getpid(), marked.pid):
            assert one[pid]._replace(started=0) == other[pid]._replace(started=0)
        assert processes._environment_by_psutil(marked.pid) == [b"CORTEX_ATTEMPT=seen"]
        assert processes._environment(marked.pid)[:1] == [b"CORTEX_ATTEMPT=seen"]
    finally:
        marked.kill()
        marked.wait()
