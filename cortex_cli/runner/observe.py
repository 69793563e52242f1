"""What an attempt does to its worktree, read from git itself: status, commits, difference.

All of it is bounded, takes no lock that an agent's git would meet, and believes nothing that the
worktree says about where its repository is. `wire()` gives the bodies of the server's routes.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cortex_cli.runner import plain_files
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_settings import Settings

MOST_FILES = 200
MOST_COMMITS = 100
MOST_NEW_FILES = 500
DIFF_LIMIT = 256 * 1024
_LONGEST_PATH, _LONGEST_SUBJECT, _LONGEST_AUTHOR = 1000, 300, 200
_LONGEST_BRANCH = 250
_LONGEST_STATUS = 64 * 1_048_576
_LARGEST_INDEX = 256 * 1_048_576
_BIG_FILE: Settings = [("core.bigFileThreshold", "1m")]  # larger ones are not compared as text
_KINDS = {
    "A": "added",
    "M": "modified",
    "T": "modified",
    "D": "deleted",
    "R": "renamed",
    "C": "added",
}


@dataclass(frozen=True)
class File:
    """A changed file. status: added, modified, deleted, renamed, untracked or conflicted."""

    path: str
    status: str


@dataclass(frozen=True)
class Status:
    """Where a worktree stands. branch: None when HEAD is detached; head: None before a commit.

    ahead, behind: commits, against what was asked for. more: changed files beyond `files`.
    """

    branch: str | None
    head: str | None
    ahead: int
    behind: int
    files: tuple[File, ...]
    more: int

    def wire(self) -> dict[str, Any]:
        return {**asdict(self), "files": [asdict(file) for file in self.files]}


@dataclass(frozen=True)
class Commit:
    """A commit. at: UTC, ISO 8601; files, insertions, deletions: 0 for a merge."""

    sha: str
    subject: str
    author: str
    at: str
    files: int
    insertions: int
    deletions: int

    def wire(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Diff:
    """All that a worktree changed since `base`, committed or not; truncated: there is more."""

    base: str
    head: str
    text: str
    truncated: bool

    def wire(self) -> dict[str, Any]:
        return asdict(self)


def status(
    worktree: Repository, *, against: str | None, deadline: float, most: int = MOST_FILES
) -> Status:
    """Return where a worktree stands. against: a revision; one that is gone counts as no commits.

    Raises GitError.
    """
    argv = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--renames")
    ran = worktree.run(*argv, deadline=deadline, limit=_LONGEST_STATUS)
    branch, head, files = _parse(ran.out.decode("utf-8", "replace"))
    ahead = behind = 0
    other = worktree.find(against, deadline=deadline) if against and head else None
    if other is not None:
        counted = worktree.text(
            "rev-list", "--left-right", "--count", f"{other}...{head}", "--", deadline=deadline
        )
        behind, ahead = map(int, counted.split())
    return Status(branch, head, ahead, behind, tuple(files[:most]), max(0, len(files) - most))


def _parse(listing: str) -> tuple[str | None, str | None, list[File]]:
    branch = head = None
    files = []
    records = iter(listing.split("\0"))
    for record in records:
        kind, _, rest = record.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            if name == "branch.oid" and value != "(initial)":
                head = value
            elif name == "branch.head" and value != "(detached)":
                branch = _visible(value, _LONGEST_BRANCH)
        elif kind == "1":
            files.append(_file(rest.split(" ", 7)[7], _kind(rest[:2])))
        elif kind == "2":
            next(records, None)  # the name that it had
            files.append(_file(rest.split(" ", 8)[8], _kind(rest[:2])))
        elif kind == "u":
            files.append(_file(rest.split(" ", 9)[9], "conflicted"))
        elif kind == "?":
            files.append(_file(rest, "untracked"))
    return branch, head, files


def _kind(codes: str) -> str:
    """Return the word for the two letters of index and work tree; a loss outweighs a change."""
    told = [_KINDS[code] for code in codes if code in _KINDS]
    return next((word for word in ("deleted", "renamed", "added") if word in told), "modified")


def _file(path: str, kind: str) -> File:
    return File(_visible(path, _LONGEST_PATH), kind)


def _visible(name: str, longest: int) -> str:
    """Return a name that can be told; one of nothing but spaces is shown in quotes."""
    return name[:longest] if name[:longest].strip() else repr(name[: longest - 2])


def commits(
    worktree: Repository,
    *,
    base: str,
    reported: Iterable[str] = (),
    exclude: Sequence[str] = (),
    deadline: float,
    most: int = MOST_COMMITS,
) -> list[Commit]:
    """Return the oldest commits since `base` that were not reported yet, at most `most`.

    reported: ids. exclude: revisions whose commits are others' work, such as an upstream that was
    merged in; those that are gone are passed over. An amended commit is a new one.
    """
    known = set(reported)
    found = [worktree.find(name, deadline=deadline) for name in (base, *exclude)]
    limits = [f"^{commit}" for commit in found if commit]
    argv = ("rev-list", "--reverse", "--topo-order", "HEAD", *limits, "--")
    if worktree.find("HEAD", deadline=deadline) is None:
        return []
    listed = worktree.text(*argv, deadline=deadline).split()
    fresh = [sha for sha in listed if sha not in known][:most]
    if not fresh:
        return []
    # NUL is the one character that no author and no subject can hold.
    form = "--format=%x00%H%x00%an%x00%at%x00%s%x00"
    argv = ("log", "--no-walk=unsorted", "--shortstat", "--stdin", form)
    ran = worktree.run(*argv, deadline=deadline, input="\n".join(fresh).encode())
    fields = ran.out.decode("utf-8", "replace").split("\0")[1:]
    return [_commit(fields[i : i + 5]) for i in range(0, len(fields) - 4, 5)]


def _commit(fields: Sequence[str]) -> Commit:
    sha, author, at, subject, stat = fields
    counts = [
        int(found[1]) if (found := re.search(rf"(\d+) {what}", stat)) else 0
        for what in ("file", "insertion", "deletion")
    ]
    return Commit(sha, subject[:_LONGEST_SUBJECT], author[:_LONGEST_AUTHOR], _time(at), *counts)


def _time(seconds: str) -> str:
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):  # an author may write any year
        moment = datetime.fromtimestamp(0, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z").rjust(24, "0")


def diff(worktree: Repository, *, base: str, deadline: float, limit: int = DIFF_LIMIT) -> Diff:
    """Return what the worktree changed since it left `base`, with what is not committed.

    Files that git does not know yet count as well; links are not followed. limit: bytes.
    """
    head = worktree.commit("HEAD", deadline=deadline)
    start = worktree.commit(base, deadline=deadline)
    ran = worktree.run("merge-base", start, head, deadline=deadline, ok=(0, 1))
    start = ran.text.split("\n")[0] or start
    with tempfile.TemporaryDirectory(prefix="cortex-") as directory:
        index = Path(directory) / "index"
        with contextlib.suppress(FileNotFoundError):
            index.write_bytes(plain_files.read(worktree.git_dir / "index", _LARGEST_INDEX))
        variables = {"GIT_INDEX_FILE": str(index)}
        omitted = _add_new_files(worktree, variables, head, deadline=deadline)
        argv = ("diff", "--find-renames", "--unified=3", "-O/dev/null", start, "--")
        shown = worktree.run(
            *argv, deadline=deadline, limit=limit, cut=True, extra=_BIG_FILE, variables=variables
        )
    text = shown.out.decode("utf-8", "replace")
    if shown.truncated:
        text = text[: text.rfind("\n") + 1]
    return Diff(start, head, text.replace("\0", "\ufffd"), shown.truncated or omitted)


def _add_new_files(
    worktree: Repository, variables: dict[str, str], head: str, *, deadline: float
) -> bool:
    """Put unknown files as empty ones into the copy of the index; say whether some were left out.

    Nothing is read or stored: only the difference that follows looks at them.
    """
    argv = ("ls-files", "--others", "--exclude-standard", "-z")
    ran = worktree.run(*argv, deadline=deadline, limit=_LONGEST_STATUS, variables=variables)
    names = [name for name in ran.out.split(b"\0") if name and not name.endswith(b"/")]
    kind = hashlib.sha256 if len(head) == 64 else hashlib.sha1
    empty = kind(b"blob 0\0", usedforsecurity=False).hexdigest().encode()
    lines = b"".join(b"100644 %s\t%s\0" % (empty, name) for name in names[:MOST_NEW_FILES])
    worktree.run(
        *("update-index", "-z", "--index-info"),
        deadline=deadline,
        input=lines,
        variables=variables,
    )
    return len(names) > MOST_NEW_FILES
