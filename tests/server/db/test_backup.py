"""Backups: whole, private, beside a server that writes, and none at all when something fails."""

import os
import sqlite3
import stat
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from cortex_server.db import parts, place
from cortex_server.db.backup import back_up
from cortex_server.db.engine import WRITES, make_engine
from cortex_server.db.migrate import OURS, DatabaseRefused, upgrade
from cortex_server.db.place import place_of, silent
from tests.support.databases import empty_postgres, fresh_sqlite
from tests.support.filled import EPOCH, ROWS, content, fill

NOW = datetime(2026, 1, 26, 15, 53, 1, tzinfo=UTC)


def filled(url):
    engine = make_engine(url)
    fill(engine)
    engine.dispose()
    return place_of(url)


@pytest.fixture
def source(tmp_path):
    with fresh_sqlite(tmp_path) as url:
        yield filled(url)


@pytest.fixture
def save(source, tmp_path):
    def call(to=None, **options):
        return back_up(source, to, tmp_path / "backups", NOW, silent, **options)

    return call


def listed(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_backup_is_one_private_file_with_everything(source, save, tmp_path):
    made = save()
    assert made.path == tmp_path / "backups" / f"cortex-20260126T155301Z-{ROWS}.db"
    assert listed(tmp_path / "backups") == [made.path.name]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    assert (made.state.epoch, made.state.head, made.state.revision) == (EPOCH, ROWS, OURS.head)
    assert made.size == made.path.stat().st_size
    assert content(f"sqlite:///{made.path}") == content(source.url)


def test_a_second_one_of_the_same_moment_gets_another_name(save):
    assert save().path.name != save().path.name


def test_it_is_readable_where_nothing_can_be_written(save):
    path = save().path
    header = path.read_bytes()[18:20]
    assert header == b"\x01\x01", "a file in WAL mode needs others beside it"


def test_what_is_only_in_the_write_ahead_log_is_in_it(source, save, tmp_path):
    with closing(sqlite3.connect(source.path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("UPDATE log_state SET floor = 1")
        conn.commit()
        assert source.path.with_name("cortex.db-wal").stat().st_size
        assert save().state.floor == 1


def test_a_writer_neither_waits_for_it_nor_starts_it_over(source, tmp_path):
    """The server commits between any two steps; the backup is of the moment of its first."""
    engine = make_engine(source.url)
    with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
        conn.execute(text("UPDATE events SET payload = hex(randomblob(20000000))"))
    steps = []

    def commit(what, done, total):
        if what != "pages":
            return
        steps.append((done, total))
        assert len(steps) < 200, "it was started over"
        with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
            conn.execute(text("UPDATE log_state SET head = head + 1"))

    made = back_up(source, None, tmp_path / "backups", NOW, commit)
    engine.dispose()
    assert len(steps) > 10
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert made.state.head == ROWS


def test_a_file_that_is_there_is_replaced_only_by_force(save, tmp_path):
    target = tmp_path / "mine.db"
    target.write_text("precious")
    with pytest.raises(DatabaseRefused, match=r"is there already.*--force"):
        save(target)
    assert target.read_text() == "precious"
    assert save(target, force=True).path == target
    assert target.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize("name", ["cortex.db", "link.db"])
def test_the_database_itself_is_never_the_target(source, save, tmp_path, name):
    (tmp_path / "link.db").symlink_to(source.path)
    before = source.path.read_bytes()
    with pytest.raises(DatabaseRefused, match="the database itself"):
        save(tmp_path / name, force=True)
    assert source.path.read_bytes() == before


def test_another_database_in_use_is_never_the_target(save, tmp_path):
    (tmp_path / "other.db").write_text("x")
    (tmp_path / "other.db-wal").write_text("x")
    with pytest.raises(DatabaseRefused, match="in use"):
        save(tmp_path / "other.db", force=True)


def test_a_directory_gets_the_usual_name(save, tmp_path):
    (tmp_path / "disk").mkdir()
    assert save(tmp_path / "disk").path.parent == tmp_path / "disk"


@pytest.mark.parametrize("to", ["none/x.db", "cortex.db/x.db"])
def test_a_place_that_cannot_be_written_is_named(save, tmp_path, to):
    with pytest.raises(DatabaseRefused, match=r"could not be written to .*(no such|not a dir)"):
        save(tmp_path / to)


DAMAGES = {
    "no database": ("Dear diary", "is not a database"),
    "another program's": (None, "another program"),
    "newer": ("UPDATE alembic_version SET version_num = '7777'", "newer than this program"),
    "an orphan": ("INSERT INTO login_tickets VALUES ('x', 'nobody', 'later')", "is gone"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_backup_is_made_of_what_is_damaged(source, save, tmp_path, damage):
    statement, told = DAMAGES[damage]
    if damage == "no database":
        source.path.write_text(statement * 1000)
    elif statement is None:
        source.path.unlink()
        with closing(sqlite3.connect(source.path)) as conn, conn:
            conn.execute("CREATE TABLE bookmarks (id INTEGER)")
    else:
        with closing(sqlite3.connect(source.path)) as conn, conn:
            conn.execute(statement)
    with pytest.raises(DatabaseRefused, match=told):
        save()
    assert listed(tmp_path / "backups") == []


def test_damage_inside_is_found_in_the_copy(source, save, tmp_path):
    with closing(sqlite3.connect(source.path)) as conn:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'ix_idempotency_at'"
        ((page,),) = conn.execute(query).fetchall()
        conn.execute("PRAGMA journal_mode=DELETE")
    with source.path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(DatabaseRefused, match=r"damaged|malformed"):
        save()
    assert listed(tmp_path / "backups") == []


def test_the_source_that_is_not_there_is_not_made(tmp_path):
    absent = place_of(str(tmp_path / "absent.db"))
    with pytest.raises(DatabaseRefused, match="no database at"):
        back_up(absent, None, tmp_path / "backups", NOW, silent)
    assert not absent.path.exists()


def test_what_a_kill_left_behind_goes_and_what_is_being_written_stays(tmp_path):
    dead = tmp_path / ".backup.db.01234567.part"
    dead.touch()
    dead.with_name(dead.name + "-journal").touch()
    ours = tmp_path / "backup.db"
    with parts.part_of(ours) as first, parts.part_of(ours) as second:
        assert listed(tmp_path) == sorted([first.name, second.name])
    assert listed(tmp_path) == []


def test_files_of_other_programs_stay_whatever_they_are_called(save, tmp_path):
    theirs = [
        ".thesis.iso.part", ".backup.db.part", ".backup.db.0123456g.part", ".backup.db.012.part",
        ".thesis.01234567.part", ".backupxdb.01234567.part", ".my.backup.db.01234567.part",
        "backup.db.01234567.part", ".backup.db.01234567.part.bak",
    ]  # fmt: skip
    disk = tmp_path / "disk"
    disk.mkdir()
    for name in theirs:
        (disk / name).write_text("precious")
    made = save(disk).path.name
    assert listed(disk) == sorted([*theirs, made])


@pytest.mark.parametrize("moment", ["before it is locked", "while it sweeps"])
def test_a_part_that_another_one_sweeps_away_as_it_is_made_is_made_anew(
    tmp_path, monkeypatch, moment
):
    target, lock = tmp_path / "b.db", parts.fcntl.flock
    swept, held = [], []

    def sweep_first(descriptor, kind):
        monkeypatch.setattr(parts.fcntl, "flock", lock)
        if moment == "while it sweeps":
            (part,) = tmp_path.iterdir()
            held.append(part.open())
            lock(held[0], kind)
        else:
            parts._sweep(target)
        swept.append(1)
        lock(descriptor, kind)

    monkeypatch.setattr(parts.fcntl, "flock", sweep_first)
    with parts.part_of(target) as part:
        assert swept
        part.write_text("all of it")
        parts._sweep(target)
        assert part.read_text() == "all of it"
    for file in held:
        file.close()
    parts._sweep(target)
    assert listed(tmp_path) == []


def test_several_at_once_do_not_disturb_each_other(source, tmp_path):
    made, failed = [], []

    def run():
        try:
            made.append(back_up(source, None, tmp_path / "b", NOW, silent).path)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert sorted(path.name for path in made) == listed(tmp_path / "b")
    assert len(set(made)) == 3


@pytest.mark.parametrize(
    ("given", "url", "shown"),
    [
        ("/a/b.db", "sqlite:////a/b.db", "/a/b.db"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db", "/a/b.db"),
        ("postgres://u:hush@h/d", "postgresql+psycopg://u:hush@h/d",
         "the PostgreSQL database d on h"),
        ("postgresql+psycopg:///d?host=/run", "postgresql+psycopg:///d?host=/run",
         "the PostgreSQL database d on /run"),
    ],
)  # fmt: skip
def test_paths_and_urls_name_a_database(given, url, shown):
    found = place.place_of(given)
    assert (found.url, str(found)) == (url, shown)


@pytest.mark.parametrize("given", ["mysql://x", "postgres://u:hush@h:port/d", "/a/b?c.db"])
def test_what_names_none_is_refused_without_its_password(given):
    with pytest.raises(DatabaseRefused) as refused:
        place_of(given)
    assert "hush" not in str(refused.value)


@pytest.mark.postgres
@pytest.mark.parametrize("revision", OURS.revisions)
def test_a_backup_of_postgres_is_a_sqlite_file_of_its_revision(tmp_path, revision):
    with empty_postgres() as url:
        engine = make_engine(url)
        upgrade(engine, to=revision)
        if revision == OURS.head:
            fill(engine)
        engine.dispose()
        made = back_up(place_of(url), None, tmp_path, NOW, silent)
        assert made.state.revision == revision
        if revision == OURS.head:
            assert content(f"sqlite:///{made.path}") == content(url)
    assert os.listdir(tmp_path) == [made.path.name]


@pytest.mark.postgres
def test_a_backup_of_postgres_is_of_one_moment(tmp_path):
    with empty_postgres() as url:
        engine = make_engine(url)
        upgrade(engine)
        fill(engine)
        before = content(url)

        def write(what, done, total):
            if what == "rows":
                with engine.begin() as conn:
                    conn.execute(text("UPDATE log_state SET head = head + 1"))
                    conn.execute(text("DELETE FROM tickets"))

        made = back_up(place_of(url), None, tmp_path, NOW, write)
        engine.dispose()
        assert content(url) != before
        assert content(f"sqlite:///{made.path}") == before
