"""A backup put back: all of it under a new epoch, or what was there stays."""

import json
import shutil
import signal
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from cortex_server.db import epoch, install
from cortex_server.db.backup import back_up
from cortex_server.db.engine import WRITES, make_engine
from cortex_server.db.lock import DatabaseLock
from cortex_server.db.migrate import OURS, DatabaseRefused, upgrade
from cortex_server.db.place import place_of, silent
from cortex_server.db.restore import restore
from tests.support.databases import empty_postgres, fresh_sqlite
from tests.support.filled import EPOCH, ROWS, content, fill

NOW = datetime(2026, 1, 26, 15, 53, 1, tzinfo=UTC)
KEPT = "cortex.db.replaced-20260126T155301Z"


@pytest.fixture
def database(tmp_path):
    """A filled SQLite database with its epoch file."""
    with fresh_sqlite(tmp_path) as url:
        fill_at(url)
        found = place_of(url)
        epoch.record(found.path, EPOCH, ROWS)
        yield found


@pytest.fixture
def saved(database, tmp_path):
    """A backup, and then the database goes on."""
    made = back_up(database, None, tmp_path / "backups", NOW, silent)
    go_on(database.url)
    epoch.record(database.path, EPOCH, ROWS + 1)
    return place_of(str(made.path))


def fill_at(url):
    engine = make_engine(url)
    upgrade(engine)
    fill(engine)
    engine.dispose()


def go_on(url):
    engine = make_engine(url)
    with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
        conn.execute(text("UPDATE log_state SET head = head + 1"))
        conn.execute(text("DELETE FROM tickets"))
    engine.dispose()


def run(path, statement):
    with closing(sqlite3.connect(path)) as conn, conn:
        return conn.execute(statement).fetchall()


def put_back(source, target, tmp_path, **options):
    return restore(source, target, tmp_path / "backups", NOW, silent, **options)


def without_epoch(found):
    return {name: rows for name, rows in found.items() if name != "log_state"}


def served_epoch(place):
    """The epoch that a server finds when it starts on it."""
    engine = make_engine(place.url)
    found = epoch.check(engine, place.path)
    engine.dispose()
    return found


def test_everything_is_back_under_a_new_epoch_and_the_old_is_kept(database, saved, tmp_path):
    lost = content(database.url)
    done = put_back(saved, database, tmp_path)
    assert without_epoch(content(database.url)) == without_epoch(content(saved.url))
    assert done.epoch != EPOCH
    assert run(database.path, "SELECT epoch, head FROM log_state") == [(done.epoch, ROWS)]
    assert served_epoch(database) == done.epoch, "the start must not renew it once more"
    assert done.kept == tmp_path / KEPT
    assert content(f"sqlite:///{done.kept}") == lost
    assert {stat.S_IMODE(p.stat().st_mode) for p in (database.path, done.kept)} == {0o600}
    assert not list(tmp_path.glob("*.part"))
    assert content(saved.url)["log_state"] == [(1, EPOCH, ROWS, 0)], "the backup is left alone"


def test_a_second_restore_keeps_both(database, saved, tmp_path):
    epochs = {put_back(saved, database, tmp_path).epoch for _ in range(3)}
    assert len(epochs) == 3
    assert len(list(tmp_path.glob("cortex.db.replaced-*"))) == 3


def test_it_goes_where_no_database_is(saved, tmp_path):
    target = place_of(str(tmp_path / "new" / "board.db"))
    done = put_back(saved, target, tmp_path)
    assert done.kept is None
    assert served_epoch(target) == done.epoch


