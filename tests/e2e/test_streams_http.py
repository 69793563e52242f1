"""The streams over real HTTP: each promise of the wire, asked of a real server with raw sockets."""

import re
import sqlite3
import time
from collections.abc import Callable

import pytest
import requests

from tests.support.server import Server, wait_for
from tests.support.wire import Stream, Wire

pytestmark = pytest.mark.e2e

BOARD = {"X_Cortex_Project": "CTX"}


def title(server: Server, text: str, project: str = "CTX") -> str:
    """Create a ticket and return its key."""
    key: str = server.make(f"/projects/{project}/tickets", title=text)["key"]
    return key


def board(server: Server, project: str = "CTX") -> dict:
    return server.api("GET", f"/projects/{project}/board").json()


def head(server: Server) -> str:
    state = board(server)
    return f"{state['epoch']}.{state['head']}"


@pytest.fixture
def make_board(make_server: Callable[..., Server]) -> Callable[..., Server]:
    """A server with settings and the project CTX."""

    def make(**settings) -> Server:
        server = make_server(**settings)
        server.make("/projects", key="CTX", name="Cortex")
        return server

    return make


@pytest.fixture(scope="module")
def shared(shared_server: Server) -> Server:
    shared_server.make("/projects", key="CTX", name="Cortex")
    shared_server.make("/projects", key="OPS", name="Operations")
    return shared_server


def test_a_new_board_stream_greets_and_sends_the_whole_board(shared: Server):
    first = title(shared, "Before")
    with Stream(shared, headers=BOARD, client_id="me") as stream:
        hello, state = stream.next(), stream.next()
        assert stream.head.headers["content-type"] == "text/event-stream"
        assert stream.head.headers["cache-control"] == "no-store"
        assert stream.head.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in stream.head.headers
        assert (hello.event, hello.id) == ("hello", None)
        assert hello.data["client_id"] == "me"
        assert hello.data["resumed"] is False
        assert state.data == board(shared)
        assert state.id == f"{hello.data['epoch']}.{state.data['head']}"
        assert first in [ticket["key"] for ticket in state.data["tickets"]]
        assert 1500 <= (stream.retry_ms or 0) <= 2250
        second = title(shared, "After")
        (event,) = stream.logged(1)
        assert event.data["payload"]["key"] == second


def test_the_project_may_come_in_the_query_or_in_the_header_in_any_case(shared: Server):
    for options in ({"project": "ctx"}, {"headers": {"X_Cortex_Project": "cTx"}}):
        with Stream(shared, **options) as stream:
            assert stream.next("state").data["project"]["key"] == "CTX"
    with Stream(shared, headers=BOARD, project="ctx") as stream:
        assert stream.next("state").data["project"]["key"] == "CTX"


def test_the_firehose_sends_projects_and_teams_and_then_everything(shared: Server):
    with Stream(shared) as stream:
        state = stream.next("state").data
        assert {project["key"] for project in state["projects"]} >= {"CTX", "OPS"}
        assert "seq" not in state
        keys = [title(shared, "Here"), title(shared, "There", "OPS")]
        assert [event.data["ticket"] for event in stream.logged(2)] == keys


def test_without_a_client_id_the_server_makes_one(shared: Server):
    with Stream(shared, snapshot=0) as one, Stream(shared, snapshot=0) as other:
        ids = {one.next("hello").data["client_id"], other.next("hello").data["client_id"]}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f-]{36}", found) for found in ids)


def test_without_a_snapshot_the_greeting_carries_the_position(shared: Server):
    before = head(shared)
    with Stream(shared, headers=BOARD, snapshot=0) as stream:
        assert stream.next().id == before
        title(shared, "Next")
        assert stream.next().event == "ticket.created"


def test_a_stream_resumes_after_its_cursor_without_a_state(shared: Server):
    cursor = head(shared)
    keys = [title(shared, f"Missed {number}") for number in range(3)]
    with Stream(shared, headers=BOARD | {"Last_Event_ID": cursor}) as stream:
        hello = stream.next()
        assert hello.data["resumed"] is True
        assert hello.id is None
        assert [event.data["ticket"] for event in stream.logged(3)] == keys
        keys = [title(shared, "Live")]
        assert [event.data["ticket"] for event in stream.logged(1)] == keys


def test_since_is_a_cursor_too_and_the_header_wins(shared: Server):
    old = head(shared)
    first = title(shared, "First")
    between = head(shared)
    second = title(shared, "Second")
    with Stream(shared, headers=BOARD, since=old) as stream:
        assert [event.data["ticket"] for event in stream.logged(2)] == [first, second]
    with Stream(shared, headers=BOARD | {"Last_Event_ID": between}, since=old) as stream:
        assert [event.data["ticket"] for event in stream.logged(1)] == [second]


