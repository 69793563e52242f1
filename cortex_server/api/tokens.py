"""Tokens, for administrators; and who a token is, for everybody."""

from typing import Annotated, Literal

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import INT_MAX, Body, Key, Name, PageQuery, TicketRef, absent
from cortex_server.domains import tokens
from cortex_server.domains.pages import Listing
from cortex_server.events.objects import NewToken, Role, Token

routes = Routes("tokens")


class NamedActor(Body):
    kind: Literal["user", "agent", "runner"]
    name: Name


class TokenRequest(Body):
    """projects: only these, null for all. ticket: the only one, for the role agent."""

    name: Name
    role: Role
    projects: Annotated[list[Key], Field(max_length=1000)] | None = absent()
    ticket: TicketRef | None = absent()
    expires_in_s: Annotated[int, Field(ge=1, le=INT_MAX)] | None = absent()
    actor: NamedActor | None = absent()


@routes.get(
    "/tokens", summary="List the tokens, without secrets.", answer=Token, many=True,
    query=PageQuery, access="admin",
)  # fmt: skip
def listing(call: Read) -> Listing[Token]:
    return tokens.listing(call.tx, call.query.limit, call.query.cursor)


@routes.post(
    "/tokens", summary="Create a token; its secret is shown in this answer only.",
    body=TokenRequest, answer=NewToken, access="admin", sealed=True,
    location=lambda token: f"/api/tokens/{token.id}",
)  # fmt: skip
def create(call: Write) -> NewToken:
    return tokens.create(call.tx, call.given)


@routes.get("/tokens/<id>", summary="Show a token.", answer=Token, access="admin")
def show(call: Read) -> Token:
    return tokens.get(call.tx, call.args["id"])


@routes.delete(
    "/tokens/<id>", summary="Revoke a token; its streams end.", answer=Token, access="admin"
)
def revoke(call: Write) -> Token:
    return tokens.revoke(call.tx, tokens.get(call.tx, call.args["id"]))


@routes.get("/whoami", summary="Show the token that asks.", answer=Token, agent=True)
def whoami(call: Read) -> Token:
    return tokens.get(call.tx, call.grant.token_id)
