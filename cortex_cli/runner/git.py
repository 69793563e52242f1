"""The only place that runs git, and how: see `git_settings` for what a repository may not do.

Arguments are lists, never a shell's line; names of strangers come after `--end-of-options` or
`--`; every call has a deadline and a bound on its output. Locks of other gits (several attempts
work in one repository) are waited for.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cortex_cli.runner import plain_files, programs
from cortex_cli.runner.git_errors import (
    Busy,
    GitError,
    GitFailed,
    NoGit,
    NoSuchRevision,
    NotARepository,
    NotTrusted,
    TimedOut,
    TooLarge,
)
from cortex_cli.runner.git_settings import (
    ARGUMENTS,
    FIXED,
    Entry,
    Settings,
    environment,
    parse,
    protocols,
    replaced,
)
from cortex_cli.runner.programs import LIMIT, Ran

_OLDEST = (2, 38)  # the first whose merge-tree merges
_LONGEST_WAIT_S = 20.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
_LOCKED = re.compile(
    r"\.lock': File exists|could not lock config file|Another git process seems to be running"
    r"|failed to read .*/worktrees/[^/]+/commondir"  # another git is just making that worktree
)
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty")
_FLAGS: Mapping[str, tuple[str, ...]] = {
    "diff": (*_DIFF, "--no-relative", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short"),
    "diff-tree": _DIFF,
    "log": (*_DIFF, "--no-notes", "--no-show-signature"),
    "status": ("--ignore-submodules=dirty",),
}
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s']+@")
_SAID_LINES = 4
_READ_IN_WORKTREES = frozenset({".gitignore", ".gitattributes", ".gitmodules", ".mailmap"})
_LONGEST_LINK = 8192  # bytes of a file that holds one path
_Stamps = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Repository:
    """A repository, or one of its worktrees (see `at`).

    path: the top of the work tree, or of a bare repository; real, without symbolic links.
    git_dir: what belongs to this worktree; common_dir: what all of them share.
    """

    path: Path
    git_dir: Path
    common_dir: Path
    bare: bool
    base: Mapping[str, str] = field(repr=False)  # the environment that we were started with
    opened: Repository | None = field(default=None, repr=False)
    _read: dict[Path, tuple[_Stamps, list[Entry]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def open(
        cls, path: Path, *, deadline: float, environ: Mapping[str, str] | None = None
    ) -> Repository:
        """Return the repository whose top `path` is; git itself checks who owns it.

        Raises NotARepository, NotTrusted, NoGit.
        """
        base = dict(os.environ if environ is None else environ)
        path = path.resolve()
        if not path.is_dir():
            raise NotARepository(f"{path} is not there. Clone the project's repository first.")
        settings = environment(base, FIXED)
        settings["GIT_CEILING_DIRECTORIES"] = str(path.parent)  # not one that happens to be above
        argv = [_git(base), *ARGUMENTS, "rev-parse", "--path-format=absolute"]
        argv += ["--is-bare-repository", "--git-dir", "--git-common-dir"]
        with _naming_pipes(path, path / ".git"):
            ran = programs.run(argv, cwd=path, environ=settings, deadline=deadline)
        if ran.code:
            raise _not_opened(path, _said(ran))
        is_bare, git_dir, common_dir = ran.text.split("\n")
        bare = is_bare == "true" or Path(git_dir).resolve() == path
        return cls(path, Path(git_dir), Path(common_dir).resolve(), bare, base)

    def at(self, worktree: Path) -> Repository:
        """Return this repository as seen from one of its worktrees.

        What the worktree's `.git` says is not asked: whoever works there can write it.
        Raises NotARepository when it is no worktree of this repository.
        """
        worktree = worktree.resolve()
        for admin, place in self.worktrees():
            if place == worktree and worktree.is_dir():
                return replace(self, path=worktree, git_dir=admin, bare=False, opened=self.main)
        raise NotARepository(f"{worktree} is no worktree of {self.path}.")

    @property
    def main(self) -> Repository:
        """The repository as it was opened; a remote's relative path counts from there."""
        return self.opened or self

    def worktrees(self) -> list[tuple[Path, Path]]:
        """Return each linked worktree: what the repository keeps of it, and its directory."""
        found = []
        for admin in sorted(_entries(self.common_dir / "worktrees")):
            try:
                written = plain_files.text(admin / "gitdir", _LONGEST_LINK).strip()
            except OSError:
                continue
            if written:
                place = Path(os.path.normpath(admin / written)).parent
                found.append((admin, _real(place)))
        return found

    def environ(self, extra: Settings | None = None, *, deadline: float) -> dict[str, str]:
        """Return the environment for a program that calls git in this repository by itself."""
        entries = self.settings(deadline=deadline)
        settings = [*FIXED, *replaced(entries), *(extra or [])]
        allowed = {"GIT_ALLOW_PROTOCOL": protocols(entries)}
        return environment(self.base, settings) | allowed | self._place()

    def settings(self, *, deadline: float) -> list[Entry]:
        """Return the whole configuration as it is now; reading it runs nothing.

        It is read again when one of the repository's own files has changed.
        """
        written = tuple(map(_stamp, self._configuration()))
        known = self._read.get(self.git_dir)
        if known is not None and known[0] == written:
            return known[1]
        entries = self._settings(deadline=deadline)
        included = any(entry.key.startswith(("include.", "includeif.")) for entry in entries)
        if not included:  # what is included may be anywhere
            self._read[self.git_dir] = (written, entries)
        return entries

    def _configuration(self) -> list[Path]:
        return [
            self.common_dir / "config",
            self.common_dir / "config.worktree",
            self.git_dir / "config.worktree",
        ]

    def _settings(self, *, deadline: float) -> list[Entry]:
        argv = [_git(self.base), *ARGUMENTS, "config", "--list", "--show-scope", "-z"]
        environ = environment(self.base, FIXED) | self._place()
        with _naming_pipes(self.path, self.common_dir):
            ran = programs.run(argv, cwd=self.path, environ=environ, deadline=deadline)
        if ran.code or ran.truncated:
            raise GitFailed("config", ran.code, _said(ran))
        return parse(ran.out)

    def run(
        self,
        *arguments: str,
        deadline: float,
        ok: Collection[int] = (0,),
        input: bytes | None = None,
        limit: int = LIMIT,
        cut: bool = False,
        extra: Settings | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run one git command here and return what it gave; wait for the locks of others.

        ok: exit codes that are answers. cut: an output over `limit` bytes is cut, not refused.
        extra: settings for this call; variables: of its environment.
        Raises GitFailed, Busy, TimedOut, TooLarge.
        """
        command, *rest = arguments
        argv = [_git(self.base), *ARGUMENTS, command, *_FLAGS.get(command, ()), *rest]
        wait_until = min(deadline, time.monotonic() + _LONGEST_WAIT_S)
        pause = _FIRST_PAUSE_S
        while True:
            environ = self.environ(extra, deadline=deadline) | dict(variables or {})
            with _naming_pipes(self.path, self.common_dir):
                ran = programs.run(
                    argv, cwd=self.path, environ=environ, deadline=deadline, input=input,
                    limit=limit,
                )  # fmt: skip
            if ran.truncated:
                if cut:
                    return ran
                raise TooLarge(f"git {command} gave more than {limit} bytes.")
            if ran.code in ok:
                return ran
            if not _LOCKED.search(ran.err):
                raise GitFailed(command, ran.code, _said(ran))
            if time.monotonic() + pause > wait_until:
                raise Busy(
                    f"Another git works in {self.path}: {_said(ran)}"
                    " If none does, one was killed there: remove the lock file that is named."
                )
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def text(self, *arguments: str, deadline: float) -> str:
        """Return what a command gave, as text without the last line end."""
        return self.run(*arguments, deadline=deadline).text

    def commit(self, revision: str, *, deadline: float) -> str:
        """Return the id of the commit that a branch, tag or commit names.

        Raises NoSuchRevision.
        """
        found = self.find(revision, deadline=deadline)
        if found is None:
            raise NoSuchRevision(f"There is no branch, tag or commit {revision!r} in {self.path}.")
        return found

    def find(self, revision: str, *, deadline: float) -> str | None:
        """Return the id of the commit that a revision names, None when there is none."""
        if not revision or "\0" in revision:
            return None
        argv = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        ran = self.run(*argv, deadline=deadline, ok=(0, 1, 128))
        return ran.text if ran.code == 0 else None

    def branch(self, *, deadline: float) -> str | None:
        """Return the name of the branch that is checked out here, None when HEAD is detached."""
        ran = self.run("symbolic-ref", "--quiet", "HEAD", deadline=deadline, ok=(0, 1))
        return ran.text.removeprefix("refs/heads/") if ran.code == 0 else None

    def holds(self, ancestor: str, descendant: str, *, deadline: float) -> bool:
        """Say whether commit `descendant` contains commit `ancestor`; both are ids."""
        argv = ("merge-base", "--is-ancestor", ancestor, descendant)
        return self.run(*argv, deadline=deadline, ok=(0, 1)).code == 0

    def set_ref(
        self, changes: Iterable[tuple[str, str, str]], *, reason: str, deadline: float
    ) -> None:
        """Move references all at once: (name, new id, old id); zeros mean that there is none.

        Raises GitFailed, and changes none, when one of them is not at its old id any more.
        """
        lines = b"".join(
            b"update %s\0%s\0%s\0" % (name.encode(), new.encode(), old.encode())
            for name, new, old in changes
        )
        argv = ("update-ref", "-m", reason, "-z", "--stdin")
        self.run(*argv, deadline=deadline, input=lines)

    def zeros(self, *, deadline: float) -> str:
        """Return the id that stands for nothing: as long as this repository's ids are."""
        told = self.text("rev-parse", "--show-object-format", deadline=deadline)
        return "0" * (64 if told == "sha256" else 40)

    def _place(self) -> dict[str, str]:
        # Told, not found: neither core.worktree nor a worktree's own `.git` leads elsewhere.
        place = {"GIT_DIR": str(self.git_dir), "GIT_COMMON_DIR": str(self.common_dir)}
        return place if self.bare else {**place, "GIT_WORK_TREE": str(self.path)}


@contextlib.contextmanager
def _naming_pipes(top: Path, common_dir: Path) -> Iterator[None]:
    """Say at what git hangs when it does: an agent can put a named pipe where git reads a file."""
    try:
        yield
    except TimedOut as error:
        found = plain_files.named_pipe(top, _READ_IN_WORKTREES)
        pipe = found or plain_files.named_pipe(common_dir)
        if pipe is None:
            raise
        raise TimedOut(
            f"{error} {pipe} is a named pipe, and git waits for somebody to write to it: remove it."
        ) from None


@functools.cache
def _checked(program: str) -> str:
    environ = environment(os.environ, FIXED)
    ran = programs.run(
        [program, "version"], cwd=Path("/"), environ=environ, deadline=programs.within(20)
    )
    found = re.match(r"git version (\d+)\.(\d+)", ran.text)
    if not found or (int(found[1]), int(found[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise NoGit(f"{program} is {ran.text or 'broken'}; install git {oldest} or newer.")
    return program


def _git(environ: Mapping[str, str]) -> str:
    program = shutil.which("git", path=environ.get("PATH"))
    if program is None:
        raise NoGit("There is no git on the PATH; install it.")
    return _checked(program)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        seen = path.stat()
    except OSError:
        return ()
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _real(place: Path) -> Path:
    """Return a worktree's real path; its last part may be gone, its parent resolves."""
    return place.parent.resolve() / place.name


def _not_opened(path: Path, said: str) -> GitError:
    if "dubious ownership" in said:
        return NotTrusted(
            f"{path} belongs to somebody else, and git refuses it. If you trust what is in it: "
            f"git config --global --add safe.directory {path}"
        )
    return NotARepository(f"{path} is not the top of a git repository ({said}).")


def _said(ran: Ran) -> str:
    """Return the lines of git's message that matter, without credentials."""
    lines = [line.strip() for line in ran.err.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "!", "remote:"))]
    return _CREDENTIALS.sub("", " ".join((telling or lines)[-_SAID_LINES:]))[:1000]
