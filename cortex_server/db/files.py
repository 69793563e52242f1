"""Private files beside the database: for the owner only, whole or not there at all."""

import os
import secrets
import stat
from pathlib import Path


class StartRefused(Exception):
    """Why the server does not start; the message names the file and says what to do."""


def make_private_directory(path: Path) -> None:
    """Create the directory and its missing parents for the owner only. Leaves an existing one."""
    for missing in [p for p in (*reversed(path.parents), path) if not p.exists()]:
        missing.mkdir(mode=0o700, exist_ok=True)


def narrow(path: Path, mode: int) -> None:
    """Take every permission away that is not in `mode`. Does nothing where nothing is there."""
    try:
        now = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return
    if now & ~mode:
        path.chmod(now & mode)


def write_private(path: Path, text: str) -> None:
    """Replace the file by one with this text, 0600, durable; a reader sees the old or the new.

    A symbolic link at `path` is replaced, not followed.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_private(path: Path, size_max: int = 4096) -> str | None:
    """The text of a file of ours, whose permissions are narrowed to 0600; None if there is none.

    None also for somebody else's: it is to be replaced, not trusted.
    Raises StartRefused for a symbolic link and for what is not a plain file.
    """
    if path.is_symlink():
        raise StartRefused(f"{path} is a symbolic link, which could lead anywhere: remove it.")
    try:
        # O_NONBLOCK: opening a pipe must not wait for its other end.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StartRefused(f"{path} is not a plain file: remove it.")
        if status.st_uid != os.geteuid():
            return None
        if stat.S_IMODE(status.st_mode) & 0o177:
            os.fchmod(descriptor, 0o600)
        return file.read(size_max).decode("utf-8", "replace")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
