"""The gunicorn worker: gevent's, where a stop loses nobody and no connection starves another.

gunicorn's master imports this before gevent has patched anything: import nothing heavy here.
"""

import errno
import io
import os
import socket
import struct
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from types import TracebackType
from typing import Any, cast

import gevent
from gevent import getcurrent
from gevent.socket import socket as Socket
from gevent.socket import wait_write
from gunicorn.http.wsgi import base_environ  # type: ignore[import-untyped]
from gunicorn.util import http_date  # type: ignore[import-untyped]
from gunicorn.workers.ggevent import GeventWorker  # type: ignore[import-untyped]

from cortex_server import plain, protocol

IDLE_S = 0.5  # who has been silent for longer is not about to send a request
LOOK_S = 0.25  # how often silent connections are looked for
SKIPPED_MAX = 65_536  # bytes of a refused body that are read so that the next request can follow
BLOCK = 16_384
LEFT_S = 2.0  # of the graceful timeout, for the last duties: then gunicorn's master kills


@dataclass(frozen=True)
class _Listener:
    """What gunicorn asks of a listener for each connection."""

    address: Any

    def getsockname(self) -> Any:
        return self.address


@dataclass(slots=True)
class _Connection:
    """waiting_since: for a request, None while one is answered · requests: how many began ·
    abandoned: it was told to end, whatever it is doing.
    """

    client: Any
    waiting_since: float | None = None
    requests: int = 0
    abandoned: bool = False
    late_at: float | None = None  # when a request of which a part has come must be there


