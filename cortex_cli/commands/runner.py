"""`cortex runner`: takes attempts from the board and runs agents."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cortex_cli import completion, sdk
from cortex_cli.context import App, api
from cortex_cli.failures import Failed
from cortex_cli.options import Command
from cortex_cli.output import clean, say, to_json
from cortex_cli.runner import journal, worktrees
from cortex_cli.runner.runner import BEAT_S, Runner
from cortex_cli.runner.workshop import Identity, Offer, Repositories, Workshop, offers

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@click.command("runner", cls=Command)
@click.option("--name", metavar="NAME", help="What it is called; this machine's name by default.")
@click.option(
    "--agent", "agents", multiple=True, metavar="NAME[=ADAPTER[:COMMAND]]",
    help="An agent to offer, such as opencode or tests=command:'make test'; repeat it. Without "
    "one: every adapter whose program is here.",
)  # fmt: skip
@click.option(
    "--parallel", metavar="N", type=click.IntRange(1, 100), default=2, show_default=True,
    help="Attempts at a time.",
)  # fmt: skip
@click.option(
    "--repo-root", "roots", multiple=True, metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where repositories lie whose paths are those of another machine; repeat it.",
)  # fmt: skip
@click.option(
    "-p", "--project", "projects", multiple=True, metavar="KEY",
    shell_complete=completion.projects, help="Serve only this project; repeat it.",
)  # fmt: skip
@click.option(
    "--worktrees", "root", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Where worktrees are made; else $XDG_DATA_HOME/cortex/worktrees.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each thing.")
@click.pass_obj
def command(
    app: App,
    name: str | None,
    agents: tuple[str, ...],
    parallel: int,
    roots: tuple[Path, ...],
    projects: tuple[str, ...],
    root: Path | None,
    as_json: bool,
) -> None:
    """Take attempts from the board and run agents in worktrees.

    Each attempt gets a branch and a worktree of its own, below the repository that its project
    names on this machine. On SIGTERM or Ctrl-C the agents are ended and the runner leaves; the
    second time they are killed. A project that does not exist ends it with exit code 5.
    """
    tell = _Lines(as_json)
    where = app.endpoint()
    name = _checked(name or _default_name())
    for project in projects:
        api("projects", project)  # whether there is one, the server says when it is reached
    offered = _offered(agents, app.environ, tell)
    try:
        book = journal.Journal(journal.directory_of(app.environ, where.url, name))
    except (journal.NameTaken, OSError) as error:
        raise Failed(f"{error}") from None
    identity = Identity(name, socket.gethostname(), _version(), parallel, projects)
    with closing(book), sdk.CortexClient(where.url, where.token, ca_file=where.ca_file) as client:
        shop = Workshop(
            client=client,
            journal=book,
            worktrees=(root or worktrees.default_root(app.environ)).absolute(),
            repositories=Repositories([path.absolute() for path in roots]),
            agents=offered,
            tell=tell,
            withheld=[where.token],
            environ=app.environ,
        )
        _run(shop, identity, where)


def _run(shop: Workshop, identity: Identity, where: sdk.Endpoint) -> None:
    with sdk.CortexClient(
        where.url, where.token, timeout=BEAT_S, ca_file=where.ca_file, retries=1
    ) as beats:
        runner = Runner(shop, identity, beats)
        with _Signals(runner.drain, runner.kill):
            runner.run()


def _offered(specs: tuple[str, ...], environ: Mapping[str, str], tell: _Lines) -> dict[str, Offer]:
    """Return the agents that can run here, and say of each whether it can.

    Raises UsageError for what cannot be read, Failed when none of them can run.
    """
    try:
        found = offers(specs, environ)
    except ValueError as error:
        raise click.UsageError(f"--agent: {error}") from None
    for one in found:
        adapter = one.adapter_name
        tell("agent", {"agent": one.name, "adapter": adapter, "missing": one.missing})
    usable = {one.name: one for one in found if one.missing is None}
    if not usable:
        raise Failed("No agent can run here. Name one: --agent NAME=command:PROGRAM.")
    return usable


def _default_name() -> str:
    """Return this machine's name as a runner's: what cannot stand in it becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname()).strip("-._")[:64] or "runner"


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise click.UsageError("--name must have up to 64 letters, digits and . _ -")
    return name


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cortex-board")
    except PackageNotFoundError:
        return "unknown"


