"""1,000 connects and disconnects, of every kind, leave nothing behind."""

import itertools
import socket
from pathlib import Path

import pytest

from tests.support.server import GUNICORN, Server, wait_for
from tests.support.wire import Stream, Wire

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(120)]

TIMES, WARM_UP, LOOKS = 1000, 300, 20
MORE_MEMORY_KIB = 4 * 1024


@pytest.fixture
def counting(tmp_path: Path):
    """A server that counts its greenlets."""
    server = Server(tmp_path)
    server.command = (*GUNICORN, "tests/support/counting.conf.py")
    server.env["COUNT_FILE"] = str(tmp_path / "greenlets")
    yield server.start()
    server.kill()


def greenlets(server: Server) -> int:
    file = Path(server.env["COUNT_FILE"])
    file.write_text("")
    return int(wait_for(file.read_text, "the count"))


def close_after_the_state(server: Server) -> None:
    with Stream(server, project="CTX") as stream:
        stream.next("state")


def reset_after_the_state(server: Server) -> None:
    with Stream(server, project="CTX") as stream:
        stream.next("state")
        stream.reset()


def half_close(server: Server) -> None:
    with Stream(server) as stream:
        stream.sock.shutdown(socket.SHUT_WR)
        stream.read_all()


def close_before_the_answer(server: Server) -> None:
    with Wire(server) as wire:
        wire.request("/events?project=CTX")


def reset_before_the_answer(server: Server) -> None:
    with Wire(server) as wire:
        wire.request("/events/dashboard").reset()


def only_head(server: Server) -> None:
    with Wire(server) as wire:
        assert wire.request("/events", "HEAD").answer().status == 200


def refused(server: Server) -> None:
    with Wire(server) as wire:
        assert wire.request("/events", Authorization="Bearer no").answer().status == 401


def say_nothing(server: Server) -> None:
    with Wire(server):
        pass


def stop_in_the_head(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /events HTTP/1.1\r\nHost: ")


def stop_in_the_body(server: Server) -> None:
    with Wire(server) as wire:
        wire.request(
            "/api/teams", "POST", Content_Type="application/json", Content_Length="100"
        ).send(b'{"key":')


WAYS = (
    close_after_the_state, reset_after_the_state, half_close, close_before_the_answer,
    reset_before_the_answer, only_head, refused, say_nothing, stop_in_the_head, stop_in_the_body,
)  # fmt: skip


def come_and_go(server: Server, times: int) -> None:
    for way in itertools.islice(itertools.cycle(WAYS), times):
        way(server)
    wait_for(lambda: server.streams() == 0, "all streams are closed", 2)


def at_rest(server: Server) -> tuple[int, int]:
    """Greenlets and descriptors: the fewest of several looks.

    Now and then the server has its directory open too, to write down its highest head.
    """
    looks = [(greenlets(server), server.descriptors()) for _ in range(LOOKS)]
    return min(look[0] for look in looks), min(look[1] for look in looks)


def test_1000_connects_and_disconnects_leave_nothing_behind(counting: Server):
    counting.make("/projects", key="CTX", name="Cortex")
    come_and_go(counting, WARM_UP)
    wait_for(lambda: greenlets(counting) < 15, "what the warm-up left behind")
    before = at_rest(counting)
    memory = counting.memory_kib()

    come_and_go(counting, TIMES)

    def as_before() -> bool:
        return (greenlets(counting), counting.descriptors()) == before

    wait_for(as_before, f"{before} greenlets and descriptors again", 10)
    assert counting.memory_kib() - memory < MORE_MEMORY_KIB
    closed = counting.total("cortex_stream_disconnects_total")
    assert closed >= (TIMES + WARM_UP) * 0.3
