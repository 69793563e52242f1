"""Rounds: when they come, what they join, and that what they share is cut right."""

import time

import gevent
import pytest

from cortex_server.batches import CHUNK_BYTES, Batch, batches
from cortex_server.bus import (
    LOOK_S,
    SHARE_MAX,
    SHARE_MIN,
    WINDOW_MAX_S,
    WINDOW_S,
    Bus,
    Pace,
    share_beside,
    window_s,
)
from cortex_server.channels import Channel
from cortex_server.metrics import Metrics
from cortex_server.recent import Recent
from tests.server.core.test_bus import delta, event, live, positions, take, turn


@pytest.fixture
def bus():
    return Bus(position=0, max_events=256, max_bytes=1_048_576, observer=Metrics())


def spent(bus, position):
    """The time from the publishing of an event to its round."""
    began = time.monotonic()
    subscriber = live(bus)
    bus.publish(event(position))
    while not subscriber.wait(1, 10**6):
        assert time.monotonic() < began + 5
    bus.unsubscribe(subscriber)
    return time.monotonic() - began


def test_the_time_between_two_rounds_grows_with_what_a_round_takes():
    assert window_s(0, 2) == window_s(WINDOW_S / 2, 2) == WINDOW_S
    assert window_s(0.02, 1.5) == pytest.approx(0.03)
    assert window_s(60, 1.5) == WINDOW_MAX_S


def test_fan_out_takes_what_the_others_leave():
    assert share_beside(0.0) == SHARE_MIN
    assert share_beside(0.4) == pytest.approx(2.0)
    assert share_beside(0.9) == share_beside(1.0) == SHARE_MAX


def test_fan_out_gives_way_while_the_core_is_in_full_use_and_takes_it_back():
    pace = Pace()
    give_up = time.monotonic() + 10
    while pace.share(0.0) == SHARE_MIN:  # this loop is the others
        assert time.monotonic() < give_up
    time.sleep(3 * LOOK_S)
    assert pace.share(0.0) == SHARE_MIN


def test_what_fan_out_takes_itself_does_not_slow_it_down():
    pace = Pace()
    begun, give_up = time.thread_time(), time.monotonic() + 3 * LOOK_S
    shares = set()
    while time.monotonic() < give_up:
        now = time.thread_time()
        shares.add(pace.share(now - begun))
        begun = now
    assert max(shares) < 1.5


def test_the_first_event_of_a_quiet_channel_does_not_wait_and_the_next_ones_are_joined(bus):
    bus.window_s = lambda took_s, share: 0.2
    subscriber = live(bus)
    bus.publish(event(1))
    turn()
    assert positions(subscriber.wait(0, 10**6)) == [1]
    published_at = time.monotonic()
    for position in range(2, 12):
        bus.publish(event(position))
        turn()
    assert subscriber.wait(0, 10**6) == []
    assert not subscriber.idle, "what is gathered is still to come"
    (batch,) = subscriber.wait(5, 10**6)
    assert batch.positions == list(range(2, 12))
    assert 0.1 < time.monotonic() - published_at < 2
    assert subscriber.idle


def test_a_delta_does_not_overtake_the_events_before_it(bus):
    bus.window_s = lambda took_s, share: 0.1
    subscriber = live(bus, deltas="*")
    bus.publish(event(1))
    bus.publish_ephemeral(delta(frame=b"first"))
    turn()
    assert positions(subscriber.wait(0, 10**6)) == [1]
    assert subscriber.take_deltas() == b"first"
    bus.publish(event(2))
    bus.publish_ephemeral(delta(frame=b"second"))
    turn()
    assert subscriber.take_deltas() == b"", "its event waits for the next round"
    assert positions(subscriber.wait(5, 10**6)) == [2]
    assert subscriber.take_deltas() == b"second"


