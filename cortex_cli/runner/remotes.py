"""The remote of a repository: which one, its pages on the web, fetching and pushing one branch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import GitError, GitFailed, PushRejected, RemoteFailed
from cortex_cli.runner.git_settings import RECEIVE_HERE
from cortex_cli.runner.programs import within

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_SCP = re.compile(r"(?:[^@/:\s]+@)?(\[[0-9a-fA-F:]+\]|[^@/:\s]+):(?!//)(.+)")
_HOST = re.compile(r"[A-Za-z0-9.-]*[A-Za-z0-9](:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?")
_FETCH_S = 20.0


def find(repository: Repository, *, deadline: float) -> str | None:
    """Return the name of the remote that is used: `origin`, else the only one, else None."""
    names = repository.text("remote", deadline=deadline).splitlines()
    usable = [name for name in names if _NAME.fullmatch(name)]
    if "origin" in usable:
        return "origin"
    return usable[0] if len(usable) == 1 else None


def url(repository: Repository, remote: str, *, deadline: float) -> str:
    """Return the remote's URL, rewritten by `url.*.insteadOf`; it may hold credentials."""
    return urls(repository, remote, deadline=deadline)[0]


def urls(repository: Repository, remote: str, *, push: bool = False, deadline: float) -> list[str]:
    """Return all URLs that a remote is fetched from, or pushed to."""
    argv = ("remote", "get-url", "--all", *(("--push",) if push else ()), "--", remote)
    return repository.main.text(*argv, deadline=deadline).split("\n")


def is_directory(address: str) -> bool:
    """Say whether a remote's URL is a directory of this machine."""
    if address.startswith("file://"):
        return True
    return "://" not in address and not re.match(r"[^/]*:", address)


def tracking(remote: str, branch: str) -> str:
    """Return the name of the reference that remembers a remote's branch."""
    return f"refs/remotes/{remote}/{branch}"


def fetch(repository: Repository, remote: str, branch: str, *, deadline: float) -> str | None:
    """Bring the remote's branch up to date here, within 20 s, and return its commit.

    None: the remote has no such branch. Raises RemoteFailed when it cannot be reached; what was
    fetched before is still there then. Only the remembered branch changes, none of the user's.
    """
    reference = tracking(remote, branch)
    argv = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
    argv += ["--no-prune", "--refmap=", "--upload-pack=git-upload-pack", "--end-of-options"]
    argv += [remote, f"+refs/heads/{branch}:{reference}"]
    try:
        repository.main.run(*argv, deadline=min(deadline, within(_FETCH_S)))
    except GitFailed as error:
        if "couldn't find remote ref" in error.said:
            return None
        raise RemoteFailed(error.command, error.code, error.said) from None
    return repository.commit(reference, deadline=deadline)


def fetched(repository: Repository, remote: str, branch: str, *, deadline: float) -> str | None:
    """Return the commit of the remote's branch: fetched now, or as last seen when offline."""
    try:
        return fetch(repository, remote, branch, deadline=deadline)
    except GitError:  # offline, or too slow: the deadline of the caller decides about the rest
        return repository.find(tracking(remote, branch), deadline=deadline)


def push(repository: Repository, remote: str, branch: str, *, deadline: float) -> None:
    """Push a branch, never by force; git's own hooks stay off on this side.

    Where the remote is a directory of this machine its hooks stay off too, since it may have come
    with the repository. Raises PushRejected, RemoteFailed, TimedOut.
    """
    here = any(map(is_directory, urls(repository, remote, push=True, deadline=deadline)))
    receiver = RECEIVE_HERE if here else "git-receive-pack"
    argv = ["push", "--quiet", "--no-verify", "--no-signed", "--no-follow-tags"]
    argv += ["--recurse-submodules=no", f"--receive-pack={receiver}", "--end-of-options"]
    argv += [remote, f"refs/heads/{branch}:refs/heads/{branch}"]
    try:
        repository.main.run(*argv, deadline=deadline)
    except GitFailed as error:
        rejected = re.search(r"\[rejected\]|non-fast-forward|fetch first", error.said)
        kind = PushRejected if rejected else RemoteFailed
        raise kind(error.command, error.code, error.said) from None


@dataclass(frozen=True)
class Forge:
    """Where a remote's repository is on the web. kind: github, gitlab, bitbucket or gitea."""

    kind: str
    scheme: str
    host: str  # with the port of a web address
    path: str  # OWNER/NAME, or longer

    @property
    def page(self) -> str:
        return f"{self.scheme}://{self.host}/{quote(self.path)}"

    def compare_url(self, base: str, branch: str) -> str:
        """Return the page on which a person opens the pull request."""
        into, source = quote(base, safe="/"), quote(branch, safe="/")
        if self.kind == "gitlab":
            query = {
                "merge_request[source_branch]": branch,
                "merge_request[target_branch]": base,
            }
            return f"{self.page}/-/merge_requests/new?{urlencode(query)}"
        if self.kind == "bitbucket":
            return f"{self.page}/pull-requests/new?{urlencode({'source': branch, 'dest': base})}"
        expand = "?expand=1" if self.kind == "github" else ""
        return f"{self.page}/compare/{into}...{source}{expand}"


_KINDS = {
    "github": "github",
    "ghe": "github",
    "gitlab": "gitlab",
    "bitbucket": "bitbucket",
    "gitea": "gitea",
    "forgejo": "gitea",
    "codeberg": "gitea",
}


def forge(address: str) -> Forge | None:
    """Return what a remote's URL says of its web pages, None when it says nothing.

    Takes https, ssh and the short form `git@host:owner/name.git`; credentials are left out.
    """
    scheme, host, path = _split(address)
    path = path.strip("/").removesuffix(".git").strip("/")
    kind = next((_KINDS[label] for label in host.split(".") if label in _KINDS), None)
    if kind is None or "." not in host or "/" not in path or not _HOST.fullmatch(host):
        return None
    if not path.isprintable() or ".." in path.split("/"):
        return None
    return Forge(kind, scheme, host, path)


def _split(address: str) -> tuple[str, str, str]:
    """Return scheme, host and path of the web page; a host of "" means that there is none."""
    if "://" in address:
        try:
            parts = urlsplit(address)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return "", "", ""
        if parts.scheme in ("http", "https"):
            return parts.scheme, f"{host}:{port}" if port else host, parts.path
        known = parts.scheme in ("ssh", "git+ssh", "ssh+git", "git")
        return ("https", host, parts.path) if known else ("", "", "")
    short = _SCP.fullmatch(address)
    return ("https", short[1].lower(), short[2]) if short else ("", "", "")


def web(repository: Repository, remote: str, *, deadline: float) -> Forge | None:
    """Return the web pages of a remote, None when they are not known."""
    return forge(url(repository, remote, deadline=deadline))
