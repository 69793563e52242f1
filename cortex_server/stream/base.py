"""What every stream shares: its place, its deadlines, its goodbye."""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

from cortex_server import log
from cortex_server.auth import Grant, is_living
from cortex_server.clock import iso, parse_iso
from cortex_server.domains import project_rows, tokens
from cortex_server.errors import Unavailable
from cortex_server.registry import Slot
from cortex_server.services import Services
from cortex_server.store import ReadTx
from cortex_server.stream import frames
from cortex_server.stream.request import StreamRequest
from cortex_server.subscriber import Subscriber

FINAL = ("revoked", "expired", "project_deleted")  # coming back would not help
RECONNECT_SPREAD_MS = 1000  # after a drain the clients come back spread over this
OVERLOAD_MS = 2000  # and to a full server no sooner than after this


class Writer(Protocol):
    """What a stream may write to by itself, beside the chunks that it yields."""

    def pass_on(self, content: bytes) -> bool:
        """Write what the reader takes at once; never blocks. False: it took nothing."""
        ...

    @property
    def unsent(self) -> bool:
        """Whether it took only a part: the rest goes out before the next chunk."""
        ...


class Stream(ABC):
    """One open stream: iterate `frames()` for its bytes; closing the generator frees everything.

    cause: why it ended, for the metrics; set by whoever ends it. writer: of whoever iterates, if it
    has one.
    """

    def __init__(self, services: Services, grant: Grant, request: StreamRequest) -> None:
        self.services = services
        self.grant = grant
        self.request = request
        self.cause = "client_gone"
        self.cursor = 0
        self.subscriber: Subscriber | None = None
        self.slot: Slot | None = None
        self.writer: Writer | None = None
        self._gone = False
        config, now = services.config, self.now()
        self.heartbeat_at = now + config.heartbeat_s
        self.lifetime_at = now + config.stream_max_s * random.uniform(0.8, 1.0)  # noqa: S311
        self.expires_at = self._expiry(now)

    def now(self) -> float:
        return self.services.clock.monotonic()

    def leave(self) -> None:
        """The client has gone: stop as soon as possible. May be called before the first frame."""
        self._gone = True
        if self.subscriber:
            self.subscriber.leave()

    def frames(self) -> Iterator[bytes]:
        """The stream's chunks. Takes the place in the registry and gives it back."""
        registry, metrics = self.services.streams, self.services.metrics
        if registry.draining or registry.full:
            metrics.streams_refused.inc()
            reason = "drain" if registry.draining else "overload"
            self.cause = reason
            wait_ms = self._reconnect_ms() + (OVERLOAD_MS if reason == "overload" else 0)
            yield frames.retry(wait_ms or 1) + frames.end(reason, True, wait_ms)
            return
        self.subscriber = self.services.bus.subscribe(self.request.channel(self.grant))
        slot = self.slot = Slot(self.grant.token_id, self.subscriber)
        gauge = metrics.streams.labels(self.request.scope)
        registry.open(slot)
        gauge.inc()
        try:
            if self.request.endings != registry.endings:
                self._end_if_refused(self.subscriber)
            if not self.ending(self.subscriber):
                yield from self._run(self.subscriber)
            if not self._gone:
                reason = self.subscriber.ending or "lifetime"
                self.cause = reason
                yield frames.end(reason, reason not in FINAL, self._reconnect_ms())
        except Unavailable:
            self.cause = "overload"  # what follows cannot be read now
            yield frames.end("overload", True, self._reconnect_ms() + OVERLOAD_MS)
        except Exception:
            self.cause = "error"
            raise
        finally:
            gauge.dec()
            registry.close(slot)
            self.services.bus.unsubscribe(self.subscriber)
            metrics.disconnects.labels(self.cause).inc()

    @abstractmethod
    def _run(self, subscriber: Subscriber) -> Iterator[bytes]:
        """The chunks from hello on, until the stream is over; the goodbye is not among them."""

    def _end_if_refused(self, subscriber: Subscriber) -> None:
        """Look once more, now that a signal would end this stream.

        What was revoked or deleted after the request was checked and before the stream had its
        place in the registry has sent its signal to nobody.
        """
        with self.services.store.read() as tx:
            if not is_living(tx, self.grant.token_id):
                subscriber.end("revoked")
            elif self.request.project and not project_rows.find(tx, self.request.project):
                subscriber.end("project_deleted")
            elif self.request.project is None and self._rights_changed(tx):
                subscriber.end("lifetime")

    def _rights_changed(self, tx: ReadTx) -> bool:
        """Whether the token has forgotten a project since the request was checked."""
        if self.grant.projects is None:
            return False
        return self.grant.projects != set(tokens.get(tx, self.grant.token_id).projects or ())

    def wait_s(self) -> float:
        """How long nothing is due. Who is ending waits for nothing but what is still to be told."""
        if self.subscriber and self.subscriber.ending:
            return self.heartbeat_at - self.now()
        return min(self.heartbeat_at, self.lifetime_at, self.expires_at) - self.now()

    def ending(self, subscriber: Subscriber) -> bool:
        """Whether the stream is over; notes the reason when a deadline has passed."""
        now = self.now()
        if subscriber.ending is None:  # a second end would wake the one who asks, for ever
            if now >= self.expires_at:
                subscriber.end("expired")
            elif now >= self.lifetime_at:
                subscriber.end("lifetime")
        return self._gone or subscriber.ending is not None

    def hello(self, state: log.LogState, resumed: bool, event_id: str | None) -> bytes:
        config = self.services.config
        content = {
            "epoch": state.epoch,
            "head": state.head,
            "floor": state.floor,
            "client_id": self.request.client_id,
            "server_time": iso(self.services.clock.now()),
            "heartbeat_s": config.heartbeat_s,
            "resumed": resumed,
            "version": self.services.version,
            "ticket": self.grant.ticket or self.request.ticket,
        }
        return self._retry() + frames.frame("hello", content, event_id)

    def _retry(self) -> bytes:
        base = self.services.config.retry_ms
        return frames.retry(int(base * random.uniform(1.0, 1.5)))  # noqa: S311

    def _reconnect_ms(self) -> int:
        return random.randrange(RECONNECT_SPREAD_MS)  # noqa: S311

    def _expiry(self, now: float) -> float:
        """When the token expires, on the monotonic clock."""
        if self.grant.expires_at is None:
            return float("inf")
        left = parse_iso(self.grant.expires_at) - self.services.clock.now()
        return now + left.total_seconds()