class CortexWorker(GeventWorker):
    """Knows its connections. Streams are none of them: they leave with their sockets."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._connections: dict[Any, _Connection] = {}  # by greenlet
        self._listeners: dict[int, _Listener] = {}
        self._give_up_at: float | None = None
        self._environ: dict[str, Any] = {}  # what all requests have in common
        self._date = (0, "")
        self._stall_s = 0.0  # how long a reader may take nothing of an answer

    def init_process(self) -> None:
        gevent.config.track_greenlet_tree = False  # a kilobyte for each greenlet
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop; returns when the open streams have said goodbye too."""
        self._listeners = {id(sock): _Listener(sock.getsockname()) for sock in self.sockets}
        self._environ = base_environ(self.cfg) | {
            "wsgi.multithread": True, "wsgi.url_scheme": "http", "SCRIPT_NAME": "",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }  # fmt: skip
        self._stall_s = self.wsgi.extensions["cortex"].config.stall_s
        gevent.spawn(self._cut_off_silent)
        super().run()
        self.wsgi.extensions["cortex"].streams.wait_until_empty(self.graceful_left_s())

    def graceful_left_s(self) -> float:
        """How long to go on with what was begun: the time runs from the first call on."""
        whole = self.cfg.graceful_timeout
        if self._give_up_at is None:
            self._give_up_at = monotonic() + max(whole - LEFT_S, whole / 2)
        return max(self._give_up_at - monotonic(), 0)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection, also one that was accepted just before the listener was closed.

        gunicorn asks the listener for its address at the beginning; of a closed one that fails,
        and the client of a server that only reloads would be dropped without an answer.
        """
        known = self._listeners[id(listener)]
        connection = self._connections[getcurrent()] = _Connection(client)
        try:
            if self._takes_plain:
                unusual = self._serve_plain(connection, known.address, addr)
                if unusual is None:
                    client.close()
                    return
                connection.client = client = _Resumed(client, unusual, self._stall_s)
            super().handle(known, client, addr)
        finally:
            del self._connections[getcurrent()]

    @cached_property
    def _takes_plain(self) -> bool:
        """Whether nothing is set that only gunicorn's own way with a request would honour."""
        cfg = self.cfg
        hooks = all(
            cfg.settings[name].get() is cfg.settings[name].default
            for name in ("pre_request", "post_request")
        )
        roomy = cfg.limit_request_fields >= 100 and all(
            limit == 0 or limit >= plain.HEAD_MAX
            for limit in (cfg.limit_request_line, cfg.limit_request_field_size)
        )
        proxied = cfg.proxy_protocol not in ("off", False)  # False: an older gunicorn's "off"
        asked = cfg.accesslog or cfg.is_ssl or proxied or cfg.statsd_host
        return bool(hooks and roomy and not asked and cfg.keepalive and self._is_tcp)

    @property
    def _is_tcp(self) -> bool:
        tcp = all(isinstance(listener.address, tuple) for listener in self._listeners.values())
        return tcp and "SCRIPT_NAME" not in os.environ

    def _serve_plain(self, connection: _Connection, server: Any, addr: Any) -> bytes | None:
        """Answer plain requests as long as they come.

        Returns what has been read of the first other one, for gunicorn; None when this was all.
        """
        client, ahead = connection.client, b""
        common = self._environ | {
            "gunicorn.socket": client, "REMOTE_ADDR": addr[0], "REMOTE_PORT": str(addr[1]),
            "SERVER_NAME": server[0], "SERVER_PORT": str(server[1]),
        }  # fmt: skip
        headers: dict[bytes, plain.Header] = {}
        try:
            while True:
                data = self._next_bytes(connection, ahead)
                head = plain.read_head(data, headers)
                if head is None:
                    return data or None
                body, ahead = data[head.end :][: head.length], data[head.end + head.length :]
                environ = common | head.environ
                rest = None
                if len(body) == head.length:
                    environ[plain.ARRIVED] = body
                    environ["wsgi.input"] = io.BytesIO(body)
                else:
                    environ["wsgi.input"] = rest = plain.Body(client, body, head.length)
                if not self._answer_plain(client, environ, rest):
                    return None
                if rest is not None and not self._skip(connection, rest):
                    return None
                connection.requests += 1
        except OSError:
            return None  # the client has gone
        except gevent.GreenletExit:
            return None  # it was told to end
        except Exception as error:
            self.handle_error(None, client, addr, error)
            return None

    def _next_bytes(self, connection: _Connection, ahead: bytes) -> bytes:
        """What comes next; b"" when nothing more does. Others have a turn before that.

        ahead: what came with the last request. Neither that nor reading what has arrived already
        switches, so one busy client could keep the worker.
        """
        if connection.requests:
            gevent.sleep(0)
        now = monotonic()
        connection.late_at = now + self.cfg.keepalive
        if ahead:
            return ahead
        connection.waiting_since = now
        try:
            data: bytes = connection.client.recv(BLOCK)
        finally:
            connection.waiting_since = None
        return data

    def _skip(self, connection: _Connection, rest: plain.Body) -> bool:
        """Read over what the application left of a body, as long as one waits for a request."""
        connection.waiting_since = monotonic()
        try:
            return rest.skip()
        finally:
            connection.waiting_since = None

    def _answer_plain(self, client: Any, environ: dict[str, Any], rest: plain.Body | None) -> bool:
        """Let the application answer; False when this was the last answer of this connection.

        rest: the body, unless all of it has come.
        """
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        told: list[Any] = []

        def start_response(status: str, headers: Any, _fault: Any = None) -> None:
            told[:] = status, headers

        try:
            content = plain.joined(self.wsgi(environ, start_response))
        except StopIteration:
            return False  # a stream, which has left with the socket
        status, headers = told
        names = {name.lower() for name, _ in headers}
        skipped = rest is None or rest.can_be_skipped(SKIPPED_MAX)
        stays = self.alive and skipped and "connection" not in names
        always = (
            f"Server: gunicorn\r\nDate: {self._now()}\r\n"
            f"Connection: {'keep-alive' if stays else 'close'}"
        )
        bare = "content-length" in names or status[:3] in ("204", "304")
        head = plain.head_of(status, headers, always, bare, len(content))
        _send(client, head + content, self._stall_s)
        return stays

    def _now(self) -> str:
        """The time as HTTP has it."""
        second = int(time.time())
        if self._date[0] != second:
            self._date = second, http_date(second)
        return self._date[1]

    def _cut_off_silent(self) -> None:
        """Close the connections that have waited too long: cheaper than a timer for each wait."""
        while True:
            gevent.sleep(LOOK_S)
            silent_since = monotonic() - self.cfg.keepalive
            for connection in list(self._connections.values()):
                if connection.waiting_since is not None and connection.waiting_since < silent_since:
                    _shut(connection.client, socket.SHUT_RD)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Refuse what is no request like every other one that is refused."""
        answer = protocol.answer(exc)
        if answer is None:
            super().handle_error(req, client, addr, exc)
            return
        with suppress(OSError):
            client.sendall(answer)

    def timeout_ctx(self) -> AbstractContextManager[Any]:
        """gunicorn's deadline for the next request of a connection."""
        connection = self._connections[getcurrent()]
        if connection.late_at is None:
            return _NextRequest(connection, super().timeout_ctx())
        left_s, connection.late_at = connection.late_at - monotonic(), None
        return _NextRequest(connection, gevent.Timeout(max(left_s, 0.001), cast(Any, False)))

    def close_idle(self) -> None:
        """Close the connections that wait for a next request.

        gunicorn would wait for them, until they time out, before the worker ends; while a reload
        waits for that, nobody answers. Only the reading side is closed here: a request that has
        arrived already is still read and answered.
        """
        silent_since = monotonic() - IDLE_S
        for connection in list(self._connections.values()):
            if connection.waiting_since is not None and connection.waiting_since < silent_since:
                _shut(connection.client, socket.SHUT_RD)

    def abandon(self) -> None:
        """End what the connections are doing: gunicorn would wait for it until it is killed."""
        left = {g: c for g, c in self._connections.items() if not c.abandoned}
        for connection in left.values():
            connection.abandoned = True
            _shut(connection.client, socket.SHUT_RDWR)  # it must not read a next request either
        gevent.killall(list(left), block=False)


