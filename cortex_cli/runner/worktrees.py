"""Worktrees of attempts: made, listed with what they hold, and cleaned without loss.

They lie in `ROOT/PROJECT/KEY-N`, by default below `$XDG_DATA_HOME/cortex/worktrees`, out of the
way of the user's own checkout. Only worktrees below ROOT are ours; others are never touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cortex_cli.runner import branches, plain_files
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import (
    GitError,
    GitFailed,
    NotARepository,
    NotPossible,
    NotTrusted,
)
from cortex_cli.runner.programs import within

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_MOST_TRIES = 50
_UNDO_S = 20.0
_LONGEST_LINK = 8192  # bytes of a worktree's `.git`


def default_root(environ: Mapping[str, str]) -> Path:
    """Return where worktrees are made unless another place was asked for."""
    base = environ.get("XDG_DATA_HOME")
    if base:
        return Path(base) / "cortex" / "worktrees"
    import platformdirs

    return Path(platformdirs.user_data_dir("cortex")) / "worktrees"


@dataclass(frozen=True)
class Worktree:
    """A fresh worktree. base: the commit that it begins from; upstream: what to compare with."""

    path: Path
    branch: str
    base: str
    upstream: str
    remote: str | None


def create(
    repository: Repository,
    *,
    root: Path,
    project: str,
    key: str,
    number: int,
    title: str,
    default_branch: str | None,
    base: str | None = None,
    deadline: float,
) -> Worktree:
    """Make the branch and the worktree of an attempt.

    number: of the attempt on its ticket. A branch or a directory that is there already is kept,
    and the new one gets a further number. base: see `branches.base`.
    Raises NoSuchRevision, NotPossible when the place leads elsewhere, and what git raises; then
    nothing is left behind.
    """
    _refuse_planted(repository)
    start = branches.base(repository, default_branch=default_branch, wanted=base, deadline=deadline)
    directory = _directory(root, project)
    wanted = branches.name_for(key, title, number)
    for place, branch in _names(directory / f"{key}-{number}", wanted):
        if _claim(repository, place, branch, start.commit, deadline=deadline):
            _check_out(repository, place, branch, start.commit, deadline=deadline)
            return Worktree(place, branch, start.commit, start.upstream, start.remote)
    raise NotPossible(f"{directory} has {_MOST_TRIES} worktrees of {key}; clean them first.")


def _refuse_planted(repository: Repository) -> None:
    """Refuse what git would read for ever: it reads these of all worktrees to add another one."""
    for name in ("gitdir", "HEAD", "commondir", "locked"):
        for path in (repository.common_dir / "worktrees").glob(f"*/{name}"):
            try:
                plain_files.read(path, _LONGEST_LINK)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise NotPossible(f"{path} cannot be read, remove it: {error.strerror}.") from None


def _names(place: Path, branch: str) -> Iterator[tuple[Path, str]]:
    yield place, branch
    for number in range(2, _MOST_TRIES):
        yield place.with_name(f"{place.name}-{number}"), f"{branch}-{number}"


def _directory(root: Path, project: str) -> Path:
    """Return the real directory of a project's worktrees; it is no link to another place."""
    if not _NAME.fullmatch(project):
        raise NotPossible(f"{project!r} cannot be the name of a directory.")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = root.resolve() / project
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.resolve() != directory:
        raise NotPossible(f"{directory} is a link to another place; remove the link.")
    return directory


def _claim(
    repository: Repository, place: Path, branch: str, commit: str, *, deadline: float
) -> bool:
    """Take the directory and the branch, which nobody else may have; say whether it worked."""
    if repository.find(f"refs/heads/{branch}", deadline=deadline):
        return False
    if not os.path.lexists(place) and place in [known for _, known in repository.worktrees()]:
        forget(repository, place, deadline=deadline)
    try:
        place.mkdir(mode=0o700)  # the one that makes it has it; git takes an empty one
    except FileExistsError:
        return False
    zeros = repository.zeros(deadline=deadline)
    change = (f"refs/heads/{branch}", commit, zeros)
    try:
        repository.set_ref([change], reason="cortex: attempt", deadline=deadline)
    except GitFailed as error:
        place.rmdir()
        if "reference already exists" in error.said:
            return False
        raise
    except BaseException:  # an interrupt, too: the name would stay taken
        place.rmdir()
        raise
    return True


