"""What drivers say about the storage, as errors that a client can act on."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from cortex_server.errors import CortexError, StorageFull, Unavailable

_log = structlog.get_logger(__name__)


@contextmanager
def translated() -> Iterator[None]:
    """Turn a fault of the storage into StorageFull or Unavailable; our own mistakes stay loud."""
    try:
        yield
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault from error


def fault_of(error: BaseException) -> CortexError | None:
    """What a client is told of an error of SQLAlchemy or a driver; None when it is no such fault.

    Of a lost connection nobody can say whether a commit went through.
    """
    if isinstance(error, NoFreeConnection):
        return Unavailable("Too many requests wait for the database; try again shortly.")
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    message = str(original)
    if not _is_of_a_driver(original):
        return None
    if "disk is full" in message or "No space left" in message:
        return StorageFull(
            "The disk is full: nothing was stored. Free some space; reading still works."
        )
    if _is_mistake(message) or not _is_lost(error, original):
        return None
    _log.error("storage_unavailable", error=message)
    return Unavailable(
        "The database does not take this now. A change may have been stored: repeat it "
        "with the same Idempotency-Key, or look before you repeat it."
    )


def end_if_disk_failed(error: BaseException) -> None:
    """End the process after a failed write to the disk at commit time.

    What the page cache holds after a failed fsync is unknown, so a retry could acknowledge what is
    not on disk. The next process recovers from the file.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    if "disk I/O error" in str(original):
        _log.critical("commit_failed_exiting", error=str(original))
        os._exit(70)


def _is_of_a_driver(error: Any) -> bool:
    return isinstance(error, sqlite3.Error) or _is_psycopg(error)


def _is_psycopg(error: Any) -> bool:
    psycopg = sys.modules.get("psycopg")  # not imported where the database is SQLite
    return psycopg is not None and isinstance(error, psycopg.Error)


def _is_lost(error: BaseException, original: Any) -> bool:
    """Whether the storage is to blame: an operational error, or a connection that is gone."""
    if isinstance(original, sqlite3.Error):
        return isinstance(original, sqlite3.OperationalError)
    psycopg = sys.modules["psycopg"]
    stood_still = psycopg.errors.IdleInTransactionSessionTimeout  # to psycopg an internal error
    return isinstance(original, psycopg.OperationalError | psycopg.InterfaceError | stood_still)


def _is_mistake(message: str) -> bool:
    """True for our own faults in SQL."""
    return any(part in message for part in ("no such", "syntax error", "has no column"))
