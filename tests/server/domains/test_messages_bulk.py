"""Many whole messages in one change."""

import pytest

from cortex_server.domains import messages, sessions
from cortex_server.errors import Conflict, Invalid


@pytest.fixture
def session(do, ticket, happened):
    made = do(sessions.start, ticket, {})
    happened()
    return made


def item(message_id, value="x", **more):
    return {
        "id": message_id, "role": "assistant", "parts": [{"type": "text", "text": value}], **more
    }  # fmt: skip


def all_of(see, session):
    return see(messages.listing, session.id, 2000, None).items


def test_a_list_of_new_messages_is_stored_in_its_order_and_told_one_by_one(
    do, see, session, happened
):
    ids = [f"m{n}" for n in range(450)]  # more than one slice
    done = do(messages.put_many, session, [item(i, i) for i in ids])
    assert vars(done) == {"created": 450, "updated": 0, "unchanged": 0}
    stored = all_of(see, session)
    assert [m.id for m in stored] == ids
    assert [m.number for m in stored] == list(range(1, 451))
    told = happened()
    assert {event["type"] for event in told} == {"message.created"}
    assert [event["payload"] for event in told] == [m.json_dict() for m in stored]


def test_each_is_stored_and_told_as_a_single_put_would(do, see, ticket, happened):
    parts = [{"type": "tool", "text": "ok", "tool": "bash", "input": {"a": [1, None, True]}}]
    fields = {"role": "assistant", "parts": parts}
    one, many = do(sessions.start, ticket, {}), do(sessions.start, ticket, {})
    happened()
    do(messages.put, one, "m", fields, None)
    do(messages.put_many, many, [{"id": "m", **fields}])
    first, second = happened()
    assert first["payload"] | {"session": many.id} == second["payload"] | {
        "created_at": first["payload"]["created_at"], "updated_at": first["payload"]["updated_at"]
    }  # fmt: skip


def test_known_ones_are_changed_or_left_in_their_turn(do, see, session, happened):
    do(messages.put_many, session, [item("a", "1"), item("b", "1")])
    happened()
    done = do(
        messages.put_many, session,
        [item("c"), item("a", "1"), item("b", "2"), item("d"), item("d", "again")],
    )  # fmt: skip
    assert vars(done) == {"created": 2, "updated": 2, "unchanged": 1}
    told = [(event["type"], event["payload"]["id"]) for event in happened()]
    assert told == [
        ("message.created", "c"), ("message.updated", "b"),
        ("message.created", "d"), ("message.updated", "d"),
    ]  # fmt: skip
    assert [m.id for m in all_of(see, session)] == ["a", "b", "c", "d"]


def test_the_same_list_again_tells_nothing(do, session, happened):
    items = [item("a"), item("b")]
    do(messages.put_many, session, items)
    happened()
    assert vars(do(messages.put_many, session, items)) == {
        "created": 0, "updated": 0, "unchanged": 2
    }  # fmt: skip
    assert happened() == []


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "ä"])
def test_one_bad_id_stores_none(do, see, session, happened, bad):
    with pytest.raises(Invalid) as raised:
        do(messages.put_many, session, [item("a"), item(bad)])
    assert raised.value.extra["errors"][0]["field"] == "messages.1.id"
    assert all_of(see, session) == []
    assert happened() == []


def test_an_ended_session_takes_complete_ones_only(do, see, session):
    ended = do(sessions.end, session, None, None)
    assert do(messages.put_many, ended, [item("late")]).created == 1
    streaming = item("b", parts=[{"type": "text", "text": "", "status": "streaming"}])
    with pytest.raises(Conflict):
        do(messages.put_many, ended, [item("a"), streaming])
    assert [m.id for m in all_of(see, session)] == ["late"]


def test_an_empty_list_is_no_change(do, session, happened):
    assert do(messages.put_many, session, []).created == 0
    assert happened() == []
