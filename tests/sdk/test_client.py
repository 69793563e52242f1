"""Requests: one effect each, refusals as errors, the token for its origin only."""

from __future__ import annotations

import json
import socket
import threading
import traceback

import pytest

from cortex_cli.sdk import (
    BadAddress,
    Conflict,
    CortexClient,
    CortexError,
    Invalid,
    NotAllowed,
    NotFound,
    NoToken,
    Overloaded,
    Redirected,
    Refused,
    ServerFault,
    StreamError,
    Unreachable,
    url_path,
)


def test_a_get_returns_the_json_and_carries_the_token(scripted, connect, say) -> None:
    server = scripted(say.ok({"key": "CTX-1"}))
    got = connect(server).get("/api/x", {"a": None, "b": True, "c": [1, "z"], "d": "ä b"})
    assert got == {"key": "CTX-1"}
    (asked,) = server.asked
    assert asked.target == "/api/x?b=1&c=1&c=z&d=%C3%A4+b"
    assert asked.headers["authorization"] == f"Bearer {say.token}"
    assert "idempotency-key" not in asked.headers
    assert asked.body == b""


@pytest.mark.parametrize("status", ["502 Bad Gateway", "504 Gateway Timeout"])
def test_a_proxy_that_cannot_reach_the_server_is_a_lost_connection(
    scripted, connect, say, status
) -> None:
    server = scripted(say.answer(status, b"<html>"), say.ok({"done": 1}))
    assert connect(server).post("/api/x") == {"done": 1}
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1
    server = scripted(say.answer(status, b"<html>"), repeat_last=True)
    with pytest.raises(Unreachable, match=f"the proxy there answered {status[:3]}") as caught:
        connect(server).post("/api/x")
    assert caught.value.idempotency_key == server.asked[-1].headers["idempotency-key"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_mutating_call_is_repeated_with_the_same_key(scripted, connect, say, method) -> None:
    server = scripted(b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", say.ok({"done": 1}))
    assert getattr(connect(server), method)("/api/x") == {"done": 1}
    keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert len(server.asked) == 3
    assert len(keys) == 1
    assert len(keys.pop()) == 36


def test_each_call_has_a_key_of_its_own_or_the_callers(scripted, connect, say) -> None:
    server = scripted(say.ok({}), repeat_last=True)
    client = connect(server)
    client.post("/api/x")
    client.post("/api/x")
    client.post("/api/x", idempotency_key="mine", headers={"X-Cortex-Project": "p"})
    keys = [asked.headers["idempotency-key"] for asked in server.asked]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"
    assert server.asked[2].headers["x-cortex-project"] == "p"


def test_bodies_are_json(scripted, connect, say) -> None:
    server = scripted(say.ok({}), repeat_last=True)
    client = connect(server)
    client.post("/api/x", {"title": "ä"})
    client.post("/api/x")
    client.delete("/api/x")
    bodies = [asked.body for asked in server.asked]
    assert [json.loads(body) for body in bodies[:2]] == [{"title": "ä"}, {}]
    assert bodies[2] == b""
    types = [asked.headers.get("content-type") for asked in server.asked]
    assert types == ["application/json", "application/json", None]


def test_calls_stop_after_the_allowed_tries(scripted, connect, waits) -> None:
    server = scripted(b"", repeat_last=True)
    with pytest.raises(Unreachable) as caught:
        connect(server).post("/api/x", idempotency_key="k")
    assert len(server.asked) == 3
    assert len(waits.seconds) == 2
    assert caught.value.idempotency_key == "k"  # it may have taken effect; this repeats it safely
    assert caught.value.exit_code == 3


def test_no_call_is_repeated_after_the_timeout(scripted, connect) -> None:
    server = scripted(b"", repeat_last=True)
    now = iter([0.0, 10.0])
    with pytest.raises(Unreachable):
        connect(server, timeout=10, clock=lambda: next(now)).get("/api/x")
    assert len(server.asked) == 1


def test_an_answer_is_never_a_reason_to_repeat(scripted, connect, say) -> None:
    server = scripted(say.problem(503))
    with pytest.raises(Overloaded):
        connect(server).post("/api/x")
    assert len(server.asked) == 1


def test_nobody_listening_is_unreachable_and_says_why(waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with CortexClient(url, "t", wait=waits) as client:
        with pytest.raises(Unreachable, match=f"{url}: connection refused"):
            client.get("/api/x?secret=1")


def test_a_silent_server_is_unreachable(scripted, connect, say) -> None:
    server = scripted([say.Hold], repeat_last=True)
    with pytest.raises(Unreachable, match="no answer in time"):
        connect(server, timeout=0.05).get("/api/x")


@pytest.mark.parametrize(
    "status,kind,exit_code",
    [
        (400, Invalid, 1),
        (401, NotAllowed, 4),
        (403, NotAllowed, 4),
        (404, NotFound, 5),
        (409, Conflict, 6),
        (410, NotFound, 5),
        (412, Conflict, 6),
        (413, Invalid, 1),
        (415, Invalid, 1),
        (418, Refused, 1),
        (422, Invalid, 1),
        (429, Overloaded, 1),
        (500, ServerFault, 1),
        (503, Overloaded, 1),
        (507, Overloaded, 1),
    ],
)
def test_a_problem_becomes_the_error_of_its_status(
    scripted, connect, say, status, kind, exit_code
) -> None:
    server = scripted(say.problem(status, code="c", title="T", detail="D", extra=[1]))
    with pytest.raises(Refused) as caught:
        connect(server).get("/api/x")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.title, error.detail) == (status, "c", "T", "D")
    assert error.body["extra"] == [1]
    assert error.exit_code == exit_code
    assert str(error) == "D"


def test_a_conflict_brings_the_thing_as_it_is_now(scripted, connect, say) -> None:
    server = scripted(say.problem(409, current={"revision": 4}), say.problem(409, current="?"))
    client = connect(server)
    for current in ({"revision": 4}, None):
        with pytest.raises(Conflict) as caught:
            client.patch("/api/x", {"revision": 3})
        assert caught.value.current == current


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"detail": 3}', b"", b"[" * 100_000])
def test_a_refusal_without_problem_details_still_says_its_status(
    scripted, connect, say, body
) -> None:
    server = scripted(say.answer("500 Internal Server Error", body))
    with pytest.raises(ServerFault, match="500 Internal Server Error"):
        connect(server).get("/api/x")


def test_an_empty_answer_is_none_and_no_json_is_an_error(scripted, connect, say) -> None:
    server = scripted(b"HTTP/1.1 204 No Content\r\n\r\n", say.answer("200 OK", b"<html>"))
    client = connect(server)
    assert client.delete("/api/x") is None
    with pytest.raises(StreamError, match="is it a Cortex server"):
        client.get("/api/x")


def test_paginate_follows_the_cursors_lazily(scripted, connect, say) -> None:
    server = scripted(
        say.ok({"items": [1, 2], "next_cursor": "p2"}), say.ok({"items": [3], "next_cursor": None})
    )
    items = connect(server).paginate("/api/x", {"status": "done"}, limit=2)
    assert [next(items), next(items)] == [1, 2]
    assert len(server.asked) == 1
    assert list(items) == [3]
    assert [asked.target for asked in server.asked] == [
        "/api/x?status=done&limit=2",
        "/api/x?status=done&limit=2&cursor=p2",
    ]


def test_pages_in_a_circle_and_pages_without_items_are_errors(scripted, connect, say) -> None:
    circle = scripted(say.ok({"items": [1], "next_cursor": "p"}), repeat_last=True)
    with pytest.raises(CortexError, match="circle"):
        list(connect(circle).paginate("/api/x"))
    with pytest.raises(CortexError, match="no list"):
        list(connect(scripted(say.ok({"tickets": []}))).paginate("/api/x"))


def test_a_redirect_within_the_origin_keeps_method_body_and_key(scripted, connect, say) -> None:
    server = scripted(say.answer("308 Moved", Location="/api/y"), say.ok({"at": "y"}))
    assert connect(server).post("/api/x", {"a": 1}) == {"at": "y"}
    first, second = server.asked
    assert (second.method, second.target, second.body) == ("POST", "/api/y", first.body)
    for header in ("authorization", "idempotency-key", "content-type"):
        assert second.headers[header] == first.headers[header]


def test_a_redirect_never_turns_a_change_into_a_get(scripted, connect, say) -> None:
    server = scripted(say.answer("302 Found", Location="/api/y"))
    with pytest.raises(Redirected, match="POST"):
        connect(server).post("/api/x", {"a": 1})
    assert len(server.asked) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_redirect_to_another_origin_gets_nothing(scripted, connect, say, scheme) -> None:
    other = scripted(say.ok({}))
    location = other.url.replace("http:", scheme + ":") + "/api/x"
    server = scripted(say.answer("307 Moved", Location=location))
    with pytest.raises(Redirected, match="the token stays here"):
        connect(server).get("/api/x")
    assert other.asked == []


def test_proxies_netrc_and_cookies_are_not_used(
    scripted, connect, say, monkeypatch, tmp_path
) -> None:
    proxy = scripted(say.ok({"from": "proxy"}))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    cookie = say.answer("200 OK", b"{}", Set_Cookie="spy=1; Path=/")
    server = scripted(cookie, say.ok({}), [say.HEAD, say.hello(), say.Hold])
    client = connect(server)
    client.get("/api/x")
    client.get("/api/x")
    with client.events() as stream:
        next(stream)
    assert proxy.asked == []
    assert [asked.headers["authorization"] for asked in server.asked] == [f"Bearer {say.token}"] * 3
    assert all("cookie" not in asked.headers for asked in server.asked)


def test_the_token_is_in_no_repr_and_no_error(scripted, connect, say) -> None:
    server = scripted(b"", repeat_last=True)
    client = connect(server)
    told = [repr(client), repr(client.events())]
    try:
        client.post("/api/x")
    except Unreachable as error:
        told += [repr(error), "".join(traceback.format_exception(error))]
    with client.events(retries=0) as stream:
        told += [repr(value) for value in stream]
    assert len(told) == 5
    assert all(say.token not in text for text in told)


@pytest.mark.parametrize("token", ["", "two words", "line\nX: y", "tökén", "nul\0", "x" * 5000])
def test_a_token_that_cannot_be_one_is_refused_without_showing_it(token) -> None:
    with pytest.raises(NoToken) as caught:
        CortexClient("http://127.0.0.1:1", token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *["", "127.0.0.1:4747", "ftp://h", "http://", "http://[::1", "http://h:99999"],
        *["http://u:p@h", "http://h/?a=1", "http://h/#x", "http://h/a b"],
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url) -> None:
    with pytest.raises(BadAddress):
        CortexClient(url, "t")


def test_a_path_prefix_of_the_address_stays(scripted, say) -> None:
    server = scripted(say.ok({}))
    with CortexClient(server.url + "/cortex/", "t") as client:
        client.get("/api/x")
    assert server.asked[0].target == "/cortex/api/x"


def test_paths_are_made_of_quoted_segments() -> None:
    assert url_path("api", "tickets", "a/b?c#d ä") == "/api/tickets/a%2Fb%3Fc%23d%20%C3%A4"
    for segment in ("", ".", ".."):
        with pytest.raises(ValueError, match="part of a path"):
            url_path("api", segment)


def test_one_client_serves_many_threads(scripted, connect, say) -> None:
    server = scripted(say.ok({"n": 1}), repeat_last=True)
    client, got = connect(server), []
    threads = [threading.Thread(target=lambda: got.append(client.post("/api/x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [{"n": 1}] * 8
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 8
