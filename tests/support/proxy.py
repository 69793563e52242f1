"""TCP proxies that treat streams badly."""

import contextlib
import random
import socket
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from tests.support.server import Server


class _Proxy(ABC):
    """Serves each connection in a thread of its own, until it is left.

    url: where clients connect.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self._target = ("127.0.0.1", target)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    @abstractmethod
    def _serve(self, client: socket.socket) -> None:
        """Serve a connection, and close it."""


class BreakingProxy(_Proxy):
    """open: connections. `cut` breaks one of them, and leaving breaks all."""

    def __init__(self, server: Server, port: int) -> None:
        self.open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(server.port, port)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        while self.cut():
            pass

    def cut(self) -> bool:
        """Break a random connection; False when there is none."""
        with self._lock:
            if not self.open:
                return False
            found = random.choice(list(self.open))
            self.open.discard(found)
        with contextlib.suppress(OSError):
            found.shutdown(socket.SHUT_RDWR)
        return True

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            with socket.create_connection(self._target) as upstream:
                for end in (client, upstream):  # each piece at once, not with the next one
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self.open.add(upstream)
                up = threading.Thread(target=_pump, args=(client, upstream), daemon=True)
                up.start()
                # In small and uneven pieces, so that a cut falls into the middle of a frame.
                _pump(upstream, client, pieces=True)
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                up.join()
                with self._lock:
                    self.open.discard(upstream)


class StreamlessProxy(_Proxy):
    """Lets requests through, and no stream: as a proxy does that buffers, or breaks them.

    mode: what becomes of a stream: "break", "hold" or "pass" · refused: how many streams were.
    """

    def __init__(self, port: int, mode: str = "break") -> None:
        self.mode = mode
        self.refused = 0
        super().__init__(port)

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            begun = client.recv(65_536)
            if begun.startswith(b"GET /events") and self.mode != "pass":
                self.refused += 1
                while self.mode == "hold" and client.recv(65_536):
                    pass
                return
            with socket.create_connection(self._target) as upstream:
                upstream.sendall(begun)
                up = threading.Thread(target=_pump, args=(client, upstream), daemon=True)
                up.start()
                _pump(upstream, client)
                up.join()


def _pump(source: socket.socket, sink: socket.socket, pieces: bool = False) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(random.randrange(1, 500) if pieces else 65_536):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
