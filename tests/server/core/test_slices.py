"""A round of many: in slices, between which anything may happen; and written while they wait."""

import time
from types import SimpleNamespace

import gevent
import pytest

from cortex_server.bus import SLICE, Bus
from cortex_server.metrics import Metrics
from tests.server.core.test_bus import delta, event, live, positions, take, turn


@pytest.fixture
def bus():
    return Bus(position=0, max_events=256, max_bytes=1_048_576, observer=Metrics())


def crowd(bus, count=SLICE + 2):
    """So many members, and what each has been offered, by the order in which it was."""
    order, readers = [], {}
    for number in range(count):
        reader = live(bus, project="CTX", deltas="*")
        readers[reader] = gevent.spawn(
            reader.wait, 100, 1, lambda batch, n=number: order.append((n, batch.positions)) or True
        )
    gevent.sleep(0)
    return readers, order


def after_the_first_slice(bus, order):
    """Begin a round of one event, which some members have been offered, and some not."""
    bus.publish(event(1))
    bus.flush()
    assert len(order) == SLICE


def finish(reader):
    while reader.gathering.waits:
        gevent.sleep(0.001)
    turn()


@pytest.fixture
def large(bus):
    readers, order = crowd(bus)
    yield SimpleNamespace(readers=list(readers), order=order)
    gevent.killall(list(readers.values()))


def test_a_round_of_many_leaves_the_loop_to_others_between_its_slices(bus, large):
    after_the_first_slice(bus, large.order)
    others = []
    gevent.get_hub().loop.run_callback(lambda: others.append(len(large.order)))
    finish(large.readers[0])
    assert others == [SLICE]
    assert sorted(large.order) == [(number, [1]) for number in range(SLICE + 2)]


def test_what_those_who_are_woken_between_two_slices_take_is_a_part_of_the_round(bus):
    spend_s, order, took = 0.02, [], []
    bus.window_s = lambda took_s, share: took.append(took_s) or 0.0

    def write():
        reader = live(bus)
        reader.wait(100, 1, lambda _batch: order.append(reader))  # it takes nothing
        until = time.thread_time() + spend_s
        while reader is order[0] and time.thread_time() < until:
            pass

    readers = [gevent.spawn(write) for _ in range(SLICE + 2)]
    gevent.sleep(0)
    bus.publish(event(1))
    bus.flush()
    gevent.joinall(readers, timeout=5, raise_error=True)
    turn()
    assert took[0] >= spend_s


def test_nobody_counts_as_idle_and_no_delta_overtakes_in_the_middle_of_a_round(bus, large):
    after_the_first_slice(bus, large.order)
    assert not any(reader.idle for reader in large.readers), "a heartbeat would say they have it"
    bus.publish_ephemeral(delta())
    assert not any(reader.has_deltas for reader in large.readers)
    bus.publish(event(2))
    bus.publish_ephemeral(delta(frame=b"2"))
    finish(large.readers[0])
    assert {reader.take_deltas() for reader in large.readers} == {b"d2"}
    assert sorted(large.order) == [(number, [1]) for number in range(SLICE + 2)]
    assert all(positions(reader.wait(0, 10**6)) == [2] for reader in large.readers)


def test_members_may_come_go_and_fall_behind_in_the_middle_of_a_round(bus, large):
    after_the_first_slice(bus, large.order)
    offered = {number for number, _ in large.order}
    gone, behind = (r for n, r in enumerate(large.readers) if n not in offered)
    bus.unsubscribe(gone)
    behind.fall_behind()
    assert bus.go_live(behind, 1), "it has read the event in the log"
    new = live(bus, project="CTX", deltas="*")
    finish(new)
    assert take(new) == []
    assert take(gone) == []
    bus.publish(event(2))
    finish(new)
    assert take(new) == [2]
    assert new.gathering.live == SLICE + 2


def test_who_ends_in_the_middle_of_a_round_is_woken_at_its_end(bus, large):
    """It may have been offered its batch already: nothing else would wake it."""
    after_the_first_slice(bus, large.order)
    ending = large.readers[large.order[0][0]]
    ending.end("drain")
    turn()
    assert ending.wait(0, 1) == []
    assert not ending.idle
    waits = gevent.spawn(ending.wait, 100, 1)
    waits.join(5)
    assert waits.dead
    assert ending.idle


def test_all_that_falls_behind_in_the_middle_of_a_round_gets_nothing_more(bus, large):
    after_the_first_slice(bus, large.order)
    bus.publish_ephemeral(delta())
    bus.publish(event(3))  # a gap
    finish(large.readers[0])
    assert len(large.order) == SLICE
    assert all(reader.lagging and not reader.has_deltas for reader in large.readers)


# passing on while waiting


def test_who_waits_passes_on_without_waking_and_queues_what_was_not_taken(bus):
    subscriber, passed, takes = live(bus), [], [True, True, False]

    def pass_on(batch):
        if takes.pop(0):
            passed.extend(batch.positions)
            return True
        return False

    waits = gevent.spawn(subscriber.wait, 100, 10**6, pass_on)
    gevent.sleep(0)
    for position in (1, 2):
        bus.publish(event(position))
        finish(subscriber)
    assert (passed, waits.dead) == ([1, 2], False)
    assert subscriber.idle
    bus.publish(event(3))
    bus.flush()
    bus.publish(event(4))
    bus.flush()
    subscriber.gathering.offer()
    waits.join(5)
    assert positions(waits.value) + take(subscriber) == [3, 4], "nothing overtakes what is queued"
    assert takes == []
