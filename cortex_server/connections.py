"""The connections of a gunicorn worker, where gunicorn leaves them alone while it stops."""

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any

from gevent import getcurrent

IDLE_S = 0.5  # who has been silent for longer is not about to send a request


@dataclass(frozen=True)
class _Listener:
    """What gunicorn asks of a listener for each connection."""

    address: Any

    def getsockname(self) -> Any:
        return self.address


class Connections:
    """Wraps what the worker does with each connection; make it before the worker accepts."""

    def __init__(self, worker: Any) -> None:
        self._handle = worker.handle
        self._deadline: Callable[[], AbstractContextManager[Any]] = worker.timeout_ctx
        self._listeners = {id(sock): _Listener(sock.getsockname()) for sock in worker.sockets}
        self._clients: dict[Any, Any] = {}  # by greenlet
        self.waiting: dict[Any, float] = {}  # greenlet -> since when it waits for a request
        worker.handle = self._serve
        worker.timeout_ctx = lambda: _Waiting(self.waiting, self._deadline())

    def close_idle(self) -> None:
        """Close the connections that wait for a next request.

        gunicorn would wait for them, until they time out, before the worker ends; while a reload
        waits for that, nobody answers. Only the reading side is closed here: a request that has
        arrived already is still read and answered.
        """
        silent_since = monotonic() - IDLE_S
        for greenlet, since in list(self.waiting.items()):
            client = self._clients.get(greenlet)
            if client is not None and since < silent_since:
                try:
                    client._sock.shutdown(socket.SHUT_RD)  # gevent's own would raise in the reader
                except OSError:
                    pass  # it has gone by itself

    def _serve(self, listener: Any, client: Any, address: Any) -> None:
        """Serve one connection, also one that was accepted just before the listener was closed.

        gunicorn asks the listener for its address at the beginning; of a closed one that fails,
        and the client of a server that only reloads would be dropped without an answer.
        """
        self._clients[getcurrent()] = client
        try:
            self._handle(self._listeners[id(listener)], client, address)
        finally:
            del self._clients[getcurrent()]


class _Waiting:
    """gunicorn's deadline for the next request, and a note of who waits for one."""

    def __init__(self, waiting: dict[Any, float], deadline: AbstractContextManager[Any]) -> None:
        self._waiting = waiting
        self._deadline = deadline

    def __enter__(self) -> None:
        self._waiting[getcurrent()] = monotonic()
        self._deadline.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._waiting.pop(getcurrent(), None)
        return self._deadline.__exit__(kind, error, trace)
