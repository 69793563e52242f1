"""Makes an attempt's work last: commits what is uncommitted and pushes the branch."""

from __future__ import annotations

import random
import shutil
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from cortex_cli.runner import programs, remotes
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import (
    FilterNotRun,
    GitError,
    NotPossible,
    PushRejected,
    RemoteFailed,
)
from cortex_cli.runner.git_settings import Entry, untrusted_filters

NAME, EMAIL = "Cortex runner", "cortex-runner@localhost"
_SUBJECT_LENGTH = 72
_TRIES = 4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0
_ONE_PUSH_S = 120.0
_LONGEST_LIST = 64 * 1_048_576


@dataclass(frozen=True)
class Committed:
    """What a commit took. commit: None when there was nothing to commit.

    left: repositories inside the worktree, which cannot be committed and stay where they are.
    """

    commit: str | None
    files: int
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pushed:
    """A push that arrived. remote: its name."""

    remote: str
    branch: str
    sha: str


def message_for(key: str, title: str, body: str = "") -> str:
    """Return a commit's message: `CTX-12: title` in at most 72 characters, and a body."""
    subject = f"{key}: {one_line(title)}".removesuffix(": ")
    if len(subject) > _SUBJECT_LENGTH:
        subject = subject[: _SUBJECT_LENGTH - 1].rstrip() + "…"
    lines = [one_line(line) for line in body.splitlines()]
    return "\n".join([subject, "", *lines]).rstrip() + "\n"


def one_line(text: str) -> str:
    """Return the text without control, format and line-breaking characters."""
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))


def commit(worktree: Repository, *, branch: str, message: str, deadline: float) -> Committed:
    """Commit all that is uncommitted, with files that git does not know yet.

    The author is the user's identity, or "Cortex runner"; nothing is signed, no hook runs.
    Raises NotPossible when another branch is checked out or a conflict is open, FilterNotRun when
    a filter would be needed that only the repository's own configuration names.
    """
    found = worktree.branch(deadline=deadline)
    if found != branch:
        where = f"branch {found}" if found else "no branch"
        raise NotPossible(
            f"{worktree.path} has {where} checked out instead of {branch}; commit there by hand."
        )
    changes = _changes(worktree, deadline=deadline)
    if changes.conflicts:
        named = ", ".join(map(_shown, changes.conflicts[:5]))
        raise NotPossible(f"{worktree.path} has open conflicts: {named}.")
    left = tuple(map(_shown, changes.nested))
    merging = (worktree.git_dir / "MERGE_HEAD").exists()
    if not changes.paths and not merging:
        return Committed(None, 0, left)
    entries = worktree.settings(deadline=deadline)
    _refuse_filters(worktree, changes.added, untrusted_filters(entries), deadline=deadline)
    # First what is gone: where a link took the place of a directory, its files are in the way.
    for how, paths in (("--force-remove", changes.gone), ("--add", changes.added)):
        argv = ["update-index", how, "--replace", "-z", "--stdin"]
        worktree.run(*argv, deadline=deadline, input=_listed(paths))
    argv = ["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--no-status", "--no-edit"]
    argv += ["--cleanup=whitespace", "--file=-"]
    variables = identity(worktree, entries)
    ran = worktree.run(
        *argv, deadline=deadline, input=message.encode(), variables=variables, ok=(0, 1)
    )
    if ran.code:  # what looked changed was not, such as a line ending that git converts
        if _staged(worktree, deadline=deadline):
            raise NotPossible(f"{worktree.path} could not be committed: {ran.err.strip()[-500:]}")
        return Committed(None, 0, left)
    return Committed(worktree.commit("HEAD", deadline=deadline), len(changes.paths), left)


def _staged(worktree: Repository, *, deadline: float) -> bool:
    argv = ("diff", "--cached", "--quiet")
    return worktree.run(*argv, deadline=deadline, ok=(0, 1)).code == 1


@dataclass(frozen=True)
class _Changes:
    """Paths, as git tells them. paths: all; gone, added: what the index does not know yet."""

    paths: set[str]
    gone: list[str]
    added: list[str]
    nested: list[str]
    conflicts: list[str]


