"""The dashboard's stream: an overview, and a new one when something changed."""

from collections.abc import Iterator

from cortex_server import log
from cortex_server.batches import CHUNK_BYTES
from cortex_server.clock import iso, parse_iso
from cortex_server.stream import frames
from cortex_server.stream.base import Stream
from cortex_server.subscriber import Subscriber

INTERVAL_S = 0.25


class DashboardStream(Stream):
    """At most one overview every 250 ms, however many events come."""

    _until = float("inf")  # when the last one is no longer true, on the monotonic clock

    def _run(self, subscriber: Subscriber) -> Iterator[bytes]:
        with self.services.store.read() as tx:
            state = log.state(tx.conn)
        self._follow(subscriber)
        yield self.hello(state, False, None) + self._overview()
        next_at = self.now() + INTERVAL_S
        changed = False
        while not self.ending(subscriber):
            wait_s = self.wait_s()
            wait_s = min(wait_s, (next_at if changed else max(self._until, next_at)) - self.now())
            changed |= bool(subscriber.wait(wait_s, CHUNK_BYTES)) or subscriber.lagging
            changed |= self.now() >= self._until  # a lease has run out: that is no event
            self._follow(subscriber)
            if self.ending(subscriber):
                return
            if changed and self.now() >= next_at:
                changed = False
                next_at = self.now() + INTERVAL_S
                yield self._overview()
            if self.now() >= self.heartbeat_at:
                self.heartbeat_at = self.now() + self.services.config.heartbeat_s
                yield self._heartbeat()

    def _follow(self, subscriber: Subscriber) -> None:
        """Events only wake this stream, so it never reads those that its queue had no room for."""
        self.cursor = self.services.bus.position
        self.services.bus.go_live(subscriber, self.cursor)

    def _overview(self) -> bytes:
        dashboard = self.services.snapshots.dashboard(self.grant)
        self._until = float("inf")
        if dashboard.until is not None:
            left = parse_iso(dashboard.until) - self.services.clock.now()
            self._until = self.now() + left.total_seconds() + INTERVAL_S
        return frames.frame("dashboard_overview", dashboard.body)

    def _heartbeat(self) -> bytes:
        content = {"at": iso(self.services.clock.now()), "head": self.services.bus.position}
        return frames.frame("heartbeat", content)
