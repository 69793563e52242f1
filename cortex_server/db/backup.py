"""Backups: one private file each, whole or not there at all, taken beside a running server."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cortex_server.db import parts, snapshot
from cortex_server.db.files import make_private_directory
from cortex_server.db.migrate import DatabaseRefused
from cortex_server.db.place import Place, Progress, told
from cortex_server.db.snapshot import State


@dataclass(frozen=True)
class Backup:
    """size: in bytes · seconds: that it took, with its check."""

    path: Path
    state: State
    size: int
    seconds: float


def back_up(
    source: Place, to: Path | None, directory: Path, now: datetime, progress: Progress,
    force: bool = False,
) -> Backup:  # fmt: skip
    """Write what `source` holds at this moment to one file, and check what was written.

    to: the file, or the directory for one with the usual name; absent, in `directory`.
    force: an older file of that name is replaced. now: the time in the usual name.
    Raises DatabaseRefused; then no file was made or replaced.
    """
    begun = time.monotonic()
    with told(f"The backup could not be written to {to or directory}"):
        folder = directory if to is None else to if to.is_dir() else to.parent
        file = to if to is not None and not to.is_dir() else None
        if to is None:
            make_private_directory(directory)
        if file is not None:
            _refuse_what_is_there(source, file, force)
        with parts.part_of(folder / "backup.db") as part:
            state = snapshot.take(source, part, progress)
            if file is None:
                file = _put_under_a_free_name(part, f"cortex-{now:%Y%m%dT%H%M%SZ}-{state.head}")
            elif force:
                parts.put(part, file)
            else:
                parts.put_new(part, file)
        return Backup(file, state, file.stat().st_size, time.monotonic() - begun)


def _put_under_a_free_name(part: Path, stem: str) -> Path:
    while True:
        file = parts.free_name(part, stem, ".db")
        with suppress(FileExistsError):  # another backup of this second was faster
            parts.put_new(part, file)
            return file


def _refuse_what_is_there(source: Place, file: Path, force: bool) -> None:
    if source.path is not None and file.resolve() == source.path.resolve():
        raise DatabaseRefused(f"{file} is the database itself; name another file.")
    if not (file.exists() or file.is_symlink()):
        return
    if not force:
        raise DatabaseRefused(f"{file} is there already; name another file, or add --force.")
    if not file.is_file() or file.is_symlink():
        raise DatabaseRefused(f"{file} is not a plain file; name another.")
    beside = [file.with_name(f"{file.name}{suffix}") for suffix in ("-wal", "-journal")]
    if any(other.exists() for other in beside):
        raise DatabaseRefused(f"{file} is a database in use; name another file.")
