"""Reading a request's body: only plain JSON objects, of bounded size, in bounded time.

Everything that a lenient parser would let through is refused: another encoding, a byte order
mark, duplicate keys, NaN, huge integers, lone surrogates, NUL, deep nesting.
"""

import json
import math
import re
from typing import Any

import gevent
from flask import Request

from cortex_server.api.problems import BodyTimeout
from cortex_server.errors import CortexError, Malformed, TooLarge, UnsupportedMedia
from cortex_server.plain import ARRIVED

MAX_DEPTH = 64
_CHUNK = 65_536
_INT_MAX = 2**63 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Only an escape can bring these in: JSON refuses NUL as it is, and UTF-8 has no surrogates.
_SUSPICIOUS = re.compile(r"\\u(?:0000|d[89a-f])", re.I)
_JSON_TYPE = re.compile(r'application/json[ \t]*(?:;[ \t]*charset=("?)utf-8\1[ \t]*)?', re.I | re.A)


def read_body(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """The whole body; b"" when there is none. Never holds more than `max_bytes` of it.

    Raises TooLarge, BodyTimeout, UnsupportedMedia for an encoded one, Malformed for a broken one.
    """
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMedia("Send the body as it is: no Content-Encoding is accepted.")
    length = request.content_length
    if length is not None and length > max_bytes:
        raise _too_large(max_bytes)
    if not has_body(request):
        return b""
    arrived: bytes | None = request.environ.get(ARRIVED)
    if arrived is not None:
        return arrived
    # A slow sender would otherwise hold its greenlet for ever: the server cuts slow headers only.
    with gevent.Timeout(timeout_s, _slow(timeout_s)):
        body = _read(request, max_bytes)
    if length is not None and len(body) != length:
        raise Malformed("The body ended before its Content-Length.")
    return body


def has_body(request: Request) -> bool:
    """Whether the request announces a body, by its length or by chunks."""
    return bool(request.content_length) or "HTTP_TRANSFER_ENCODING" in request.environ


def check_json_type(request: Request) -> None:
    """Refuse every content type but JSON: browsers cannot send it across sites without asking."""
    if not _JSON_TYPE.fullmatch(request.environ.get("CONTENT_TYPE", "").strip()):
        raise UnsupportedMedia("Send JSON, with the header Content-Type: application/json.")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises Malformed when it is anything else."""
    value = parse_json(body)
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object.")
    return value


def parse_json(body: bytes) -> Any:
    """The JSON value in `body`, free of all that cannot be stored and answered unchanged."""
    if not body:
        raise Malformed("The body is empty; a JSON object is expected.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8 (at byte {error.start}).") from None
    if text.startswith("\ufeff"):
        raise Malformed("The body begins with a byte order mark; send it without.")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth(value)
    if _SUSPICIOUS.search(text):
        _check_texts(value)
    return value


def check_text(text: str, what: str) -> None:
    """Refuse text that no database column can hold or no answer can carry."""
    if _UNSTORABLE.search(text):
        raise Malformed(f"{what} holds a NUL character or half of a surrogate pair.")


def _read(request: Request, max_bytes: int) -> bytes:
    stream = request.environ["wsgi.input"]
    remaining = request.content_length
    parts: list[bytes] = []
    size = 0
    while remaining is None or size < remaining:
        wanted = _CHUNK if remaining is None else min(_CHUNK, remaining - size)
        try:
            chunk = stream.read(wanted)
        except CortexError:
            raise  # the deadline
        except Exception:  # broken chunks or a lost connection: the HTTP server's own exceptions
            raise Malformed("The body could not be read to its end.") from None
        if not chunk:
            break
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        parts.append(chunk)
    return b"".join(parts)


def _slow(timeout_s: float) -> BodyTimeout:
    return BodyTimeout(f"The body did not arrive within {timeout_s:g} s.")


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than {max_bytes} bytes.")


def _too_deep() -> Malformed:
    return Malformed(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("The body names a key twice in one object.")
    return found


def _constant(name: str) -> Any:
    raise Malformed(f"The body holds {name}, which is not JSON.")


def _integer(digits: str) -> int:
    # by length first: turning a million digits into a number takes minutes
    if len(digits) > 20 or not -_INT_MAX - 1 <= (number := int(digits)) <= _INT_MAX:
        raise Malformed("The body holds an integer of more than 64 bits.")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise Malformed("The body holds a number that is too large.")
    return number


def _check_depth(value: Any) -> None:
    """Look at every level, without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _check_texts(value: Any) -> None:
    """Look at every string and key."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            check_text(item, "The body")
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
