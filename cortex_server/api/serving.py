"""What every declared route does the same way, from the token to the bytes of the answer."""

import re
from dataclasses import dataclass
from typing import Any

from flask import Request, Response, request
from pydantic import ValidationError

from cortex_server.api import problems
from cortex_server.api.answers import not_modified, to_answer, to_response
from cortex_server.api.credentials import grant_of, secret_of
from cortex_server.api.endpoint import Call, Endpoint, Read, Write, services
from cortex_server.api.fields import faults
from cortex_server.api.parsing import check_json_type, has_body, parse_object, read_body
from cortex_server.api.queries import parse_query
from cortex_server.auth import Grant
from cortex_server.domains import idempotency
from cortex_server.domains.idempotency import Answer
from cortex_server.errors import Malformed, NotFound
from cortex_server.services import Services

_ETAG = re.compile(r'"([0-9]{1,9})"')


def serve(endpoint: Endpoint, **args: str) -> Response:
    """A Flask view: answer one request of a declared route."""
    # the request itself: Flask's stand-in for it costs more than what is asked of it
    current: Request = request._get_current_object()  # type: ignore[attr-defined]
    return to_response(answer_to(endpoint, args, services(), current))


def answer_to(
    endpoint: Endpoint, args: dict[str, str], services: Services, request: Request
) -> Answer:
    """The answer to one request of a declared route. args: the variable parts of its path."""
    asked = _Asked(endpoint, args, services, request, secret_of(request))
    if endpoint.method == "GET":
        answer = _read(asked)
        return Answer(304, answer.headers, b"") if not_modified(request, answer) else answer
    grant = _admitted(asked)  # before the body is read: it may take its time
    raw = _raw_body(asked)
    return _write(asked, grant, raw) if endpoint.stores else _read(asked, raw)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request of a declared route. args: the variable parts of its path."""

    endpoint: Endpoint
    args: dict[str, str]
    services: Services
    request: Request
    secret: str


def _admitted(asked: _Asked) -> Grant:
    grants = asked.services.grants
    grant = grants.find(asked.secret)
    if grant is None:
        with asked.services.store.read() as tx:
            grant = grant_of(asked.services, tx, asked.secret)
        grants.note(asked.secret, grant)
    asked.endpoint.admit(grant)
    return grant


def _read(asked: _Asked, raw: bytes = b"") -> Answer:
    endpoint = asked.endpoint
    if endpoint.method == "GET":
        _refuse_body(asked.request)
    with asked.services.store.read() as tx:
        grant = grant_of(asked.services, tx, asked.secret)
        endpoint.admit(grant)
        query, body, revision = _inputs(asked, raw)
        call = Read(asked.services, asked.request, grant, asked.args, query, body, revision, tx)
        return to_answer(_run(endpoint, call), endpoint.status)


def _write(asked: _Asked, grant: Grant, raw: bytes) -> Answer:
    endpoint, environ = asked.endpoint, asked.request.environ
    query, body, revision = _inputs(asked, raw)
    claimed = None
    key = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None:
        address = f"{asked.request.path}?{environ.get('QUERY_STRING', '')}"
        what = (endpoint.method, address, raw)
        claimed = idempotency.claim(
            grant.token_id, key, what, asked.secret if endpoint.sealed else None
        )
    with asked.services.store.write(grant.actor) as tx:
        # again: it may have been revoked in the meantime
        grant = grant_of(asked.services, tx, asked.secret)
        endpoint.admit(grant)
        if claimed and (stored := idempotency.find(tx, claimed)):
            return stored
        call = Write(asked.services, asked.request, grant, asked.args, query, body, revision, tx)
        value = _run(endpoint, call)
        answer = to_answer(value, endpoint.status)
        if endpoint.location and answer.status == 201:
            answer.headers["Location"] = endpoint.location(getattr(value, "value", value))
        if claimed:
            idempotency.keep(tx, claimed, answer)
        return answer


def _run(endpoint: Endpoint, call: Call) -> Any:
    try:
        return endpoint.handler(call)
    except NotFound:
        if call.grant.sees_all:
            raise
        raise problems.hidden() from None


def _inputs(asked: _Asked, raw: bytes) -> tuple[Any, Any, int | None]:
    endpoint = asked.endpoint
    query = parse_query(endpoint.query, asked.request.environ.get("QUERY_STRING", ""))
    body = None
    if endpoint.body is not None:
        try:
            body = endpoint.body.model_validate(parse_object(raw) if raw else {})
        except ValidationError as error:
            raise problems.invalid(faults(error)) from None
    return query, body, _revision(asked, query, body)


def _raw_body(asked: _Asked) -> bytes:
    """The bytes of the body. b"" only where it may be left out and is."""
    if asked.endpoint.body is None:
        _refuse_body(asked.request)
        return b""
    if asked.endpoint.body_optional and not has_body(asked.request):
        return b""
    check_json_type(asked.request)
    config = asked.services.config
    raw = read_body(asked.request, config.body_max_bytes, config.body_timeout_s)
    if not raw:
        parse_object(raw)  # says that it is empty
    return raw


def _refuse_body(refused: Request) -> None:
    if has_body(refused):
        raise Malformed(f"{refused.method} takes no body here.")


def _revision(asked: _Asked, query: Any, body: Any) -> int | None:
    """The revision that the request names, in one of three places, or None."""
    named = {getattr(query, "revision", None), getattr(body, "revision", None)}
    header = asked.request.environ.get("HTTP_IF_MATCH")
    if header is not None and asked.endpoint.method != "GET" and header.strip() != "*":
        match = _ETAG.fullmatch(header.strip())
        if not match:
            raise Malformed('If-Match takes one revision in quotes, like "7".')
        if not asked.endpoint.revised:
            raise Malformed("If-Match: nothing with a revision is changed here.")
        named.add(int(match[1]))
    named.discard(None)
    if len(named) > 1:
        raise Malformed("The request names two different revisions.")
    return named.pop() if named else None