def test_a_cursor_of_one_scope_resumes_another(shared: Server):
    with Stream(shared, headers=BOARD) as stream:
        cursor = stream.next("state").id
    ops, ctx = title(shared, "Theirs", "OPS"), title(shared, "Ours")
    with Stream(shared, since=cursor) as stream:
        assert [event.data["ticket"] for event in stream.logged(2)] == [ops, ctx]
    with Stream(shared, project="OPS", since=cursor) as stream:
        assert [event.data["ticket"] for event in stream.logged(1)] == [ops]


def test_types_and_ticket_filter_on_the_server(shared: Server):
    mine, other = title(shared, "Mine"), title(shared, "Other")
    with (
        Stream(shared, headers=BOARD, types="comment.*,ticket.moved", snapshot=0) as typed,
        Stream(shared, headers=BOARD, ticket=mine.lower(), snapshot=0) as of_ticket,
    ):
        typed.next("hello")
        of_ticket.next("hello")
        for key in (mine, other):
            shared.api("PATCH", f"/tickets/{key}", json={"priority": "high"})
            shared.make(f"/tickets/{key}/comments", body="Look")
            shared.make(f"/tickets/{key}/move", status="done")
        found = [(event.event, event.data["ticket"]) for event in typed.logged(4)]
        assert found == [
            ("comment.added", mine), ("ticket.moved", mine),
            ("comment.added", other), ("ticket.moved", other),
        ]  # fmt: skip
        kinds = [event.event for event in of_ticket.logged(3)]
        assert kinds == ["ticket.updated", "comment.added", "ticket.moved"]


def test_deltas_reach_only_the_streams_that_ask(shared: Server):
    ticket = title(shared, "Talk")
    sessions = [shared.make(f"/tickets/{ticket}/sessions")["id"] for _ in range(2)]
    for session in sessions:
        parts = [{"type": "text", "text": "", "status": "streaming"}]
        body = {"role": "assistant", "status": "streaming", "parts": parts}
        assert shared.api("PUT", f"/sessions/{session}/messages/m", json=body).status_code == 201
    with (
        Stream(shared, headers=BOARD, deltas=sessions[0], snapshot=0) as one,
        Stream(shared, headers=BOARD, deltas="*", snapshot=0) as both,
        Stream(shared, headers=BOARD, snapshot=0) as none,
    ):
        for stream in (one, both, none):
            stream.next("hello")
        for session in sessions:
            answer = shared.api(
                "POST", f"/sessions/{session}/messages/m/delta",
                json={"part": 0, "offset": 0, "text": "Hi"},
            )  # fmt: skip
            assert (answer.status_code, answer.json()) == (202, {"length": 2})
        last = title(shared, "Last")
        got = [both.next("message.delta") for _ in sessions]
        assert [delta.data["payload"]["session"] for delta in got] == sessions
        assert got[0].id is None
        assert one.next("message.delta").data["payload"]["session"] == sessions[0]
        assert one.next("ticket.created").data["ticket"] == last
        assert none.next().data["ticket"] == last


def test_heartbeats_come_also_under_traffic_and_move_a_filtered_cursor(make_board):
    server = make_board(heartbeat_s=0.3)
    with Stream(server, headers=BOARD, types="label.*", snapshot=0) as stream:
        start = stream.next("hello").id
        for number in range(5):
            title(server, f"Filtered away {number}")
        now = head(server)
        give_up = time.monotonic() + 5
        while (beat := stream.next("heartbeat")).id != now:  # one may come between two changes
            assert time.monotonic() < give_up
        assert beat.id != start
        assert beat.data["head"] == int(now.partition(".")[2])
    with Stream(server, headers=BOARD) as stream:
        frames = [stream.next().event for _ in range(2)]
        assert frames == ["hello", "state"]
        began, kinds = time.monotonic(), []
        while "heartbeat" not in kinds:
            title(server, "Traffic")
            kinds.append(stream.next().event)
        assert time.monotonic() - began < 2
        beat = stream.next("heartbeat")
        assert beat.data["seq"] == board(server)["seq"]


def test_a_stream_ends_with_its_lifetime_and_says_so(make_board):
    server = make_board(stream_max_s=1)
    began = time.monotonic()
    with Stream(server, headers=BOARD) as stream:
        *_, last = stream.rest()
    assert 0.7 < time.monotonic() - began < 2
    assert last.event == "end"
    assert (last.data["reason"], last.data["reconnect"]) == ("lifetime", True)
    assert last.data["reconnect_in_ms"] >= 0


