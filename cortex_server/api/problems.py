"""Every error as problem details (RFC 9457), whoever raised it."""

import json
from typing import Any

import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from cortex_server.errors import (
    CortexError,
    Invalid,
    Malformed,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from cortex_server.ids import new_id

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 1

_log = structlog.get_logger(__name__)


class BodyTimeout(CortexError):
    """Also says so to gevent's timer, which raises it inside the read."""

    status, default_code, title = 408, "body_timeout", "Body too slow"


class CrossSite(CortexError):
    status, default_code, title = 403, "cross_site", "Cross-site request"


class Draining(Unavailable):
    default_code, title = "draining", "Shutting down"


# What the framework itself refuses: (code, detail)
_FRAMEWORK = {
    400: ("malformed", "The request cannot be read."),
    404: (
        "not_found",
        "There is nothing at this address; GET /api/openapi.json lists what there is.",
    ),
    405: (
        "method_not_allowed",
        "This address does not take this method; the Allow header names those.",
    ),
    413: ("too_large", "The body is too large."),
}


def register(app: Flask) -> None:
    """Answer every error of the application with a problem document."""
    app.register_error_handler(CortexError, of_error)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, of_fault)


def of_error(error: CortexError) -> Response:
    """The answer to one of our own errors."""
    body = {
        "type": f"urn:cortex:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.extra,
    }
    response = _answer(error.status, body)
    if isinstance(error, Unauthenticated):
        known = error.code.startswith("token_")
        response.headers["WWW-Authenticate"] = (
            'Bearer realm="cortex", error="invalid_token"' if known else 'Bearer realm="cortex"'
        )
    if error.status in (429, 503):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def hidden() -> NotFound:
    """For a token that does not see all: the same words, whether it is missing or hidden."""
    return NotFound("There is no such thing, or this token may not read it.")


def invalid(errors: list[dict[str, str]]) -> Invalid:
    """Refused fields of a body, named in one sentence and one by one."""
    return Invalid(_sentence(errors), errors=errors)


def malformed(errors: list[dict[str, str]]) -> Malformed:
    """Refused parameters of an address."""
    return Malformed(_sentence(errors), errors=errors)


def _sentence(errors: list[dict[str, str]]) -> str:
    return "; ".join(f"{error['field']}: {error['message']}" for error in errors) + "."


def _of_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:  # a redirect that the router wants is no error
        return error.get_response()  # type: ignore[return-value]
    code, detail = _FRAMEWORK.get(status, (f"http_{status}", "The request was refused."))
    response = _answer(
        status,
        {
            "type": f"urn:cortex:problem:{code}",
            "title": error.name,
            "status": status,
            "detail": detail,
            "code": code,
        },
    )
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            response.headers[name] = value
    return response


def of_fault(error: Exception) -> Response:
    """Our own bug: everything into the log, nothing of it to the client."""
    request_id = new_id()
    _log.error("request_failed", request_id=request_id, exc_info=error)
    return _answer(
        500,
        {
            "type": "urn:cortex:problem:internal",
            "title": "Internal error",
            "status": 500,
            "detail": "The server made a mistake; its log has it under this request id.",
            "code": "internal",
            "request_id": request_id,
        },
    )


def _answer(status: int, body: dict[str, Any]) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    # a detail may quote what came in; what cannot be encoded must not turn a 4xx into a 500
    return Response(text.encode("utf-8", "replace"), status, content_type=CONTENT_TYPE)
