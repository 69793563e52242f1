"""Databases copied to SQLite and PostgreSQL and back: the same rows, and one that goes on."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from cortex_server.db import epoch, install, migrate, seal
from cortex_server.db.check import check
from cortex_server.db.copy import copy
from cortex_server.db.engine import WRITES, make_engine
from cortex_server.db.lock import DatabaseLock
from cortex_server.db.migrate import OURS, DatabaseRefused, upgrade
from cortex_server.db.place import place_of, silent
from tests.support.databases import config_for, empty_postgres, fresh_sqlite
from tests.support.filled import EPOCH, ROWS, content, fill

NOW = datetime(2026, 1, 26, 15, 53, 1, tzinfo=UTC)


@pytest.fixture
def source(tmp_path):
    with fresh_sqlite(tmp_path) as url:
        engine = make_engine(url)
        fill(engine)
        engine.dispose()
        found = place_of(url)
        epoch.record(found.path, EPOCH, ROWS)
        yield found


@pytest.fixture
def target(tmp_path):
    return place_of(str(tmp_path / "target" / "board.db"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def other(request, tmp_path, target):
    """An empty place of either kind."""
    if request.param == "sqlite":
        yield target
        return
    with empty_postgres() as url:
        yield place_of(url)


def copied(source, target, tmp_path, **options):
    return copy(source, target, tmp_path / "backups", NOW, silent, **options)


def start(place):
    """What a server does first; returns the epoch. Raises DatabaseRefused."""
    engine = make_engine(place.url)
    try:
        migrate.prepare(config_for(place.url), engine)
        return epoch.check(engine, place.path)
    finally:
        engine.dispose()


def run(path, statement):
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA foreign_keys=ON")
        return conn.execute(statement).fetchall()


def test_the_rows_are_there_and_back_with_epoch_and_positions(source, other, tmp_path):
    before = content(source.url)
    assert all(len(rows) == ROWS for name, rows in before.items() if name != "log_state")
    copied(source, other, tmp_path)
    assert content(other.url) == before
    assert start(other) == EPOCH
    back = place_of(str(tmp_path / "back.db"))
    copied(other, back, tmp_path)
    assert content(back.url) == before
    assert start(back) == EPOCH
    assert check(back, silent).problems == []


def test_the_text_of_json_is_copied_as_it_is(source, other, tmp_path):
    odd = '{"b":1,  "a":[1.0,1e2,12345678901234567890],"a":"\\u0000\\u00e9"}'
    run(source.path, f"UPDATE settings SET \"values\" = '{odd}'")
    copied(source, other, tmp_path)
    copied(other, place_of(str(tmp_path / "back.db")), tmp_path)
    assert run(tmp_path / "back.db", 'SELECT DISTINCT "values" FROM settings') == [(odd,)]


def test_words_are_found_in_the_copy(source, other, tmp_path):
    words = "SELECT rowid FROM ticket_search WHERE ticket_search MATCH 'tic'"
    copied(source, other, tmp_path)
    copied(other, place_of(str(tmp_path / "back.db")), tmp_path)
    found = run(tmp_path / "back.db", words)
    assert len(found) == len(run(source.path, words)) == ROWS


def test_only_one_of_the_two_goes_on(source, other, tmp_path):
    copied(source, other, tmp_path)
    with pytest.raises(DatabaseRefused, match=r"sealed so that only one.*cortex db unseal"):
        start(source)
    assert source.is_sealed()
    assert not other.is_sealed()


def test_a_sealed_database_is_unsealed_under_a_new_epoch(source, other, tmp_path):
    copied(source, other, tmp_path)
    copied(other, place_of(str(tmp_path / "back.db")), tmp_path)
    for place in (source, other):
        renewed = seal.lift(place)
        assert renewed != EPOCH
        assert start(place) == renewed
        with pytest.raises(DatabaseRefused, match="is not sealed"):
            seal.lift(place)


def test_a_sealed_database_is_copied_with_a_new_epoch_only(source, target, tmp_path):
    copied(source, target, tmp_path)
    third = place_of(str(tmp_path / "third.db"))
    with pytest.raises(DatabaseRefused, match="--renew-epoch"):
        copied(source, third, tmp_path)
    assert not third.path.exists()
    done = copied(source, third, tmp_path, renew=True)
    assert start(third) == done.epoch != EPOCH


def test_with_a_new_epoch_the_source_goes_on_even_meanwhile(source, other, tmp_path):
    lock = DatabaseLock(source.path)
    lock.acquire(0)
    with pytest.raises(DatabaseRefused, match="in use"):
        copied(source, other, tmp_path)
    done = copied(source, other, tmp_path, renew=True)
    lock.release()
    assert start(other) == done.epoch != EPOCH
    assert start(source) == EPOCH


def test_a_source_that_is_written_to_meanwhile_is_not_sealed(source, other, tmp_path):
    """A program of its own, which asks for no lock."""

    def write(what, _done, _total):
        if what == "checked":
            run(source.path, "UPDATE log_state SET head = head + 1")

    with pytest.raises(DatabaseRefused, match="written to while it was copied"):
        copy(source, other, tmp_path / "backups", NOW, write)
    assert not source.is_sealed()
    assert not install.is_used(other)


def test_what_the_target_holds_is_replaced_on_demand_and_kept(source, other, tmp_path):
    start(other)
    engine = make_engine(other.url)
    fill(engine)
    with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
        conn.execute(text("DELETE FROM comments"))
    engine.dispose()
    before = content(other.url)
    with pytest.raises(DatabaseRefused, match=r"not empty.*--replace"):
        copied(source, other, tmp_path)
    assert content(other.url) == before
    done = copied(source, other, tmp_path, replace=True)
    assert content(f"sqlite:///{done.kept}") == before
    assert content(other.url) == content(source.url)


def test_a_target_where_nothing_happened_yet_counts_as_empty(source, other, tmp_path):
    start(other)
    copied(source, other, tmp_path)
    assert start(other) == EPOCH


def test_an_older_source_is_migrated_on_the_way(other, tmp_path):
    old = place_of(str(tmp_path / "old.db"))
    engine = make_engine(old.url)
    upgrade(engine, to=OURS.revisions[0])
    engine.dispose()
    copied(old, other, tmp_path)
    assert (old.revision(), other.revision()) == (OURS.revisions[0], OURS.head)
    with pytest.raises(DatabaseRefused, match="sealed"):
        start(old)


def test_when_the_last_step_fails_the_seal_and_the_way_out_are_told(
    source, target, tmp_path, monkeypatch
):
    def fail(*_arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(install.parts, "put", fail)
    with pytest.raises(DatabaseRefused, match=r"input/output error.*sealed already.*unseal"):
        copied(source, target, tmp_path)
    seal.lift(source)
    start(source)


@pytest.mark.postgres
def test_a_row_that_is_lost_on_the_way_is_noticed(source, tmp_path):
    with empty_postgres() as url:
        engine = make_engine(url)
        upgrade(engine)
        with engine.begin() as conn:
            conn.execute(text("CREATE RULE lose AS ON INSERT TO labels DO INSTEAD NOTHING"))
            conn.execute(
                text(
                    "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN NEW.body := NEW.body || ' '; RETURN NEW; END $$"
                )
            )
            conn.execute(
                text(
                    "CREATE TRIGGER spoil BEFORE INSERT ON comments "
                    "FOR EACH ROW EXECUTE FUNCTION spoil()"
                )
            )
        engine.dispose()
        with pytest.raises(DatabaseRefused, match="comments is not the same"):
            copied(source, place_of(url), tmp_path)
        assert not install.is_used(place_of(url))
        assert not source.is_sealed()


@pytest.mark.postgres
def test_a_refused_copy_leaves_a_sealed_postgres_sealed_and_its_epoch(source, tmp_path):
    with empty_postgres() as url:
        target = place_of(url)
        copied(source, target, tmp_path)
        third = place_of(str(tmp_path / "third.db"))
        copied(target, third, tmp_path)
        before = content(url)
        run(third.path, "UPDATE tickets SET title = 'a' || char(0) || 'b' WHERE number = 1")
        with pytest.raises(DatabaseRefused, match="NUL"):
            copied(third, target, tmp_path, replace=True)
        assert target.is_sealed()
        assert content(url) == before
        run(third.path, "UPDATE tickets SET title = 'a' WHERE number = 1")
        copied(third, target, tmp_path, replace=True)
        assert start(target) == EPOCH


@pytest.mark.postgres
@pytest.mark.parametrize("revision", [None, OURS.revisions[0]])
def test_a_refused_copy_leaves_the_schema_of_postgres_as_it_was(source, tmp_path, revision):
    run(source.path, "UPDATE tickets SET title = 'a' || char(0) || 'b' WHERE number = 1")
    with empty_postgres() as url:
        if revision:
            engine = make_engine(url)
            upgrade(engine, to=revision)
            engine.dispose()
        with pytest.raises(DatabaseRefused, match="NUL"):
            copied(source, place_of(url), tmp_path)
        assert place_of(url).revision() == revision
        run(source.path, "UPDATE tickets SET title = 'a' WHERE number = 1")
        copied(source, place_of(url), tmp_path)
        assert start(place_of(url)) == EPOCH


@pytest.mark.postgres
def test_postgres_knows_from_the_first_moment_how_large_its_tables_are(source, tmp_path):
    with empty_postgres() as url:
        copied(source, place_of(url), tmp_path)
        engine = make_engine(url)
        with engine.connect() as conn:
            known = text("SELECT reltuples FROM pg_class WHERE relname = 'tickets'")
            assert conn.execute(known).scalar_one() == ROWS
        engine.dispose()


@pytest.mark.postgres
def test_order_by_bytes_survives_in_postgres(source, tmp_path):
    ranks = ["a", "B", "Z", "_", "~", "aa", "Aa"]
    run(source.path, "DELETE FROM tickets WHERE number <> 0")
    names = [row[1] for row in run(source.path, "PRAGMA table_info(tickets)")]
    for number, rank in enumerate(ranks, 1):
        changed = {"key": f"'T-{number}'", "id": f"'t{number}'", "number": number,
                   "rank": f"'{rank}'"}  # fmt: skip
        picked = ", ".join(str(changed.get(name, f'"{name}"')) for name in names)
        run(source.path, f"INSERT INTO tickets SELECT {picked} FROM tickets WHERE number = 0")
    run(source.path, "DELETE FROM tickets WHERE number = 0")
    with empty_postgres() as url:
        copied(source, place_of(url), tmp_path)
        engine = make_engine(url)
        with engine.connect() as conn:
            found = conn.execute(text("SELECT rank FROM tickets ORDER BY rank")).scalars().all()
        engine.dispose()
    assert found == sorted(ranks)
