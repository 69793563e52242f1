"""`cortex watch --deltas --json` beside a test: what a reader knows, and would stumble over."""

import contextlib
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.server import ROOT, Server, wait_for


class Watched:
    """events: all of the project, in order. messages: each as a reader has it, by session and id,
    with its deltas appended. deltas: how many came, by session. late: how many of them were known.
    wrong: deltas that leave a hole, and what came for a message that nobody told of."""

    def __init__(self, server: Server, project: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        self.deltas: Counter[str | None] = Counter()
        self.late = 0
        self.wrong: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cortex_cli", "--project", project, "watch", "--deltas",
             "--json", "--retries", "0", "--since", "0"],
            cwd=ROOT, env={**server.env, "CORTEX_TOKEN": server.token}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._drain, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.events, "it watches")

    def of(self, kind: str, **wanted: Any) -> list[dict[str, Any]]:
        """The payloads of a type whose fields are so."""
        return [
            event["payload"]
            for event in list(self.events)
            if event["type"] == kind
            and all(event["payload"].get(name) == value for name, value in wanted.items())
        ]

    def until(self, kind: str, deadline_s: float = 20.0, **wanted: Any) -> dict[str, Any]:
        """Wait for the first of these, and return it."""
        found = wait_for(lambda: self.of(kind, **wanted), f"{kind} {wanted}", deadline_s)
        return found[0]

    def statuses(self, attempt: str) -> list[str]:
        """What the attempt was, in order."""
        return [told["status"] for told in self.of("attempt.status", id=attempt)]

    def said(self, session: str, kind: str = "text", role: str = "assistant") -> list[str]:
        """The texts of a session's parts, as the reader has them."""
        return [
            part["text"]
            for (of, _), message in list(self.messages.items())
            for part in message["parts"]
            if of == session and part["type"] == kind and message["role"] == role
        ]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        for thread in self._threads:
            thread.join(10)
        for end in (self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError, AttributeError):
                end.close()  # type: ignore[union-attr]

    def _drain(self) -> None:
        assert self._process.stderr is not None
        for _ in self._process.stderr:
            pass

    def _read(self) -> None:
        assert self._process.stdout is not None
        takes: dict[str, Callable[[dict[str, Any]], None]] = {
            "message.created": self._message,
            "message.updated": self._message,
            "message.delta": self._delta,
        }
        for line in self._process.stdout:
            event = json.loads(line)
            if event["type"] in takes:
                takes[event["type"]](event["payload"])
            if event["type"] != "message.delta":
                self.events.append(event)

    def _message(self, told: dict[str, Any]) -> None:
        key = (told["session"], told["id"])
        self.messages[key] = {**told, "parts": [dict(part) for part in told["parts"]]}

    def _delta(self, told: dict[str, Any]) -> None:
        self.deltas[told["session"]] += 1
        message = self.messages.get((told["session"], told["message"]))
        if message is None or told["part"] >= len(message["parts"]):
            self.wrong.append(f"a delta of nothing: {told}")
            return
        part = message["parts"][told["part"]]
        if told["offset"] > len(part["text"]):
            self.wrong.append(f"a hole before {told}; there is {len(part['text'])}")
        elif told["offset"] < len(part["text"]) or message["status"] == "complete":
            self.late += 1
        else:
            part["text"] += told["text"]
