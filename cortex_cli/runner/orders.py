"""What the server asks of running attempts: each command is done once, in order, and acknowledged.

The queue on the server is the truth. What is done and could not be acknowledged is remembered, so
that it is not done again when the queue gives it out once more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cortex_cli import sdk
from cortex_cli.runner import sendable
from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.outbox import may_pass

Command = Mapping[str, Any]


class Obeying(Protocol):
    """A job, as far as it takes commands."""

    def obey(self, command: Command) -> None: ...


class Orders:
    """find: the job of an attempt, None when it does not run here. finished: called after each."""

    def __init__(
        self,
        client: sdk.CortexClient,
        find: Callable[[str], Obeying | None],
        finished: Callable[[], None],
    ) -> None:
        self._client = client
        self._find = find
        self._finished = finished
        self._lock = threading.Lock()
        self._busy: set[str] = set()  # attempts, and commands that stop one
        self._done: dict[str, str | None] = {}  # commands, with what went wrong

    def look(self, runner: str) -> None:
        """Take what is new in the queue; it is done in threads of their own. Raises CortexError."""
        path = sdk.url_path("api", "runners", runner, "commands")
        waiting = self._client.get(path)
        commands = waiting.get("items", []) if isinstance(waiting, dict) else waiting
        with self._lock:
            # What is not given out any more needs no memory.
            open_ones = {str(command["id"]) for command in commands}
            self._done = {key: why for key, why in self._done.items() if key in open_ones}
        for command in commands:
            self._take(runner, command)

    def _take(self, runner: str, command: Command) -> None:
        """Begin with a command, unless one of the same attempt is being done: that comes first.

        A stop waits for nothing.
        """
        stops = command["kind"] == "stop"
        name = str(command["id"] if stops else command["attempt"])
        with self._lock:
            if name in self._busy:
                return
            self._busy.add(name)
        threading.Thread(
            target=self._do, args=(runner, command, name), name=f"command {name}", daemon=True
        ).start()

    def _do(self, runner: str, command: Command, name: str) -> None:
        key = str(command["id"])
        try:
            with self._lock:
                known = key in self._done
            if not known:
                why = self._obeyed(command)
                with self._lock:
                    self._done[key] = why
            self._acknowledge(runner, key)
        finally:
            with self._lock:
                self._busy.discard(name)
            self._finished()

    def _obeyed(self, command: Command) -> str | None:
        """Do it; return why it could not be done, None when it was."""
        job = self._find(str(command["attempt"]))
        if job is None:
            return "The attempt does not run here any more."
        try:
            job.obey(command)
        except RunnerError as error:
            return sendable.line(error)
        except Exception as error:  # an adapter's bug is no reason to ask it again for ever
            return sendable.line(f"{type(error).__name__}: {error}")
        return None

    def _acknowledge(self, runner: str, key: str) -> None:
        """Take it out of the queue; when that fails now, the next look tries again."""
        why = self._done.get(key)
        path = sdk.url_path("api", "runners", runner, "commands", key, "ack")
        try:
            self._client.post(path, {"error": why} if why else {})
        except sdk.CortexError as error:
            if not may_pass(error):
                return  # it is unknown: the attempt has gone with all that is about it
