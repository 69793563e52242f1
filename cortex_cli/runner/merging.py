"""Brings the branches of a batch together, one by one, into `cortex/batch-ID`.

The merges are made in the object database (`git merge-tree`): no worktree, no index, no file of
the user is touched, and a conflict leaves nothing to clean up. The batch's branch moves by whole
merge commits, so that a merging that was killed goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cortex_cli.runner import branches
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import GitFailed, NotPossible
from cortex_cli.runner.publish import identity, one_line

OnConflict = Literal["skip", "fail"]
_MOST_FILES = 200


@dataclass(frozen=True)
class Merged:
    """The branch is in; commit: the merge. again: an earlier run had merged it already."""

    branch: str
    commit: str
    again: bool = False


@dataclass(frozen=True)
class Conflict:
    """The branch is not in. files: where it conflicts; reason: when it is not about files."""

    branch: str
    files: tuple[str, ...]
    reason: str | None = None


@dataclass(frozen=True)
class Empty:
    """The branch has no commit of its own, or is not there (missing)."""

    branch: str
    missing: bool = False


Step = Merged | Conflict | Empty


@dataclass(frozen=True)
class Batch:
    """The branch of a batch. base: the commit that it began from; upstream: of which branch."""

    branch: str
    base: str
    upstream: str
    remote: str | None


def prepare(
    repository: Repository, batch: str, *, default_branch: str | None, deadline: float
) -> Batch:
    """Make the branch of a batch from the default branch, or find the one that is there.

    Raises NoSuchRevision, and NotPossible when that branch is checked out somewhere.
    """
    name = branches.batch_name(batch)
    mark = f"refs/cortex/{name.removeprefix(branches.PREFIX)}/base"
    start = branches.base(repository, default_branch=default_branch, wanted=None, deadline=deadline)
    _refuse_checked_out(repository, name, deadline=deadline)
    base = repository.find(mark, deadline=deadline)
    if base is None or not repository.find(f"refs/heads/{name}", deadline=deadline):
        zeros = repository.zeros(deadline=deadline)
        both = [(f"refs/heads/{name}", start.commit, zeros), (mark, start.commit, base or zeros)]
        try:
            repository.set_ref(both, reason="cortex: batch", deadline=deadline)
            base = start.commit
        except GitFailed as error:
            base = repository.find(mark, deadline=deadline)
            if base is None:  # else another runner was faster
                raise NotPossible(f"{name} was made by somebody else: {error.said}") from None
    return Batch(name, base, start.upstream, start.remote)


def _refuse_checked_out(repository: Repository, name: str, *, deadline: float) -> None:
    told = repository.text("worktree", "list", "--porcelain", deadline=deadline)
    if f"branch refs/heads/{name}" in told.splitlines():
        raise NotPossible(
            f"{name} is checked out in a worktree; check out another branch there first."
        )


def merge(
    repository: Repository,
    batch: Batch,
    names: Sequence[str],
    *,
    on_conflict: OnConflict,
    titles: Mapping[str, str] | None = None,
    deadline: float,
) -> Iterator[Step]:
    """Merge the branches in that order and yield what became of each.

    on_conflict: "skip" goes on with the next branch, "fail" ends after the conflict.
    titles: of the tickets, by branch, for the messages.
    """
    for name in names:
        step = _merge_one(repository, batch, name, (titles or {}).get(name), deadline=deadline)
        yield step
        if isinstance(step, Conflict) and on_conflict == "fail":
            return


def _merge_one(
    repository: Repository, batch: Batch, name: str, title: str | None, *, deadline: float
) -> Step:
    target = f"refs/heads/{batch.branch}"
    source = repository.find(f"refs/heads/{name}", deadline=deadline)
    if source is None:
        return Empty(name, missing=True)
    tip = repository.commit(target, deadline=deadline)
    if repository.holds(source, tip, deadline=deadline):
        if repository.holds(source, batch.base, deadline=deadline):
            return Empty(name)
        return Merged(name, _merge_of(repository, batch, source, tip, deadline=deadline), True)
    argv = ("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z")
    try:
        ran = repository.run(*argv, tip, source, deadline=deadline, ok=(0, 1))
    except GitFailed as error:
        if "unrelated histories" in error.said:
            return Conflict(name, (), "it shares no commit with the batch's branch")
        raise
    tree, *files = [part for part in ran.out.decode("utf-8", "replace").split("\0") if part]
    if ran.code:
        return Conflict(name, tuple(files[:_MOST_FILES]))
    message = f"Merge {name}\n" + (f"\n{one_line(title)}\n" if title else "")
    commit = repository.run(
        *("commit-tree", "--no-gpg-sign", "-p", tip, "-p", source, "-F", "-", tree),
        deadline=deadline,
        input=message.encode("utf-8", "replace"),
        variables=identity(repository, repository.settings(deadline=deadline)),
    ).text
    repository.set_ref([(target, commit, tip)], reason=f"cortex: {name}", deadline=deadline)
    return Merged(name, commit)


def _merge_of(
    repository: Repository, batch: Batch, source: str, tip: str, *, deadline: float
) -> str:
    """Return the merge that brought a commit into the batch's branch."""
    argv = ("rev-list", "--first-parent", "--parents", tip, f"^{batch.base}", "--")
    for line in repository.text(*argv, deadline=deadline).splitlines():
        commit, _, *brought = line.split()
        if source in brought:
            return commit
    return tip  # a branch that was built on it brought it along
