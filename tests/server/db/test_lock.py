"""One server to a SQLite file, across processes, reloads and kill -9."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from cortex_server.db.lock import DatabaseLock
from cortex_server.db.migrate import DatabaseRefused
from tests.support.server import ROOT, wait_for

HOLD = """
import sys, pathlib
from cortex_server.db.lock import DatabaseLock
if "gevent" in sys.argv:
    from gevent import monkey
    monkey.patch_all()
DatabaseLock(pathlib.Path(sys.argv[1])).acquire(0)
print("held", flush=True)
sys.stdin.read()
"""


class Time:
    """Time that passes only in sleeps; `then` is called in the first of them."""

    def __init__(self, then=lambda: None):
        self.now, self.then, self.sleeps = 0.0, then, 0

    def sleep(self, seconds):
        self.now += seconds
        self.sleeps += 1
        if self.sleeps == 1:
            self.then()

    def monotonic(self):
        return self.now


@pytest.fixture
def database(tmp_path):
    return tmp_path / "cortex.db"


@pytest.fixture
def locks(database):
    made = []

    def make(time=None):
        time = time or Time()
        made.append(DatabaseLock(database, time.sleep, time.monotonic))
        return made[-1]

    yield make
    for lock in made:
        lock.release()


@pytest.fixture
def other_process(database):
    """Start another process that holds the lock."""
    started = []

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, database, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def claim_for_another_master(database, pid):
    """Make the holder look like the worker of another gunicorn master."""
    path = database.with_name("cortex.db.lock")
    path.write_text(json.dumps({"pid": pid, "parent": 1}))


def test_the_holder_is_named_in_a_private_file(database, locks):
    lock = locks()
    lock.acquire(0)
    assert (lock.holder().pid, lock.holder().parent) == (os.getpid(), os.getppid())
    assert stat.S_IMODE(lock.path.stat().st_mode) == 0o600
    assert lock.path == database.with_name("cortex.db.lock")


def test_a_released_lock_can_be_taken_again(locks):
    for _ in range(2):
        lock = locks()
        lock.acquire(0)
        lock.release()
        lock.release()
        assert lock.holder() is None


def test_the_server_of_another_master_is_named_at_once(database, locks):
    first = locks()
    first.acquire(0)
    claim_for_another_master(database, os.getpid())
    time = Time()
    with pytest.raises(DatabaseRefused, match=f"in use by process {os.getpid()}.*kill"):
        locks(time).acquire(60)
    assert time.sleeps == 0


def test_a_reloaded_worker_waits_until_the_old_one_has_drained(locks):
    old = locks()
    old.acquire(0)
    time = Time(then=old.release)
    new = locks(time)
    new.acquire(10)
    assert time.sleeps == 1
    assert new.holder().pid == os.getpid()


def test_the_wait_for_the_old_worker_ends(locks):
    locks().acquire(0)
    time = Time()
    with pytest.raises(DatabaseRefused):
        locks(time).acquire(10)
    assert 10 <= time.now < 10.2


def test_a_wait_for_anybody_can_be_asked_for(database, locks):
    old = locks()
    old.acquire(0)
    claim_for_another_master(database, os.getpid())
    time = Time(then=old.release)
    locks(time).acquire(10, same_parent_only=False)
    assert time.sleeps == 1


@pytest.mark.parametrize("content", ["", "{", '{"pid": 99999999, "parent": 1}'])
def test_a_holder_without_a_name_gets_a_moment_to_write_it(database, locks, content):
    old = locks()
    old.acquire(0)
    old.path.write_text(content)
    time = Time()
    with pytest.raises(DatabaseRefused, match="in use by"):
        locks(time).acquire(60)
    assert 0.5 <= time.now < 0.7
    time = Time(then=lambda: claim_for_another_master(database, os.getpid()))
    with pytest.raises(DatabaseRefused):
        locks(time).acquire(60)
    assert time.sleeps == 1


def test_a_probe_says_who_holds_it_and_keeps_nothing(locks):
    locks().probe()
    lock = locks()
    lock.acquire(0)
    with pytest.raises(DatabaseRefused, match=str(os.getpid())):
        locks().probe()
    lock.release()
    locks().probe()
    locks().acquire(0)


@pytest.mark.parametrize("options", [(), ("gevent",)], ids=["plain", "gevent"])
def test_the_kernel_releases_the_lock_of_a_killed_process(locks, other_process, options):
    holder = other_process(*options)
    lock = locks()
    with pytest.raises(DatabaseRefused, match=f"process {holder.pid}"):
        lock.probe()
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=10)
    lock.acquire(0)
    assert lock.holder().pid == os.getpid()


def test_programs_that_the_holder_starts_do_not_keep_the_lock(locks):
    lock = locks()
    lock.acquire(0)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        lock.release()
        locks().acquire(0)
        child.kill()


def test_a_lock_file_that_is_a_link_is_refused(database, locks, tmp_path):
    database.with_name("cortex.db.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatabaseRefused, match="cannot be opened"):
        locks().acquire(0)
    assert not (tmp_path / "elsewhere").exists()


def test_a_replacement_that_has_to_try_again_keeps_the_lock_that_it_has(tmp_path):
    """Its first try fails after it got the lock: another program writes to the file."""
    env = {
        **os.environ, "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(ROOT),
        "CORTEX_REPLACEMENT": "1", "CORTEX_GRACEFUL_S": "1",
    }  # fmt: skip
    command = [sys.executable, "-c", "from cortex_server import wsgi; wsgi.application()"]
    subprocess.run(command, env=env, check=True, timeout=60)
    database = tmp_path / "cortex" / "cortex.db"
    log = tmp_path / "log"
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with log.open("wb") as out:
            worker = subprocess.Popen(command, env=env, stdout=out, stderr=out)
        try:
            wait_for(lambda: b"waiting_for_database" in log.read_bytes(), "its first try fails")
            other.execute("ROLLBACK")
            assert worker.wait(timeout=60) == 0, log.read_text()
        finally:
            worker.kill()
            worker.wait()
