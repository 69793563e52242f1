"""Effects, run in threads through the SDK; what comes of them is posted as messages.

One thread follows the board, one the deltas of the open ticket, one makes changes in the order
they were asked for, one fetches. All are daemons: leaving the board waits only for changes
(`leaving`).
"""

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from cortex_cli.board import calls, overviews
from cortex_cli.board import messages as m
from cortex_cli.board.apply import Change
from cortex_cli.board.cache import BoardCache
from cortex_cli.board.cached import Forget, Keep
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
    NotAllowed,
    NotFound,
    NoToken,
    Overview,
    Reset,
    State,
    Unreachable,
)

Post = Callable[[m.Incoming], None]

BOARDS_AT_ONCE = 4


class Effects:
    """run: start an effect and return at once. close: leave everything now."""

    def __init__(
        self,
        client_factory: Callable[[], CortexClient],
        post: Post,
        cache: BoardCache | None = None,
        answered: Callable[[CortexClient], None] | None = None,
    ) -> None:
        """answered: called in a thread, once, when the server has sent a board or refused to."""
        self._factory = client_factory
        self._post = post
        self._cache = cache
        self._answered = answered
        self._client: CortexClient | None = None
        self._lock = threading.Lock()
        self._board: Follower | None = None
        self._deltas: Follower | None = None
        self._dashboard: Follower | None = None
        self._writes = _Worker("cortex-changes")
        self._reads = _Worker("cortex-fetches")
        self._boards = _Worker("cortex-boards", BOARDS_AT_ONCE)
        self._kept = _Worker("cortex-cache")
        self._followed = 0  # the number of the board's stream
        self._unsaved: deque[calls.Change] = deque()

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
            case Keep() | Forget():
                self._keep(effect)
            case m.LoadBoard():
                self._boards.put(lambda: self._load_board(effect))
            case _ if isinstance(effect, calls.CHANGES):
                self._unsaved.append(effect)
                self._writes.put(lambda: self._change(effect))
            case _:
                self._reads.put(lambda: self._fetch(effect))

    def close(self) -> None:
        """Close the streams: the server sees us leave at once."""
        for follower in (self._board, self._deltas, self._dashboard):
            if follower:
                follower.close()

    @property
    def unsaved(self) -> tuple[calls.Change, ...]:
        """Changes whose answers have not been posted yet, in their order."""
        return tuple(self._unsaved)

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
        self._followed = number

        def ended(error: Exception) -> None:
            post(m.Lost(number, str(error) or type(error).__name__, None, 0, False, refused(error)))

        def use(value: Any) -> None:
            if message := board_message(number, value):
                post(message)
            if isinstance(value, State) or (isinstance(value, Lost) and value.final):
                self._tell_answered()

        self._board = Follower(
            open=lambda: self.client().events(project=effect.project or None),
            use=use,
            failed=ended,
        )

    def _tell_answered(self) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            self._reads.put(lambda: answered(self.client()))

    def _keep(self, effect: Keep | Forget) -> None:
        cache = self._cache
        if cache is None:
            return
        if isinstance(effect, Keep):
            self._kept.put(lambda: cache.write(effect))
        else:
            self._kept.put(lambda: cache.forget(effect.project))

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
        self._unsaved.popleft()  # they are made in their order

    # --- fetches

    def _load_board(self, effect: m.LoadBoard) -> None:
        if effect.stream >= self._followed:  # else nobody waits for it any more
            self._fetch(effect)

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
    """Threads that run tasks in their order, `most` at once; each is started by a task."""

    def __init__(self, name: str, most: int = 1) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._name = name
        self._left = most  # threads that may still be started

    def put(self, task: Callable[[], None]) -> None:
        self._tasks.put(task)
        if self._left:
            self._left -= 1
            threading.Thread(target=self._run, name=self._name, daemon=True).start()

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
                raw=value.raw,
            )
            return m.Changed(stream, change)
        case State():
            return m.Snapshot(stream, value.body)
        case Heartbeat():
            return m.Beat(stream, value.seq, value.seqs)
        case Overview():
            return overviews.Overview(stream, value.body)
        case Connected():
            return m.Connected(stream, value.resumed, value.epoch, value.ticket is not None)
        case Reset():
            return m.Stale(stream, value.reason)
        case End():
            return m.Ended(stream, value.reason, value.reconnect)
        case Lost():
            silent = isinstance(value.error, Unreachable) and value.error.silent
            no = refused(value.error)
            return m.Lost(stream, str(value.error), value.retry_in, value.attempt, silent, no)
    return None


def refused(error: Exception) -> bool:
    """Whether this token may not read it, or it is gone: then it is not shown from before, too."""
    return isinstance(error, NotAllowed | NotFound | NoToken)


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
