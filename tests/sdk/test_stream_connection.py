"""How a stream's connection is made and left: names, certificates, slow servers, closing early."""

from __future__ import annotations

import contextlib
import gzip
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cortex_cli.sdk import CortexClient, Lost, Unreachable, Untrusted
from cortex_cli.sdk.call import Call
from cortex_cli.sdk.connection import Connection, _host, _http_for
from tests.support import needs
from tests.support.server import wait_for


def drops(content: bytes) -> list[bytes | Callable[[], object]]:
    """The bytes one by one, each soon enough for a limit on every read."""
    pause = threading.Event()
    return [step for at in range(len(content)) for step in (content[at : at + 1], pause_of(pause))]


def pause_of(pause: threading.Event) -> Callable[[], object]:
    return lambda: pause.wait(0.02)


def connecting() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "cortex-connect"]


def closed_while(url: str, reached: Callable[[], object]) -> None:
    """Close a stream while it connects; the thread that did has to go, too."""
    client = CortexClient(url, "t", timeout=30)
    stream = client.events()
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    wait_for(connecting, "it connects")
    reached()
    stream.close()
    reader.join(5)
    assert not reader.is_alive()
    wait_for(lambda: not connecting(), "nobody connects any more", 5)


# --- slow, and silent


@pytest.mark.parametrize("what", ["head", "greeting", "refusal"])
def test_what_comes_drop_by_drop_is_late_all_the_same(scripted, connect, say, what) -> None:
    script = {
        "head": drops(say.HEAD.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 500 + b"\r\n\r\n")),
        "greeting": [say.HEAD, *drops(b":" * 500)],
        "refusal": [*say.problem(403).partition(b"\r\n\r\n")[:2], *drops(b" " * 500)],
    }[what]
    if what == "refusal":
        script[0] = script[0].replace(b"Content-Length: ", b"Content-Length: 9")
    server = scripted(script)
    began = time.monotonic()
    with connect(server, timeout=0.2).events(retries=0) as stream:
        (lost,) = list(stream)

    assert time.monotonic() - began < 4
    assert getattr(lost.error, "silent", False) == (what != "refusal")
    assert getattr(lost.error, "status", None) == (403 if what == "refusal" else None)


def test_the_greeting_is_not_waited_for_as_long_as_a_heartbeat(scripted, connect, say) -> None:
    server = scripted([say.HEAD, say.Hold])
    with connect(server, timeout=0.1).events(retries=0, heartbeat_s=600) as stream:
        (lost,) = list(stream)
    assert lost.error.silent


def test_after_the_first_frame_only_the_heartbeat_counts(scripted, connect, say) -> None:
    late = threading.Event()
    script = [say.HEAD, say.state(10), lambda: late.wait(0.4), say.event(11), say.Hold]
    with connect(scripted(script), timeout=0.2).events(retries=0) as stream:
        kinds = [type(next(stream)).__name__ for _ in range(2)]
    assert kinds == ["State", "Event"]


def test_a_stream_that_greets_and_then_stalls_fails_more_often_each_time(
    scripted, connect, say
) -> None:
    server = scripted([say.HEAD, say.hello(heartbeat_s=0.02), say.Hold], repeat_last=True)
    with connect(server).events(retries=2) as stream:
        lost = [value for value in stream if isinstance(value, Lost)]
    assert [(one.attempt, one.error.silent) for one in lost] == [(1, True), (2, True), (2, True)]


