"""The application, put together. Nothing else wires anything."""

import os
from typing import Any

from flask import Flask, Response, request

from cortex_server import __version__, api, signals
from cortex_server.api import health, logins, pages, problems, security, serving, streams
from cortex_server.api.answers import Compressor
from cortex_server.bus import Bus
from cortex_server.clock import Clock, SystemClock
from cortex_server.config import Config
from cortex_server.db import epoch, migrate
from cortex_server.db.engine import make_engine
from cortex_server.domains import tokens
from cortex_server.domains.last_used import LastUsed
from cortex_server.domains.live import LiveText
from cortex_server.events import EVENTS
from cortex_server.log import LoggedEvent
from cortex_server.metrics import Metrics
from cortex_server.registry import StreamRegistry
from cortex_server.services import Services
from cortex_server.snapshots import Snapshots
from cortex_server.store import SYSTEM, Store
from cortex_server.stream.response import StreamGateway

TOKEN_FILE = "token"  # noqa: S105
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def create_app(config: Config | None = None, clock: Clock | None = None) -> Flask:
    """The whole server as a WSGI application, on a database that is up to date afterwards.

    Raises ConfigError for a setting, StartRefused for a file, a lock or a database that it cannot
    use; the message says what to do.
    """
    config = config or Config.load(os.environ)
    services = _services(config, clock or SystemClock())
    with services.store.write(SYSTEM) as tx:
        tokens.ensure_local(tx, config.data_dir / TOKEN_FILE)
    app = Flask("cortex_server", static_folder=None)
    app.url_map.merge_slashes = False  # an address is right or it is not: no redirects
    app.extensions["cortex"] = services
    app.extensions["cortex_receiver"] = feed_bus(services)
    problems.register(app)
    _guard(app, services)
    for routes in api.ALL:
        app.register_blueprint(routes.blueprint(serving.serve))
    for module in (health, logins, pages, streams):
        app.register_blueprint(module.blueprint())
    # mypy takes a method for something that cannot be replaced; Flask documents just this
    app.wsgi_app = StreamGateway(app.wsgi_app, config.stall_s)  # type: ignore[method-assign]
    return app


def _services(config: Config, clock: Clock) -> Services:
    engine = make_engine(config.database_url)
    migrate.prepare(config, engine)
    current_epoch = epoch.check(engine, config.database_path)
    return assemble(config, clock, Store(engine, clock), current_epoch)


def assemble(config: Config, clock: Clock, store: Store, current_epoch: str) -> Services:
    """What the application is made of, on a store; the bus is not fed yet."""
    metrics = Metrics()
    return Services(
        config=config,
        clock=clock,
        store=store,
        bus=Bus(store.published, config.queue_size, config.queue_bytes, metrics),
        live=LiveText(),
        last_used=LastUsed(),
        snapshots=Snapshots(store),
        streams=StreamRegistry(store, config.max_streams),
        metrics=metrics,
        epoch=current_epoch,
        version=__version__,
    )


def feed_bus(services: Services) -> Any:
    """Make the bus a receiver of every signal. Keep what this returns: signals hold it weakly."""

    def receive(_sender: Store, event: LoggedEvent) -> None:
        services.bus.publish(event)

    for name in EVENTS:
        signals.event(name).connect(receive, sender=services.store)
    return receive


def _guard(app: Flask, services: Services) -> None:
    """Check every request before it is routed, and finish every answer."""
    compressor = Compressor()

    @app.before_request
    def check() -> None:
        security.check_request(request, services.config.allowed_hosts)

    @app.after_request
    def finish(response: Response) -> Response:
        method = request.method if request.method in _METHODS else "other"
        services.metrics.requests.labels(method, str(response.status_code)).inc()
        return security.add_headers(compressor.apply(request, response))
