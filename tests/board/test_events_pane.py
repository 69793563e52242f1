"""The events pane: what came and what the connection did, in little memory."""

import dataclasses
import json
import os
import time

import pytest

from cortex_cli import sdk
from cortex_cli.board import effects, journal
from cortex_cli.board import messages as m
from cortex_cli.board.journal import CHUNK, Journal, Record
from tests.board import samples
from tests.board.samples import feed, live, press
from tests.board.test_view import as_text, assert_sound

ACTOR = sdk.Actor("agent", "opencode")


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    os.environ.pop("TZ")
    time.tzset()


def arrived(kind, payload, seq, gap=0):
    """The message of an event, as the stream's thread makes it."""
    fields = {"type": kind, "project": "CTX", "seq": seq, "ticket": payload.get("ticket")}
    raw = json.dumps({**fields, "payload": payload})
    event = sdk.Event(f"e1.{seq}", *fields.values(), samples.AT, ACTOR, payload, raw, gap=gap)
    return effects.board_message(1, event)


def comments(first, last):
    """Events that change no card, numbered."""
    return [
        arrived("comment.added", samples.comment(n, "CTX-1", f"Comment {n}"), n)
        for n in range(first, last + 1)
    ]


def opened(*messages, width=120, height=20):
    return press(feed(live(width=width, height=height), *messages)[0], "v")[0]


def rows(model):
    return as_text(model).splitlines()[1:-1]


def lines(model):
    """The words of each event's row."""
    found = (row.split() for row in rows(model))
    return [words for words in found if words and words[0][2:3] == ":"]


def marked(model):
    """The text of the row that the cursor is on."""
    from cortex_cli.board.view import view

    found = view(model, model.width, model.height)
    return next(
        "".join(s.text for s in row) for row in found if any(s.role == "selected" for s in row)
    )


def test_events_are_lines_as_watch_shows_them_the_newest_at_the_bottom():
    moved = samples.ticket(1, "done") | {
        "changed": {"status": {"from": "backlog", "to": "done"}}, "ticket": "CTX-1",
    }  # fmt: skip
    model = opened(*comments(11, 11), arrived("ticket.moved", moved, 12))

    shown = lines(model)
    assert shown[0][1] == "connected"
    assert shown[-2] == ["15:56:21", "comment.added", "CTX-1", "Comment", "11", "opencode", "#11"]
    assert shown[-1][:6] == ["15:56:21", "ticket.moved", "CTX-1", "backlog", "→", "done"]
    assert "ticket.moved" in marked(model)


def test_it_follows_until_the_cursor_leaves_the_newest_and_says_what_came():
    model = opened(*comments(11, 50))
    model, _ = feed(model, *comments(51, 51))
    assert "Comment 51" in marked(model)
    assert "following" in as_text(model)

    model, _ = press(model, "k", "k")
    model, _ = feed(model, *comments(52, 54))
    assert "Comment 49" in marked(model), "the cursor is on an event, not on a row"
    assert "↓ 3 new" in as_text(model)

    for back in ("f", "G"):
        assert "Comment 54" in marked(press(model, back)[0])
    assert "following" in as_text(press(model, "j", "j", "j", "j", "j")[0])


def test_enter_shows_the_json_below_and_pages_scroll_it():
    model, _ = press(opened(*comments(11, 40), height=24), "enter")
    text = as_text(model)
    assert '"type": "comment.added"' in text
    assert " 1-" in text
    model, _ = press(model, "pgdn")
    assert '"type": "comment.added"' not in as_text(model)
    model, _ = press(model, "k")
    assert "Comment 39" in marked(model)
    assert '"seq": 39' in as_text(model), "the one that is selected now, from its top"
    model, _ = press(model, "enter")
    assert "{" not in as_text(model)
    assert press(model, "enter", "esc")[0].scope == "events", "Esc: one level back"
    assert press(model, "esc")[0].scope == "board"


def test_a_filter_takes_types_and_text_and_its_inverse():
    started = arrived("session.started", samples.session(9, "CTX-2"), 12)
    model = opened(*comments(11, 11), started, *comments(13, 13))

    model, _ = press(model, "/", *"session.", "enter")
    assert [words[1] for words in lines(model)] == ["session.started"]
    assert "events  following  1  /session." in as_text(model)
    model, _ = press(model, "/", "ctrl-u", *"comment !13", "enter")
    assert [words[4] for words in lines(model)] == ["11"]
    model, _ = press(model, "/", "ctrl-u", *"nothing", "enter")
    assert "Nothing matches." in as_text(model)
    model, _ = press(model, "esc")
    assert (model.scope, model.pane.filter) == ("events", "")


