"""Declared routes, answered without what Flask does for any application.

Flask stays the application: whatever is not exactly the method and address of a declared route (a
HEAD, a slash too many, a page, a stream) is its business, and so are its checks and its errors,
which both share. Skipping its contexts, its router and its response objects takes a fifth off what
a small request costs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flask import Request, Response
from werkzeug.http import HTTP_STATUS_CODES

from cortex_server.api.answers import final_headers
from cortex_server.api.endpoint import Endpoint
from cortex_server.api.gate import Gate
from cortex_server.api.problems import of_error, of_fault
from cortex_server.api.serving import answer_to
from cortex_server.errors import CortexError
from cortex_server.services import Services

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
_PREFIX = "/api/"
_STATUS = {code: f"{code} {words.upper()}" for code, words in HTTP_STATUS_CODES.items()}


@dataclass
class _Place:
    """A place in the tree of addresses. below: by the next word · any: whatever that is."""

    below: dict[str, "_Place"] = field(default_factory=dict)
    any: "_Place | None" = None
    endpoints: dict[str, tuple[Endpoint, list[str]]] = field(default_factory=dict)


class Direct:
    """WSGI middleware around Flask."""

    def __init__(self, inner: Wsgi, services: Services, gate: Gate) -> None:
        self._inner = inner
        self._services = services
        self._gate = gate
        self._root = _Place()

    def add(self, endpoint: Endpoint) -> None:
        place, names = self._root, []
        for word in endpoint.path.strip("/").split("/"):
            if word.startswith("<"):
                names.append(word[1:-1])
                place.any = place = place.any or _Place()
            else:
                place = place.below.setdefault(word, _Place())
        place.endpoints[endpoint.method] = endpoint, names

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found = self._find(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if found is None:
            return self._inner(environ, start_response)
        # not into the environ: each would hold the other until the garbage collector comes by
        request = Request(environ, populate_request=False)
        try:
            self._gate.check(request)
            answer = answer_to(*found, self._services, request)
            answer = self._gate.finish_answer(request, answer)
        except Exception as error:  # as Flask does: a refusal, or a fault that is logged and 500
            return self._refuse(request, error)(environ, start_response)
        start_response(_STATUS[answer.status], final_headers(answer))
        return (answer.body,)

    def _refuse(self, request: Request, error: Exception) -> Response:
        response = of_error(error) if isinstance(error, CortexError) else of_fault(error)
        return self._gate.finish(request, response)

    def _find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The route and what stands for the variable parts of its path."""
        if not (path.startswith(_PREFIX) and path.isascii()):
            return None
        place, values = self._root, []
        for word in path[len(_PREFIX) :].split("/"):
            below = place.below.get(word)
            if below is None:
                below = place.any
                if below is None or not word:
                    return None
                values.append(word)
            place = below
        found = place.endpoints.get(method)
        return found and (found[0], dict(zip(found[1], values, strict=True)))
