"""Heartbeats: on time also under traffic, and with a cursor that is never ahead of an event."""

import pytest

from cortex_server.domains import projects
from tests.support.in_process import position_of

HEARTBEAT_S = 15.0


@pytest.fixture(params=[False, True], ids=["queued", "straight"])
def straight(request):
    return request.param


def test_a_heartbeat_comes_when_it_is_due_and_not_before(live):
    live.project()
    reader = live.open("CTX")
    assert reader.later(14.9).of("heartbeat") == []
    (beat,) = reader.later(0.1).of("heartbeat")
    assert beat.data == {"at": "2026-01-26T15:53:16.717454Z", "head": 1, "seq": 1}
    assert beat.id == f"{live.services.epoch}.1"
    assert len(reader.later(15).of("heartbeat")) == 2


def test_a_heartbeat_comes_under_traffic_too(live):
    project = live.project()
    reader = live.open("CTX")
    for _ in range(4):
        live.clock.advance(5)
        live.ticket(project)
        reader.settle()
    assert reader.names[2:] == [
        "ticket.created", "ticket.created", "ticket.created", "heartbeat", "ticket.created",
    ]  # fmt: skip
    assert position_of(reader.of("heartbeat")[0].id) == 4


def test_a_heartbeat_comes_while_a_long_replay_goes_on(make_live):
    live = make_live()
    project = live.project()
    for _ in range(4):
        live.ticket(project, body="x" * 100_000)
    reader = live.open("CTX", cursor=(live.services.epoch, 1), slow=True)
    live.clock.advance(HEARTBEAT_S)
    reader.go_on()
    assert reader.names.index("heartbeat") < reader.names.index("ticket.created", 2)
    before = [f for f in reader.frames[: reader.names.index("heartbeat")] if f.id]
    assert reader.of("heartbeat")[0].id == (before[-1].id if before else f"{live.services.epoch}.1")
    assert reader.positions == [2, 3, 4, 5]


def test_heartbeats_move_a_filtered_cursor_on(live):
    project = live.project()
    reader = live.open("CTX", types=frozenset({"label.created"}))
    live.ticket(project)
    live.ticket(project)
    (beat,) = reader.later(HEARTBEAT_S).of("heartbeat")
    assert reader.events == []
    assert position_of(beat.id) == beat.data["head"] == 3
    assert beat.data["seq"] is None  # it proves nothing on a filtered stream


def test_heartbeats_move_a_board_past_the_events_of_other_boards(live):
    live.project("A")
    other = live.project("B")
    reader = live.open("A")
    live.ticket(other)
    (beat,) = reader.later(HEARTBEAT_S).of("heartbeat")
    assert position_of(beat.id) == 3
    assert beat.data["seq"] == 1


def test_a_heartbeat_of_the_firehose_has_the_seq_of_each_project(live):
    a, b = live.project("A"), live.project("B")
    ticket = live.ticket(a)
    reader, limited = live.open(), live.open(grant=live.grant("read", ["B"]))
    live.retitle(ticket.key, "x")
    (beat,) = reader.later(HEARTBEAT_S).of("heartbeat")
    assert "seq" not in beat.data
    assert beat.data["seqs"] == {"A": 3, "B": 1}
    live.ticket(b)
    assert reader.later(HEARTBEAT_S).of("heartbeat")[1].data["seqs"] == {"A": 3, "B": 2}
    assert limited.later(0).of("heartbeat")[-1].data["seqs"] == {"B": 2}
    filtered = live.open(types=frozenset({"label.created"}))
    assert "seqs" not in filtered.later(HEARTBEAT_S).of("heartbeat")[0].data


def test_the_seqs_of_a_heartbeat_are_those_at_its_position(live):
    project = live.project("A")
    for _ in range(3):
        live.ticket(project)
    seqs = [live.services.snapshots.seqs(live.grant(), position) for position in (4, 2)]
    assert seqs == [{"A": 4}, {"A": 2}]


def test_the_seq_of_a_heartbeat_counts_what_was_sent(live):
    project = live.project()
    ticket = live.ticket(project)
    reader = live.open("CTX", cursor=(live.services.epoch, 1))
    assert reader.later(HEARTBEAT_S).of("heartbeat")[0].data["seq"] == 2
    live.retitle(ticket.key, "x")
    assert reader.later(HEARTBEAT_S).of("heartbeat")[1].data["seq"] == 3


def test_the_seq_after_resuming_is_right_before_any_event_came(live):
    a, b = live.project("A"), live.project("B")
    live.ticket(a)
    for _ in range(3):
        live.ticket(b)
    reader = live.open("A", cursor=(live.services.epoch, 3))
    assert reader.later(HEARTBEAT_S).of("heartbeat")[0].data["seq"] == 2


def test_the_seq_before_the_first_event_of_the_project_is_the_one_before_it(live, monkeypatch):
    from cortex_server import pages
    from cortex_server.domains import teams

    monkeypatch.setattr(pages, "PAGE_BYTES", 1)
    project = live.project()
    live.do(teams.create, {"key": "T", "name": "t"})
    live.ticket(project)
    reader = live.open("CTX", cursor=(live.services.epoch, 1), slow=True)
    live.clock.advance(HEARTBEAT_S)
    reader.go_on()
    assert reader.names == ["hello", "team.created", "heartbeat", "ticket.created"]
    assert reader.of("heartbeat")[0].data["seq"] == 1


def test_a_cursor_never_passes_an_event_that_waits_in_the_queue(live):
    """The reader stands at one chunk while events wait: its next heartbeat must not skip them."""
    project = live.project()
    reader = live.open("CTX")
    reader.pause()
    live.ticket(project)
    reader.settle()  # this chunk is out, the stream waits for its reader
    live.ticket(project)
    live.ticket(project)
    live.clock.advance(HEARTBEAT_S)
    reader.go_on()
    names = [name for name in reader.names if name in ("ticket.created", "heartbeat")]
    assert names == ["ticket.created", "heartbeat", "ticket.created", "ticket.created"]
    assert position_of(reader.of("heartbeat")[0].id) == 2
    assert_ids_only_grow(reader)


def test_a_cursor_never_passes_what_a_lagging_stream_has_to_read(make_live):
    live = make_live(queue_size=2)
    project = live.project()
    reader = live.left_behind(project, 6)
    live.clock.advance(HEARTBEAT_S)
    reader.go_on()
    assert_ids_only_grow(reader)
    assert reader.positions == list(range(2, 8))


def assert_ids_only_grow(reader):
    """Every id, of events and heartbeats, is at most that of the next event."""
    ids = [position_of(frame.id) for frame in reader.frames if frame.id]
    assert ids == sorted(ids)
    beats = [i for i, frame in enumerate(reader.frames) if frame.event == "heartbeat"]
    for index in beats:
        following = [f for f in reader.frames[index:] if f.id and f.event != "heartbeat"]
        for frame in following:
            assert position_of(frame.id) > position_of(reader.frames[index].id)


def test_clock_jumps_of_the_wall_clock_do_not_matter(live):
    from datetime import timedelta

    project = live.project()
    reader = live.open("CTX")
    live.clock._now -= timedelta(days=3650)
    live.ticket(project)
    live.clock._now += timedelta(days=7300)
    live.ticket(project)
    assert reader.settle().positions == [2, 3]
    assert reader.of("heartbeat") == []
    assert not reader.ended
    live.do(projects.patch, project, {"name": "x"}, None)
    assert reader.settle().positions == [2, 3, 4]
