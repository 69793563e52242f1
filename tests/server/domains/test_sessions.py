"""Sessions: a tree on a ticket, from their start to their end."""

import pytest

from cortex_server.domains import messages, sessions, tickets
from cortex_server.errors import Conflict, Invalid, NotFound, OutdatedRevision
from tests.support.stores import BOB

OWN_ID = "6F9619FF-8B86-4D01-B42D-00CF4FC964FF"


@pytest.fixture
def session(do, ticket, happened):
    made = do(sessions.start, ticket, {}, actor=BOB)
    happened()
    return made


def test_a_session_starts_with_defaults_and_is_told_as_it_is_stored(do, see, ticket, happened):
    made = do(sessions.start, ticket, {}, actor=BOB)
    assert (made.title, made.status, made.started_by) == ("Untitled", "starting", BOB)
    assert (made.agent, made.model, made.parent_id, made.outcome) == (None, None, None, None)
    event = happened.one()
    assert event["type"] == "session.started"
    assert event["payload"] == made.json_dict() == see(sessions.get, made.id).json_dict()


def test_a_session_keeps_the_id_that_its_agent_gave_it(do, see, ticket, happened):
    made = do(sessions.start, ticket, {"id": OWN_ID, "status": "working", "title": "Fix"})
    assert (made.id, made.status, made.title) == (OWN_ID.lower(), "working", "Fix")
    assert see(sessions.get, OWN_ID) == made
    with pytest.raises(Conflict) as refused:
        do(sessions.start, ticket, {"id": OWN_ID})
    assert refused.value.code == "already_exists"
    assert happened.types() == ["session.started"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"id": "seven"}, "id"),
        ({"status": "ended"}, "status"),
        ({"parent_id": OWN_ID}, "parent_id"),
    ],
)
def test_what_cannot_start_is_refused(do, ticket, happened, fields, field):
    with pytest.raises(Invalid) as refused:
        do(sessions.start, ticket, fields)
    assert refused.value.extra["errors"][0]["field"] == field
    assert happened() == []


def test_a_child_is_below_a_session_of_the_same_ticket(do, ticket, other_ticket, session):
    child = do(sessions.start, ticket, {"parent_id": session.id.upper()})
    assert child.parent_id == session.id
    with pytest.raises(Invalid):
        do(sessions.start, other_ticket, {"parent_id": session.id})


def test_no_session_gets_below_itself(do, ticket, session, happened):
    child = do(sessions.start, ticket, {"parent_id": session.id})
    grandchild = do(sessions.start, ticket, {"parent_id": child.id})
    happened()
    for below in (session, child, grandchild):
        with pytest.raises(Invalid):
            do(sessions.patch, session, {"parent_id": below.id}, None)
    lifted = do(sessions.patch, grandchild, {"parent_id": session.id}, None)
    assert lifted.parent_id == session.id
    assert do(sessions.patch, lifted, {"parent_id": None}, None).parent_id is None
    assert happened.types() == ["session.updated", "session.updated"]


def test_one_change_of_both_kinds_is_one_revision_and_two_events(do, see, session, happened):
    changes = {"status": "working", "tool": "bash", "title": "Fix the leak", "model": "m-1"}
    patched = do(sessions.patch, session, changes, 1)
    assert patched.revision == 2
    updated, status = happened()
    assert (updated["type"], status["type"]) == ("session.updated", "session.status")
    assert updated["payload"] == status["payload"] == see(sessions.get, session.id).json_dict()


@pytest.mark.parametrize(
    ("changes", "types"),
    [
        ({"work": "reading"}, ["session.status"]),
        ({"agent": "opencode"}, ["session.updated"]),
        ({"title": None}, []),
        ({"status": "starting", "tool": None}, []),
        ({}, []),
    ],
)
def test_only_what_changed_is_told(do, session, happened, changes, types):
    patched = do(sessions.patch, session, changes, None)
    assert happened.types() == types
    assert patched.revision == 1 + bool(types)


def test_a_change_of_an_older_revision_is_refused(do, session):
    current = do(sessions.patch, session, {"status": "idle"}, None)
    with pytest.raises(OutdatedRevision):
        do(sessions.patch, current, {"status": "working"}, 1)
    with pytest.raises(OutdatedRevision):
        do(sessions.end, current, None, 1)


def test_only_end_ends_a_session(do, session, happened):
    with pytest.raises(Invalid):
        do(sessions.patch, session, {"status": "ended"}, None)
    assert happened() == []