def test_past_the_cap_a_client_is_asked_to_come_back(make_board):
    server = make_board(max_streams=3)
    streams = [Stream(server, headers=BOARD) for _ in range(3)]
    for stream in streams:
        stream.next("state")
    with Stream(server, headers=BOARD) as refused:
        (*_, end) = refused.rest()
        assert refused.head.headers["content-type"] == "text/event-stream"
    assert end.event == "end"
    assert (end.data["reason"], end.data["reconnect"]) == ("overload", True)
    with Stream(server, headers=BOARD) as refused:
        assert refused.read_all().startswith(b"retry: ")
    assert requests.get(server.url + "/healthz", timeout=5).ok
    assert server.metrics()["cortex_streams_refused_total"] == 2
    for stream in streams:
        stream.sock.close()


def test_the_slot_of_a_vanished_client_is_free_within_a_second(make_board):
    server = make_board(max_streams=4)
    for vanish in ("close", "reset", "half"):
        streams = [Stream(server, headers=BOARD) for _ in range(4)]
        for stream in streams:
            stream.next("state")
            if vanish == "reset":
                stream.reset()
            elif vanish == "half":
                stream.sock.shutdown(1)
            else:
                stream.sock.close()
        wait_for(lambda: server.streams() == 0, f"slots free after {vanish}", 1)
        for stream in streams:
            stream.sock.close()


def test_head_answers_the_headers_and_takes_no_slot(make_board):
    server = make_board(max_streams=2)
    for path in ("/events", "/events/dashboard"):
        for _ in range(3):
            with Wire(server) as wire:
                answer = wire.request(path, "HEAD").answer()
                assert answer.status == 200
                assert answer.headers["content-type"] == "text/event-stream"
    assert server.streams() == 0
    with Stream(server) as stream:
        assert stream.next().event == "hello"


def test_the_dashboard_sends_an_overview_and_new_ones_at_most_every_250_ms(shared: Server):
    with Stream(shared, "/events/dashboard") as stream:
        assert stream.next().event == "hello"
        before = stream.next("dashboard_overview").data
        assert before.keys() == shared.api("GET", "/dashboard").json().keys()
        began = time.monotonic()
        for number in range(10):
            title(shared, f"Counted {number}")
        made = time.monotonic() - began
        overviews, after, newest = 0, before, board(shared)["head"]
        while after["head"] < newest:
            after = stream.next("dashboard_overview").data
            overviews += 1
        assert overviews <= 2 + made / 0.25
        (counts,) = [row for row in after["projects"] if row["project"] == "CTX"]
        assert sum(counts["columns"].values()) == len(board(shared)["tickets"])


@pytest.mark.parametrize("path", ["/events", "/events/dashboard"])
def test_a_revoked_token_ends_its_streams_within_a_second(shared: Server, path: str):
    token = shared.make("/tokens", name="short", role="read")
    bearer = {"Authorization": f"Bearer {token['secret']}"}
    with Stream(shared, path, headers=bearer) as stream, Stream(shared, path) as other:
        stream.next("hello")
        other.next("hello")
        assert shared.api("DELETE", f"/tokens/{token['id']}").ok
        revoked_at = time.monotonic()
        (*_, end) = stream.rest()
        assert time.monotonic() - revoked_at < 1
        assert (end.event, end.data["reason"]) == ("end", "revoked")
        assert end.data["reconnect"] is False
        title(shared, "The other goes on")
        assert other.next() is not None
    with Wire(shared) as wire:
        assert wire.request(path, **bearer).answer().status == 401


def test_a_stream_ends_when_its_token_expires(shared: Server):
    token = shared.make("/tokens", name="brief", role="read", expires_in_s=1)
    with Stream(shared, headers={"Authorization": f"Bearer {token['secret']}"}) as stream:
        began = time.monotonic()
        (*_, end) = stream.rest()
    assert time.monotonic() - began < 2
    assert (end.data["reason"], end.data["reconnect"]) == ("expired", False)


def test_a_deleted_project_ends_its_streams_after_the_news(shared: Server):
    shared.make("/projects", key="GONE", name="Gone")
    with Stream(shared, project="GONE") as stream, Stream(shared, snapshot=0) as firehose:
        stream.next("state")
        firehose.next("hello")
        shared.api("DELETE", "/projects/GONE")
        deleted, end = stream.rest()
        assert deleted.event == "project.deleted"
        assert (end.data["reason"], end.data["reconnect"]) == ("project_deleted", False)
        assert firehose.next().event == "project.deleted"
    with Wire(shared) as wire:
        assert wire.request("/events?project=GONE").answer().status == 404


