"""A server that plays scripts: real sockets, and every byte of an answer is the test's own."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cortex_cli.sdk import CortexClient

DEADLINE_S = 10.0
TOKEN = "secret-token-of-the-test"


class Hold:
    """Keep the connection open and silent until the client goes or the server stops."""


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Scripted:
    """Plays script n on connection n: bytes are sent, `Hold` waits; at its end it closes.

    A script is bytes or a list; with `repeat_last` the last one plays for all later connections.
    """

    def __init__(self, *scripts: Any, repeat_last: bool = False) -> None:
        self.scripts = [[s] if isinstance(s, bytes) else list(s) for s in scripts]
        self.repeat_last = repeat_last
        self.asked: list[Asked] = []
        self.arrived: queue.Queue[Asked] = queue.Queue()
        self.gone: queue.Queue[int] = queue.Queue()  # connections that the client left
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        self._tls: ssl.SSLContext | None = None
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def use_tls(self, certificate: Path, key: Path) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self.url = self.url.replace("http:", "https:")

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(DEADLINE_S)
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(DEADLINE_S)
        self._listener.close()

    def _accept(self) -> None:
        count = 0
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            last = len(self.scripts) - 1
            index = min(count, last) if self.repeat_last else count
            self._open.append(sock)
            thread = threading.Thread(target=self._play, args=(sock, index))
            self._threads.append(thread)
            thread.start()
            count += 1

    def _play(self, sock: socket.socket, index: int) -> None:
        if self._tls is not None:
            try:
                sock = self._tls.wrap_socket(sock, server_side=True)
            except OSError:  # the client did not trust us
                sock.close()
                return
            self._open.append(sock)
        with contextlib.suppress(OSError), sock:
            if not self._read_request(sock) or index >= len(self.scripts):
                return
            for step in self.scripts[index]:
                if isinstance(step, bytes):
                    sock.sendall(step)
                elif isinstance(step, Hold) or step is Hold:
                    sock.recv(1)
                    self.gone.put(index)
                else:
                    step()

    def _read_request(self, sock: socket.socket) -> bool:
        held = b""
        while b"\r\n\r\n" not in held:
            more = sock.recv(65536)
            if not more:
                return False
            held += more
        head, _, body = held.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (x.partition(":") for x in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += sock.recv(65536)
        method, target, _ = first.split(" ")
        self.asked.append(Asked(method, target, headers, body))
        self.arrived.put(self.asked[-1])
        return True


class Waits:
    """Records the waits of a stream and ends each at once."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, wake: threading.Event, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    started: list[Scripted] = []

    def start(*scripts: Any, repeat_last: bool = False) -> Scripted:
        started.append(Scripted(*scripts, repeat_last=repeat_last))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def connect(waits: Waits) -> Iterator[Callable[..., CortexClient]]:
    """Return a client of a scripted server that never sleeps and always draws 1.0."""
    made: list[CortexClient] = []

    def client(server: Scripted, **options: Any) -> CortexClient:
        options = {"wait": waits, "rand": lambda: 1.0, **options}
        made.append(CortexClient(server.url, TOKEN, **options))
        return made[-1]

    yield client
    for one in made:
        one.close()


# What a server says, as bytes.


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def problem(status: int, **members: Any) -> bytes:
    body = json.dumps({"status": status, **members}).encode()
    return answer(f"{status} Problem", body, Content_Type="application/problem+json")


def ok(value: Any) -> bytes:
    return answer("200 OK", json.dumps(value).encode(), Content_Type="application/json")


HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Connection: close\r\n\r\n"
)


def frame(event: str, data: Any, id: str | None = None) -> bytes:
    text = f"id: {id}\n" if id is not None else ""
    return f"{text}event: {event}\ndata: {json.dumps(data)}\n\n".encode()


def hello(resumed: bool = False, heartbeat_s: float = 15, **more: Any) -> bytes:
    body = {
        "epoch": "e",
        "head": 10,
        "floor": 1,
        "client_id": "c",
        "server_time": "2026-01-26T15:53:01.717Z",
        "heartbeat_s": heartbeat_s,
        "resumed": resumed,
        "version": "1",
    }
    return b"retry: 1500\n\n" + frame("hello", {**body, **more})


def state(head: int, seq: int | None = None, epoch: str = "e", **more: Any) -> bytes:
    body = {"head": head, "seq": seq, "project": {"key": "cortex"}, **more}
    return frame("state", body, f"{epoch}.{head}")


def event(position: int, epoch: str = "e", seq: int | None = None, **more: Any) -> bytes:
    at = f"{epoch}.{position}"
    body = {
        "id": at,
        "type": "ticket.moved",
        "project": "cortex",
        "seq": position if seq is None else seq,
        "ticket": "CTX-12",
        "at": "2026-01-26T15:53:01.717Z",
        "actor": {"kind": "agent", "name": "opencode"},
        "payload": {"status": "review"},
    }
    return frame("ticket.moved", {**body, **more}, at)


def end(reason: str = "lifetime", reconnect: bool = True, in_ms: int | None = 200) -> bytes:
    body: dict[str, Any] = {"reason": reason, "reconnect": reconnect}
    if in_ms is not None:
        body["reconnect_in_ms"] = in_ms
    return frame("end", body)


class Script:
    """The builders above, as one fixture, so that test files import nothing of each other."""

    HEAD = HEAD
    Hold = Hold
    answer = staticmethod(answer)
    problem = staticmethod(problem)
    ok = staticmethod(ok)
    frame = staticmethod(frame)
    hello = staticmethod(hello)
    state = staticmethod(state)
    event = staticmethod(event)
    end = staticmethod(end)
    token = TOKEN
    deadline_s = DEADLINE_S


@pytest.fixture
def say() -> type[Script]:
    return Script
