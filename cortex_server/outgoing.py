"""Requests that leave this server: to addresses that are allowed, and never for long.

The address is checked that the connection is made to, after the name was resolved and for each
connection: a name may lead to another address a moment later. Redirects are not followed, so they
lead nowhere else. No proxy, no cookies, no credentials of this machine.
"""

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CONNECT_S, READ_S, TOTAL_S = 5.0, 10.0, 20.0
ANSWER_MAX = 2_000  # bytes of an answer that are read
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Of IPv6 only this is given out for the public; some Pythons take the rest, and these, for global.
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))


class AddressRefused(Exception):
    """An address that is not public, nor one of the allowed ones."""


@dataclass(frozen=True)
class Answered:
    """status: None when none came · text: the beginning of the answer, or why there is none."""

    status: int | None
    text: str

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises ValueError for what is no network like 10.0.0.0/8 or fd00::/8."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def url_fault(url: str) -> str | None:
    """Why a URL cannot be called, or None when it can, as far as it tells."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return "must be visible ASCII characters, others percent-encoded"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "must be a URL like https://example.org/hook"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "must be a URL like https://example.org/hook"
    if parts.username is not None or parts.password is not None:
        return "must not hold a name or password"
    return None


def check_address(address: str, private: Sequence[Network]) -> None:
    """Refuse a private, loopback, link-local or other special address unless it is in `private`.

    An address that carries another one in it is both. Raises AddressRefused.
    """
    outer = ipaddress.ip_address(address.partition("%")[0])
    for found in _carried(outer):
        if any(found in network for network in private):
            continue
        if not _is_public(found):
            raise AddressRefused(
                f"{found} is no public address; CORTEX_TRIGGER_PRIVATE_ADDRESSES allows others"
            )


def _is_public(address: Address) -> bool:
    if address.version == 6 and address not in _GIVEN_OUT:
        return False
    special = address.is_multicast or any(address in network for network in _SPECIAL)
    return address.is_global and not special


def _carried(outer: Address) -> list[Address]:
    if isinstance(outer, ipaddress.IPv4Address):
        return [outer]
    if outer.ipv4_mapped is not None:
        return [outer.ipv4_mapped]
    if outer.sixtofour is not None:
        return [outer, outer.sixtofour]
    if outer in _NAT64:
        return [ipaddress.IPv4Address(int(outer) & 0xFFFFFFFF)]
    return [outer]


def post(url: str, body: bytes, headers: Mapping[str, str], private: Sequence[Network]) -> Answered:
    """Send one request and read the beginning of its answer, within TOTAL_S. Never raises."""
    import gevent  # here: the configuration needs the rest before anything else is imported
    import requests

    try:
        with gevent.Timeout(TOTAL_S), requests.Session() as session:
            session.trust_env = False
            session.headers.clear()
            for scheme in ("http://", "https://"):
                session.mount(scheme, _adapter(private))
            with session.post(
                url, data=body, headers={**headers, "Accept-Encoding": "identity"},
                timeout=(CONNECT_S, READ_S), allow_redirects=False, stream=True,
            ) as answer:  # fmt: skip
                return Answered(answer.status_code, _beginning(answer))
    except gevent.Timeout:
        return Answered(None, f"no whole answer within {TOTAL_S:g} s")
    except AddressRefused as error:
        return Answered(None, str(error))
    except Exception as error:
        return Answered(None, f"{type(error).__name__}: {_plain(str(error))}")


def _beginning(answer: Any) -> str:
    try:
        return _plain(answer.raw.read(ANSWER_MAX, decode_content=False).decode(errors="replace"))
    except Exception as error:
        return f"{type(error).__name__} while its answer was read"


def _plain(text: str) -> str:
    """One short line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:500]


def _adapter(private: Sequence[Network]) -> Any:
    """What makes requests connect to checked addresses only."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self.host, self.port or 80, private)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self.host, self.port or 443, private)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    adapter = HTTPAdapter(max_retries=0)
    adapter.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return adapter


def _connect(host: str, port: int, private: Sequence[Network]) -> socket.socket:
    """Connect to the first address of the host that is allowed and answers."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    problem: Exception = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in found:
        try:
            check_address(str(address[0]), private)
        except AddressRefused as refused:
            problem = refused
            continue
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(CONNECT_S)
            sock.connect(address)
        except OSError as error:
            sock.close()
            problem = error
            continue
        return sock
    raise problem
