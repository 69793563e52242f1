"""A reader who is too slow: bounded memory, and still every event once and in order."""

import gevent
import pytest

from cortex_server import log
from cortex_server.domains import projects
from cortex_server.store import Store
from tests.support.in_process import position_of, until
from tests.support.stores import ALICE


@pytest.fixture(params=[False, True], ids=["queued", "straight"])
def straight(request):
    return request.param


def test_a_full_queue_is_dropped_and_read_from_the_log(make_live):
    live = make_live(queue_size=3)
    project = live.project()
    reader = live.left_behind(project, 10)
    # one is out, three were queued, the fifth found it full; nothing is queued while it lags
    assert reader.stream.subscriber.lagging
    assert live.metric("cortex_queue_overflows_total") == 1
    assert live.metric("cortex_queue_dropped_frames_total") == 4
    assert reader.go_on().positions == list(range(2, 12))
    assert not reader.stream.subscriber.lagging
    assert live.metric("cortex_replayed_events_total") == 9


def test_one_slow_reader_does_not_disturb_another(make_live):
    live = make_live(queue_size=2)
    project = live.project()
    slow, fast = live.open("CTX"), live.open("CTX")
    slow.pause()
    for _ in range(8):
        live.ticket(project)
        fast.settle()
    assert fast.positions == list(range(2, 10))
    assert not fast.stream.subscriber.lagging
    assert slow.go_on().positions == list(range(2, 10))


def test_one_transaction_larger_than_the_queue_arrives_whole(make_live):
    live = make_live(queue_size=4)
    project = live.project()
    reader = live.open("CTX")
    from cortex_server.domains import tickets

    with live.store.write(ALICE) as tx:
        for number in range(20):
            tickets.create(tx, project, {"title": str(number)})
    assert reader.settle().positions == list(range(2, 22))


