"""What the SDK's values and answers become."""

import queue

import pytest

from cortex_cli import sdk
from cortex_cli.board import messages as m
from cortex_cli.board.effects import Effects, board_message, delta_message
from cortex_cli.board.inbox import Inbox
from tests.board import samples
from tests.board.fakeserver import FakeServer


@pytest.fixture
def fake():
    server = FakeServer()
    yield server
    server.stop()


class Running:
    """Effects against the fake server, and what they post."""

    def __init__(self, fake):
        self.posted = queue.SimpleQueue()
        self.client = sdk.CortexClient(fake.url, "a-token-of-the-tests")
        self.effects = Effects(lambda: self.client, self.posted.put)

    def answer(self, effect):
        self.effects.run(effect)
        return self.posted.get(timeout=20)


@pytest.fixture
def running(fake):
    made = Running(fake)
    yield made
    made.effects.close()
    made.client.close()


def test_every_value_of_the_stream_has_its_message():
    actor = sdk.Actor("agent", "opencode")
    event = sdk.Event("e.1", "x.y", "CTX", 3, "CTX-1", samples.AT, actor, {"a": 1}, "", False, 2)
    refused = sdk.CortexError("no")

    change = board_message(7, event).change
    assert (change.type, change.seq, change.gap, change.actor) == ("x.y", 3, 2, "opencode")
    assert board_message(7, sdk.State("e.1", 1, 1, {"a": 1})) == m.Snapshot(7, {"a": 1})
    assert board_message(7, sdk.Heartbeat("e.1", samples.AT, 1, 5)) == m.Beat(7, 5)
    assert board_message(7, sdk.Reset("epoch", 0, 1)) == m.Stale(7, "epoch")
    assert board_message(7, sdk.End("revoked", False, 0.0)) == m.Ended(7, "revoked", False)
    assert board_message(7, sdk.Lost(refused, 6.0, 3, None)) == m.Lost(7, "no", 6.0, 3)
    assert board_message(7, sdk.Overview({"at": 1}, None)) == m.Overview(7, {"at": 1})


@pytest.mark.parametrize(
    "payload", [{}, {"session": 1}, {"session": "s", "message": "m", "text": "t", "part": "0"}]
)
def test_a_delta_that_cannot_be_read_is_dropped(payload):
    assert delta_message(sdk.Delta("message.delta", "CTX", "CTX-1", "", payload, "")) is None


def test_changes_and_fetches_are_answered(running, fake):
    fake.messages = [samples.message(1, "s1", samples.part("Hi"))]

    assert isinstance(running.answer(m.Move("t001", "done", 0, 1)), m.Moved)
    assert isinstance(running.answer(m.Create("CTX", "New", "done")), m.Created)
    assert isinstance(running.answer(m.AddComment("CTX-1", "Hi")), m.Commented)
    assert running.answer(m.LoadBoard("CTX", 4)).fetched
    assert running.answer(m.LoadProjects()) == m.ProjectsLoaded((("CTX", "Cortex"),))
    assert running.answer(m.LoadDetail("CTX-1")).ticket.key == "CTX-1"
    assert running.answer(m.LoadThread("s1")).messages[0].parts[0].text == "Hi"
    assert running.answer(m.LoadMessage("s1", "m1")).message.id == "m1"


def test_a_refused_move_brings_what_is_there_now(running, fake):
    fake.refuse_moves = {
        "status": 409, "code": "outdated_revision", "title": "Outdated", "detail": "Outdated.",
        "current": samples.ticket(1, "review", revision=9),
    }  # fmt: skip

    answer = running.answer(m.Move("t001", "done", None, 1))

    assert answer.current.revision == 9
    assert answer.why == "somebody changed it meanwhile, it is in review."


def test_what_fails_is_said_by_the_message_that_waits_for_it(running, fake):
    assert running.answer(m.LoadDetail("CTX-99")).what == "CTX-99"
    assert running.answer(m.LoadMessage("s1", "m9")) == m.LoadFailed("s1", "Not here.", "m9")
    assert running.answer(m.LoadBoard("NOPE", 4)) == m.BoardFailed(
        4, "Not here.", "NOPE", gone=True
    )


def test_a_client_that_cannot_be_made_ends_the_stream_with_a_reason():
    posted = queue.SimpleQueue()

    def no_token():
        raise sdk.NoToken("There is no token.")

    effects = Effects(no_token, posted.put)
    effects.run(m.Follow("CTX", 1))
    assert posted.get(timeout=20) == m.Lost(1, "There is no token.", None, 0, refused=True)
    effects.run(m.Create("CTX", "Title", "done"))
    assert posted.get(timeout=20) == m.Refused("title", "Title", "There is no token.")


def test_an_inbox_wakes_until_it_is_empty_and_survives_being_closed():
    import select

    inbox = Inbox()
    for number in range(5):
        inbox.post(m.Tick(number))

    assert inbox.take(3) == [m.Tick(0), m.Tick(1), m.Tick(2)]
    assert select.select([inbox], [], [], 0)[0] == [inbox]
    assert inbox.take(3) == [m.Tick(3), m.Tick(4)]
    assert select.select([inbox], [], [], 0)[0] == []
    inbox.close()
    inbox.post(m.Tick(9))


def test_boards_for_a_stream_that_was_left_are_not_fetched(running):
    running.effects.run(m.Follow("CTX", 3))
    assert isinstance(running.posted.get(timeout=20), m.Connected)
    assert isinstance(running.posted.get(timeout=20), m.Snapshot)
    running.effects.run(m.LoadBoard("NOPE", 2))
    assert running.answer(m.LoadBoard("CTX", 3)).fetched
    assert running.posted.empty()
