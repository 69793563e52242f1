"""Requests to one OpenCode server on this machine: JSON, authenticated, always with a deadline."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

from cortex_cli.runner.errors import AdapterError

HOST = "127.0.0.1"
USER = "opencode"
ANSWER_S = 10.0
SILENCE_S = 30.0  # three of its heartbeats
_LONGEST_EVENT = 16 * 1_048_576
_LONGEST_ANSWER = 256 * 1_048_576
_CHUNK = 65_536


class Unreachable(AdapterError):
    """The server did not answer, or not as an OpenCode server does."""


class Refused(AdapterError):
    """The server answered with an error; status is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Speaks to the server at a port. Each request has a connection of its own, so that any
    thread can make one and none is left open."""

    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"
        token = base64.b64encode(f"{USER}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"}

    def get(self, path: str, timeout_s: float = ANSWER_S) -> Any:
        """Return the answer's JSON. Raises Unreachable, Refused."""
        return self._request("GET", path, None, timeout_s)

    def post(self, path: str, body: Any = None, timeout_s: float = ANSWER_S) -> Any:
        """Return the answer's JSON, None when there is none. Raises Unreachable, Refused."""
        return self._request("POST", path, body, timeout_s)

    def healthy(self, timeout_s: float) -> None:
        """Return when the server says that it is well. Raises Unreachable, Refused."""
        answer = self.get("/global/health", timeout_s)
        if not isinstance(answer, dict) or answer.get("healthy") is not True:
            raise Unreachable(f"The server at {self.url} says that it is not healthy.")

    def events(self) -> Stream:
        """Open the stream of events of all directories. Raises Unreachable."""
        return Stream(self.port, self._headers)

    def _request(self, method: str, path: str, body: Any, timeout_s: float) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout_s)
        headers = {**self._headers, "Connection": "close", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        try:
            with contextlib.closing(connection):
                connection.request(method, path, content, headers)
                answer = connection.getresponse()
                text = answer.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"OpenCode does not answer at {self.url}: {error!r}.") from error
        if answer.status >= 400:
            raise Refused(_reason(answer.status, text), answer.status)
        return _json(text) if text else None


class Stream:
    """The events of one connection, until it ends or is closed."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=SILENCE_S)
        try:
            self._connection.connect()
            # Kept: the connection forgets it when the answer ends with the connection.
            self._socket: socket.socket = self._connection.sock
            self._connection.request(
                "GET", "/global/event", headers={**headers, "Accept": "text/event-stream"}
            )
            self._answer = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unreachable(f"There is no stream of events: {error!r}.") from error
        if self._answer.status != 200:
            self.close()
            raise Unreachable(f"There is no stream of events: HTTP {self._answer.status}.")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the payload of each event. Raises Unreachable when the connection is lost."""
        rest = bytearray()
        while True:
            try:
                chunk = self._answer.read1(_CHUNK)
            # AttributeError: another thread closed it between two reads
            except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
                raise Unreachable(f"The stream of events was lost: {error!r}.") from error
            if not chunk:
                raise Unreachable("The stream of events ended.")
            rest += chunk
            end = rest.rfind(b"\n")
            if end < 0:
                if len(rest) > _LONGEST_EVENT:
                    raise Unreachable("The stream of events holds one that is too large.")
                continue
            lines = bytes(rest[:end]).split(b"\n")
            del rest[: end + 1]
            yield from _payloads(lines)

    def interrupt(self) -> None:
        """End the connection under a thread that reads; `close` frees it afterwards."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._answer.close()
        self._connection.close()
        self._socket.close()


def _payloads(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """An event is one line of JSON here; `sync` ones say again what another one says."""
    for line in lines:
        if not line.startswith(b"data:"):
            continue
        try:
            event = json.loads(line[5:])
        except (ValueError, RecursionError):
            continue
        payload = event.get("payload") if isinstance(event, dict) else None
        if isinstance(payload, dict) and payload.get("type") != "sync":
            yield payload


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # an unknown path is answered with a web page
        raise Unreachable("OpenCode answered with something that is not JSON.") from None


def _reason(status: int, text: bytes) -> str:
    """Return OpenCode's words, which are in one of several places."""
    with contextlib.suppress(ValueError, AttributeError):
        answer = json.loads(text)
        words = answer.get("message") or (answer.get("data") or {}).get("message")
        if words:
            return f"OpenCode refused: {words} (HTTP {status})."
    return f"OpenCode refused: HTTP {status}."
