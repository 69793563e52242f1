"""Requests and streams of one Cortex server."""

from __future__ import annotations

import json as jsonlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .backoff import Backoff
from .discover import check_ca_file, checked_token, checked_url
from .errors import CortexError, StreamError, Unreachable, refusal_from
from .sse import MAX_EVENT_BYTES
from .stream import EventStream, Seams, Wait, wait_on

if TYPE_CHECKING:
    import requests

    from .call import Call, Query, Reply
    from .connection import Connection

Params = Mapping[str, Any]

_AGENT = "cortex-sdk"
_MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_PAUSE_S = 0.1


class CortexClient:
    """A Cortex server and a token for it; every thread may use it.

    timeout: seconds to connect, to wait for an answer or the first frame of a stream, and after
        which no call is repeated.
    ca_file: whom to trust over https, a file of PEM certificates or a directory of them; not read
        over http.
    retries: tries of one call while the connection fails.
    clock, rand, wait: for tests.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        timeout: float = 10.0,
        *,
        ca_file: str | None = None,
        retries: int = 3,
        max_event_bytes: int = MAX_EVENT_BYTES,
        clock: Callable[[], float] = time.monotonic,
        rand: Callable[[], float] = random.random,
        wait: Wait = wait_on,
    ) -> None:
        """Take the address and the token; the network is first used by a call.

        Raises BadAddress, NoToken or BadAuthorities.
        """
        self.base_url = checked_url(base_url)
        if ca_file is not None and urlsplit(self.base_url).scheme == "https":
            check_ca_file(ca_file)
        self.timeout = timeout
        self._token = checked_token(token, "The token")
        self.ca_file = ca_file
        self._retries = max(1, retries)
        self._max_event_bytes = max_event_bytes
        self._clock, self._rand, self._wait = clock, rand, wait
        self._lock = threading.Lock()
        self._shared: requests.Session | None = None

    def __repr__(self) -> str:
        return f"CortexClient({self.base_url!r})"

    def __enter__(self) -> CortexClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections; streams close by themselves."""
        with self._lock:
            session, self._shared = self._shared, None
        if session is not None:
            session.close()

    def get(self, path: str, params: Params | None = None, **options: Any) -> Any:
        """Return the JSON at the path; see `request`."""
        return self.request("GET", path, params=params, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> Any:
        """Send a POST, once in effect; see `request`."""
        return self.request("POST", path, json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> Any:
        """Send a PUT, once in effect; see `request`."""
        return self.request("PUT", path, json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> Any:
        """Send a PATCH, once in effect; see `request`."""
        return self.request("PATCH", path, json, **options)

    def delete(self, path: str, **options: Any) -> Any:
        """Send a DELETE, once in effect; see `request`."""
        return self.request("DELETE", path, **options)

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        params: Params | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send the request and return the JSON of the answer; None when it has no body.

        A mutating call carries an Idempotency-Key, so it is repeated when the connection fails
        and takes effect once. A POST, PUT or PATCH without `json` sends `{}`.
        params: None is left out, booleans become 1 and 0, lists repeat the name.
        Raises Refused (and its kinds), Unreachable or Redirected.
        """
        method = method.upper()
        sent = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", **(headers or {})}
        key = None
        if method in _MUTATING:
            key = sent["Idempotency-Key"] = idempotency_key or _uuid()
        body = None
        if json is not None or method in _WITH_BODY:
            sent["Content-Type"] = "application/json"
            body = jsonlib.dumps({} if json is None else json, allow_nan=False).encode()
        call = self._call(method, path, sent, query_of(params or {}), body, self.timeout)
        return self._answer(self._exchange(call, key))

    def paginate(
        self, path: str, params: Params | None = None, limit: int | None = None
    ) -> Iterator[Any]:
        """Yield the items of all pages; each page is fetched when its first item is asked for.

        limit: items a page, where the server's own choice does not fit.
        """
        seen: set[str] = set()
        cursor: str | None = None
        while True:
            page = self.get(path, {**(params or {}), "limit": limit, "cursor": cursor})
            items = page.get("items") if isinstance(page, dict) else None
            if not isinstance(items, list):
                raise CortexError(f"{self.base_url} answered {path} with no list of items.")
            yield from items
            cursor = page.get("next_cursor")
            if not cursor:
                return
            if cursor in seen:
                raise CortexError(f"{self.base_url} answered {path} with pages in a circle.")
            seen.add(cursor)

    def events(
        self,
        project: str | None = None,
        types: str | Iterable[str] | None = None,
        ticket: str | None = None,
        since: str | None = None,
        deltas: str | Iterable[str] | None = None,
        snapshot: bool = True,
        client_id: str | None = None,
        retries: int | None = None,
        heartbeat_s: float = 15.0,
    ) -> EventStream:
        """Return the stream of a project's events, or of everything that the token may read.

        types: a filter such as "ticket.*,session.status"; deltas: sessions, or "*".
        since: a cursor to resume after. snapshot: whether a State comes first.
        retries: attempts in a row before it gives up; None for never.
        heartbeat_s: until the server tells its own; silence for three of them is a lost stream.
        """
        params = {
            "types": _joined(types),
            "ticket": ticket,
            "deltas": _joined(deltas),
            "snapshot": None if snapshot else False,
            "client_id": client_id,
        }
        headers: dict[str, str] = {}
        if project is not None and _fits_header(project):
            headers["X-Cortex-Project"] = project
        else:
            params["project"] = project
        whole = project if types is None and ticket is None else None
        backoff = Backoff(retries, self._rand)
        seams = self._seams("/events", headers, query_of(params))
        return EventStream(seams, backoff, since, heartbeat_s, whole)

    def dashboard(
        self,
        client_id: str | None = None,
        retries: int | None = None,
        heartbeat_s: float = 15.0,
    ) -> EventStream:
        """Return the stream of the dashboard: Connected, Overview, Heartbeat."""
        seams = self._seams("/events/dashboard", {}, query_of({"client_id": client_id}))
        return EventStream(seams, Backoff(retries, self._rand), None, heartbeat_s)

    def _seams(self, path: str, headers: dict[str, str], query: Query) -> Seams:
        fixed = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-store",
            **headers,
        }

        def connection() -> Connection:
            from .connection import Connection

            return Connection(self.ca_file)

        def call(cursor: str | None, silence_s: float) -> Call:
            resumed = {**fixed, "Last-Event-ID": cursor} if cursor else fixed
            first_s = min(silence_s, self.timeout)
            return self._call("GET", path, resumed, query, None, first_s)

        return Seams(connection, call, self._clock, self._wait, self._max_event_bytes)

    def _call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        query: Query,
        body: bytes | None,
        read_s: float,
    ) -> Call:
        from .call import Call

        if not path.startswith("/"):
            raise ValueError("a path starts with /")
        sent = {**headers, "Authorization": f"Bearer {self._token}", "User-Agent": _AGENT}
        return Call(method, self.base_url + path, sent, query, body, self.timeout, read_s)

    def _exchange(self, call: Call, key: str | None) -> Reply:
        """Send the call, again while the connection fails and there is time."""
        from . import transport

        deadline = self._clock() + self.timeout
        for tries in range(1, self._retries + 1):
            try:
                return transport.exchange(self._session(), call)
            except Unreachable as error:
                if tries == self._retries or self._clock() >= deadline:
                    error.idempotency_key = key
                    raise
            self._wait(threading.Event(), _PAUSE_S * tries * self._rand())
        raise AssertionError("the last try returns or raises")

    def _session(self) -> requests.Session:
        from . import transport

        with self._lock:
            if self._shared is None:
                self._shared = transport.new_session(self.ca_file)
            return self._shared

    def _answer(self, reply: Reply) -> Any:
        if not 200 <= reply.status < 300:
            raise refusal_from(reply.status, reply.headers, reply.content)
        if not reply.content:
            return None
        try:
            return jsonlib.loads(reply.content)
        except (ValueError, RecursionError):
            raise StreamError(
                f"{self.base_url} answered with something else than JSON; is it a Cortex server?"
            ) from None


def query_of(params: Params) -> list[tuple[str, str]]:
    """Return the query's pairs: None left out, booleans as 1 and 0, lists repeated."""
    return [
        (name, str(int(item)) if isinstance(item, bool) else str(item))
        for name, value in params.items()
        for item in (value if isinstance(value, list | tuple) else [value])
        if item is not None
    ]


def _joined(names: str | Iterable[str] | None) -> str | None:
    return names if names is None or isinstance(names, str) else ",".join(names)


def _fits_header(text: str) -> bool:
    return bool(text) and all("!" <= c <= "~" for c in text)


def _uuid() -> str:
    import uuid

    return str(uuid.uuid4())
