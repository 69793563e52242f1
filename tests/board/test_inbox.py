"""Where messages wait: in their order, and not more than there is room for."""

import threading

import pytest

from cortex_cli.board import inbox as inboxes
from cortex_cli.board.inbox import Inbox
from cortex_cli.board.messages import Tick


@pytest.fixture
def inbox(monkeypatch):
    monkeypatch.setattr(inboxes, "ROOM", 10)
    made = Inbox()
    yield made
    made.close()


def posting(inbox, count):
    def run():
        for number in range(count):
            inbox.post(Tick(number))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_who_posts_more_than_can_be_shown_waits_and_nothing_is_lost(inbox):
    thread = posting(inbox, 40)
    thread.join(0.3)
    assert thread.is_alive()
    assert inbox._messages.qsize() == 10
    taken = []
    while len(taken) < 40:
        taken += inbox.take(7)
    thread.join(5)
    assert [message.now for message in taken] == list(range(40))


def test_the_drawing_thread_itself_never_waits(inbox):
    for number in range(30):
        inbox.post(Tick(number))
    assert len(inbox.take(100)) == 30


def test_a_board_that_is_left_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(inboxes, "ROOM", 1)
    inbox = Inbox()
    thread = posting(inbox, 5)
    inbox.close()
    thread.join(5)
    assert not thread.is_alive()
