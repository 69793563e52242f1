"""What an agent is to the runner: an adapter starts it, a run steers it, a report tells of it.

An adapter is one file and one entry point of the group `cortex.adapters`, whose name is the
adapter's and whose object is called without arguments for an `Adapter`:

    [options.entry_points]
    cortex.adapters =
        mine = my_package.mine:MyAdapter
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from cortex_cli.runner.errors import AdapterError

if TYPE_CHECKING:
    from cortex_cli.runner.group import Group

__all__ = [
    "GROUP",
    "Adapter",
    "AdapterError",
    "Capability",
    "Job",
    "LogKind",
    "Outcome",
    "Report",
    "Run",
    "available",
    "load",
]

GROUP = "cortex.adapters"
Capability = Literal["prompt", "questions", "permissions", "deltas", "children", "todos", "abort"]
LogKind = Literal["text", "tool", "error", "system"]

# Ours are found by a source tree too whose metadata is older than they are.
_OURS = {
    "command": "cortex_cli.runner.adapters.command:CommandAdapter",
    "opencode": "cortex_cli.runner.adapters.opencode:OpenCodeAdapter",
}


@dataclass(frozen=True)
class Job:
    """One attempt as an adapter sees it.

    attempt, ticket, profile: the wire's objects; a profile's options are model, prompt, args, env.
    environ: complete: allow-listed, private HOME and XDG, CORTEX_*.
    prompt: the whole text for the agent.
    options: the runner's, such as {"command": "…"} of `--agent NAME=command:…`.
    secrets: what must not be told in any text (see redaction).
    """

    attempt: Mapping[str, Any]
    ticket: Mapping[str, Any]
    profile: Mapping[str, Any] | None
    worktree: Path
    environ: Mapping[str, str] = field(repr=False)
    prompt: str
    options: Mapping[str, str]
    secrets: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True)
class Outcome:
    """How the agent's work ended. reason: one line for people."""

    status: Literal["succeeded", "failed", "cancelled"]
    reason: str | None = None
    exit_code: int | None = None


class Report(Protocol):
    """Takes what an adapter has to tell. Safe from any thread; never waits for the network,
    except to slow down who tells more than can be sent; never raises.

    `key` is the agent's own id of a session, `message` and `question` its ids of those. The
    first session is the root. Secrets are redacted on the way, so adapters need not care,
    unless they cut text into pieces.
    """

    def log(self, kind: LogKind, text: str, tool: str | None = None) -> None: ...

    def status(self, waiting: bool) -> None:
        """Say that the attempt is waiting for a person, or running."""

    def progress(self, text: str) -> None:
        """Say in a few words how far it is."""

    def todos(self, items: Sequence[Mapping[str, str]]) -> None:
        """Replace the list; each has text and status (the wire's: pending, in_progress, …)."""

    def session(
        self,
        key: str,
        *,
        parent: str | None = None,
        title: str | None = None,
        agent: str | None = None,
        model: str | None = None,
    ) -> None:
        """Tell of a session, or of what changed about it."""

    def doing(
        self, key: str, status: str, tool: str | None = None, work: str | None = None
    ) -> None:
        """Tell what a session does; status is working, idle, awaiting_input or error."""

    def session_ended(self, key: str, outcome: str) -> None:
        """Tell that a session is over; outcome is succeeded, failed or cancelled."""

    def message(
        self,
        key: str,
        message: str,
        role: str,
        parts: Sequence[Mapping[str, Any]],
        complete: bool,
    ) -> None:
        """Tell a whole message so far; a part has type, text, tool, input, status."""

    def delta(self, key: str, message: str, part: int, offset: int, text: str) -> None:
        """Append to a part; offset counts the code points before `text`."""

    def ask(
        self,
        key: str,
        question: str,
        *,
        kind: Literal["permission", "question"],
        title: str,
        detail: str,
        options: Sequence[Mapping[str, str]],
        multiple: bool = False,
        free_text: bool = False,
    ) -> None:
        """Ask a person; each option has id and label. The answer comes to `Run.answer`."""

    def withdrawn(self, question: str) -> None:
        """Say that a question was answered elsewhere, or is gone."""

    def instance(
        self,
        status: str,
        url: str | None = None,
        error: str | None = None,
        link: str | None = None,
    ) -> None:
        """Tell of the agent's own server: starting, running, unhealthy, error, stopped.

        link: of the connection to it: connecting, connected, disconnected.
        """


class Run(Protocol):
    """One started agent. Every method may be called from any thread."""

    def wait(self) -> Outcome:
        """Return when the agent's work is over; its processes may still live."""

    def prompt(self, text: str, session: str | None) -> None:
        """Pass on what a person wrote. Raises AdapterError when it cannot."""

    def answer(self, question: str, choices: Sequence[str], text: str | None) -> None:
        """Pass on a person's answer. Raises AdapterError when it cannot."""

    def abort(self, session: str | None) -> None:
        """End the turn, not the run. Raises AdapterError when it cannot."""

    def stop(self) -> None:
        """Ask the agent to end; `wait` then returns. The caller stops the group afterwards."""


class Adapter(Protocol):
    """A kind of agent."""

    name: str

    def missing(self, environ: Mapping[str, str], options: Mapping[str, str]) -> str | None:
        """Return why it cannot run here, in one line; None when it can."""

    def capabilities(self) -> Sequence[Capability]: ...

    def start(self, job: Job, group: Group, report: Report) -> Run:
        """Start the agent in the attempt's group. Raises AdapterError."""


def available() -> list[str]:
    """Return the names of all adapters, installed ones and ours."""
    return sorted({*_OURS, *(point.name for point in entry_points(group=GROUP))})


def load(name: str) -> Adapter:
    """Return the adapter of that name. Raises AdapterError when there is none, or it is broken."""
    try:
        return cast(Adapter, _find(name).load()())
    except (ImportError, AttributeError) as error:
        raise AdapterError(f"The adapter {name} cannot be loaded: {error}.") from error


def _find(name: str) -> EntryPoint:
    """Return the entry point of that name; an installed one goes before ours."""
    installed = tuple(entry_points(group=GROUP, name=name))
    if installed:
        return installed[0]
    if name not in _OURS:
        raise AdapterError(f"There is no adapter {name}; there are {', '.join(available())}.")
    return EntryPoint(name, _OURS[name], GROUP)
