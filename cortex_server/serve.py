"""`python -m cortex_server serve`: gunicorn here, with the same settings as gunicorn.conf.py."""

from collections.abc import Callable, Mapping
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from cortex_server.config import Config
from cortex_server.gunicorn_settings import settings


class Server(BaseApplication):
    """gunicorn, told its settings by us. They are read again on a reload (SIGHUP)."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__()

    def load_config(self) -> None:
        for name, value in settings(Config.load(self._environ)).items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        from cortex_server import wsgi  # in the worker only: gevent has patched by now

        return wsgi.application()


def serve(environ: Mapping[str, str]) -> None:
    """Serve until a signal ends it. Does not return.

    Raises ConfigError before anything is bound.
    """
    settings(Config.load(environ))  # gunicorn would print a traceback over the message
    Server(environ).run()
