"""From a Flask view to bytes on the socket.

A stream outlives its request: the view returns at once, Flask closes its contexts, and only then
does the gateway run the stream, on the socket itself. Writing there, and not through the WSGI
server, is what bounds the time in which a reader must take a byte, and what notices at once that
the client has gone. Without such a socket (the test client) the stream is an ordinary body.
"""

import _socket
import fcntl
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic
from typing import Any

import flask
import gevent
import structlog
from gevent import spawn_raw
from gevent.socket import wait_write

from cortex_server.auth import Grant
from cortex_server.batches import CHUNK_BYTES
from cortex_server.services import Services
from cortex_server.stream.base import Stream
from cortex_server.stream.dashboard import DashboardStream
from cortex_server.stream.events import EventStream
from cortex_server.stream.request import StreamRequest

_ENVIRON_KEY = "cortex.stream"
_UNSENT_MAX = 65_536  # bytes that the kernel holds unsent for one reader
_log = structlog.get_logger(__name__)


class Stalled(Exception):
    """The reader took no byte for too long."""


def stream_response(services: Services, grant: Grant, request: StreamRequest) -> flask.Response:
    """The answer to `GET /events`; to HEAD its headers alone, which takes no place."""
    kind = DashboardStream if request.dashboard else EventStream
    stream = None if flask.request.method == "HEAD" else kind(services, grant, request)
    response = StreamResponse(stream, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


class StreamResponse(flask.Response):
    """A response whose body the gateway writes after Flask is done with the request."""

    def __init__(self, stream: Stream | None, **options: Any) -> None:
        super().__init__(**options)
        self.event_stream = stream

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if self.event_stream is None:
            return super().__call__(environ, start_response)
        environ[_ENVIRON_KEY] = self
        return ()


class StreamGateway:
    """WSGI middleware, outside of Flask."""

    def __init__(self, app: Callable[..., Iterable[bytes]], stall_s: float) -> None:
        self._app = app
        self._stall_s = stall_s

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = self._app(environ, start_response)
        response = environ.pop(_ENVIRON_KEY, None)
        if response is None:
            return body
        headers = tuple((k, v) for k, v in response.headers if k.lower() != "content-length")
        stream: Stream = response.event_stream
        sock = environ.get("gunicorn.socket")
        if sock is None:
            start_response("200 OK", list(headers))
            return stream.frames()
        del response
        environ.clear()  # hours may pass: hold nothing of the request
        if isinstance(sock, ssl.SSLSocket):  # it cannot leave its object
            _serve(sock, stream, _head(headers), self._stall_s)
        else:
            # A greenlet of its own: this one's stack was deep once, and would stay as large.
            own = _socket.socket(sock.family, sock.type, sock.proto, sock.detach())
            spawn_raw(_serve, own, stream, _head(headers), self._stall_s)
        raise StopIteration  # gunicorn's word for: this connection is done


@lru_cache(16)
def _head(headers: tuple[tuple[str, str], ...]) -> bytes:
    """The head of the answer; the same bytes for all streams."""
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    return ("HTTP/1.1 200 OK\r\n" + "".join(lines) + "Connection: close\r\n\r\n").encode("latin-1")


def _serve(sock: Any, stream: Stream, head: bytes, stall_s: float) -> None:
    """Write the stream until it ends, the client goes or stalls. Frees everything in any case."""
    started = monotonic()
    body = stream.frames()
    try:
        _set_options(sock)
        writer = _Writer(sock, stall_s)
        if not isinstance(sock, ssl.SSLSocket):  # it may have to read first
            stream.writer = writer
        with _watching(sock, stream.leave):
            writer.send(head + next(body, b""))
            for chunk in body:
                writer.send(chunk)
    except Stalled:
        stream.cause = "stalled"
        # Closing would leave the unread rest in the kernel until the reader takes it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        stream.cause = "client_gone"
    except gevent.GreenletExit:
        stream.cause = "killed"
    except Exception:
        stream.cause = "error"
        _log.exception("stream_failed")
    finally:
        body.close()  # type: ignore[attr-defined]
        sock.close()
        _log.info(
            "stream_closed",
            scope=stream.request.scope,
            project=stream.request.project,
            client_id=stream.request.client_id,
            cause=stream.cause,
            cursor=stream.cursor,
            seconds=round(monotonic() - started, 3),
        )


def _set_options(sock: socket.socket) -> None:
    options = [
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", _UNSENT_MAX),
    ]
    for level, name, value in options:
        if hasattr(socket, name) and sock.family != socket.AF_UNIX:
            sock.setsockopt(level, getattr(socket, name), value)


class _Writer:
    """Writes to one reader, and knows since when it has taken nothing.

    What counts is what the other side has acknowledged, also between two writes: so a reader of a
    few bytes a second lives, and one whose network is gone is found by the heartbeats. Neither the
    socket becoming writable (late, by design of TCP_NOTSENT_LOWAT) nor TCP_USER_TIMEOUT (it runs
    on while the reader's window opens and closes) tells these two apart.

    The kernel is asked only when it takes nothing, and now and then: that costs as much as a write.
    """

    def __init__(self, sock: Any, stall_s: float) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._stall_s = stall_s
        self._written = 0
        self._taken = 0
        self._since: float | None = None  # it owes us bytes, and has taken none in the meantime
        self._check_at = 0.0
        self._rest: bytes | memoryview = b""

    @property
    def unsent(self) -> bool:
        return bool(self._rest)

    def pass_on(self, content: bytes) -> bool:
        """Send at once; False: it took nothing, or `send` has to look after it first."""
        now = monotonic()
        if self._rest or now >= self._check_at:
            return False
        if self._since is None:
            self._since = now
        try:
            sent: int = self._sock.send(content)
        except OSError:
            return False  # `send` will meet it again, unless the kernel was only full
        self._written += sent
        if sent < len(content):
            self._rest = memoryview(content)[sent:]
        return True

    def send(self, content: bytes) -> None:
        """Send all of it in pieces. Raises Stalled when nothing is taken for `stall_s`."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._send(rest)
        if content:
            self._send(content)

    def _send(self, content: bytes | memoryview) -> None:
        now = monotonic()
        if now >= self._check_at:
            self._check(now)
        if self._since is None:
            self._since = now
        sent = self._try(content)
        while sent < len(content):
            self._check(monotonic())
            if self._since is None:
                self._since = monotonic()
            try:
                wait_write(self._sock.fileno(), self._stall_s / 4)
            except TimeoutError:
                continue
            sent += self._try(memoryview(content)[sent : sent + CHUNK_BYTES])

    def _try(self, content: bytes | memoryview) -> int:
        """Send what the kernel takes at once."""
        try:
            sent: int = self._sock.send(content)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        self._written += sent
        return sent

    def _check(self, now: float) -> None:
        self._check_at = now + self._stall_s / 4
        waiting = _unacknowledged(self._sock)
        taken = self._written - waiting
        if not waiting:
            self._since = None
        elif taken > self._taken or self._since is None:
            self._since = now
        elif now - self._since >= self._stall_s:
            raise Stalled
        self._taken = taken


def _unacknowledged(sock: socket.socket) -> int:
    """Bytes in the kernel that the other side has not acknowledged."""
    answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return int.from_bytes(answer, sys.byteorder)


@contextmanager
def _watching(sock: Any, on_gone: Callable[[], None]) -> Iterator[None]:
    """Call `on_gone` as soon as the client has closed its side.

    A generator that waits for its queue would notice only at the second heartbeat after that.
    """
    raw = getattr(sock, "_sock", sock)
    watcher = gevent.get_hub().loop.io(sock.fileno(), 1)

    def readable() -> None:
        try:
            left = raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return
        except OSError:
            left = True
        watcher.stop()  # also after stray bytes: they would keep it ready for ever
        if left:
            on_gone()

    watcher.start(readable)
    try:
        yield
    finally:
        watcher.stop()
        watcher.close()
