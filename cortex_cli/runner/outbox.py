"""What an attempt has to tell, on its way to the server: in order, joined, repeated until it is in.

Entries of one lane keep their order; a new entry joins the last one of its lane that still waits,
where the two fit together. So a slow or absent server makes requests larger, not more numerous.
What waits is bounded: beyond that, who tells more is slowed down (see `wait_for_room`).
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cortex_cli import sdk

WAITING_MAX = 4 * 1_048_576  # bytes, roughly
JOINED_MAX = 1_048_576  # bytes of one request
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_UNAUTHENTICATED = 401  # heartbeats get it, too: the lease decides how long this goes on
# The claim is another's, or over: nothing of ours is wanted any more.
_OVER = ("stale_generation", "attempt_ended")
_UNTIL_RENEWED = "lease_expired"  # a heartbeat comes, or the lease is over here as well

Body = dict[str, Any]
Join = Callable[[Any, Any], Any]
Path = str | Callable[[], str | None]


def size_of(value: Any) -> int:
    """Return about how many bytes a body takes."""
    return len(json.dumps(value, ensure_ascii=False))


@dataclass
class Entry:
    """One request that waits.

    lane: entries of one lane keep their order. path: when it is known only later, a function;
    None from it drops the entry. join: gives the body of both, None when they do not fit.
    adds: the joined body is as long as both. many: the field that may be sent in halves when all
    of it together is refused.
    delay_s: how long it waits for others to join it. refused: told of a refusal that no
    repetition helps; says True when it dealt with it.
    """

    lane: str
    method: str
    path: Path
    body: Body
    join: Join | None = None
    adds: bool = False
    many: str | None = None
    delay_s: float = 0.0
    answered: Callable[[Any], None] | None = None
    refused: Callable[[Entry, sdk.Refused], bool] | None = None
    size: int = 0
    key: str = ""
    ready_at: float = 0.0

    def absorb(self, other: Entry) -> bool:
        """Take the other's body into this one; False when they do not fit."""
        if other.join is None or (self.method, self.path) != (other.method, other.path):
            return False
        if other.adds and self.size + other.size > JOINED_MAX:
            return False
        joined = other.join(self.body, other.body)
        if joined is None:
            return False
        size = self.size + other.size if other.adds else size_of(joined)
        if size > JOINED_MAX and joined is not other.body:
            return False
        self.body, self.size = joined, size
        return True


def replaced(_old: Any, new: Any) -> Any:
    """Join: only the newest counts."""
    return new


def appended(name: str, most: int) -> Join:
    """Join: the lists of that name one after the other, up to `most` items."""

    def join(old: Any, new: Any) -> Any:
        if len(old[name]) + len(new[name]) > most:
            return None
        return {**old, name: [*old[name], *new[name]]}

    return join


