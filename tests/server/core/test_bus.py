"""The bus: who gets what, in bounded queues, and that nothing in it ever switches greenlets."""

import gevent
import pytest

from cortex_server.bus import Bus
from cortex_server.channels import Channel, EphemeralEvent
from cortex_server.log import LoggedEvent
from cortex_server.subscriber import EPHEMERAL_BYTES, EPHEMERAL_MAX


class Counted:
    """Stands for the metrics."""

    def __init__(self):
        self.frames = []
        self.offers = []
        self.rounds = 0

    def offered(self, frames):
        self.offers.append(frames)

    def overflowed(self, streams, frames):
        self.frames.append(frames)

    def written(self, late_s):
        assert late_s >= 0
        self.rounds += 1


def event(position, project="CTX", name="ticket.created", ticket=None, size=0):
    return LoggedEvent(
        "e", position, name, project, position, ticket, "t", "user", "u", '"' + "x" * size + '"'
    )


def delta(session="s", project="CTX", ticket="CTX-1", frame=b"d"):
    return EphemeralEvent("message.delta", project, ticket, session, frame)


@pytest.fixture
def counted():
    return Counted()


@pytest.fixture
def bus(counted):
    made = Bus(position=0, max_events=3, max_bytes=5000, observer=counted)
    made.window_s = lambda took_s, share: 0.0
    return made


def live(bus, **channel):
    subscriber = bus.subscribe(Channel(**channel))
    assert bus.go_live(subscriber, bus.position)
    return subscriber


def turn():
    """Let a round come, and who waits for it."""
    for _ in range(3):
        gevent.sleep(0)


def positions(batches):
    return [position for batch in batches for position in batch.positions]


def take(subscriber, max_bytes=10**9):
    turn()
    return positions(subscriber.wait(0, max_bytes))


def each_in_its_round(bus, *events):
    for one in events:
        bus.publish(one)
        turn()


def test_a_subscriber_lags_until_it_goes_live(bus):
    subscriber = bus.subscribe(Channel())
    bus.publish(event(1))
    assert subscriber.lagging
    assert not subscriber.idle
    assert not bus.go_live(subscriber, 0), "position 1 came in the meantime"
    assert bus.go_live(subscriber, 1)
    bus.publish(event(2))
    assert take(subscriber) == [2]


def test_a_cursor_ahead_of_the_bus_may_go_live(bus):
    """The log was read between a commit and its publication."""
    subscriber = bus.subscribe(Channel())
    assert bus.go_live(subscriber, 5)
    assert not subscriber.lagging


def test_an_event_is_offered_once(bus):
    subscriber = live(bus)
    for position in (1, 2, 2, 1, 3):
        bus.publish(event(position))
    assert take(subscriber) == [1, 2, 3]


def test_a_gap_sends_everybody_to_the_log(bus):
    board, other, firehose = live(bus, project="CTX"), live(bus, project="B"), live(bus)
    bus.publish(event(1))
    bus.publish(event(3))
    for subscriber in (board, other, firehose):
        assert subscriber.lagging
        assert take(subscriber) == []
    assert bus.position == 3
    assert bus.go_live(board, 3)


def test_a_full_queue_is_dropped_and_marks_the_subscriber(bus, counted):
    subscriber = live(bus)
    each_in_its_round(bus, *(event(position, size=1400) for position in (1, 2, 3)))
    assert not subscriber.lagging
    each_in_its_round(bus, event(4))
    assert subscriber.lagging
    assert counted.frames == [4]
    bus.publish(event(5))
    assert take(subscriber) == []
    assert counted.frames == [4], "a lagging subscriber is not offered anything"
    assert bus.go_live(subscriber, 5)
    for position in (6, 7, 8):
        bus.publish(event(position, size=1400))
    assert take(subscriber) == [6, 7, 8]


def test_a_wake_up_takes_no_events_place(bus):
    subscriber = live(bus)
    subscriber.wake()
    for position in (1, 2, 3):
        bus.publish(event(position))
    assert not subscriber.lagging
    assert take(subscriber) == [1, 2, 3]


def test_a_queue_is_bounded_in_bytes_too(bus, counted):
    subscriber = live(bus)
    bus.publish(event(1, size=3000))
    bus.publish(event(2, size=3000))
    assert subscriber.lagging
    assert counted.frames == [2]


def test_taking_events_makes_room(bus):
    subscriber = live(bus)
    for position in range(1, 40):
        bus.publish(event(position, size=3000))
        assert take(subscriber) == [position]
    assert subscriber.idle


