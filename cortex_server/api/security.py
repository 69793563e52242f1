"""What every request passes before it is looked at, and what every answer carries.

The threats are a hostile page in the user's browser (it can send requests here, also under a name
that it rebound to this address) and text that wants to become a script.
"""

import re
from functools import cache
from urllib.parse import unquote_to_bytes, urlsplit

from flask import Request, Response

from cortex_server.api.problems import CrossSite
from cortex_server.errors import HostRefused, Malformed

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_TOKEN_NAMES = {"token", "access_token", "auth", "authorization", "api_key", "apikey", "secret"}
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
DEFAULT_HEADERS = {**HEADERS, "Cache-Control": "no-store"}


def check_request(request: Request, allowed_hosts: tuple[str, ...]) -> None:
    """Refuse what may come from another site, or cannot be read at all.

    Raises HostRefused, CrossSite or Malformed.
    """
    check_host(request, allowed_hosts)
    check_site(request)
    _check_address(request)


def check_host(request: Request, allowed_hosts: tuple[str, ...]) -> None:
    """Refuse a Host that is not ours: under a rebound name every page is same-origin."""
    host = request.environ.get("HTTP_HOST", "")
    if host.lower() in _own_hosts(port_of(request), allowed_hosts):
        return
    raise HostRefused(
        "This server does not answer under that Host; name another one in CORTEX_ALLOWED_HOSTS."
        if host
        else "The request names no Host."
    )


def check_site(request: Request) -> None:
    """Refuse what a page of another origin sent, as far as the browser says so."""
    site = request.environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None and site not in ("same-origin", "none"):
        raise CrossSite("Requests from pages of other sites are refused.")
    origin = request.environ.get("HTTP_ORIGIN")
    if origin is not None and not _is_own_origin(origin, request.environ["HTTP_HOST"]):
        raise CrossSite("Requests from pages of other origins are refused.")


def port_of(request: Request) -> str:
    """The port that the socket is bound to, as text."""
    return str(request.environ["SERVER_PORT"])


def cookie_name(request: Request) -> str:
    """With the port, since browsers share cookies between the ports of one host."""
    return f"cortex_{port_of(request)}"


def add_headers(response: Response) -> Response:
    """Put the protecting headers on an answer; nothing of it is to be stored unless it says so."""
    for name, value in DEFAULT_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@cache
def _own_hosts(port: str, allowed: tuple[str, ...]) -> set[str]:
    hosts = {f"{name}:{port}" for name in LOOPBACK}
    if port == "80":
        hosts |= set(LOOPBACK)
    for name in allowed:
        # one with a port is taken as it stands; without, it is ours or a proxy's default port
        with_port = re.search(r":\d+$", name) and not name.endswith("]")
        hosts |= {name.lower()} if with_port else {name.lower(), f"{name.lower()}:{port}"}
    return hosts


def _is_own_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in _DEFAULT_PORTS:
        return False
    default = ":" + _DEFAULT_PORTS[parts.scheme]
    return parts.netloc.lower().removesuffix(default) == host.lower().removesuffix(default)


def _check_address(request: Request) -> None:
    """Refuse a path or query that is not UTF-8 text, and a token in the query."""
    path = request.environ["PATH_INFO"].encode("latin-1")
    query = request.environ.get("QUERY_STRING", "")
    if not query and path.isascii() and b"\x00" not in path:
        return
    if _BAD_ESCAPE.search(query) or not query.isascii():
        raise Malformed("The query holds a broken percent escape.")
    for raw, what in ((path, "path"), (unquote_to_bytes(query), "query")):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed(f"The {what} is not UTF-8.") from None
        if "\x00" in text:
            raise Malformed(f"The {what} holds a NUL character.")
    for pair in query.split("&"):
        name = unquote_to_bytes(pair.partition("=")[0]).decode().lower()
        if name in _TOKEN_NAMES or "ctx_" in name:
            raise Malformed(
                "Tokens never stand in an address, where logs keep them: send the header "
                "Authorization: Bearer. Revoke this one if it was real.",
                code="token_in_url",
            )
