"""The cache of boards: the last one of each project, for the first frame of the next start.

A file each, for its owner only, replaced as a whole; what somebody else put there is neither read
nor written. It holds what `GET /board` answered and the
events changed, in the same shape, and never a token. Only a hint: whatever cannot be read, is of
another version or does not fit is as good as nothing.
"""

import contextlib
import json
import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cortex_cli.board.cached import Keep
from cortex_cli.board.reading import BadObject
from cortex_cli.board.value import Value
from cortex_cli.board.wire import Board
from cortex_cli.paths import cache_dir

VERSION = 1
MOST_BOARDS = 20
LARGEST_BYTES = 2_000_000  # read in 20 ms; a larger board is kept without the tickets' texts
LONGEST_NAME = 200
DRAFT_S = 600  # after which a draft was left by one that was killed
ACTORS = ("asked_by", "requested_by", "resolved_by")  # on the wire an object
LISTS = ("labels", "tickets", "sessions", "reviews", "attempts", "permissions", "batches")


class BoardCache:
    """The boards of one server. read before anything runs; the others from any thread."""

    def __init__(self, environ: Mapping[str, str], url: str) -> None:
        self._directory = cache_dir(environ) / "boards"
        self._url = url
        self._lock = threading.Lock()
        # An agent's token shows one ticket: it neither shows the owner's board nor replaces it.
        self._off = bool(environ.get("CORTEX_TICKET")) or "@" in url

    def read(self, project: str, now: float) -> Keep | None:
        """The board as it was written down last; None where there is none that can be used."""
        path = self._path(project)
        if path is None:
            return None
        try:
            if not self._is_ours():
                return None
            found = json.loads(_content(path))
            if found["version"] != VERSION or found["url"] != self._url:
                return None
            board = Board.read(found["board"])
            selected = found["selected"]
            selected = selected if isinstance(selected, str) else None
            keep = Keep(project, board, float(found["at"]), selected, str(found["focus"]))
        except (OSError, ValueError, LookupError, TypeError, RecursionError, BadObject):
            return None
        return keep if 0 <= keep.as_of <= now and board.project.key else None

    def write(self, keep: Keep) -> None:
        """Replace what is known of a project. Without effect where it cannot be written."""
        path = self._path(keep.project)
        if path is None:
            return
        with self._lock:
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                if self._is_ours():
                    self._directory.chmod(0o700)
                    self._write(path, keep)
                    self._sweep()
            except OSError:
                pass

    def forget(self, project: str) -> None:
        """Take away what is known of a project."""
        path = self._path(project)
        if path is not None:
            with self._lock:
                try:
                    path.unlink(missing_ok=True)
                except OSError:
                    pass

    def _is_ours(self) -> bool:
        """Say whether the directory is one, and the user's own. Raises OSError."""
        found = self._directory.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()

    def _write(self, path: Path, keep: Keep) -> None:
        for bodies in (True, False):
            content = b"".join(self._pieces(keep, bodies))
            if len(content) <= LARGEST_BYTES:
                break
        else:
            path.unlink(missing_ok=True)
            return
        draft = path.with_name(f"{path.stem}.{os.getpid()}.new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            draft.replace(path)
        except OSError:  # the disk is full
            with contextlib.suppress(OSError):
                draft.unlink()
            raise

    def _pieces(self, keep: Keep, bodies: bool) -> Iterator[bytes]:
        """The file in small pieces: the thread that draws gets its turn between them."""
        board = keep.board
        head = {
            "version": VERSION, "url": self._url, "at": keep.as_of, "selected": keep.selected,
            "focus": keep.focus,
        }  # fmt: skip
        yield json.dumps(head).encode()[:-1]
        known = {
            "epoch": board.epoch, "head": board.head, "seq": board.seq,
            "project": as_json(board.project),
        }  # fmt: skip
        yield b', "board": ' + json.dumps(known).encode()[:-1]
        for name in LISTS:
            yield f', "{name}": ['.encode()
            for number, item in enumerate(getattr(board, name).values()):
                found = as_json(item)
                if not bodies and name == "tickets":
                    found["body"] = ""
                yield (b", " if number else b"") + json.dumps(found).encode()
            yield b"]"
        yield b"}}"

    def _sweep(self) -> None:
        """Keep the newest boards only, and no drafts that nobody will finish."""
        dated = sorted(
            ((entry.lstat().st_mtime, entry) for entry in self._directory.iterdir()), reverse=True
        )
        boards = [entry for _, entry in dated if entry.suffix == ".json"]
        old = [
            entry for at, entry in dated if entry.suffix == ".new" and at < time.time() - DRAFT_S
        ]
        for entry in (*boards[MOST_BOARDS:], *old):
            entry.unlink(missing_ok=True)

    def _path(self, project: str) -> Path | None:
        name = quote(f"{self._url} {project.upper()}", safe="")
        if self._off or not project or len(name) > LONGEST_NAME:
            return None
        return self._directory / f"{name}.json"


def _content(path: Path) -> bytes:
    """Return what is in a file of the user's own, not too large and no pipe. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise OSError("not a file of the user's own")
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise OSError("too large")
    return content


def as_json(value: Any) -> Any:
    """An object of the board as the wire has it, as far as the board reads it."""
    if isinstance(value, Value) or is_dataclass(value):
        names = value._fields if isinstance(value, Value) else type(value).__annotations__
        return {
            name: {"name": getattr(value, name)}
            if name in ACTORS
            else as_json(getattr(value, name))
            for name in names
        }
    return [as_json(item) for item in value] if isinstance(value, tuple) else value
