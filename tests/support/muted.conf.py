"""The server with one emission taken out: of the type that the file $MUTED_FILE names."""

import os
from pathlib import Path
from typing import Any

from cortex_server.config import Config
from cortex_server.gunicorn_settings import settings

globals().update(settings(Config.load(os.environ)))
_start = globals()["post_worker_init"]


def _is_muted(name: str) -> bool:
    file = Path(os.environ["MUTED_FILE"])
    return file.exists() and file.read_text() == name


def post_worker_init(worker: Any) -> None:
    from cortex_server.bus import Bus
    from cortex_server.store import WriteTx

    emit, tell = WriteTx.emit, Bus.publish_ephemeral

    def muted_emit(self: Any, name: str, *values: Any, **named: Any) -> None:
        if not _is_muted(name):
            emit(self, name, *values, **named)

    def muted_tell(self: Any, event: Any) -> None:
        if not _is_muted(event.type):
            tell(self, event)

    WriteTx.emit, Bus.publish_ephemeral = muted_emit, muted_tell  # type: ignore[method-assign]
    _start(worker)