def test_a_name_that_is_looked_up_for_too_long_is_given_up_and_disturbs_nobody_later(
    scripted, connect, say, monkeypatch
) -> None:
    server = scripted([say.HEAD, say.hello(), say.Hold])
    look_up, first, go_on = socket.getaddrinfo, [], threading.Event()

    def slow(*args, **options):
        if not first:
            first.append(threading.current_thread())
            assert go_on.wait(say.deadline_s)
        go_on.set()
        if first[0] is not threading.current_thread():
            first[0].join(say.deadline_s)  # it comes back while the second one is at work
        return look_up(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with connect(server, timeout=0.5).events(retries=1) as stream:
        values = [next(stream), next(stream)]

    assert [type(value).__name__ for value in values] == ["Lost", "Connected"]
    assert "no connection in time" in str(values[0].error)
    assert not values[0].error.silent
    assert len(server.asked) == 1


# --- closing


def test_close_ends_a_connection_in_the_making_with_its_thread() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as held:
        for _ in range(4):  # the queue is full: the next connection gets no answer
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        closed_while(f"http://127.0.0.1:{full.getsockname()[1]}", lambda: None)


def test_close_ends_a_handshake_that_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        accepted: list[socket.socket] = []
        closed_while(
            f"https://127.0.0.1:{silent.getsockname()[1]}",
            lambda: (accepted.append(silent.accept()[0]), accepted[0].recv(1)),
        )
        accepted[0].close()


def test_one_that_was_closed_before_it_connects_sends_nothing(scripted) -> None:
    server = scripted(b"")
    connection = Connection()
    connection.shutdown()
    with pytest.raises(Unreachable):
        connection.open(Call("GET", server.url, {"Authorization": "t"}, []))
    connection.close()
    assert server.asked == []


def test_a_closed_connection_does_not_come_back_by_itself() -> None:
    assert not _http_for("http://127.0.0.1", None).auto_open


# --- where it goes


@pytest.mark.parametrize(
    "url,host,port",
    [
        ("http://[::1]", "::1", 80),
        ("https://[2001:db8::1]/cortex", "2001:db8::1", 443),
        ("http://[::1]:4747", "::1", 4747),
        ("http://[fe80::1%25eth0]:4747", "fe80::1%eth0", 4747),
        ("http://Example.ORG", "example.org", 80),
        ("http://b\u00fccher.example:81", "xn--bcher-kva.example", 81),
    ],
    ids=["six", "six-https", "six-port", "six-zone", "case", "idna"],
)
def test_host_and_port_are_read_as_requests_reads_them(url, host, port) -> None:
    import ssl

    trusted = ssl.create_default_context() if url.startswith("https") else None
    http = _http_for(url, trusted)
    assert (http.host, http.port) == (host, port)


def test_a_name_is_not_that_of_somebody_else_by_older_rules() -> None:
    assert _host("fa\u00df.de") == "xn--fa-hia.de"  # and not fass.de


def test_an_address_of_version_six_is_named_in_brackets(say) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        needs.missing("there is no IPv6 loopback")
    with listener:
        port = listener.getsockname()[1]
        stream = CortexClient(f"http://[::1]:{port}/cortex", "t").events(retries=0)
        reader = threading.Thread(target=lambda: list(stream))
        reader.start()
        accepted, _ = listener.accept()
        with accepted:
            asked = accepted.recv(65_536)
        reader.join(say.deadline_s)
    assert asked.startswith(b"GET /cortex/events HTTP/1.1\r\n")
    assert f"Host: [::1]:{port}\r\n".encode() in asked


@pytest.fixture
def of_another(tmp_path) -> Iterator[tuple[str, str]]:
    """A certificate and its key, good for another name."""
    openssl = needs.program("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=DNS:other.example"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        [openssl, "req", "-x509", *options, *names, *files], check=True, capture_output=True
    )
    return str(certificate), str(key)


def test_a_certificate_of_another_name_is_refused_by_calls_and_streams(
    of_another, scripted, connect, say
) -> None:
    server = scripted([say.HEAD, say.hello()], repeat_last=True)
    server.use_tls(*of_another)
    with connect(server, ca_file=of_another[0], retries=1) as client:
        with client.events(retries=0) as stream:
            (lost,) = list(stream)
        with pytest.raises(Untrusted, match="certificate is refused") as refused:
            client.get("/api/x")
    assert str(lost.error) == str(refused.value)
    assert "CORTEX_CA_FILE" not in str(refused.value)  # no other authority would help
    assert server.asked == []


# --- bodies


@pytest.mark.parametrize("framing", ["chunks", "length", "end"])
def test_a_stream_is_read_however_its_end_is_marked(scripted, connect, say, framing) -> None:
    body = say.hello() + say.state(10) + say.event(11)
    head = say.HEAD.removesuffix(b"\r\n")
    pieces = [body[at : at + 70] for at in range(0, len(body), 70)]
    script = {
        "chunks": head
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        + b"5\r\ncut",
        "length": head + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        "end": say.HEAD + body,
    }[framing]
    with connect(scripted(script)).events(retries=0) as stream:
        values = list(stream)
    assert [type(value).__name__ for value in values] == ["Connected", "State", "Event", "Lost"]


def test_a_refusal_is_read_also_when_something_compressed_it(scripted, connect, say) -> None:
    body = gzip.compress(b'{"status": 403, "detail": "Not for you."}')
    server = scripted(say.answer("403 Forbidden", body, Content_Encoding="gzip"))
    with connect(server).events() as stream:
        (lost,) = list(stream)
    assert str(lost.error) == "Not for you."
