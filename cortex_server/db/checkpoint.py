"""Checkpoints of a SQLite database beside its writer.

What is committed stands in the write-ahead log until somebody copies it into the database. SQLite
lets a commit do that once the log is long: every hundredth or so would take ten times as long as
the others, with everybody waiting. So it is done here, by a thread of its own, and a commit does it
only when the log has grown out of all proportion.
"""

import sqlite3
from pathlib import Path

import gevent

BACKSTOP_PAGES = 16_384  # of the log, 64 MiB: then the next commit copies what is left


class Checkpoints:
    """Copies the write-ahead log of one database file, as far as its readers allow."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._connection: sqlite3.Connection | None = None

    def run(self) -> None:
        """Copy what is there now. The hub goes on meanwhile, and so do readers and the writer."""
        gevent.get_hub().threadpool.apply(self._run)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self) -> None:
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._database, timeout=0, isolation_level=None, check_same_thread=False
            )
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
