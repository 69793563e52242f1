"""The one declaration of a route.

From a declaration come: rights, strict body and query, the revision precondition, idempotency,
one transaction, ETag and Location, the JSON answer (`serving`), and the OpenAPI document.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Required, TypedDict, TypeVar, Unpack

from flask import Blueprint, Request, Response, current_app
from pydantic import BaseModel

from cortex_server.api.fields import Body, Query, RevisedBody, RevisionQuery
from cortex_server.auth import Grant
from cortex_server.errors import Forbidden
from cortex_server.services import Services
from cortex_server.store import ReadTx, WriteTx

Access = Literal["read", "write", "wide", "runner", "admin"]
Handler = TypeVar("Handler", bound=Callable[[Any], Any])


@dataclass(frozen=True)
class Call:
    """One request as a handler sees it. revision: the one that the change was made against.

    request: for what no declaration says; Flask's global one is not there.
    """

    services: Services
    request: Request
    grant: Grant
    args: dict[str, str]
    query: Any
    body: Any
    revision: int | None


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


class Declared(TypedDict, total=False):
    """What a route says about itself.

    access: what the token's role must allow; the handler checks the project and the ticket ·
    agent: open to a token of one ticket · body: None takes none · answer: the model of the answer,
    `many` of it as a page · status, other_status: of success · location: of what was created ·
    stores: runs in a write transaction · sealed: the answer holds a secret.
    """

    summary: Required[str]
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


@dataclass(frozen=True)
class Endpoint:
    """A declared route; the fields are those of `Declared`."""

    noun: str
    method: str
    path: str
    handler: Callable[[Any], Any]
    summary: str
    access: Access = "write"
    agent: bool = False
    body: type[Body] | None = None
    body_optional: bool = False
    query: type[Query] = Query
    answer: type[BaseModel] | None = None
    many: bool = False
    status: int = 200
    other_status: int | None = None
    location: Callable[[Any], str] | None = None
    stores: bool = True
    sealed: bool = False
    media_type: str = "application/json"

    @property
    def name(self) -> str:
        return f"{self.noun}_{self.handler.__name__.rstrip('_')}"

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
        elif self.access == "runner":
            grant.check_runner()
        elif self.access == "write" and grant.role == "read":
            raise Forbidden("This token may only read; ask for one with the role write.")
        elif self.access == "write" and grant.role == "runner" and not self.agent:
            # A runner's token lies on many machines: it tells of work, and decides none.
            raise Forbidden("A runner's token cannot do this; ask for one with the role write.")


class Routes:
    """The routes of one noun."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.endpoints: list[Endpoint] = []

    def get(self, path: str, **declared: Unpack[Declared]) -> Callable[[Handler], Handler]:
        """Declare a GET, and with it the HEAD."""
        return self._declare("GET", path, {"access": "read", "stores": False, **declared})

    def post(self, path: str, **declared: Unpack[Declared]) -> Callable[[Handler], Handler]:
        """Declare a POST; 201 unless it says otherwise, and without `body` nothing to send."""
        return self._declare("POST", path, {"status": 201, **_with_body(declared)})

    def put(self, path: str, **declared: Unpack[Declared]) -> Callable[[Handler], Handler]:
        return self._declare("PUT", path, declared)

    def patch(self, path: str, **declared: Unpack[Declared]) -> Callable[[Handler], Handler]:
        return self._declare("PATCH", path, declared)

    def delete(self, path: str, **declared: Unpack[Declared]) -> Callable[[Handler], Handler]:
        """Declare a DELETE, which takes no body and answers 204 unless it declares an answer."""
        status = 200 if declared.get("answer") else 204
        return self._declare("DELETE", path, {"status": status, **declared})

    def blueprint(self, serve: Callable[..., Response]) -> Blueprint:
        """A fresh blueprint under /api. serve: answers one request of an endpoint."""
        blueprint = Blueprint(self.noun, __name__, url_prefix="/api")
        for endpoint in self.endpoints:
            blueprint.add_url_rule(
                endpoint.path,
                endpoint.name,
                partial(serve, endpoint),
                methods=[endpoint.method],
                provide_automatic_options=False,
            )
        return blueprint

    def _declare(self, method: str, path: str, declared: Declared) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.endpoints.append(Endpoint(self.noun, method, path, handler, **declared))
            return handler

        return register


def add_get(blueprint: Blueprint, path: str, view: Callable[[], Response], name: str = "") -> None:
    """Add a GET (and with it the HEAD) of something that is no part of the declared API."""
    blueprint.add_url_rule(
        path, name or view.__name__, view, methods=["GET"], provide_automatic_options=False
    )


def services() -> Services:
    """What the running application is made of."""
    found: Services = current_app.extensions["cortex"]
    return found


def _with_body(declared: Declared) -> Declared:
    return declared if "body" in declared else {"body": Empty, "body_optional": True, **declared}
