"""What an event says, in a few words: the same in `cortex watch` and on the board."""

import json
from collections.abc import Mapping
from typing import Any


def summary(kind: str, payload: Mapping[str, Any]) -> str:
    """Return what happened in a few words; the JSON of a type that is not known."""
    noun = kind.split(".")[0]
    changed = payload.get("changed")
    moved = changed.get("status") if isinstance(changed, dict) else None
    if kind == "ticket.moved" and isinstance(moved, dict):
        return f"{moved.get('from')} → {moved.get('to')}"
    if kind == "ticket.updated" and isinstance(changed, dict):
        return f"{', '.join(changed)}: {payload.get('title')}"
    if kind == "message.delta":
        return str(payload.get("text", ""))
    if noun == "message":
        return f"{payload.get('role')}: {_said(payload)}"
    if noun == "session":
        return _joined(payload.get("outcome") or payload.get("status"), payload, "tool", "work")
    if noun == "attempt":
        names = ("status", "stage", "progress", "reason", "text")
        if said := _joined(payload.get("agent"), payload, *names):
            return said
    for name in ("summary", "body" if noun == "comment" else "title", "name", "key"):
        if payload.get(name):
            return str(payload[name])
    return json.dumps(dict(payload), ensure_ascii=False)


def _joined(first: Any, payload: Mapping[str, Any], *names: str) -> str:
    words = (first, *(payload.get(name) for name in names))
    return " ".join(str(word) for word in words if word)


def _said(payload: Mapping[str, Any]) -> str:
    parts = payload.get("parts")
    texts = [str(part.get("text", "")) for part in parts or [] if isinstance(part, dict)]
    return " ".join(filter(None, texts))
