"""The log of an attempt: numbered without a hole, an event for each entry, no secrets."""

import pytest

from cortex_server.domains import attempt_log
from cortex_server.ids import new_secret
from tests.support.at_work import claimed


@pytest.fixture
def attempt(do, ticket, happened):
    made = claimed(do, ticket)
    happened()
    return made


def entries(*texts):
    return [{"kind": "text", "text": text} for text in texts]


def numbers(page):
    return [entry.number for entry in page.items]


def test_entries_are_numbered_on_and_each_is_an_event(do, see, attempt, happened):
    do(attempt_log.append, attempt, entries("a", "b"))
    do(attempt_log.append, attempt, [{"kind": "tool", "text": "ls", "tool": "bash"}])
    events = happened()
    assert [event["type"] for event in events] == ["attempt.log"] * 3
    stored = see(attempt_log.after, attempt.id, 0, 10).items
    assert [event["payload"] for event in events] == [entry.json_dict() for entry in stored]
    assert {event["ticket"] for event in events} == {attempt.ticket}
    shown = [(entry.number, entry.kind, entry.text, entry.tool) for entry in stored]
    assert shown == [(1, "text", "a", None), (2, "text", "b", None), (3, "tool", "ls", "bash")]


def test_numbers_are_each_attempts_own(do, see, ticket, attempt):
    other = claimed(do, ticket)
    do(attempt_log.append, attempt, entries("a"))
    do(attempt_log.append, other, entries("b"))
    assert numbers(see(attempt_log.after, other.id, 0, 10)) == [1]


def test_a_log_is_read_forwards_and_from_its_end(do, see, attempt):
    do(attempt_log.append, attempt, entries(*"abcde"))
    first = see(attempt_log.after, attempt.id, 0, 2)
    assert (numbers(first), first.next_cursor is not None) == ([1, 2], True)
    assert numbers(see(attempt_log.after, attempt.id, 2, 10)) == [3, 4, 5]
    assert see(attempt_log.after, attempt.id, 3, 2).next_cursor is None
    assert numbers(see(attempt_log.tail, attempt.id, 2)) == [4, 5]
    assert numbers(see(attempt_log.tail, attempt.id, 9)) == [1, 2, 3, 4, 5]
    assert numbers(see(attempt_log.tail, attempt.id, 2, 4)) == [2, 3]
    assert numbers(see(attempt_log.tail, attempt.id, 2, 1)) == []
    assert numbers(see(attempt_log.after, attempt.id, 5, 10)) == []


def test_a_secret_is_neither_stored_nor_told(do, see, attempt, happened):
    secret = new_secret()
    do(attempt_log.append, attempt, entries(f"export CORTEX_TOKEN={secret}"))
    (stored,) = see(attempt_log.after, attempt.id, 0, 1).items
    assert stored.text == "export CORTEX_TOKEN=" + "*" * len(secret)
    assert secret not in str(happened())
