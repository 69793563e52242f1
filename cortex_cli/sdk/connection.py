"""One connection of a stream, on the standard library: it is up before requests is imported."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlencode, urlsplit

from .call import (
    MOST_REDIRECTS,
    REDIRECTS,
    Call,
    ConnectTimeout,
    Query,
    origin_text,
    target,
    unreachable,
)
from .errors import StreamError

if TYPE_CHECKING:
    from ssl import SSLContext

READ_BYTES = 65536
_LONGEST_REFUSAL = 1024 * 1024
_FAILURES = (HTTPException, OSError, ValueError)
_IN_A_PATH = "/%:@!$&'()*+,;=~"


class Connection:
    """One connection of a stream. Only `shutdown` may be called from another thread.

    No environment variable, .netrc or cookie changes what is sent, or to whom.

    reached: whether the server took a connection; without, it is the network that is slow.
    """

    def __init__(self, ca_file: str | None = None) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.reached = False
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._gone = False
        self._socket: socket.socket | None = None
        self._http: HTTPConnection | None = None
        self._response: HTTPResponse | None = None
        self._call: Call | None = None

    def open(self, call: Call) -> None:
        """Send the call and read the status and the headers; follow redirects within its origin.

        Raises Unreachable or Redirected.
        """
        self._call = call
        try:
            response = self._follow(call)
        except _FAILURES as error:
            if self._gone:
                self.close()  # whoever closed it did so before there was anything to release
            raise unreachable(call, error) from None
        with self._lock:
            self._response = response
            # Its fields are found by name whatever their case, as in any Mapping of headers.
            self.headers = cast(Mapping[str, str], response.headers)
            self.status = response.status
            gone = self._gone
        if gone:
            self.close()

    def read(self) -> bytes:
        """Return what has arrived, waiting for at least one byte; b"" at the end.

        Raises Unreachable when the connection breaks or stays silent for too long.
        """
        response = self._response
        if response is None:
            return b""
        try:
            return response.read1(READ_BYTES)
        except _FAILURES as error:
            raise unreachable(self._call, error) from None

    def read_refusal(self) -> bytes:
        """Return the body of a short answer, as far as it comes in time."""
        response, content = self._response, b""
        if response is None or self._call is None:
            return b""
        due = time.monotonic() + self._call.read_s
        # What is missing then does not matter: the status says enough.
        with contextlib.suppress(*_FAILURES):
            while len(content) < _LONGEST_REFUSAL and (left := due - time.monotonic()) > 0:
                self.expect_within(left)
                piece = response.read1(READ_BYTES)
                if not piece:
                    break
                content += piece
        return _plain(content, response.headers.get("Content-Encoding", ""))

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
        if self._http is not None:
            self._http.close()

    def _follow(self, call: Call) -> HTTPResponse:
        url, query = call.url, call.query
        for _ in range(MOST_REDIRECTS + 1):
            response = self._send(call, url, query)
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                return response
            response.close()
            url, query = target(call, url, location, response.status), []
        raise StreamError(f"{origin_text(call.url)} redirects in a circle.")

    def _send(self, call: Call, url: str, query: Query) -> HTTPResponse:
        """Make the connection, send, and read the head."""
        http = self._connect(url, call.connect_s)
        http.sock.settimeout(call.read_s)
        parts = urlsplit(url)
        asked = "&".join(filter(None, (quote(parts.query, _IN_A_PATH + "?"), urlencode(query))))
        path = quote(parts.path or "/", _IN_A_PATH) + (f"?{asked}" if asked else "")
        http.request(call.method, path, call.body, dict(call.headers))
        return http.getresponse()

    def _connect(self, url: str, timeout_s: float) -> HTTPConnection:
        """Return a connection that is up.

        Its socket is known before it connects, so that `shutdown` ends also that and the
        handshake. Raises ConnectTimeout.
        """
        trusted = _trusted(self._ca_file) if urlsplit(url).scheme == "https" else None
        http = _http_for(url, trusted)
        try:
            http.sock = self._dial(http.host, http.port, timeout_s)
            if trusted is not None:
                # The handshake comes later: meanwhile the socket would be known to nobody.
                http.sock = trusted.wrap_socket(
                    http.sock, server_hostname=http.host, do_handshake_on_connect=False
                )
                self._remember(http.sock)
                http.sock.settimeout(timeout_s)
                http.sock.do_handshake()
            self._own(http)
        except TimeoutError:
            http.close()
            raise ConnectTimeout from None
        except BaseException:  # also ^C: nobody else knows the socket yet
            http.close()
            raise
        return http

    def _dial(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """Connect to one of the host's addresses; they share the time."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        due = time.monotonic() + timeout_s
        for number, (family, kind, protocol, _, address) in enumerate(found):
            left = len(found) - number
            sock = socket.socket(family, kind, protocol)
            try:
                self._remember(sock)
                sock.settimeout(max(0.01, (due - time.monotonic()) / left))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
            except BaseException as error:  # also ^C, as above; a refusal tries the next address
                sock.close()
                if left == 1 or self._gone or not isinstance(error, OSError):
                    raise
        raise OSError("the name has no address")

    def _remember(self, sock: socket.socket) -> None:
        """Let `shutdown` know the socket. Raises OSError when that was called before."""
        with self._lock:
            self._socket = sock
            if self._gone:
                raise ConnectionAbortedError

    def _own(self, http: HTTPConnection) -> None:
        """Leave it to `close`, and close the one before it."""
        with self._lock:
            if self._gone:
                raise ConnectionAbortedError
            old, self._http = self._http, http
            self.reached = True
        if old is not None:
            old.close()


def _http_for(url: str, trusted: SSLContext | None) -> HTTPConnection:
    """Return what speaks HTTP with the server of the URL, not connected."""
    parts = urlsplit(url)
    host = _host(parts.hostname or "")
    # The port is always named: without, http.client looks for one inside an IPv6 address.
    http = (
        HTTPConnection(host, parts.port or 80)
        if trusted is None
        else HTTPSConnection(host, parts.port or 443, context=trusted)
    )
    http.auto_open = 0  # one that was closed must not come back by itself
    return http


def _host(name: str) -> str:
    """Return the host as it is looked up, the same as requests does: calls and streams meet."""
    if ":" in name:
        return name.replace("%25", "%", 1)  # the zone of a link-local address
    if name.isascii():
        return name
    import idna  # not the older rules of socket: by those some names are those of others

    return idna.encode(name, uts46=True).decode()


def _trusted(ca_file: str | None) -> SSLContext:
    """Return what certificates and names are checked with: what requests trusts."""
    import os
    import ssl

    import certifi

    where = ca_file or certifi.where()
    many = os.path.isdir(where)
    context = ssl.create_default_context(
        cafile=None if many else where, capath=where if many else None
    )
    context.set_alpn_protocols(["http/1.1"])
    return context


def _plain(content: bytes, coding: str) -> bytes:
    """Return a body without the compression that nobody asked for; as it is when that fails."""
    if "gzip" in coding.lower():
        import zlib

        with contextlib.suppress(zlib.error):
            return zlib.decompressobj(31).decompress(content, _LONGEST_REFUSAL)
    return content


def _shut(sock: socket.socket | None) -> None:
    if sock is None:
        return
    # Not SSLSocket.shutdown: it takes the TLS state from under the reading thread.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
