"""The dashboard's stream: an overview at once, then at most one every 250 ms, after a change."""

import gevent

from cortex_server.domains import tickets
from tests.support.in_process import position_of


def overviews(reader):
    return [frame.data for frame in reader.of("dashboard_overview")]


def test_it_begins_with_hello_and_an_overview(live):
    live.project()
    reader = live.open(dashboard=True)
    assert reader.names == ["hello", "dashboard_overview"]
    assert reader.frames[0].data["resumed"] is False
    assert overviews(reader)[0]["projects"][0]["project"] == "CTX"
    assert all(frame.id is None for frame in reader.frames)


def test_a_change_gives_one_overview_when_the_interval_is_over(live):
    project = live.project()
    reader = live.open(dashboard=True)
    for _ in range(5):
        live.ticket(project)
    reader.later(0.2)
    assert len(overviews(reader)) == 1
    reader.later(0.05)
    assert [o["projects"][0]["columns"]["backlog"] for o in overviews(reader)] == [0, 5]
    assert overviews(reader)[1]["head"] == 6
    reader.later(5)
    assert len(overviews(reader)) == 2


def test_the_first_change_after_a_quiet_time_shows_at_once(live):
    project = live.project()
    reader = live.open(dashboard=True)
    reader.later(10)
    live.ticket(project)
    assert len(overviews(reader.settle())) == 2


def test_every_change_is_in_some_overview_while_writers_go_on(make_live):
    live = make_live(queue_size=2)
    project = live.project()
    reader = live.open(dashboard=True)
    for number in range(24):
        live.ticket(project, str(number))
        live.clock.advance(0.03)
        gevent.sleep(0)
    reader.later(0.25)
    counts = [o["projects"][0]["columns"]["backlog"] for o in overviews(reader)]
    assert counts == sorted(counts)
    assert counts[-1] == 24
    assert len(counts) <= 2 + 24 * 0.03 / 0.25


def test_a_change_of_a_project_that_the_token_does_not_read_wakes_nobody(live):
    live.project("A")
    hidden = live.project("B")
    reader = live.open(dashboard=True, grant=live.grant("read", ["A"]))
    assert [p["project"] for p in overviews(reader)[0]["projects"]] == ["A"]
    live.ticket(hidden)
    assert len(overviews(reader.later(1))) == 1


def test_its_heartbeats_have_no_id(live):
    live.project()
    (beat,) = live.open(dashboard=True).later(15).of("heartbeat")
    assert beat.id is None
    assert beat.data == {"at": "2026-01-26T15:53:16.717454Z", "head": 1}


def test_a_cursor_or_a_filter_does_not_hold_it_back(live):
    """They belong to streams of events; a dashboard that ignores them is always right."""
    project = live.project()
    reader = live.open(dashboard=True, cursor=("00000000", 9), types=frozenset({"x.y"}), deltas="*")
    assert reader.names == ["hello", "dashboard_overview"]
    live.do(tickets.create, project, {"title": "x"})
    assert len(overviews(reader.later(1))) == 2


def test_it_costs_no_log_reads_however_far_it_falls_behind(make_live):
    live = make_live(queue_size=2)
    project = live.project()
    reader = live.open(dashboard=True)
    reader.later(1)
    reader.pause()
    for _ in range(10):
        live.ticket(project)
    reader.go_on().later(1)
    assert overviews(reader)[-1]["head"] == 11
    assert live.metric("cortex_replayed_events_total") == 0
    assert reader.stream.cursor == position_of(f"{live.services.epoch}.11")
