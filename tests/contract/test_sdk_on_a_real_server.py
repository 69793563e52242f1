"""The SDK makes the right value of every kind of frame that a real server sends."""

import pytest

from cortex_cli import sdk
from tests.support.follower import Follower
from tests.support.server import Server

pytestmark = pytest.mark.e2e


@pytest.fixture
def board(make_server) -> Server:
    server: Server = make_server(heartbeat_s=0.2)
    server.make("/projects", key="CTX", name="Cortex")
    return server


def test_a_board_stream_gives_connected_state_events_deltas_and_heartbeats(board: Server):
    with Follower(board, project="CTX", deltas="*", client_id="me") as follower:
        (state,) = follower.wait_for(sdk.State)
        connected = follower.values[0]
        assert isinstance(connected, sdk.Connected)
        known = board.api("GET", "/projects/CTX/board").json()
        assert (state.body, state.head, state.seq) == (known, known["head"], known["seq"])
        assert (connected.epoch, connected.head) == (known["epoch"], known["head"])
        assert (connected.client_id, connected.resumed) == ("me", False)
        assert connected.heartbeat_s == 0.2
        assert connected.version
        assert connected.server_time.endswith("Z")

        ticket = board.make("/projects/CTX/tickets", title="One")["key"]
        session = board.make(f"/tickets/{ticket}/sessions")["id"]
        parts = [{"type": "text", "text": "", "status": "streaming"}]
        message = {"role": "assistant", "status": "streaming", "parts": parts}
        path = f"/sessions/{session}/messages/m"
        assert board.api("PUT", path, json=message).ok
        assert board.api("POST", f"{path}/delta", json={"part": 0, "offset": 0, "text": "Hi"}).ok
        events = follower.wait_for(sdk.Event, 3)
        (delta,) = follower.wait_for(sdk.Delta)
        assert [e.type for e in events] == ["ticket.created", "session.started", "message.created"]
        assert [e.seq for e in events] == [known["seq"] + n for n in (1, 2, 3)]
        assert {(e.project, e.ticket, e.gap) for e in events} == {("CTX", ticket, 0)}
        assert delta.payload["text"] == "Hi"

        seen = len(follower.of(sdk.Heartbeat))
        beat = follower.wait_for(sdk.Heartbeat, seen + 2)[-1]
        assert (beat.id, beat.seq) == (events[-1].id, events[-1].seq)
        assert follower.stream.cursor == events[-1].id


def test_a_reset_comes_before_the_new_state(board: Server):
    with Follower(board, project="CTX", since="gone.7") as follower:
        follower.wait_for(sdk.State)
    connected, reset, state = follower.values[:3]
    assert isinstance(connected, sdk.Connected)
    assert not connected.resumed
    assert isinstance(reset, sdk.Reset)
    assert (reset.reason, reset.floor) == ("epoch", 0)
    assert isinstance(state, sdk.State)


def test_the_firehose_and_the_dashboard_have_values_of_their_own(board: Server):
    with Follower(board) as firehose, Follower(board, dashboard=True) as dashboard:
        (state,) = firehose.wait_for(sdk.State)
        assert [project["key"] for project in state.projects or []] == ["CTX"]
        (first,) = dashboard.wait_for(sdk.Overview)
        assert first.body["projects"][0]["project"] == "CTX"
        board.make("/projects/CTX/tickets", title="One")
        assert dashboard.wait_for(sdk.Overview, 2)[-1].body["head"] > first.body["head"]
        dashboard.wait_for(sdk.Heartbeat)


def test_a_stream_that_ends_for_its_age_goes_on_without_a_gap(make_server):
    server: Server = make_server(stream_max_s=1.3)  # under a second the SDK would back off
    server.make("/projects", key="CTX", name="Cortex")
    with Follower(server, project="CTX") as follower:
        keys = []
        while len(follower.of(sdk.Connected)) < 3:
            keys.append(server.make("/projects/CTX/tickets", title="On and on")["key"])
        follower.wait_for(sdk.Event, len(keys))
    assert [event.ticket for event in follower.events] == keys
    assert {(end.reason, end.reconnect) for end in follower.of(sdk.End)} == {("lifetime", True)}
    assert [connected.resumed for connected in follower.of(sdk.Connected)][:2] == [False, True]
    assert follower.of(sdk.Lost) == []


def test_a_revoked_token_ends_the_stream_for_good(board: Server):
    token = board.make("/tokens", name="short", role="read")
    with Follower(board, token=token["secret"]) as follower:
        board.api("DELETE", f"/tokens/{token['id']}")
        (lost,) = follower.wait_for(sdk.Lost)
    assert lost.final
    assert isinstance(lost.error, sdk.NotAllowed)
    assert follower.of(sdk.End)[-1].reason == "revoked"


def test_a_deleted_project_ends_its_stream_for_good_after_the_news(board: Server):
    with Follower(board, project="CTX") as follower:
        board.api("DELETE", "/projects/CTX")
        (lost,) = follower.wait_for(sdk.Lost)
    assert follower.events[-1].type == "project.deleted"
    assert isinstance(lost.error, sdk.NotFound)


def test_a_killed_server_is_a_lost_value_and_the_stream_comes_back(board: Server):
    with Follower(board, project="CTX") as follower:
        follower.wait_for(sdk.State)
        first = board.make("/projects/CTX/tickets", title="Before")["key"]
        follower.wait_for(sdk.Event)
        board.kill()
        assert not follower.wait_for(sdk.Lost)[0].final
        board.start()
        second = board.make("/projects/CTX/tickets", title="After")["key"]
        follower.stream.retry_now()
        assert [e.ticket for e in follower.wait_for(sdk.Event, 2)] == [first, second]
        assert follower.of(sdk.Connected)[-1].resumed
