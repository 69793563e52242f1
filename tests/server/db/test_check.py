"""What `check` finds, and that it finds nothing in what is whole."""

import re
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text

from cortex_server.db import epoch, seal
from cortex_server.db.check import check
from cortex_server.db.engine import WRITES, make_engine
from cortex_server.db.migrate import OURS, DatabaseRefused, upgrade
from cortex_server.db.place import place_of, silent
from cortex_server.db.snapshot import State
from tests.support.databases import empty_postgres, fresh_sqlite
from tests.support.filled import EPOCH, ROWS, fill


@pytest.fixture
def sqlite(tmp_path):
    with fresh_sqlite(tmp_path) as url:
        yield filled(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request, tmp_path):
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite")
        return
    with empty_postgres() as url:
        yield filled(url)


def filled(url):
    engine = make_engine(url)
    upgrade(engine)
    fill(engine)
    engine.dispose()
    found = place_of(url)
    epoch.record(found.path, EPOCH, ROWS)
    return found


def spoil(place, *statements):
    engine = make_engine(place.url)
    with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
        for statement in statements:
            conn.execute(text(statement))
    engine.dispose()


def problems(place):
    return [problem.what for problem in check(place, silent).problems]


def test_a_whole_database_has_no_problem(place):
    report = check(place, silent)
    assert (report.epoch, report.head, report.floor, report.events) == (EPOCH, ROWS, 0, ROWS)
    assert (report.revision, report.problems, report.notes) == (OURS.head, [], [])


SPOILED = {
    "DELETE FROM events WHERE position = 2": "1 positions between 1 and 3 have no event",
    "DELETE FROM events WHERE position = 1": "floor is 0, and the oldest event is at 2",
    "DELETE FROM events WHERE position = 3": "head is 3, and the newest event is at 2",
    "DELETE FROM events": "head is 3, and the newest event is at 0",
    "UPDATE log_state SET head = 2": "event at position 3, and the head is 2",
    "UPDATE log_state SET floor = 1": "floor is 1, and the oldest event is at 1",
    "DELETE FROM log_state": "0 rows instead of one",
    "UPDATE project_counters SET seq = seq - 1": "newest seq of project",
    "DELETE FROM project_counters": "counter None",
    "UPDATE project_counters SET tickets = 5": "counter of its tickets is 5",
    "UPDATE events SET seq = NULL WHERE position = 2": "have gaps",
    "UPDATE events SET project = (SELECT min(project) FROM events)": "newest seq",
}


@pytest.mark.parametrize("statement", SPOILED)
def test_a_log_that_is_not_contiguous_is_found(place, statement):
    spoil(place, statement)
    found = " · ".join(problems(place))
    assert re.search(SPOILED[statement], found), found


def test_a_missing_and_a_repeated_seq_are_found_together(place):
    """The count alone would say that all is well."""
    project = "(SELECT min(key) FROM projects)"
    for position, seq in ((1, 7), (2, 9), (3, 9)):
        where = f"WHERE position = {position}"
        spoil(place, f"UPDATE events SET project = {project}, seq = {seq} {where}")
    assert any("have gaps" in what for what in problems(place))


def test_a_project_made_again_in_another_case_goes_on_with_its_counter(place):
    keys = ("Foo", "foo", "FOO")
    for position, key in enumerate(keys, 1):
        spoil(place, f"UPDATE events SET project = '{key}', seq = {position + 4} "
              f"WHERE position = {position}")  # fmt: skip
    spoil(place, "INSERT INTO project_counters (key, seq, tickets) VALUES ('foo', 7, 0)")
    assert problems(place) == []
    spoil(place, "UPDATE events SET seq = 4 WHERE position = 1")
    assert problems(place) == ["Between 4 and 7 the seqs of project foo have gaps."]


def test_pruned_and_empty_logs_are_whole(place):
    spoil(place, "DELETE FROM events WHERE position <= 2", "UPDATE log_state SET floor = 2")
    assert problems(place) == []
    spoil(place, "DELETE FROM events", "UPDATE log_state SET floor = 3")
    assert problems(place) == []


def test_a_sealed_database_says_so(place):
    seal.seal(place, State(EPOCH, ROWS, 0, OURS.head))
    report = check(place, silent)
    assert (report.sealed, report.problems) == (True, [])
    assert "sealed" in report.notes[0]


def test_it_reads_beside_a_writer_and_writes_nothing(sqlite):
    with closing(sqlite3.connect(sqlite.path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("UPDATE log_state SET head = head + 1")
        assert problems(sqlite) == []


def test_everything_is_seen_as_of_one_moment(sqlite):
    spoil(sqlite, "PRAGMA user_version")  # in WAL mode, as a server leaves it

    def prune(what, _done, _total):
        if what == "log":
            spoil(sqlite, "DELETE FROM events WHERE position = 2")

    assert check(sqlite, prune).problems == []
    assert problems(sqlite) != []


def test_an_older_revision_is_a_note(tmp_path):
    old = place_of(str(tmp_path / "old.db"))
    engine = make_engine(old.url)
    upgrade(engine, to=OURS.revisions[0])
    engine.dispose()
    report = check(old, silent)
    assert report.problems == []
    assert "cortex db upgrade" in report.notes[0]


def test_rows_without_their_parent_are_found(sqlite):
    with closing(sqlite3.connect(sqlite.path)) as conn, conn:
        conn.execute("DELETE FROM teams")
    assert any("rows of projects refer to rows of teams" in what for what in problems(sqlite))


def test_a_damaged_file_is_found(sqlite):
    with closing(sqlite3.connect(sqlite.path)) as conn:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'ix_idempotency_at'"
        ((page,),) = conn.execute(query).fetchall()
        conn.execute("PRAGMA journal_mode=DELETE")
    with sqlite.path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    assert any("file is damaged" in what for what in problems(sqlite))


def test_an_older_copy_put_back_by_hand_is_found(sqlite):
    epoch.record(sqlite.path, EPOCH, ROWS + 1)
    assert any("older copy, put back by hand" in what for what in problems(sqlite))
    epoch.record(sqlite.path, "ffffffff", ROWS)
    assert any("another history" in what for what in problems(sqlite))
    epoch.file_of(sqlite.path).write_text("{")
    assert any("cannot be read" in what for what in problems(sqlite))
    epoch.file_of(sqlite.path).unlink()
    assert "no epoch file" in check(sqlite, silent).notes[0]


def test_what_is_no_database_is_refused(tmp_path):
    path = tmp_path / "diary"
    path.write_text("Dear diary " * 100)
    with pytest.raises(DatabaseRefused, match="not a database"):
        check(place_of(str(path)), silent)
    with pytest.raises(DatabaseRefused, match="no database at"):
        check(place_of(str(tmp_path / "absent")), silent)
