"""What this runner runs, on disk: after kill -9 the next one of its name finds it there.

One directory for each server and name, below the state directory; one file for each attempt,
replaced as a whole, readable by its owner only. A lock says that a runner of this name lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from cortex_cli.paths import state_dir
from cortex_cli.runner.errors import RunnerError

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_LOCK = "lock"


class NameTaken(RunnerError):
    """A runner of this name lives on this machine."""


@dataclass(frozen=True)
class Record:
    """An attempt, or a batch that is merged. guardian: its process id, 0 before there is one."""

    id: str
    generation: int
    kind: str  # attempt or batch
    ticket: str
    project: str
    repository: str
    worktree: str | None = None
    branch: str | None = None
    base: str | None = None
    home: str | None = None
    guardian: int = 0


class Journal:
    """The records of one runner. Every method may be called from any thread.

    homes: where the private homes of its attempts are.
    """

    def __init__(self, directory: Path) -> None:
        """Take the directory for this process. Raises NameTaken, and OSError when it is none."""
        for place in (directory, directory / "attempts", directory / "homes"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self.homes = directory / "homes"
        self._lock = _locked(directory / _LOCK)

    def close(self) -> None:
        """Let another runner have the name."""
        self._lock.close()

    def write(self, record: Record) -> None:
        """Store a record: the old one or the new one is there, never half of it."""
        path = self._path(record.id)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")  # 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(record), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:  # an interrupt, too: a draft must not stay
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
            raise
        _sync(path.parent)

    def forget(self, attempt: str) -> None:
        """Drop a record: nothing of the attempt runs any more."""
        with contextlib.suppress(FileNotFoundError):
            self._path(attempt).unlink()

    def records(self) -> list[Record]:
        """Return what is stored, oldest first; what cannot be read is left where it is."""
        found = []
        files = (self.directory / "attempts").glob("*.json")
        for path in sorted(files, key=lambda path: path.stat().st_mtime):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append(Record(**json.loads(path.read_text("utf-8"))))
        return found

    def _path(self, attempt: str) -> Path:
        if not _ID.fullmatch(attempt):
            raise RunnerError(f"{attempt!r} is no id of an attempt.")
        return self.directory / "attempts" / f"{attempt}.json"


def directory_of(environ: Mapping[str, str], url: str, name: str) -> Path:
    """Return where the runner of that name keeps what it runs for that server."""
    server = quote(urlsplit(url).netloc, safe="")
    return state_dir(environ) / "runners" / f"{quote(name, safe='')}@{server}"


def _locked(path: Path) -> IO[str]:
    file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = file.read(20).strip() or "unknown"
        file.close()
        raise NameTaken(
            f"A runner of this name runs here already (process {pid}); give this one another "
            "--name, or stop that one."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
