"""A stream on a real socket: what is written in the round itself, in part, or not at all."""

import socket
import struct
import time
import weakref
from types import SimpleNamespace

import gevent
import pytest
from gevent import socket as green

from cortex_server.stream import response
from cortex_server.stream.events import EventStream
from cortex_server.stream.request import StreamRequest
from cortex_server.subscriber import Subscriber
from tests.support.in_process import DEADLINE_S, position_of, until
from tests.support.wire import parse_frame

SMALL = 4096
ROOMY = 4_000_000
STALL_S = 0.4


@pytest.fixture(params=[SMALL])
def connected(live, request):
    """project, and a client (of a reader with small buffers) of its stream; param: SO_SNDBUF."""
    project = live.project()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, request.param)
    client = green.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    client.connect(listener.getsockname())
    served, _ = listener.accept()
    stream = EventStream(live.services, live.grant(), StreamRequest("c1", "CTX", snapshot=False))
    made = SimpleNamespace(project=project, client=client, stream=stream, live=live, got=b"")
    made.greenlet = gevent.spawn(response._serve, served, stream, b"", STALL_S)
    del stream
    until(lambda: made.stream.subscriber and not made.stream.subscriber.lagging, "it is live")
    yield made
    client.close()
    made.greenlet.kill()
    listener.close()


def read(connected, count):
    """Read until so many events have come; returns their positions."""
    while len(found := positions(connected.got)) < count:
        with gevent.Timeout(DEADLINE_S):
            block = connected.client.recv(65_536)
        assert block, "the server has closed"
        connected.got += block
    return found


def positions(raw):
    frames = [parse_frame(part) for part in raw.split(b"\n\n")[:-1]]
    return [position_of(one.id) for one in frames if one.event and one.event.startswith("ticket.")]


def test_an_event_is_written_while_the_streams_greenlet_sleeps_on(connected, monkeypatch):
    waits, wait = [], Subscriber.wait
    monkeypatch.setattr(Subscriber, "wait", lambda *args: waits.append(1) or wait(*args))
    for number in range(5):
        connected.live.ticket(connected.project, str(number))
        assert read(connected, number + 1) == list(range(2, 3 + number))
    assert waits == []
    assert (connected.stream.cursor, connected.stream.seq) == (6, 6)


def test_what_the_kernel_takes_in_part_comes_whole_and_in_order(connected, monkeypatch):
    parts, wake = [], Subscriber.wake
    monkeypatch.setattr(
        Subscriber, "wake", lambda of: parts.append(connected.stream.writer.unsent) or wake(of)
    )
    for number in range(60):
        connected.live.ticket(connected.project, str(number), body="x" * 5_000 * (number % 7 + 1))
        gevent.sleep(0)
        if number % 4 == 3:
            read(connected, number - number % 3)
    assert read(connected, 60) == list(range(2, 62))
    assert any(parts), "nothing was taken in part"
    assert connected.stream.subscriber.idle


def publish_until_it_ends(connected):
    give_up = time.monotonic() + DEADLINE_S
    while not connected.greenlet.dead:
        assert time.monotonic() < give_up
        connected.live.ticket(connected.project, body="x" * 1_000)
        gevent.sleep(0.01)


def test_a_reader_who_takes_nothing_stalls(connected):
    publish_until_it_ends(connected)
    assert connected.stream.cause == "stalled"
    assert connected.live.services.bus.channels == 0


@pytest.mark.parametrize("connected", [ROOMY], indirect=True)
def test_a_reader_who_takes_nothing_stalls_also_while_the_kernel_has_room(connected, monkeypatch):
    monkeypatch.setattr(response, "wait_write", lambda *_: pytest.fail("the kernel was full"))
    publish_until_it_ends(connected)
    assert connected.stream.cause == "stalled"


def test_a_client_that_is_gone_is_noticed_in_a_round_at_the_latest(connected):
    option = struct.pack("ii", 1, 0)
    connected.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
    connected.client.close()  # a reset
    connected.live.ticket(connected.project)
    until(lambda: connected.greenlet.dead, "it ends")
    assert connected.stream.cause == "client_gone"


def test_a_stream_that_has_ended_is_freed_without_the_collector(connected):
    left = weakref.ref(connected.stream)
    connected.client.close()
    until(lambda: connected.greenlet.dead, "it ends")
    del connected.stream
    assert left() is None
