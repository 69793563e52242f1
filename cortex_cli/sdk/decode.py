"""Frames to values."""

from __future__ import annotations

import json
from typing import Any

from .errors import CortexError, NotAllowed, NotFound, Problem, StreamError
from .sse import Frame
from .values import (
    Actor,
    Connected,
    Delta,
    End,
    Event,
    Heartbeat,
    Overview,
    Reset,
    State,
    Value,
)

DEFAULT_HEARTBEAT_S = 15.0
_LONGEST_HEARTBEAT_S = 3600.0
_PROTOCOL = frozenset({"hello", "reset", "state", "heartbeat", "end", "dashboard_overview"})
_ENDED_FOR_GOOD = {"revoked": NotAllowed, "expired": NotAllowed, "project_deleted": NotFound}


def value_of(frame: Frame, asked_end_s: float) -> Value:
    """Return what the frame says.

    asked_end_s: the wait after an `end` that names none.
    Raises StreamError when a frame of the protocol itself cannot be read. An *event* that cannot
    be read is returned raw, as a gap of 1: one bad event must not stop the stream.
    """
    if frame.event not in _PROTOCOL:
        return _event(frame)
    body = _object(frame.data or "")
    if body is None:
        raise StreamError(f"The server sent a `{frame.event}` that cannot be read.", True)
    match frame.event:
        case "hello":
            return _hello(body)
        case "reset":
            return Reset(_text(body, "reason"), _number(body, "floor"), _number(body, "seq"))
        case "state":
            seq = _number(body, "seq")
            return State(frame.id or "", _number(body, "head") or 0, seq, body)
        case "heartbeat":
            head, seq = _number(body, "head"), _number(body, "seq")
            return Heartbeat(frame.id, _text(body, "at"), head, seq, _numbers(body.get("seqs")))
        case "end":
            return _end(body, asked_end_s)
        case _:
            return Overview(body, frame.id)


def reason_of(end: End) -> CortexError:
    """Return the error that an `end` without reconnection stands for."""
    status = {NotAllowed: 403, NotFound: 404}
    kind = _ENDED_FOR_GOOD.get(end.reason)
    text = f"The server ended the stream for good: {end.reason or 'no reason given'}."
    if kind is None:
        return StreamError(text)
    return kind(Problem(status[kind], end.reason, text, text))


def _hello(body: dict[str, Any]) -> Connected:
    heartbeat_s = body.get("heartbeat_s")
    if not isinstance(heartbeat_s, int | float) or not 0 < heartbeat_s <= _LONGEST_HEARTBEAT_S:
        heartbeat_s = DEFAULT_HEARTBEAT_S
    return Connected(
        epoch=_text(body, "epoch"),
        head=_number(body, "head") or 0,
        floor=_number(body, "floor") or 0,
        client_id=_text(body, "client_id"),
        server_time=_text(body, "server_time"),
        heartbeat_s=float(heartbeat_s),
        resumed=body.get("resumed") is True,
        version=_text(body, "version"),
        ticket=_text(body, "ticket") or None,
    )


def _end(body: dict[str, Any], asked_end_s: float) -> End:
    wait_ms = _number(body, "reconnect_in_ms")
    wait_s = asked_end_s if wait_ms is None or wait_ms < 0 else wait_ms / 1000
    return End(_text(body, "reason"), body.get("reconnect") is True, wait_s)


def _event(frame: Frame) -> Event | Delta:
    raw = frame.data or ""
    body = _object(raw)
    unreadable = body is None
    body = body or {}
    payload = body.get("payload")
    payload = payload if isinstance(payload, dict) else body
    project, ticket = _text(body, "project") or None, _text(body, "ticket") or None
    if frame.event == "message.delta":
        return Delta(frame.event, project, ticket, _text(body, "at"), payload, raw)
    return Event(
        id=frame.id,
        type=_text(body, "type") or frame.event,
        project=project,
        seq=_number(body, "seq"),
        ticket=ticket,
        at=_text(body, "at"),
        actor=_actor(body.get("actor")),
        payload=payload,
        raw=raw,
        snapshot=body.get("snapshot") is True or payload.get("snapshot") is True,
        gap=1 if unreadable and frame.id else 0,
    )


def _actor(found: Any) -> Actor:
    actor = found if isinstance(found, dict) else {}
    return Actor(_text(actor, "kind"), _text(actor, "name"))


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _numbers(found: Any) -> dict[str, int]:
    items = found if isinstance(found, dict) else {}
    return {key: number for key in items if (number := _number(items, key)) is not None}


def _number(body: dict[str, Any], key: str) -> int | None:
    value = body.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
