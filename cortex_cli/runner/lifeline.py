"""The socket between a runner and a guardian: JSON values, with descriptors beside them.

Each value has its length before it (four bytes). Descriptors arrive in order; a value says by
itself how many of them are its own. An end of the stream means that the other one is dead.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

_HEAD = 4
_MOST_DESCRIPTORS = 16
_PIECE = 65_536
# Received descriptors are put above those that a program is started with.
FIRST_FREE = 64


class Lifeline:
    """One end. `send` is for one thread at a time, `receive` too."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._received = b""
        self._descriptors: deque[int] = deque()

    def fileno(self) -> int:
        return self._end.fileno()

    def close(self) -> None:
        self._end.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def send(self, value: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Raises OSError when the other end is gone, or takes nothing for long."""
        text = json.dumps(value).encode()
        message = len(text).to_bytes(_HEAD, "big") + text
        sent = 0
        if descriptors:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
            sent = self._end.sendmsg([message], [rights])
        self._end.sendall(message[sent:])

    def receive(self) -> list[dict[str, Any]]:
        """Wait for some bytes; return the values that are whole now, maybe none.

        Raises EOFError when the other end is gone.
        """
        piece = self._read()
        if not piece:
            raise EOFError
        self._received += piece
        found = []
        while len(self._received) >= _HEAD:
            end = _HEAD + int.from_bytes(self._received[:_HEAD], "big")
            if len(self._received) < end:
                break
            found.append(json.loads(self._received[_HEAD:end]))
            self._received = self._received[end:]
        return found

    def take(self, count: int) -> list[int]:
        """Return the next descriptors that came; the caller closes them."""
        return [self._descriptors.popleft() for _ in range(count)]

    def _read(self) -> bytes:
        room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
        try:
            piece, beside, _, _ = self._end.recvmsg(_PIECE, room)
        except ConnectionError:
            return b""
        for level, kind, content in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._keep(content)
        return piece

    def _keep(self, content: bytes) -> None:
        numbers = array.array("i")
        numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
        for number in numbers:
            self._descriptors.append(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE))
            os.close(number)
