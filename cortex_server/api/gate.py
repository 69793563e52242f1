"""What every request passes before it is routed, and what is done to every answer."""

from flask import Request, Response

from cortex_server.api import security
from cortex_server.api.answers import Compressor, ReadyResponse
from cortex_server.domains.idempotency import Answer
from cortex_server.errors import Unavailable
from cortex_server.services import Services

STALE = "The database has not answered for some seconds; this heals by itself, try again."
STALE_IS_FINE = ("/healthz", "/metrics")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Gate:
    """One for each application."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._compressor = Compressor()

    def check(self, request: Request) -> None:
        """Refuse what may come from elsewhere, and what cannot be answered now."""
        security.check_request(request, self._services.config.allowed_hosts)
        if self._services.stale and request.path not in STALE_IS_FINE:
            raise Unavailable(STALE)

    def finish(self, request: Request, response: Response) -> Response:
        self._count(request, response.status_code)
        self._compressor.apply(request, response)
        return response if isinstance(response, ReadyResponse) else security.add_headers(response)

    def finish_answer(self, request: Request, answer: Answer) -> Answer:
        finished = self._compressor.compressed(request, answer)
        self._count(request, answer.status)  # last: whatever fails here is answered anew
        return finished

    def _count(self, request: Request, status: int) -> None:
        method = request.method if request.method in _METHODS else "other"
        self._services.metrics.answered(method, status)
