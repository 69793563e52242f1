"""What a handler returns, turned into the answer that goes over the wire."""

import gzip
import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import gevent
from flask import Request, Response
from pydantic import BaseModel

from cortex_server.api.security import DEFAULT_HEADERS
from cortex_server.domains.idempotency import Answer
from cortex_server.domains.pages import Listing
from cortex_server.flights import Flights

JSON_TYPE = "application/json"
GZIP_MIN_BYTES = 1024
_GZIP_LEVEL = 3
_TEXTS = ("application/", "text/")
_COMPRESSED_KEPT = 16
_THREAD_MIN_BYTES = 65_536  # a millisecond's work


@dataclass(frozen=True)
class Status:
    """A value whose status is not the declared one."""

    value: Any
    status: int


@dataclass(frozen=True)
class Raw:
    """A body that is encoded already. etag: of exactly these bytes, for If-None-Match."""

    body: bytes
    content_type: str = JSON_TYPE
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def to_answer(value: Any, status: int) -> Answer:
    """The answer for a wire object, a listing, a dict, a Raw, or None."""
    if isinstance(value, Status):
        return to_answer(value.value, value.status)
    if value is None:
        return Answer(status, {}, b"")
    if isinstance(value, Raw):
        tagged = {"ETag": f'"{value.etag}"'} if value.etag else {}
        headers = {"Content-Type": value.content_type, **tagged, **value.headers}
        return Answer(status, headers, value.body)
    headers = {"Content-Type": JSON_TYPE}
    revision = getattr(value, "revision", None)
    if isinstance(revision, int):
        headers["ETag"] = f'"{revision}"'
    return Answer(status, headers, encode(value))


def encode(value: Any) -> bytes:
    """A value as JSON, UTF-8."""
    if isinstance(value, BaseModel):
        return value.model_dump_json().encode()
    if isinstance(value, Listing):
        items = b",".join(encode(item) for item in value.items)
        return b'{"items":[%s],"next_cursor":%s}' % (items, encode(value.next_cursor))
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


class ReadyResponse(Response):
    """An answer whose headers are complete and right as they stand.

    Werkzeug would go through them twice more for each request, and put right what is right.
    """

    def get_wsgi_response(self, environ: Any) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        return self.get_app_iter(environ), self.status, self.headers.to_wsgi_list()


def to_response(answer: Answer) -> Response:
    response = ReadyResponse(answer.body, answer.status, final_headers(answer))
    if "Content-Type" not in answer.headers:
        del response.headers["Content-Type"]
    if answer.status in (204, 304):
        del response.headers["Content-Length"]
    return response


def final_headers(answer: Answer) -> list[tuple[str, str]]:
    """All that goes over the wire but what the HTTP server adds."""
    headers = {**DEFAULT_HEADERS, **answer.headers}
    if answer.status not in (204, 304):
        headers["Content-Length"] = str(len(answer.body))
    return list(headers.items())


def not_modified(request: Request, answer: Answer) -> bool:
    """Whether the client has these very bytes."""
    etag, asked = answer.headers.get("ETag"), request.environ.get("HTTP_IF_NONE_MATCH")
    if asked is None or not names_bytes(etag):
        return False
    return etag in [tag.strip() for tag in asked.split(",")]


def names_bytes(etag: str | None) -> bool:
    """Whether a tag stands for exact bytes: epoch and position do ("8f3c.1042"), a revision
    ("7") does not, since a ticket's derived place changes without one."""
    return etag is not None and "." in etag


class Compressor:
    """Compresses answers for clients that ask; what has a tag of its own is compressed once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._flights: Flights[bytes] = Flights()

    def apply(self, request: Request, response: Response) -> Response:
        """Compress the body in place where that helps. Streams are never touched."""
        if response.is_streamed or not (response.mimetype or "").startswith(_TEXTS):
            return response
        response.headers.add("Vary", "Accept-Encoding")
        body = response.get_data()
        if _worth(request, response.status_code, body):
            response.set_data(self._compressed(request.path, response.headers.get("ETag"), body))
            response.headers["Content-Encoding"] = "gzip"
        return response

    def compressed(self, request: Request, answer: Answer) -> Answer:
        """The same for an answer that is no response yet."""
        if not answer.headers.get("Content-Type", "").startswith(_TEXTS):
            return answer
        headers, body = {**answer.headers, "Vary": "Accept-Encoding"}, answer.body
        if _worth(request, answer.status, body):
            body = self._compressed(request.path, headers.get("ETag"), body)
            headers["Content-Encoding"] = "gzip"
        return Answer(answer.status, headers, body)

    def _compressed(self, path: str, etag: str | None, body: bytes) -> bytes:
        if etag is None or not names_bytes(etag):
            return _gzip(body)
        key = (path, etag)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = self._flights.share(key, lambda: _gzip(body))
        self._kept.move_to_end(key)
        while len(self._kept) > _COMPRESSED_KEPT:
            self._kept.popitem(last=False)
        return kept


def _worth(request: Request, status: int, body: bytes) -> bool:
    """Whether a body is to be compressed for who asks."""
    if len(body) < GZIP_MIN_BYTES or status != 200:
        return False
    return bool(request.accept_encodings.quality("gzip") > 0)


def _gzip(body: bytes) -> bytes:
    """Compress; a large body in a thread, where it takes no turn from other requests."""
    if len(body) < _THREAD_MIN_BYTES:
        return gzip.compress(body, _GZIP_LEVEL, mtime=0)
    pool = gevent.get_hub().threadpool
    compressed: bytes = pool.apply(gzip.compress, (body, _GZIP_LEVEL), {"mtime": 0})
    return compressed