def test_a_cursor_that_cannot_be_served_is_reset_with_its_reason(make_board):
    server = make_board()
    for number in range(5):
        title(server, f"Old {number}")
    server.stop()
    with sqlite3.connect(server.database) as conn:
        conn.execute("DELETE FROM events WHERE position <= 3")
        conn.execute("UPDATE log_state SET floor = 3")
    conn.close()
    server.start()
    now = board(server)
    cursors = {
        "expired": f"{now['epoch']}.2",
        "future": f"{now['epoch']}.{now['head'] + 1}",
        "epoch": f"other.{now['head']}",
    }
    for reason, cursor in cursors.items():
        with Stream(server, headers=BOARD | {"Last_Event_ID": cursor}) as stream:
            hello, reset, state = (stream.next() for _ in range(3))
            assert hello.data["resumed"] is False
            assert (reset.event, reset.data["reason"]) == ("reset", reason)
            assert reset.data["floor"] == 3
            assert state.data == now
        with Stream(server, headers=BOARD, since=cursor, snapshot=0) as stream:
            hello, reset = stream.next(), stream.next()
            assert (reset.event, reset.data["reason"]) == ("reset", reason)
            assert hello.id == f"{now['epoch']}.{now['head']}"
    with Stream(server, headers=BOARD, since=f"{now['epoch']}.3") as stream:
        assert stream.next().data["resumed"] is True
        assert len(stream.logged(3)) == 3
    metrics = server.metrics()
    for reason in cursors:
        assert metrics[f'cortex_stream_resets_total{{reason="{reason}"}}'] == 2


@pytest.mark.parametrize(
    "target",
    [
        "/events?since=x", "/events?since=a.b", "/events?since=a.-1", "/events?since=.5",
        "/events?types=", "/events?types=Ticket", "/events?types=ticket.moved,,label.*",
        "/events?snapshot=maybe", "/events?client_id=a%20b", "/events?client_id=",
        "/events?client_id=" + "x" * 200, "/events?unknown=1", "/events?project=CTX&project=OPS",
        "/events?since=a.1&since=a.2", "/events?project=%FF", "/events?project=%00",
        "/events/dashboard?since=x", "/events/dashboard?project=CTX",
    ],
)  # fmt: skip
def test_a_malformed_value_is_refused(shared: Server, target: str):
    with Wire(shared) as wire:
        answer = wire.request(target).answer()
    assert answer.status == 400, answer.body
    assert answer.headers["content-type"] == "application/problem+json"


def test_malformed_headers_are_refused_too(shared: Server):
    for headers in ({"Last_Event_ID": "nonsense"}, {"X_Cortex_Project": "é"}):
        with Wire(shared) as wire:
            assert wire.request("/events", **headers).answer().status == 400
    with Wire(shared) as wire:
        request = wire.request("/events?project=OPS", X_Cortex_Project="CTX")
        assert request.answer().status == 400


@pytest.mark.parametrize(
    "target",
    ["/events?project=NONE", "/events?ticket=CTX-9999", "/events?project=OPS&ticket=CTX-1"],
)
def test_what_does_not_exist_is_not_found(shared: Server, target: str):
    title(shared, "CTX-1 at least")
    with Wire(shared) as wire:
        assert wire.request(target).answer().status == 404


def test_a_token_of_one_project_sees_nothing_else(shared: Server):
    token = shared.make("/tokens", name="ops", role="read", projects=["OPS"])
    bearer = {"Authorization": f"Bearer {token['secret']}"}
    with Wire(shared) as wire:
        assert wire.request("/events?project=CTX", **bearer).answer().status == 404
    with Stream(shared, headers=bearer) as stream:
        state = stream.next("state").data
        assert [project["key"] for project in state["projects"]] == ["OPS"]
        title(shared, "Hidden")
        shared.api("PATCH", "/settings", json={"values": {"log_retention_days": 80}})
        shown = title(shared, "Shown", "OPS")
        assert stream.next().data["ticket"] == shown
    cursor = f"{state['epoch']}.{state['head']}"
    with Stream(shared, headers=bearer | {"Last_Event_ID": cursor}) as stream:
        assert [event.data["ticket"] for event in stream.logged(1)] == [shown]


def test_a_token_of_one_ticket_sees_only_that_one(shared: Server):
    mine, other = title(shared, "Mine"), title(shared, "Not mine")
    token = shared.make("/tokens", name="agent", role="agent", ticket=mine)
    bearer = {"Authorization": f"Bearer {token['secret']}"}
    with Wire(shared) as wire:
        assert wire.request(f"/events?ticket={other}", **bearer).answer().status == 404
    with Wire(shared) as wire:
        assert wire.request("/events/dashboard", **bearer).answer().status == 403
    with Stream(shared, headers=bearer, ticket=mine) as stream:
        assert [t["key"] for t in stream.next("state").data["tickets"]] == [mine]
        for key in (other, mine):
            shared.make(f"/tickets/{key}/comments", body="Look")
        assert stream.next().data["ticket"] == mine
