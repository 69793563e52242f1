"""The AsyncAPI document of the event streams, made from the catalogue."""

from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from cortex_server.events import EVENTS

_REF = "#/components/schemas/{model}"


@cache
def document(version: str) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    models = sorted({event.payload for event in EVENTS.values()}, key=lambda m: m.__name__)
    _, found = models_json_schema([(m, "serialization") for m in models], ref_template=_REF)
    refs = {name: {"$ref": f"#/components/messages/{name}"} for name in EVENTS}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Cortex events",
            "version": version,
            "description": "Every change, as server-sent events. See docs/events.md.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": {
                "address": "/events",
                "title": "Server-sent events",
                "description": "A board (?project=KEY), or all that the token may read.",
                "messages": refs,
                "bindings": {"http": {}},
            }
        },
        "operations": {
            "receive": {
                "action": "receive",
                "channel": {"$ref": "#/channels/events"},
                "summary": "Follow the changes.",
                "bindings": {"http": {"method": "GET"}},
                "messages": [{"$ref": f"#/channels/events/messages/{name}"} for name in EVENTS],
            }
        },
        "components": {
            "messages": {name: _message(name) for name in EVENTS},
            "schemas": found["$defs"],
        },
    }


def _message(name: str) -> dict[str, Any]:
    event = EVENTS[name]
    payload = {"$ref": _REF.format(model=event.payload.__name__)}
    return {
        "name": name,
        "title": name,
        "summary": event.meaning,
        "contentType": "application/json",
        "payload": _ephemeral(name, payload) if event.ephemeral else _logged(name, payload),
        "x-ephemeral": event.ephemeral,
    }


def _logged(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    fields = _common(name, payload) | {
        "id": {"type": "string", "description": "<epoch>.<position>, also the frame's id."},
        "seq": {"type": ["integer", "null"], "description": "Contiguous in its project."},
        "actor": {"$ref": "#/components/schemas/Actor"},
    }
    return {"type": "object", "required": sorted(fields), "properties": fields}


def _ephemeral(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    fields = _common(name, payload)
    return {"type": "object", "required": sorted(fields), "properties": fields}


def _common(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": {"const": name},
        "project": {"type": ["string", "null"]},
        "ticket": {"type": ["string", "null"]},
        "at": {"type": "string", "format": "date-time"},
        "payload": payload,
    }
