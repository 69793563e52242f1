"""What a runner runs, on disk."""

import os
import stat
import subprocess
import sys

import pytest

from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.journal import Journal, NameTaken, Record, directory_of
from tests.support.server import ROOT

ONE = Record("0190-a", 3, "attempt", "CTX-1", "CTX", "/repo", worktree="/w", branch="b")
HOLD = """
import pathlib, sys
from cortex_cli.runner.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
TWO = Record("0190-b", 1, "attempt", "CTX-2", "CTX", "/repo")


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "runner")
    yield made
    made.close()


def test_the_next_one_finds_what_was_written(tmp_path):
    first = Journal(tmp_path)
    first.write(ONE)
    first.write(TWO)
    first.forget(TWO.id)
    first.close()
    second = Journal(tmp_path)
    assert second.records() == [ONE]
    second.close()


def test_a_record_is_replaced_as_a_whole(journal):
    journal.write(TWO)
    journal.write(Record(**{**vars(TWO), "worktree": "/w2", "guardian": 7}))
    (found,) = journal.records()
    assert (found.worktree, found.guardian) == ("/w2", 7)
    assert len(os.listdir(journal.directory / "attempts")) == 1  # no draft is left


def test_only_the_owner_reads_it(journal):
    journal.write(ONE)
    for path in [journal.directory, *journal.directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_what_cannot_be_read_is_passed_over_and_kept(journal):
    journal.write(ONE)
    for name, text in {"half": '{"id": "x', "older": '{"id": "x"}', "list": "[1]"}.items():
        (journal.directory / "attempts" / f"{name}.json").write_text(text)
    assert journal.records() == [ONE]
    assert (journal.directory / "attempts" / "half.json").exists()


def test_a_name_has_one_living_runner_and_is_free_when_it_was_killed(tmp_path):
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with held:
        assert held.stdout.readline() == b"held\n"
        with pytest.raises(NameTaken, match=f"process {held.pid}"):
            Journal(tmp_path)
        held.kill()
        held.wait()
    Journal(tmp_path).close()


def test_an_id_is_no_path(journal):
    with pytest.raises(RunnerError, match="no id"):
        journal.write(Record(**{**vars(ONE), "id": "../../evil"}))


def test_each_server_and_name_has_a_directory_of_its_own(tmp_path):
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    names = {
        directory_of(environ, url, name)
        for url in ("http://127.0.0.1:4747", "https://board.example/base")
        for name in ("one", "two", "../three", "a/b")
    }
    assert len(names) == 8
    assert {path.parent for path in names} == {tmp_path / "cortex" / "runners"}
