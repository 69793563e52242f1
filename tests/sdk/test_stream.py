"""A stream comes back by itself, and its reader gets every event once."""

from __future__ import annotations

from typing import Any

from cortex_cli.sdk import (
    Connected,
    Delta,
    End,
    Event,
    Heartbeat,
    Lost,
    Overview,
    Reset,
    State,
    StreamError,
    Unreachable,
)


def take(stream: Any, count: int) -> list[Any]:
    return [next(stream) for _ in range(count)]


def kinds(values: list[Any]) -> list[str]:
    return [type(value).__name__ for value in values]


def until(stream: Any, kind: type) -> list[Any]:
    """Return the values up to the first of the kind."""
    values = []
    for value in stream:
        values.append(value)
        if isinstance(value, kind):
            break
    return values


def ids(values: list[Any]) -> list[str | None]:
    return [value.id for value in values if isinstance(value, Event)]


def test_a_fresh_stream_greets_then_tells_the_state_then_events(scripted, connect, say) -> None:
    status = say.frame(
        "attempt.status", {"type": "attempt.status", "payload": {}, "snapshot": True}
    )
    server = scripted(
        [say.HEAD, say.hello(), status, say.state(10, seq=4), say.event(11, seq=5), say.Hold]
    )
    with connect(server).events(project="cortex") as stream:
        hello, attempt, state, event = take(stream, 4)
    assert hello == Connected("e", 10, 1, "c", "2026-01-26T15:53:01.717Z", 15.0, False, "1")
    assert (attempt.id, attempt.snapshot, attempt.type) == (None, True, "attempt.status")
    assert (state.id, state.head, state.seq, state.projects) == ("e.10", 10, 4, None)
    assert (event.id, event.type, event.ticket) == ("e.11", "ticket.moved", "CTX-12")
    assert (event.actor.kind, event.actor.name) == ("agent", "opencode")
    assert event.payload == {"status": "review"}
    assert '"seq": 5' in event.raw
    assert event.gap == 0


def test_the_request_carries_scope_filter_and_token(scripted, connect, say) -> None:
    server = scripted([say.HEAD, say.hello(), say.Hold])
    options = {"types": ["ticket.*", "session.status"], "ticket": "CTX-1", "deltas": "*"}
    client = connect(server)
    with client.events("cortex", since="e.7", snapshot=False, client_id="me", **options) as stream:
        take(stream, 1)
    (asked,) = server.asked
    path, _, query = asked.target.partition("?")
    assert path == "/events"
    assert set(query.split("&")) == {
        "types=ticket.%2A%2Csession.status",
        "ticket=CTX-1",
        "deltas=%2A",
        "snapshot=0",
        "client_id=me",
    }
    assert asked.headers["x-cortex-project"] == "cortex"
    assert asked.headers["last-event-id"] == "e.7"
    assert asked.headers["authorization"] == f"Bearer {say.token}"
    assert asked.headers["accept"] == "text/event-stream"
    assert asked.headers["accept-encoding"] == "identity"


def test_a_project_that_fits_no_header_goes_into_the_query(scripted, connect, say) -> None:
    server = scripted([say.HEAD, say.hello(), say.Hold])
    with connect(server).events(project="bö\r\nX: y") as stream:
        take(stream, 1)
    assert "project=b%C3%B6%0D%0AX%3A+y" in server.asked[0].target
    assert "x-cortex-project" not in server.asked[0].headers


def test_a_dropped_reader_resumes_without_gap_or_repeat(scripted, connect, say, waits) -> None:
    server = scripted(
        [say.HEAD, say.hello(), say.state(10), say.event(11), say.event(12)],
        [say.HEAD, say.hello(resumed=True), say.event(12), say.event(13), say.Hold],
    )
    with connect(server).events(project="cortex") as stream:
        first = until(stream, Lost)
        second = take(stream, 2)
    assert kinds(first) == ["Connected", "State", "Event", "Event", "Lost"]
    lost = first[-1]
    assert isinstance(lost.error, StreamError)
    assert (lost.retry_in, lost.attempt, lost.of, lost.final) == (1.5, 1, None, False)
    assert waits.seconds == [1.5]
    assert "last-event-id" not in server.asked[0].headers
    assert server.asked[1].headers["last-event-id"] == "e.12"
    assert ids(second) == ["e.13"]  # 12 came twice


