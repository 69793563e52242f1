"""How a stream ends, what it says about coming back, and that it frees what it held."""

import signal
from contextlib import contextmanager

import gevent
import pytest

from cortex_server.domains import projects, tickets, tokens
from tests.support.in_process import until
from tests.support.stores import ALICE


def assert_nothing_held(live):
    assert len(live.services.streams) == 0
    assert live.services.bus.channels == 0
    for scope in ("board", "firehose", "dashboard"):
        assert live.metric("cortex_streams", scope=scope) == 0


def assert_end(reader, reason, reconnect, least_ms=0):
    assert reader.ended
    assert reader.last.event == "end"
    assert reader.last.id is None
    assert reader.last.data["reason"] == reason
    assert reader.last.data["reconnect"] is reconnect
    assert least_ms <= reader.last.data["reconnect_in_ms"] < least_ms + 1000


KINDS = pytest.mark.parametrize(
    "asked", [{"project": "CTX"}, {}, {"dashboard": True}], ids=["board", "firehose", "dashboard"]
)


@KINDS
def test_a_lifetime_ends_within_its_last_fifth(make_live, asked):
    live = make_live(stream_max_s=100, heartbeat_s=1000)
    live.project()
    reader = live.open(**asked)
    assert not reader.later(79.9).ended
    assert_end(reader.later(20.2), "lifetime", True)
    assert live.metric("cortex_stream_disconnects_total", cause="lifetime") == 1
    assert_nothing_held(live)


@pytest.fixture(params=[False, True], ids=["queued", "straight"])
def straight(request):
    return request.param


def test_lifetimes_are_spread(make_live):
    live = make_live(stream_max_s=100)
    ends = {live.open().stream.lifetime_at - live.clock.monotonic() for _ in range(20)}
    assert len(ends) > 10
    assert min(ends) >= 80
    assert max(ends) <= 100


@KINDS
def test_a_drain_ends_every_stream_and_refuses_new_ones(live, asked):
    live.project()
    reader = live.open(**asked)
    live.services.streams.drain()
    assert_end(reader.settle(), "drain", True)
    late = live.open(**asked)
    assert late.names == ["end"]
    assert late.chunks[0].startswith(b"retry: ")
    assert_end(late, "drain", True)
    assert_nothing_held(live)


@KINDS
def test_a_revoked_token_ends_its_streams_and_no_others(live, asked):
    live.project()
    grant, other = live.grant(), live.grant()
    reader, kept = live.open(grant=grant, **asked), live.open(grant=other, **asked)
    with live.store.write(ALICE) as tx:
        tokens.revoke(tx, tokens.get(tx, grant.token_id))
    assert_end(reader.settle(), "revoked", False)
    assert not kept.settle().ended


@KINDS
def test_a_token_that_expires_ends_its_streams(live, asked):
    live.project()
    reader = live.open(grant=live.grant(expires_in_s=60), **asked)
    assert not reader.later(59.9).ended
    assert_end(reader.later(0.1), "expired", False)


def test_a_deleted_project_is_told_and_then_its_boards_end(live):
    project = live.project()
    other = live.project("OTHER")
    board, kept, firehose = live.open("CTX"), live.open("OTHER"), live.open()
    live.do(projects.delete, project, None)
    for reader in (board, kept, firehose):
        reader.settle()
    assert board.names == ["hello", "state", "project.deleted", "end"]
    assert_end(board, "project_deleted", False)
    assert firehose.names[-1] == "project.deleted"
    assert not kept.ended
    live.ticket(other)
    assert kept.settle().names[-1] == "ticket.created"


def test_a_deleted_project_ends_a_board_that_does_not_see_the_event(live):
    """A filter, or a token of one ticket, hides project.deleted: the stream ends all the same."""
    project = live.project()
    ticket = live.ticket(project)
    filtered = live.open("CTX", types=frozenset({"label.created"}))
    agent = live.open("CTX", grant=live.grant("agent", ticket=ticket.key))
    live.do(projects.delete, project, None)
    for reader in (filtered, agent):
        assert reader.settle().names == ["hello", "state", "end"]
        assert_end(reader, "project_deleted", False)


