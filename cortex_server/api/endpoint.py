"""The one declaration of a route, and what every declared route does the same way.

From a declaration come: rights, strict body and query, the revision precondition, idempotency,
one transaction, ETag and Location, the JSON answer, and the OpenAPI document.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from flask import Blueprint, Response, current_app, request
from pydantic import BaseModel, ValidationError

from cortex_server.api import problems
from cortex_server.api.answers import Raw, not_modified, to_answer, to_response
from cortex_server.api.credentials import grant_of, secret_of
from cortex_server.api.fields import Body, Query, RevisedBody, RevisionQuery, faults
from cortex_server.api.parsing import check_json_type, has_body, parse_object, read_body
from cortex_server.api.queries import parse_query
from cortex_server.auth import Grant
from cortex_server.domains import idempotency
from cortex_server.domains.idempotency import Answer
from cortex_server.errors import Forbidden, Malformed, NotFound
from cortex_server.services import Services
from cortex_server.store import ReadTx, WriteTx

Access = Literal["read", "write", "wide", "admin"]
Handler = TypeVar("Handler", bound=Callable[[Any], Any])
_ETAG = re.compile(r'"([0-9]{1,9})"')


@dataclass(frozen=True)
class Call:
    """One request as a handler sees it. revision: the one that the change was made against."""

    services: Services
    grant: Grant
    args: dict[str, str]
    query: Any
    body: Any
    revision: int | None
    secret: str


@dataclass(frozen=True)
class Read(Call):
    tx: ReadTx


@dataclass(frozen=True)
class Write(Call):
    tx: WriteTx

    @property
    def given(self) -> dict[str, Any]:
        """The fields that the body named."""
        fields: dict[str, Any] = self.body.given()
        return fields


class Empty(Body):
    """No fields: the body may be left out."""


@dataclass(frozen=True)
class Endpoint:
    """A route. access: what the token's role must allow; the handler checks the project and ticket.

    agent: open to a token of one ticket · stores: runs in a write transaction · sealed: the answer
    holds a secret · answer: the model of the answer, `many` of it as a listing · problems: the
    statuses of errors beside those that every route has.
    """

    noun: str
    method: str
    path: str
    summary: str
    handler: Callable[[Any], Any]
    access: Access
    agent: bool
    body: type[Body] | None
    body_optional: bool
    query: type[Query]
    answer: type[BaseModel] | None
    many: bool
    status: int
    other_status: int | None
    location: Callable[[Any], str] | None
    stores: bool
    sealed: bool
    media_type: str

    @property
    def name(self) -> str:
        return f"{self.noun}_{self.handler.__name__}"

    @property
    def revised(self) -> bool:
        """Whether the request may name a revision."""
        in_body = self.body is not None and issubclass(self.body, RevisedBody)
        return in_body or issubclass(self.query, RevisionQuery)

    def admit(self, grant: Grant) -> None:
        """Refuse a token whose role is not enough. Raises Forbidden."""
        if grant.ticket is not None and not self.agent:
            raise Forbidden(f"This token is for {grant.ticket} and what is on it only.")
        if self.access == "admin":
            grant.check_admin()
        elif self.access == "wide":
            grant.check_wide_write()
        elif self.access == "write" and grant.role == "read":
            raise Forbidden("This token may only read; ask for one with the role write.")


class Routes:
    """The routes of one noun."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.endpoints: list[Endpoint] = []

    def get(
        self,
        path: str,
        *,
        summary: str,
        answer: type[BaseModel] | None,
        many: bool = False,
        query: type[Query] = Query,
        access: Access = "read",
        agent: bool = False,
        media_type: str = "application/json",
    ) -> Callable[[Handler], Handler]:
        """Declare a GET (and with it the HEAD)."""
        return self._declare(
            "GET", path, summary=summary, access=access, agent=agent, body=None, query=query,
            answer=answer, many=many, stores=False, media_type=media_type,
        )  # fmt: skip

    def post(
        self, path: str, *, status: int = 201, **declared: Any
    ) -> Callable[[Handler], Handler]:
        return self._declare("POST", path, status=status, **_with_body(declared))

    def put(self, path: str, **declared: Any) -> Callable[[Handler], Handler]:
        return self._declare("PUT", path, **_with_body(declared))

    def patch(self, path: str, **declared: Any) -> Callable[[Handler], Handler]:
        return self._declare("PATCH", path, **_with_body(declared))

    def delete(self, path: str, **declared: Any) -> Callable[[Handler], Handler]:
        """Declare a DELETE, which takes no body and answers 204 unless it declares an answer."""
        status = 200 if declared.get("answer") else 204
        return self._declare("DELETE", path, body=None, status=status, **declared)

    def blueprint(self) -> Blueprint:
        """A fresh blueprint with the declared routes, under /api."""
        blueprint = Blueprint(self.noun, __name__, url_prefix="/api")
        for endpoint in self.endpoints:
            blueprint.add_url_rule(
                endpoint.path,
                endpoint.name,
                partial(_serve, endpoint),
                methods=[endpoint.method],
                provide_automatic_options=False,
            )
        return blueprint

    def _declare(
        self,
        method: str,
        path: str,
        *,
        summary: str,
        answer: type[BaseModel] | None = None,
        many: bool = False,
        body: type[Body] | None = None,
        body_optional: bool = False,
        query: type[Query] = Query,
        access: Access = "write",
        agent: bool = False,
        status: int = 200,
        other_status: int | None = None,
        location: Callable[[Any], str] | None = None,
        stores: bool = True,
        sealed: bool = False,
        media_type: str = "application/json",
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.endpoints.append(
                Endpoint(
                    self.noun,
                    method,
                    path,
                    summary,
                    handler,
                    access,
                    agent,
                    body,
                    body_optional,
                    query,
                    answer,
                    many,
                    status,
                    other_status,
                    location,
                    stores,
                    sealed,
                    media_type,
                )  # fmt: skip
            )
            return handler

        return register


def services() -> Services:
    """What the running application is made of."""
    found: Services = current_app.extensions["cortex"]
    return found


def _with_body(declared: dict[str, Any]) -> dict[str, Any]:
    return declared if "body" in declared else declared | {"body": Empty, "body_optional": True}


def _serve(endpoint: Endpoint, **args: str) -> Response:
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
        call = Read(services(), grant, args, query, body, revision, secret, tx)
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
        call = Write(services(), grant, args, query, body, revision, secret, tx)
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
        # in the same words whether it is missing or hidden
        raise NotFound("There is no such thing that this token may read.") from None


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


__all__ = ["Call", "Endpoint", "Raw", "Read", "Routes", "Write", "services"]
