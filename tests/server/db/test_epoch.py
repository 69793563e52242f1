"""The epoch beside the database notices what was put back by hand."""

import json
import shutil
import stat

import pytest
from sqlalchemy import text

from cortex_server.db import epoch
from cortex_server.db.engine import WRITES, make_engine
from tests.support.databases import empty_engine, fresh_sqlite


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cortex.db"


@pytest.fixture
def start(tmp_path, path):
    """Start on the database as a server does; returns the epoch."""

    def call():
        engine = make_engine(f"sqlite:///{path}")
        found = epoch.check(engine, path)
        engine.dispose()
        return found

    with fresh_sqlite(tmp_path):
        yield call


@pytest.fixture
def write(path):
    """Let the log grow to a head."""

    def call(head):
        engine = make_engine(f"sqlite:///{path}")
        with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
            conn.execute(text("UPDATE log_state SET head = :head"), {"head": head})
            name = conn.scalar(text("SELECT epoch FROM log_state"))
        engine.dispose()
        epoch.note(path, name, head)

    return call


def beside(path):
    return path.with_name("cortex.db.epoch")


def copy(path, name):
    return shutil.copyfile(path, path.with_name(name))


def test_a_fresh_database_keeps_its_epoch_over_restarts(start, write, path):
    first = start()
    assert json.loads(beside(path).read_text()) == {"epoch": first, "head": 0}
    assert stat.S_IMODE(beside(path).stat().st_mode) == 0o600
    write(10)
    assert json.loads(beside(path).read_text()) == {"epoch": first, "head": 10}
    assert start() == start() == first


def test_an_older_copy_put_back_by_hand_gets_a_new_epoch(start, write, path):
    first = start()
    write(10)
    backup = copy(path, "backup")
    write(12)
    shutil.copyfile(backup, path)
    second = start()
    assert second != first
    assert json.loads(beside(path).read_text()) == {"epoch": second, "head": 10}
    assert start() == second


def test_a_copy_of_an_earlier_epoch_never_has_it_again(start, write, path):
    epochs = {start()}
    write(10)
    backup = copy(path, "backup")
    for head in (12, 20, 30):
        write(head)
        shutil.copyfile(backup, path)
        epochs.add(start())
    assert len(epochs) == 4


def test_a_database_that_was_copied_here_without_its_file_gets_a_new_epoch(start, write, path):
    first = start()
    write(10)
    beside(path).unlink()
    assert start() != first


@pytest.mark.parametrize("content", ["", "{", "[]", '{"epoch": "x"}', '{"epoch": 1, "head": "x"}'])
def test_a_file_that_says_nothing_proves_nothing(start, write, path, content):
    first = start()
    write(10)
    beside(path).write_text(content)
    second = start()
    assert second != first
    assert start() == second


def test_a_crash_before_the_head_was_noted_is_no_reason(start, write, path):
    first = start()
    write(10)
    noted = beside(path).read_text()
    write(15)
    beside(path).write_text(noted)
    assert start() == first


def test_noting_writes_only_when_the_head_rose(start, path):
    name = start()
    epoch.note(path, name, 5)
    before = beside(path).stat()
    epoch.note(path, name, 5)
    epoch.note(path, name, 4)
    assert beside(path).stat().st_ino == before.st_ino
    epoch.note(path, name, 6)
    assert json.loads(beside(path).read_text())["head"] == 6
    assert sorted(p.name for p in path.parent.glob("*epoch*")) == ["cortex.db.epoch"]


@pytest.mark.postgres
def test_postgres_keeps_its_epoch_to_itself():
    engine = empty_engine("postgres")
    with engine.connect() as conn:
        name = conn.scalar(text("SELECT epoch FROM log_state"))
    assert epoch.check(engine, None) == name
    epoch.note(None, name, 5)
