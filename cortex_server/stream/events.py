"""The stream of a board or of everything: snapshot or replay first, then live, and no gap between.

A new stream is a lagging one whose cursor is the snapshot's head, or the one that the client
brought. A lagging stream reads the log from its cursor; when it has caught up it goes live.
So joining, resuming and falling behind are one mechanism.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any

import gevent

from cortex_server import log
from cortex_server.batches import CHUNK_BYTES, Batch
from cortex_server.clock import iso
from cortex_server.errors import CursorExpired, NotFound, Unavailable
from cortex_server.snapshots import Snapshot
from cortex_server.stream import frames
from cortex_server.stream.base import Stream
from cortex_server.subscriber import Subscriber


class EventStream(Stream):
    """cursor: the last position that was considered and written past · seq: the project's there."""

    seq: int | None = None

    def _run(self, subscriber: Subscriber) -> Iterator[bytes]:
        yield from self._open(subscriber)
        while True:
            if subscriber.lagging:
                yield from self._catch_up(subscriber)
                if self._must_stop(subscriber):
                    return
            taken = yield from self._follow(subscriber)
            if self._must_stop(subscriber):
                return
            chunk = self._chunk(taken)
            if subscriber.has_deltas and not subscriber.ending:
                chunk += subscriber.take_deltas()
            if chunk or (self.writer and self.writer.unsent):
                yield chunk
            if self._must_stop(subscriber) or (subscriber.ending and subscriber.idle):
                return
            if not subscriber.lagging and self.now() >= self.heartbeat_at:
                yield self._heartbeat(subscriber)

    def _follow(self, subscriber: Subscriber) -> Generator[bytes, None, list[Batch]]:
        """Pass batches on while there is nothing else to do; returns what is more than that.

        All that `_run` does, for the case that is nearly all of it: what costs a microsecond here
        costs a thousand streams a millisecond at each round.
        """
        monotonic = self.services.clock.monotonic
        due_at = min(self.heartbeat_at, self.lifetime_at, self.expires_at)
        while True:
            wait_s = self.wait_s() if subscriber.ending else due_at - monotonic()
            if wait_s <= 0:
                return []
            taken = subscriber.wait(wait_s, CHUNK_BYTES, self._pass_on)
            if len(taken) != 1 or subscriber.ending or subscriber.has_deltas or subscriber.gone:
                return taken
            (batch,) = taken
            if batch.first <= self.cursor:
                return taken
            self.cursor = batch.last
            if batch.seq is not None:
                self.seq = batch.seq
            yield batch.blob

    def _pass_on(self, batch: Batch) -> bool:
        """Write a batch in the round that offers it, while `_follow` waits and nothing is queued.

        So the stream's greenlet, most of what a subscriber costs in a round, sleeps on. False: what
        the reader cannot take now, or has had in part, goes the long way through the queue.
        """
        writer, subscriber = self.writer, self.subscriber
        if writer is None or subscriber is None or subscriber.ending or batch.first <= self.cursor:
            return False
        if not writer.pass_on(batch.blob):
            return False
        self.cursor = batch.last
        if batch.seq is not None:
            self.seq = batch.seq
        if writer.unsent:
            subscriber.wake()
        return True

    def _catch_up(self, subscriber: Subscriber) -> Iterator[bytes]:
        """Read the log until the stream is live."""
        with self.services.metrics.lagging.track_inprogress():
            while subscriber.lagging and not self._must_stop(subscriber):
                yield from self._read_log(subscriber)
                if subscriber.lagging:
                    # A reader who keeps up never blocks us: let the others have a turn.
                    gevent.sleep(0)

    def _must_stop(self, subscriber: Subscriber) -> bool:
        """Whether to stop with events still waiting; those up to a deletion are told first."""
        if not self.ending(subscriber):
            return False
        return subscriber.gone or self._until is None or self.cursor >= self._until

    @property
    def _until(self) -> int | None:
        """The last position that may be told, once a deletion ends this stream."""
        return self.slot.until if self.slot else None

    def _open(self, subscriber: Subscriber) -> Iterator[bytes]:
        if self.request.snapshot and not self.request.cursor:
            yield from self._open_with_state(subscriber, None)
            return
        begin = self.services.pages.beginning(self.request.project, self.request.cursor)
        state, fault, self.cursor, self.seq = begin.state, begin.fault, begin.cursor, begin.seq
        resumed = self.request.cursor is not None and not fault
        hello_id = None if self.request.snapshot else f"{state.epoch}.{self.cursor}"
        if resumed:
            yield self.hello(state, True, hello_id)
        elif self.request.snapshot:
            yield from self._open_with_state(subscriber, fault)
        else:
            opening = self.hello(state, False, hello_id)
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
        yield opening
        if statuses := self._statuses(snapshot):
            yield statuses
        yield snapshot.frame  # as it is: joined with the greeting it would be copied for each

    def _statuses(self, snapshot: Snapshot) -> bytes:
        """What the recent attempts are, as far as this stream tells of attempts."""
        if self.request.types is not None and "attempt.status" not in self.request.types:
            return b""
        return snapshot.statuses_of(self.grant.ticket or self.request.ticket)

    def _snapshot(self, subscriber: Subscriber) -> Snapshot | None:
        """The state of what this stream is about; None, and the stream ends, when it is gone."""
        if self.request.project is None:
            return self.services.snapshots.firehose(self.grant)
        try:
            head = self.services.bus.position if self.services.tailer is None else None
            return self.services.snapshots.board(self.request.project, self.grant.ticket, head)
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
        try:
            page = self.services.pages.after(subscriber.channel, self.cursor)
        except CursorExpired:
            yield from self._start_over(subscriber)
            return
        for batch in page.batches:
            yield self._chunk((batch,))
            self.services.metrics.replayed.inc(len(batch))
            if self.now() >= self.heartbeat_at:
                yield self._heartbeat(subscriber)
            if self._must_stop(subscriber):
                return
        self.cursor = page.cursor
        if self.now() >= self.heartbeat_at:
            yield self._heartbeat(subscriber)
        self.services.bus.go_live(subscriber, self.cursor)

    def _start_over(self, subscriber: Subscriber) -> Iterator[bytes]:
        """The log was pruned under a lagging stream: say so, and begin with a new state."""
        snapshot = self._snapshot(subscriber)
        if snapshot is None:
            return
        self.cursor, self.seq = snapshot.head, snapshot.seq
        if self.request.snapshot:
            yield self._reset("expired", snapshot.floor)
            if statuses := self._statuses(snapshot):
                yield statuses
            yield snapshot.frame
        else:
            yield self._reset("expired", snapshot.floor, snapshot.id)

    def _chunk(self, taken: Sequence[Batch]) -> bytes:
        """The frames of the events that this stream has not considered yet; moves the cursor."""
        parts = []
        for batch in taken:
            if self._until is not None and batch.last > self._until:
                parts.append(batch.after(self.cursor, self._until))
                self.cursor = max(self.cursor, self._until)
                break  # what follows may be of another project with the same key
            if batch.last > self.cursor:
                parts.append(batch.after(self.cursor))
                self.cursor = batch.last
                self.seq = self.seq if batch.seq is None else batch.seq
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _heartbeat(self, subscriber: Subscriber) -> bytes:
        self.heartbeat_at = self.now() + self.services.config.heartbeat_s
        if subscriber.idle:
            # Everything published so far was either sent or is not for this channel.
            self.cursor = max(self.cursor, self.services.bus.position)
        content: dict[str, Any] = {
            "at": iso(self.services.clock.now()),
            # A state or a page of the log may have been newer than what is published yet.
            "head": max(self.cursor, self.services.bus.position),
        }
        channel = subscriber.channel
        filtered = self.request.types is not None or channel.ticket is not None
        if self.request.project is not None:
            content["seq"] = None if filtered else self.seq
        elif not filtered and not subscriber.lagging:
            with suppress(Unavailable):  # a heartbeat comes without the database, too
                content["seqs"] = self.services.snapshots.seqs(self.grant, self.cursor)
        return frames.frame("heartbeat", content, f"{self.services.epoch}.{self.cursor}")