@pytest.mark.parametrize("size", [0, 1, 7])
def test_writers_that_go_on_while_it_lags_are_all_heard_once_in_order(make_live, size):
    live = make_live(queue_size=size)
    project = live.project()
    reader = live.open("CTX")
    count = 30

    def write():
        for number in range(count // 3):
            live.ticket(project, str(number))
            gevent.sleep(0)

    def stutter():
        for _ in range(15):
            reader.pause()
            for _ in range(3):
                gevent.sleep(0)
            reader._ready.set()
            gevent.sleep(0)

    writers = [gevent.spawn(write) for _ in range(3)]
    gevent.joinall([*writers, gevent.spawn(stutter)], raise_error=True)
    reader.go_on()
    assert reader.positions == list(range(2, 2 + count))
    assert [event["seq"] for event in reader.events] == list(range(2, 2 + count))
    if size < 7:
        assert live.metric("cortex_queue_overflows_total") > 0


def test_many_pages_of_the_log_come_in_order_with_filters(make_live, monkeypatch):
    from cortex_server import pages

    monkeypatch.setattr(pages, "PAGE_BYTES", 1500)
    live = make_live()
    a, b = live.project("A"), live.project("B")
    for number in range(16):
        live.ticket((a, b)[number % 2], str(number))
    epoch = live.services.epoch
    wanted = [e.position for e in events_of(live.store) if e.project == "A"]
    assert live.open("A", cursor=(epoch, 0)).positions == wanted
    assert live.open(grant=live.grant("read", ["A"]), cursor=(epoch, 0)).positions == wanted
    created = live.open("A", cursor=(epoch, 0), types=frozenset({"ticket.created"}))
    assert created.positions == wanted[1:]


def test_others_get_their_turn_while_a_fast_reader_replays_a_long_log(make_live, monkeypatch):
    from cortex_server import pages

    monkeypatch.setattr(pages, "PAGE_BYTES", 1000)
    live = make_live()
    project = live.project()
    for number in range(20):
        live.ticket(project, str(number))
    reader = live.open("CTX", cursor=(live.services.epoch, 1), slow=True)
    turns = []

    def other():
        while len(reader.events) < 20:
            turns.append(len(reader.events))
            gevent.sleep(0)

    greenlet = gevent.spawn(other)
    reader.go_on()
    greenlet.join(5)
    assert len(set(turns)) > 5, "the replay came in one go"


def test_an_event_larger_than_the_queue_may_hold_comes_by_the_log(make_live):
    live = make_live(queue_bytes=5000)
    project = live.project()
    reader = live.open("CTX")
    live.ticket(project, "small")
    live.ticket(project, "big", body="x" * 200_000)
    live.ticket(project, "small")
    assert reader.settle().positions == [2, 3, 4]


def test_chunks_stay_near_64_kib(make_live):
    live = make_live()
    project = live.project()
    reader = live.open("CTX", slow=True)
    for _ in range(20):
        live.ticket(project, body="x" * 10_000)
    reader.go_on()
    for _ in range(20):
        live.ticket(project, body="x" * 10_000)
    reader.settle()
    assert reader.positions == list(range(2, 42))
    assert max(len(chunk) for chunk in reader.chunks) < 65_536 + 12_000


def test_what_waits_for_a_reader_comes_joined_in_one_chunk(live):
    project = live.project()
    reader = live.open("CTX")
    reader.pause()
    live.ticket(project)
    reader.settle()
    for _ in range(5):
        live.ticket(project)
    chunks = len(reader.chunks)
    reader.go_on()
    assert len(reader.chunks) == chunks + 1


def test_a_log_pruned_under_a_lagging_reader_is_a_reset_in_mid_stream(make_live):
    live = make_live(queue_size=1)
    project = live.project()
    reader = live.left_behind(project, 6)
    with live.store.write(ALICE) as tx:
        log.prune(tx.conn, "", 2)
    live.services.bus.recent.clear()  # as if that had been long ago
    reader.go_on()
    assert reader.names == ["hello", "state", "ticket.created", "reset", "state"]
    reset, state = reader.frames[-2:]
    assert reset.data == {"reason": "expired", "floor": 5, "seq": 7}
    assert state.data["head"] == 7
    assert len(state.data["tickets"]) == 6
    live.ticket(project)
    assert reader.settle().positions == [2, 8]


def test_without_a_snapshot_a_reset_in_mid_stream_carries_the_id(make_live):
    live = make_live(queue_size=1)
    project = live.project()
    reader = live.left_behind(project, 6, snapshot=False)
    with live.store.write(ALICE) as tx:
        log.prune(tx.conn, "", 2)
    live.services.bus.recent.clear()  # as if that had been long ago
    reader.go_on()
    assert reader.names == ["hello", "ticket.created", "reset"]
    assert reader.last.id == f"{live.services.epoch}.7"
    live.ticket(project)
    assert reader.settle().positions == [2, 8]


def test_a_project_deleted_while_its_reader_lags_is_told_before_the_end(make_live):
    live = make_live(queue_size=1)
    project = live.project()
    reader = live.left_behind(project, 5)
    live.do(projects.delete, project, None)
    reader.go_on()
    assert reader.positions == [2, 3, 4, 5, 6, 7]
    assert reader.names[-2:] == ["project.deleted", "end"]
    assert reader.ended


def test_a_project_deleted_and_pruned_while_its_reader_lags_is_an_end(make_live):
    live = make_live(queue_size=1)
    project = live.project()
    reader = live.left_behind(project, 5)
    live.do(projects.delete, project, None)
    with live.store.write(ALICE) as tx:
        log.prune(tx.conn, "", 0)
    live.services.bus.recent.clear()
    reader.go_on()
    assert reader.names[-1] == "end"
    assert reader.last.data["reason"] == "project_deleted"


def test_what_was_committed_and_never_published_is_found_in_the_log(live):
    """A commit whose answer was lost: the next publication shows the gap, and all read the log."""
    project = live.project()
    board, firehose = live.open("CTX"), live.open()
    with Store(live.store.engine, live.clock).write(ALICE) as tx:  # publishes to nobody of ours
        projects.patch(tx, projects.get(tx, "CTX"), {"name": "Unheard"}, None)
    assert board.settle().positions == []
    live.ticket(project)
    assert board.settle().positions == [2, 3]
    assert firehose.settle().positions == [2, 3]


def test_the_store_catches_up_with_what_others_committed(live):
    live.project()
    board = live.open("CTX")
    with Store(live.store.engine, live.clock).write(ALICE) as tx:
        projects.patch(tx, projects.get(tx, "CTX"), {"name": "Unheard"}, None)
    live.store.catch_up()
    assert board.settle().positions == [2]
    live.store.catch_up()
    assert board.settle().positions == [2]


def test_what_a_stream_has_read_is_cut_off_the_batch_that_was_gathered_meanwhile(live):
    live.services.bus.window_s = lambda took_s, share: 0.1
    project = live.project()
    early = live.open("CTX")
    live.ticket(project)
    until(lambda: early.positions == [2], "the first round")
    live.ticket(project)
    late = live.open("CTX")
    resumed = live.open("CTX", cursor=(live.services.epoch, 2))
    assert position_of(late.of("state")[0].id) == 3
    assert resumed.positions == [3]
    assert early.positions == [2], "the second round is still to come"
    live.ticket(project)
    until(lambda: early.positions == [2, 3, 4], "the second round")
    assert late.settle().positions == [4]
    assert resumed.settle().positions == [3, 4]


def test_the_gauge_of_lagging_streams_goes_up_and_down(make_live):
    live = make_live(queue_size=1)
    project = live.project()
    reader = live.open("CTX", slow=True)
    for _ in range(4):
        live.ticket(project, body="x" * 70_000)
    reader._ready.set()
    until(lambda: len(reader.chunks) > 1, "the first chunk of the replay")
    reader.pause()
    reader.settle()
    assert live.metric("cortex_lagging_streams") == 1
    reader.go_on()
    assert live.metric("cortex_lagging_streams") == 0
    reader.pause()
    for _ in range(4):
        live.ticket(project, body="x" * 70_000)
        reader.settle()
    reader._ready.set()
    until(lambda: live.metric("cortex_lagging_streams") == 1, "it lags again")
    reader.greenlet.kill()
    assert live.metric("cortex_lagging_streams") == 0


def events_of(store):
    with store.read() as tx:
        return list(log.after(tx.conn, 0).events)
