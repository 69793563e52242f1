"""gunicorn's settings, the same for `cortex serve` and for `gunicorn -c gunicorn.conf.py`."""

import gc
import os
import resource
import shutil
import sys
import tempfile
from contextlib import suppress
from typing import Any

from cortex_server import logs
from cortex_server.config import OTHER_DESCRIPTORS, Config, ConfigError
from cortex_server.db.files import StartRefused
from cortex_server.db.lock import DatabaseLock

WORKER_CLASS = "cortex_server.worker.CortexWorker"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
BACKLOG = 2048
REPLACEMENT = "CORTEX_REPLACEMENT"
METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client lets workers add up
MEMORY = "/dev/shm"  # noqa: S108 - what is made there has a name nobody knows, and is private


def settings(config: Config) -> dict[str, Any]:
    """gunicorn settings by name. Raises ConfigError for an address that is not allowed."""
    if not config.allow_remote:
        _check_host(config.host)
    host = f"[{config.host}]" if ":" in config.host else config.host
    return {
        "bind": f"{host}:{config.port}",
        "workers": config.workers,
        "worker_class": WORKER_CLASS,
        "worker_connections": config.worker_connections,
        "backlog": BACKLOG,
        "wsgi_app": "cortex_server.wsgi:application()",
        "proc_name": "cortex",
        "preload_app": False,
        "keepalive": 5,  # also the deadline for a request's headers
        "timeout": 60,
        "graceful_timeout": config.graceful_s,
        "control_socket_disable": True,  # it would be made in the home directory
        "accesslog": None,
        "logger_class": "cortex_server.logs.GunicornLogger",
        "logconfig_dict": logs.config_dict(config.log_level),
        "on_starting": _on_starting(config),
        "when_ready": _when_ready(config),
        "pre_fork": _pre_fork,
        "post_fork": _post_fork,
        "post_worker_init": _post_worker_init,
        "worker_int": _worker_int,
        "worker_exit": _worker_exit,
        "on_exit": _on_exit,
    }


def _check_host(host: str) -> None:
    """Refuse an address beyond this machine. Raises ConfigError."""
    if host not in LOOPBACK:
        raise ConfigError(
            f"Other machines could reach this server at {host}. Set CORTEX_ALLOW_REMOTE=1 and "
            "CORTEX_ALLOWED_HOSTS if that is meant, and put TLS in front."
        )


def _on_starting(config: Config) -> Any:
    def prepare(arbiter: Any) -> None:
        """Refuse what cannot work before any worker is started: it would be tried for ever."""
        try:
            _check_command_line(arbiter.cfg, config)
            if config.database_path is not None:
                DatabaseLock(config.database_path).probe()
                _keep_one_worker(arbiter)
        except (ConfigError, StartRefused) as error:
            sys.exit(f"cortex: {error}")
        os.environ.pop(METRICS_DIRECTORY, None)  # another program's, or of the master before
        connections = arbiter.cfg.worker_connections + config.max_streams
        _allow_descriptors(connections + OTHER_DESCRIPTORS)

    return prepare


def _when_ready(config: Config) -> Any:
    def check(arbiter: Any) -> None:
        """Refuse an address beyond this machine also when systemd has opened it."""
        try:
            for listener in arbiter.LISTENERS:
                address = listener.getsockname()
                if isinstance(address, tuple) and not config.allow_remote:
                    _check_host(address[0])
            if config.database_path is None:
                os.environ[METRICS_DIRECTORY] = _metrics_directory()
        except (ConfigError, StartRefused) as error:
            sys.exit(f"cortex: {error}")

    return check


def _check_command_line(cfg: Any, config: Config) -> None:
    """Check what gunicorn's own options may have changed. Raises ConfigError."""
    for address in cfg.address:
        if isinstance(address, tuple) and not config.allow_remote:
            _check_host(address[0])
    config.check_workers(cfg.workers, "gunicorn's number of workers is")
    if cfg.worker_class_str != WORKER_CLASS:
        raise ConfigError(
            f"The worker class must be {WORKER_CLASS}, which is gevent's: streams need it. "
            "Leave the option out."
        )


def _metrics_directory() -> str:
    """A fresh private directory in which the workers of this server count, in memory if possible.

    They map its files, and where a disk is full, a write to a new page ends the worker (SIGBUS).
    """
    for beside in filter(None, (MEMORY, os.environ.get("XDG_RUNTIME_DIR"))):
        with suppress(OSError):
            return tempfile.mkdtemp(prefix="cortex-metrics-", dir=beside)
    try:
        return tempfile.mkdtemp(prefix="cortex-metrics-")
    except OSError as error:
        why = f"No directory for the metrics can be made: {error.strerror}."
        raise StartRefused(why) from error


def _keep_one_worker(arbiter: Any) -> None:
    """Ignore SIGTTIN: a second worker would be refused the database, and its end the server's."""

    def refuse() -> None:
        arbiter.log.warning("SIGTTIN ignored: SQLite can be served by one process only.")

    arbiter.handle_ttin = refuse


def _allow_descriptors(wanted: int) -> None:
    """Raise the limit of open files, as far as allowed: the usual one is below our connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _pre_fork(_server: Any, _worker: Any) -> None:
    """Make the directory again when it is gone: a worker could not start without it.

    When an account logs out, logind removes what it has in memory, also below a server that stays.
    """
    if made := os.environ.get(METRICS_DIRECTORY):
        with suppress(OSError):
            os.mkdir(made, 0o700)


def _post_fork(server: Any, worker: Any) -> None:
    """Tell a worker that it takes the place of one that has died.

    By its environment: nothing of ours may be imported before gevent has patched.
    """
    gc.disable()  # until it serves: while it starts, nearly everything that is made stays
    if worker.age > server.num_workers:
        os.environ[REPLACEMENT] = "1"


def _on_exit(_server: Any) -> None:
    if directory := os.environ.pop(METRICS_DIRECTORY, None):
        shutil.rmtree(directory, ignore_errors=True)


def _post_worker_init(worker: Any) -> None:
    from cortex_server import wsgi  # in the worker only: gevent has patched by now

    wsgi.post_worker_init(worker)


def _worker_int(worker: Any) -> None:
    from cortex_server import wsgi

    wsgi.worker_int(worker)


def _worker_exit(server: Any, worker: Any) -> None:
    if getattr(worker, "wsgi", None) is None:
        return  # it never got as far as loading the application
    from cortex_server import wsgi

    wsgi.worker_exit(server, worker)