def test_the_end_completes_what_streams_first_and_leaves_the_children(
    do, see, ticket, session, happened
):
    child = do(sessions.start, ticket, {"parent_id": session.id})
    do(sessions.patch, session, {"status": "working", "tool": "bash", "work": "w"}, None)
    part = {"type": "text", "text": "half a sen", "status": "streaming"}
    do(messages.put, session, "m1", {"role": "assistant", "parts": [part]}, None)
    done = {"type": "text", "text": "done"}
    do(messages.put, session, "m2", {"role": "assistant", "parts": [done]}, None)
    do(messages.put, session, "m3", {"role": "assistant", "parts": [done, part]}, None)
    happened()
    ended = do(sessions.end, see(sessions.get, session.id), "failed", 2)
    first, third, last = happened()
    assert [first["type"], third["type"]] == ["message.updated"] * 2
    for event, message_id in ((first, "m1"), (third, "m3")):
        message = see(messages.get, session.id, message_id)
        assert event["payload"] == message.json_dict()
        assert (message.status, message.revision) == ("complete", 2)
        assert {part.status for part in message.parts} == {"complete"}
    assert last["type"] == "session.ended"
    assert last["payload"] == ended.json_dict() == see(sessions.get, session.id).json_dict()
    assert (ended.status, ended.outcome, ended.revision) == ("ended", "failed", 3)
    assert (ended.tool, ended.work, ended.ended_at) == (None, None, ended.updated_at)
    assert see(sessions.get, child.id).status == "starting"


def test_ending_twice_is_ending_once(do, session, happened):
    ended = do(sessions.end, session, None, 1)
    assert ended.outcome == "succeeded"
    assert do(sessions.end, ended, "succeeded", 1) == ended
    assert do(sessions.end, ended, None, None) == ended
    with pytest.raises(Conflict) as refused:
        do(sessions.end, ended, "failed", None)
    assert refused.value.code == "session_ended"
    assert happened.types() == ["session.ended"]


def test_an_ended_session_does_not_change(do, session, happened):
    ended = do(sessions.end, session, "cancelled", None)
    happened()
    for changes in ({"status": "working"}, {"title": "Later"}):
        with pytest.raises(Conflict) as refused:
            do(sessions.patch, ended, changes, None)
        assert refused.value.code == "session_ended"
    assert do(sessions.patch, ended, {"status": "ended"}, None) == ended
    assert happened() == []


def test_sessions_are_found_by_project_ticket_and_state(do, see, ticket, other_ticket, session):
    other = do(sessions.start, other_ticket, {})
    ended = do(sessions.end, do(sessions.start, ticket, {}), None, None)

    def found(readable=None, **wanted):
        page = see(sessions.listing, readable, **wanted, limit=10, cursor=None)
        return {item.id for item in page.items}

    assert found() == {session.id, other.id, ended.id}
    assert found(active=True) == {session.id, other.id}
    assert found(active=False) == {ended.id}
    assert found(ticket=ticket.key, active=True) == {session.id}
    assert found(project="CTX") == found(frozenset({"CTX"})) == found()
    assert found(frozenset({"OTHER"})) == set()
    assert {s.id for s in see(sessions.active_of_project, "CTX")} == {session.id, other.id}


def test_sessions_are_listed_by_time_whatever_their_ids(do, see, ticket, happened, clock):
    made = []
    for id_digit in "975321":
        own = {"id": f"{id_digit}0000000-0000-4000-8000-00000000000{len(made)}"}
        made.append(do(sessions.start, ticket, own).id)
        clock.advance(0.5 if len(made) < 5 else 0)  # the last two are of the same moment
    seen, cursor = [], None
    while True:
        page = see(sessions.listing, None, limit=2, cursor=cursor)
        seen += [session.id for session in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen[:4] == made[:4]
    assert seen[4:] == sorted(made[4:])  # and then by id


def test_sessions_and_their_messages_go_with_the_ticket(do, see, ticket, session):
    part = {"type": "text", "text": "hello"}
    do(messages.put, session, "m1", {"role": "user", "parts": [part]}, None)
    do(tickets.delete, ticket, None)
    with pytest.raises(NotFound):
        see(sessions.get, session.id)
    assert see(messages.find, session.id, "m1") is None


def test_what_a_session_does_is_told_without_secrets(do, see, ticket, happened):
    secret = "ghp_" + "a1B2" * 9
    made = do(sessions.start, ticket, {"title": f"use {secret}"})
    do(sessions.patch, made, {"work": f"curl -u me:{secret}"}, None)
    assert secret not in str(happened())
    assert see(sessions.get, made.id).work == "curl -u me:" + "*" * len(secret)


def test_only_so_many_sessions_of_a_ticket_have_not_ended(do, see, ticket, other_ticket):
    started = [do(sessions.start, ticket, {}) for _ in range(sessions.ACTIVE_MAX)]
    with pytest.raises(Conflict, match="have not ended") as refused:
        do(sessions.start, ticket, {})
    assert refused.value.code == "too_many_sessions"
    do(sessions.start, other_ticket, {})
    do(sessions.end, started[0], None, None)
    do(sessions.start, ticket, {})
    found = see(sessions.active_of_project, ticket.project)
    assert sum(one.ticket == ticket.key for one in found) == sessions.ACTIVE_MAX
