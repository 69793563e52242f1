"""Deltas in a process as gunicorn makes it, where a greenlet that waits lets the others run.

python -m tests.support.patched_deltas SCENE DATABASE_URL MESSAGE_JSON; it fails with a traceback.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import closing, contextmanager  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402

from cortex_server.db import postgres  # noqa: E402
from cortex_server.domains import shared_text  # noqa: E402
from cortex_server.domains.shared_text import SharedText  # noqa: E402
from cortex_server.errors import CortexError, Unavailable  # noqa: E402
from cortex_server.events.objects import Message  # noqa: E402
from tests.support.in_process import until  # noqa: E402
from tests.support.postgres import execute  # noqa: E402

LIMIT_S = 0.3  # instead of three seconds and of ten


@contextmanager
def turn_of(url: str, message: Message) -> Iterator[None]:
    """Another process has its turn with this message, and stands still in it."""
    with closing(postgres.connect(url)) as other, other.transaction():
        name = f"{message.session} {message.id}"
        other.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (shared_text._TURNS, name))
        yield


def outcome(append: Any, *arguments: Any) -> Any:
    try:
        return append(*arguments)
    except CortexError as error:
        return type(error)


def crowd(url: str, message: Message) -> None:
    """Many wait for one who stands still: not one after the other, and not for ever."""
    with closing(SharedText(url)) as live, turn_of(url, message):
        waiting = [gevent.spawn(outcome, live.append, message, 1, 3, "lo") for _ in range(12)]
        waiting.append(gevent.spawn(outcome, live.dirty))  # the leader, who has other duties, too
        gevent.joinall(waiting, timeout=4 * LIMIT_S)
        assert [one.value for one in waiting[:-1]] == [Unavailable] * 12
        assert waiting[-1].ready()


def standstill(url: str, message: Message) -> None:
    """The one who stands still loses its turn, and hears of it when it goes on."""

    class Slow(SharedText):
        def _append(self, *arguments: Any) -> int:
            length = super()._append(*arguments)
            began.set()
            gevent.sleep(5 * LIMIT_S)
            return length

    began = gevent.event.Event()
    with closing(Slow(url)) as slow, closing(SharedText(url)) as live:
        standing = gevent.spawn(outcome, slow.append, message, 1, 3, "lost")
        assert began.wait(10)
        until(lambda: outcome(live.append, message, 1, 3, "lo") == 5, "another has the turn")
        assert not standing.ready()
        assert standing.get(timeout=10) is Unavailable
        assert SharedText.append(live, message, 1, 5, "") == 5


def interruption(url: str, message: Message) -> None:
    """Whatever is interrupted, and by what, the next ones are served."""
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with closing(SharedText(url)) as live:
        live.dirty()
        for interrupt in (gevent.GreenletExit(), gevent.Timeout()):
            with turn_of(url, message):
                one = gevent.spawn(live.append, message, 1, 3, "lost")
                until(lambda: execute(url, waits) == [(1,)], "it waits")
                one.kill(interrupt)
                assert live.dirty() is False
        assert live.append(message, 1, 3, "lo") == 5


if __name__ == "__main__":
    shared_text.TURN_S = LIMIT_S
    for default in ("lock_timeout=3s", "idle_in_transaction_session_timeout=10s"):
        name = default.partition("=")[0]
        short = f"{name}={int(LIMIT_S * 1000)}ms"
        assert default in shared_text._SETTINGS
        shared_text._SETTINGS = shared_text._SETTINGS.replace(default, short)
    scene = {"crowd": crowd, "standstill": standstill, "interruption": interruption}[sys.argv[1]]
    scene(sys.argv[2], Message.model_validate_json(sys.argv[3]))
