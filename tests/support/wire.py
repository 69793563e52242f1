"""Bytes on a socket: requests as they are written here, answers and streams as they come."""

import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import quote

from tests.support.server import DEADLINE_S, Server


@dataclass(frozen=True)
class Frame:
    """One server-sent event. fields: every line of it, as (name, value)."""

    fields: tuple[tuple[str, str], ...]

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)

    @property
    def event(self) -> str | None:
        return self.field("event")

    @property
    def id(self) -> str | None:
        return self.field("id")

    @property
    def data(self) -> Any:
        return json.loads(self.field("data") or "null")


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer; status 0 when the server closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes


def parse_frame(raw: bytes) -> Frame:
    lines = [line.partition(":") for line in raw.decode().split("\n")]
    return Frame(tuple((name, value.removeprefix(" ")) for name, _, value in lines))


@dataclass
class Wire:
    """A socket to the server. Every read ends at a deadline."""

    server: Server
    rcvbuf: int | None = None
    sock: socket.socket = field(init=False)
    buffer: bytes = b""

    def __post_init__(self) -> None:
        self.sock = self.server.connect(self.rcvbuf)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, content: bytes) -> "Wire":
        self.sock.sendall(content)
        return self

    def request(self, target: str, method: str = "GET", **headers: str) -> "Wire":
        """Send the head of an authenticated request; `_` in a header's name becomes `-`."""
        wanted = {
            "Host": f"{self.server.host}:{self.server.port}",
            "Authorization": f"Bearer {self.server.token}",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in wanted.items())
        return self.send(f"{method} {target} {self.server.http}\r\n{lines}\r\n".encode())

    def read(self, size: int = 65_536) -> bytes:
        """What comes next; b"" when the server has closed or reset."""
        try:
            return self.sock.recv(size)
        except ConnectionResetError:
            return b""

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`; fails when the stream ends before it."""
        give_up = time.monotonic() + DEADLINE_S
        while mark not in self.buffer:
            assert time.monotonic() < give_up, f"no {mark!r} in time"
            chunk = self.read()
            assert chunk, f"closed before {mark!r}: {self.buffer[-500:]!r}"
            self.buffer += chunk
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def read_all(self) -> bytes:
        """Everything until the server closes."""
        content = self.buffer
        while chunk := self.read():
            content += chunk
        self.buffer = b""
        return content

    def answer(self) -> Answer:
        """The next answer: its head, and its body by Content-Length or to the end."""
        head = b""
        while b"\r\n\r\n" not in self.buffer:
            chunk = self.read()
            if not chunk:
                return Answer(0, {}, self.buffer)
            self.buffer += chunk
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Answer(int(status_line.split(" ")[1]), headers, self._body(headers))

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("content-type") == "text/event-stream":
            return b""
        if "content-length" not in headers:
            return self.read_all() if headers.get("connection") == "close" else b""
        length = int(headers["content-length"])
        while len(self.buffer) < length and (chunk := self.read()):
            self.buffer += chunk
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return body

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Stream(Wire):
    """An open event stream, read by hand.

    query: parameters of the URL · headers: by name, `_` for `-` · retry_ms: what the server asked.
    """

    def __init__(
        self,
        server: Server,
        path: str = "/events",
        headers: dict[str, str] | None = None,
        rcvbuf: int | None = None,
        **query: Any,
    ) -> None:
        super().__init__(server, rcvbuf)
        pairs = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
        self.request(f"{path}?{pairs}" if pairs else path, **(headers or {}))
        self.head = self.answer()
        self.retry_ms: int | None = None

    def __enter__(self) -> "Stream":
        assert self.head.status == 200, self.head
        return self

    def next(self, event: str | None = None) -> Frame:
        """The next frame that has an event; with a name the next one of that name."""
        while True:
            frame = parse_frame(self.read_until(b"\n\n")[:-2])
            if (retry := frame.field("retry")) is not None:
                self.retry_ms = int(retry)
            if frame.event is not None and event in (None, frame.event):
                return frame

    def logged(self, count: int) -> list[Frame]:
        """The next `count` frames of logged events; heartbeats are passed over."""
        found: list[Frame] = []
        while len(found) < count:
            frame = self.next()
            if "." in (frame.event or ""):
                found.append(frame)
        return found

    def rest(self) -> Iterator[Frame]:
        """The frames that come until the server closes the stream."""
        for raw in self.read_all().split(b"\n\n"):
            if raw:
                yield parse_frame(raw)