def test_a_delta_waits_for_the_events_before_it_in_the_queue_and_in_the_log(bus):
    subscriber = live(bus, project="CTX", deltas="*")
    for position in (1, 2):
        bus.publish(event(position))
        turn()
        subscriber.gathering.offer()
    bus.publish_ephemeral(delta())
    assert positions(subscriber.wait(0, 1)) == [1]
    assert not subscriber.has_deltas, "the second event is still queued"
    assert positions(subscriber.wait(0, 1)) == [2]
    assert subscriber.has_deltas
    subscriber.fall_behind()
    subscriber.wait(0, 1)
    assert not subscriber.has_deltas, "the log is to be read first"
    assert bus.go_live(subscriber, 2)
    with gevent.Timeout(5):
        assert subscriber.wait(100, 1) == []
    assert subscriber.take_deltas() == b"d"


def test_a_transactions_events_come_in_one_round_however_many(bus):
    subscriber = live(bus)
    for position in range(1, 101):
        bus.publish(event(position))
    (batch,) = subscriber.wait(5, 10**6)
    assert batch.positions == list(range(1, 101))


def test_another_channels_round_does_not_hold_up_a_quiet_one(bus):
    bus.window_s = lambda took_s, share: 60.0
    busy, quiet = live(bus, project="CTX"), live(bus, project="B")
    bus.publish(event(1))
    assert take(busy) == [1]
    bus.publish(event(2))
    bus.publish(event(3, project="B"))
    assert take(busy) == []
    assert take(quiet) == [3]


def test_all_members_of_a_channel_get_the_same_bytes(bus):
    one, two = live(bus, project="CTX"), live(bus, project="CTX")
    bus.publish(event(1))
    bus.publish(event(2))
    turn()
    (first,), (second,) = one.wait(0, 10**6), two.wait(0, 10**6)
    assert first is second
    assert first.blob == event(1).frame + event(2).frame


def test_who_goes_live_while_events_are_gathered_has_read_them(bus):
    """Its cursor cuts the batch: what it read from the log does not come again."""
    bus.window_s = lambda took_s, share: 0.05
    early = live(bus)
    bus.publish(event(1))
    assert take(early) == [1]
    bus.publish(event(2))
    late = live(bus)  # with a cursor of 2
    bus.publish(event(3))
    assert positions(early.wait(5, 10**6)) == [2, 3]
    (batch,) = late.wait(5, 10**6)
    assert batch.after(2) == event(3).frame


def test_one_batch_that_is_too_large_for_the_queue_sends_its_readers_to_the_log(bus):
    reading, behind = live(bus), live(bus)
    for position in range(1, 300):
        bus.publish(event(position))
    assert reading.lagging
    assert behind.lagging
    assert take(reading) == []
    assert bus.go_live(reading, 299)
    bus.publish(event(300))
    assert take(reading) == [300]


def test_without_a_live_member_nothing_is_gathered(bus):
    subscriber = bus.subscribe(Channel())
    for position in range(1, 1000):
        bus.publish(event(position))
    assert not subscriber.gathering.waits
    bus.go_live(subscriber, 999)
    subscriber.fall_behind()
    bus.publish(event(1000))
    assert not subscriber.gathering.waits
    assert subscriber.gathering.live == 0


def test_the_live_members_are_counted_right_whatever_happens(bus):
    one, two = live(bus), live(bus)
    assert one.gathering.live == 2
    bus.go_live(one, 9)
    one.fall_behind()
    one.fall_behind()
    assert two.gathering.live == 1
    bus.unsubscribe(one)
    bus.unsubscribe(two)
    bus.unsubscribe(two)
    assert two.gathering.live == 0


def test_leaving_in_the_middle_of_a_round_disturbs_nobody(bus):
    bus.window_s = lambda took_s, share: 0.02
    kept = live(bus)
    spent(bus, 1)
    gone = live(bus)
    bus.publish(event(2))
    bus.unsubscribe(gone)
    assert positions(kept.wait(5, 10**6)) == [1]
    assert positions(kept.wait(5, 10**6)) == [2]