def test_repeats_within_a_connection_are_dropped(scripted, connect, say) -> None:
    events = b"".join(say.event(n) for n in (11, 11, 12, 11, 12, 13))
    server = scripted([say.HEAD, say.hello(), say.state(10), say.event(9), events, say.Hold])
    with connect(server).events() as stream:
        values = take(stream, 5)
    assert ids(values) == ["e.11", "e.12", "e.13"]


def test_the_cursor_moves_only_after_the_event_was_handled(scripted, connect, say) -> None:
    server = scripted(
        [say.HEAD, say.hello(), say.state(10), say.event(11), say.event(12), say.Hold]
    )
    with connect(server).events() as stream:
        assert isinstance(take(stream, 2)[1], State)
        assert stream.cursor is None
        next(stream)
        assert stream.cursor == "e.10"
        next(stream)
        assert stream.cursor == "e.11"
    assert stream.cursor == "e.11"  # 12 was given out, and nobody said that it is done


def test_a_heartbeat_and_an_id_without_data_move_the_cursor(scripted, connect, say) -> None:
    beat = say.frame("heartbeat", {"at": "t", "head": 90, "seq": 3}, "e.40")
    server = scripted([say.HEAD, say.hello(), say.state(10), beat, b"id: e.50\n\n"])
    with connect(server).events() as stream:
        values = take(stream, 3)
        assert values[2] == Heartbeat("e.40", "t", 90, 3)
        assert isinstance(next(stream), Lost)
        assert stream.cursor == "e.50"


def test_a_truncated_last_event_is_dropped_with_its_id(scripted, connect, say) -> None:
    cut = say.event(12).removesuffix(b"\n")
    server = scripted(
        [say.HEAD, say.hello(), say.state(10), say.event(11), cut],
        [say.HEAD, say.hello(resumed=True), say.event(12), say.Hold],
    )
    with connect(server).events() as stream:
        first, second = until(stream, Lost), take(stream, 2)
    assert ids(first) == ["e.11"]
    assert server.asked[1].headers["last-event-id"] == "e.11"
    assert ids(second) == ["e.12"]


def test_a_reset_is_told_and_the_state_after_it_counts(scripted, connect, say) -> None:
    reset = say.frame("reset", {"reason": "future", "floor": 1, "seq": 3})
    server = scripted(
        [say.HEAD, say.hello(), say.state(500), say.event(501)],
        [say.HEAD, say.hello(), reset, say.state(300), say.event(301), say.Hold],
    )
    with connect(server).events() as stream:
        until(stream, Lost)
        values = take(stream, 4)
        assert kinds(values) == ["Connected", "Reset", "State", "Event"]
        assert values[1] == Reset("future", 1, 3)
        assert values[3].id == "e.301"  # older than what was seen, and new all the same
        assert stream.cursor == "e.300"


def test_a_connection_lost_between_reset_and_state_asks_again_from_the_old_cursor(
    scripted, connect, say
) -> None:
    reset = say.frame("reset", {"reason": "expired", "floor": 400})
    server = scripted(
        [say.HEAD, say.hello(), say.state(10)],
        [say.HEAD, say.hello(), reset],
        [say.HEAD, say.hello(), reset, say.state(500), say.Hold],
    )
    with connect(server).events() as stream:
        for _ in range(2):
            until(stream, Lost)
        until(stream, State)
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "e.10", "e.10"]


def test_another_epoch_is_never_a_repeat(scripted, connect, say) -> None:
    server = scripted(
        [say.HEAD, say.hello(), say.state(10), say.event(11)],
        [say.HEAD, say.hello(), say.state(2, epoch="f"), say.event(3, epoch="f"), say.Hold],
    )
    with connect(server).events() as stream:
        until(stream, Lost)
        assert ids(take(stream, 3)) == ["f.3"]