def test_a_deadline_that_passes_before_the_deletion_is_told_does_not_stop_the_loop(live):
    """The deletion waits for the next round, as under load, and the token expires in the meantime.

    The round is a timer's: a stream that asked again and again without waiting would hold it up.
    """
    project = live.project()
    reader = live.open("CTX", grant=live.grant(expires_in_s=60))
    live.services.bus.window_s = lambda took_s, share: 0.1
    project = live.do(projects.patch, project, {"name": "B"}, None)
    reader.settle()
    live.do(projects.delete, project, None)
    gevent.sleep(0)
    assert reader.stream.subscriber.gathering.waits
    live.clock.advance(61 + 15)
    reader.stream.subscriber.wake()
    with stuck_loop_fails():
        until(lambda: reader.ended, "it ends")
    assert reader.of("project.deleted")
    assert_end(reader, "project_deleted", False)


@contextmanager
def stuck_loop_fails():
    """Interrupt what keeps the loop for seconds: no deadline of a greenlet's could."""

    def interrupt(_number, frame):
        pytest.fail(f"the loop stands still in {frame.f_code.co_name}")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(5)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


SCOPED = pytest.mark.parametrize("asked", [{}, {"dashboard": True}], ids=["firehose", "dashboard"])


@SCOPED
def test_a_tokens_rights_are_read_anew_when_its_project_is_deleted(live, asked):
    project = live.project("A")
    live.project("B")
    scoped, other = live.grant("read", ["A", "B"]), live.grant("read", ["B"])
    reader, kept = live.open(grant=scoped, **asked), live.open(grant=other, **asked)
    board = live.open("B", grant=scoped)
    live.do(projects.delete, project, None)
    assert_end(reader.settle(), "lifetime", True)
    assert not kept.settle().ended
    assert not board.settle().ended


def test_a_firehose_tells_the_deletion_and_nothing_of_what_gets_the_same_key(live):
    project = live.project("A")
    reader = live.open(grant=live.grant("read", ["A"]))
    live.services.bus.window_s = lambda took_s, share: 0.1
    project = live.do(projects.patch, project, {"name": "B"}, None)
    reader.settle()
    live.do(projects.delete, project, None)
    live.ticket(live.project("A"), "secret")
    assert reader.stream.subscriber.gathering.waits
    until(lambda: reader.ended, "it ends")
    assert reader.names[2:] == ["project.updated", "project.deleted", "end"]
    assert_end(reader, "lifetime", True)


@pytest.mark.parametrize("board", [True, False], ids=["board", "firehose"])
def test_a_slow_reader_sees_nothing_of_what_gets_its_deleted_projects_key(make_live, board):
    live = make_live(queue_size=2)
    project = live.project()
    asked = {"project": "CTX"} if board else {"grant": live.grant("read", ["CTX"])}
    reader = live.open(**asked, slow=True)
    for _ in range(4):
        live.ticket(project)
    reader.settle()
    live.do(projects.delete, project, None)
    live.ticket(live.project(), "secret")
    assert reader.stream.subscriber.lagging
    reader.go_on()
    assert reader.names[2:] == ["ticket.created"] * 4 + ["project.deleted", "end"]


def test_a_project_deleted_while_a_firehose_is_admitted_ends_it_at_once(live):
    project = live.project()
    grant, free = live.grant("read", ["CTX"]), live.grant("read")
    endings = live.services.streams.endings
    live.do(projects.delete, project, None)
    late = live.open(grant=grant, endings=endings)
    assert late.names == ["end"]
    assert_end(late, "lifetime", True)
    assert not live.open(grant=free, endings=endings).ended


def test_a_drain_does_not_wait_until_a_deletion_is_told(live):
    project = live.project()
    reader = live.left_behind(project, 3)
    live.do(projects.delete, project, None)
    live.services.streams.drain()
    reader.go_on()
    assert not reader.of("project.deleted")
    assert_end(reader, "project_deleted", False)


def test_past_the_cap_a_stream_is_told_to_come_back(make_live):
    live = make_live(max_streams=2)
    live.project()
    first, _second = live.open("CTX"), live.open("CTX")
    third = live.open("CTX")
    assert third.names == ["end"]
    assert third.chunks[0].startswith(b"retry: ")
    assert_end(third, "overload", True, least_ms=2000)
    assert live.metric("cortex_streams_refused_total") == 1
    assert len(live.services.streams) == 2
    first.greenlet.kill()
    assert live.open("CTX").names == ["hello", "state"]


