"""gunicorn's settings, the same for `cortex serve` and for `gunicorn -c gunicorn.conf.py`."""

import sys
from typing import Any

from cortex_server import logs
from cortex_server.config import Config, ConfigError
from cortex_server.db.files import StartRefused
from cortex_server.db.lock import DatabaseLock

LOOPBACK = ("127.0.0.1", "localhost", "::1")
BACKLOG = 2048


def settings(config: Config) -> dict[str, Any]:
    """gunicorn settings by name. Raises ConfigError for an address that is not allowed."""
    if config.host not in LOOPBACK and not config.allow_remote:
        raise ConfigError(
            f"CORTEX_HOST is {config.host}, which other machines can reach. Set "
            "CORTEX_ALLOW_REMOTE=1 and CORTEX_ALLOWED_HOSTS if that is meant; put TLS in front."
        )
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
        "worker_exit": _worker_exit,
    }


def _on_starting(config: Config) -> Any:
    def check(_arbiter: Any) -> None:
        """Refuse a second server before any worker is started."""
        if config.database_path is None:
            return
        try:
            DatabaseLock(config.database_path).probe()
        except StartRefused as error:
            sys.exit(f"cortex: {error}")

    return check


def _post_worker_init(worker: Any) -> None:
    from cortex_server import wsgi  # in the worker only: gevent has patched by now

    wsgi.post_worker_init(worker)


def _worker_exit(server: Any, worker: Any) -> None:
    if getattr(worker, "wsgi", None) is None:
        return  # it never got as far as loading the application
    from cortex_server import wsgi

    wsgi.worker_exit(server, worker)