def test_without_snapshot_the_greeting_brings_the_cursor(scripted, connect, say) -> None:
    greeting = b"id: e.10\n" + say.hello().removeprefix(b"retry: 1500\n\n")
    again = b"id: e.99\n" + say.hello(resumed=True).removeprefix(b"retry: 1500\n\n")
    server = scripted([say.HEAD, greeting], [say.HEAD, again, say.event(11), say.Hold])
    with connect(server).events(snapshot=False) as stream:
        until(stream, Lost)
        assert stream.cursor == "e.10"
        assert ids(take(stream, 2)) == ["e.11"]  # a resumed stream goes on after *our* cursor


def test_an_end_reconnects_when_it_says_and_is_no_failure(scripted, connect, say, waits) -> None:
    server = scripted(
        [say.HEAD, say.hello(), say.state(10), say.end("drain", in_ms=250)],
        [say.HEAD, say.hello(resumed=True), say.event(11), say.Hold],
    )
    with connect(server).events(retries=0) as stream:
        values = take(stream, 5)
    assert values[2] == End("drain", True, 0.25)
    assert kinds(values[3:]) == ["Connected", "Event"]
    assert waits.seconds == [0.25]
    assert server.asked[1].headers["last-event-id"] == "e.10"


def test_the_backoff_doubles_from_the_servers_retry_to_twelve(
    scripted, connect, say, waits
) -> None:
    server = scripted([say.HEAD, b"retry: 1000\n"], repeat_last=True)
    with connect(server).events(retries=6) as stream:
        values = list(stream)
    assert waits.seconds == [1.0, 2.0, 4.0, 8.0, 12.0, 12.0]
    assert [value.attempt for value in values] == [1, 2, 3, 4, 5, 6, 6]
    assert values[-1].final


def test_retries_exhausted_ends_with_the_error(scripted, connect, say, waits) -> None:
    server = scripted([b""], repeat_last=True)
    with connect(server).events(retries=8) as stream:
        values = list(stream)
    assert kinds(values) == ["Lost"] * 9
    assert [value.final for value in values] == [False] * 8 + [True]
    assert len(server.asked) == 9
    assert isinstance(stream.error, Unreachable)
    assert stream.error.exit_code == 3
    assert stream.closed


def test_a_stream_that_flows_starts_the_count_over(scripted, connect, say, waits) -> None:
    server = scripted(b"", b"", [say.HEAD, say.hello(), say.state(10)], b"", b"")
    with connect(server).events(retries=2) as stream:
        lost = [value for value in stream if isinstance(value, Lost)]
    assert [value.attempt for value in lost] == [1, 2, 1, 2, 2]
    assert [value.final for value in lost] == [False] * 4 + [True]
    assert waits.seconds == [1.5, 3.0, 1.5, 3.0]


def test_a_silent_connection_is_lost_after_three_heartbeats(scripted, connect, say) -> None:
    server = scripted(
        [say.HEAD, say.hello(heartbeat_s=0.02), say.Hold],
        [say.HEAD, say.hello(resumed=True), say.Hold],
    )
    with connect(server).events(retries=1) as stream:
        values = take(stream, 3)
    assert kinds(values) == ["Connected", "Lost", "Connected"]
    assert isinstance(values[1].error, Unreachable)
    assert "no answer in time" in str(values[1].error)


def test_a_server_that_never_answers_is_lost_too(scripted, connect, say) -> None:
    server = scripted([say.Hold], repeat_last=True)
    with connect(server).events(retries=0, heartbeat_s=0.02) as stream:
        (lost,) = list(stream)
    assert isinstance(lost.error, Unreachable)


def test_a_chunk_that_breaks_off_is_a_lost_connection(scripted, connect, say) -> None:
    head = say.HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked")
    body = say.hello() + say.state(10)
    chunk = b"%x\r\n%s\r\n" % (len(body), body)
    server = scripted([head, chunk, b"40\r\nid: e.11\ndata: {}"])
    with connect(server).events(retries=0) as stream:
        values = list(stream)
    assert kinds(values) == ["Connected", "State", "Lost"]
    assert isinstance(values[2].error, Unreachable)


