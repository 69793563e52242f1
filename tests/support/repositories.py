"""Real git repositories: a user's clone with a bare remote on disk, hostile ones, a fake gh."""

import os
import subprocess
from pathlib import Path
from typing import Any

from cortex_cli.runner import worktrees
from cortex_cli.runner.git import Repository
from cortex_cli.runner.programs import within

PATIENCE_S = 20.0


def soon() -> float:
    return within(PATIENCE_S)


class Place:
    """A user's home with a clone of `remote.git`; plain git, as a person would call it."""

    def __init__(self, directory: Path, *, with_remote: bool = True) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.bin = directory / "bin"
        self.top = directory / "project"
        self.remote = directory / "remote.git"
        self.root = directory / "worktrees"
        for made in (self.home, self.bin):
            made.mkdir()
        (self.home / ".gitconfig").write_text(
            "[user]\n\tname = Uma User\n\temail = uma@example.org\n"
            "[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
        )
        self.git("init", "--quiet", "--template=", str(self.top), cwd=directory)
        (self.top / ".git" / "info").mkdir()
        self.write("README.md", "one\ntwo\nthree\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "First")
        if with_remote:
            self._add_remote()

    def _add_remote(self) -> None:
        """As `remote add` and `push --set-upstream` would, in fewer steps."""
        argv = ("clone", "--quiet", "--bare", "--template=", str(self.top), str(self.remote))
        self.git(*argv, cwd=self.directory)
        with (self.top / ".git" / "config").open("a") as config:
            config.write(
                f'[remote "origin"]\n\turl = {self.remote}\n'
                "\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
                '[branch "main"]\n\tremote = origin\n\tmerge = refs/heads/main\n'
            )
        head = (self.top / ".git/refs/heads/main").read_text()
        self.write(".git/refs/remotes/origin/main", head)

    @property
    def environ(self) -> dict[str, str]:
        kept = {"LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.home), "CORTEX_TOKEN": "secret", **kept}

    def repository(self) -> Repository:
        return Repository.open(self.top, deadline=soon(), environ=self.environ)

    def worktree(
        self, repository: Repository, key: str = "CTX-1", title: str = "t", **options: Any
    ) -> worktrees.Worktree:
        """Make the worktree of an attempt, in project `p` with the default branch `main`."""
        wanted = {"number": 1, "project": "p", "default_branch": "main", "root": self.root}
        wanted |= {"deadline": soon(), **options}
        return worktrees.create(repository, key=key, title=title, **wanted)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        ran = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.top,
            env=self.environ,
            check=True,
            capture_output=True,
            text=True,
        )
        return ran.stdout.strip()

    def write(self, name: str, text: str, *, top: Path | None = None) -> Path:
        path = (top or self.top) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def commit(self, message: str, *, top: Path | None = None) -> str:
        self.git("add", "--all", cwd=top)
        self.git("commit", "--quiet", "--allow-empty", "--message", message, cwd=top)
        return self.git("rev-parse", "HEAD", cwd=top)

    def program(self, name: str, body: str) -> Path:
        """Put a program on the PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path
