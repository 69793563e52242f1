"""Who may serve a database. Of SQLite one process: an advisory lock on `<database>.lock`.

The kernel releases it when the process ends, however it ends. The file stays; its content only
says who holds it: {"pid", "parent"}.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_server.db import postgres
from cortex_server.db.files import make_private_directory
from cortex_server.db.migrate import DatabaseRefused

_POLL_S = 0.05
_GOING_S = 0.5
_UNKNOWN_HOLDER_S = 0.5  # a new holder writes its name just after it got the lock


@dataclass(frozen=True)
class Holder:
    """parent: the pid of the gunicorn master, which a reloaded worker shares with the old one."""

    pid: int
    parent: int


class DatabaseLock:
    """The lock of one database file.

    sleep, monotonic: how to wait; under gevent the patched `time.sleep` lets others run.
    """

    def __init__(
        self,
        database: Path,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = database
        self.path = database.with_name(f"{database.name}.lock")
        self._descriptor: int | None = None
        self._sleep = sleep
        self._monotonic = monotonic

    def acquire(self, wait_s: float, same_parent_only: bool = True) -> None:
        """Take the lock and keep it until `release` or the end of the process.

        wait_s: how long to wait for a worker of the same gunicorn master, which is draining.
        same_parent_only: refuse at once when the holder belongs to another master.
        Raises DatabaseRefused, which names the holder.
        """
        descriptor = self._open()
        try:
            self._wait(descriptor, wait_s, same_parent_only)
            _write_holder(descriptor, Holder(os.getpid(), os.getppid()))
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next one have it. Does nothing when it is not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def probe(self) -> None:
        """Raise DatabaseRefused when the lock is held. Keeps nothing: it is for an early answer."""
        descriptor = self._open()
        try:
            if not _try_lock(descriptor, fcntl.LOCK_SH):
                raise self._refusal(self.holder())
        finally:
            os.close(descriptor)

    def holder(self) -> Holder | None:
        """Who wrote its name last, or None. Only the kernel knows whether it still holds."""
        try:
            fields = json.loads(self.path.read_text(encoding="utf-8"))
            return Holder(int(fields["pid"]), int(fields["parent"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _wait(self, descriptor: int, wait_s: float, same_parent_only: bool) -> None:
        start = self._monotonic()
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            holder = self.holder()
            worth_waiting = not same_parent_only or (holder and holder.parent == os.getppid())
            limit = wait_s if worth_waiting else 0 if _lives(holder) else _UNKNOWN_HOLDER_S
            if self._monotonic() - start >= limit:
                raise self._refusal(holder)
            self._sleep(_POLL_S)

    def _open(self) -> int:
        try:
            make_private_directory(self.path.parent)
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise DatabaseRefused(f"{self.path} cannot be opened: {error.strerror}.") from error

    def _refusal(self, holder: Holder | None) -> DatabaseRefused:
        who = f"process {holder.pid}" if holder else "another process"
        return DatabaseRefused(
            f"{self.database} is in use by {who}, and SQLite can be served by one process only. "
            f"Stop that server first{_how_to_stop(holder)}, give this one another "
            "CORTEX_DATABASE_URL, or use PostgreSQL."
        )


class PostgresLock:
    """Keeps the servers out while a program has the database for itself, or is kept out by them.

    Every server shares an advisory lock as long as it serves; this takes it alone.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: Any = None

    def acquire(self, wait_s: float) -> None:
        """Take the lock; waits for servers that drain. Raises DatabaseRefused."""
        connection = self._connect()
        # PostgreSQL may take a moment to see that a server which just ended has gone.
        give_up = time.monotonic() + max(wait_s, _GOING_S)
        while not postgres.take_alone(connection):
            if time.monotonic() >= give_up:
                connection.close()
                raise DatabaseRefused(
                    "A Cortex server serves this PostgreSQL database. Stop all of them first, or "
                    "name another database in CORTEX_DATABASE_URL."
                )
            time.sleep(_POLL_S)
        self._connection = connection

    def release(self) -> None:
        """Let the servers have it. Does nothing when it is not held."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def probe(self) -> None:
        """Raise DatabaseRefused when a program has the database for itself. Keeps nothing."""
        with closing(self._connect()) as connection:
            if not postgres.share(connection):
                raise DatabaseRefused(
                    "Another program has this PostgreSQL database for itself, to restore or copy "
                    "it. Start the server when that is done."
                )

    def _connect(self) -> Any:
        import psycopg

        try:
            return postgres.connect(self._database_url)
        except psycopg.Error as error:
            raise DatabaseUnreachable(f"PostgreSQL cannot be reached: {error}") from error


class DatabaseUnreachable(DatabaseRefused):
    """Nobody answers, so that trying again may help."""


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise DatabaseRefused(
            f"The file system of the database cannot lock files ({error.strerror}): "
            "put the database on a local disk."
        ) from error
    return True


def _write_holder(descriptor: int, holder: Holder) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": holder.pid, "parent": holder.parent}).encode(), 0)


def _lives(holder: Holder | None) -> bool:
    if holder is None:
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it lives, and belongs to somebody else
    return True


def _how_to_stop(holder: Holder | None) -> str:
    """Which process to end: a gunicorn master would just replace a worker that ends."""
    if holder is None:
        return ""
    command = _command(holder.pid)
    worker = command and command == _command(holder.parent)
    return f" (kill {holder.parent if worker else holder.pid})"


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