def test_deltas_and_unknown_types_reach_the_reader(scripted, connect, say) -> None:
    delta = say.frame("message.delta", {"project": "p", "payload": {"offset": 3, "text": "x"}})
    strange = say.frame("moon.rose", {"type": "moon.rose", "payload": {"phase": 3}}, "e.12")
    server = scripted([say.HEAD, say.hello(), say.state(10), delta, strange, say.Hold])
    with connect(server).events() as stream:
        values = take(stream, 4)
    assert isinstance(values[2], Delta)
    assert values[2].payload == {"offset": 3, "text": "x"}
    assert (values[3].type, values[3].payload) == ("moon.rose", {"phase": 3})


def test_an_event_that_cannot_be_read_is_a_gap_and_the_stream_goes_on(
    scripted, connect, say
) -> None:
    broken = b"id: e.11\nevent: ticket.moved\ndata: {oops\n\n"
    server = scripted([say.HEAD, say.hello(), say.state(10), broken, say.event(12), say.Hold])
    with connect(server).events() as stream:
        values = take(stream, 4)
    assert (values[2].type, values[2].raw, values[2].gap) == ("ticket.moved", "{oops", 1)
    assert values[3].id == "e.12"


def test_a_hole_in_seq_is_told_on_an_unfiltered_board_stream(scripted, connect, say) -> None:
    script = [say.HEAD, say.hello(), say.state(10, seq=5), say.event(11, seq=6)]
    script += [say.event(15, seq=9), say.event(16, seq=10), say.Hold]
    server = scripted(script, script)
    with connect(server).events(project="cortex") as stream:
        assert [value.gap for value in take(stream, 5)[2:]] == [0, 2, 0]
    with connect(server).events(project="cortex", types="ticket.*") as stream:
        assert [value.gap for value in take(stream, 5)[2:]] == [0, 0, 0]
    limited = scripted([say.HEAD, say.hello(ticket="CTX-1"), *script[2:]])
    with connect(limited).events(project="cortex") as stream:
        hello, _, *events = take(stream, 5)
        assert hello.ticket == "CTX-1"
        assert [value.gap for value in events] == [0, 0, 0]


def test_the_dashboard_streams_overviews(scripted, connect, say) -> None:
    overview = say.frame("dashboard_overview", {"running": 2})
    server = scripted([say.HEAD, say.hello(), overview, say.Hold])
    with connect(server).dashboard() as stream:
        values = take(stream, 2)
    assert values[1] == Overview({"running": 2})
    assert server.asked[0].target == "/events/dashboard"


def test_five_megabytes_arrive_in_one_event(scripted, connect, say) -> None:
    text = "x" * 5_000_000
    server = scripted([say.HEAD, say.hello(), say.state(10, text=text), say.Hold])
    with connect(server).events() as stream:
        assert take(stream, 2)[1].body["text"] == text


def test_a_reset_without_a_state_tells_of_the_gap_once(scripted, connect, say) -> None:
    reset = say.frame("reset", {"reason": "expired", "floor": 40})
    greeting = b"id: e.10\n" + say.hello().removeprefix(b"retry: 1500\n\n")
    events = say.event(11, seq=5) + reset + say.event(41, seq=20) + say.event(42, seq=21)
    server = scripted([say.HEAD, greeting, events, say.Hold])
    with connect(server).events(project="cortex", snapshot=False) as stream:
        values = take(stream, 5)
    assert kinds(values) == ["Connected", "Event", "Reset", "Event", "Event"]
    assert [value.gap for value in values if isinstance(value, Event)] == [0, 0, 0]


def test_an_empty_id_takes_the_cursor_back(scripted, connect, say) -> None:
    server = scripted(
        [say.HEAD, say.hello(), say.state(10), b"id\n\n"], [say.HEAD, say.hello(), say.Hold]
    )
    with connect(server).events() as stream:
        until(stream, Lost)
        assert stream.cursor is None
        next(stream)
    assert "last-event-id" not in server.asked[1].headers
