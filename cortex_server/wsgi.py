"""What a gunicorn worker runs: the application, its database lock, its background work."""

import os
import sys
from typing import Any

import gevent
import structlog
from flask import Flask

from cortex_server import logs
from cortex_server.app import create_app
from cortex_server.config import Config, ConfigError
from cortex_server.connections import Connections
from cortex_server.db.files import StartRefused
from cortex_server.db.lock import DatabaseLock, PostgresLock
from cortex_server.reconciler import TICK_S, Reconciler
from cortex_server.services import Services

DRAIN_POLL_S = 0.05
WORKER_BOOT_ERROR = 3  # gunicorn ends the master too instead of trying again for ever
_log = structlog.get_logger(__name__)
_lock: DatabaseLock | PostgresLock | None = None


def application() -> Flask:
    """The application for one worker. Waits for the lock only where a reload hands it over."""
    logs.configure()
    try:
        config = Config.load(os.environ)
        _take_lock(config)
        return create_app(config)
    except (ConfigError, StartRefused) as error:
        sys.stderr.write(f"cortex: {error}\n")
        sys.exit(WORKER_BOOT_ERROR)


def _take_lock(config: Config) -> None:
    global _lock
    path = config.database_path
    _lock = PostgresLock(config.database_url) if path is None else DatabaseLock(path)
    _lock.acquire(wait_s=config.graceful_s + 10)


def services_of(worker: Any) -> Services:
    # What gunicorn calls the application is the Flask object that `application` returned.
    services: Services = worker.wsgi.extensions["cortex"]
    return services


def post_worker_init(worker: Any) -> None:
    """gunicorn's hook, before the worker accepts: start the background work."""
    services = services_of(worker)
    gevent.spawn(_reconcile, services, worker)
    gevent.spawn(_drain_on_stop, services, worker, Connections(worker))


def worker_int(worker: Any) -> None:
    """gunicorn's hook on SIGINT and SIGQUIT: it grants the streams a tenth of a second."""
    services_of(worker).streams.drain()


def worker_exit(_server: Any, worker: Any) -> None:
    """gunicorn's hook, after the last request: store what is in memory, give up the database."""
    services = services_of(worker)
    reconciler = Reconciler(services)
    for duty in (reconciler.store_live_text, reconciler.store_last_used, reconciler.note_head):
        try:
            duty()
        except Exception:
            _log.exception("duty_failed", duty=duty.__name__)
    services.store.engine.dispose()
    if _lock is not None:
        _lock.release()


def _reconcile(services: Services, worker: Any) -> None:
    reconciler = Reconciler(services)
    while worker.alive:
        reconciler.tick(services.clock.monotonic())
        gevent.sleep(TICK_S)


def _drain_on_stop(services: Services, worker: Any, connections: Connections) -> None:
    """End every stream when the worker is told to stop, and whoever just keeps a connection.

    Without this gunicorn waits for the streams until its graceful timeout and then kills the
    process, and neither the clients nor any `finally` hear of it.
    """
    while worker.alive:
        gevent.sleep(DRAIN_POLL_S)
    _log.info("draining", streams=len(services.streams))
    services.streams.drain()
    while True:  # until the process ends: others may still come while gunicorn accepts
        connections.close_idle()
        gevent.sleep(DRAIN_POLL_S)