def test_the_first_reason_stands(live):
    live.project()
    grant = live.grant()
    live.grant()
    reader = live.open(grant=grant)
    live.services.streams.drain()
    with live.store.write(ALICE) as tx:
        tokens.revoke(tx, tokens.get(tx, grant.token_id))
    assert_end(reader.settle(), "drain", True)


@KINDS
def test_a_client_that_leaves_ends_it_without_a_word(live, asked):
    live.project()
    reader = live.open(**asked)
    said = list(reader.chunks)
    reader.stream.leave()
    reader.settle()
    assert reader.ended
    assert reader.chunks == said
    assert live.metric("cortex_stream_disconnects_total", cause="client_gone") == 1
    assert_nothing_held(live)


def test_a_client_may_leave_before_the_first_frame(live):
    live.project()
    from cortex_server.stream.events import EventStream
    from cortex_server.stream.request import StreamRequest

    stream = EventStream(live.services, live.grant(), StreamRequest("c", "CTX"))
    stream.leave()
    assert list(stream.frames()) == []
    assert_nothing_held(live)


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_closed_generator_frees_everything(live, chunks):
    from cortex_server.stream.events import EventStream
    from cortex_server.stream.request import StreamRequest

    project = live.project()
    live.ticket(project)
    request = StreamRequest("c", "CTX", cursor=(live.services.epoch, 0))
    frames = EventStream(live.services, live.grant(), request).frames()
    for _ in range(chunks):
        next(frames)
    assert len(live.services.streams) == (1 if chunks else 0)
    frames.close()
    assert_nothing_held(live)


@KINDS
def test_a_killed_greenlet_frees_everything(live, asked):
    live.project()
    reader = live.open(**asked)
    assert live.services.bus.channels == 1
    reader.greenlet.kill()
    assert_nothing_held(live)


def test_a_stream_that_fails_frees_everything_and_says_so_in_the_metrics(live, monkeypatch):
    live.project()
    monkeypatch.setattr(live.services.snapshots, "board", lambda *_: 1 / 0)
    from cortex_server.stream.events import EventStream
    from cortex_server.stream.request import StreamRequest

    frames = EventStream(live.services, live.grant(), StreamRequest("c", "CTX")).frames()
    with pytest.raises(ZeroDivisionError):
        next(frames)
    assert live.metric("cortex_stream_disconnects_total", cause="error") == 1
    assert_nothing_held(live)


def test_opening_and_closing_many_streams_leaves_nothing(live):
    project = live.project()
    grant = live.grant()
    for _ in range(40):
        reader = live.open("CTX", grant=grant)
        reader.greenlet.kill()
        live.readers.clear()
    live.ticket(project)
    assert_nothing_held(live)


def test_an_end_wakes_a_reader_that_waits_without_a_timer(live):
    """Within the second that a revocation has: nothing but the wake-up may be needed."""
    live.project()
    readers = [live.open("CTX") for _ in range(20)]
    live.services.streams.drain()
    gevent.sleep(0)
    gevent.sleep(0)
    assert all(reader.names[-1] == "end" for reader in readers)


def test_events_that_were_taken_but_not_sent_at_the_end_come_after_resuming(live):
    project = live.project()
    reader = live.left_behind(project, 3)
    live.services.streams.drain()
    reader.go_on()
    last_id = [frame.id for frame in reader.frames if frame.id][-1]
    live.services.streams.draining = False
    again = live.open("CTX", cursor=(live.services.epoch, int(last_id.split(".")[1])))
    assert reader.positions + again.positions == [2, 3, 4]


def test_an_end_in_the_middle_of_a_replay_does_not_wait_for_its_page(live):
    from cortex_server.stream.events import EventStream
    from cortex_server.stream.request import StreamRequest

    project = live.project()
    for _ in range(3):
        live.ticket(project, body="x" * 70_000)
    request = StreamRequest("c", "CTX", cursor=(live.services.epoch, 1))
    frames = EventStream(live.services, live.grant(), request).frames()
    assert b"event: hello" in next(frames)
    assert next(frames).count(b"event: ticket.created") == 1
    live.services.streams.drain()
    assert [b"event: end" in chunk for chunk in frames] == [True]


def test_the_ticket_of_an_agents_token_may_go_and_the_stream_stays_quiet(live):
    project = live.project()
    ticket = live.ticket(project)
    reader = live.open("CTX", grant=live.grant("agent", ticket=ticket.key))
    live.do(tickets.delete, ticket, None)
    assert reader.settle().names == ["hello", "state", "ticket.deleted"]
