"""Hostile bytes on the socket: refused, cut off, and never more than one answer for them."""

import contextlib
import json
import resource
import socket
import time
from pathlib import Path

import pytest
import requests

from tests.support.server import Server, wait_for
from tests.support.wire import Answer, Stream, Wire

pytestmark = pytest.mark.fault

IDLE = 2000
HEADERS_S = 5
SCARY = (
    "<script>alert(1)</script> \x1b]0;owned\x07 \r\nevent: ticket.deleted\r\ndata: {}\r\n\r\n"
    "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\u202e\ufeff\U0001f600"
)


@pytest.fixture(scope="module")
def shared(shared_server: Server) -> Server:
    shared_server.make("/projects", key="CTX", name="Cortex")
    return shared_server


def exchange(server: Server, content: bytes) -> Answer:
    with Wire(server) as wire:
        return wire.send(content).answer()


def head(
    server: Server, host: str | None, target: str = "/api/teams", version: str = "1.1"
) -> bytes:
    lines = [f"GET {target} HTTP/{version}", f"Authorization: Bearer {server.token}"]
    if host is not None:
        lines.append(f"Host: {host.format(port=server.port)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}"])
def test_our_own_names_are_served(shared: Server, host: str):
    assert exchange(shared, head(shared, host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.:{port}",
        "127.0.0.1:{port}.evil.example", "evil@127.0.0.1:{port}", "127.0.0.1:{port}, evil.example",
        "2130706433:{port}", "0x7f.1:{port}", "",
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["/api/teams", "/events", "/healthz", "/login?ticket=x", "/"])
def test_a_foreign_host_is_refused_everywhere(shared: Server, host: str, target: str):
    assert exchange(shared, head(shared, host, target)).status in (400, 403, 421)


def test_a_missing_host_is_refused_also_with_http_1_0(shared: Server):
    for version in ("1.0", "1.1"):
        assert exchange(shared, head(shared, None, version=version)).status in (400, 403, 421)
    both = head(shared, "127.0.0.1:{port}").replace(b"Host:", b"Host: evil.example\r\nHost:")
    assert exchange(shared, both).status in (400, 403, 421)
    named = head(shared, "evil.example", f"http://127.0.0.1:{shared.port}/api/teams")
    assert exchange(shared, named).status in (400, 403, 421)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "bogus"])
@pytest.mark.parametrize("target", ["/api/teams", "/events", "/healthz"])
def test_requests_of_other_sites_are_refused(shared: Server, site: str, target: str):
    with Wire(shared) as wire:
        assert wire.request(target, Sec_Fetch_Site=site).answer().status == 403
    with Wire(shared) as wire:
        assert wire.request(target, Origin="https://evil.example").answer().status == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_and_the_address_bar_are_served(shared: Server, site: str):
    with Wire(shared) as wire:
        answer = wire.request("/api/teams", Sec_Fetch_Site=site).answer()
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def closed_after(wire: Wire) -> float:
    began = time.monotonic()
    wire.read_all()
    return time.monotonic() - began


