"""Work that many streams need at once: pages of the log and snapshots, each read once."""

import gevent
import pytest
from gevent.event import Event

from cortex_server import log, pages
from cortex_server.channels import Channel
from cortex_server.errors import CursorExpired
from cortex_server.flights import Flights
from cortex_server.snapshots import Snapshots
from tests.support.in_process import until
from tests.support.stores import ALICE

CTX = Channel(project="CTX")


@pytest.fixture
def reads(live, monkeypatch):
    """The transactions that were begun."""
    begun = []
    read = live.store.read

    def counted():
        begun.append(1)
        return read()

    monkeypatch.setattr(live.store, "read", counted)
    return begun


def positions(page):
    return [position for batch in page.batches for position in batch.positions]


def test_a_page_of_recent_events_asks_no_database(live, reads):
    project = live.project()
    for _ in range(5):
        live.ticket(project)
    del reads[:]
    page = live.services.pages.after(CTX, 2)
    assert positions(page) == [3, 4, 5, 6]
    assert page.cursor == 6
    assert reads == []


def test_an_older_page_is_read_once_for_all_who_are_at_its_place(live, reads):
    project = live.project()
    for _ in range(5):
        live.ticket(project)
    live.services.bus.recent.clear()
    del reads[:]
    found = [live.services.pages.after(CTX, 2) for _ in range(10)]
    assert positions(found[0]) == [3, 4, 5, 6]
    assert all(page is found[0] for page in found)
    assert len(reads) == 1


def test_pages_of_different_channels_are_different(live):
    a, b = live.project("A"), live.project("B")
    for project in (a, b, a):
        live.ticket(project)
    read = live.services.pages.after
    for _ in range(2):
        assert positions(read(Channel(project="A"), 0)) == [1, 3, 5]
        assert positions(read(Channel(project="B"), 0)) == [2, 4]
        assert positions(read(Channel(types=frozenset({"ticket.created"})), 0)) == [3, 4, 5]
        live.services.bus.recent.clear()


def test_those_who_come_back_to_the_same_place_share_one_look_at_the_log(live, reads):
    project = live.project()
    live.ticket(project)
    begin, epoch = live.services.pages.beginning, live.services.epoch
    del reads[:]
    found = [begin("CTX", (epoch, 1)) for _ in range(10)]
    assert (found[0].cursor, found[0].seq, found[0].state.head) == (1, 1, 2)
    assert all(begun is found[0] for begun in found)
    assert len(reads) == 1
    assert begin(None, (epoch, 1)).seq is None
    assert begin("CTX", None).cursor == 2


def test_what_is_known_of_the_log_ends_with_the_next_event(live):
    project = live.project()
    begin, epoch = live.services.pages.beginning, live.services.epoch
    assert begin("CTX", None).seq == 1
    assert begin("CTX", (epoch, 1)).state.head == 1
    live.ticket(project)
    assert (begin("CTX", None).cursor, begin("CTX", None).seq) == (2, 2)
    assert begin("CTX", (epoch, 1)).state.head == 2


def test_a_cursor_that_cannot_be_served_is_looked_at_each_time(live, reads):
    live.project()
    begin, epoch = live.services.pages.beginning, live.services.epoch
    del reads[:]
    for _ in range(2):
        assert begin("CTX", (epoch, 2)).fault == "future"
        assert begin("CTX", ("00000000", 1)).fault == "epoch"
    assert len(reads) == 4


def test_at_the_head_nothing_is_read(live, reads):
    live.project()
    del reads[:]
    page = live.services.pages.after(CTX, live.services.bus.position)
    assert (page.batches, page.cursor) == ((), live.services.bus.position)
    assert reads == []


def test_a_kept_page_that_ends_before_what_is_new_leads_on_to_it(live):
    project = live.project()
    live.ticket(project)
    assert positions(live.services.pages.after(CTX, 0)) == [1, 2]
    live.ticket(project)
    page = live.services.pages.after(CTX, 0)
    rest = live.services.pages.after(CTX, page.cursor)
    assert positions(page) + positions(rest) == [1, 2, 3]


