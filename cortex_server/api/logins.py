"""Browser logins: a link that works once, and the cookie that it becomes."""

from typing import Annotated

from flask import Blueprint, Request, Response, request
from pydantic import Field

from cortex_server.api.answers import Raw
from cortex_server.api.credentials import from_cookie
from cortex_server.api.endpoint import Routes, Write, add_get, services
from cortex_server.api.fields import Query
from cortex_server.api.pages import file_response
from cortex_server.api.parsing import has_body
from cortex_server.api.queries import parse_query
from cortex_server.api.schemas import LoginTicket
from cortex_server.api.security import cookie_name
from cortex_server.clock import parse_iso
from cortex_server.domains import logins, tokens
from cortex_server.errors import Malformed, Unauthenticated
from cortex_server.store import SYSTEM

routes = Routes("logins")


class LoginQuery(Query):
    ticket: Annotated[str, Field(min_length=1, max_length=512)]


@routes.post(
    "/login-tickets", summary="Make a link that logs a browser in once, as this token.",
    answer=LoginTicket, access="read", sealed=True,
)  # fmt: skip
def create(call: Write) -> LoginTicket:
    secret = logins.make(call.tx, call.grant.token_id)
    return LoginTicket(path=f"/login?ticket={secret}", expires_in_s=logins.TICKET_S)


@routes.post(
    "/logout", status=204, summary="End the browser's login that asks.", access="read", agent=True
)
def logout(call: Write) -> Raw:
    """Revoke the cookie; with a Bearer token there is nothing to end."""
    if from_cookie(call.request):
        tokens.revoke(call.tx, tokens.get(call.tx, call.grant.token_id))
    return Raw(b"", headers={"Set-Cookie": _cookie(call.request, "", 0)})


def blueprint() -> Blueprint:
    """The address of the link itself; it needs no token, it is one."""
    pages = Blueprint("login", __name__)
    add_get(pages, "/login", login)
    return pages


def login() -> Response:
    """Exchange the ticket for a cookie and go to the page."""
    if request.method != "GET" or has_body(request):
        raise Malformed("A login link is opened by GET, once.")
    asked = parse_query(LoginQuery, request.environ.get("QUERY_STRING", ""))
    if not asked.ticket.isascii():
        raise Unauthenticated("This is no login link.")
    try:
        with services().store.write(SYSTEM) as tx:
            secret, expires_at = logins.redeem(tx, asked.ticket)
            left = parse_iso(expires_at) - parse_iso(tx.now)
    except Unauthenticated:
        if "text/html" not in request.headers.get("Accept", ""):
            raise
        # A person looks at this: the page says what to do, or just works if it has a login yet.
        page = file_response("index.html")
        page.status_code = Unauthenticated.status
        return page
    response = Response(status=303, headers={"Location": "/"})
    response.headers["Set-Cookie"] = _cookie(request, secret, int(left.total_seconds()))
    return response


def _cookie(asking: Request, value: str, max_age_s: int) -> str:
    name = cookie_name(asking)
    # Taken from anybody's header: whoever makes it up only gets a cookie of less use.
    secure = "; Secure" if asking.headers.get("X-Forwarded-Proto") == "https" else ""
    return f"{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
