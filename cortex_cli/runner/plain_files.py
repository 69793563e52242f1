"""Reads files that an agent can write: ordinary ones only, and only so much of them.

In place of a repository's own file there may be a named pipe, on which whoever opens it waits for
ever, or a link to a device that never ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import deque
from collections.abc import Collection
from pathlib import Path

_MOST_ENTRIES = 50_000  # that are looked at for a pipe


def read(path: Path, most: int) -> bytes:
    """Return a file's content. Raises OSError when it is none, a link, or over `most` bytes."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Not an ordinary file", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"Larger than {most} bytes", str(path))
    return content


def text(path: Path, most: int) -> str:
    """As `read`; bytes that are no UTF-8 stay as surrogates."""
    return read(path, most).decode("utf-8", "surrogateescape")


def named_pipe(top: Path, names: Collection[str] = ()) -> Path | None:
    """Return a named pipe below `top`, one of `names` if there are any; None when none is found.

    In a directory called .git any pipe counts. What comes after the first 50,000 entries is left
    out; those nearest to `top` are the first.
    """
    directories, seen = deque([(str(top), not names)]), 0
    while directories:
        directory, any_name = directories.popleft()
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                seen += 1
                if seen > _MOST_ENTRIES:
                    return None
                if entry.is_dir(follow_symlinks=False):
                    directories.append((entry.path, any_name or entry.name == ".git"))
                elif (any_name or entry.name in names) and _is_pipe(entry):
                    return Path(entry.path)
    return None


def _is_pipe(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISFIFO(entry.stat().st_mode)
    except OSError:  # a link that leads nowhere
        return False
