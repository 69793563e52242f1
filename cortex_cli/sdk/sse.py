"""Bytes to server-sent events, in linear time.

sseclient-py reads the fields of an event. What it leaves out is done here: it dispatches a
truncated last event together with its id, forgets `id` and `retry` of a frame without data, keeps
a BOM and an id with NUL, takes any text as `retry`, stops at bytes that are not UTF-8, has no
bound, and copies all that it holds for every line. So it gets whole frames only, and long ones in
pieces; lines are split on bytes, as `str.splitlines` would also split at U+2028 and U+0085.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .errors import EventTooLarge

MAX_EVENT_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_LINES_PER_PIECE = 64  # bounds what sseclient-py copies again for each line
_LONGEST_RETRY = 9  # digits; more is a mistake, and int() of thousands of them raises


@dataclass(frozen=True, slots=True)
class Frame:
    """What one blank line completed.

    data: None when there is nothing to dispatch and only the id counts.
    id: None when the frame names none; "" takes the last one back.
    """

    event: str
    data: str | None
    id: str | None


class Decoder:
    """Turns the chunks of one connection into frames.

    retry_ms: the last reconnection time that the server asked for.
    last_id: the id of the last complete frame that had one.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.retry_ms: int | None = None
        self.last_id = ""
        self._max = max_event_bytes
        self._head: bytes | None = b""  # the first bytes, until a BOM is ruled out
        self._after_cr = False
        self._pieces: list[bytes] = []  # of the line that is not complete
        self._size = 0  # bytes kept for the frame that is not complete
        self._data: list[bytes] = []
        self._event = b""
        self._id: str | None = None

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Yield the frames that the chunk completes.

        Raises EventTooLarge when the open frame exceeds the limit, after the frames before it.
        """
        for line in self._lines(self._without_bom(chunk)):
            if line:
                self._take(line)
                continue
            frame = self._complete()
            if frame is not None:
                yield frame

    def _without_bom(self, chunk: bytes) -> bytes:
        if self._head is None:
            return chunk
        start = self._head + chunk
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._head = start
            return b""
        self._head = None
        return start.removeprefix(_BOM)

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that the chunk completes; they end in CR, LF or CRLF."""
        if not chunk:
            return
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # the second half of a CRLF that a read cut in two
        # A lone LF that was dropped must not hide a CR before it: there is none any more.
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._grow(end)
            line = b"".join(self._pieces)
            self._pieces.clear()
            yield line
        self._grow(rest)

    def _grow(self, piece: bytes) -> None:
        if not piece:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._max:
            raise EventTooLarge(
                f"The server sent an event of more than {self._max} bytes, which is the limit."
            )

    def _take(self, line: bytes) -> None:
        colon = line.find(b":")
        name = line if colon < 0 else line[:colon]
        if name == b"data":
            self._data.append(line)
            return
        self._size -= len(line)  # only data is kept as it came
        value = b"" if colon < 0 else line[colon + 1 :].removeprefix(b" ")
        if name == b"event":
            self._event = line
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_RETRY:
            self.retry_ms = int(value)

    def _complete(self) -> Frame | None:
        data, event, id_ = self._data, self._event, self._id
        self._data, self._event, self._id, self._size = [], b"", None, 0
        if id_ is not None:
            self.last_id = id_
        if data:
            name, text = _fields(event, data)
            return Frame(name, text, id_)
        return None if id_ is None else Frame("message", None, id_)


def _fields(event: bytes, data: list[bytes]) -> tuple[str, str]:
    """Return the event's name and its data, the lines joined by LF."""
    try:
        return _parse(event, data)
    except UnicodeDecodeError:
        return _parse(_repaired(event), [_repaired(line) for line in data])


def _parse(event: bytes, data: list[bytes]) -> tuple[str, str]:
    from sseclient import SSEClient

    frames = []
    for start in range(0, len(data), _LINES_PER_PIECE):
        lines = data[start : start + _LINES_PER_PIECE]
        frames.append(b"\n".join([event or b"event", *lines, b"", b""]))
    pieces = list(SSEClient(iter(frames)).events())
    return pieces[0].event, "\n".join([piece.data for piece in pieces])


def _repaired(line: bytes) -> bytes:
    return line.decode("utf-8", "replace").encode()
