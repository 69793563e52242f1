"""Answers that are no stream, and redirects: what ends a stream for good, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cli.sdk import (
    End,
    EventTooLarge,
    Invalid,
    Lost,
    NotAllowed,
    NotFound,
    Overloaded,
    Redirected,
    ServerFault,
    StreamError,
)


def only(values: Any) -> Lost:
    """Return the only value: a final loss."""
    (value,) = list(values)
    assert isinstance(value, Lost)
    assert value.final
    return value


@pytest.mark.parametrize(
    "status,kind,exit_code",
    [(401, NotAllowed, 4), (403, NotAllowed, 4), (404, NotFound, 5), (400, Invalid, 1)],
)
def test_a_refusal_is_final(scripted, connect, say, status, kind, exit_code) -> None:
    server = scripted(say.problem(status, code="c", title="t", detail="No such project."))
    with connect(server).events(project="nope") as stream:
        lost = only(stream)
    assert type(lost.error) is kind
    assert lost.error.exit_code == exit_code
    assert (lost.error.status, lost.error.code) == (status, "c")
    assert str(lost.error) == "No such project."
    assert stream.error is lost.error
    assert len(server.asked) == 1


def test_a_failing_server_is_tried_again(scripted, connect, say, waits) -> None:
    server = scripted(
        say.problem(500),
        say.answer("502 Bad Gateway", b"<html>", Content_Type="text/html"),
        say.answer("503 Busy", Retry_After="7"),
        say.answer("429 Slow Down"),
        [say.HEAD, say.hello(), say.Hold],
    )
    with connect(server).events() as stream:
        values = [next(stream) for _ in range(5)]
    errors = [type(value.error) for value in values[:4]]
    assert errors == [ServerFault, ServerFault, Overloaded, Overloaded]
    assert waits.seconds == [1.5, 3.0, 7.0, 12.0]  # Retry-After is a lower bound


def test_204_stops_the_stream(scripted, connect, say) -> None:
    server = scripted(b"HTTP/1.1 204 No Content\r\n\r\n")
    with connect(server).events() as stream:
        lost = only(stream)
    assert type(lost.error) is StreamError
    assert "not to be called again" in str(lost.error)


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json", ""])
def test_a_wrong_content_type_is_final_and_named(scripted, connect, say, kind) -> None:
    headers = {"Content_Type": kind} if kind else {}
    server = scripted(say.answer("200 OK", b"data: x\n\n", **headers))
    with connect(server).events() as stream:
        lost = only(stream)
    assert type(lost.error) is StreamError
    assert (kind.partition(";")[0] or "no content type") in str(lost.error)


def test_the_content_type_is_read_without_case_and_parameters(scripted, connect, say) -> None:
    head = say.HEAD.replace(b"text/event-stream; charset=utf-8", b"Text/Event-Stream;x=y")
    server = scripted([head, say.hello(), say.Hold])
    with connect(server).events(retries=0) as stream:
        assert not isinstance(next(stream), Lost)


def test_a_compressed_stream_is_refused(scripted, connect, say) -> None:
    server = scripted([say.HEAD.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection")])
    with connect(server).events() as stream:
        assert "compresses" in str(only(stream).error)


@pytest.mark.parametrize(
    "reason,kind", [("revoked", NotAllowed), ("expired", NotAllowed), ("project_deleted", NotFound)]
)
def test_an_end_without_reconnection_is_final(scripted, connect, say, reason, kind) -> None:
    server = scripted([say.HEAD, say.hello(), say.end(reason, reconnect=False)])
    with connect(server).events() as stream:
        values = list(stream)
    assert isinstance(values[1], End)
    assert values[1].reconnect is False
    assert isinstance(values[2], Lost)
    assert values[2].final
    assert type(values[2].error) is kind
    assert values[2].error.code == reason
    assert len(server.asked) == 1


def test_a_server_that_ends_every_stream_at_once_is_not_hammered(
    scripted, connect, say, waits
) -> None:
    server = scripted([say.HEAD, say.hello(), say.end(in_ms=0)], repeat_last=True)
    with connect(server, clock=lambda: 0.0).events() as stream:
        while len(waits.seconds) < 5:
            next(stream)
    assert waits.seconds == [0.0, 1.5, 3.0, 6.0, 12.0]


def test_a_protocol_frame_that_cannot_be_read_breaks_the_connection(scripted, connect, say) -> None:
    bad = b"event: state\nid: e.10\ndata: [1]\n\n"
    server = scripted([say.HEAD, say.hello(), bad], [say.HEAD, say.hello(), say.Hold])
    with connect(server).events() as stream:
        values = [next(stream) for _ in range(3)]
    assert "`state`" in str(values[1].error)
    assert not values[1].final
    assert "last-event-id" not in server.asked[1].headers


def test_an_event_over_the_limit_is_final_and_says_the_limit(scripted, connect, say) -> None:
    server = scripted([say.HEAD, say.hello(), say.state(10, text="x" * 2000)])
    with connect(server, max_event_bytes=1000).events() as stream:
        values = list(stream)
    assert isinstance(values[-1].error, EventTooLarge)
    assert values[-1].final
    assert "1000 bytes" in str(values[-1].error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_origin_is_followed_with_the_token(
    scripted, connect, say, status
) -> None:
    server = scripted(
        say.answer(f"{status} Moved", Location="/v2/events?a=1"), [say.HEAD, say.hello(), say.Hold]
    )
    with connect(server).events("cortex", types="ticket.*", since="e.5") as stream:
        next(stream)
    first, second = server.asked
    assert second.target == "/v2/events?a=1"  # the Location is the whole address
    for header in ("authorization", "x-cortex-project", "last-event-id"):
        assert second.headers[header] == first.headers[header]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_gets_nothing(scripted, connect, say, status) -> None:
    other = scripted([say.HEAD, say.hello()])
    target = other.url.replace("http://", "http://user:pw@") + "/events?key=hidden"
    server = scripted(say.answer(f"{status} Moved", Location=target))
    with connect(server).events() as stream:
        lost = only(stream)
    assert isinstance(lost.error, Redirected)
    assert lost.error.location == other.url
    assert other.url in str(lost.error)
    assert other.asked == []
    for secret in (say.token, "user:pw", "hidden"):
        assert secret not in repr(lost)


def test_redirects_in_a_circle_end(scripted, connect, say) -> None:
    server = scripted(say.answer("302 Found", Location="/events"), repeat_last=True)
    with connect(server).events() as stream:
        assert "circle" in str(only(stream).error)
    assert len(server.asked) == 6
