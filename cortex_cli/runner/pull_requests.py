"""Opens the pull request of a branch, and follows it until it is merged or closed.

With `gh` where it is installed and logged in; else a person opens it on the compare page, and
whether it was merged is read from the default branch.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cortex_cli.runner import programs, remotes
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import GitError, RemoteFailed
from cortex_cli.runner.git_settings import FIXED, environment
from cortex_cli.runner.programs import Ran, within
from cortex_cli.runner.publish import one_line
from cortex_cli.runner.remotes import Forge

State = Literal["open", "merged", "closed"]

_STATES: dict[str, State] = {"OPEN": "open", "MERGED": "merged", "CLOSED": "closed"}
_FIELDS = "number,url,state,headRefOid"
_FOR_ANY_HOST = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")  # gh sends them to any
_ONE_CALL_S = 60.0
_TITLE_LENGTH, _BODY_LENGTH = 250, 60_000
_WEB = re.compile(r"https?://[^\s\"'<>\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class PullRequest:
    """A pull request, or the page on which a person opens it.

    url: None until there is one. head: the last commit that it holds, as far as is known.
    problem: why `gh` could not open it, one line.
    """

    state: State
    url: str | None = None
    number: int | None = None
    compare_url: str | None = None
    head: str | None = None
    problem: str | None = None

    def wire(self) -> dict[str, Any]:
        body: dict[str, Any] = {"state": self.state, "url": self.url}
        for name in ("number", "compare_url"):
            if getattr(self, name) is not None:
                body[name] = getattr(self, name)
        return body


def open_one(
    repository: Repository,
    *,
    remote: str,
    branch: str,
    into: str,
    title: str,
    body: str,
    draft: bool = False,
    deadline: float,
) -> PullRequest | None:
    """Open the pull request of a pushed branch, or find the one that is open.

    Without `gh` the answer holds only the compare page. None: nothing is known of the remote's
    web pages. Raises GitError when the remote's URL cannot be read.
    """
    forge = remotes.web(repository, remote, deadline=deadline)
    if forge is None:
        return None
    page = PullRequest("open", compare_url=forge.compare_url(into, branch))
    if forge.kind != "github" or not logged_in(repository, forge, deadline=deadline):
        return page
    try:
        there = _view(repository, forge, branch, deadline=deadline)
        if there is not None and there.state == "open":
            return replace(there, compare_url=page.compare_url)
        argv = ["pr", "create", *_repo(forge), f"--head={branch}", f"--base={into}"]
        argv += [f"--title={one_line(title)[:_TITLE_LENGTH]}", "--body-file=-"]
        argv += ["--draft"] if draft else []
        text = body[:_BODY_LENGTH].encode("utf-8", "replace")
        made = _gh(repository, forge, argv, deadline=deadline, input=text)
        if made.code:
            return replace(page, problem=one_line(made.err)[:300])
        opened = _view(repository, forge, branch, deadline=deadline)
    except GitError as error:
        return replace(page, problem=one_line(str(error))[:300])
    if opened is None:  # not listed yet; the answer of `create` is its page
        found = _WEB.search(made.text)
        return replace(page, url=found[0] if found else None)
    return replace(opened, compare_url=page.compare_url)


def follow(
    repository: Repository,
    *,
    remote: str | None,
    branch: str,
    base: str,
    into: str,
    known: PullRequest | None = None,
    deadline: float,
) -> PullRequest | None:
    """Return how the pull request of a branch stands now.

    base: the commit that the branch began from; into: the branch that it is to be merged into.
    By `gh` where it can be asked and knows one, else merged means that the branch's last commit is
    in `into`, at the remote or here. Otherwise what was known stays; None when nothing is known.
    """
    if remote is not None:
        forge = remotes.web(repository, remote, deadline=deadline)
        if forge is not None and forge.kind == "github" and _gh_path(repository):
            asked = _ask(repository, forge, branch, known, deadline=deadline)
            if asked is not None:
                return asked
    if is_merged(repository, remote, branch, base=base, into=into, deadline=deadline):
        return replace(known or PullRequest("merged"), state="merged")
    return known


def _ask(
    repository: Repository,
    forge: Forge,
    branch: str,
    known: PullRequest | None,
    *,
    deadline: float,
) -> PullRequest | None:
    name = str(known.number) if known and known.number else branch
    try:
        found = _view(repository, forge, name, deadline=deadline)
    except GitError:  # offline; what git knows still counts
        return None
    return replace(found, compare_url=known.compare_url) if found and known else found


def is_merged(
    repository: Repository,
    remote: str | None,
    branch: str,
    *,
    base: str,
    into: str,
    deadline: float,
) -> bool:
    """Say whether the branch's own commits are in `into`, at the remote or here."""
    tip = repository.find(f"refs/heads/{branch}", deadline=deadline)
    if tip is None and remote is not None:
        tip = repository.find(remotes.tracking(remote, branch), deadline=deadline)
    start = repository.find(base, deadline=deadline)
    if tip is None or start is None or repository.holds(tip, start, deadline=deadline):
        return False  # no commit of its own: nothing could have been merged
    holders = [repository.find(f"refs/heads/{into}", deadline=deadline)]
    if remote is not None:
        holders.append(remotes.fetched(repository, remote, into, deadline=deadline))
    return any(repository.holds(tip, holder, deadline=deadline) for holder in holders if holder)


