"""Declared routes are answered beside Flask: as Flask would, and on sockets as HTTP wants it."""

import contextlib
import gc
import json
import weakref

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder

from cortex_server.api import ALL
from cortex_server.api.gate import Gate
from tests.server.api.conftest import URL
from tests.support.server import Server, wait_for
from tests.support.wire import Stream, Wire


def answer(app, through_flask, method, path, **headers):
    """Status, headers and body."""
    builder = EnvironBuilder(path, URL, method=method, headers=headers)
    environ = builder.get_environ()
    told = []
    wsgi = (lambda e, s: Flask.wsgi_app(app, e, s)) if through_flask else app
    body = b"".join(wsgi(environ, lambda status, given, _=None: told.append((status, given))))
    ((status, given),) = told
    return status, sorted(given), body


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/api/projects", {}),
        ("GET", "/api/projects/ctx", {}),
        ("GET", "/api/projects/CTX/board", {"Accept-Encoding": "gzip"}),
        ("GET", "/api/projects/CTX/board", {"If-None-Match": "*"}),
        ("GET", "/api/projects/nope", {}),
        ("GET", "/api/projects?limit=0", {}),
        ("GET", "/api/projects", {"Host": "evil.example"}),
        ("GET", "/api/projects", {"Origin": "http://evil.example"}),
        ("GET", "/api/projects", {"Authorization": "Bearer ctx_nope"}),
        ("GET", "/api/projects", {"Authorization": "nope"}),
        ("GET", "/api/openapi.json", {"Accept-Encoding": "gzip"}),
        ("POST", "/api/teams", {"Content-Type": "text/plain", "Content-Length": "0"}),
        ("DELETE", "/api/teams/nope", {}),
        ("POST", "/api/projects/CTX/board", {}),
        ("HEAD", "/api/projects/ctx", {}),
        ("GET", "/api/projects/", {}),
        ("GET", "/api//projects", {}),
        ("GET", "/api/tickets//comments", {}),
        ("GET", "/api/projects/\xe9", {}),
    ],
)
def test_an_answer_is_the_one_that_flask_gives(api, method, path, headers):
    headers = {"Authorization": f"Bearer {api.token}", **headers}
    assert answer(api.app, False, method, path, **headers) == answer(
        api.app, True, method, path, **headers
    )


def test_every_declared_route_is_found(api):
    direct = api.app.wsgi_app._app
    for endpoint in (endpoint for routes in ALL for endpoint in routes.endpoints):
        words = ["x" if word.startswith("<") else word for word in endpoint.path.split("/")]
        found, args = direct._find(endpoint.method, "/api" + "/".join(words))
        assert found is endpoint
        assert set(args.values()) <= {"x"}


def test_our_own_fault_is_answered_and_noted_and_nothing_of_it_told(api, monkeypatch, caplog):
    def fail(self, request):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("cortex_server.api.gate.Gate.check", fail)
    told = api("GET", "/teams")
    assert (told.status_code, told.json["code"]) == (500, "internal")
    assert "secret" not in told.text
    assert "secret" in caplog.text


def test_a_fault_while_an_answer_is_finished_is_answered_alike_and_counted_once(api, monkeypatch):
    def fail(self, request, answer):
        raise MemoryError

    monkeypatch.setattr("cortex_server.api.answers.Compressor.compressed", fail)
    told = api("GET", "/teams")
    assert (told.status_code, told.json["code"]) == (500, "internal")
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    counted = api("GET", "./metrics").text
    assert 'method="GET",status="500"} 1.0' in counted
    assert 'method="GET",status="200"' not in counted


def test_nothing_of_a_request_outlives_its_answer(api, monkeypatch):
    """Until the garbage collector comes by there may be hundreds, each with its body."""
    seen, check = [], Gate.check

    def look(self, request):
        seen.append(weakref.ref(request))
        check(self, request)

    monkeypatch.setattr(Gate, "check", look)
    gc.collect()
    gc.disable()
    try:
        assert answer(api.app, False, "GET", "/api/teams", Authorization=f"Bearer {api.token}")
        assert [request() for request in seen] == [None]
    finally:
        gc.enable()


@pytest.fixture(scope="module")
def shared(shared_server: Server) -> Server:
    shared_server.make("/projects", key="CTX", name="Cortex")
    return shared_server


