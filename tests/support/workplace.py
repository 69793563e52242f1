"""A place where runners work: a real server, a real repository with a bare remote, real agents."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cortex_cli import sdk
from cortex_cli.runner.journal import Journal
from cortex_cli.runner.runner import Runner
from cortex_cli.runner.workshop import Identity, Repositories, Workshop, offers
from tests.support.server import ROOT, Server, free_port, wait_for

IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@localhost",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@localhost",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


def git(directory: Path, *arguments: str) -> str:
    """Run git there; its output without the last line end."""
    ran = subprocess.run(
        ["git", *arguments], cwd=directory, env={**os.environ, **IDENTITY}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return ran.stdout.removesuffix("\n")


def make_repository(directory: Path, *, remote: bool = True) -> Path:
    """A repository with one commit on main, and a bare one beside it as its `origin`."""
    repository = directory / "repo"
    git(directory, "init", "-q", "-b", "main", str(repository))
    (repository / "shared.txt").write_text("one\ntwo\nthree\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "First")
    if remote:
        git(directory, "init", "-q", "--bare", "-b", "main", str(directory / "remote.git"))
        git(repository, "remote", "add", "origin", str(directory / "remote.git"))
        git(repository, "push", "-q", "origin", "main")
    return repository


def claim_one(server: Server) -> tuple[dict[str, Any], dict[str, Any]]:
    """A runner that exists by its requests only, and its claim of an attempt in a fresh project."""
    key = f"P{free_port()}"
    server.make("/projects", key=key, name=key, repo_path="/nowhere")
    ticket = server.make(f"/projects/{key}/tickets", title="Do it")["key"]
    runner = server.make(
        "/runners", name=key, host="here", version="1", parallel=9, projects=[key],
        agents=[{"name": key, "adapter": "command", "capabilities": ["prompt", "abort"]}],
    )  # fmt: skip
    server.make(f"/tickets/{ticket}/attempts", agent=key)
    return runner, server.make(f"/runners/{runner['id']}/claim")["claim"]


class Workplace:
    """A project on a server, its repository, and the means to start runners for it."""

    def __init__(
        self, server: Server, directory: Path, key: str = "CTX", **repository: Any
    ) -> None:
        self.server = server
        self.directory = directory
        self.key = key
        self.repository = make_repository(directory, **repository)
        self.remote = directory / "remote.git"
        self.worktrees = directory / "worktrees"
        server.make("/projects", key=key, name=key, repo_path=str(self.repository))
        self.token = server.make("/tokens", name=f"runner of {key}", role="runner")["secret"]

    def agent(self, name: str, script: str) -> str:
        """Make a shell script an agent; what `--agent` takes."""
        path = self.directory / f"{name}.sh"
        path.write_text(f"#!/bin/sh\nset -e\n{script}\n")
        path.chmod(0o755)
        return f"{name}=command:{shlex.quote(str(path))}"

    def ticket(self, title: str = "Do it", **fields: Any) -> str:
        """A new ticket's key."""
        return str(self.server.make(f"/projects/{self.key}/tickets", title=title, **fields)["key"])

    def attempt(self, agent: str, ticket: str | None = None, **fields: Any) -> dict[str, Any]:
        """A new attempt, in the queue; the agent must have been offered before."""
        found = self.server.make(
            f"/tickets/{ticket or self.ticket()}/attempts", agent=agent, **fields
        )
        return dict(found)

    def find(self, attempt: Mapping[str, Any]) -> dict[str, Any]:
        """The attempt as it is now."""
        return dict(self.server.api("GET", f"/attempts/{attempt['id']}").json())

    def wait_for_status(
        self, attempt: Mapping[str, Any], *wanted: str, deadline_s: float = 20.0
    ) -> dict[str, Any]:
        give_up = time.monotonic() + deadline_s
        while (found := self.find(attempt))["status"] not in wanted:
            assert time.monotonic() < give_up, f"not {wanted} within {deadline_s} s: {found}"
            time.sleep(0.02)
        return found

    def at_work(self) -> list[int]:
        """The processes that work in a worktree."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if path.readlink().is_relative_to(self.worktrees):
                    found.append(int(path.parent.name))
        return found

    def log(self, attempt: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = self.server.api("GET", f"/attempts/{attempt['id']}/log?limit=500").json()
        return list(found["items"])

    def said(self, attempt: Mapping[str, Any]) -> str:
        """All of the log's text."""
        return "\n".join(entry["text"] for entry in self.log(attempt))


