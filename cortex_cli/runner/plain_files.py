"""Reads files that an agent can write: ordinary ones only, and only so much of them.

In place of a repository's own file there may be a named pipe, on which whoever opens it waits for
ever, or a link to a device that never ends.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


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
