"""A board that lives: scripted agents in a throwaway project.

They use the public API only, each with a token of its own, as real agents do. What they do
depends on the seed alone, and how fast on the pace; a failure of theirs ends them quietly,
never the board.
"""

from __future__ import annotations

import contextlib
import random
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from cortex_cli import sdk
from cortex_cli.context import api
from cortex_cli.demo_script import AGENTS, ANSWERS, LABELS, REPLIES, TASKS, Agent, Task

_KEY = "DEMO"
_MOST_KEYS = 50
_TOKEN_LIFE_S = 86_400
_PATIENCE_S = 5.0  # for an agent whose request is under way
_DONE_KEPT = 6  # older ones go to the archive, so that the board stays readable


class _Stopped(Exception):
    """The demo is over: leave whatever you are doing."""


class Demo:
    """The project, its tickets and its agents.

    rounds: how many tickets each agent takes; None for as long as the board is shown.
    pace: 1 is the speed for people; 0 is as fast as the server allows.
    """

    def __init__(
        self, client: sdk.CortexClient, rounds: int | None = None, pace: float = 1.0, seed: int = 1
    ) -> None:
        self._client = client
        self._rounds = rounds
        self._pace = pace
        self._seed = seed
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._tokens: list[str] = []
        self.errors: list[str] = []

    @contextlib.contextmanager
    def running(self, keep: bool = False) -> Iterator[str]:
        """Make the project, let the agents work, yield its key; afterwards delete it again.

        Raises CortexError when the project cannot be made.
        """
        project = self._make_project()
        try:
            tickets = self._make_tickets(project)
            for number, agent in enumerate(AGENTS):
                self._employ(project, agent, number, tickets[number :: len(AGENTS)])
            yield project
        finally:
            self._clean_up(project, keep)

    def wait(self) -> None:
        """Return when every agent has done its rounds."""
        for thread in self._threads:
            thread.join()

    def _make_project(self) -> str:
        for number in range(1, _MOST_KEYS):
            key = _KEY if number == 1 else f"{_KEY}{number}"
            try:
                project = self._client.post(api("projects"), {"key": key, "name": "Demo"})
                return str(project["key"])
            except sdk.Conflict as error:
                if error.code != "already_exists":
                    raise
        raise sdk.CortexError(f"Every key from {_KEY} to {_KEY}{_MOST_KEYS} is taken.")

    def _make_tickets(self, project: str) -> list[str]:
        for name, color in LABELS.items():
            path = api("projects", project, "labels")
            self._client.post(path, {"name": name, "color": color})
        return [_make_ticket(self._client, project, task) for task in TASKS]

    def _employ(self, project: str, agent: Agent, number: int, tickets: list[str]) -> None:
        token = self._client.post(
            api("tokens"),
            {
                "name": f"{project} {agent.name}",
                "role": "write",
                "projects": [project],
                "actor": {"kind": "agent", "name": agent.name},
                "expires_in_s": _TOKEN_LIFE_S,
            },
        )
        self._tokens.append(token["id"])
        client = sdk.CortexClient(
            self._client.base_url, token["secret"], ca_file=self._client.ca_file
        )
        worker = _Worker(self, client, project, agent, _rng(self._seed, number))
        thread = threading.Thread(
            target=worker.work, args=(tickets, self._rounds), name=f"demo-{agent.name}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def pause(self, seconds: float) -> None:
        """Wait at the demo's pace. Raises _Stopped when it is over."""
        if self._over.wait(seconds * self._pace):
            raise _Stopped

    def answer(self, session: str, rng: random.Random) -> None:
        """Answer a waiting agent, as the person at the board would."""
        _say(self._client, session, "user", rng.choice(ANSWERS))

    def _clean_up(self, project: str, keep: bool) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(_PATIENCE_S)
        for token in self._tokens:
            self._try(api("tokens", token))
        if not keep:
            self._try(api("projects", project))

    def _try(self, path: str) -> None:
        try:
            self._client.delete(path)
        except sdk.CortexError as error:
            self.errors.append(str(error))


class _Worker:
    """One agent: takes a ticket, works on it in sight of everybody, takes the next."""

    def __init__(
        self, demo: Demo, client: sdk.CortexClient, project: str, agent: Agent, rng: random.Random
    ) -> None:
        self._demo = demo
        self._client = client
        self._project = project
        self._agent = agent
        self._rng = rng
        self._finished: list[str] = []

    def work(self, tickets: list[str], rounds: int | None) -> None:
        try:
            for number, ticket in enumerate(self._endless(tickets)):
                self._demo.pause(self._rng.uniform(0.2, 1.5))
                session = self._begin(ticket)
                if rounds is not None and number >= rounds:
                    return  # in the middle of work, as a picture of it should be
                self._work_on(ticket, session)
        except _Stopped:
            pass
        except sdk.CortexError as error:
            self._demo.errors.append(f"{self._agent.name}: {error}")
        finally:
            self._client.close()

    def _endless(self, tickets: list[str]) -> Iterator[str]:
        yield from tickets
        while True:
            task = self._rng.choice(TASKS)
            yield _make_ticket(self._client, self._project, task)

    def _begin(self, ticket: str) -> str:
        self._move(ticket, "progress")
        session = self._start(ticket, self._rng.choice(("Plan and do it", "First attempt")))
        self._report(session, "working", "read", "looking around")
        return session

    def _work_on(self, ticket: str, session: str) -> None:
        self._stream(session, self._rng.choice(REPLIES))
        if self._rng.random() < 0.6:
            self._delegate(ticket, session)
        if self._rng.random() < 0.5:
            self._ask(session)
        self._report(session, "working", "edit", "writing the change")
        self._stream(session, self._rng.choice(REPLIES))
        self._report(session, "working", "bash", "running the tests")
        self._demo.pause(self._rng.uniform(1, 3))
        self._finish(ticket, session)

    def _delegate(self, ticket: str, session: str) -> None:
        """Let a child session look something up."""
        child = self._start(ticket, "Search the code", parent=session)
        self._report(child, "working", "grep", "searching")
        self._stream(child, self._rng.choice(REPLIES))
        self._end(child)

    def _ask(self, session: str) -> None:
        self._report(session, "awaiting_input", None, "May I change the public interface?")
        self._demo.pause(self._rng.uniform(3, 6))
        self._demo.answer(session, self._rng)

    def _finish(self, ticket: str, session: str) -> None:
        self._post(
            api("tickets", ticket, "comments"),
            {"type": "done", "body": "Done; the tests pass. One file changed."},
        )
        review = self._post(
            api("tickets", ticket, "reviews"),
            {"summary": "Please look at the error path.", "branch": f"agent/{ticket.lower()}"},
        )
        self._move(ticket, "review")
        self._end(session)
        self._demo.pause(self._rng.uniform(2, 5))
        self._client.patch(api("reviews", review["id"]), {"state": "approved", "note": "Fine."})
        self._move(ticket, "done")
        self._finished.append(ticket)
        if len(self._finished) > _DONE_KEPT // len(AGENTS):
            self._client.patch(api("tickets", self._finished.pop(0)), {"archived": True})

    def _start(self, ticket: str, title: str, parent: str | None = None) -> str:
        fields = {"title": title, "agent": self._agent.name, "model": self._agent.model}
        session = self._post(api("tickets", ticket, "sessions"), {**fields, "parent_id": parent})
        return str(session["id"])

    def _report(self, session: str, status: str, tool: str | None, work: str) -> None:
        fields = {"status": status, "tool": tool, "work": work}
        self._client.patch(api("sessions", session), fields)
        self._demo.pause(self._rng.uniform(0.3, 1.2))

    def _stream(self, session: str, text: str) -> None:
        """Write a message word by word, as models do."""
        path = api("sessions", session, "messages", str(uuid.uuid4()))
        empty = {"type": "text", "text": "", "status": "streaming"}
        self._client.put(path, {"role": "assistant", "parts": [empty], "status": "streaming"})
        offset = 0
        for word in text.split(" "):
            piece = f"{word} " if offset + len(word) < len(text) else word
            self._post(f"{path}/delta", {"part": 0, "offset": offset, "text": piece})
            offset += len(piece)
            self._demo.pause(self._rng.uniform(0.04, 0.14))
        _say(self._client, session, "assistant", text, path)

    def _end(self, session: str) -> None:
        self._post(api("sessions", session, "end"), {"outcome": "succeeded"})

    def _move(self, ticket: str, column: str) -> None:
        self._post(api("tickets", ticket, "move"), {"status": column})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._client.post(path, body)


def _rng(seed: int, number: int) -> random.Random:
    return random.Random(seed * 1000 + number)  # noqa: S311


def _make_ticket(client: sdk.CortexClient, project: str, task: Task) -> str:
    body = {"title": task.title, "body": task.body, "type": task.kind, "labels": list(task.labels)}
    ticket = client.post(api("projects", project, "tickets"), {**body, "priority": task.priority})
    return str(ticket["key"])


def _say(client: sdk.CortexClient, session: str, role: str, text: str, path: str = "") -> None:
    path = path or api("sessions", session, "messages", str(uuid.uuid4()))
    part = {"type": "text", "text": text, "status": "complete"}
    client.put(path, {"role": role, "parts": [part], "status": "complete"})