@pytest.mark.slow
def test_slow_headers_are_cut_off_also_when_they_drip(shared: Server):
    with Wire(shared) as silent, Wire(shared) as dripping:
        silent.send(b"GET / HTTP/1.1\r\n")
        dripping.sock.settimeout(0.25)
        began = time.monotonic()

        def cut() -> bool:
            try:
                dripping.send(b"X")
                return dripping.read(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_for(cut, "the dripping one is cut", HEADERS_S + 2)
        assert time.monotonic() - began > HEADERS_S - 1
        assert closed_after(silent) < 1


def test_a_slow_body_is_cut_off(make_server):
    server = make_server(body_timeout_s=1)
    with Wire(server) as wire:
        wire.request("/api/teams", "POST", Content_Type="application/json", Content_Length="50")
        wire.send(b'{"key":')
        began = time.monotonic()
        answer = wire.answer()
        assert time.monotonic() - began < 3
        assert answer.status == 408
        assert wire.read() == b""


POST = (
    "POST /api/teams HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
    "Content-Type: application/json\r\n"
)
SMUGGLED = (
    "GET /api/whoami HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
)
BODY = '{{"key":"x","name":"y"}}'  # 22 bytes, braces doubled for format
SHAPES = {
    "length and chunks": "Content-Length: 22\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": f"Content-Length: 22\r\nContent-Length: 0\r\n\r\n{BODY}",
    "a list of lengths": f"Content-Length: 22, 0\r\n\r\n{BODY}",
    "a signed length": f"Content-Length: +22\r\n\r\n{BODY}",
    "a negative length": f"Content-Length: -1\r\n\r\n{BODY}",
    "a hexadecimal length": f"Content-Length: 0x16\r\n\r\n{BODY}",
    "an underscore in a length": f"Content-Length: 2_2\r\n\r\n{BODY}",
    "a space before the colon": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded line": "X-One: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 22\r\n\r\n" + BODY,
    "chunked twice": "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown encoding": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a size with junk": "Transfer-Encoding: chunked\r\n\r\n16x\r\n" + BODY + "\r\n0\r\n\r\n",
    "a negative size": "Transfer-Encoding: chunked\r\n\r\n-16\r\n" + BODY + "\r\n0\r\n\r\n",
    "a size with 0x": "Transfer-Encoding: chunked\r\n\r\n0x16\r\n" + BODY + "\r\n0\r\n\r\n",
    "a chunk without its end": "Transfer-Encoding: chunked\r\n\r\n16\r\n" + BODY + "XX0\r\n\r\n",
    "a nameless header": ": value\r\nContent-Length: 22\r\n\r\n" + BODY,
    "NUL in a header": "X-One: a\0b\r\nContent-Length: 22\r\n\r\n" + BODY,
    "a lone CR in a header": "X-One: a\rContent-Length: 0\r\nContent-Length: 22\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_ambiguous_request_is_refused_and_nothing_after_it_is_answered(
    shared: Server, shape: str
):
    content = (POST + SHAPES[shape] + SMUGGLED).format(port=shared.port, token=shared.token)
    with Wire(shared) as wire:
        wire.send(content.encode("latin-1"))
        said = wire.read_all()
    assert said.count(b"HTTP/1.1 ") == 1, said
    assert int(said.split(b" ")[1]) in (400, 501), said
    assert shared.api("GET", "/teams").json()["items"] == []


def test_a_request_with_a_refused_body_is_not_followed_by_another(shared: Server):
    """What was not read of a body must never be taken for the next request."""
    for start in ("POST /api/nothing", "POST /events", "GET /api/teams", "DELETE /api/teams/x"):
        inner = SMUGGLED.format(port=shared.port, token=shared.token)
        content = (
            f"{start} HTTP/1.1\r\nHost: 127.0.0.1:{shared.port}\r\n"
            f"Authorization: Bearer {shared.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(inner)}\r\nConnection: keep-alive\r\n\r\n{inner}"
        )
        with Wire(shared) as wire:
            wire.send(content.encode())
            assert wire.answer().status in (400, 404, 405)
            wire.sock.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                assert b"HTTP/1.1 200" not in wire.buffer + wire.read()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"X-Long: {'x' * 100_000}", 431),
        ("\r\n".join(f"X-{n}: {'y' * 100}" for n in range(2000)), 431),
        ("Cookie: " + "; ".join(f"c{n}=1" for n in range(20_000)), 431),
    ],
    ids=["one long", "many", "cookies"],
)
def test_huge_headers_are_refused(shared: Server, line: str, status: int):
    start = f"GET /api/teams HTTP/1.1\r\nHost: 127.0.0.1:{shared.port}\r\n"
    with Wire(shared) as wire:
        with contextlib.suppress(OSError):  # it may close before all is sent
            wire.send(f"{start}{line}\r\n\r\n".encode())
        assert wire.answer().status in (status, 0)


def test_a_huge_request_line_is_refused(shared: Server):
    assert exchange(shared, head(shared, "127.0.0.1:{port}", "/" + "x" * 20_000)).status == 414


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "address_too_long"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "malformed"),
        (b"\x16\x03\x01 <script> \xff\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\nX : \xff\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 501, "unsupported_coding"),
    ],
    ids=["long line", "long header", "version", "bytes", "header", "coding"],
)
def test_what_is_no_request_is_answered_with_problem_details(
    shared: Server, content: bytes, status: int, code: str
):
    answer = exchange(shared, content)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert len(answer.body) < 1000


