"""The stream of a board or of everything: snapshot or replay first, then live, and no gap between.

A new stream is a lagging one whose cursor is the snapshot's head, or the one that the client
brought. A lagging stream reads the log from its cursor; when it has caught up it goes live.
So joining, resuming and falling behind are one mechanism.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import gevent
from sqlalchemy import select

from cortex_server import log
from cortex_server.bus import Subscriber
from cortex_server.clock import iso
from cortex_server.db.schema import events as event_table
from cortex_server.errors import CursorExpired, NotFound
from cortex_server.log import LoggedEvent
from cortex_server.snapshots import Snapshot
from cortex_server.stream import frames
from cortex_server.stream.base import CHUNK_BYTES, Stream

PAGE_BYTES = 4 * CHUNK_BYTES  # of the log; every lagging stream may hold one page


class EventStream(Stream):
    """cursor: the last position that was considered and written past · seq: the project's there."""

    seq: int | None = None

    def _run(self, subscriber: Subscriber) -> Iterator[bytes]:
        yield from self._open(subscriber)
        while True:
            yield from self._catch_up(subscriber)
            if self._must_stop(subscriber):
                return
            events = subscriber.wait(self.wait_s(), CHUNK_BYTES)
            if self._must_stop(subscriber):
                return
            chunk = self._chunk(events) + subscriber.take_deltas()
            if chunk:
                yield chunk
                self._observe(events)
            if not subscriber.lagging:
                yield from self._heartbeat_if_due(subscriber)
                if self.ending(subscriber) and subscriber.idle:
                    return

    def _catch_up(self, subscriber: Subscriber) -> Iterator[bytes]:
        """Read the log until the stream is live."""
        if subscriber.lagging:
            with self.services.metrics.lagging.track_inprogress():
                while subscriber.lagging and not self._must_stop(subscriber):
                    yield from self._read_log(subscriber)
                    if subscriber.lagging:
                        # A reader who keeps up never blocks us: let the others have a turn.
                        gevent.sleep(0)

    def _must_stop(self, subscriber: Subscriber) -> bool:
        """Whether to stop with events still waiting; a deleted project's are told first."""
        return self.ending(subscriber) and not (
            subscriber.ending == "project_deleted" and not subscriber.gone
        )

    def _open(self, subscriber: Subscriber) -> Iterator[bytes]:
        with self.services.store.read() as tx:
            state = log.state(tx.conn)
            fault = log.fault(self.request.cursor, state) if self.request.cursor else None
            if self.request.cursor and not fault:
                self.cursor = self.request.cursor[1]
                self.seq = self._seq_at(tx.conn, self.cursor)
        if self.request.cursor and not fault:
            hello_id = None if self.request.snapshot else f"{state.epoch}.{self.cursor}"
            yield self.hello(state, True, hello_id)
        elif self.request.snapshot:
            yield from self._open_with_state(subscriber, fault)
        else:
            self.cursor = state.head
            with self.services.store.read() as tx:
                self.seq = self._seq_at(tx.conn, self.cursor)
            opening = self.hello(state, False, f"{state.epoch}.{state.head}")
            yield opening + (self._reset(fault, state.floor) if fault else b"")

    def _open_with_state(self, subscriber: Subscriber, fault: str | None) -> Iterator[bytes]:
        snapshot = self._snapshot(subscriber)
        if snapshot is None:
            return
        state = log.LogState(snapshot.epoch, snapshot.head, snapshot.floor)
        self.cursor, self.seq = snapshot.head, snapshot.seq
        opening = self.hello(state, False, None)
        if fault:
            opening += self._reset(fault, snapshot.floor)
        yield opening + self._state(snapshot)

    def _state(self, snapshot: Snapshot) -> bytes:
        return frames.raw_frame("state", snapshot.body, snapshot.id)

    def _snapshot(self, subscriber: Subscriber) -> Snapshot | None:
        """The state of what this stream is about; None, and the stream ends, when it is gone."""
        if self.request.project is None:
            return self.services.snapshots.firehose(self.grant)
        try:
            return self.services.snapshots.board(self.request.project, self.grant.ticket)
        except NotFound:
            subscriber.end("project_deleted")
            subscriber.leave()
            return None

    def _reset(self, reason: str, floor: int, event_id: str | None = None) -> bytes:
        self.services.metrics.resets.labels(reason).inc()
        content: dict[str, Any] = {"reason": reason, "floor": floor}
        if self.request.project is not None:
            content["seq"] = self.seq
        return frames.frame("reset", content, event_id)

    def _read_log(self, subscriber: Subscriber) -> Iterator[bytes]:
        """Send one page of the log; at its end go live if nothing came in the meantime."""
        channel = subscriber.channel
        try:
            with self.services.store.read() as tx:
                page = log.after(tx.conn, self.cursor, channel.log_projects, max_bytes=PAGE_BYTES)
        except CursorExpired:
            yield from self._start_over(subscriber)
            return
        wanted = [event for event in page.events if channel.matches(event)]
        for batch in _batches(wanted):
            yield self._chunk(batch)
            self.services.metrics.replayed.inc(len(batch))
            yield from self._heartbeat_if_due(subscriber)
            if self._must_stop(subscriber):
                return
        self.cursor = page.cursor
        yield from self._heartbeat_if_due(subscriber)
        if page.done:
            self.services.bus.go_live(subscriber, self.cursor)

    def _start_over(self, subscriber: Subscriber) -> Iterator[bytes]:
        """The log was pruned under a lagging stream: say so, and begin with a new state."""
        snapshot = self._snapshot(subscriber)
        if snapshot is None:
            return
        self.cursor, self.seq = snapshot.head, snapshot.seq
        if self.request.snapshot:
            yield self._reset("expired", snapshot.floor) + self._state(snapshot)
        else:
            yield self._reset("expired", snapshot.floor, snapshot.id)

    def _chunk(self, events: Sequence[LoggedEvent]) -> bytes:
        """The frames of the events that this stream has not considered yet; moves the cursor."""
        fresh = [event for event in events if event.position > self.cursor]
        if fresh:
            self.cursor = fresh[-1].position
        for event in reversed(fresh):
            if event.project and event.project == self.request.project:
                self.seq = event.seq
                break
        return b"".join(event.frame for event in fresh)

    def _heartbeat_if_due(self, subscriber: Subscriber) -> Iterator[bytes]:
        if self.now() < self.heartbeat_at:
            return
        self.heartbeat_at = self.now() + self.services.config.heartbeat_s
        if subscriber.idle:
            # Everything published so far was either sent or is not for this channel.
            self.cursor = max(self.cursor, self.services.bus.position)
        content: dict[str, Any] = {
            "at": iso(self.services.clock.now()),
            "head": self.services.bus.position,
        }
        if self.request.project is not None:
            filtered = self.request.types is not None or subscriber.channel.ticket is not None
            content["seq"] = None if filtered else self.seq
        yield frames.frame("heartbeat", content, f"{self.services.epoch}.{self.cursor}")

    def _observe(self, events: Sequence[LoggedEvent]) -> None:
        if events:
            metrics = self.services.metrics
            metrics.sent.inc(len(events))
            metrics.write_latency.observe(max(0.0, self.now() - events[0].published_at))

    def _seq_at(self, conn: Any, cursor: int) -> int | None:
        """The seq of the project's last event up to `cursor`, by the first one after it."""
        if self.request.project is None:
            return None
        project = self.request.project
        following = (
            select(event_table.c.seq)
            .where((event_table.c.project == project) & (event_table.c.position > cursor))
            .order_by(event_table.c.position)
            .limit(1)
        )
        first = conn.scalar(following)
        return log.seq_of(conn, project) if first is None else first - 1


def _batches(events: Sequence[LoggedEvent]) -> Iterator[list[LoggedEvent]]:
    """Cut events into runs of about a chunk."""
    batch: list[LoggedEvent] = []
    size = 0
    for event in events:
        batch.append(event)
        size += len(event.frame)
        if size >= CHUNK_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