def _changes(worktree: Repository, *, deadline: float) -> _Changes:
    argv = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    ran = worktree.run(*argv, deadline=deadline, limit=_LONGEST_LIST)
    lines = [x for x in ran.out.decode("utf-8", "surrogateescape").split("\0") if x]
    nested = [x[3:] for x in lines if x.startswith("?? ") and x.endswith("/")]
    return _Changes(
        paths={x[3:] for x in lines if x[3:] not in nested},
        gone=[x[3:] for x in lines if x[1] == "D"],
        added=[x[3:] for x in lines if x[1] not in " D" and x[3:] not in nested],
        nested=nested,
        conflicts=[x[3:] for x in lines if "U" in x[:2] or x[:2] in ("AA", "DD")],
    )


def _listed(paths: Iterable[str]) -> bytes:
    return "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")


def _shown(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _refuse_filters(
    worktree: Repository, paths: list[str], filters: set[str], *, deadline: float
) -> None:
    if not filters:
        return
    argv = ("check-attr", "-z", "--stdin", "filter")
    ran = worktree.run(*argv, deadline=deadline, input=_listed(paths), limit=_LONGEST_LIST)
    fields = ran.out.decode("utf-8", "surrogateescape").split("\0")
    wanted = [
        (_shown(path), value)
        for path, value in zip(fields[::3], fields[2::3], strict=False)
        if value in filters
    ]
    if wanted:
        raise FilterNotRun([path for path, _ in wanted], sorted({value for _, value in wanted}))


def identity(repository: Repository, entries: Iterable[Entry]) -> dict[str, str]:
    """Return the variables that name author and committer where the user did not."""
    known = {entry.key for entry in entries if entry.value}
    variables = {}
    for role in ("author", "committer"):
        for part, fallback in (("name", NAME), ("email", EMAIL)):
            variable = f"GIT_{role.upper()}_{part.upper()}"
            given = repository.base.get(variable)
            if not given and not known & {f"user.{part}", f"{role}.{part}"}:
                variables[variable] = fallback
    return variables


def push(
    repository: Repository, branch: str, *, remote: str | None = None, deadline: float
) -> Pushed | None:
    """Push the branch to the remote, a few times if need be; None when there is no remote.

    Raises PushRejected at once: trying again would not help. Raises RemoteFailed, TimedOut.
    """
    remote = remote or remotes.find(repository, deadline=deadline)
    if remote is None:
        return None
    sha = repository.commit(f"refs/heads/{branch}", deadline=deadline)
    _push_large_files(repository, remote, branch, deadline=deadline)
    pause = _FIRST_PAUSE_S
    for tries_left in reversed(range(_TRIES)):
        try:
            once = min(deadline, programs.within(_ONE_PUSH_S))
            remotes.push(repository, remote, branch, deadline=once)
            return Pushed(remote, branch, sha)
        except PushRejected:
            raise
        except GitError:
            if not tries_left or time.monotonic() + pause > deadline:
                raise
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE_S)
    raise AssertionError("the last try returns or raises")


def _push_large_files(repository: Repository, remote: str, branch: str, *, deadline: float) -> None:
    """Send what Git LFS keeps beside the commits: its own way is a hook, and hooks are off."""
    program = shutil.which("git-lfs", path=repository.base.get("PATH"))
    entries = repository.settings(deadline=deadline)
    trusted = {entry.key for entry in entries if entry.scope in ("system", "global")}
    if program is None or not trusted & {"filter.lfs.process", "filter.lfs.clean"}:
        return
    if not (repository.common_dir / "lfs").is_dir():
        return  # no large file was ever made here
    ran = programs.run(
        [program, "push", remote, branch],
        cwd=repository.main.path,
        environ=repository.main.environ(deadline=deadline),
        deadline=deadline,
    )
    if ran.code:
        raise RemoteFailed("lfs push", ran.code, " ".join(ran.err.split())[-500:])
