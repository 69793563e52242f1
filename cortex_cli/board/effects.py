"""Effects, run in threads through the SDK; what comes of them is posted as messages.

One thread follows the board, one the deltas of the open ticket, one makes changes in the order
they were asked for, one fetches. All are daemons: leaving the board waits for none of them.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any

from cortex_cli.board import calls
from cortex_cli.board import messages as m
from cortex_cli.board.apply import Change
from cortex_cli.sdk import (
    Connected,
    CortexClient,
    CortexError,
    Delta,
    End,
    Event,
    EventStream,
    Heartbeat,
    Lost,
    Overview,
    Reset,
    State,
)

Post = Callable[[m.Incoming], None]


class Effects:
    """run: start an effect and return at once. close: leave everything now."""

    def __init__(self, client_factory: Callable[[], CortexClient], post: Post) -> None:
        self._factory = client_factory
        self._post = post
        self._client: CortexClient | None = None
        self._lock = threading.Lock()
        self._board: Follower | None = None
        self._deltas: Follower | None = None
        self._dashboard: Follower | None = None
        self._writes = _Worker("cortex-changes")
        self._reads = _Worker("cortex-fetches")

    def run(self, effect: m.NetworkEffect) -> None:
        """Start a network effect."""
        match effect:
            case m.Follow():
                self._follow(effect)
            case m.FollowDeltas():
                self._follow_deltas(effect)
            case m.Retry():
                if self._board:
                    self._board.retry_now()
            case m.FollowDashboard():
                self._follow_dashboard(effect)
            case m.RetryDashboard():
                if self._dashboard:
                    self._dashboard.retry_now()
            case _ if isinstance(effect, calls.CHANGES):
                self._writes.put(lambda: self._change(effect))
            case _:
                self._reads.put(lambda: self._fetch(effect))

    def close(self) -> None:
        """Close the streams: the server sees us leave at once."""
        for follower in (self._board, self._deltas, self._dashboard):
            if follower:
                follower.close()

    def client(self) -> CortexClient:
        """The client, made on first use. Raises what the factory raises."""
        with self._lock:
            if self._client is None:
                self._client = self._factory()
            return self._client

    # --- streams

    def _follow(self, effect: m.Follow) -> None:
        if self._board:
            self._board.close()
        number, post = effect.stream, self._post

        def ended(error: Exception) -> None:
            post(m.Lost(number, str(error) or type(error).__name__, None, 0))

        self._board = Follower(
            open=lambda: self.client().events(project=effect.project),
            use=lambda value: post(message) if (message := board_message(number, value)) else None,
            failed=ended,
        )

    def _follow_deltas(self, effect: m.FollowDeltas) -> None:
        if self._deltas:
            self._deltas.close()
            self._deltas = None
        if not effect.ticket:
            return
        self._deltas = Follower(
            open=lambda: self.client().events(
                project=effect.project,
                ticket=effect.ticket,
                types="message.delta",
                deltas="*",
                snapshot=False,
            ),
            use=lambda value: self._post(message) if (message := delta_message(value)) else None,
            failed=lambda error: (
                None
            ),  # whole messages still come by the board's stream, which says if not
        )

    def _follow_dashboard(self, effect: m.FollowDashboard) -> None:
        if self._dashboard:
            self._dashboard.close()
            self._dashboard = None
        number, post = effect.stream, self._post
        if not number:
            return
        self._dashboard = Follower(
            open=lambda: self.client().dashboard(),
            use=lambda value: post(message) if (message := board_message(number, value)) else None,
            failed=lambda error: post(m.Lost(number, str(error) or type(error).__name__, None, 0)),
        )

    # --- changes

    def _change(self, effect: calls.Change) -> None:
        try:
            self._post(calls.changed(self.client(), effect))
        except Exception as error:  # a thread's edge: whatever it is, the board has to say it
            self._post(calls.refusal(effect, error))

    # --- fetches

    def _fetch(self, effect: m.NetworkEffect) -> None:
        try:
            self._post(calls.fetched(self.client(), effect))
        except Exception as error:  # as above: a thread that dies silently leaves a stale screen
            failure = calls.failure(effect, str(error) or type(error).__name__)
            if failure:
                self._post(failure)


class Follower:
    """A thread that reads one stream until it is closed."""

    def __init__(
        self,
        open: Callable[[], EventStream],
        use: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._open, self._use, self._failed = open, use, failed
        self._lock = threading.Lock()
        self._stream: EventStream | None = None
        self._closed = False
        threading.Thread(target=self._run, name="cortex-stream", daemon=True).start()

    def _run(self) -> None:
        try:
            stream = self._open()
            with self._lock:
                if self._closed:
                    stream.close()
                    return
                self._stream = stream
            with stream:
                for value in stream:
                    self._use(value)
        except Exception as error:  # a thread's edge
            if not self._closed:
                self._failed(error)

    def retry_now(self) -> None:
        with self._lock:
            if self._stream:
                self._stream.retry_now()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._stream:
                self._stream.close()


class _Worker:
    """A thread that runs tasks one after another, started by the first."""

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def put(self, task: Callable[[], None]) -> None:
        self._tasks.put(task)
        if not self._thread.is_alive():
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._tasks.get()()


def board_message(stream: int, value: Any) -> m.Incoming | None:
    """The message of a value of the board's stream; None for one that the board does not need."""
    match value:
        case Event(snapshot=False):
            change = Change(
                value.type,
                value.payload,
                value.project,
                value.seq,
                value.ticket,
                value.actor.name,
                value.gap,
            )
            return m.Changed(stream, change)
        case State():
            return m.Snapshot(stream, value.body)
        case Heartbeat():
            return m.Beat(stream, value.seq)
        case Overview():
            return m.Overview(stream, value.body)
        case Connected():
            return m.Connected(stream, value.resumed)
        case Reset():
            return m.Stale(stream, value.reason)
        case End():
            return m.Ended(stream, value.reason, value.reconnect)
        case Lost():
            return m.Lost(stream, str(value.error), value.retry_in, value.attempt)
    return None


def delta_message(value: Any) -> m.Grown | None:
    """The message of a delta; None for everything else, and for one that cannot be read."""
    if not isinstance(value, Delta):
        return None
    payload = value.payload
    texts = [payload.get(name) for name in ("session", "message", "text")]
    numbers = [payload.get(name) for name in ("part", "offset")]
    if not all(isinstance(text, str) for text in texts) or not all(
        isinstance(number, int) for number in numbers
    ):
        return None
    return m.Grown(
        value.ticket or "",
        payload["session"],
        payload["message"],
        payload["part"],
        payload["offset"],
        payload["text"],
    )


__all__ = ["CortexError", "Effects", "Follower", "board_message", "delta_message"]
