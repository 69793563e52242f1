"""Follows a server's events: one connection, made again when it is lost, closed with the server."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cortex_cli.runner.opencode.client import Client, Stream, Unreachable

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_LONG_LIFE_S = 5.0


@dataclass(frozen=True)
class Connected:
    """Events follow; what happened before may be missing."""


@dataclass(frozen=True)
class Lost:
    """No event comes until the next `Connected`."""

    reason: str


@dataclass(frozen=True)
class Happened:
    type: str
    properties: dict[str, Any]


Signal = Connected | Lost | Happened


class Events:
    """Delivers what one server tells, from a thread of its own, until `close`.

    deliver: takes each signal; may wait, then the server is read more slowly.
    """

    def __init__(
        self,
        client: Client,
        deliver: Callable[[Signal], None],
        name: str,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._deliver = deliver
        self._rand = rand
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"events {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the connection and the thread."""
        self._closed.set()
        with self._lock:
            if self._stream is not None:
                self._stream.interrupt()
        self._thread.join()

    def _follow(self) -> None:
        failures = 0
        while not self._closed.is_set():
            begun = time.monotonic()
            reason = self._connection()
            if self._closed.is_set():
                return
            self._deliver(Lost(reason))
            failures = 0 if time.monotonic() - begun > _LONG_LIFE_S else failures + 1
            longest = min(_FIRST_PAUSE_S * 2.0 ** min(failures, 10), _LONGEST_PAUSE_S)
            self._closed.wait(longest * self._rand())

    def _connection(self) -> str:
        """Read one connection to its end; return why it ended."""
        try:
            stream = self._client.events()
        except Unreachable as error:
            return str(error)
        with contextlib.closing(stream):
            with self._lock:
                self._stream = stream
            try:
                if not self._closed.is_set():
                    self._read(stream)
            except Unreachable as error:
                return str(error)
            finally:
                with self._lock:
                    self._stream = None
        return "closed"

    def _read(self, stream: Stream) -> None:
        for payload in stream:
            kind, properties = payload.get("type"), payload.get("properties")
            if kind == "server.connected":
                self._deliver(Connected())
            elif isinstance(kind, str) and isinstance(properties, dict):
                self._deliver(Happened(kind, properties))