class RunnerProcess:
    """`cortex runner` as a process of its own. lines: what it has said so far, parsed."""

    def __init__(
        self,
        place: Workplace,
        name: str,
        agents: Sequence[str],
        *options: str,
        url: str | None = None,
    ) -> None:
        self.name = name
        self._place = place
        self._out = place.directory / f"{name}.out"
        argv = [sys.executable, "-m", "cortex_cli", "runner", "--json", "--name", name]
        for agent in agents:
            argv += ["--agent", agent]
        self._argv = [*argv, "--worktrees", str(place.worktrees), *options]
        self._environ = {
            **place.server.env,
            **IDENTITY,
            "CORTEX_TOKEN": place.token,
            "CORTEX_URL": url or place.server.url,
        }
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self, wait: bool = True) -> "RunnerProcess":
        before = self.said("runner.online") if self._out.exists() else []
        with self._out.open("ab") as out:
            self.process = subprocess.Popen(
                self._argv, cwd=ROOT, env=self._environ, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait_until(lambda: len(self.said("runner.online")) > len(before), "it is online")
        return self

    def wait_until(self, condition: Callable[[], Any], what: str, deadline_s: float = 20.0) -> None:
        def met() -> bool:
            assert self.process.poll() is None, f"the runner has exited: {self.output()}"
            return bool(condition())

        wait_for(met, what, deadline_s)

    def output(self) -> str:
        return self._out.read_text(errors="replace")

    def said(self, kind: str) -> list[dict[str, Any]]:
        lines = [line for line in self.output().splitlines() if line.startswith("{")]
        return [told for line in lines if (told := json.loads(line))["type"] == kind]

    def kill(self) -> None:
        """kill -9: only the runner itself."""
        self.process.kill()
        self.process.wait()

    def stop(self, deadline_s: float = 20.0) -> int:
        """End it as a supervisor would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class RunnerThread:
    """A runner inside this process. lines: (what, fields) that it said."""

    def __init__(
        self, place: Workplace, name: str, agents: Sequence[str], parallel: int = 9
    ) -> None:
        self.lines: list[tuple[str, Mapping[str, Any]]] = []
        environ = {**place.server.env, **IDENTITY}
        self.journal = Journal(place.directory / f"journal-{name}")
        self._clients = [sdk.CortexClient(place.server.url, place.token) for _ in range(2)]
        shop = Workshop(
            client=self._clients[0],
            journal=self.journal,
            worktrees=place.worktrees,
            repositories=Repositories(),
            agents={one.name: one for one in offers(agents, environ)},
            tell=lambda what, fields: self.lines.append((what, fields)),
            withheld=[place.token],
            environ=environ,
        )
        self.runner = Runner(shop, Identity(name, "here", "1", parallel), self._clients[1])
        self._thread = threading.Thread(target=self.runner.run)
        self._thread.start()
        wait_for(lambda: self.said("runner.online"), f"{name} is online; it said {self.lines}")

    def said(self, kind: str) -> list[Mapping[str, Any]]:
        return [fields for what, fields in list(self.lines) if what == kind]

    def stop(self) -> None:
        self.runner.kill()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.journal.close()
        for client in self._clients:
            client.close()


def alive(pid: int) -> bool:
    """Whether a process of that id runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"
