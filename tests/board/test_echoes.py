"""What was just made is shown at once, replaced by the real thing, and never there twice."""

from dataclasses import replace

import pytest

from cortex_cli.board import changes as ch
from cortex_cli.board import echoes
from cortex_cli.board import messages as m
from cortex_cli.board.update import next_tick
from cortex_cli.board.wire import Comment, Ticket
from tests.board import samples
from tests.board.samples import feed, live, press
from tests.board.test_marks import changed, keys
from tests.board.test_view import as_text

MADE = samples.ticket(9, title="Fix it", rank="z")
BY_EVENT = changed("ticket.created", MADE)


def by_answer(effects):
    return ch.Created(Ticket.read(MADE), effects[0].number)


def titles(model):
    return [ticket.title for ticket in model.columns[0].tickets]


def new_ticket(model=None):
    return press(model or live(), "n", *"Fix it", "enter")


def test_a_new_ticket_is_there_and_selected_before_the_server_has_it():
    model, _ = new_ticket()

    assert titles(model)[-1] == "Fix it"
    assert model.selected == model.columns[0].tickets[-1].id
    [line] = [line for line in as_text(model).splitlines() if "new  " in line and "saving" in line]
    assert "│ new" in line
    assert press(model, "c")[0].toasts[-1].text == "It is still being saved."
    assert press(model, "J", "L", "m", "enter", " ", "D")[1] == []


@pytest.mark.parametrize("first", ["answer", "event"])
def test_it_becomes_the_real_one_whichever_comes_first(first):
    model, effects = new_ticket()
    answer = by_answer(effects)
    steps = [answer, BY_EVENT] if first == "answer" else [BY_EVENT, answer]

    for step in steps:
        model, _ = feed(model, step)
        assert titles(model).count("Fix it") == 1

    assert model.ticket.key == "CTX-9"
    assert "saving" not in as_text(model)
    assert model.echoes == ()


def test_another_ticket_of_the_same_name_is_another():
    model, _ = feed(live(), changed("ticket.created", samples.ticket(8, title="Fix it")))

    model, effects = new_ticket(model)
    assert titles(model).count("Fix it") == 2
    made = changed("ticket.created", MADE, 12)
    model, _ = feed(model, made, by_answer(effects))
    assert keys(model, 0)[-2:] == ["CTX-8", "CTX-9"]


def test_a_refused_ticket_goes_away_and_its_title_is_kept():
    model, effects = new_ticket()

    model, _ = feed(model, ch.Refused("title", "Fix it", "it is too long.", effects[0].number))

    assert "Fix it" not in titles(model)
    assert model.toasts[-1].bad
    assert press(model, "n")[0].overlay.text == "Fix it"


def test_a_ticket_whose_event_never_comes_does_not_stay_for_ever():
    model, effects = new_ticket()
    model, _ = feed(model, by_answer(effects))
    assert titles(model)[-1] == "Fix it"
    assert next_tick(replace(model, toasts=(), board=replace(model.board, sessions={}))) == (
        samples.NOW + 10
    )

    model, _ = feed(model, m.Tick(samples.NOW + 11))

    assert "Fix it" not in titles(model)


def test_it_is_shown_under_a_filter_that_it_passes_only():
    filtered, _ = press(live(), "/", *"fix", "enter")
    assert "Fix it" in titles(new_ticket(filtered)[0])
    other, _ = press(live(), "/", *"parser", "enter")
    assert "Fix it" not in titles(new_ticket(other)[0])


def comments(model):
    return [line for line in as_text(model).splitlines() if "Well done" in line]


@pytest.mark.parametrize("first", ["answer", "event"])
def test_a_comment_is_shown_at_once_and_never_twice(first):
    model, effects = press(live(), "enter", "c", *"Well done", "enter")
    assert len(comments(model)) == 1
    assert "… saving" in as_text(model)
    made = samples.comment(1, "CTX-1", "Well done")
    answer = ch.Commented(Comment.read(made), effects[-1].number)
    event = changed("comment.added", made)

    for step in [answer, event] if first == "answer" else [event, answer]:
        model, _ = feed(model, step)
        assert len(comments(model)) == 1

    assert "saving" not in as_text(model)


def test_a_refused_comment_goes_away_and_its_text_is_kept():
    model, effects = press(live(), "enter", "c", *"Well done", "enter")

    model, _ = feed(model, ch.Refused("comment", "Well done", "no.", effects[-1].number))

    assert comments(model) == []
    assert press(model, "c")[0].overlay.text == "Well done"


def test_a_comment_that_says_what_another_said_is_shown_too():
    model, _ = press(live(), "enter")
    model, _ = feed(model, changed("comment.added", samples.comment(1, "CTX-1", "Hi")))

    model, _ = press(model, "c", *"Hi", "enter")

    assert [one.id for one in echoes.comments(model, model.detail)] == ["echo-1"]
    other, _ = press(model, "esc", "j", "enter")
    assert echoes.comments(other, other.detail) == (), "it is on another ticket"


def test_somebody_elses_of_the_same_name_does_not_take_the_place_of_ours():
    model, effects = new_ticket()
    model, _ = feed(model, by_answer(effects))

    theirs = samples.ticket(10, title="Fix it", rank="y")
    model, _ = feed(model, changed("ticket.created", theirs))

    assert keys(model, 0)[-2:] == ["CTX-10", "CTX-9"]


def test_an_event_is_waited_for_while_the_connection_is_lost():
    model, effects = new_ticket()
    model, _ = feed(model, by_answer(effects), m.Lost(1, "gone", 5.0, 1))

    model, _ = feed(model, m.Tick(model.now + 60))

    assert titles(model)[-1] == "Fix it"
