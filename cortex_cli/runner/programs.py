"""Runs one external program to its end: bounded in time and in output, without a terminal.

The program gets a session of its own: it cannot ask anybody anything, no Ctrl-C of ours reaches
it half way, and at the deadline all of it is ended together.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

from cortex_cli.runner.git_errors import TimedOut

LIMIT = 16 * 1_048_576
_ERROR_LIMIT = 65_536
_CHUNK = 65_536
_POLL_S = 0.1
_MEMORY_MAX = 4 << 30  # bytes; a repository can lead git to a file that never ends
_TERM_S = 2.0  # time to remove its lock files


@dataclass(frozen=True)
class Ran:
    """A program that ended. out: its first bytes up to the limit; truncated: there was more."""

    code: int
    out: bytes
    err: str
    truncated: bool = False

    @property
    def text(self) -> str:
        """The output as text, without the last line end."""
        return self.out.decode("utf-8", "replace").removesuffix("\n")


def within(seconds: float) -> float:
    """Return the deadline that many seconds from now: a moment of time.monotonic()."""
    return time.monotonic() + seconds


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    deadline: float,
    input: bytes | None = None,
    limit: int = LIMIT,
) -> Ran:
    """Run the program and return what it gave; more output than `limit` bytes ends it early.

    Raises TimedOut, and OSError when it cannot be started.
    """
    with contextlib.ExitStack() as stack:
        stdin: int | IO[bytes] = subprocess.DEVNULL
        if input is not None:  # a file: no pipe to be fed while the output is read
            stdin = stack.enter_context(tempfile.TemporaryFile())
            stdin.write(input)
            stdin.seek(0)
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(environ),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        _bound_memory(child.pid)
        try:
            return _follow(child, argv, deadline, limit)
        finally:
            _end(child)


def _bound_memory(pid: int) -> None:
    """On Linux, where a process can be given limits from outside; its children inherit them."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, ValueError):  # it is gone, or may have even less
            resource.prlimit(pid, resource.RLIMIT_DATA, (_MEMORY_MAX, _MEMORY_MAX))


def _follow(
    child: subprocess.Popen[bytes], argv: Sequence[str], deadline: float, limit: int
) -> Ran:
    out, err = bytearray(), bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(child.stdout, selectors.EVENT_READ, out)  # type: ignore[arg-type]
        ready.register(child.stderr, selectors.EVENT_READ, err)  # type: ignore[arg-type]
        while ready.get_map() and len(out) <= limit:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(f"`{_shown(argv)}` was not done in time, and was ended.")
            found = ready.select(min(left, _POLL_S))
            if not found and child.poll() is not None:
                break  # a daemon that it left behind (ssh, a credential cache) holds the pipes
            for key, _ in found:
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    ready.unregister(key.fileobj)
                key.data.extend(chunk)
            del err[:-_ERROR_LIMIT]
    truncated = len(out) > limit
    if not truncated:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimedOut(f"`{_shown(argv)}` was not done in time, and was ended.") from None
    code = 0 if child.returncode is None else child.returncode
    return Ran(code, bytes(out[:limit]), err.decode("utf-8", "replace"), truncated)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End what still runs, with its children: gently, since git then removes its locks."""
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
    if child.poll() is not None:
        return
    for number, patience in ((signal.SIGTERM, _TERM_S), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        try:
            child.wait(patience)
            break
        except subprocess.TimeoutExpired:
            continue
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)  # its children may have outlived the gentle end


def _shown(argv: Sequence[str]) -> str:
    words = [word for before, word in pairwise(argv) if before != "-c" and not word.startswith("-")]
    return " ".join([os.path.basename(argv[0]), *words[:2]])[:80]
