"""The only file that imports requests; the client imports it with its first call.

Streams do without it (`connection`): its import takes longer than the board has to become live.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy

import requests
from urllib3.exceptions import HTTPError

from .call import MOST_REDIRECTS, REDIRECTS, Call, Reply, origin_text, target, unreachable
from .errors import StreamError, Unreachable

_BODILESS = frozenset({204, 304})
_OF_A_GATEWAY = frozenset({502, 504})  # a proxy got no whole answer, and so have we
_FAILURES = (requests.RequestException, HTTPError, OSError, ValueError)


def new_session(ca_file: str | None = None) -> requests.Session:
    """Return a session that no environment variable, .netrc or cookie changes."""
    session = requests.Session()
    session.trust_env = False  # a proxy variable must not receive the token
    session.headers.clear()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    if ca_file is not None:
        session.verify = ca_file
    return session


def exchange(session: requests.Session, call: Call) -> Reply:
    """Send the call and return the whole answer.

    Raises Unreachable, also when a proxy says so, or Redirected for a redirect that leaves the
    origin or changes a mutating call into a GET.
    """
    try:
        with _send(session, call) as response:
            reply = Reply(response.status_code, response.headers, response.content)
    except _FAILURES as error:
        raise unreachable(call, error) from None
    if reply.status in _OF_A_GATEWAY:
        raise Unreachable(
            f"Cannot reach Cortex at {origin_text(call.url)}: the proxy there answered "
            f"{reply.status}."
        )
    if not reply.content and reply.status not in _BODILESS and not _has_length(reply.headers):
        # http.client takes a head that was cut off for a whole one, with fewer fields.
        raise unreachable(call, ConnectionError())
    return reply


def _has_length(headers: Mapping[str, str]) -> bool:
    return "Content-Length" in headers or "Transfer-Encoding" in headers


def _send(session: requests.Session, call: Call) -> requests.Response:
    """Send the call and follow redirects within its origin."""
    method, url, query, body = call.method, call.url, call.query, call.body
    for _ in range(MOST_REDIRECTS + 1):
        # requests makes a Request.headers of bytes and text; its annotations know text only.
        request = requests.Request(method, url, dict(call.headers), params=query, data=body)
        response = session.send(
            session.prepare_request(request),
            timeout=(call.connect_s, call.read_s),
            allow_redirects=False,
        )
        location = response.headers.get("Location")
        if response.status_code not in REDIRECTS or location is None:
            return response
        response.close()
        url, query = target(call, url, location, response.status_code), []
    raise StreamError(f"{origin_text(call.url)} redirects in a circle.")
