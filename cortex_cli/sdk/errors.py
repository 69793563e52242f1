"""What can go wrong between a client and a Cortex server.

    CortexError                     exit code 1
    ├── Unreachable                 3  no connection, a timeout, a broken answer
    │   └── Untrusted               3  its certificate is refused
    ├── NoToken                     4  no token found, or one that must not be used
    ├── BadAddress                  2  the server's address cannot be used
    ├── BadAuthorities              2  the file of authorities cannot be used
    ├── Redirected                  1  the server pointed to another origin
    ├── Refused                     1  the server answered with a problem
    │   ├── NotAllowed              4  401, 403
    │   ├── NotFound                5  404, 410
    │   ├── Conflict                6  409, 412
    │   ├── Invalid                 1  400, 413, 415, 422
    │   ├── Overloaded              1  429, 503, 507
    │   └── ServerFault             1  any other 5xx
    └── StreamError                 1  what came is not a Cortex event stream
        └── EventTooLarge           1  one event exceeds the limit

Texts that come from a server are untrusted: sanitise them before they reach a terminal.
No error holds the token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar

_LONGEST_RETRY_AFTER_S = 60.0


class CortexError(Exception):
    """The root; `exit_code` is what a command exits with."""

    exit_code: ClassVar[int] = 1

    @property
    def retryable(self) -> bool:
        """Say whether the same request may succeed later."""
        return False


class Unreachable(CortexError):
    """The server gave no whole answer.

    idempotency_key: the key of a mutating call that may have taken effect; repeating the call
    with it is safe.
    silent: something took the connection and then said nothing in time.
    """

    exit_code = 3

    def __init__(
        self, message: str, idempotency_key: str | None = None, silent: bool = False
    ) -> None:
        super().__init__(message)
        self.idempotency_key = idempotency_key
        self.silent = silent

    @property
    def retryable(self) -> bool:
        return True


class Untrusted(Unreachable):
    """What answers there has a certificate that is refused; it got no token.

    Retryable: a certificate that ran out is replaced by the server's administrator.
    """


class NoToken(CortexError):
    """No token was found, or the one that was found must not be used."""

    exit_code = 4


class BadAddress(CortexError):
    """The server's address is not a usable http or https URL."""

    exit_code = 2


class BadAuthorities(CortexError):
    """The file of authorities is missing, unreadable or holds no certificate."""

    exit_code = 2


class Redirected(CortexError):
    """The server pointed to another origin, where the token must not go."""

    def __init__(self, message: str, location: str) -> None:
        super().__init__(message)
        self.location = location


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem-details answer (RFC 9457); `body` is all of it."""

    status: int
    code: str = ""
    title: str = ""
    detail: str = ""
    body: dict[str, Any] = field(default_factory=dict)


class Refused(CortexError):
    """The server answered, and the answer is no."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        text = problem.detail or problem.title or f"The server answered {problem.status}."
        super().__init__(text)
        self.problem = problem
        self.status = problem.status
        self.code = problem.code
        self.title = problem.title
        self.detail = problem.detail
        self.body = problem.body
        self.retry_after = retry_after

    @property
    def retryable(self) -> bool:
        return self.status >= 500 or self.status in (408, 425, 429)


class NotAllowed(Refused):
    """The token is missing, unknown, expired, revoked, or may not do this."""

    exit_code = 4


class NotFound(Refused):
    """There is no such thing, or the token may not know of it."""

    exit_code = 5


class Conflict(Refused):
    """The thing changed since it was read, or its state forbids this.

    current: the thing as it is now, where the server tells it.
    """

    exit_code = 6

    @property
    def current(self) -> dict[str, Any] | None:
        found = self.body.get("current")
        return found if isinstance(found, dict) else None


class Invalid(Refused):
    """The request is malformed or breaks a rule."""


class Overloaded(Refused):
    """The server has no room now; `retry_after` is its advice in seconds."""


class ServerFault(Refused):
    """The server failed."""


class StreamError(CortexError):
    """What came is not a Cortex event stream, or it broke off."""

    def __init__(self, message: str, retryable: bool = False) -> None:
        super().__init__(message)
        self._retryable = retryable

    @property
    def retryable(self) -> bool:
        return self._retryable


class EventTooLarge(StreamError):
    """One event exceeds the limit; it would again, so no retry helps."""


_BY_STATUS: dict[int, type[Refused]] = {
    400: Invalid,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    412: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: Overloaded,
    503: Overloaded,
    507: Overloaded,
}


def refusal(problem: Problem, retry_after: float | None = None) -> Refused:
    """Return the error of the class that belongs to the problem's status."""
    default = ServerFault if problem.status >= 500 else Refused
    return _BY_STATUS.get(problem.status, default)(problem, retry_after)


def refusal_from(status: int, headers: Mapping[str, str], content: bytes) -> Refused:
    """Return the error for an answer, also when its body is no problem details."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        body = {}
    problem = Problem(
        status=status,
        code=_text(body, "code"),
        title=_text(body, "title") or _phrase(status),
        detail=_text(body, "detail"),
        body=body,
    )
    return refusal(problem, _retry_after(headers.get("Retry-After", "")))


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _phrase(status: int) -> str:
    try:
        return f"The server answered {status} {HTTPStatus(status).phrase}."
    except ValueError:
        return f"The server answered {status}."


def _retry_after(value: str) -> float | None:
    digits = value.strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        return None
    return min(float(digits), _LONGEST_RETRY_AFTER_S)
