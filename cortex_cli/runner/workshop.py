"""What all jobs of a runner share: the agents it offers, the repositories it has, its server."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortex_cli import sdk
from cortex_cli.runner import adapters
from cortex_cli.runner.adapters import Adapter
from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.git import Repository
from cortex_cli.runner.journal import Journal
from cortex_cli.runner.programs import within

_OPEN_S = 20.0

Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Identity:
    """Who the runner is. projects: the only ones it is to serve; empty for all it can."""

    name: str
    host: str
    version: str
    parallel: int
    projects: Sequence[str] = ()


@dataclass(frozen=True)
class Offer:
    """An agent that is asked of this runner. missing: why it cannot run here, None when it can."""

    name: str
    adapter_name: str
    options: Mapping[str, str]
    adapter: Adapter | None
    missing: str | None

    def wire(self) -> dict[str, Any]:
        capabilities = sorted(self.adapter.capabilities()) if self.adapter else []
        return {"name": self.name, "adapter": self.adapter_name, "capabilities": capabilities}


def offer(spec: str, environ: Mapping[str, str]) -> Offer:
    """Read `NAME[=ADAPTER[:COMMAND …]]` and look whether that agent can run here.

    Raises ValueError for what is no such thing.
    """
    name, _, rest = spec.partition("=")
    adapter_name, _, command = rest.partition(":")
    name = name.strip()
    adapter_name = adapter_name.strip() or name
    if not name or not all("!" <= c <= "~" for c in name):
        raise ValueError(f"{spec!r} must look like NAME, NAME=ADAPTER or NAME=ADAPTER:COMMAND.")
    options = {"command": command.strip()} if command.strip() else {}
    if command:
        shlex.split(command)  # an open quote is said now, not with the first attempt
    try:
        adapter = adapters.load(adapter_name)
        missing = adapter.missing(environ, options)
    except RunnerError as error:
        return Offer(name, adapter_name, options, None, str(error))
    return Offer(name, adapter_name, options, adapter, missing)


def offers(specs: Sequence[str], environ: Mapping[str, str]) -> list[Offer]:
    """Return what is asked for; without any, every adapter that needs no command.

    Raises ValueError for a name that comes twice.
    """
    wanted = list(specs) or [name for name in adapters.available() if name != "command"]
    found = [offer(spec, environ) for spec in wanted]
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(f"The agent {twice} is named twice.")
    return found


@dataclass(frozen=True)
class Repositories:
    """Where projects' repositories are on this machine.

    roots: directories that hold clones, for projects whose own path is of another machine.
    """

    roots: Sequence[Path] = ()

    def find(self, project: Mapping[str, Any]) -> Path | None:
        """Return the project's repository here: its own path, else its name below a root."""
        return next((path for path in self._places(project) if _is_repository(path)), None)

    def open(self, project: Mapping[str, Any]) -> Repository:
        """Return the project's repository. Raises RunnerError when it is not here, or unusable."""
        path = self.find(project)
        if path is None:
            where = project.get("repo_path")
            raise RunnerError(
                f"The repository of {project['key']} ({where}) is not on this machine; clone it, "
                "or name the directory that holds it with --repo-root."
                if where
                else f"Project {project['key']} has no repository; set its repo_path."
            )
        return Repository.open(path, deadline=within(_OPEN_S))

    def served(self, projects: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return the keys of the projects whose repository is here."""
        return [str(project["key"]) for project in projects if self.find(project) is not None]

    def _places(self, project: Mapping[str, Any]) -> list[Path]:
        written = project.get("repo_path")
        if not written:
            return []
        path = Path(str(written))
        name = path.name
        below = [root / name for root in self.roots] if name not in ("", "..") else []
        return ([path] if path.is_absolute() else []) + below


def _is_repository(path: Path) -> bool:
    """Say whether it looks like one; git has the last word when an attempt begins."""
    try:
        return (path / ".git").exists() or (path / "HEAD").is_file()
    except OSError:
        return False


@dataclass(frozen=True)
class Workshop:
    """agents: by name, those that can run here. tell: says what happens, for people or programs.

    withheld: secrets of the runner that no agent may get.
    """

    client: sdk.CortexClient
    journal: Journal
    worktrees: Path
    repositories: Repositories
    agents: Mapping[str, Offer]
    tell: Tell
    withheld: Sequence[str] = field(default=(), repr=False)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def agent(self, name: str) -> Offer:
        """Return an agent that can run here. Raises RunnerError."""
        found = self.agents.get(name)
        if found is None or found.adapter is None:
            raise RunnerError(f"This runner does not offer the agent {name}.")
        return found
