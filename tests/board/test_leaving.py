"""Leaving while changes are under way: they are sent, and what does not come of them is said."""

import os
import queue
import time

import pytest

from cortex_cli.board import changes as ch
from cortex_cli.board import leaving
from cortex_cli.board import messages as m
from cortex_cli.board.asks import AskRefused, Say
from cortex_cli.board.effects import Effects
from cortex_cli.board.inbox import Inbox
from cortex_cli.board.interrupts import Interrupts
from cortex_cli.sdk import CortexClient
from tests.board.fakeserver import FakeServer
from tests.board.samples import live, press
from tests.support.server import wait_for


@pytest.fixture
def fake():
    server = FakeServer()
    yield server
    server.answers.set()
    server.stop()


class Left:
    """A board that is left: finish makes what its keys asked for, and says the rest."""

    def __init__(self, fake):
        self.inbox = Inbox()
        self.client = CortexClient(fake.url, "a-token-of-the-tests")
        self.effects = Effects(lambda: self.client, self.inbox.post)

    def finish(self, model, effects, code=0):
        for effect in effects:
            self.effects.run(effect)
        with Interrupts(self.inbox.writer) as interrupts:
            interrupts.taken.add(2)  # the ^C that it was left with
            return leaving.finish(model, self.effects, self.inbox, interrupts, code)


@pytest.fixture
def left(fake):
    made = Left(fake)
    yield made
    made.effects.close()
    made.client.close()
    made.inbox.close()


def test_what_was_asked_for_is_made_and_made_to_the_end(left, fake, capsys):
    model, effects = press(live(), "L", "L")
    assert len(effects) == 1, "the second move waits for the answer to the first"

    model, code = left.finish(model, effects)

    assert [body["status"] for _, _, body in fake.requests] == ["progress", "review"]
    assert (model.pending, code, capsys.readouterr().err) == ((), 0, "")


def test_a_refusal_that_nobody_sees_any_more_is_said(left, fake, capsys):
    fake.refuse_moves = {"status": 422, "code": "invalid", "title": "Full", "detail": "Limit 3."}
    model, effects = press(live(), "L")

    _, code = left.finish(model, effects)

    assert code == 1
    assert capsys.readouterr().err == "CTX-1 was not moved: Limit 3.\n"


def test_what_no_answer_came_for_is_named_with_its_text(left, fake, capsys, monkeypatch):
    monkeypatch.setattr(leaving, "WAIT_S", 0.05)
    fake.answers.clear()
    model, effects = press(live(), "L", "c", *"Hi", "enter")

    _, code = left.finish(model, effects, code=130)

    assert code == 130
    assert capsys.readouterr().err.splitlines() == [
        "No answer came, so this may not be saved:",
        "  CTX-1 to progress",
        "  comment on CTX-1: Hi",
    ]


def test_another_interrupt_leaves_at_once(left, fake, capsys, monkeypatch):
    fake.answers.clear()
    monkeypatch.setattr(leaving, "SAID_AFTER_S", 0.0)
    monkeypatch.setattr(leaving, "_say", lambda text: os.kill(os.getpid(), 2))
    model, effects = press(live(), "L")
    since = time.monotonic()

    left.finish(model, effects)

    assert time.monotonic() - since < leaving.WAIT_S / 2
    assert "CTX-1 to progress" in capsys.readouterr().err


def test_what_was_being_typed_is_printed_when_a_signal_ends_the_board(left, capsys):
    model, _ = press(live(), "c", *"Half a thou")

    assert left.finish(model, [], code=129)[1] == 129
    assert capsys.readouterr().err == "This was not sent:\n  Half a thou\n"
    assert left.finish(press(live(), "/", "x")[0], [])[1] == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ch.Refused("comment", "Hi", "no.", 1), ["The comment was not saved: no.", "  Hi"]),
        (AskRefused("", "Not said: no.", ("say s1", "Go on")), ["Not said: no.", "  Go on"]),
    ],
    ids=["comment", "say"],
)  # fmt: skip
def test_a_text_that_was_refused_is_printed_for_the_board_forgets_it(answer, said):
    assert leaving.settle(live(), answer)[2] == said


def test_a_draft_that_was_refused_is_told_with_its_path():
    model, _ = press(live(), "e")
    job = press(live(), "e")[1][0].job.but(path="/drafts/CTX-1.md")
    text = job.start.replace("Write the parser", "Write it")
    from cortex_cli.board.update import update

    model, effects = update(model, ch.Written(job, text, False))
    refused = ch.RowRefused("t001", "it is gone", None)

    said = leaving.settle(model, ch.Altered(effects[0].number, (), (refused,)))[2]
    assert "/drafts/CTX-1.md" in said[-1]
    assert "/drafts/CTX-1.md" in leaving.unsaved(model, (effects[0],))[1]


def test_every_change_has_its_words():
    found = leaving.unsaved(live(), (m.Create("CTX", "New", "done"), Say("s1", "Go on")))
    assert found[1:] == ["  new ticket in CTX: New", "  to the agent: Go on"]


def test_a_change_is_unsaved_until_its_answer_is_there(fake):
    posted = queue.SimpleQueue()
    effects = Effects(lambda: CortexClient(fake.url, "a-token-of-the-tests"), posted.put)
    fake.answers.clear()
    change = m.Move("t001", "done", 0, 1)
    effects.run(change)
    assert effects.unsaved == (change,)
    fake.answers.set()
    assert isinstance(posted.get(timeout=20), m.Moved)
    wait_for(lambda: effects.unsaved == (), "nothing is unsaved")
