"""The gunicorn worker: gevent's, where a stop loses nobody and no connection starves another.

gunicorn's master imports this before gevent has patched anything: import nothing heavy here.
"""

import socket
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any

import gevent
from gevent import getcurrent
from gunicorn.workers.ggevent import GeventWorker  # type: ignore[import-untyped]

from cortex_server import protocol

IDLE_S = 0.5  # who has been silent for longer is not about to send a request
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


class CortexWorker(GeventWorker):
    """Knows its connections. Streams are none of them: they leave with their sockets."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._connections: dict[Any, _Connection] = {}  # by greenlet
        self._listeners: dict[int, _Listener] = {}
        self._give_up_at: float | None = None

    def init_process(self) -> None:
        gevent.config.track_greenlet_tree = False  # a kilobyte for each greenlet
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop; returns when the open streams have said goodbye too."""
        self._listeners = {id(sock): _Listener(sock.getsockname()) for sock in self.sockets}
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
        self._connections[getcurrent()] = _Connection(client)
        try:
            super().handle(self._listeners[id(listener)], client, addr)
        finally:
            del self._connections[getcurrent()]

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
        return _NextRequest(self._connections[getcurrent()], super().timeout_ctx())

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
