"""A backup put back: the history of its moment, under a new epoch."""

from datetime import datetime
from pathlib import Path

from cortex_server.db.alone import alone
from cortex_server.db.install import Installation, Installed
from cortex_server.db.migrate import DatabaseRefused
from cortex_server.db.place import Place, Progress


def restore(
    source: Place, target: Place, directory: Path, now: datetime, progress: Progress,
    replace: bool = False,
) -> Installed:  # fmt: skip
    """Put the backup in the place of the database, migrate it, and renew its epoch.

    Positions after the backup were given once already, so every client has to start over.
    directory: for a backup of what PostgreSQL held. replace: PostgreSQL may hold something; a
    SQLite file is always kept beside. Raises DatabaseRefused; then nothing was changed.
    """
    if source.path is None:
        raise DatabaseRefused(f"A backup is a file; {source} is none. Use `cortex db copy`.")
    with alone(target):
        replaces = replace or target.path is not None
        return Installation(
            source, target, directory, now, progress, renew=True, replace=replaces
        ).run()
