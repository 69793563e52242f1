"""Answers to what is no HTTP, or too much of it: gunicorn refuses it before there is a request."""

import json

from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

# By the name of gunicorn's error, since not each of its versions has all; the rest is 400.
_STATUS = {
    "LimitRequestLine": (414, "address_too_long", "Address too long"),
    "LimitRequestHeaders": (431, "headers_too_large", "Headers too large"),
    "ExpectationFailed": (417, "expectation_failed", "Expectation failed"),
    "UnsupportedTransferCoding": (501, "unsupported_coding", "Unsupported transfer coding"),
}
_REASON_CHARACTERS = 200
_MALFORMED = (400, "malformed", "Malformed request")
_NOT_THE_CLIENTS = {"ConfigurationProblem", "InvalidResponseHeader", "InvalidResponseHeaderName"}


def answer(error: BaseException) -> bytes | None:
    """The whole answer, problem details like every other refusal; None when the fault is ours."""
    name = type(error).__name__
    if not isinstance(error, ParseException) or name in _NOT_THE_CLIENTS:
        return None
    status, code, title = _STATUS.get(name, _MALFORMED)
    reason = str(error)[:_REASON_CHARACTERS]  # it quotes what came
    body = json.dumps(
        {
            "type": f"urn:cortex:problem:{code}",
            "title": title,
            "status": status,
            "detail": f"The request cannot be read: {reason}.",
            "code": code,
        }
    )
    return (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n"
        f"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}"
    ).encode("ascii")
