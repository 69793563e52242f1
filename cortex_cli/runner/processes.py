"""What processes there are on this machine, and signals that never hit a reused id.

Linux tells by /proc; elsewhere psutil does. Imports little: guardians start with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_ZOMBIE = "Z"


class Seen(NamedTuple):
    """A process at one moment. pid and started together name it for ever.

    started: in units of the system's own; only good for comparing.
    """

    pid: int
    parent: int
    group: int
    started: float
    name: str
    zombie: bool = False


def everyone() -> dict[int, Seen]:
    """Return every process that can be seen, by id."""
    found = _by_proc() if sys.platform == "linux" else _by_psutil()
    return {seen.pid: seen for seen in found}


def below(table: Mapping[int, Seen], roots: Iterable[int]) -> list[Seen]:
    """Return the descendants of `roots`, without these, parents first."""
    children: dict[int, list[Seen]] = {}
    for seen in table.values():
        children.setdefault(seen.parent, []).append(seen)
    found: dict[int, Seen] = {}
    waiting = list(roots)
    while waiting:
        for seen in children.get(waiting.pop(), ()):
            if seen.pid not in found:
                found[seen.pid] = seen
                waiting.append(seen.pid)
    return list(found.values())


def marked(table: Mapping[int, Seen], name: str, value: str) -> list[Seen]:
    """Return this user's living processes that were started with NAME=value in the environment.

    A process can overwrite what the system shows of its environment, or be started without it.
    """
    mark = os.fsencode(f"{name}={value}")
    return [seen for seen in table.values() if not seen.zombie and mark in _environment(seen.pid)]


def send(seen: Seen, number: int) -> bool:
    """Signal that very process; return False when it is gone or not ours."""
    try:
        handle = os.pidfd_open(seen.pid)
    except ProcessLookupError:
        return False
    except (AttributeError, OSError):  # another system, an old kernel, a strict sandbox
        return _send_without_handle(seen, number)
    try:
        # The descriptor holds on to one process; who it is, is looked up after that.
        now = _read_stat(seen.pid)
        if now is None or now.started != seen.started:
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def _send_without_handle(seen: Seen, number: int) -> bool:
    """As `send`; the id could still change hands between the look and the signal."""
    now = everyone().get(seen.pid)
    with contextlib.suppress(OSError):
        if now is not None and now.started == seen.started:
            os.kill(seen.pid, number)
            return True
    return False


def _by_proc() -> Iterator[Seen]:
    for name in os.listdir(_PROC):
        if name.isdecimal():
            seen = _read_stat(int(name))
            if seen is not None:
                yield seen


def _read_stat(pid: int) -> Seen | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:  # gone
        return None
    # pid (name) state parent group …; a name may hold blanks and brackets
    begin, end = text.find(b"("), text.rfind(b")")
    rest = text[end + 2 :].split()
    if len(rest) < 20:
        return None
    return Seen(
        pid,
        int(rest[1]),
        int(rest[2]),
        float(rest[19]),
        text[begin + 1 : end].decode("utf-8", "replace"),
        rest[0].decode() in (_ZOMBIE, "X"),
    )


def _by_psutil() -> Iterator[Seen]:
    import psutil

    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            with one.oneshot():
                yield Seen(
                    one.pid,
                    one.ppid(),
                    os.getpgid(one.pid),
                    one.create_time(),
                    one.name(),
                    one.status() == psutil.STATUS_ZOMBIE,
                )


def _environment(pid: int) -> list[bytes]:
    """Return what this user's process was started with; nothing for those of others."""
    try:
        if sys.platform == "linux":
            directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)
            try:
                # One descriptor for both looks: the id may change hands in between.
                if os.fstat(directory).st_uid != os.geteuid():
                    return []
                file = os.open("environ", os.O_RDONLY, dir_fd=directory)
            finally:
                os.close(directory)
            with os.fdopen(file, "rb") as environ:
                return environ.read().split(b"\0")
        return _environment_by_psutil(pid)
    except OSError:
        return []


def _environment_by_psutil(pid: int) -> list[bytes]:
    import psutil

    try:
        one = psutil.Process(pid)
        if one.uids().effective != os.geteuid():
            return []
        return [os.fsencode(f"{name}={value}") for name, value in one.environ().items()]
    except psutil.Error:
        return []
