"""When a person is called: once for each thing that starts to need one, and not too often."""

import pytest

from cortex_cli.board import messages as m
from cortex_cli.board.alerts import PAUSE_S
from cortex_cli.board.messages import Notify
from cortex_cli.board.model import Model
from cortex_cli.board.update import next_tick
from tests.board import samples
from tests.board.samples import NOW, event, feed, live, press


def changed(kind, payload, seq=11):
    return m.Changed(1, event(kind, payload, seq))


def asked(number=1, key="CTX-3", **changes):
    return samples.permission(number, key, **changes)


def told(effects):
    return [effect.text for effect in effects if isinstance(effect, Notify)]


def rung(*messages, model=None):
    """The sentences of these messages, on a board at rest."""
    return told(feed(model or live(), *messages)[1])


@pytest.mark.parametrize(
    ("kind", "payload", "text"),
    [
        ("permission.asked", asked(title="Run a command?"), "CTX-3 opencode asks: Run a command?"),
        (
            "session.status",
            samples.session(1, "CTX-3", "awaiting_input", revision=2),
            "CTX-3 opencode waits for you",
        ),
        (
            "review.requested",
            samples.review(2, "CTX-3", summary="Look"),
            "CTX-3 opencode wants a review: Look",
        ),
        (
            "attempt.status",
            samples.attempt(1, "CTX-3", "failed", reason="exit code 2"),
            "CTX-3 opencode failed: exit code 2",
        ),
        ("attempt.status", samples.attempt(1, "CTX-3", "lost"), "CTX-3 opencode was lost"),
    ],
    ids=["asked", "session", "review", "failed", "lost"],
)
def test_what_starts_to_need_a_person_is_said(kind, payload, text):
    assert rung(changed(kind, payload)) == [text]
    assert rung(changed(kind, payload), changed(kind, payload, 12)) == [text]


def test_an_attempt_that_waits_for_a_prompt_is_said():
    body = samples.board(
        sessions=[samples.session(1, "CTX-3", attempt="a1")],
        attempts=[samples.attempt(1, "CTX-3", session="s1")],
    )
    idle = samples.session(1, "CTX-3", "idle", attempt="a1", revision=2)
    waiting = samples.attempt(1, "CTX-3", "waiting", session="s1", revision=2)

    said = rung(
        changed("attempt.status", waiting), changed("session.status", idle, 12), model=live(body)
    )

    assert said == ["CTX-3 opencode has stopped: your turn"]


def test_an_agent_that_asks_is_not_said_to_wait_as_well():
    body = samples.board(
        sessions=[samples.session(1, "CTX-3", attempt="a1"), samples.session(2, "CTX-4")],
        attempts=[samples.attempt(1, "CTX-3", session="s1")],
    )
    of_attempt = (
        changed("permission.asked", asked()),
        changed(
            "session.status", samples.session(1, "CTX-3", "idle", attempt="a1", revision=2), 12
        ),
        changed("attempt.status", samples.attempt(1, "CTX-3", "waiting", session="s1"), 13),
        m.Tick(NOW + 60),
    )
    by_hand = (
        changed("permission.asked", asked(2, "CTX-4", attempt=None, session="s2")),
        changed("session.status", samples.session(2, "CTX-4", "awaiting_input", revision=2), 12),
        m.Tick(NOW + 60),
    )

    assert rung(*of_attempt, model=live(body)) == ["CTX-3 opencode asks: Run rm?"]
    assert rung(*by_hand, model=live(body)) == ["CTX-4 opencode asks: Run rm?"]


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("ticket.updated", samples.ticket(3, "progress", revision=2)),
        ("session.status", samples.session(1, "CTX-3", "idle", revision=2)),
        ("attempt.status", samples.attempt(1, "CTX-3", "succeeded")),
        ("review.resolved", samples.review(1, "CTX-5", "approved", revision=2)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_needs_nobody_is_not(kind, payload):
    assert rung(changed(kind, payload)) == []


def test_what_waited_before_the_board_came_is_not_said():
    body = samples.board(permissions=[asked()], attempts=[samples.attempt(1, "CTX-3", "failed")])
    model = Model(project="CTX", now=NOW)

    assert told(feed(model, m.Connected(1, False), m.Snapshot(1, body))[1]) == []


def test_after_a_reconnection_only_what_is_new_is_said():
    model, _ = feed(live(), changed("permission.asked", asked()), m.Tick(NOW + 60))
    again = samples.board(seq=13, permissions=[asked(), asked(2, "CTX-4", title="More?")])

    model, effects = feed(
        model,
        m.Lost(1, "gone", 1.0, 1),
        m.Connected(1, False),
        m.Snapshot(1, again),
        m.Snapshot(1, again),
    )

    assert told(effects) == ["CTX-4 opencode asks: More?"]


def test_what_comes_within_a_few_seconds_is_said_together():
    model, effects = feed(live(), changed("permission.asked", asked()))
    assert len(told(effects)) == 1

    model, effects = feed(
        model,
        changed("permission.asked", asked(2), 12),
        changed("permission.asked", asked(3), 13),
        changed("permission.asked", asked(4), 14),
        changed("permission.replied", asked(4, state="answered", revision=2), 15),
        m.Tick(NOW + PAUSE_S - 0.1),
    )
    assert told(effects) == []
    assert next_tick(model) == pytest.approx(NOW + PAUSE_S)

    model, effects = feed(model, m.Tick(NOW + PAUSE_S), m.Tick(NOW + PAUSE_S + 10))
    assert told(effects) == ["2 agents need you"]


def test_a_clock_that_was_put_back_holds_nothing_up():
    model, _ = feed(live(), changed("permission.asked", asked()), m.Tick(NOW - 86_400))

    assert rung(changed("permission.asked", asked(2), 12), model=model) != []


def test_nothing_is_said_while_the_board_is_not_known_to_be_true():
    model, effects = feed(live(), changed("permission.asked", asked(), 13))  # 11 and 12 are missing
    assert told(effects) == []

    body = samples.board(seq=13, permissions=[asked()])
    assert told(feed(model, m.Snapshot(1, body, fetched=True))[1]) == [
        "CTX-3 opencode asks: Run rm?"
    ]


def test_another_project_begins_anew():
    model, _ = feed(live(), changed("permission.asked", asked()))
    from cortex_cli.board import actions

    model, _ = actions.switch(model, "OPS")
    body = samples.board(project=samples.project(id="p2", key="OPS"), permissions=[asked(7)])

    assert rung(m.Snapshot(model.stream, body), model=model) == []


def test_it_is_turned_off_and_on():
    model, _ = press(live(), "B")
    assert model.toasts[-1].text == "Bell and notifications off"
    assert rung(changed("permission.asked", asked()), model=model) == []

    model, _ = press(model, "B")
    assert model.toasts[-1].text == "Bell and notifications on"
    assert rung(changed("permission.asked", asked()), model=model) != []


def test_the_bell_alone_can_be_wanted():
    from dataclasses import replace

    model = replace(live(), settings=live().settings.but(notify=False))
    _, effects = feed(model, changed("permission.asked", asked()))

    (said,) = [effect for effect in effects if isinstance(effect, Notify)]
    assert (said.bell, said.notify) == (True, False)


def test_what_is_said_cannot_steer_a_terminal():
    evil = "a\x1b]0;pwned\x07\x9c\x1b\\ \u202e\x00\r\nb" + "x" * 500

    (text,) = rung(changed("permission.asked", asked(title=evil)))

    assert text.isprintable()
    assert "pwned" not in text
    assert len(text) <= 120