class _Signals:
    """Lets signals drain a runner, and from the second one on kill what it runs."""

    def __init__(self, first: Callable[[], None], more: Callable[[], None]) -> None:
        self._calls = (first, more)
        # A handler interrupts this thread anywhere, also where it holds a lock that the calls
        # need; putting into this queue is safe there.
        self._heard: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, lambda *_: self._heard.put(True))
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._heard.put(False)

    def _listen(self) -> None:
        first, more = self._calls
        call = first
        while self._heard.get():
            call()
            call = more


class _Lines:
    """Says what happens: a line each, for people or as JSON."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._lock = threading.Lock()

    def __call__(self, what: str, fields: Mapping[str, Any]) -> None:
        """Print it; whoever reads may be gone, and the runner goes on."""
        with self._lock:
            try:
                self._print(what, fields)
            except OSError:
                _let_go()

    def _print(self, what: str, fields: Mapping[str, Any]) -> None:
        if self._as_json:
            at = datetime.now().astimezone().isoformat(timespec="milliseconds")
            click.echo(to_json({"type": what, "at": at, **fields}))
            return
        line = _sentence(what, fields)
        if what in ("error", "orphan", "server.lost", "server.back"):
            say(line)
        elif line:
            click.echo(f"{datetime.now().astimezone():%H:%M:%S}  {clean(line)}")


def _let_go() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def _sentence(what: str, fields: Mapping[str, Any]) -> str:
    """Return a line for people."""
    form = SENTENCES.get(what)
    return form(_Blank(fields)).rstrip() if form else str(fields.get("text") or "")


class _Blank(dict[str, Any]):
    """What is not there reads as nothing."""

    def __missing__(self, name: str) -> str:
        return ""

    def why(self) -> str:
        return f": {self['reason']}" if self["reason"] else ""


def _of_agent(x: _Blank) -> str:
    state = f"not offered: {x['missing']}" if x["missing"] else "offered"
    return f"agent {x['agent']} ({x['adapter']}): {state}"


def _online(x: _Blank) -> str:
    served = ", ".join(x["projects"]) or "no project: none has its repository here"
    return f"runner {x['runner']} is online for {served}"


SENTENCES: dict[str, Callable[[_Blank], str]] = {
    "agent": _of_agent,
    "runner.online": _online,
    "runner.drain": lambda x: f"ending {x['running']} and leaving; once more kills them",
    "runner.offline": lambda x: f"runner {x['runner']} has left",
    "attempt.start": lambda x: f"{x['name']}  starts {x['agent']}",
    "attempt.stage": lambda x: f"{x['name']}  {x['stage']}",
    "attempt.end": lambda x: f"{x['name']}  {x['status']}{x.why()}",
    "attempt.lost": lambda x: f"{x['name']}  lost{x.why()}",
    "attempt.pr": lambda x: f"{x['ticket']}  {x['state']} {x['url'] or ''}",
    "batch.start": lambda x: f"batch {x['name']}  merging",
    "batch.merge": lambda x: (
        f"batch {x['name']}  {x['ticket']} {x['result']} {', '.join(x['files'])}"
    ),
    "batch.end": lambda x: f"batch {x['name']}  {x['status']}{x.why()}",
    "batch.lost": lambda x: f"batch {x['name']}  lost{x.why()}",
    "orphan": lambda x: f"Found {x['ticket']} of a runner that was killed. {x['reason']}",
    "server.lost": lambda x: f"{x['text']} Trying again.",
    "server.back": lambda x: "The server is back.",
}