def _shut(client: Any, how: int) -> None:
    try:
        client._sock.shutdown(how)  # gevent's own would raise in the reader
    except OSError:
        pass  # it has gone by itself


def _send(client: Any, content: bytes | memoryview, stall_s: float) -> None:
    """Send all of it; nearly always at once. Who takes nothing for `stall_s` counts as gone.

    Raises BrokenPipeError.
    """
    while True:
        try:
            content = memoryview(content)[client._sock.send(content) :]
        except BlockingIOError:
            pass
        if not content:
            return
        try:
            wait_write(client.fileno(), stall_s)
        except TimeoutError:
            # Closing would leave the unread rest in the kernel until the reader takes it.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise BrokenPipeError(errno.EPIPE, "stalled") from None


class _Resumed(Socket):
    """A connection of which something was read already: it is read again.

    Who reads no answer does not keep it: gunicorn would wait for ever.
    """

    def __init__(self, client: Any, ahead: bytes, stall_s: float) -> None:
        super().__init__(client.family, client.type, client.proto, fileno=client.detach())
        self._ahead = ahead
        self._stall_s = stall_s

    def sendall(self, content: Any, *_flags: Any) -> None:
        _send(self, content, self._stall_s)

    def recv(self, *args: Any) -> bytes:
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        received: bytes = super().recv(*args)
        return received


class _NextRequest:
    """gunicorn's deadline, a note of who waits, and a turn for the others before that.

    Reading what has arrived already does not switch, so one busy client could keep the worker.
    """

    def __init__(self, connection: _Connection, deadline: AbstractContextManager[Any]) -> None:
        self._connection = connection
        self._deadline = deadline

    def __enter__(self) -> None:
        if self._connection.requests:
            gevent.sleep(0)
        self._connection.requests += 1
        self._connection.waiting_since = monotonic()
        self._deadline.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._connection.waiting_since = None
        return self._deadline.__exit__(kind, error, trace)
