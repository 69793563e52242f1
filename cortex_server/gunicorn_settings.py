"""gunicorn's settings, the same for `cortex serve` and for `gunicorn -c gunicorn.conf.py`."""

import resource
import sys
from typing import Any

from cortex_server import logs
from cortex_server.config import Config, ConfigError
from cortex_server.db.files import StartRefused
from cortex_server.db.lock import DatabaseLock

LOOPBACK = ("127.0.0.1", "localhost", "::1")
BACKLOG = 2048
OTHER_DESCRIPTORS = 256  # beside the connections: database, log, listeners


def settings(config: Config) -> dict[str, Any]:
    """gunicorn settings by name. Raises ConfigError for an address that is not allowed."""
    if not config.allow_remote:
        _check_host(config.host)
    host = f"[{config.host}]" if ":" in config.host else config.host
    return {
        "bind": f"{host}:{config.port}",
        "workers": config.workers,
        "worker_class": "gevent",
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
        "logconfig_dict": logs.config_dict(config.log_level),
        "on_starting": _on_starting(config),
        "post_worker_init": _post_worker_init,
        "worker_int": _worker_int,
        "worker_exit": _worker_exit,
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
            _check_command_line(arbiter.cfg, config.allow_remote)
            if config.database_path is not None:
                DatabaseLock(config.database_path).probe()
        except (ConfigError, StartRefused) as error:
            sys.exit(f"cortex: {error}")
        _allow_descriptors(arbiter.cfg.worker_connections + OTHER_DESCRIPTORS)

    return prepare


def _check_command_line(cfg: Any, allow_remote: bool) -> None:
    """Check what gunicorn's own options may have changed. Raises ConfigError."""
    for address in cfg.address:
        if isinstance(address, tuple) and not allow_remote:
            _check_host(address[0])
    if cfg.workers != 1:
        raise ConfigError(f"gunicorn is to start {cfg.workers} workers; this version runs one.")
    if cfg.worker_class_str != "gevent":
        raise ConfigError("The worker class must be gevent: each stream would block another.")


def _allow_descriptors(wanted: int) -> None:
    """Raise the limit of open files, as far as allowed: the usual one is below our connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


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
