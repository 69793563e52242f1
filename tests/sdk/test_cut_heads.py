"""A connection that breaks inside the head of an answer: http.client does not notice that."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from cortex_cli.sdk import CortexClient, Lost, Unreachable

CUT_HEADS = [
    b"HTTP/1.1 200 OK\r\nCache-Con",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/ev",
]


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """Return the URL of a server that answers everything with the given bytes and closes."""
    listeners: list[socket.socket] = []

    def make(content: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, content), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def serve(listener: socket.socket, content: bytes) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65_536)
                client.sendall(content)

    yield make
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize("head", CUT_HEADS)
def test_a_stream_whose_head_was_cut_off_is_tried_again(answering, head: bytes):
    with (
        CortexClient(answering(head), "x" * 43) as client,
        client.events(retries=2) as stream,
    ):
        lost = next(stream)
    assert isinstance(lost, Lost)
    assert not lost.final


@pytest.mark.parametrize("head", CUT_HEADS)
def test_a_call_whose_answer_was_cut_off_is_no_success(answering, head: bytes):
    with CortexClient(answering(head), "x" * 43, retries=1) as client:
        with pytest.raises(Unreachable):
            client.post("/api/teams", {"key": "a"})
