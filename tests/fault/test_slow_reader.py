"""Slow readers: they cost bounded memory, slow nobody, and miss nothing; dead ones are cut off."""

import contextlib
import statistics
import threading
import time
import zlib

import psutil
import pytest

from tests.support.crowd import Crowd, Place, assert_received_exactly_the_log, read_log
from tests.support.server import Server, wait_for
from tests.support.wire import Stream, Wire
from tests.support.writers import Writer, writing

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(120)]

HEALTHY = 200
BYTES_PER_S = 1024
CHANGES, PADDING = 150, 4096
SMALL_BUFFER = 4096
MORE_MEMORY_KIB = 40 * 1024
STALL_S = 6  # with this buffer the reader's kernel takes something every 4 s


class SlowReader:
    """Reads 1 KiB a second until it is told to hurry."""

    def __init__(self, server: Server, project: str) -> None:
        self.stream = Stream(server, project=project, rcvbuf=SMALL_BUFFER, snapshot=0)
        self.start = self.stream.next("hello").id
        self.hurry = threading.Event()
        self.content = self.stream.buffer
        self.stopping = threading.Event()
        self.closed = False
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._began

    def _read(self) -> None:
        self.stream.sock.settimeout(1)
        while not self.stopping.is_set():
            try:
                chunk = self.stream.read(65_536 if self.hurry.is_set() else BYTES_PER_S)
            except TimeoutError:
                continue
            if not chunk:
                self.closed = True
                return
            self.content += chunk
            if not self.hurry.is_set():
                self.hurry.wait(len(chunk) / BYTES_PER_S)

    def received(self) -> list[list[int]]:
        """[position, checksum of the data] of every logged event that has come."""
        found = []
        for frame in self.content.split(b"\n\n")[:-1]:
            fields = dict(line.split(b": ", 1) for line in frame.split(b"\n"))
            if b"." in fields[b"event"]:
                position = int(fields[b"id"].rpartition(b".")[2])
                found.append([position, zlib.crc32(fields[b"data"])])
        return found

    def close(self) -> None:
        self.stopping.set()
        self.hurry.set()
        self._thread.join(5)
        self.stream.sock.close()


def median_delay(server: Server, crowd: Crowd) -> float:
    """Write, and return the median time from sending a change to its arrival at a subscriber."""
    crowd.ask("delays")
    with writing([Writer(server, "CTX", CHANGES, PADDING, pause_s=0.01)]):
        pass
    crowd.wait_until_at(read_log(server.database)[-1].position)
    return statistics.median(crowd.ask("delays")["delays"])


@pytest.fixture
def closing():
    """Register what is to be closed after the test, also after one that failed."""
    with contextlib.ExitStack() as stack:
        yield lambda it: stack.enter_context(contextlib.closing(it))


def test_a_reader_of_1_kib_a_second_slows_nobody_and_misses_nothing(make_server, closing, tmp_path):
    server: Server = make_server(queue_size=32, stall_s=STALL_S)
    server.make("/projects", key="CTX", name="Cortex")
    places = [Place() if number % 2 else Place("CTX") for number in range(HEALTHY)]
    with Crowd(server, places) as crowd:
        crowd.wait_until_live()
        alone = median_delay(server, crowd)
        memory = server.memory_kib()

        slow = closing(SlowReader(server, "CTX"))
        beside = median_delay(server, crowd)
        assert len(slow.content) < 64 * 1024, "the reader was not slow enough"
        wait_for(lambda: slow.age_s > 1.5 * STALL_S, "it has lived for longer than a dead one")
        assert beside < 3 * alone + 0.02
        assert server.memory_kib() - memory < MORE_MEMORY_KIB

        slow.hurry.set()
        with writing([Writer(server, "CTX", CHANGES, PADDING)]):
            pass  # it catches up while others write: from the log to live is where gaps hide
        log = read_log(server.database)
        wait_for(lambda: slow.closed or slow.received()[-1][0] == log[-1].position, "the rest")
        start = int((slow.start or "").rpartition(".")[2])
        assert not slow.closed, "a reader that reads was cut off"
        assert slow.received() == [line.mark for line in log if line.position > start]
        assert_received_exactly_the_log(crowd.report(tmp_path), log)


@pytest.mark.parametrize("backlog", [False, True], ids=["live", "replay"])
def test_a_reader_that_never_reads_is_cut_off_and_its_slot_freed(make_server, closing, backlog):
    server: Server = make_server(stall_s=2)
    server.make("/projects", key="CTX", name="Cortex")
    state = server.api("GET", "/projects/CTX/board").json()
    ticket = server.make("/projects/CTX/tickets", title="Talk")["key"]

    def write() -> None:
        for _ in range(60):
            server.make(f"/tickets/{ticket}/comments", body="x" * 16_384)

    if backlog:
        write()
    cursor = f"{state['epoch']}.{state['head']}"
    closing(Stream(server, project="CTX", rcvbuf=SMALL_BUFFER, since=cursor))
    if not backlog:
        write()
    wait_for(lambda: server.streams() == 0, "it is cut off", 4)
    assert server.metrics()['cortex_stream_disconnects_total{cause="stalled"}'] == 1


@pytest.mark.parametrize("more", ["", "X-Odd: 1\r\n"], ids=["plain", "not"])
def test_who_reads_no_answers_is_cut_off_too(make_server, more):
    """Without a token even: as many as there are connections would be the end of the service."""
    server: Server = make_server(stall_s=1)
    one = f"GET /static/app.js HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{more}\r\n".encode()
    wait_for(lambda: connections(server) == 0, "those of the start are gone")
    with Wire(server, rcvbuf=SMALL_BUFFER) as wire:
        wire.send(one * 1000)
        wait_for(lambda: connections(server) == 1, "it is connected")
        wait_for(lambda: connections(server) == 0, "it is cut off")
    assert "Traceback" not in server.whole_log()


def connections(server: Server) -> int:
    """How many the worker has open."""
    found = psutil.Process(server.worker).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED for each in found)
