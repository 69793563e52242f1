"""Polling: the board goes on where streams do not, and what is shown always says how old it is."""

import queue
import time
from dataclasses import replace

import pytest

from cortex_cli.board import keeping
from cortex_cli.board import messages as m
from cortex_cli.board.effects import Effects
from cortex_cli.board.model import Dashboard, Model
from cortex_cli.board.overviews import LoadOverview, Overview
from cortex_cli.board.status import next_change, status, words
from cortex_cli.board.update import next_tick, start, update
from cortex_cli.sdk import CortexClient, Lost
from tests.board import samples
from tests.board.fakeserver import FakeServer
from tests.board.samples import NOW, event, feed, live, press
from tests.support.proxy import StreamlessProxy

LOAD = m.LoadBoard("CTX", 1)


def lost(model, attempt=8, retry_in=30.0, **more):
    return feed(model, m.Lost(1, "connection refused", retry_in, attempt, **more))


def polled(**changes):
    """A board that was fetched without its stream."""
    model, _ = lost(live())
    return feed(model, m.Snapshot(1, samples.board(**changes), True))[0]


# --- when


def test_after_eight_failures_the_board_is_fetched_every_half_a_minute():
    model, effects = lost(live(), 7, 12.0)
    assert LOAD not in effects
    model, effects = lost(model)
    assert LOAD in effects
    assert LOAD not in feed(model, m.Tick(NOW + 29))[1]
    model, effects = feed(model, m.Tick(NOW + 30))
    assert LOAD in effects
    assert LOAD not in feed(model, m.Tick(NOW + 31))[1]


def test_a_stream_that_brings_nothing_is_not_waited_for_eight_times():
    model, effects = lost(live(), 1, 1.0, silent=True)

    assert LOAD in effects
    assert status(model)[0] == "○ reconnecting in 1 s (1/8)"


def test_what_was_fetched_is_shown_and_what_is_open_follows():
    moved = [samples.ticket(1, "done", revision=2)]
    model, _ = press(live(), "enter")
    model, _ = lost(model)
    model, effects = feed(model, m.Snapshot(1, samples.board(seq=14, tickets=moved), True))

    assert model.board.tickets["t001"].status == "done"
    assert m.LoadDetail("CTX-1") in effects
    assert status(feed(model, m.Tick(NOW + 12))[0])[0] == "◌ polling every 30 s, as of 12 s ago"


def test_a_poll_that_fails_is_said_by_the_status_alone():
    model, _ = feed(polled(), m.Tick(NOW + 30), m.BoardFailed(1, "connection refused"))

    assert status(model)[0] == "○ offline, as of 30 s ago"
    assert not model.toasts


def test_a_poll_that_says_that_the_project_is_gone_forgets_it_for_good():
    model, effects = feed(polled(), m.BoardFailed(1, "No project CTX.", gone=True))

    assert m.Forget("CTX") in effects
    assert (model.board, model.gone) == (None, "No project CTX.")
    assert keeping.last(model) is None  # nor is it written again when the board is left


def stalled():
    """A board whose streams are greeted and then bring nothing."""
    model, _ = feed(live(), m.Tick(NOW + 45), m.Lost(1, "silence", 1.0, 1, silent=True))
    model, _ = feed(model, m.Connected(1, True), m.Tick(NOW + 90))
    return feed(model, m.Lost(1, "silence", 3.0, 2, silent=True))[0]


def test_a_stream_that_is_greeted_and_then_stalls_is_not_live_again_by_a_greeting():
    model, _ = feed(stalled(), m.Snapshot(1, samples.board(), True), m.Connected(1, True))
    assert status(model)[0] == "◌ polling every 30 s"

    model, effects = feed(model, m.Tick(NOW + 90 + 31))
    assert LOAD in effects
    assert status(model)[0] == "◌ polling every 30 s, as of 31 s ago"

    model, _ = feed(model, m.Beat(1, 10))
    assert (status(model)[0], model.connection.stalls) == ("● live", False)


def test_streams_that_are_cut_after_each_greeting_are_not_live_by_one():
    model, _ = lost(live(), 1, 1.0)
    model, _ = lost(feed(model, m.Connected(1, True))[0], 2, 1.0)
    model, _ = feed(model, m.Connected(1, True))

    assert status(model)[0] != "● live"


def test_a_greeting_without_what_was_missed_makes_nothing_younger():
    for message in (m.Connected(1, False), m.Stale(1, "expired")):
        model, _ = feed(lost(live(), 1, 1.0)[0], m.Tick(NOW + 60), message)
        assert status(model)[0].endswith("as of 1 min ago"), message


@pytest.mark.parametrize("then", [m.Connected(1, True), m.Lost(1, "No.", None, 0, refused=True)])
def test_a_poll_that_is_not_due_any_more_wakes_nobody(then):
    model, _ = feed(polled(), m.Tick(NOW + 40))
    model, effects = feed(model, then, m.Tick(NOW + 80))

    assert LOAD not in effects
    assert next_tick(model) > model.now + 0.5


# --- the dashboard


def dashboard(**link):
    shown = Dashboard(-1, replace(live().connection, **link), {"projects": []})
    return Model(dashboard=shown, now=NOW, width=120)


def without_stream():
    return feed(dashboard(), m.Lost(-1, "connection refused", 30.0, 8))


def test_the_dashboard_is_polled_too():
    model, effects = without_stream()
    assert effects == [LoadOverview(-1)]
    assert next_tick(model) <= NOW + 30
    model, _ = feed(model, Overview(-1, {"projects": [1]}, fetched=True))
    assert model.dashboard.body == {"projects": [1]}
    assert status(model)[0] == "◌ polling every 30 s"

    assert not feed(model, m.Tick(NOW + 29))[1]
    model, effects = feed(model, m.Tick(NOW + 30))
    assert effects == [LoadOverview(-1)]
    model, _ = feed(model, m.BoardFailed(-1, "no"))
    assert status(model)[0] == "○ offline, as of 30 s ago"
    assert press(model, "r")[1] == [m.RetryDashboard(), LoadOverview(-1)]


