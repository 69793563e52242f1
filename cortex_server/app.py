"""The application, put together. Nothing else wires anything."""

import json
import os
import resource
from typing import Any

import structlog
from flask import Flask, Request, Response, request
from werkzeug.routing import MapAdapter

from cortex_server import __version__, api, signals
from cortex_server.api import health, logins, pages, problems, serving, streams
from cortex_server.api.direct import Direct
from cortex_server.api.gate import Gate
from cortex_server.bus import Bus
from cortex_server.clock import Clock, SystemClock
from cortex_server.config import OTHER_DESCRIPTORS, Config
from cortex_server.db import epoch, migrate, postgres
from cortex_server.db.engine import is_sqlite, make_engine
from cortex_server.db.time import DatabaseClock
from cortex_server.domains import shared_text, tokens
from cortex_server.domains.last_used import LastUsed
from cortex_server.domains.live import Growing, LiveText
from cortex_server.domains.shared_text import SharedText
from cortex_server.events import EVENTS
from cortex_server.log import LoggedEvent
from cortex_server.metrics import Metrics
from cortex_server.pages import Pages
from cortex_server.registry import StreamRegistry
from cortex_server.services import Services
from cortex_server.snapshots import Snapshots
from cortex_server.store import SYSTEM, Store
from cortex_server.stream.response import StreamGateway
from cortex_server.tailer import Tailer

REQUESTS_KEPT = 1_000  # descriptors that streams leave to requests
_log = structlog.get_logger(__name__)
TOKEN_FILE = "token"  # noqa: S105


def create_app(config: Config | None = None, clock: Clock | None = None) -> Flask:
    """The whole server as a WSGI application, on a database that is up to date afterwards.

    Raises ConfigError for a setting, StartRefused for a file, a lock or a database that it cannot
    use; the message says what to do.
    """
    config = config or Config.load(os.environ)
    services = _services(config, clock)
    with services.store.write(SYSTEM) as tx:
        tokens.ensure_local(tx, config.data_dir / TOKEN_FILE)
    app = _Flask("cortex_server", static_folder=None)
    app.url_map.merge_slashes = False  # an address is right or it is not: no redirects
    app.extensions["cortex"] = services
    app.extensions["cortex_receiver"] = feed_bus(services)
    problems.register(app)
    gate = Gate(services)
    _guard(app, gate)
    direct = Direct(app.wsgi_app, services, gate)
    for routes in api.ALL:
        app.register_blueprint(routes.blueprint(serving.serve))
        for endpoint in routes.endpoints:
            direct.add(endpoint)
    for module in (health, logins, pages, streams):
        app.register_blueprint(module.blueprint())
    # mypy takes a method for something that cannot be replaced; Flask documents just this
    app.wsgi_app = StreamGateway(direct, config.stall_s)  # type: ignore[method-assign]
    return app


def _services(config: Config, clock: Clock | None) -> Services:
    engine = make_engine(config.database_url, config.database_connections)
    migrate.prepare(config, engine)
    if clock is None:
        own = SystemClock()
        clock = own if is_sqlite(engine) else DatabaseClock(engine, own)
    current_epoch = epoch.check(engine, config.database_path)
    return assemble(config, clock, Store(engine, clock), current_epoch)


def assemble(config: Config, clock: Clock, store: Store, current_epoch: str) -> Services:
    """What the application is made of, on a store; the bus is not fed yet."""
    metrics = Metrics()
    bus = Bus(store.published, config.queue_size, config.queue_bytes, metrics)
    streams = StreamRegistry(store, _streams_max(config))
    # looked up when it is called: a test mutes it
    live: Growing = LiveText(tell=lambda event: bus.publish_ephemeral(event))  # noqa: PLW0108
    tailer = None
    if not is_sqlite(store.engine):
        live = SharedText(config.database_url)
        tailer = Tailer(config.database_url, current_epoch, store.publisher, clock)
        _feed_by(tailer, store, bus, streams)
    store.store_text = live.flush
    return Services(
        config=config,
        clock=clock,
        store=store,
        bus=bus,
        live=live,
        last_used=LastUsed(),
        snapshots=Snapshots(store),
        pages=Pages(store, bus),
        streams=streams,
        metrics=metrics,
        epoch=current_epoch,
        version=__version__,
        tailer=tailer,
    )


def _streams_max(config: Config) -> int:
    """How many streams there may be: as many as asked for, as far as descriptors go."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = soft - min(config.worker_connections, REQUESTS_KEPT) - OTHER_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or config.max_streams <= room:
        return config.max_streams
    _log.warning("few_descriptors", limit=soft, max_streams=config.max_streams, allowed=room)
    return max(room, 1)


def _feed_by(tailer: Tailer, store: Store, bus: Bus, streams: StreamRegistry) -> None:
    """Make it the one that publishes, instead of the store; it is not started yet."""
    store.tell = lambda _group: tailer.wake()

    def hear(channel: str, payload: str) -> None:
        try:
            if channel == postgres.DELTAS:
                bus.publish_ephemeral(shared_text.event_of(payload))
                return
            # Whoever may connect to the database may notify, too.
            match json.loads(payload):
                case {"signal": signals.TOKEN_REVOKED, "token_id": str(token)}:
                    signals.send(signals.internal(signals.TOKEN_REVOKED), store, token_id=token)
                case _:
                    _log.warning("notification_refused", channel=channel)
        except Exception:  # whatever was sent, the tailer must go on reading
            _log.exception("notification_failed", channel=channel)

    tailer.heard = hear
    tailer.on_stale = streams.suspend


def feed_bus(services: Services) -> Any:
    """Make the bus a receiver of every signal. Keep what this returns: signals hold it weakly."""

    def receive(_sender: Store, event: LoggedEvent) -> None:
        services.bus.publish(event)

    def flush(_sender: Store) -> None:
        services.bus.flush()

    for name in EVENTS:
        signals.event(name).connect(receive, sender=services.store)
    signals.internal(signals.PUBLISHED).connect(flush, sender=services.store)
    return receive, flush


class _Flask(Flask):
    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What finds the route. Flask's own also works out a name, to build addresses with."""
        if request is None:
            return None
        return self.url_map.bind("localhost", path_info=request.path, default_method=request.method)


def _guard(app: Flask, gate: Gate) -> None:
    """Check every request before Flask routes it, and finish every answer."""

    @app.before_request
    def check() -> None:
        gate.check(request._get_current_object())  # type: ignore[attr-defined]

    @app.after_request
    def finish(response: Response) -> Response:
        return gate.finish(request._get_current_object(), response)  # type: ignore[attr-defined]
