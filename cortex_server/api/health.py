"""Health, readiness and metrics: for machines that watch the server."""

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text

from cortex_server.api.answers import to_answer, to_response
from cortex_server.api.credentials import authenticate
from cortex_server.api.endpoint import add_get, services
from cortex_server.api.fields import Query
from cortex_server.api.problems import Draining
from cortex_server.api.queries import parse_query
from cortex_server.errors import Unavailable


def blueprint() -> Blueprint:
    routes = Blueprint("health", __name__)
    add_get(routes, "/healthz", healthz)
    add_get(routes, "/readyz", readyz)
    add_get(routes, "/metrics", metrics)
    return routes


def healthz() -> Response:
    """The process lives: no database, so that a full disk does not get it restarted."""
    parse_query(Query, request.environ.get("QUERY_STRING", ""))
    return to_response(to_answer({"status": "ok"}, 200))


def readyz() -> Response:
    """The database answers and the process stays. Raises Unavailable otherwise."""
    parse_query(Query, request.environ.get("QUERY_STRING", ""))
    if services().streams.draining:
        raise Draining("This process is shutting down.")
    if services().stale:
        raise Unavailable("The log cannot be read.")
    with services().store.read() as tx:
        tx.conn.execute(text("SELECT 1"))
    return to_response(to_answer({"status": "ready", "version": services().version}, 200))


def metrics() -> Response:
    """What was counted, for Prometheus; with an admin's token, or open by CORTEX_METRICS_PUBLIC."""
    if not services().config.metrics_public:
        authenticate(services(), request).check_admin()
    parse_query(Query, request.environ.get("QUERY_STRING", ""))
    return Response(services().metrics.text(), content_type=CONTENT_TYPE_LATEST)