def test_what_was_fetched_does_not_replace_what_the_dashboards_stream_brought():
    model, _ = feed(without_stream()[0], Overview(-1, {"projects": [2]}))
    assert status(model)[0] == "● live"
    model, _ = feed(model, Overview(-1, {"projects": [1]}, fetched=True), m.BoardFailed(-1, "no"))

    assert (model.dashboard.body, status(model)[0]) == ({"projects": [2]}, "● live")
    assert not feed(model, m.Tick(NOW + 300))[1]


def test_the_stream_comes_back_by_itself_and_ends_it():
    model, _ = feed(polled(), m.Connected(1, True))
    assert status(model)[0] == "● live"
    model, _ = feed(model, m.Changed(1, event("ticket.created", samples.ticket(9), 11)))

    assert not feed(model, m.Tick(NOW + 300))[1]
    assert "t009" in model.board.tickets


def test_r_fetches_at_once_and_tries_the_stream():
    model, effects = press(polled(), "r")

    assert effects == [m.Retry(), LOAD]
    assert status(model)[0] == "◌ connecting"


# --- what is said


@pytest.mark.parametrize("cells", [120, 80, 60, 40, 30])
@pytest.mark.parametrize("phase", ["connecting", "lost", "polled", "offline", "over"])
def test_every_state_but_live_says_from_when_the_board_is_at_any_width(cells, phase):
    model = {
        "connecting": lambda: feed(live(), m.Stale(1, "expired"))[0],
        "lost": lambda: lost(live(), 3, 6_000.0)[0],
        "polled": polled,
        "offline": lambda: feed(lost(live())[0], m.BoardFailed(1, "no"))[0],
        "over": lambda: feed(live(), m.Ended(1, "expired", False))[0],
    }[phase]()
    model, _ = feed(model, m.Tick(NOW + 720), m.Resized(cells, 24))
    text, role = status(model)

    assert "12 min ago" in text
    assert len(text) <= max(cells - 16, 37)
    assert role != "good"


def test_it_is_said_for_the_dashboard_and_catching_up_too():
    link = replace(lost(live(), 3)[0].connection, as_of=NOW - 60)
    model = Model(dashboard=Dashboard(-1, link, {}), now=NOW, width=120)
    assert "as of 1 min ago" in status(model)[0]

    hole = m.Changed(1, event("ticket.created", samples.ticket(9), 15))
    model, _ = feed(live(), hole, m.Tick(NOW + 5), m.Beat(1, 15))
    assert status(model)[0] == "◌ catching up · as of 5 s ago"


def test_the_words_change_only_when_they_must():
    link, now = polled().connection, NOW + 0.5
    for _ in range(150):
        due = next_change(link, now, True)
        assert words(link, due - 0.02) == words(link, now)
        assert words(link, due + 0.001) != words(link, now)
        now = due + 0.001


# --- with a proxy in between


class Driven:
    """A board without a screen: what its effects answer goes into its model, until `until`."""

    def __init__(self, client, **model):
        self.posted = queue.SimpleQueue()
        self.effects = Effects(lambda: client, self.posted.put)
        fields = {"project": "CTX", "now": time.time(), "width": 120} | model
        self.model, effects = start(Model(**fields))
        self.run(effects)

    def run(self, effects):
        for effect in effects:
            self.effects.run(effect)

    def send(self, message):
        self.model, effects = update(self.model, message)
        self.run(effects)

    def until(self, condition, deadline_s=20):
        give_up = time.monotonic() + deadline_s
        while not condition(self.model):
            assert time.monotonic() < give_up, status(self.model)
            try:
                message = self.posted.get(timeout=0.05)
            except queue.Empty:
                continue
            self.send(m.Tick(time.time()))
            self.send(message)


@pytest.fixture
def fake():
    server = FakeServer()
    yield server
    server.stop()


def test_behind_a_proxy_that_breaks_streams_the_board_is_fetched_and_then_followed_again(fake):
    with (
        StreamlessProxy(fake.port) as proxy,
        CortexClient(proxy.url, "a-token-of-the-tests", rand=lambda: 0.0) as client,
    ):
        board = Driven(client)
        board.until(lambda model: model.connection.polled)
        assert status(board.model)[0] == "◌ polling every 30 s"
        assert proxy.refused >= 8

        fake.move(1, "done")
        board.send(m.Key("r"))
        board.until(lambda model: model.board.tickets["t001"].status == "done")

        proxy.mode = "pass"
        board.send(m.Key("r"))
        board.until(lambda model: status(model)[0] == "● live")
        assert len(fake.streams) == 1
        board.effects.close()


def test_behind_such_a_proxy_the_dashboard_is_fetched(fake):
    with (
        StreamlessProxy(fake.port) as proxy,
        CortexClient(proxy.url, "a-token-of-the-tests", rand=lambda: 0.0) as client,
    ):
        board = Driven(client, dashboard=Dashboard(stream=-1), dashboards=1)
        board.until(lambda model: model.dashboard.connection.polled)
        board.effects.close()

    assert board.model.dashboard.body == fake.overview


def test_a_proxy_that_holds_the_stream_back_is_known_by_its_silence(fake):
    with (
        StreamlessProxy(fake.port, "hold") as proxy,
        CortexClient(proxy.url, "a-token-of-the-tests") as client,
        client.events(project="CTX", heartbeat_s=0.1) as stream,
    ):
        value = next(stream)
        assert isinstance(value, Lost)
        assert value.error.silent
