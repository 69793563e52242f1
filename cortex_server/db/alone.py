"""Having a database for oneself: no server serves it, and none starts meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cortex_server.db.lock import DatabaseLock, PostgresLock
from cortex_server.db.place import Place


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Keep every server out as long as the block runs. Raises DatabaseRefused when one is there."""
    lock = PostgresLock(place.url) if place.path is None else DatabaseLock(place.path)
    lock.acquire(0)
    try:
        if isinstance(lock, DatabaseLock):
            belong(lock.path)
        yield
    finally:
        lock.release()


def belong(path: Path) -> None:
    """When root does this for a server that runs as somebody else: the file is to be its file."""
    if os.geteuid() == 0:
        with suppress(OSError):
            owner = path.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
