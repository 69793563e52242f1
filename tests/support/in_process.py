"""The server's services without a server: a bus that is fed, and streams read in greenlets."""

import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from cortex_server import log
from cortex_server.app import assemble, feed_bus
from cortex_server.auth import Grant
from cortex_server.config import Config
from cortex_server.domains import tokens
from cortex_server.events import EVENTS
from cortex_server.events.objects import Role
from cortex_server.store import Store
from cortex_server.stream.base import Stream
from cortex_server.stream.dashboard import DashboardStream
from cortex_server.stream.events import EventStream
from cortex_server.stream.request import StreamRequest
from tests.support.clocks import ManualClock
from tests.support.stores import ALICE
from tests.support.wire import Frame, parse_frame

DEADLINE_S = 10.0
TURNS = 30  # of the loop without anything new, after which nothing will come by itself


def until(condition: Callable[[], Any], what: str) -> Any:
    """Let the greenlets run until `condition` gives something true; fails with `what` otherwise."""
    give_up = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < give_up, f"not within {DEADLINE_S} s: {what}"
        gevent.sleep(0)
    return found


class InProcess:
    """services, and tokens and streams on them. Settings are those of the configuration."""

    def __init__(self, store: Store, clock: ManualClock, config: Config) -> None:
        with store.read() as tx:
            epoch = log.state(tx.conn).epoch
        self.clock = clock
        self.store = store
        self.services = assemble(config, clock, store, epoch)
        self.services.bus.window_s = lambda took_s, share: 0.0  # a round with each turn of the loop
        self.readers: list[Reader] = []
        self.straight = False  # what comes while a stream waits is written in its round
        self._receiver = feed_bus(self.services)  # signals hold it weakly

    def grant(
        self,
        role: Role = "admin",
        projects: list[str] | None = None,
        ticket: str | None = None,
        expires_in_s: float | None = None,
    ) -> Grant:
        """The grant of a new token."""
        from cortex_server.auth import grant_for

        fields: dict[str, Any] = {"name": "t", "role": role, "expires_in_s": expires_in_s}
        fields |= {"projects": projects} if projects else {}
        fields |= {"ticket": ticket} if ticket else {}
        with self.store.write(ALICE) as tx:
            made = tokens.create(tx, fields)
        with self.store.read() as tx:
            return grant_for(tx, made.secret)

    def open(
        self, project: str | None = None, grant: Grant | None = None, **asked: Any
    ) -> "Reader":
        """Open a stream and read what it has to say at once. slow=True: take one chunk only."""
        slow = asked.pop("slow", False)
        kind: type[Stream] = DashboardStream if asked.get("dashboard") else EventStream
        request = StreamRequest(client_id="c1", project=project, **asked)
        stream = kind(self.services, grant or self.grant(), request)
        reader = Reader(stream, self.clock, slow)
        stream.writer = reader if self.straight else None
        self.readers.append(reader)
        reader.settle()
        return reader

    def metric(self, name: str, **labels: str) -> float:
        return self.services.metrics.registry.get_sample_value(name, labels) or 0.0

    def close(self) -> None:
        gevent.killall([reader.greenlet for reader in self.readers])


class Reader:
    """Reads a stream in a greenlet of its own, as fast as it comes or one chunk at a time."""

    def __init__(self, stream: Stream, clock: ManualClock, slow: bool) -> None:
        self.stream = stream
        self.clock = clock
        self.chunks: list[bytes] = []
        self.straight = 0  # how many did not come through the generator
        self._rest = b""
        self._ready = Event()
        if not slow:
            self._ready.set()
        self.greenlet = gevent.spawn(self._read)

    def _read(self) -> None:
        body = self.stream.frames()
        try:
            for chunk in body:
                rest, self._rest = self._rest, b""
                self.chunks.append(rest + chunk)
                self._ready.wait()
        finally:
            body.close()  # type: ignore[attr-defined]

    def pass_on(self, content: bytes) -> bool:
        """What a socket does: it takes all, each third time a part, or, while paused, nothing."""
        if not self._ready.is_set():
            return False
        self.straight += 1
        taken = len(content) if self.straight % 3 else len(content) // 2
        self.chunks.append(content[:taken])
        self._rest = content[taken:]
        return True

    @property
    def unsent(self) -> bool:
        return bool(self._rest)

    @property
    def frames(self) -> list[Frame]:
        """Every frame so far, without `retry:`."""
        raw = b"".join(self.chunks)
        assert not raw or raw.endswith(b"\n\n"), "a chunk ends in the middle of a frame"
        frames = [parse_frame(part) for part in raw.split(b"\n\n")[:-1]]
        return [frame for frame in frames if frame.event]

    @property
    def names(self) -> list[str]:
        return [str(frame.event) for frame in self.frames]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The data of the frames that are logged events."""
        return [frame.data for frame in self.frames if frame.event in EVENTS and frame.id]

    @property
    def positions(self) -> list[int]:
        return [position_of(event["id"]) for event in self.events]

    @property
    def last(self) -> Frame:
        return self.frames[-1]

    @property
    def ended(self) -> bool:
        return bool(self.greenlet.dead)

    def of(self, name: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.event == name]

    def settle(self) -> "Reader":
        """Let everything run until nothing more comes by itself."""
        quiet = 0
        while quiet < TURNS:
            before = len(self.chunks)
            gevent.sleep(0)
            quiet = 0 if len(self.chunks) > before else quiet + 1
        return self

    def later(self, seconds: float) -> "Reader":
        """Move the clock, and wake the stream as its own timer would."""
        self.clock.advance(seconds)
        if self.stream.subscriber:
            self.stream.subscriber.wake()
        return self.settle()

    def pause(self) -> None:
        """Take no further chunk: the client's buffers are full."""
        self._ready.clear()

    def go_on(self) -> "Reader":
        self._ready.set()
        return self.settle()


def position_of(event_id: str) -> int:
    return int(event_id.rpartition(".")[2])
