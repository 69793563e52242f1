"""Names of branches and the commits that work begins from.

Names are made here, never taken from a ticket: `$(id)`, `a;id` and `-evil` are valid in git.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from cortex_cli.runner import remotes
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import NoSuchRevision

PREFIX = "cortex/"
_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SLUG_LENGTH = 40


def name_for(key: str, title: str, number: int) -> str:
    """Return the branch of an attempt: `cortex/CTX-12-short-title-3`.

    A title without a letter or digit of ASCII gives `cortex/CTX-12-3`. Raises ValueError for a
    key that is none.
    """
    if not _KEY.fullmatch(key) or number < 0:
        raise ValueError(f"{key!r} with number {number} makes no branch")
    slug = slug_of(title)
    return f"{PREFIX}{key}-{slug}-{number}" if slug else f"{PREFIX}{key}-{number}"


def batch_name(batch: str) -> str:
    """Return the branch of a batch: `cortex/batch-ID`. Raises ValueError for a strange id."""
    if not _KEY.fullmatch(batch):
        raise ValueError(f"{batch!r} makes no branch")
    return f"{PREFIX}batch-{batch}"


def slug_of(title: str) -> str:
    """Return the title as a few words of ASCII, at most 40 characters, cut between words."""
    plain = unicodedata.normalize("NFKD", title[:400]).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain.lower())
    slug = "-".join(words)
    if len(slug) > _SLUG_LENGTH:
        cut = slug[: _SLUG_LENGTH + 1].rpartition("-")[0]
        slug = cut or slug[:_SLUG_LENGTH]
    return slug


@dataclass(frozen=True)
class Base:
    """Where work begins. commit: its id; upstream: the reference that it is compared with."""

    commit: str
    upstream: str
    remote: str | None


def base(
    repository: Repository, *, default_branch: str | None, wanted: str | None, deadline: float
) -> Base:
    """Return the commit to begin from; the remote is asked first, and may be out of reach.

    wanted: a branch, tag or commit; None means the default branch, as the remote has it. Of a
    branch that is asked for by name, the one here counts where it holds all of the remote's.
    Raises NoSuchRevision.
    """
    remote = remotes.find(repository, deadline=deadline)
    branch = wanted or default_branch or default(repository, remote, deadline=deadline)
    there = None
    if remote is not None and is_branch_name(branch) and not _ID.fullmatch(branch):
        there = remotes.fetched(repository, remote, branch, deadline=deadline)
    local = f"refs/heads/{branch}"
    here = repository.find(local, deadline=deadline)
    if there is not None and remote is not None:
        ahead = wanted and here and repository.holds(there, here, deadline=deadline)
        if not ahead:
            return Base(there, remotes.tracking(remote, branch), remote)
    if here is not None:
        return Base(here, local, remote)
    if wanted is None:
        raise NoSuchRevision(_nothing(repository, branch))
    commit = repository.commit(wanted, deadline=deadline)
    return Base(commit, commit, remote)


def default(repository: Repository, remote: str | None, *, deadline: float) -> str:
    """Return the name of the default branch as the repository knows it."""
    if remote is not None:
        head = f"refs/remotes/{remote}/HEAD"
        ran = repository.run("symbolic-ref", "--quiet", head, deadline=deadline, ok=(0, 1))
        name = ran.text.removeprefix(f"refs/remotes/{remote}/")
        if ran.code == 0 and is_branch_name(name):
            return name
    for name in ("main", "master"):
        if repository.find(f"refs/heads/{name}", deadline=deadline):
            return name
    return repository.branch(deadline=deadline) or "main"


def is_branch_name(name: str) -> bool:
    """Say whether the name can be a branch's and nothing else: no option, range or pattern."""
    forbidden = re.search(r"[\x00-\x20~^:?*\[\\\x7f]|\.\.|@\{|//|/\.|\.lock(/|$)", name)
    wrong_ends = name.startswith(("-", "/", ".")) or name.endswith(("/", "."))
    return bool(name) and name not in ("@", "HEAD") and not forbidden and not wrong_ends


def _nothing(repository: Repository, branch: str) -> str:
    return (
        f"There is no branch {branch!r} in {repository.path}, here or at its remote. "
        "Make a first commit, or set the project's default branch."
    )
