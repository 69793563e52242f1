"""The load client: one process, raw sockets, one epoll; it must be cheaper than what it measures.

Each event carries MARK and the time it was sent at (microseconds of the monotonic clock, which
all processes of a machine share). Every connection counts marks in the blocks that it receives;
some also read the times. Nothing is parsed and nothing is kept.
"""

import errno
import gc
import re
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from scripts.bench_suite import http

MARK = b"~" * 16  # long and of one rare byte: bytes.count skips (4 GB/s; 8 are half as fast)
MARK_BYTES = len(MARK) + 16
TILDE = MARK[0]
BLOCK = 262_144
BATCH = 64  # sockets read before the publisher gets its turn
_SENT_AT = re.compile(MARK + rb"(\d{16})")


def now_us() -> int:
    return time.monotonic_ns() // 1000


def mark() -> bytes:
    """MARK and the present time."""
    return MARK + b"%016d" % now_us()


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep the collector of cycles out of what is being timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Owner(Protocol):
    """Whoever has a socket in the loop. ready: called with epoll's mask."""

    fd: int
    sock: socket.socket

    def ready(self, mask: int) -> None: ...


class Loop:
    """epoll, and whose each socket is."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.owners: dict[int, Owner] = {}
        self.block = bytearray(BLOCK)

    def add(self, owner: Owner, mask: int) -> None:
        self.owners[owner.fd] = owner
        self.epoll.register(owner.fd, mask)

    def remove(self, owner: Owner) -> None:
        if self.owners.pop(owner.fd, None):
            self.epoll.unregister(owner.fd)
            owner.sock.close()

    def turn(self, wait_s: float = 0.01) -> None:
        """Serve up to BATCH ready sockets."""
        for fd, mask in self.epoll.poll(max(wait_s, 0), BATCH):
            if owner := self.owners.get(fd):
                owner.ready(mask)

    def until(self, reached: Callable[[], bool], deadline_s: float) -> bool:
        """Go on until `reached` or the deadline; whether it was reached."""
        give_up = time.monotonic() + deadline_s
        while not reached():
            if time.monotonic() > give_up:
                return False
            self.turn()
        return True

    def close(self) -> None:
        for owner in list(self.owners.values()):
            self.remove(owner)
        self.epoll.close()


def open_socket(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = sock.connect_ex(("127.0.0.1", port))
    if code not in (0, errno.EINPROGRESS):
        sock.close()
        raise OSError(code, f"cannot connect to port {port}")
    return sock


class Subscriber:
    """One stream, which counts marks. begun: whether anything has come yet."""

    __slots__ = ("begun", "block", "crowd", "cut", "fd", "request", "sampled", "sock")

    def __init__(self, crowd: "Crowd", request: bytes, sampled: bool) -> None:
        self.crowd = crowd
        self.request: bytes | None = request
        self.sampled = sampled
        self.sock = open_socket(crowd.port)
        self.fd = self.sock.fileno()
        self.block = crowd.loop.block
        self.begun = False
        self.cut = 0  # how much of a mark the last block ended with
        crowd.loop.add(self, select.EPOLLOUT)

    def ready(self, mask: int) -> None:
        if self.request is not None:
            self._ask()
            return
        block = self.block
        try:
            size = self.sock.recv_into(block)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self.crowd.lose(self)
            return
        found = block.count(MARK, 0, size)
        if self.cut:
            found += self._joined(block)
        self.cut = _cut_mark(block, size) if block[size - 1] == TILDE else 0
        crowd = self.crowd
        crowd.received += found
        crowd.bytes += size
        if found and self.sampled:
            crowd.note_times(size)
        if not self.begun:
            self.begun = True
            crowd.greeted += 1

    def _joined(self, block: bytearray) -> int:
        """1 if this block begins with the rest of the mark that the last one ended with."""
        rest = len(MARK) - self.cut
        return int(block[:rest] == MARK[:rest])

    def _ask(self) -> None:
        try:
            self.sock.send(self.request or b"")
        except OSError:
            self.crowd.lose(self)
            return
        self.request = None
        self.crowd.loop.epoll.modify(self.fd, select.EPOLLIN)


def _cut_mark(block: bytearray, size: int) -> int:
    """How much of an unfinished mark a block ends with."""
    end = bytes(block[max(0, size - len(MARK)) : size])
    return (len(end) - len(end.rstrip(b"~"))) % len(MARK)


class Crowd:
    """Many streams. received, bytes: events and all that came · greeted, lost: begun and ended."""

    def __init__(self, loop: Loop, port: int, request: bytes) -> None:
        self.loop, self.port, self.request = loop, port, request
        self.members: list[Subscriber] = []
        self.received = self.greeted = self.lost = self.bytes = 0
        self.latencies_us: list[int] = []

    def connect(
        self, count: int, sampled: int = 100, deadline_s: float = 60, greets: bool = True
    ) -> bool:
        """Open `count` more streams, 100 at a time; whether all began, or asked at least."""
        every = max(1, count // sampled) if sampled else 0
        for begun in range(0, count, 100):
            for number in range(begun, min(begun + 100, count)):
                taken = bool(every) and number % every == 0
                self.members.append(Subscriber(self, self.request, taken))
            ready = self._all_greeted if greets else self._all_asked
            if not self.loop.until(ready, deadline_s):
                return False
        return not self.lost

    def _all_greeted(self) -> bool:
        return self.greeted >= len(self.members)

    def _all_asked(self) -> bool:
        return all(member.request is None for member in self.members[-100:])

    def settle(self, quiet_s: float = 0.3, deadline_s: float = 10) -> None:
        """Read until nothing has come for a while, then begin to count anew."""
        give_up, seen, since = time.monotonic() + deadline_s, -1, time.monotonic()
        while time.monotonic() < min(give_up, since + quiet_s):
            if self.received != seen:
                seen, since = self.received, time.monotonic()
            self.loop.turn()
        self.received = self.bytes = 0
        self.latencies_us.clear()

    def note_times(self, size: int) -> None:
        """Note how long ago the events in the block were sent; one cut in two is left out."""
        at = now_us()
        with memoryview(self.loop.block) as view:
            sent = _SENT_AT.findall(view[:size])
        self.latencies_us += [at - int(digits) for digits in sent]

    def lose(self, member: Subscriber) -> None:
        self.lost += 1
        self.loop.remove(member)

    def close(self) -> None:
        for member in self.members:
            self.loop.remove(member)
        self.members.clear()


class Connection:
    """One kept connection that sends requests, one at a time."""

    def __init__(self, sender: "Sender") -> None:
        self.sender = sender
        self.rest = memoryview(b"")
        self.received = bytearray()
        self.waiting = False
        self.sent_at = 0.0
        self._open()

    def _open(self) -> None:
        self.sock = open_socket(self.sender.port)
        self.fd = self.sock.fileno()
        self.sender.loop.add(self, select.EPOLLIN)

    def send(self, request: bytes) -> None:
        self.waiting = True
        self.sent_at = time.perf_counter()
        self.rest = memoryview(request)
        self._push()

    def _push(self) -> None:
        try:
            self.rest = self.rest[self.sock.send(self.rest) :]
        except (BlockingIOError, OSError) as error:
            if error.errno not in (errno.EAGAIN, errno.ENOTCONN):
                raise
        wanted = select.EPOLLIN | (select.EPOLLOUT if self.rest else 0)
        self.sender.loop.epoll.modify(self.fd, wanted)

    def ready(self, mask: int) -> None:
        if mask & select.EPOLLOUT and self.rest:
            self._push()
        if not mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            return
        block = self.sender.loop.block
        try:
            size = self.sock.recv_into(block)
        except BlockingIOError:
            return
        if not size:
            if self.waiting:
                raise ConnectionError("the server closed a connection and did not answer")
            self.sender.loop.remove(self)  # it had been idle for too long
            self._open()
            return
        self.received += block[:size]
        if length := http.answer_length(self.received):
            self.waiting = False
            self.sender.answered(self, http.status(self.received), length)
            self.received.clear()


class Sender:
    """Requests over a few kept connections, at a rate or as fast as they are answered.

    make: the next request, called just before it is sent; its number is the argument.
    sent, done, failed: requests · times_s: of each answer · answer_bytes: of the last one.
    """

    def __init__(
        self, loop: Loop, port: int, make: Callable[[int], bytes], connections: int = 8
    ) -> None:
        self.loop, self.port, self.make = loop, port, make
        self.sent = self.done = self.failed = self.answer_bytes = 0
        self.times_s: list[float] = []
        self.connections = [Connection(self) for _ in range(connections)]
        self.idle = deque(self.connections)

    def answered(self, connection: Connection, status: int, length: int) -> None:
        self.times_s.append(time.perf_counter() - connection.sent_at)
        self.done += 1
        self.answer_bytes = length
        if not 200 <= status < 300:
            self.failed += 1
            if self.failed == 1:
                raise ConnectionError(f"refused: {bytes(connection.received[:600])!r}")
        self.idle.append(connection)

    def send(self) -> None:
        self.idle.popleft().send(self.make(self.sent))
        self.sent += 1

    def flood(self, total: int, deadline_s: float = 20) -> int:
        """Send `total` requests, the next as soon as a connection is free; wait for the answers.

        Returns `total`, or fewer when the deadline came first.
        """
        first, give_up = self.done, time.monotonic() + deadline_s
        last = self.sent + total
        while self.done - first < total and time.monotonic() < give_up:
            while self.idle and self.sent < last:
                self.send()
            self.loop.turn()
        return self.done - first

    def flood_for(self, seconds: float) -> None:
        """The same for some time instead of a number."""
        stop = time.monotonic() + seconds
        while time.monotonic() < stop:
            while self.idle:
                self.send()
            self.loop.turn()
        self.loop.until(lambda: self.done == self.sent, 10)

    def pace(self, rate: float, seconds: float) -> int:
        """Send at a fixed rate for some time; how many were due, sent or not."""
        begin = due = time.monotonic()
        stop, interval = begin + seconds, 1 / rate
        while (now := time.monotonic()) < stop:
            while due <= now and self.idle:
                self.send()
                due += interval
            # no free connection: what is overdue goes out with the next answers
            self.loop.turn(min(max(due - now, 0), stop - now) if self.idle else 0.01)
        return int(seconds * rate)

    def close(self) -> None:
        for connection in self.connections:
            self.loop.remove(connection)
