"""Plain requests: what nearly every program sends, read without a general parser.

A request is plain when its head has come in one piece, is short, and has known headers only, each
once and spelled as everybody does. What is anything else is read or refused by gunicorn, from its
first byte on: nothing is decided here about a request that is in any way unusual.
"""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

HEAD_MAX = 4_000  # bytes: below all of gunicorn's limits
ARRIVED = "cortex.body"  # of an environ: the whole body, where it has come already
_TARGET = rb"(/(?:[A-Za-z0-9_.:~-][A-Za-z0-9/_.:~-]*)?)(?:\?([A-Za-z0-9/_.:~=&,*%+-]*))?"
_REQUEST_LINE = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) " + _TARGET + rb" HTTP/1\.1")
_HEADER = re.compile(rb"([A-Za-z-]{1,40}): ?([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")
_LENGTH = re.compile(r"[0-9]{1,10}", re.ASCII)
_KEYS = {
    "HOST": "HTTP_HOST",
    "CONTENT-TYPE": "CONTENT_TYPE",
    "CONTENT-LENGTH": "CONTENT_LENGTH",
    "CONNECTION": "HTTP_CONNECTION",
} | {
    name: f"HTTP_{name.replace('-', '_')}"
    for name in (
        "ACCEPT", "ACCEPT-ENCODING", "ACCEPT-LANGUAGE", "AUTHORIZATION", "CACHE-CONTROL",
        "IDEMPOTENCY-KEY", "IF-MATCH", "IF-NONE-MATCH", "LAST-EVENT-ID", "USER-AGENT",
        "X-CORTEX-PROJECT",
    )
}  # fmt: skip

Header = tuple[str, str]  # the key in the environ, and the value


@dataclass(slots=True)
class Head:
    """environ: what the head says · end: where the body begins · length: of the body, in bytes."""

    environ: dict[str, Any]
    end: int
    length: int


def read_head(data: bytes, known: dict[bytes, Header]) -> Head | None:
    """The head at the beginning of `data`; None when it is not a plain one, or not all there.

    known: the header lines of earlier requests of this connection, which are mostly the same.
    """
    end = data.find(b"\r\n\r\n", 0, HEAD_MAX)
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        return None
    method, path, query = line.groups(b"")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method.decode(),
        "RAW_URI": first[len(method) + 1 : -9].decode(),
        "PATH_INFO": path.decode(),
        "QUERY_STRING": query.decode(),
    }
    fixed = len(environ)
    for text in lines:
        header = known.get(text) or _header(text, known)
        if header is None:
            return None
        environ[header[0]] = header[1]
    if len(environ) != fixed + len(lines):  # one came twice
        return None
    return Head(environ, end + 4, int(environ.get("CONTENT_LENGTH", 0)))


def _header(text: bytes, known: dict[bytes, Header]) -> Header | None:
    match = _HEADER.fullmatch(text)
    if match is None:
        return None
    name, value = match[1].upper().decode(), match[2].decode()
    key = _KEYS.get(name)
    unusual = (name == "CONNECTION" and value.lower() != "keep-alive") or (
        name == "CONTENT-LENGTH" and not _LENGTH.fullmatch(value)
    )
    if key is None or unusual:
        return None
    if name != "IDEMPOTENCY-KEY" and len(known) < len(_KEYS):  # that one never comes again
        known[text] = key, value
    return key, value


class Body(io.RawIOBase):
    """A body of which a part has come already. rest: what has not been taken off the socket."""

    def __init__(self, sock: Any, arrived: bytes, length: int) -> None:
        self.rest = length - len(arrived)
        self.broken = False  # the client has gone before its end
        self._sock = sock
        self._arrived = memoryview(arrived)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        """Fill `into`, perhaps not whole. 0: the end, or the client has gone before it."""
        if self._arrived:
            size = min(len(into), len(self._arrived))
            into[:size] = self._arrived[:size]
            self._arrived = self._arrived[size:]
            return size
        if not self.rest:
            return 0
        size = int(self._sock.recv_into(memoryview(into)[: self.rest]))
        self.rest = self.rest - size if size else 0
        self.broken = not size
        return size

    def can_be_skipped(self, most: int) -> bool:
        """Whether no more than so much is left of it, and may still come."""
        return self.rest <= most and not self.broken

    def skip(self) -> bool:
        """Take what is left of it off the socket; False where that never comes."""
        self._arrived = memoryview(b"")
        while self.read(65_536):
            pass
        return not self.broken


def head_of(
    status: str, headers: Sequence[Header], always: str, has_length: bool, length: int
) -> bytes:
    """The head of an answer. Raises ValueError for a header that would end its line."""
    lines = [f"HTTP/1.1 {status}", always, *[f"{name}: {value}" for name, value in headers]]
    if not has_length:
        lines.append(f"Content-Length: {length}")
    text = "\r\n".join(lines)
    breaks = len(lines) - 1 + always.count("\n")
    if text.count("\r") != breaks or text.count("\n") != breaks or "\0" in text:
        raise ValueError("a header with a line break")
    return f"{text}\r\n\r\n".encode("latin-1")


def joined(parts: Iterable[bytes]) -> bytes:
    """What a WSGI application returned, as one piece."""
    try:
        return b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