class Outbox:
    """Sends the entries of one attempt, one after the other, in a thread of its own.

    over: called once, from the sending thread, when the server
    says that the claim is not ours any more. complain: told what was refused for good.
    """

    def __init__(
        self,
        client: sdk.CortexClient,
        name: str,
        *,
        over: Callable[[str], None],
        complain: Callable[[str], None],
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._client = client
        self._name = name
        self._over = over
        self._complain = complain
        self._waiting_max = waiting_max
        self._queue: deque[Entry] = deque()
        self._last: dict[str, Entry] = {}  # of each lane, as long as it may be joined
        self._size = 0
        self._sending = False
        self._hurried = 0  # somebody waits for everything to be sent
        self._gone = threading.Event()
        self._changed = threading.Condition(threading.RLock())
        threading.Thread(target=self._run, name=f"outbox {name}", daemon=True).start()

    @property
    def abandoned(self) -> bool:
        """Say whether nothing is sent any more."""
        return self._gone.is_set()

    def put(self, entry: Entry) -> None:
        """Let an entry be sent; never waits."""
        entry.size = entry.size or size_of(entry.body)
        with self._changed:
            if self._gone.is_set():
                return
            last = self._last.get(entry.lane)
            before = last.size if last else 0
            if last is not None and last.absorb(entry):
                self._size += last.size - before
                return
            entry.ready_at = time.monotonic() + entry.delay_s
            self._queue.append(entry)
            self._last[entry.lane] = entry
            self._size += entry.size
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Return as soon as not too much waits, or nothing is sent any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._gone.is_set() or self.has_room())

    def has_room(self) -> bool:
        return self._size < self._waiting_max

    def rewrite(self, lane: str, change: Callable[[Entry], bool], first: list[Entry]) -> None:
        """Put entries before all others; those of the lane that `change` says False to go."""
        with self._changed:
            if self._gone.is_set():
                return
            kept = [entry for entry in self._queue if entry.lane != lane or change(entry)]
            for entry in first:
                entry.size = size_of(entry.body)
            self._queue = deque([*first, *kept])
            self._size = sum(entry.size for entry in self._queue)
            self._last = {entry.lane: entry for entry in self._queue}
            self._changed.notify_all()

    def flush(self, deadline: float) -> bool:
        """Wait until everything was sent; say whether it was. deadline: by time.monotonic()."""
        with self._changed, self._hurry():
            return self._changed.wait_for(
                lambda: self._gone.is_set() or not (self._queue or self._sending),
                max(deadline - time.monotonic(), 0.0),
            ) and not self._gone.is_set()  # fmt: skip

    def abandon(self) -> None:
        """Drop everything and send nothing more; ends the thread."""
        with self._changed:
            self._gone.set()
            self._queue.clear()
            self._last.clear()
            self._size = 0
            self._changed.notify_all()

    @contextmanager
    def _hurry(self) -> Iterator[None]:
        self._hurried += 1
        self._changed.notify_all()
        try:
            yield
        finally:
            self._hurried -= 1

    def _run(self) -> None:
        while (entry := self._take()) is not None:
            self._send(entry)
            with self._changed:
                self._sending = False
                self._changed.notify_all()

    def _take(self) -> Entry | None:
        """Wait for the first entry to be due and return it; None when all is over."""
        with self._changed:
            while not self._gone.is_set():
                left = self._queue[0].ready_at - time.monotonic() if self._queue else None
                if left is None or (left > 0 and not self._hurried):
                    self._changed.wait(left)
                    continue
                entry = self._queue.popleft()
                if self._last.get(entry.lane) is entry:
                    del self._last[entry.lane]
                self._size -= entry.size
                self._sending = True
                self._changed.notify_all()
                return entry
            return None

    def _send(self, entry: Entry) -> None:
        """Send the entry until there is an answer; a lost connection is no answer."""
        pause = _FIRST_PAUSE_S
        entry.key = entry.key or str(uuid.uuid4())
        while not self._gone.is_set():
            path = entry.path if isinstance(entry.path, str) else entry.path()
            if path is None:
                return
            try:
                answer = self._client.request(
                    entry.method, path, entry.body, idempotency_key=entry.key
                )
            except sdk.CortexError as error:
                if not may_pass(error):
                    self._refused(entry, error)
                    return
                spread = pause * random.uniform(0.5, 1.0)  # noqa: S311
                self._gone.wait(max(spread, retry_after(error)))
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                continue
            if entry.answered is not None:
                entry.answered(answer)
            return

    def _refused(self, entry: Entry, error: sdk.CortexError) -> None:
        if isinstance(error, sdk.Refused):
            if error.code in _OVER:
                self.abandon()
                self._over(str(error))
                return
            if entry.refused is not None and entry.refused(entry, error):
                return
            if self._halved(entry):
                return
        self._complain(f"{entry.method} {entry.lane} of {self._name} was refused: {error}")

    def _halved(self, entry: Entry) -> bool:
        """Send a list in two halves, so that one bad item does not take the others with it."""
        items = entry.body.get(entry.many, []) if entry.many else []
        if len(items) < 2:
            return False
        middle = len(items) // 2
        halves = [
            Entry(
                entry.lane,
                entry.method,
                entry.path,
                {**entry.body, str(entry.many): part},
                many=entry.many,
                refused=entry.refused,
            )
            for part in (items[:middle], items[middle:])
        ]
        for half in halves:
            self._send(half)
        return True


def may_pass(error: sdk.CortexError) -> bool:
    """Say whether the same request may succeed later."""
    if isinstance(error, sdk.Refused):
        waits = error.status == _UNAUTHENTICATED or error.code == _UNTIL_RENEWED
        return waits or error.retryable
    return error.retryable


def retry_after(error: sdk.CortexError) -> float:
    """Return the server's advice in seconds, 0 without one, at most a lease's third or so."""
    return min(getattr(error, "retry_after", None) or 0.0, _LONGEST_PAUSE_S)
