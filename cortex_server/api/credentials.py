"""Who asks: the token of a request, from its header or, for browsers, from the cookie."""

import re

from flask import Request

from cortex_server import auth
from cortex_server.api.security import cookie_name
from cortex_server.auth import Grant
from cortex_server.errors import Unauthenticated
from cortex_server.services import Services
from cortex_server.store import ReadTx

_BEARER = re.compile(r"Bearer +([\x21-\x7e]{1,512})", re.I)


def secret_of(request: Request) -> str:
    """The secret that the request carries; the header wins over the cookie.

    Raises Unauthenticated when it carries none.
    """
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        match = _BEARER.fullmatch(header.strip())
        if not match:
            raise Unauthenticated("The Authorization header must be: Bearer TOKEN.")
        return match[1]
    cookie = request.cookies.get(cookie_name(request))
    if not cookie or not cookie.isascii():
        raise Unauthenticated(
            "This needs a token: send the header Authorization: Bearer TOKEN. On the server's "
            "account it is in $XDG_DATA_HOME/cortex/token; in a browser run `cortex open`."
        )
    return cookie


def from_cookie(request: Request) -> bool:
    """Whether the cookie is what the request is authenticated by."""
    return "HTTP_AUTHORIZATION" not in request.environ


def authenticate(services: Services, request: Request) -> Grant:
    """The grant of the request's token. Raises Unauthenticated."""
    with services.store.read() as tx:
        return grant_of(services, tx, secret_of(request))


def grant_of(services: Services, tx: ReadTx, secret: str) -> Grant:
    """The grant of a secret, whose use is noted. Raises Unauthenticated."""
    grant = auth.grant_for(tx, secret)
    services.last_used.note(grant.token_id, tx.now)
    return grant