def post(server: Server, key: str, more: str = "", body: bytes | None = None) -> bytes:
    body = json.dumps({"key": key, "name": key}).encode() if body is None else body
    return (
        f"POST /api/teams HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Authorization: Bearer {server.token}\r\nContent-Type: application/json\r\n"
        f"{more}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def test_requests_sent_at_once_are_answered_in_their_order(shared):
    with Wire(shared) as wire:
        wire.send(post(shared, "p1") + post(shared, "p2") + post(shared, "p3", "X-Odd: 1\r\n"))
        wire.send(post(shared, "p4"))
        keys = [json.loads(wire.answer().body)["key"] for _ in range(4)]
    assert keys == ["p1", "p2", "p3", "p4"]


@pytest.mark.parametrize("more", ["", "X-Odd: 1\r\n"], ids=["plain", "not"])
@pytest.mark.parametrize("cut", [10, 60, -5, -1])
def test_a_request_may_come_in_pieces(shared, cut, more):
    key = f"c{abs(cut)}{len(more)}"
    whole = post(shared, key, more)
    with Wire(shared) as wire:
        wire.send(post(shared, f"{key}a"))
        assert wire.answer().status == 201
        for part in (whole[:cut], whole[cut:]):
            wire.send(part)
            shared.api("GET", "/teams")  # the first piece has been read by now
        assert json.loads(wire.answer().body)["key"] == key
        wire.send(post(shared, f"{key}b"))
        assert wire.answer().status == 201


def test_what_was_refused_before_its_body_came_is_not_taken_for_a_request(shared):
    smuggled = post(shared, "smuggled")
    refused = post(shared, "r", body=smuggled).replace(b"Bearer ctx_", b"Bearer ctx-")
    head, body = refused.split(b"\r\n\r\n", 1)
    with Wire(shared) as wire:
        wire.send(head + b"\r\n\r\n")
        assert wire.answer().status == 401
        wire.send(body + post(shared, "after"))
        assert json.loads(wire.answer().body)["key"] == "after"
    keys = [team["key"] for team in shared.api("GET", "/teams?limit=500").json()["items"]]
    assert "smuggled" not in keys


def test_a_refused_body_that_is_too_long_ends_the_connection(shared):
    refused = post(shared, "r", body=b"x" * 100_000).replace(b"Bearer ctx_", b"Bearer ctx-")
    head = refused.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
    with Wire(shared) as wire:
        wire.send(head)
        told = wire.answer()
        assert (told.status, told.headers["connection"]) == (401, "close")
        assert wire.read() == b""


@pytest.mark.parametrize("more", ["", "X-Odd: 1\r\n"], ids=["plain", "not"])
def test_who_sends_many_requests_at_once_does_not_keep_others_waiting(shared, more):
    one = (
        f"GET /api/dashboard HTTP/1.1\r\nHost: 127.0.0.1:{shared.port}\r\n"
        f"Authorization: Bearer {shared.token}\r\n{more}\r\n"
    ).encode()
    count = 16_000 // len(one)

    def is_overtaken() -> bool:
        """Whether another's request that came in between is answered in between."""
        with Wire(shared) as busy, Wire(shared) as other:
            assert other.send(one).answer().status == 200
            assert busy.send(one * count).answer().status == 200
            assert other.send(one).answer().status == 200
            busy.sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while chunk := busy.read():
                    busy.buffer += chunk
            return busy.buffer.count(b"HTTP/1.1 200 ") < count - 1

    wait_for(is_overtaken, "it is overtaken")  # unless this process was kept waiting itself


def test_a_stream_can_follow_on_a_connection_and_be_the_last_of_it(shared):
    with Wire(shared) as wire:
        wire.send(post(shared, "s"))
        assert wire.answer().status == 201
        wire.request("/events?project=CTX")
        assert wire.answer().headers["content-type"] == "text/event-stream"
        assert b"event: hello" in wire.read_until(b"event: state")


@pytest.mark.slow
def test_a_silent_connection_is_closed_also_after_a_request(shared):
    with Wire(shared) as wire, Stream(shared, project="CTX") as stream:
        wire.send(post(shared, "q"))
        assert wire.answer().status == 201
        wire.sock.settimeout(8)
        assert wire.read() == b""
        assert stream.next("state")