def test_only_so_many_pages_are_kept_and_each_is_bounded(live, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_BYTES", 1500)
    project = live.project()
    for _ in range(30):
        live.ticket(project)
    for cursor in range(30):
        page = live.services.pages.after(CTX, cursor)
        assert sum(len(batch.blob) for batch in page.batches) < 3000
    assert len(live.services.pages._kept) == pages.KEPT_PAGES


def test_what_was_pruned_is_expired(live):
    project = live.project()
    live.ticket(project)
    live.services.bus.recent.clear()
    with live.store.write(ALICE) as tx:
        log.prune(tx.conn, "", 1)
    with pytest.raises(CursorExpired):
        live.services.pages.after(CTX, 0)


def test_a_crowd_that_overflows_together_reads_the_log_together(make_live, monkeypatch):
    from cortex_server.domains import tickets

    live = make_live(queue_size=4)
    project = live.project()
    grant = live.grant()
    crowd = [live.open("CTX", grant=grant) for _ in range(20)]
    read, begun = log.after, []
    monkeypatch.setattr(log, "after", lambda *a, **k: begun.append(1) or read(*a, **k))
    live.services.bus.recent._max_bytes = 0
    with live.store.write(ALICE) as tx:
        for number in range(30):
            tickets.create(tx, project, {"title": str(number)})
    for reader in crowd:
        assert reader.settle().positions == list(range(2, 32))
    assert len(begun) == 1


def test_a_crowd_that_connects_at_once_costs_one_snapshot(live, monkeypatch):
    live.ticket(live.project())
    built = []
    build = Snapshots._build
    monkeypatch.setattr(Snapshots, "_build", lambda *values: built.append(1) or build(*values))
    grant = live.grant()
    crowd = [live.open("CTX", grant=grant) for _ in range(20)]
    assert all(reader.names == ["hello", "state"] for reader in crowd)
    assert len({id(reader.chunks[1]) for reader in crowd}) == 1, "the same bytes for all"
    assert len(built) == 1


def test_a_snapshot_that_fails_once_fails_for_one(live, monkeypatch):
    live.project()
    snapshots, go_on, built = live.services.snapshots, Event(), []
    build = Snapshots._build

    def fails_once(*values):
        built.append(1)
        if len(built) == 1:
            go_on.wait()
            raise ZeroDivisionError
        return build(*values)

    def tried():
        try:
            return snapshots.board("CTX")
        except ZeroDivisionError:
            return "failed"

    monkeypatch.setattr(Snapshots, "_build", fails_once)
    crowd = [gevent.spawn(tried) for _ in range(5)]
    flights = snapshots._flights._ends
    until(lambda: [end.linkcount() for end, _ in flights.values()] == [4], "the others to wait")
    go_on.set()
    gevent.joinall(crowd, 5)
    found = [greenlet.value for greenlet in crowd]
    assert found.count("failed") == 1
    assert [getattr(board, "head", board) for board in found if board != "failed"] == [1] * 4
    assert len(built) == 2
    later = gevent.spawn(tried)
    later.join(5)
    assert later.value is not None
    assert not flights


# flights


def test_a_flight_is_shared_by_all_who_come_before_its_end():
    flights, go_on, begun = Flights(), Event(), []

    def work():
        begun.append(1)
        go_on.wait()
        return object()

    crowd = [gevent.spawn(flights.share, "key", work) for _ in range(10)]
    other = gevent.spawn(flights.share, "other", lambda: 1)
    other.join(5)
    assert other.value == 1
    go_on.set()
    gevent.joinall(crowd, 5)
    assert len(begun) == 1
    assert len({id(greenlet.value) for greenlet in crowd}) == 1
    assert flights.share("key", lambda: "new") == "new"


def test_a_failed_flight_fails_alone_and_the_next_one_tries():
    flights, go_on, begun = Flights(), Event(), []

    def work():
        begun.append(1)
        go_on.wait()
        if len(begun) == 1:
            raise ValueError
        return "done"

    def tried():
        try:
            return flights.share("key", work)
        except ValueError:
            return "failed"

    crowd = [gevent.spawn(tried) for _ in range(5)]
    gevent.sleep(0)
    go_on.set()
    gevent.joinall(crowd, 5)
    assert [greenlet.value for greenlet in crowd] == ["failed"] + ["done"] * 4
    assert not flights.begun("key")


def test_a_killed_flight_holds_up_nobody():
    flights, go_on = Flights(), Event()
    first = gevent.spawn(flights.share, "key", go_on.wait)
    gevent.sleep(0)
    second = gevent.spawn(flights.share, "key", lambda: "mine")
    gevent.sleep(0)
    first.kill()
    second.join(5)
    assert second.value == "mine"
