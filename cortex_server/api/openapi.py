"""The OpenAPI document, made from the declarations of the routes."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from apispec import APISpec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cortex_server.api.endpoint import Endpoint, Routes
from cortex_server.api.fields import Query
from cortex_server.api.schemas import Problem

_REF = "#/components/schemas/{model}"
_ARGUMENT = re.compile(r"<(\w+)>")
_MEANINGS = {
    "key": "The key, in any case.",
    "ref": "The ticket's key in any case, or its id.",
    "id": "The id.",
    "mid": "The message's id: 1 to 128 letters, digits and . _ : -",
    "name": "The name of a label.",
    "cid": "The command's id.",
}
_EVERYWHERE = {
    400: "The request cannot be read.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token may not do this, or a page of another site asks.",
}
_BODY = {
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A field's value is refused, or the Idempotency-Key was used for another request.",
}
_STORES = {
    409: "The state of the thing does not allow it, or the change names an outdated revision.",
    503: "The storage cannot take it now.",
    507: "The disk is full.",
}
_ABOUT = (
    "The REST API of Cortex. Every change is also an event: see /api/asyncapi.json. Errors are "
    "problem details (RFC 9457) with a stable code. Objects carry a revision: a change that "
    "names an outdated one is refused with the current object."
)


@cache
def document(nouns: Sequence[Routes], version: str) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    spec = APISpec(
        title="Cortex",
        version=version,
        openapi_version="3.1.0",
        info={"description": _ABOUT, "license": {"name": "MIT", "identifier": "MIT"}},
        servers=[{"url": "/"}],
        security=[{"bearer": []}, {"cookie": []}],
    )
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    spec.components.security_scheme(
        "cookie",
        {
            "type": "apiKey",
            "in": "cookie",
            "name": "cortex_4747",
            "description": "Set by /login; its name ends in the server's port.",
        },
    )
    endpoints = [endpoint for routes in nouns for endpoint in routes.endpoints]
    for name, schema in _schemas(endpoints).items():
        spec.components.schema(name, schema)
    for routes in nouns:
        spec.tag({"name": routes.noun})
    for endpoint in endpoints:
        path = "/api" + _ARGUMENT.sub(r"{\1}", endpoint.path)
        spec.path(path, operations={endpoint.method.lower(): _operation(endpoint)})
    whole: dict[str, Any] = spec.to_dict()
    return whole


def _schemas(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The schemas of all bodies and answers, by the names of their models."""
    bodies = {e.body for e in endpoints if e.body}
    answers: set[type[BaseModel]] = {e.answer for e in endpoints if e.answer} | {Problem}
    inputs = sorted(bodies, key=lambda model: model.__name__)
    outputs = sorted(answers, key=lambda model: model.__name__)
    _, found = models_json_schema(
        [(m, "validation") for m in inputs] + [(m, "serialization") for m in outputs],
        ref_template=_REF,
    )
    schemas: dict[str, Any] = found["$defs"]
    # a problem has more members than these, as its code says
    schemas["Problem"].pop("additionalProperties", None)
    return schemas


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.noun],
        "description": _who(endpoint),
        "parameters": [*_path(endpoint), *_query(endpoint.query), *_headers(endpoint)],
        "responses": _responses(endpoint),
    }
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": not endpoint.body_optional,
            "content": {"application/json": {"schema": _ref(endpoint.body)}},
        }
    return operation


def _who(endpoint: Endpoint) -> str:
    roles = {
        "read": "Any token, for what it may read.",
        "write": "A token with the role write or admin.",
        "wide": "A token with the role write or admin, for all projects.",
        "runner": "A token with the role runner or admin.",
        "admin": "A token with the role admin.",
    }[endpoint.access]
    if not endpoint.agent:
        return roles
    runner = "a runner's, and " if endpoint.access == "write" else ""
    return f"{roles} Also {runner}an agent's, on its own ticket."


def _path(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _MEANINGS[name],
            "schema": {"type": "string"},
        }
        for name in _ARGUMENT.findall(endpoint.path)
    ]


def _query(model: type[Query]) -> list[dict[str, Any]]:
    found = []
    schema = model.model_json_schema(ref_template=_REF)
    for name, declared in schema.get("properties", {}).items():
        plain = {k: v for k, v in declared.items() if k not in ("title", "description")}
        # null is how we say that a parameter is absent; it cannot be sent
        kinds = [kind for kind in plain.get("anyOf", []) if kind.get("type") != "null"]
        if kinds:
            plain = kinds[0]
        if plain.get("default", 0) is None:
            del plain["default"]
        parameter = {
            "name": name, "in": "query", "required": name in schema.get("required", []),
            "schema": plain,
        }  # fmt: skip
        if "description" in declared:
            parameter["description"] = declared["description"]
        found.append(parameter)
    return found


def _headers(endpoint: Endpoint) -> list[dict[str, Any]]:
    found = []
    if endpoint.stores:
        found.append(_header(
            "Idempotency-Key", "A repeated request with the same key has one effect and the same "
            "answer, for 24 hours.", {"type": "string", "minLength": 1, "maxLength": 255},
        ))  # fmt: skip
    if endpoint.revised:
        found.append(_header(
            "If-Match", 'The revision that the change was made against, in quotes: "7".',
            {"type": "string"},
        ))  # fmt: skip
    return found


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status in filter(None, (endpoint.status, endpoint.other_status)):
        answers[str(status)] = _answer(endpoint, status)
    errors = dict(_EVERYWHERE)
    names_a_thing = {"project", "ticket"} & endpoint.query.model_fields.keys()
    if "<" in endpoint.path or endpoint.stores or names_a_thing:
        errors[404] = "There is no such thing, or none that the token may read."
    if endpoint.body is not None:
        errors |= _BODY
    if endpoint.method != "GET":
        errors |= _STORES
    if endpoint.stores:
        errors.setdefault(422, _BODY[422])
    for status in sorted(errors):
        content = {"application/problem+json": {"schema": _ref(Problem)}}
        answers[str(status)] = {"description": errors[status], "content": content}
    return answers


def _answer(endpoint: Endpoint, status: int) -> dict[str, Any]:
    words = {200: "Done.", 201: "Created.", 202: "Taken, not durable yet.", 204: "Done."}
    answer: dict[str, Any] = {"description": words[status]}
    if endpoint.answer is not None:
        schema = _listing(endpoint.answer) if endpoint.many else _ref(endpoint.answer)
        answer["content"] = {"application/json": {"schema": schema}}
        fields = endpoint.answer.model_fields
        if "revision" in fields and not endpoint.many:
            answer["headers"] = {"ETag": {"schema": {"type": "string"}}}
    elif status != 204:
        answer["content"] = {endpoint.media_type: {"schema": {}}}
    if status == 201 and endpoint.location:
        answer.setdefault("headers", {})["Location"] = {"schema": {"type": "string"}}
    return answer


def _listing(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "next_cursor"],
        "properties": {
            "items": {"type": "array", "items": _ref(model)},
            "next_cursor": {"type": ["string", "null"]},
        },
    }


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _REF.format(model=model.__name__)}
