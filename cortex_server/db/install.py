"""Puts what a database holds into another place: all of it, or what was there stays."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from cortex_server.db import epoch, migrate, parts, rows, seal, snapshot
from cortex_server.db.alone import belong
from cortex_server.db.backup import back_up
from cortex_server.db.engine import WRITES
from cortex_server.db.files import make_private_directory, narrow, sync_directory
from cortex_server.db.migrate import OURS, DatabaseRefused, ForeignDatabase
from cortex_server.db.place import Place, Progress, exists, head_of, told
from cortex_server.db.snapshot import State


@dataclass(frozen=True)
class Installed:
    """before: what the source held · kept: where what was there before is now, if anything was."""

    before: State
    epoch: str
    kept: Path | None


@dataclass(frozen=True)
class Installation:
    """directory: where large files may lie meanwhile, and backups · now: the time in their names.

    last: called with what was copied when only the last step is left; what it raises ends it.
    """

    source: Place
    target: Place
    directory: Path
    now: datetime
    progress: Progress
    renew: bool
    replace: bool
    last: Callable[[State], None] = lambda _state: None

    def run(self) -> Installed:
        """Call it with the target for oneself. Raises DatabaseRefused; then nothing was changed."""
        _refuse_the_same(self.source, self.target)
        self._refuse_what_is_there()
        with told(f"{self.target} was left as it was"):
            beside = self._beside()
            with parts.part_of(beside) as part:
                before = snapshot.take(self.source, part, self.progress)
                if before.revision != OURS.head:
                    snapshot.upgrade(part)
                new = snapshot.renew_epoch(part) if self.renew else before.epoch
                put = self._into_postgres if self.target.path is None else self._into_sqlite
                return Installed(before, new, put(part, before))

    def _beside(self) -> Path:
        """A name in the directory for the file that is written first."""
        path = self.target.path
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return path
        make_private_directory(self.directory)
        return self.directory / "copy.db"

    def _refuse_what_is_there(self) -> None:
        try:
            there = is_used(self.target)
        except ForeignDatabase:
            raise
        except DatabaseRefused:
            if self.target.path is None or not self.replace:
                raise
            return  # damaged, or of a newer program: it is kept beside
        if there and not self.replace:
            raise DatabaseRefused(
                f"{self.target} is not empty. With --replace it is kept as a backup, and replaced."
            )

    def _into_sqlite(self, part: Path, before: State) -> Path | None:
        path = self.target.path
        assert path is not None
        new, head, _ = head_of(part)
        kept = parts.free_name(path, f"{path.name}.replaced-{self.now:%Y%m%dT%H%M%SZ}")
        parts.sync(part)
        there = exists(path)
        if there:
            _settle(path)
        with undisturbed():
            self.last(before)
            _keep(path, kept)
            parts.put(part, path)
            # After the database: a crash in between renews its epoch, and the clients start over.
            epoch.record(path, new, head)
            for file in (path, epoch.file_of(path)):
                belong(file)
        return kept if there else None

    def _into_postgres(self, part: Path, before: State) -> Path | None:
        target = self.target
        kept, found = None, target.revision()
        if found is not None and is_used(target):
            kept = back_up(target, None, self.directory, self.now, self.progress).path
        engine = target.engine()
        try:
            with Place(f"sqlite:///{part}", part).reading() as source:
                with engine.connect().execution_options(**{WRITES: True}) as conn:
                    transaction = conn.begin()  # of all that changes there, the schema included
                    if found is not None:
                        seal.mark(conn, found)  # not sealed any more
                    if found != OURS.head:
                        migrate.upgrade_within(conn)
                    rows.transfer(source, conn, self.progress)
                    with suppress(DBAPIError), conn.begin_nested():
                        conn.exec_driver_sql("ANALYZE")  # or it would plan as for empty tables
                    with undisturbed():
                        self.last(before)
                        transaction.commit()
        finally:
            engine.dispose()
        return kept


def is_used(place: Place) -> bool:
    """Whether something has ever happened in the database."""
    if place.revision() is None:
        return False
    if place.path is not None:
        return head_of(place.path)[1] > 0
    with told(f"{place} cannot be read"), place.reading() as conn:
        return bool(conn.exec_driver_sql("SELECT head FROM log_state").scalar_one())


def _refuse_the_same(source: Place, target: Place) -> None:
    same = source.url == target.url
    if source.path is not None and target.path is not None and exists(source.path):
        same = same or source.path.resolve() == target.path.resolve()
    if same:
        raise DatabaseRefused(f"{source} is both the source and the target.")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Drop the signals of the last moment: what they would interrupt is as good as done."""
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        while late := signal.sigpending() & signals:
            signal.sigwait(late)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle(path: Path) -> None:
    """Bring what is in the write-ahead log into the file, unless that is too damaged.

    Raises DatabaseRefused while another program has it open.
    """
    try:
        with closing(sqlite3.connect(path, timeout=1.0)) as conn:
            conn.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise DatabaseRefused(
                f"{path} is open in another program, such as a backup that is running or sqlite3; "
                "end that first."
            ) from error


def _keep(path: Path, kept: Path) -> None:
    """Give the old file a second name, which stays when the first is given to the new one."""
    if exists(path):
        try:
            os.link(path, kept)
        except OSError:
            path.rename(kept)  # a file system without links: for a moment nothing has that name
        narrow(kept, 0o600)
    # Of one that is damaged or gone; SQLite would take them for those of the new file.
    for suffix in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
    sync_directory(path.parent)
