"""Server-sent event frames that are not logged events."""

from typing import Any

from cortex_server.log import encode


def frame(event: str, data: dict[str, Any], event_id: str | None = None) -> bytes:
    """One frame with JSON data; with an id where the reader's cursor is to move."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event}\ndata: {encode(data)}\n\n".encode()


def retry(milliseconds: int) -> bytes:
    return b"retry: %d\n\n" % milliseconds


def end(reason: str, reconnect: bool, reconnect_in_ms: int) -> bytes:
    """The goodbye. reconnect: whether coming back makes sense, and then after how long."""
    content = {"reason": reason, "reconnect": reconnect, "reconnect_in_ms": reconnect_in_ms}
    return frame("end", content)
