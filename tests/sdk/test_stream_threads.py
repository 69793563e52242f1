"""Other threads close a stream or hurry it; its reader is freed at once."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from typing import Any

import pytest

from cortex_cli.sdk import Connected, CortexClient, Lost, Unreachable
from tests.support import needs


def kinds(values: list[Any]) -> list[str]:
    return [type(value).__name__ for value in values]


@pytest.mark.parametrize("at", ["headers", "events", "handling"])
def test_close_from_another_thread_frees_the_reader(scripted, connect, say, at) -> None:
    more = say.event(11) if at == "handling" else b""  # read already, and not to be given out
    script = [say.Hold] if at == "headers" else [say.HEAD + say.hello() + more, say.Hold]
    server = scripted(script)
    stream = connect(server).events(retries=0)
    values: list[Any] = []
    reading = threading.Event()

    def read() -> None:
        with stream:
            for value in stream:
                values.append(value)
                reading.set()
                if at == "handling":
                    closed.wait(say.deadline_s)

    closed = threading.Event()
    reader = threading.Thread(target=read)
    reader.start()
    if at == "headers":
        server.arrived.get(timeout=say.deadline_s)
    else:
        assert reading.wait(say.deadline_s)
    stream.close()
    closed.set()
    reader.join(say.deadline_s)
    assert not reader.is_alive()
    assert kinds(values) == ([] if at == "headers" else ["Connected"])
    assert stream.error is None
    assert stream.closed
    server.gone.get(timeout=say.deadline_s)  # the server sees that the client left


def test_close_ends_a_wait(scripted, connect, say) -> None:
    server = scripted([b""], repeat_last=True)
    waiting = threading.Event()

    def wait(wake: threading.Event, seconds: float) -> None:
        waiting.set()
        assert wake.wait(say.deadline_s)

    stream = connect(server, wait=wait).events()
    values: list[Any] = []
    reader = threading.Thread(target=lambda: values.extend(stream))
    reader.start()
    assert waiting.wait(say.deadline_s)
    stream.close()
    reader.join(say.deadline_s)
    assert not reader.is_alive()
    assert kinds(values) == ["Lost"]
    assert len(server.asked) == 1


def test_retry_now_ends_a_wait(scripted, connect, say) -> None:
    server = scripted(b"", [say.HEAD, say.hello(), say.Hold])
    waiting = threading.Event()

    def wait(wake: threading.Event, seconds: float) -> None:
        waiting.set()
        assert wake.wait(say.deadline_s)

    with connect(server, wait=wait).events() as stream:
        assert isinstance(next(stream), Lost)

        def press() -> None:
            assert waiting.wait(say.deadline_s)
            stream.retry_now()

        presser = threading.Thread(target=press)
        presser.start()
        assert isinstance(next(stream), Connected)
        presser.join()


def test_retry_now_counts_from_the_moment_that_the_loss_is_told(scripted, connect, say) -> None:
    server = scripted(b"", b"", repeat_last=True)
    woken: list[bool] = []
    stream = connect(server, wait=lambda wake, _: woken.append(wake.is_set())).events()
    stream.retry_now()  # nothing waits: without effect
    with stream:
        next(stream)
        next(stream)
        stream.retry_now()  # after Lost, before the wait begins
        next(stream)
    assert woken == [False, True]


def test_retry_now_leaves_a_connection_in_the_making_alone(scripted, connect, say) -> None:
    pressed = threading.Event()
    server = scripted([lambda: pressed.wait(say.deadline_s), say.HEAD, say.hello(), say.Hold])
    values: list[Any] = []
    with connect(server).events(retries=0) as stream:
        reader = threading.Thread(target=lambda: values.append(next(stream)))
        reader.start()
        server.arrived.get(timeout=say.deadline_s)
        stream.retry_now()
        pressed.set()
        reader.join(say.deadline_s)
    assert kinds(values) == ["Connected"]


def test_close_abandons_a_connection_in_the_making(say) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as held:
        for _ in range(4):  # the queue is full: the next connection gets no answer
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        client = CortexClient(f"http://127.0.0.1:{full.getsockname()[1]}", "t", timeout=30)
        stream, values = client.events(), []
        reader = threading.Thread(target=lambda: values.extend(stream))
        reader.start()
        stream.close()
        reader.join(say.deadline_s)
        assert not reader.is_alive()
        assert values == []


def test_a_stream_over_tls_is_verified_read_and_closed(scripted, connect, say, tmp_path) -> None:
    openssl = needs.program("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        [openssl, "req", "-x509", *options, *names, *files], check=True, capture_output=True
    )
    server = scripted([say.HEAD, say.hello(), say.Hold], repeat_last=True)
    server.use_tls(certificate, key)
    with connect(server, ca_file=str(certificate)).events(retries=0) as stream:
        assert isinstance(next(stream), Connected)
        values: list[Any] = []
        reader = threading.Thread(target=lambda: values.extend(stream))
        reader.start()
        stream.close()
        reader.join(say.deadline_s)
        assert not reader.is_alive()
    assert values == []
    assert stream.error is None
    with connect(server).events(retries=0) as stream:  # a certificate that nobody vouches for
        (lost,) = list(stream)
    assert isinstance(lost.error, Unreachable)
    assert "certificate" in str(lost.error)


def test_closing_an_unused_stream_is_harmless(scripted, connect) -> None:
    stream = connect(scripted()).events()
    stream.close()
    assert list(stream) == []
    with connect(scripted()).events():
        pass