def logged_in(repository: Repository, forge: Forge, *, deadline: float) -> bool:
    """Say whether `gh` is installed and logged in at the remote's host."""
    if _gh_path(repository) is None:
        return False
    try:
        argv = ["auth", "status", f"--hostname={forge.host}"]
        return _gh(repository, forge, argv, deadline=deadline).code == 0
    except GitError:
        return False


def _view(
    repository: Repository, forge: Forge, name: str, *, deadline: float
) -> PullRequest | None:
    """Return the pull request of that number or branch, None when there is none."""
    argv = ["pr", "view", *_repo(forge), f"--json={_FIELDS}", name]
    ran = _gh(repository, forge, argv, deadline=deadline)
    if ran.code:
        if "no pull requests found" in ran.err or "Could not resolve to a" in ran.err:
            return None
        raise RemoteFailed("pr view", ran.code, one_line(ran.err)[:300])
    return _read(ran)


def _read(ran: Ran) -> PullRequest | None:
    try:
        told = json.loads(ran.out)
        state = _STATES[told["state"]]
        number, url, head = int(told["number"]), str(told["url"]), told.get("headRefOid")
    except (ValueError, KeyError, TypeError):
        return None
    known_head = head if isinstance(head, str) and re.fullmatch(r"[0-9a-f]{40,64}", head) else None
    return PullRequest(state, url if _WEB.fullmatch(url) else None, number, None, known_head)


def _repo(forge: Forge) -> list[str]:
    return [f"--repo={forge.host}/{forge.path}"]


def _gh_path(repository: Repository) -> str | None:
    return shutil.which("gh", path=repository.base.get("PATH"))


def _gh(
    repository: Repository,
    forge: Forge,
    argv: Sequence[str],
    *,
    deadline: float,
    input: bytes | None = None,
) -> Ran:
    """Run gh away from the repository: what it asks git there would be asked without our care.

    forge: the host is the repository's word; a token for another one stays here.
    """
    program = _gh_path(repository)
    if program is None:
        raise RemoteFailed("pr", 127, "there is no gh on the PATH")
    environ = environment(repository.base, FIXED) | {
        "GH_PROMPT_DISABLED": "1",
        "GH_NO_UPDATE_NOTIFIER": "1",
        "GH_SPINNER_DISABLED": "1",
        "GH_PAGER": "cat",
        "NO_COLOR": "1",
    }
    if environ.get("GH_HOST") != forge.host:
        for name in _FOR_ANY_HOST:
            environ.pop(name, None)
    return programs.run(
        [program, *argv],
        cwd=Path("/"),
        environ=environ,
        deadline=min(deadline, within(_ONE_CALL_S)),
        input=input,
    )
