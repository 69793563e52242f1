"""Where the workers of one server count together: in private, in memory, and gone at the end."""

import os
import shutil
import signal
import stat
from pathlib import Path

import pytest

from cortex_server import gunicorn_settings
from tests.support.databases import empty_postgres
from tests.support.postgres import server_on
from tests.support.server import Server, wait_for


@pytest.fixture
def make(monkeypatch):
    """A directory, with these for memory and XDG_RUNTIME_DIR; removed at the end."""
    made = []

    def call(memory, runtime=None):
        monkeypatch.setattr(gunicorn_settings, "MEMORY", str(memory))
        if runtime:
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        else:
            monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        made.append(Path(gunicorn_settings._metrics_directory()))
        return made[-1]

    yield call
    for directory in made:
        shutil.rmtree(directory)


def test_it_is_private_and_another_for_each_server_whatever_its_pid(make, tmp_path):
    one, other = make(tmp_path), make(tmp_path)
    assert one != other
    assert [one.parent, other.parent] == [tmp_path, tmp_path]
    assert stat.S_IMODE(one.stat().st_mode) == 0o700


def test_where_there_is_no_memory_it_is_elsewhere(make, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "run").mkdir()
    absent = tmp_path / "absent"
    assert make(absent, tmp_path / "run").parent == tmp_path / "run"
    assert make(absent, absent).parent == tmp_path
    assert make(absent).parent == tmp_path


def mapped_by(pid):
    """The directories of ours whose files the process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[5]).parent for line in lines if "/cortex-metrics-" in line}


@pytest.mark.e2e
@pytest.mark.postgres
def test_workers_count_there_also_after_it_was_taken_away_until_the_server_ends(tmp_path):
    with empty_postgres() as url:
        server = server_on(url, tmp_path / "server", workers=2).start()
        try:
            wait_for(lambda: all(map(mapped_by, server.worker_pids())), "each worker counts")
            (directory,) = set.union(*map(mapped_by, server.worker_pids()))
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
            assert not list((tmp_path / "server").rglob("*metrics*"))
            shutil.rmtree(directory)
            before = server.worker_pids()
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not set(before) & set(server.worker_pids()), "they are replaced")
            server.wait_until_ready()
            assert server.total("cortex_requests_total") >= 1
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        finally:
            server.stop()
        assert not directory.exists()


@pytest.mark.e2e
def test_the_directory_of_somebody_else_is_not_touched(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    server.env["PROMETHEUS_MULTIPROC_DIR"] = str(theirs)
    server.start()
    server.stop()
    assert list(theirs.iterdir()) == []