def test_an_event_larger_than_the_queue_leaves_it_usable(bus):
    subscriber = live(bus)
    bus.publish(event(1, size=6000))
    assert subscriber.lagging
    assert bus.go_live(subscriber, 1)
    bus.publish(event(2))
    assert take(subscriber) == [2]


def test_waiting_returns_about_as_many_bytes_as_asked(bus):
    subscriber = live(bus)
    each_in_its_round(bus, *(event(position, size=1000) for position in (1, 2, 3)))
    assert take(subscriber, 2500) == [1, 2]
    assert not subscriber.idle
    assert take(subscriber, 100) == [3], "one batch comes however large it is"
    assert subscriber.idle


def test_one_wake_up_ends_one_wait(bus):
    subscriber = live(bus)
    for _ in range(5):
        subscriber.wake()
    assert subscriber.wait(100, 1) == []  # returns at once
    with gevent.Timeout(0.01, False):
        subscriber.wait(100, 1)
        pytest.fail("a stale wake-up was left")


@pytest.mark.parametrize("order", ["wake first", "event first", "overflow"])
def test_a_waiting_subscriber_is_woken_whatever_comes_together(bus, order):
    subscriber = live(bus)
    got = []
    waiter = gevent.spawn(lambda: got.append(subscriber.wait(100, 10**6)))
    gevent.sleep(0)
    if order == "wake first":
        subscriber.wake()
        bus.publish(event(1))
    else:
        bus.publish(event(1))
        subscriber.wake()
    if order == "overflow":
        for position in (2, 3, 4, 5):
            bus.publish(event(position))
    waiter.join(5)
    found = positions(got[0]) + take(subscriber)
    assert found == ([] if order == "overflow" else [1])
    assert subscriber.lagging is (order == "overflow")


def test_an_event_that_comes_as_the_wait_times_out_is_not_lost(bus):
    """The timer and the put fall into one turn of the loop: whoever wins, the event stays."""
    subscriber = live(bus)
    position, got = 0, []

    def wait():
        while len(got) < 200:
            got.extend(positions(subscriber.wait(0.0001, 10**6)))

    waiter = gevent.spawn(wait)
    while position < 200:
        position += 1
        bus.publish(event(position))
        for _ in range(position % 5):
            gevent.sleep(0)
        if position % 3 == 0:
            while got[-1:] != [position] and not waiter.dead:
                gevent.sleep(0)
    waiter.join(5)
    assert got == list(range(1, 201))
    assert subscriber.idle


def test_nothing_that_the_publisher_calls_switches(bus):
    """Even with readers waiting in their queues: this is the lock of the bus."""
    full, waiting, slow = live(bus), live(bus, deltas="*"), live(bus)
    greenlets = [gevent.spawn(waiting.wait, 100, 1)]
    gevent.sleep(0)
    switches = []
    gevent.spawn(switches.append, 1)
    for position in range(1, 10):
        bus.publish(event(position))
        bus.publish_ephemeral(delta())
    full.end("drain")
    slow.leave()
    waiting.wake()
    bus.go_live(full, 9)
    bus.unsubscribe(slow)
    assert switches == []
    gevent.sleep(0)
    assert switches == [1]
    gevent.killall(greenlets)


def test_a_round_does_not_switch_either(bus):
    reading, lagging = live(bus), live(bus)
    waiting = gevent.spawn(reading.wait, 100, 1)
    gevent.sleep(0)
    each_in_its_round(bus, *(event(position) for position in (1, 2, 3)))
    switches = []
    gevent.spawn(switches.append, 1)
    bus.publish(event(4))
    reading.gathering.offer()
    assert switches == []
    assert lagging.lagging
    waiting.kill()


def test_publishing_from_the_hub_itself_does_not_fail(bus):
    """A socket's watcher calls `leave` in the hub, where nothing may block."""
    subscriber = live(bus)
    failures = []

    def in_hub():
        try:
            for position in range(1, 9):
                bus.publish(event(position))
            subscriber.leave()
        except BaseException as error:
            failures.append(error)

    gevent.get_hub().loop.run_callback(in_hub)
    gevent.sleep(0)
    assert failures == []
    assert subscriber.gone
    assert subscriber.lagging


def test_deltas_never_cause_lag_and_keep_the_newest(bus, counted):
    subscriber = live(bus, deltas="*")
    for number in range(EPHEMERAL_MAX + 10):
        bus.publish_ephemeral(delta(frame=b"%d;" % number))
    assert not subscriber.lagging
    assert counted.frames == []
    taken = subscriber.take_deltas().split(b";")[:-1]
    assert taken == [b"%d" % n for n in range(10, EPHEMERAL_MAX + 10)]
    assert subscriber.take_deltas() == b""