def test_o_opens_its_ticket_and_escape_comes_back():
    model = opened(*comments(11, 12))
    model, got = press(model, "o")
    assert m.LoadDetail("CTX-1") in got
    assert (model.scope, model.ticket.key) == ("detail", "CTX-1")
    model, _ = press(model, "esc")
    assert (model.scope, model.detail) == ("events", None)

    refused, got = press(model, "g", "o")
    assert got == []
    assert "no ticket" in refused.toasts[-1].text


def test_what_the_connection_did_is_between_them():
    model = opened(
        m.Beat(1, 10), m.Lost(1, "The server is gone.", 2.0, 1), m.Connected(1, True),
        arrived("comment.added", samples.comment(1, "CTX-1"), 13, gap=2),
        m.Snapshot(1, samples.board(seq=13), fetched=True),
        m.Stale(1, "pruned"), m.Ended(1, "drain", True), m.BoardFailed(1, "no"),
    )  # fmt: skip
    said = "\n".join(" ".join(words[1:]) for words in lines(model))
    for words in (
        "heartbeat nothing after seq 10",
        "lost The server is gone. Trying again in 2.0 s.",
        "connected connected again; what was missed meanwhile follows",
        "board 2 events are missing before the next one",
        "board fetched, as of seq 13",
        "reset events are missing: the cursor cannot be served (pruned)",
        "end the server ended the stream (drain); coming back",
        "board could not be fetched: no",
    ):
        assert words in said, words


def test_it_holds_the_last_thousand_and_copies_little():
    kept = Journal()
    for number in range(3000):
        before, kept = kept, kept.add(Record(0, 0.0, "x", raw=f"{number}"))
        same = sum(
            a is b for a, b in zip(reversed(before.chunks), reversed(kept.chunks), strict=False)
        )
        assert len(kept.last) < CHUNK, "what is copied"
        assert same >= len(kept.chunks) - 1 or len(kept.chunks) != len(before.chunks)
    held = list(kept)
    assert len(held) == 1000
    assert [record.raw for record in held] == [f"{n}" for n in range(2000, 3000)]
    assert [record.number for record in held] == list(range(2001, 3001))
    assert len(list(kept.add(Record(0, 0.0, "x")))) > 1000 - CHUNK


def test_large_events_leave_sooner():
    kept = Journal()
    for _ in range(200):
        kept = kept.add(Record(0, 0.0, "x", raw="y" * 300_000))
    assert kept.size <= journal.MOST_TEXT + CHUNK * journal.LONGEST
    assert kept.size == sum(len(record.raw) for record in kept)


def test_the_cursor_of_an_event_that_left_is_on_the_oldest():
    model, _ = press(opened(*comments(11, 20)), "g")
    assert "connected" in marked(model)
    model, _ = feed(model, *comments(21, 1100))
    number = next(iter(model.journal)).number
    assert number > 1
    assert f"Comment {number + 8}" in marked(model)


def test_nothing_of_it_reaches_the_terminal_uncleaned_at_any_size():
    evil = "\x1b[2J\x9b31m\u202e\x07"
    hostile = m.Changed(1, samples.event(f"odd.{evil}", {"title": evil}, 11, ticket=f"CTX-1{evil}"))
    raw = arrived("ticket.created", samples.ticket(8, title=evil), 12)
    cut = m.Changed(1, samples.event("x.y", {}, 13))
    model = opened(hostile, raw, cut)
    for keys in ((), ("k",), ("enter",), ("k", "enter")):
        for size in ((1, 1), (19, 4), (20, 5), (40, 12), (59, 9), (120, 36)):
            assert_sound(press(model, *keys)[0], *size)


def test_clicks_select_and_open():
    model, _ = feed(opened(*comments(11, 14)), m.Clicked(3, 9))
    assert "Comment 11" in marked(model)
    assert '"seq": 11' in as_text(feed(model, m.Clicked(3, 9, True))[0])


def test_it_stays_over_a_switch_of_project():
    model, _ = press(opened(*comments(11, 12)), "esc")
    from cortex_cli.board import actions

    switched, _ = actions.switch(model, "WEB")
    assert "Comment 12" in as_text(press(switched, "v")[0])


def test_esc_leaves_a_payload_that_the_filter_hides_by_now():
    model, _ = press(live(), "v")
    pane = model.pane.but(opened=True, filter="nothing has this")
    model = dataclasses.replace(model, pane=pane)

    model, _ = press(model, "esc", "esc", "esc")

    assert model.scope == "board"
