"""What is asked and answered over HTTP, whoever carries it; and what its failures are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from .errors import CortexError, Redirected, Unreachable, Untrusted

MOST_REDIRECTS = 5
_KEEPS_METHOD = frozenset({307, 308})
SILENCE = "no answer in time"
# OpenSSL's: signed by itself, or by somebody who is not among the authorities.
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})
REDIRECTS = frozenset({301, 302, 303}) | _KEEPS_METHOD

Query = list[tuple[str, str]]


class ConnectTimeout(TimeoutError):
    """There was no connection in time."""


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


def target(call: Call, url: str, location: str, status: int) -> str:
    """Return where a redirect leads.

    Raises Redirected for one that leaves the origin or changes a mutating call into a GET.
    """
    found = urljoin(url, location)
    if _origin(found) != _origin(call.url):
        where = origin_text(found)
        raise Redirected(
            f"{origin_text(call.url)} redirects to {where}; the token stays here. "
            f"If that is your server, set CORTEX_URL to {where}.",
            where,
        )
    if status not in _KEEPS_METHOD and call.method not in ("GET", "HEAD"):
        raise Redirected(
            f"{origin_text(call.url)} redirects a {call.method} with {status}, which would "
            "become a GET.",
            origin_text(found),
        )
    return found


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def origin_text(url: str) -> str:
    """Return scheme, host and port; never what a URL may hide in its other parts."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def unreachable(call: Call | None, error: BaseException) -> CortexError:
    """Return Unreachable with a sentence for people; nothing of the request but its origin."""
    where = origin_text(call.url) if call is not None else "the server"
    for cause in _causes(error):
        if type(cause).__name__ == "SSLCertVerificationError":  # by name: ssl may not be imported
            return Untrusted(f"Cannot reach Cortex at {where}: {_refused(cause)}")
    reason = _reason(error)
    return Unreachable(f"Cannot reach Cortex at {where}: {reason}.", silent=reason == SILENCE)


def _reason(error: BaseException) -> str:
    if type(error).__name__ == "ConnectTimeout":  # ours, or that of requests
        return "no connection in time"
    for seen in _causes(error):
        if isinstance(seen, TimeoutError) or "Timeout" in type(seen).__name__:
            return SILENCE
        if isinstance(seen, OSError) and seen.errno is not None and seen.strerror:
            return seen.strerror.lower()
    return "the connection broke"


def _refused(error: Any) -> str:
    """Return why a certificate is refused, and what to do about it where a setting can help."""
    why = f"its certificate is refused, {error.verify_message.rstrip('.')}."
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return f"{why} If a private authority signed it, name its PEM file in CORTEX_CA_FILE."
    return why


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it wraps, outermost first."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = getattr(seen, "reason", None) if _is_error(seen, "reason") else _inner(seen)


def _is_error(error: BaseException, name: str) -> bool:
    return isinstance(getattr(error, name, None), BaseException)


def _inner(error: BaseException) -> BaseException | None:
    nested = [item for item in error.args if isinstance(item, BaseException)]
    return nested[0] if nested else error.__cause__ or error.__context__
