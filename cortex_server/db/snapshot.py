"""One moment of a database as one SQLite file, taken while a server writes to it."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from cortex_server import ids
from cortex_server.db import migrate, rows
from cortex_server.db.engine import WRITES, driver_of, make_engine
from cortex_server.db.migrate import OURS, SEALED, DatabaseRefused
from cortex_server.db.place import Place, Progress, head_of, open_file, told

_STEP_PAGES = 512  # 2 MiB at a time
_SYNC_PAGES = 4_096  # a server beside it would wait long for its own fsync behind all of it at once


@dataclass(frozen=True)
class State:
    """What a database file holds. revision: without a seal."""

    epoch: str
    head: int
    floor: int
    revision: str


def take(source: Place, part: Path, progress: Progress) -> State:
    """Write what `source` holds at one moment into the empty file `part`, and check it.

    The file has the revision of the source, no seal, and nothing beside it.
    Raises DatabaseRefused when there is no database, or a damaged one.
    """
    revision = source.revision()
    if revision is None:
        raise DatabaseRefused(f"There is no database at {source}; the server makes it.")
    with told(f"{source} could not be copied to {part.parent}"):
        if source.path is not None:
            _copy_file(source.path, part, progress)
        else:
            _dump(source, revision, part, progress)
        _finish(part)
    _unseal(part, revision)
    _verify(source, part, progress)
    return State(*head_of(part), revision)


def _verify(source: Place, part: Path, progress: Progress) -> None:
    with told(f"The copy of {source} could not be checked"), closing(open_file(part)) as conn:
        with interruptible(conn):
            progress("checked", 0, 1)
            (result,) = conn.execute("PRAGMA integrity_check(1)").fetchone()
            orphan = conn.execute("PRAGMA foreign_key_check").fetchone()
            progress("checked", 1, 1)
    if result != "ok":
        raise DatabaseRefused(f"{source} is damaged: {result}. `cortex db check` says more.")
    if orphan is not None:
        raise DatabaseRefused(
            f"{source} is damaged: a row of {orphan[0]} refers to one of {orphan[2]} that is gone."
        )


def upgrade(part: Path) -> None:
    """Bring the file to the newest revision. Raises DatabaseRefused."""
    engine = make_engine(f"sqlite:///{part}")
    try:
        migrate.upgrade(engine)
    except Exception as error:  # whatever a migration raises
        raise DatabaseRefused(f"The migration to revision {OURS.head} failed: {error}.") from error
    finally:
        engine.dispose()
    with told(f"{part} could not be written"):
        _finish(part)


def renew_epoch(part: Path) -> str:
    """Give the file an epoch that no client knows; returns it."""
    epoch = ids.new_epoch()
    with told(f"{part} could not be written"), closing(sqlite3.connect(part)) as conn, conn:
        conn.execute("UPDATE log_state SET epoch = ?", (epoch,))
    return epoch


@contextmanager
def interruptible(conn: sqlite3.Connection) -> Iterator[None]:
    """Let a signal end a statement that takes long: its handler runs every few milliseconds."""
    conn.set_progress_handler(lambda: 0, 100_000)
    try:
        yield
    finally:
        conn.set_progress_handler(None, 0)


def _copy_file(source: Path, part: Path, progress: Progress) -> None:
    with closing(open_file(source)) as conn, closing(sqlite3.connect(part)) as copy:
        # A read transaction, with its first read, pins the moment. Without it every commit of a
        # server would start the copy over, and beside a busy one it would never end.
        conn.execute("BEGIN")
        conn.execute("SELECT head FROM log_state").fetchone()
        copy.execute("PRAGMA synchronous=OFF")
        conn.backup(copy, pages=_STEP_PAGES, progress=_synced(part, progress), sleep=0)


def _synced(part: Path, progress: Progress) -> Callable[[int, int, int], None]:
    """A progress of SQLite's backup that brings the pages to the disk in small portions."""
    synced = 0

    def tell(_status: int, remaining: int, total: int) -> None:
        nonlocal synced
        done = total - remaining
        if done - synced >= _SYNC_PAGES:
            _sync_content(part)
            synced = done
        progress("pages", done, total)

    return tell


def _sync_content(part: Path) -> None:
    descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _dump(source: Place, revision: str, part: Path, progress: Progress) -> None:
    """The rows of a PostgreSQL database in the SQLite schema of the same revision."""
    engine = make_engine(f"sqlite:///{part}")
    try:
        migrate.upgrade(engine, to=revision)
        with source.reading() as reading:
            with engine.connect().execution_options(**{WRITES: True}) as conn:
                _write_fast(conn)
                with conn.begin():
                    rows.transfer(reading, conn, progress)
    finally:
        engine.dispose()


def _write_fast(conn: Connection) -> None:
    """The file is thrown away unless all of it is written, and is made durable at the end."""
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536"):
        driver_of(conn).execute(f"PRAGMA {pragma}")


def _finish(part: Path) -> None:
    """Leave WAL mode: a backup is one file, which can be read where nothing can be written."""
    with closing(sqlite3.connect(part)) as conn:
        conn.execute("PRAGMA journal_mode=DELETE")


def _unseal(part: Path, revision: str) -> None:
    with closing(sqlite3.connect(part)) as conn, conn:
        conn.execute(
            "UPDATE alembic_version SET version_num = ? WHERE version_num = ?",
            (revision, SEALED + revision),
        )