def test_huge_bodies_are_refused_with_bounded_memory(shared: Server):
    memory = shared.memory_kib()
    with Wire(shared) as wire:
        wire.request(
            "/api/teams", "POST", Content_Type="application/json",
            Content_Length=str(10 * 1024**3),
        )  # fmt: skip
        assert wire.answer().status == 413
    with Wire(shared) as wire:
        wire.request(
            "/api/teams", "POST", Content_Type="application/json", Transfer_Encoding="chunked"
        )
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        with contextlib.suppress(OSError):  # it may close before all is sent
            for _ in range(512):
                wire.send(chunk)
        assert wire.answer().status == 413
    assert shared.memory_kib() - memory < 24 * 1024
    assert shared.api("GET", "/teams").ok


@pytest.fixture
def file_limit():
    """Set the soft limit of open files, of this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda number: resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard), hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_low_limit_of_open_files_is_raised_at_the_start(make_server, file_limit):
    file_limit(256)
    server = make_server(worker_connections=600, max_streams=500)
    file_limit(2048)
    crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(400)]
    assert requests.get(server.url + "/healthz", timeout=3).ok
    assert "Too many open files" not in server.whole_log()
    for sock in crowd:
        sock.close()


@pytest.mark.slow
def test_2000_idle_connections_do_not_end_the_service(shared: Server, file_limit):
    file_limit(8192)
    crowd: list[socket.socket] = []
    try:
        with Stream(shared, project="CTX") as stream:
            stream.next("state")
            address = ("127.0.0.1", shared.port)
            crowd.extend(socket.create_connection(address, timeout=10) for _ in range(IDLE))
            assert requests.get(shared.url + "/healthz", timeout=2 * HEADERS_S + 3).ok
            key = shared.make("/projects/CTX/tickets", title="Still here")["key"]
            assert stream.logged(1)[0].data["ticket"] == key
    finally:
        for sock in crowd:
            sock.close()
    began = time.monotonic()
    assert requests.get(shared.url + "/healthz", timeout=10).ok
    assert time.monotonic() - began < 5


def test_stored_control_characters_come_out_as_one_line_of_json(shared: Server):
    with Stream(shared, project="CTX") as stream:
        stream.next("state")
        made = shared.make(
            "/projects/CTX/tickets", title=f"T {SCARY}", body=SCARY, labels=["l\u202e\ufeff"]
        )
        shared.make(f"/tickets/{made['key']}/comments", body=SCARY)
        for wanted in ("label.created", "ticket.created", "comment.added"):
            raw = stream.read_until(b"\n\n")
            assert [line.partition(b":")[0] for line in raw[:-2].split(b"\n")] == [
                b"id", b"event", b"data",
            ]  # fmt: skip
            assert raw.isascii()
            assert len(raw.decode().splitlines()) == 4
            data = json.loads(raw.split(b"\ndata: ")[1])
            assert data["type"] == wanted
    assert data["payload"]["body"] == SCARY
    with Stream(shared, project="CTX") as stream:
        stream.next("hello")
        raw = stream.read_until(b"\n\n")
        assert raw.isascii()
        assert len(raw[:-2].split(b"\n")) == 3
    answer = shared.api("GET", f"/tickets/{made['key']}")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.json()["body"] == SCARY


def test_no_token_is_in_the_log_nor_in_the_command_line(make_server):
    server = make_server(log_level="debug")
    made = server.make("/tokens", name="another", role="write")
    secrets = [server.token, made["secret"], "unknown-secret-4711"]
    for secret in secrets:
        headers = {"Authorization": f"Bearer {secret}"}
        for target in ("/api/whoami", "/events?since=bad", f"/api/teams?token={secret}"):
            with Wire(server) as wire:
                wire.request(target, **headers).answer()
        with Wire(server) as wire:
            bad = f"GET /events?token={secret} HTTP/1.1\r\nX-{secret}: {secret}\r\nbad\r\n\r\n"
            assert wire.send(bad.encode()).answer().status == 400
    with Stream(server, headers={"Authorization": f"Bearer {made['secret']}"}) as stream:
        stream.next("state")
        server.api("DELETE", f"/tokens/{made['id']}")
        stream.next("end")
    wait_for(lambda: server.logged("stream_closed"), "the stream is logged")
    pids = (server.process.pid, server.worker)
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
    for secret in secrets:
        assert secret not in server.whole_log()
        assert not [command for command in commands if secret in command]