def test_what_is_left_of_a_database_that_is_gone_is_not_taken_for_its_own(
    database, saved, tmp_path
):
    with closing(sqlite3.connect(database.path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("UPDATE log_state SET floor = 2")
        conn.commit()
        frames = database.path.with_name("cortex.db-wal").read_bytes()
    database.path.unlink()
    database.path.with_name("cortex.db-wal").write_bytes(frames)
    put_back(saved, database, tmp_path)
    assert run(database.path, "SELECT floor FROM log_state") == [(0,)]
    assert (tmp_path / f"{KEPT}-wal").read_bytes() == frames


def test_an_older_backup_is_migrated(database, tmp_path):
    old = tmp_path / "old.db"
    engine = make_engine(f"sqlite:///{old}")
    upgrade(engine, to=OURS.revisions[0])
    engine.dispose()
    before = old.read_bytes()
    done = put_back(place_of(str(old)), database, tmp_path)
    assert done.before.revision == OURS.revisions[0]
    assert database.revision() == OURS.head
    assert old.read_bytes() == before


def test_it_is_refused_while_a_server_holds_the_database(database, saved, tmp_path):
    before = content(database.url)
    lock = DatabaseLock(database.path)
    lock.acquire(0)
    with pytest.raises(DatabaseRefused, match="in use by process"):
        put_back(saved, database, tmp_path)
    lock.release()
    assert content(database.url) == before


def test_it_is_refused_while_another_program_reads_the_database(database, saved, tmp_path):
    with closing(sqlite3.connect(database.path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("BEGIN")
        conn.execute("SELECT * FROM log_state").fetchall()
        with pytest.raises(DatabaseRefused, match="open in another program"):
            put_back(saved, database, tmp_path)
    assert database.path.exists()
    assert not (tmp_path / KEPT).exists()


def test_what_was_only_in_the_write_ahead_log_is_kept(database, saved, tmp_path):
    work = tmp_path / "crashed"
    work.mkdir()
    with closing(sqlite3.connect(database.path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("UPDATE log_state SET floor = 2")
        conn.commit()
        for suffix in ("", "-wal"):  # what a kill -9 leaves
            shutil.copy(f"{database.path}{suffix}", work / f"cortex.db{suffix}")
    done = put_back(saved, place_of(str(work / "cortex.db")), tmp_path)
    assert run(done.kept, "SELECT floor FROM log_state") == [(2,)]
    assert run(work / "cortex.db", "SELECT floor FROM log_state") == [(0,)]


@pytest.mark.parametrize("damage", ["garbage", "cut"])
def test_a_damaged_database_is_replaced_and_kept(database, saved, tmp_path, damage):
    content_before = b"x" * 5000 if damage == "garbage" else database.path.read_bytes()[:5000]
    database.path.write_bytes(content_before)
    done = put_back(saved, database, tmp_path)
    assert done.kept.read_bytes() == content_before
    assert without_epoch(content(database.url)) == without_epoch(content(saved.url))


def test_the_database_of_another_program_is_never_replaced(saved, tmp_path):
    other = tmp_path / "other.db"
    run(other, "CREATE TABLE bookmarks (id INTEGER)")
    with pytest.raises(DatabaseRefused, match="another program"):
        put_back(saved, place_of(str(other)), tmp_path)
    assert run(other, "SELECT name FROM sqlite_schema") == [("bookmarks",)]


def spoil(path, how):
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-40960])
    elif how == "garbage":
        path.write_text("Dear diary")
    elif how == "newer":
        run(path, "UPDATE alembic_version SET version_num = '7777'")
    elif how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")


@pytest.mark.parametrize("how", ["cut", "garbage", "newer", "gone", "empty"])
def test_a_backup_that_cannot_be_used_changes_nothing(database, saved, tmp_path, how):
    spoil(saved.path, how)
    before, files = content(database.url), sorted(tmp_path.iterdir())
    with pytest.raises(DatabaseRefused, match=r"^[^\n]{20,300}$"):
        put_back(saved, database, tmp_path)
    assert content(database.url) == before
    assert {p for p in tmp_path.iterdir() if not p.name.endswith(".lock")} == set(files)


def test_the_database_is_not_restored_from_itself(database, tmp_path):
    with pytest.raises(DatabaseRefused, match="both the source and the target"):
        put_back(place_of(str(database.path)), database, tmp_path)


@pytest.mark.parametrize("step", ["sync", "put"])
def test_a_failure_at_the_end_leaves_the_old_database(database, saved, tmp_path, monkeypatch, step):
    before = content(database.url)

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install.parts, step, fail)
    with pytest.raises(DatabaseRefused, match="left as it was: no space left on device"):
        put_back(saved, database, tmp_path)
    assert content(database.url) == before
    assert json.loads(epoch.file_of(database.path).read_text())["epoch"] == EPOCH
    assert not list(tmp_path.glob(".*.part*"))


def test_a_signal_in_the_last_moment_is_too_late(database, saved, tmp_path, monkeypatch):
    """The new database may have its name already, and the epoch file not yet."""
    put = install.parts.put

    def put_and_interrupt(*arguments):
        put(*arguments)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(install.parts, "put", put_and_interrupt)
    done = put_back(saved, database, tmp_path)
    assert served_epoch(database) == done.epoch
    with pytest.raises(KeyboardInterrupt):  # and later ones count again
        signal.raise_signal(signal.SIGINT)


@pytest.mark.postgres
def test_a_backup_goes_into_an_empty_postgres(saved, tmp_path):
    with empty_postgres() as url:
        done = put_back(saved, place_of(url), tmp_path)
        assert done.kept is None
        assert without_epoch(content(url)) == without_epoch(content(saved.url))
        assert content(url)["log_state"] == [(1, done.epoch, ROWS, 0)]
        assert done.epoch != EPOCH


@pytest.mark.postgres
def test_a_postgres_that_is_used_is_replaced_only_on_demand_and_saved_first(saved, tmp_path):
    with empty_postgres() as url:
        fill_at(url)
        go_on(url)
        before = content(url)
        with pytest.raises(DatabaseRefused, match=r"not empty.*--replace"):
            put_back(saved, place_of(url), tmp_path)
        assert content(url) == before
        done = put_back(saved, place_of(url), tmp_path, replace=True)
        assert content(f"sqlite:///{done.kept}") == before
        assert without_epoch(content(url)) == without_epoch(content(saved.url))


@pytest.mark.postgres
def test_a_failed_restore_leaves_postgres_as_it_was(saved, tmp_path):
    run(saved.path, "UPDATE tickets SET title = 'a' || char(0) || 'b' WHERE number = 1")
    with empty_postgres() as url:
        fill_at(url)
        before = content(url)
        with pytest.raises(DatabaseRefused, match="tickets holds a NUL character"):
            put_back(saved, place_of(url), tmp_path, replace=True)
        assert content(url) == before


@pytest.mark.postgres
def test_numbers_that_postgres_cannot_hold_are_said_with_their_row(saved, tmp_path):
    run(saved.path, "UPDATE tickets SET revision = 3000000000 WHERE number = 1")
    with empty_postgres() as url:
        with pytest.raises(DatabaseRefused, match=r"tickets cannot be copied: .*out of range"):
            put_back(saved, place_of(url), tmp_path)


@pytest.mark.postgres
def test_a_server_on_postgres_is_noticed(saved, tmp_path):
    psycopg = pytest.importorskip("psycopg")
    from cortex_server.db import postgres

    with empty_postgres() as url:
        with closing(psycopg.connect(url.replace("+psycopg", ""), autocommit=True)) as server:
            assert postgres.share(server)
            with pytest.raises(DatabaseRefused, match="server serves this"):
                put_back(saved, place_of(url), tmp_path)
        put_back(saved, place_of(url), tmp_path)
