"""Files that are being written: beside their place, private, and gone when they were given up.

A part that a kill -9 or a power loss left behind is removed by the next one of the same target.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cortex_server.db.files import sync_directory

_SUFFIX = ".part"
_SQLITE_SUFFIXES = ("", "-journal", "-wal", "-shm")


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """An empty file, 0600, in the directory of `target`. Removed at the end, unless `put` moved it.

    Raises OSError.
    """
    _sweep(target)
    while (made := _claimed(target)) is None:
        pass  # another one, sweeping, took it for a dead one before it was locked
    part, descriptor = made
    try:
        yield part
    finally:
        os.close(descriptor)
        _remove(part)


def _claimed(target: Path) -> tuple[Path, int] | None:
    """A new part and its locked descriptor; None when it was swept away before it was locked."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}{_SUFFIX}")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # says that its maker lives
        if os.fstat(descriptor).st_nlink:
            return part, descriptor
    os.close(descriptor)
    return None


def put(part: Path, target: Path) -> None:
    """Make the part durable, then let it take the name `target`: whole or not at all."""
    sync(part)
    os.replace(part, target)
    sync_directory(target.parent)


def put_new(part: Path, target: Path) -> None:
    """The same, for a name that nothing has yet. Raises FileExistsError, and leaves that alone."""
    sync(part)
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError(target) from None
        os.replace(part, target)
    sync_directory(target.parent)


def free_name(beside: Path, stem: str, suffix: str = "") -> Path:
    """A path beside another one that nothing has yet; from the second on numbered: -2, -3, …"""
    path, number = beside.with_name(stem + suffix), 1
    while path.exists():
        number += 1
        path = beside.with_name(f"{stem}-{number}{suffix}")
    return path


def sync(path: Path) -> None:
    """Make the content of a file durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(target: Path) -> None:
    """Remove parts of this target that nobody writes any more, and nothing of other programs."""
    ours = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}{re.escape(_SUFFIX)}")
    for part in [path for path in target.parent.iterdir() if ours.fullmatch(path.name)]:
        with suppress(OSError):
            descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(part)
            finally:
                os.close(descriptor)


def _remove(part: Path) -> None:
    for suffix in _SQLITE_SUFFIXES:
        part.with_name(part.name + suffix).unlink(missing_ok=True)
