"""A difference as git prints it: what each line is, and how much changed in which file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["head", "hunk", "added", "removed", "same"]

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_KINDS: dict[str, Kind] = {"+": "added", "-": "removed"}


@dataclass(frozen=True)
class Change:
    """A changed file. added, removed: lines, None for a binary one."""

    path: str
    added: int | None
    removed: int | None


def lines(patch: str) -> Iterator[tuple[Kind, str]]:
    """Yield each line and what it is: "--- x" is a removed line inside a hunk, a head outside."""
    old = new = 0  # lines that the hunk still has on either side
    for line in patch.removesuffix("\n").split("\n"):
        hunk = _HUNK.match(line)
        if old <= 0 and new <= 0 and hunk:
            old, new = (1 if count is None else int(count) for count in hunk.groups())
            yield "hunk", line
        elif (old > 0 or new > 0) and line[:1] in ("+", "-", " ", ""):
            old -= line[:1] != "+"
            new -= line[:1] != "-"
            yield _KINDS.get(line[:1], "same"), line
        else:
            old, new = (0, 0) if line.startswith("diff --git ") else (old, new)
            yield "head", line


def changes(patch: str) -> list[Change]:
    """Return what a patch changes, file by file. A cut patch gives what is there of it."""
    found: list[Change] = []
    path, added, removed = "", 0, 0
    binary = False

    def close() -> None:
        if path:
            found.append(Change(path, *((None, None) if binary else (added, removed))))

    for kind, line in lines(patch):
        if kind == "head" and line.startswith("diff --git "):
            close()
            path, added, removed, binary = _named(line), 0, 0, False
        elif kind == "head":
            path = _path(line) or path
            binary = binary or line.startswith(("Binary files ", "GIT binary patch"))
        added += kind == "added"
        removed += kind == "removed"
    close()
    return found


def _named(line: str) -> str:
    """The path in "diff --git a/PATH b/PATH"; a renamed one is corrected by what follows."""
    both = line.removeprefix("diff --git ")
    half = both[: len(both) // 2]
    return half.strip('"').removeprefix("a/")


def _path(line: str) -> str | None:
    for start in ("+++ ", "--- ", "rename to ", "copy to "):
        if line.startswith(start):
            name = line.removeprefix(start).split("\t")[0].strip('"')
            if name == "/dev/null" or (start == "--- " and not name.startswith("a/")):
                return None
            return name[2:] if name[:2] in ("a/", "b/") and start[:3] in ("+++", "---") else name
    return None
