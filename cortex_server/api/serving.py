"""What every declared route does the same way, from the token to the bytes of the answer."""

import re
from typing import Any

from flask import Response, request
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

_ETAG = re.compile(r'"([0-9]{1,9})"')


def serve(endpoint: Endpoint, **args: str) -> Response:
    """Answer one request of a declared route."""
    secret = secret_of(request)
    if endpoint.method == "GET":
        answer = _read(endpoint, secret, args)
        if not_modified(request, answer):
            answer = Answer(304, answer.headers, b"")
        return to_response(answer)
    with services().store.read() as tx:  # before the body is read: it may take its time
        grant = grant_of(services(), tx, secret)
    endpoint.admit(grant)
    raw = _raw_body(endpoint)
    if endpoint.stores:
        return to_response(_write(endpoint, grant, secret, args, raw))
    return to_response(_read(endpoint, secret, args, raw))


def _read(endpoint: Endpoint, secret: str, args: dict[str, str], raw: bytes = b"") -> Answer:
    if endpoint.method == "GET":
        _refuse_body()
    with services().store.read() as tx:
        grant = grant_of(services(), tx, secret)
        endpoint.admit(grant)
        query, body, revision = _inputs(endpoint, raw)
        call = Read(services(), grant, args, query, body, revision, tx)
        return to_answer(_run(endpoint, call), endpoint.status)


def _write(
    endpoint: Endpoint, grant: Grant, secret: str, args: dict[str, str], raw: bytes
) -> Answer:
    query, body, revision = _inputs(endpoint, raw)
    address = f"{request.path}?{request.environ.get('QUERY_STRING', '')}"
    claimed = idempotency.claim(
        grant.token_id,
        request.headers.get("Idempotency-Key"),
        (request.method, address, raw),
        secret if endpoint.sealed else None,
    )
    with services().store.write(grant.actor) as tx:
        grant = grant_of(services(), tx, secret)  # again: it may have been revoked in the meantime
        endpoint.admit(grant)
        if claimed and (stored := idempotency.find(tx, claimed)):
            return stored
        call = Write(services(), grant, args, query, body, revision, tx)
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


def _inputs(endpoint: Endpoint, raw: bytes) -> tuple[Any, Any, int | None]:
    query = parse_query(endpoint.query, request.environ.get("QUERY_STRING", ""))
    body = None
    if endpoint.body is not None:
        try:
            body = endpoint.body.model_validate(parse_object(raw) if raw else {})
        except ValidationError as error:
            raise problems.invalid(faults(error)) from None
    return query, body, _revision(endpoint, query, body)


def _raw_body(endpoint: Endpoint) -> bytes:
    """The bytes of the body. b"" only where it may be left out and is."""
    if endpoint.body is None:
        _refuse_body()
        return b""
    if endpoint.body_optional and not has_body(request):
        return b""
    check_json_type(request)
    config = services().config
    raw = read_body(request, config.body_max_bytes, config.body_timeout_s)
    if not raw:
        parse_object(raw)  # says that it is empty
    return raw


def _refuse_body() -> None:
    if has_body(request):
        raise Malformed(f"{request.method} takes no body here.")


def _revision(endpoint: Endpoint, query: Any, body: Any) -> int | None:
    """The revision that the request names, in one of three places, or None."""
    named = {getattr(query, "revision", None), getattr(body, "revision", None)}
    header = request.headers.get("If-Match")
    if header is not None and endpoint.method != "GET" and header.strip() != "*":
        match = _ETAG.fullmatch(header.strip())
        if not match:
            raise Malformed('If-Match takes one revision in quotes, like "7".')
        if not endpoint.revised:
            raise Malformed("If-Match: nothing with a revision is changed here.")
        named.add(int(match[1]))
    named.discard(None)
    if len(named) > 1:
        raise Malformed("The request names two different revisions.")
    return named.pop() if named else None
