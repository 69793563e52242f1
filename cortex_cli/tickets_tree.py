"""Directories of ticket files: which files, whose status and identity, and where exports go.

Layout: `{status}/{key}-{slug}.md`. Import takes any layout; the innermost directory that is
named like a column gives the status.
"""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_cli import tickets_file
from cortex_cli.tickets_file import BadTicketFile, TicketFile

SUFFIXES = (".md", ".markdown")
_LARGEST_FILE = 8 * 1_048_576
# Any constant would do; changing it would give every file without an id a new one.
_NAMESPACE = uuid.UUID("5b0a9a3e-6d0c-5e0f-9a59-2f3c6c3d6a01")
_COLUMN = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}-[1-9][0-9]*")
_LONGEST_SLUG = 60


@dataclass(frozen=True)
class Source:
    """A file to import: where it is, and the directory that was named when it was found."""

    path: Path
    named: Path

    def read(self) -> TicketFile:
        """Raises BadTicketFile, also when the file cannot be read."""
        try:
            if not self.path.is_file():
                raise BadTicketFile(1, "not a file")
            if self.path.stat().st_size > _LARGEST_FILE:
                raise BadTicketFile(1, f"larger than {_LARGEST_FILE} bytes")
            content = self.path.read_bytes()
        except OSError as error:
            raise BadTicketFile(1, f"cannot be read: {error.strerror}") from None
        return tickets_file.parse(content, self.path.stem)

    def status(self, columns: Collection[str]) -> str | None:
        """Return the column after which a directory around the file is named, the innermost."""
        path = self.path.resolve()
        top = work_tree(path)
        outermost = top if top is not None else self.named.resolve().parent
        for directory in path.parents:
            if directory == outermost:
                return None
            if directory.name in columns:
                return directory.name
        return None

    def identity(self, project_key: str) -> str:
        """Return the id of a file that names none: it depends on project and place alone.

        The place is the path inside the git work tree, so that every clone agrees; outside of
        one it is the absolute path. Neither depends on how the command was called.
        """
        path = self.path.resolve()
        top = work_tree(path)
        place = path.relative_to(top) if top else path
        return str(uuid.uuid5(_NAMESPACE, f"{project_key.lower()}/{place.as_posix()}"))


def work_tree(path: Path) -> Path | None:
    """Return the top of the git work tree that holds `path`; None when there is none."""
    return next((above for above in path.parents if (above / ".git").exists()), None)


def find(paths: Iterable[Path]) -> Iterator[Source]:
    """Yield the files that `paths` mean, each once, in the order of a person's reading.

    Below a directory, hidden entries and symbolic links are left out: a repository must not be
    able to publish what lies outside of it.
    """
    seen: set[Path] = set()
    for path in paths:
        files = _below(path) if path.is_dir() else [Source(path, path.parent)]
        for source in files:
            real = source.path.resolve()
            if real not in seen:
                seen.add(real)
                yield source


def _below(directory: Path) -> Iterator[Source]:
    found: list[Path] = []
    for root, directories, files in os.walk(directory, followlinks=False):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in files:
            path = Path(root, name)
            wanted = name.lower().endswith(SUFFIXES) and not name.startswith(".")
            if wanted and path.is_file() and not path.is_symlink():
                found.append(path)
    for path in sorted(found, key=_natural):
        yield Source(path, directory)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort CTX-2 before CTX-10."""
    pieces = re.split(r"([0-9]+)", str(path))
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def place_of(ticket: Mapping[str, Any]) -> Path:
    """Return the path of a ticket's file inside an export.

    Raises ValueError when the ticket's status or key could lead elsewhere.
    """
    key, status = str(ticket["key"]), str(ticket["status"])
    if not (_KEY.fullmatch(key) and _COLUMN.fullmatch(status)):
        raise ValueError(f"the server sent a ticket that cannot be a file: {key!r}, {status!r}")
    return Path(status, "-".join(filter(None, [key, slug(str(ticket["title"]))])) + ".md")


def slug(title: str) -> str:
    """Return a title as part of a file's name: a-z, 0-9 and single hyphens."""
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_title.lower()).strip("-")
    return words[:_LONGEST_SLUG].rstrip("-")


def write(directory: Path, ticket: Mapping[str, Any]) -> Path:
    """Write a ticket's file below `directory` and return its path.

    A file of the same ticket that an earlier export left under another status or title goes.
    Raises OSError, and ValueError where a directory of the layout is a symbolic link.
    """
    target = directory / place_of(ticket)
    if target.parent.is_symlink():
        raise ValueError(f"{target.parent} is a symbolic link; export elsewhere")
    target.parent.mkdir(parents=True, exist_ok=True)
    content = tickets_file.render(ticket)
    if not _holds(target, content):
        _replace(target, content)
    for stale in _earlier(directory, ticket):
        if stale != target:
            stale.unlink()
    return target


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_bytes() == content


def _replace(target: Path, content: bytes) -> None:
    """Write all of the file or nothing; what the name pointed to before is not followed."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:  # an interrupt, too: a draft must not stay
        os.unlink(name)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _earlier(directory: Path, ticket: Mapping[str, Any]) -> list[Path]:
    """Return the files with the ticket's key in their name and its id inside."""
    key = str(ticket["key"])
    candidates = [*directory.glob(f"*/{key}.md"), *directory.glob(f"*/{key}-*.md")]
    return [path for path in candidates if not path.is_symlink() and _id_in(path) == ticket["id"]]


def _id_in(path: Path) -> object:
    try:
        return Source(path, path.parent).read().fields.get("id")
    except BadTicketFile:
        return None
