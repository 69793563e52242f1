"""Requests as bytes, and the end of an answer: no library in the hot loop."""

import re
from collections.abc import Mapping

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


def request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """An HTTP/1.1 request to this machine, which keeps its connection."""
    fields = {"Host": "127.0.0.1", **(headers or {})}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if method not in ("GET", "HEAD"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer_length(received: bytes | bytearray) -> int | None:
    """How long the first answer in `received` is, head included; None while it is not complete.

    An answer without a length must be chunked, and ends where `received` ends in a last chunk.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[: end + 2])
    if found := _LENGTH.search(head):
        length = end + 4 + int(found[1])
        return length if len(received) >= length else None
    if _CHUNKED.search(head):
        return len(received) if received.endswith(b"0\r\n\r\n") else None
    return end + 4


def status(received: bytes | bytearray) -> int:
    return int(received[9:12])