def test_the_metrics_count_a_round_and_not_its_subscribers():
    metrics = Metrics()
    bus = Bus(0, 256, 10**6, metrics)
    crowd = [live(bus) for _ in range(5)]
    for position in (1, 2, 3):
        bus.publish(event(position))
    turn()

    def value(name):
        return metrics.registry.get_sample_value(name)

    assert value("cortex_sent_events_total") == 15
    assert value("cortex_commit_to_write_seconds_count") == 1
    assert all(take(subscriber) == [1, 2, 3] for subscriber in crowd)


# batches


def test_a_batch_is_cut_exactly_behind_any_cursor():
    events = [event(position, size=position) for position in (3, 4, 7, 9)]
    batch = Batch(events, None)
    for cursor in range(12):
        assert batch.after(cursor) == b"".join(e.frame for e in events if e.position > cursor)
    assert (batch.first, batch.last, len(batch)) == (3, 9, 4)
    assert batch.after(0) is batch.blob


def test_a_batch_knows_the_last_seq_of_its_own_project():
    events = [event(1), event(2, project="B"), event(3, project="")]
    assert Batch(events, "CTX").seq == 1
    assert Batch(events, "B").seq == 2
    assert Batch(events[2:], "B").seq is None
    assert Batch(events, None).seq is None


def test_batches_are_chunks_and_a_larger_event_is_one_by_itself():
    sizes = [30_000, 30_000, 30_000, 200_000, 10, 10]
    events = [event(position, size=size) for position, size in enumerate(sizes, start=1)]
    cut = list(batches(events, None))
    assert [batch.positions for batch in cut] == [[1, 2], [3], [4], [5, 6]]
    assert all(len(batch.blob) <= CHUNK_BYTES or len(batch) == 1 for batch in cut)
    assert list(batches([], None)) == []


# the end of the log in memory


def test_recent_events_are_bounded_in_bytes_and_without_a_gap():
    recent = Recent(100_000)
    for position in range(1, 200):
        recent.add(event(position, size=5000))
    assert 5 < len(recent) < 20
    first = 200 - len(recent)
    assert recent.after(first - 2) is None
    assert [e.position for e in recent.after(first - 1)] == list(range(first, 200))
    assert [e.position for e in recent.after(198)] == [199]
    assert list(recent.after(199)) == []
    recent.add(event(200, size=10**6))
    assert len(recent) == 0
    assert recent.after(199) is None


def test_a_gap_forgets_what_was_recent(bus):
    live(bus)
    for position in (1, 2, 4):
        bus.publish(event(position))
    assert bus.recent.after(0) is None
    assert bus.recent.after(2) is None
    bus.publish(event(5))
    assert [e.position for e in bus.recent.after(4)] == [5]


# waiting


def test_one_timer_serves_many_waits(bus):
    subscriber = live(bus)
    began = time.monotonic()
    alarms = []
    for position in range(1, 6):
        gevent.spawn(bus.publish, event(position))
        subscriber.wait(began + 0.2 - time.monotonic(), 10**6)
        alarms.append(subscriber._alarm)
    assert all(alarm is alarms[0] for alarm in alarms)
    while time.monotonic() < began + 0.2:
        assert subscriber.wait(began + 0.2 - time.monotonic(), 1) == []
    assert time.monotonic() - began < 2
    assert subscriber._alarm is None


def test_who_was_thrown_out_of_a_wait_is_not_resumed_in_what_comes_next(bus):
    subscriber = live(bus)
    ends = []

    def stream():
        try:
            subscriber.wait(100, 1)
        finally:
            began = time.monotonic()
            gevent.sleep(0.05)
            ends.append(time.monotonic() - began)

    greenlet = gevent.spawn(stream)
    gevent.sleep(0)
    greenlet.kill(block=False)
    subscriber.wake()
    greenlet.join(5)
    assert ends[0] >= 0.04