def _check_out(
    repository: Repository, place: Path, branch: str, commit: str, *, deadline: float
) -> None:
    try:
        argv = ("worktree", "add", "--quiet", "--end-of-options", str(place), branch)
        repository.run(*argv, deadline=deadline)
    except BaseException:  # an interrupt, too; nobody has worked there yet
        _undo(repository, place, branch, commit)
        raise


def _undo(repository: Repository, place: Path, branch: str, commit: str) -> None:
    deadline = within(_UNDO_S)
    with contextlib.suppress(GitError):
        argv = ("worktree", "remove", "--force", "--force", "--", str(place))
        repository.run(*argv, deadline=deadline)
    shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(GitError):
        drop_branch(repository, branch, commit, deadline=deadline)


def forget(repository: Repository, place: Path, *, deadline: float) -> None:
    """Forget a worktree whose directory has vanished; its branch and commits stay."""
    argv = ("worktree", "remove", "--force", "--", str(place))
    repository.run(*argv, deadline=deadline)


def drop_branch(repository: Repository, branch: str, commit: str, *, deadline: float) -> None:
    """Delete the branch as long as it is at that commit."""
    argv = ("update-ref", "-d", f"refs/heads/{branch}", commit)
    repository.run(*argv, deadline=deadline)


@dataclass(frozen=True)
class Listed:
    """One of our worktrees.

    gone: the directory has vanished. size: bytes on disk, None when there was no time to count.
    dirty: why its work is not safe yet, one line each. owned: an attempt still works there.
    committed_at: seconds since 1970. problem: why it could not be looked at.
    """

    project: str
    path: Path
    repository: Path
    branch: str | None
    head: str | None
    size: int | None
    dirty: tuple[str, ...]
    merged: bool
    committed_at: int | None
    age_s: float | None
    owned: bool
    gone: bool = False
    problem: str | None = None


def ours(repository: Repository, root: Path) -> list[Path]:
    """Return the worktrees of this repository that lie below root, also vanished ones."""
    real = root.resolve()
    found = []
    for _, place in repository.worktrees():
        parts = place.relative_to(real).parts if place.is_relative_to(real) else ()
        if len(parts) == 2 and all(map(_NAME.fullmatch, parts)):
            found.append(place)
    return found


def repositories(
    root: Path, *, deadline: float, environ: Mapping[str, str] | None = None
) -> list[Repository]:
    """Return the repositories that the worktrees below root belong to, each once.

    What a worktree says about its repository counts only where the repository says the same.
    """
    found: dict[Path, Repository] = {}
    for link in sorted(root.resolve().glob("*/*/.git")):
        common = _common_dir(link)
        if common is None or common in found:
            continue
        top = common.parent if common.name == ".git" else common
        with contextlib.suppress(NotARepository, NotTrusted):
            repository = Repository.open(top, deadline=deadline, environ=environ)
            if link.parent in {place for _, place in repository.worktrees()}:
                found[common] = repository
    return list(found.values())


def _common_dir(link: Path) -> Path | None:
    try:
        written = plain_files.text(link, _LONGEST_LINK).removeprefix("gitdir:").strip()
    except OSError:
        return None
    admin = (link.parent / written).resolve()
    return admin.parent.parent if admin.parent.name == "worktrees" else None


def size_of(directory: Path, *, deadline: float) -> int | None:
    """Return the bytes that a directory takes on disk, None when there was no time to count."""
    total, left = 0, [directory]
    while left:
        if time.monotonic() > deadline:
            return None
        with contextlib.suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
    return total
