"""The only file that imports requests; the client imports it with its first call."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from .errors import CortexError, Redirected, StreamError, Unreachable

READ_BYTES = 65536
_LONGEST_REFUSAL = 1024 * 1024
_MOST_REDIRECTS = 5
_BODILESS = frozenset({204, 304})
_KEEPS_METHOD = frozenset({307, 308})
_OF_A_GATEWAY = frozenset({502, 504})  # a proxy got no whole answer, and so have we
_REDIRECTS = frozenset({301, 302, 303}) | _KEEPS_METHOD
_FAILURES = (requests.RequestException, HTTPError, OSError, ValueError)

Query = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A request to be made; its repr holds no header, so no token."""

    method: str
    url: str
    headers: Mapping[str, str | bytes]
    query: Query
    body: bytes | None = None
    connect_s: float = 10.0
    read_s: float = 10.0

    def __repr__(self) -> str:
        return f"Call({self.method} {self.url})"


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
        with _send(session, call, stream=False) as response:
            reply = Reply(response.status_code, response.headers, response.content)
    except _FAILURES as error:
        raise unreachable(call, error) from None
    if reply.status in _OF_A_GATEWAY:
        raise Unreachable(
            f"Cannot reach Cortex at {_origin_text(call.url)}: the proxy there answered "
            f"{reply.status}."
        )
    if not reply.content and reply.status not in _BODILESS and not _has_length(reply.headers):
        # http.client takes a head that was cut off for a whole one, with fewer fields.
        raise unreachable(call, ConnectionError())
    return reply


def _has_length(headers: Mapping[str, str]) -> bool:
    return "Content-Length" in headers or "Transfer-Encoding" in headers


class Connection:
    """One connection of a stream. Only `shutdown` may be called from another thread."""

    def __init__(self, ca_file: str | None = None) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._session = new_session(ca_file)
        adapter = _SocketAdapter(self._remember)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._lock = threading.Lock()
        self._gone = False
        self._socket: socket.socket | None = None
        self._response: requests.Response | None = None
        self._call: Call | None = None

    def open(self, call: Call) -> None:
        """Send the call and read the status and the headers.

        Raises Unreachable or Redirected.
        """
        self._call = call
        try:
            response = _send(self._session, call, stream=True)
        except _FAILURES as error:
            raise unreachable(call, error) from None
        with self._lock:
            if not self._gone:
                self._response = response
                self.status, self.headers = response.status_code, response.headers
                return
        response.close()

    def read(self) -> bytes:
        """Return what has arrived, waiting for at least one byte; b"" at the end.

        Raises Unreachable when the connection breaks or stays silent for too long.
        """
        response = self._response
        if response is None:
            return b""
        try:
            return response.raw.read1(READ_BYTES, decode_content=False) or b""
        except _FAILURES as error:
            raise unreachable(self._call, error) from None

    def read_refusal(self) -> bytes:
        """Return the body of a short answer."""
        response = self._response
        if response is None:
            return b""
        try:
            content: bytes = response.raw.read(_LONGEST_REFUSAL, decode_content=True)
        except _FAILURES:
            return b""  # the status says enough
        return content

    def expect_within(self, seconds: float) -> None:
        """Let `read` fail when nothing arrives for so long."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.settimeout(seconds)

    def shutdown(self) -> None:
        """Wake the thread that waits in `open` or `read`; safe from any thread."""
        with self._lock:
            self._gone = True
            _shut(self._socket)

    def close(self) -> None:
        """Release everything; a second time is harmless."""
        self.shutdown()
        with self._lock:
            response, self._response = self._response, None
        if response is not None:
            response.close()
        self._session.close()

    def _remember(self, sock: socket.socket) -> None:
        with self._lock:
            self._socket = sock
            if self._gone:  # closed while it was connecting
                _shut(sock)


def _shut(sock: socket.socket | None) -> None:
    if sock is None:
        return
    # Not SSLSocket.shutdown: it takes the TLS state from under the reading thread.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _SocketAdapter(HTTPAdapter):
    """Tells each new socket: requests hides it, and closing and time limits need it."""

    def __init__(self, remember: Callable[[socket.socket], None]) -> None:
        self._remember = remember
        super().__init__(pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        remember = self._remember

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                remember(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                remember(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def _send(session: requests.Session, call: Call, stream: bool) -> requests.Response:
    """Send the call and follow redirects within its origin."""
    method, url, query, body = call.method, call.url, call.query, call.body
    for _ in range(_MOST_REDIRECTS + 1):
        # requests makes a Request.headers of bytes and text; its annotations know text only.
        request = requests.Request(method, url, dict(call.headers), params=query, data=body)
        response = session.send(
            session.prepare_request(request),
            stream=stream,
            timeout=(call.connect_s, call.read_s),
            allow_redirects=False,
        )
        location = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or location is None:
            return response
        response.close()
        url, query = _target(call, url, location, response.status_code), []
    raise StreamError(f"{_origin_text(call.url)} redirects in a circle.")


def _target(call: Call, url: str, location: str, status: int) -> str:
    target = urljoin(url, location)
    if _origin(target) != _origin(call.url):
        where = _origin_text(target)
        raise Redirected(
            f"{_origin_text(call.url)} redirects to {where}; the token stays here. "
            f"If that is your server, set CORTEX_URL to {where}.",
            where,
        )
    if status not in _KEEPS_METHOD and call.method not in ("GET", "HEAD"):
        raise Redirected(
            f"{_origin_text(call.url)} redirects a {call.method} with {status}, which would "
            "become a GET.",
            _origin_text(target),
        )
    return target


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def _origin_text(url: str) -> str:
    """Return scheme, host and port; never what a URL may hide in its other parts."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def unreachable(call: Call | None, error: BaseException) -> CortexError:
    """Return Unreachable with a sentence for people; nothing of the request but its origin."""
    where = _origin_text(call.url) if call is not None else "the server"
    return Unreachable(f"Cannot reach Cortex at {where}: {_reason(error)}.")


def _reason(error: BaseException) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            break
        if isinstance(seen, TimeoutError) or "Timeout" in type(seen).__name__:
            return "no answer in time"
        if isinstance(seen, OSError) and seen.errno is not None and seen.strerror:
            return seen.strerror.lower()
        seen = getattr(seen, "reason", None) if _is_error(seen, "reason") else _inner(seen)
    return "the connection broke"


def _is_error(error: BaseException, name: str) -> bool:
    return isinstance(getattr(error, name, None), BaseException)


def _inner(error: BaseException) -> BaseException | None:
    nested = [item for item in error.args if isinstance(item, BaseException)]
    return nested[0] if nested else error.__cause__ or error.__context__
