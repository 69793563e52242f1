"""What a gunicorn worker runs: the application, its database lock, its background work."""

import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import gevent
import structlog
from flask import Flask
from sqlalchemy.exc import OperationalError

from cortex_server import logs
from cortex_server.app import create_app
from cortex_server.config import Config, ConfigError
from cortex_server.db.files import StartRefused
from cortex_server.db.leader import Leadership
from cortex_server.db.lock import DatabaseLock, DatabaseUnreachable, PostgresLock
from cortex_server.errors import Unavailable
from cortex_server.reconciler import TICK_S, Reconciler
from cortex_server.services import Services

DRAIN_POLL_S = 0.05
RETRY_S = 1.0
GARBAGE_MIN = 10_000  # new objects before the collector looks for cycles; Python's own is 700
WORKER_BOOT_ERROR = 3  # gunicorn ends the master too instead of trying again for ever
REPLACEMENT = "CORTEX_REPLACEMENT"  # set for a worker that takes the place of one that has died
_log = structlog.get_logger(__name__)
_lock: DatabaseLock | None = None


def application() -> Flask:
    """The application for one worker. Waits for the lock only where a reload hands it over."""
    logs.configure()
    while True:
        try:
            config = Config.load(os.environ)
            _take_lock(config)
            return create_app(config)
        except (ConfigError, StartRefused, Unavailable) as error:
            if not (REPLACEMENT in os.environ and _is_unreachable(error)):
                sys.stderr.write(f"cortex: {error}\n")
                sys.exit(WORKER_BOOT_ERROR)
            # Ending here would end the whole server, which heals when the database is back.
            _log.warning("waiting_for_database", error=str(error))
            gevent.sleep(RETRY_S)


def _take_lock(config: Config) -> None:
    """Of SQLite, for as long as this process lives; PostgreSQL may be served by many."""
    global _lock
    path = config.database_path
    if path is None:
        PostgresLock(config.database_url).probe()
    elif _lock is None:  # a second try has it already
        lock = DatabaseLock(path)
        lock.acquire(wait_s=config.graceful_s + 10)
        _lock = lock


def _is_unreachable(error: Exception) -> bool:
    lost = isinstance(error.__cause__, OperationalError)
    return lost or isinstance(error, DatabaseUnreachable | Unavailable)


def services_of(worker: Any) -> Services:
    # What gunicorn calls the application is the Flask object that `application` returned.
    services: Services = worker.wsgi.extensions["cortex"]
    return services


def post_worker_init(worker: Any) -> None:
    """gunicorn's hook, before the worker accepts: start the background work."""
    services = services_of(worker)
    leads = _leadership(services)
    reconciler = Reconciler(services, leads.mine) if leads else Reconciler(services)
    gevent.spawn(_reconcile, reconciler, services, worker, leads)
    if services.tailer is not None:
        services.tailer.connected = reconciler.check_tokens_soon
        # gunicorn replaces this worker by one that begins with the new history.
        services.tailer.restart = lambda: os.kill(os.getpid(), signal.SIGTERM)
        services.tailer.start()
    gevent.spawn(_drain_on_stop, services, worker)
    _spare_what_stays()
    _log.info("serving", worker=os.getpid())


def _spare_what_stays() -> None:
    """Keep the garbage collector away from the program itself.

    It would look through all modules and classes again and again, and every stream waits for it:
    storing 5,000 messages took a third longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_MIN, 20, 20)
    gc.enable()  # off since the fork


def worker_int(worker: Any) -> None:
    """gunicorn's hook on SIGINT and SIGQUIT: it grants the streams a tenth of a second."""
    services_of(worker).streams.drain()


def worker_exit(_server: Any, worker: Any) -> None:
    """gunicorn's hook, after the last request: store what is in memory, give up the database."""
    services = services_of(worker)
    reconciler = Reconciler(services)
    for duty in (reconciler.store_live_text, reconciler.store_last_used, reconciler.note_head):
        _do(duty)
    if services.tailer is not None:
        services.tailer.stop()
    services.live.close()
    services.store.engine.dispose()
    if _lock is not None:
        _lock.release()


def _leadership(services: Services) -> Leadership | None:
    """Who of several processes leads; None: this is the only one."""
    return None if services.tailer is None else Leadership(services.config.database_url)


def _reconcile(
    reconciler: Reconciler, services: Services, worker: Any, leads: Leadership | None
) -> None:
    """Do the duties; once the worker is told to stop, leave those of the leader to another one."""
    while worker.alive:
        reconciler.tick(services.clock.monotonic())
        gevent.sleep(TICK_S)
    if leads:
        leads.resign()
        return
    while True:  # until the process ends: text still comes, and a crash must not cost more of it
        _do(reconciler.store_live_text)
        gevent.sleep(TICK_S)


def _do(duty: Callable[[], None]) -> None:
    try:
        duty()
    except Exception:
        _log.exception("duty_failed", duty=duty.__name__)


def _drain_on_stop(services: Services, worker: Any) -> None:
    """End every stream when the worker is told to stop, and whoever just keeps a connection.

    Without this gunicorn waits for the streams until its graceful timeout and then kills the
    process, and neither the clients nor any `finally` hear of it.
    """
    while worker.alive:
        gevent.sleep(DRAIN_POLL_S)
    _log.info("draining", streams=len(services.streams))
    services.streams.drain()
    while worker.graceful_left_s():  # others may still come while gunicorn accepts
        worker.close_idle()
        gevent.sleep(DRAIN_POLL_S)
    while True:  # until the process ends
        worker.abandon()
        gevent.sleep(DRAIN_POLL_S)
