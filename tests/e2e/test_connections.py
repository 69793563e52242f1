"""The worker's connections over real HTTP: none keeps the others from their turn."""

import pytest

from tests.support.server import Server
from tests.support.wire import Stream, Wire

pytestmark = pytest.mark.e2e

PIPELINED = 400


def test_a_client_that_never_lets_go_does_not_keep_others_waiting(shared_server: Server):
    """Its next request has always arrived already, so reading it never waits."""
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % shared_server.port
    with Wire(shared_server) as busy, Wire(shared_server) as other:
        busy.send(request * PIPELINED)
        assert other.request("/healthz").answer().status == 200
        busy.sock.setblocking(False)
        answered = 0
        try:
            while got := busy.sock.recv(1 << 20):
                answered += got.count(b"HTTP/1.1 200")
        except BlockingIOError:
            pass
        assert answered < PIPELINED


def test_streams_take_no_place_of_other_connections(make_server):
    server = make_server(worker_connections=6, max_streams=5)
    server.make("/projects", key="CTX", name="Cortex")
    streams = [Stream(server, project="CTX") for _ in range(5)]
    for stream in streams:
        stream.next("state")
    idle = [Wire(server) for _ in range(4)]
    for wire in idle:
        assert wire.request("/healthz").answer().status == 200
    key = server.make("/projects/CTX/tickets", title="One more")["key"]
    assert [stream.logged(1)[0].data["ticket"] for stream in streams] == [key] * 5
    for each in (*streams, *idle):
        each.sock.close()
