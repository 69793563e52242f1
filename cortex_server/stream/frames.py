"""Server-sent event frames that are not logged events."""

from typing import Any

from cortex_server.log import encode


def frame(event: str, data: dict[str, Any], event_id: str | None = None) -> bytes:
    """One frame with JSON data; with an id where the reader's cursor is to move."""
    return raw_frame(event, encode(data).encode(), event_id)


def raw_frame(event: str, data: bytes, event_id: str | None = None) -> bytes:
    """One frame whose data is JSON on one line already."""
    head = f"id: {event_id}\n" if event_id else ""
    return b"%sevent: %s\ndata: %s\n\n" % (head.encode(), event.encode(), data)


def retry(milliseconds: int) -> bytes:
    return b"retry: %d\n\n" % milliseconds


def end(reason: str, reconnect: bool, reconnect_in_ms: int) -> bytes:
    """The goodbye. reconnect: whether coming back makes sense, and then after how long."""
    content = {"reason": reason, "reconnect": reconnect, "reconnect_in_ms": reconnect_in_ms}
    return frame("end", content)
