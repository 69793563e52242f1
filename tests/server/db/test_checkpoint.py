"""The write-ahead log is copied into the database without anybody waiting for it."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from cortex_server.db.checkpoint import BACKSTOP_PAGES, Checkpoints
from cortex_server.domains import teams
from tests.support.databases import fresh_sqlite, make_store
from tests.support.stores import ALICE


@pytest.fixture
def store(tmp_path, clock):
    with fresh_sqlite(tmp_path) as url:
        made = make_store(url, clock)
        yield made
        made.engine.dispose()


def teams_in_the_file_alone(tmp_path):
    """What a copy of the database without its log holds."""
    alone = tmp_path / "alone.db"
    shutil.copyfile(tmp_path / "cortex.db", alone)
    with closing(sqlite3.connect(alone)) as conn:
        return [key for (key,) in conn.execute("SELECT key FROM teams ORDER BY key")]


def test_what_was_committed_is_copied_into_the_file_beside_an_open_writer(store, tmp_path):
    checkpoints = Checkpoints(tmp_path / "cortex.db")
    with store.write(ALICE) as tx:
        teams.create(tx, {"key": "A", "name": "a"})
    assert teams_in_the_file_alone(tmp_path) == []
    with store.write(ALICE) as tx:
        teams.create(tx, {"key": "B", "name": "b"})
        checkpoints.run()
    assert teams_in_the_file_alone(tmp_path) == ["A"]
    checkpoints.run()
    assert teams_in_the_file_alone(tmp_path) == ["A", "B"]
    checkpoints.close()


def test_commits_leave_that_to_it(store):
    with store.engine.connect() as conn:
        assert conn.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == BACKSTOP_PAGES
