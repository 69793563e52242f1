"""Polling, the last resort: the board is fetched now and then while its stream brings nothing.

Some proxies break streams, or hold them back until they end. What answers a request then still
does, so that what is shown is at most half a minute old, and says so.
"""

from dataclasses import replace

from cortex_cli.board.messages import Effect, LoadBoard, Lost
from cortex_cli.board.model import POLLING_AFTER, POLLING_S, Connection, Model
from cortex_cli.board.moves import Step


def lost(model: Model, lost: Lost) -> Step:
    """Begin with it when it is wanted."""
    return now(model) if wanted(model.connection, lost) else (model, ())


def wanted(link: Connection, lost: Lost) -> bool:
    """Whether to begin: after so many failures, or after one of a stream that kept silent."""
    return not link.poll_at and (lost.attempt >= POLLING_AFTER or lost.silent)


def stalls(link: Connection, lost: Lost) -> bool:
    """Whether streams are greeted and then bring nothing: only then is a failure after a greeting
    the second in a row."""
    greeted = link.phase == "live" and link.attempt > 0
    return link.stalls or (lost.attempt > 1 and (lost.silent or greeted))


def due_at(link: Connection) -> float:
    """When to fetch next; 0 for never, as while the stream is there or will not be any more."""
    return link.poll_at if link.phase in ("lost", "connecting") else 0.0


def ticked(model: Model) -> Step:
    """Fetch the board when it is time again."""
    due = due_at(model.connection)
    return now(model) if due and due <= model.now else (model, ())


def now(model: Model) -> Step:
    """Fetch the board now, and the next time a period later."""
    model = replace(model, connection=begun(model.connection, model.now))
    if model.everything:
        from cortex_cli.board import everything  # one board can do without

        return everything.fetch_all(model)
    effects: tuple[Effect, ...] = (LoadBoard(model.project, model.stream),)
    return model, effects


def begun(link: Connection, now: float) -> Connection:
    """The connection while something is fetched without its stream."""
    return replace(link, poll_at=now + POLLING_S)


def answered(link: Connection, now: float) -> Connection | None:
    """Something was fetched while the stream is not there: it is as of now. None when it is."""
    return replace(link, polled=True, as_of=now) if _stands_in(link) else None


def arrived(model: Model) -> Model:
    """A board was fetched, maybe while the stream is not there."""
    link = answered(model.connection, model.now)
    return replace(model, connection=link) if link else model


def failed(model: Model) -> Model | None:
    """Without a toast every time: the status says it. None when nothing was polled."""
    link = model.connection
    return replace(model, connection=replace(link, polled=False)) if _stands_in(link) else None


def _stands_in(link: Connection) -> bool:
    return link.phase != "live" and bool(link.poll_at)
