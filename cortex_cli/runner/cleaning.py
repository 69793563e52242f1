"""What worktrees hold, and the removal of those whose work is safe elsewhere.

Safe means: every commit is in the default branch, here or at the remote, or in a pull request
that was merged; and nothing is uncommitted, judged by the files themselves and not by what the
index claims of them. Files that are ignored are not work.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cortex_cli.runner import branches, remotes
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import GitError, GitFailed
from cortex_cli.runner.worktrees import Listed, drop_branch, forget, ours, size_of

_UNFINISHED = {
    "MERGE_HEAD": "a merge is not finished",
    "rebase-merge": "a rebase is not finished",
    "rebase-apply": "a rebase is not finished",
    "CHERRY_PICK_HEAD": "a cherry-pick is not finished",
    "REVERT_HEAD": "a revert is not finished",
    "BISECT_LOG": "a bisection is not finished",
}
_PER_WORKTREE_S = 20.0
_LONGEST_LIST = 64 * 1_048_576


@dataclass(frozen=True)
class Cleaned:
    """What became of a worktree. removed: it is gone, or would be; kept: why not."""

    path: Path
    branch: str | None
    removed: bool
    kept: tuple[str, ...] = ()
    size: int | None = None
    branch_deleted: bool = False


def targets(
    repository: Repository, default_branch: str | None, *, fetch: bool, deadline: float
) -> list[str]:
    """Return the commits of the default branch, here and at the remote: what holds is merged."""
    remote = remotes.find(repository, deadline=deadline)
    branch = default_branch or branches.default(repository, remote, deadline=deadline)
    found = [repository.find(f"refs/heads/{branch}", deadline=deadline)]
    if remote is not None:
        if fetch:
            found.append(remotes.fetched(repository, remote, branch, deadline=deadline))
        else:
            found.append(repository.find(remotes.tracking(remote, branch), deadline=deadline))
    return [commit for commit in found if commit]


def listed(
    repository: Repository,
    root: Path,
    *,
    default_branch: str | None,
    active: Collection[Path] = (),
    merged_heads: Mapping[str, str] | None = None,
    fetch: bool = False,
    deadline: float,
) -> list[Listed]:
    """Tell of each of our worktrees.

    active: directories that an attempt still works in. merged_heads: of each branch whose pull
    request was merged, the last commit that it held.
    """
    into = targets(repository, default_branch, fetch=fetch, deadline=deadline)
    real = {place.resolve() for place in active}
    return [
        _look(repository, place, into, place in real, merged_heads or {}, deadline=deadline)
        for place in ours(repository, root)
    ]


def _look(
    repository: Repository,
    place: Path,
    into: list[str],
    owned: bool,
    merged_heads: Mapping[str, str],
    *,
    deadline: float,
) -> Listed:
    branch = head = at = problem = None
    dirty: tuple[str, ...] = ()
    merged = False
    gone = not os.path.lexists(place)
    deadline = min(deadline, time.monotonic() + _PER_WORKTREE_S)
    try:
        if not gone:
            worktree = repository.at(place)
            branch = worktree.branch(deadline=deadline)
            head = worktree.find("HEAD", deadline=deadline)
            dirty = tuple(unsafe(worktree, deadline=deadline))
        if head is not None:
            merged = _is_merged(repository, branch, head, into, merged_heads, deadline=deadline)
            at = int(repository.text("log", "-1", "--format=%ct", head, deadline=deadline))
    except (GitError, ValueError) as error:
        problem = str(error)
    age = max(0.0, time.time() - at) if at is not None else None
    size = 0 if gone else size_of(place, deadline=deadline)
    return Listed(
        project=place.parent.name,
        path=place,
        repository=repository.path,
        branch=branch,
        head=head,
        size=size,
        dirty=dirty,
        merged=merged,
        committed_at=at,
        age_s=age,
        owned=owned,
        gone=gone,
        problem=problem,
    )


def _is_merged(
    repository: Repository,
    branch: str | None,
    head: str,
    into: list[str],
    merged_heads: Mapping[str, str],
    *,
    deadline: float,
) -> bool:
    holders = list(into)
    by_pull_request = merged_heads.get(branch or "")
    if by_pull_request and repository.find(by_pull_request, deadline=deadline):
        holders.append(by_pull_request)
    return any(repository.holds(head, holder, deadline=deadline) for holder in holders)


def unsafe(worktree: Repository, *, thorough: bool = False, deadline: float) -> Iterator[str]:
    """Yield what of a worktree exists nowhere else, apart from its commits: one line each.

    thorough: read every file instead of believing the index, which can be told to look away.
    """
    for name, reason in _UNFINISHED.items():
        if os.path.lexists(worktree.git_dir / name):
            yield reason
    if os.path.lexists(worktree.git_dir / "locked"):
        yield "it is locked"
    if os.path.lexists(worktree.git_dir / "modules"):
        yield "it has submodules of its own"
    if thorough:
        with tempfile.TemporaryDirectory(prefix="cortex-") as directory:
            # An index without any memory of the files: all of them are read.
            fresh = {"GIT_INDEX_FILE": str(Path(directory) / "index")}
            sparse = [("core.sparseCheckout", "false")]
            argv = ("read-tree", "HEAD")
            worktree.run(*argv, deadline=deadline, variables=fresh, extra=sparse)
            # What is away is away on purpose (sparse), or the other look tells.
            yield from _changes(worktree, fresh, {"??", " D"}, deadline=deadline)
    else:
        yield from _changes(worktree, {}, {"??"}, deadline=deadline)


def _changes(
    worktree: Repository, variables: Mapping[str, str], apart: set[str], *, deadline: float
) -> Iterator[str]:
    argv = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    ran = worktree.run(*argv, deadline=deadline, variables=variables, limit=_LONGEST_LIST)
    lines = [line for line in ran.out.decode("utf-8", "replace").split("\0") if line]
    untracked = [line[3:] for line in lines if line.startswith("??")]
    nested = [name for name in untracked if name.endswith("/")]
    changed = [line[3:] for line in lines if line[:2] not in apart]
    files = [name for name in untracked if not name.endswith("/")]
    for names, what in ((changed, "uncommitted"), (files, "untracked"), (nested, "a repository")):
        if names:
            yield f"{what}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"


def clean(
    repository: Repository,
    root: Path,
    *,
    default_branch: str | None,
    active: Collection[Path] = (),
    merged_heads: Mapping[str, str] | None = None,
    only: Collection[Path] | None = None,
    fetch: bool = True,
    dry_run: bool = False,
    deadline: float,
) -> list[Cleaned]:
    """Remove our worktrees whose work is safe elsewhere; say of the others why they are kept.

    A branch that is in the default branch goes with its worktree; one whose pull request was
    squashed stays. What is left of vanished worktrees is forgotten, its branches stay.
    only: just these directories. Nothing uncommitted is ever deleted.
    """
    into = targets(repository, default_branch, fetch=fetch, deadline=deadline)
    heads = merged_heads or {}
    busy, chosen = {p.resolve() for p in active}, {p.resolve() for p in only or ()}
    done = []
    for place in ours(repository, root):
        if only is not None and place not in chosen:
            continue
        seen = _look(repository, place, into, place in busy, heads, deadline=deadline)
        reasons = list(_reasons(repository, seen, deadline=deadline))
        if reasons or dry_run:
            done.append(Cleaned(place, seen.branch, not reasons, tuple(reasons), seen.size))
            continue
        done.append(_removed(repository, seen, into, deadline=deadline))
    return done


def _reasons(repository: Repository, seen: Listed, *, deadline: float) -> Iterator[str]:
    if seen.owned:
        yield "an attempt still works there"
    if seen.problem:
        yield seen.problem
    if seen.gone and not seen.path.parent.is_dir():
        yield f"{seen.path.parent} is not there; its disk may be missing"
    if seen.gone or seen.problem:
        return
    yield from seen.dirty
    if not seen.merged:
        yield "its commits are not merged"
    elif not seen.dirty and not seen.owned:
        try:
            yield from unsafe(repository.at(seen.path), thorough=True, deadline=deadline)
        except GitError as error:
            yield str(error)


def _removed(repository: Repository, seen: Listed, into: list[str], *, deadline: float) -> Cleaned:
    try:
        if seen.gone:  # only what git keeps of it is left
            forget(repository, seen.path, deadline=deadline)
        else:
            _take_away(repository.at(seen.path), deadline=deadline)
    except GitError as error:
        said = error.said if isinstance(error, GitFailed) else str(error)
        return Cleaned(seen.path, seen.branch, False, (said,), seen.size)
    branch, head = seen.branch, seen.head
    if not branch or not head or not branch.startswith(branches.PREFIX):
        return Cleaned(seen.path, branch, True, (), seen.size)
    dropped = any(repository.holds(head, commit, deadline=deadline) for commit in into)
    if dropped:
        drop_branch(repository, branch, head, deadline=deadline)
    return Cleaned(seen.path, branch, True, (), seen.size, dropped)


def _take_away(worktree: Repository, *, deadline: float) -> None:
    """Remove a worktree that was found safe. Git looks once more, as long as it is not forced."""
    # Git refuses wherever the commit names a submodule, also one that was never fetched.
    force = ("--force",) if _has_only_empty_submodules(worktree, deadline=deadline) else ()
    argv = ("worktree", "remove", *force, "--", str(worktree.path))
    worktree.main.run(*argv, deadline=deadline)


def _has_only_empty_submodules(worktree: Repository, *, deadline: float) -> bool:
    ran = worktree.run("ls-files", "--stage", "-z", deadline=deadline, limit=_LONGEST_LIST)
    links = [line.split(b"\t", 1)[1] for line in ran.out.split(b"\0") if line[:6] == b"160000"]
    places = [worktree.path / os.fsdecode(link) for link in links]
    return bool(places) and not any(p.is_dir() and any(p.iterdir()) for p in places)
