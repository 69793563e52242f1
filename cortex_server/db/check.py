"""Is the database whole? Its file, its references, and what the log promises to every client."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from cortex_server.db import epoch
from cortex_server.db.engine import driver_of
from cortex_server.db.migrate import OURS, DatabaseRefused
from cortex_server.db.place import Place, Progress, open_file, told
from cortex_server.db.snapshot import interruptible

_BACKUP = "Restore a backup: `cortex db restore FILE`."

# Each project's seqs: the first, the last, how many and their sum. One that is missing, or there
# twice, changes the count or the sum; a window over ten million rows would take a minute.
# A project that was deleted and made again in another case goes on with its counter. First by the
# key as written, which has an index.
_SEQS = """
SELECT lower(project), min(first), max(last), sum(seqs), sum(total), sum(events) FROM (
  SELECT project, min(seq) AS first, max(seq) AS last, count(seq) AS seqs, sum(seq) AS total,
    count(*) AS events
  FROM events WHERE project <> '' GROUP BY project
) AS written GROUP BY lower(project) ORDER BY lower(project)
"""
_NUMBERS = """
SELECT tickets.project, max(tickets.number), max(project_counters.tickets)
FROM tickets LEFT JOIN project_counters ON project_counters.key = lower(tickets.project)
GROUP BY tickets.project ORDER BY tickets.project
"""


@dataclass(frozen=True)
class Problem:
    what: str
    remedy: str


@dataclass
class Report:
    """notes: what is worth knowing and no damage."""

    revision: str
    sealed: bool
    epoch: str = ""
    head: int = 0
    floor: int = 0
    events: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, remedy: str = _BACKUP) -> None:
        self.problems.append(Problem(what, remedy))


def check(place: Place, progress: Progress) -> Report:
    """Look at everything in one read transaction, also beside a running server.

    Raises DatabaseRefused when there is no database that this program can read.
    """
    revision = place.revision()
    if revision is None:
        raise DatabaseRefused(f"There is no database at {place} yet; the server makes it.")
    report = Report(revision, place.is_sealed())
    _note_what_it_is(report)
    # Before the transaction: a server that runs raises the head in both, in the file later.
    seen = place.path and epoch.remembered(place.path)
    with told(f"{place} cannot be checked"), _reading(place) as conn:
        try:
            if place.path is not None:
                _check_file(conn, report, progress)
            progress("log", 0, 1)
            _check_log(conn, report)
            _check_counters(conn, report)
            progress("log", 1, 1)
        except sqlite3.DatabaseError as error:
            if not (error.sqlite_errorname or "").startswith("SQLITE_CORRUPT"):
                raise
            report.add(f"The file is damaged, and only a part of it can be read: {error}.")
            return report
    if place.path is not None:
        _check_seen(report, seen or None, epoch.file_of(place.path).exists())
    return report


@contextmanager
def _reading(place: Place) -> Iterator[Any]:
    """The driver's connection, in a read transaction."""
    if place.path is None:
        with place.reading() as reading:
            yield driver_of(reading)
        return
    with closing(open_file(place.path)) as conn, interruptible(conn):
        conn.execute("BEGIN")
        yield conn


def _note_what_it_is(report: Report) -> None:
    if report.revision != OURS.head:
        report.notes.append(
            f"Its revision is {report.revision}; the next start, or `cortex db upgrade`, brings it "
            f"to {OURS.head}."
        )
    if report.sealed:
        report.notes.append(
            "It is sealed, for it was copied with its epoch: serve the copy, or `cortex db unseal`."
        )


def _check_file(conn: Any, report: Report, progress: Progress) -> None:
    progress("file", 0, 1)
    for (said,) in conn.execute("PRAGMA integrity_check(5)").fetchall():
        if said != "ok":
            report.add(f"The file is damaged: {said}.")
    orphans: dict[tuple[str, str], int] = {}
    for table, _row, parent, _key in conn.execute("PRAGMA foreign_key_check"):
        orphans[table, parent] = orphans.get((table, parent), 0) + 1
    for (table, parent), count in orphans.items():
        report.add(f"{count} rows of {table} refer to rows of {parent} that are gone.")
    progress("file", 1, 1)


def _check_log(conn: Any, report: Report) -> None:
    states = conn.execute("SELECT epoch, head, floor FROM log_state").fetchall()
    if len(states) != 1:
        report.add(f"The state of the log has {len(states)} rows instead of one.")
        return
    ((report.epoch, report.head, report.floor),) = states
    counted = conn.execute("SELECT count(*), min(position), max(position) FROM events").fetchone()
    report.events, first, last = counted
    if report.events == 0:
        first, last = report.floor + 1, report.floor
    if last > report.head:
        report.add(f"There is an event at position {last}, and the head is {report.head}.")
    elif last < report.head:
        report.add(f"The head is {report.head}, and the newest event is at {last}.")
    if first != report.floor + 1:
        report.add(f"The floor is {report.floor}, and the oldest event is at {first}.")
    if missing := last - first + 1 - report.events:
        report.add(f"{missing} positions between {first} and {last} have no event.")


def _check_counters(conn: Any, report: Report) -> None:
    counters = dict(conn.execute("SELECT key, seq FROM project_counters").fetchall())
    for project, first, last, count, total, events in conn.execute(_SEQS).fetchall():
        counter = counters.get(project.lower())
        whole = count == events == last - first + 1 and 2 * total == (first + last) * count
        if not whole:
            report.add(f"Between {first} and {last} the seqs of project {project} have gaps.")
        if counter != last:
            report.add(f"The newest seq of project {project} is {last}, its counter {counter}.")
    for project, last, counter in conn.execute(_NUMBERS).fetchall():
        if counter is None or counter < last:
            report.add(f"{project}-{last} exists, and the counter of its tickets is {counter}.")


def _check_seen(report: Report, seen: epoch.Seen | None, there: bool) -> None:
    if seen is None:
        if there:
            report.add("The epoch file beside it cannot be read.", _renews("It"))
        elif report.head > 0:
            report.notes.append(f"There is no epoch file beside it. {_renews('It')}")
    elif seen.epoch != report.epoch:
        report.add("The epoch file beside it speaks of another history.", _renews("It"))
    elif seen.head > report.head:
        report.add(
            f"It was served up to position {seen.head} and ends at {report.head}: this is an older "
            "copy, put back by hand.",
            _renews("Nothing is to be done: it"),
        )


def _renews(what: str) -> str:
    return f"{what} gets a new epoch at the next start, and every client starts over."