def test_large_deltas_are_held_up_to_a_limit_of_bytes(bus):
    subscriber = live(bus, deltas="*")
    for number in range(10):
        bus.publish_ephemeral(delta(frame=b"%d" % number + b"x" * 100_000))
    held = subscriber.take_deltas()
    assert len(held) <= EPHEMERAL_BYTES
    assert held.startswith(b"8")
    bus.publish_ephemeral(delta(frame=b"y" * (EPHEMERAL_BYTES + 1)))
    assert len(subscriber.take_deltas()) == EPHEMERAL_BYTES + 1, "the newest is never dropped"


def test_a_delta_ends_the_wait(bus):
    subscriber = live(bus, deltas="*")
    bus.publish_ephemeral(delta())
    assert subscriber.wait(100, 1) == []
    assert subscriber.idle


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ({"deltas": "*"}, True),
        ({"deltas": "s"}, True),
        ({"deltas": "other"}, False),
        ({}, False),
        ({"deltas": "*", "project": "CTX"}, True),
        ({"deltas": "*", "project": "B"}, False),
        ({"deltas": "*", "readable": frozenset({"B"})}, False),
        ({"deltas": "s", "readable": frozenset({"CTX"})}, True),
        ({"deltas": "*", "ticket": "CTX-1"}, True),
        ({"deltas": "*", "ticket": "CTX-2"}, False),
        ({"deltas": "*", "types": frozenset({"ticket.moved"})}, False),
        ({"deltas": "*", "types": frozenset({"message.delta"})}, True),
    ],
)
def test_who_gets_deltas(bus, channel, expected):
    subscriber = live(bus, **channel)
    bus.publish_ephemeral(delta())
    assert bool(subscriber.take_deltas()) is expected


CTX, B, NONE = ("CTX", "ticket.created"), ("B", "ticket.created"), ("", "team.created")
ADMIN = ("", "settings.updated")


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ({}, [CTX, B, NONE]),
        ({"admin": True}, [CTX, B, NONE, ADMIN]),
        ({"readable": frozenset({"B"})}, [B, NONE]),
        ({"readable": frozenset()}, [NONE]),
        ({"project": "CTX"}, [CTX, NONE]),
        ({"project": "CTX", "admin": True}, [CTX, NONE, ADMIN]),
        ({"project": "ctx"}, [NONE]),
        ({"types": frozenset({"team.created"})}, [NONE]),
        ({"types": frozenset({"settings.updated"})}, []),
        ({"types": frozenset({"settings.updated"}), "admin": True}, [ADMIN]),
        ({"types": frozenset({"no.such"})}, []),
        ({"ticket": "CTX-1"}, [CTX]),
        ({"ticket": "CTX-2"}, []),
    ],
)
def test_who_gets_which_event(bus, channel, expected):
    subscriber = bus.subscribe(Channel(**channel))
    bus.go_live(subscriber, 0)
    got = []
    for position, (project, name) in enumerate((CTX, B, NONE, ADMIN), start=1):
        ticket = f"{project}-1" if project else None
        bus.publish(event(position, project, name, ticket))
        if take(subscriber):
            got.append((project, name))
    assert got == expected


def test_every_channel_reads_from_the_log_what_it_would_get_live():
    board = Channel(project="CTX", readable=frozenset({"CTX"}))
    assert board.log_projects == ("CTX",)
    assert Channel(readable=frozenset({"A", "B"})).log_projects is None


def test_equal_channels_share_one_entry_that_goes_with_its_last_subscriber(bus):
    one, two = live(bus, project="CTX"), live(bus, project="CTX")
    other, firehose = live(bus, project="CTX", admin=True), live(bus)
    assert bus.channels == 3
    for subscriber, left in ((one, 3), (one, 3), (two, 2), (other, 1), (firehose, 0)):
        bus.unsubscribe(subscriber)
        assert bus.channels == left
    assert bus._boards == bus._firehoses == {}


def test_who_has_left_gets_nothing(bus):
    gone, kept = live(bus, project="CTX"), live(bus, project="CTX")
    bus.unsubscribe(gone)
    bus.publish(event(1))
    assert take(gone) == []
    assert take(kept) == [1]


def test_the_first_reason_to_end_stands(bus):
    subscriber = live(bus)
    subscriber.end("drain")
    subscriber.end("revoked")
    assert subscriber.ending == "drain"
    assert subscriber.wait(100, 1) == []
