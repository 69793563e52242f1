"""Messages: whole ones, put again and again while they grow."""

import pytest

from cortex_server.domains import messages, sessions
from cortex_server.errors import Conflict, Invalid, OutdatedRevision


@pytest.fixture
def session(do, ticket, happened):
    made = do(sessions.start, ticket, {})
    happened()
    return made


@pytest.fixture
def put(do, session):
    def call(message_id, *parts, revision=None, role="assistant", status=None):
        fields = {"role": role, "parts": list(parts), **({"status": status} if status else {})}
        return do(messages.put, session, message_id, fields, revision)

    return call


def text(value, status=None):
    return {"type": "text", "text": value, **({"status": status} if status else {})}


def streaming(value):
    return text(value, "streaming")


def test_a_new_message_is_told_as_it_is_stored(put, see, session, happened):
    tool = {"type": "tool", "text": "ok", "tool": "bash", "input": {"command": ["ls", None, 1.5]}}
    made, created = put("msg_1.a:b-c", text("hi"), tool)
    assert created
    assert (made.number, made.status, made.revision) == (1, "complete", 1)
    assert [part.status for part in made.parts] == ["complete", "complete"]
    assert made.parts[1].input == {"command": ["ls", None, 1.5]}
    event = happened.one()
    assert (event["type"], event["ticket"]) == ("message.created", "CTX-1")
    assert event["payload"] == see(messages.get, session.id, made.id).json_dict()


def test_messages_are_numbered_in_their_session_and_listed_in_that_order(
    put, do, see, ticket, session
):
    other = do(sessions.start, ticket, {})
    for message_id in ("z", "a", "m"):
        put(message_id, text(message_id))
    first, _ = do(messages.put, other, "z", {"role": "user", "parts": [text("z")]}, None)
    assert first.number == 1
    page = see(messages.listing, session.id, 2, None)
    rest = see(messages.listing, session.id, 2, page.next_cursor)
    assert [(m.number, m.id) for m in [*page.items, *rest.items]] == [(1, "z"), (2, "a"), (3, "m")]
    assert rest.next_cursor is None


def test_the_same_message_again_changes_nothing(put, happened):
    made, _ = put("m1", streaming("Hel"))
    again, created = put("m1", streaming("Hel"))
    assert (again, created) == (made, False)
    assert happened.types() == ["message.created"]


def test_text_that_only_grew_is_stored_without_an_event(put, see, session, happened):
    put("m1", text("fixed"), streaming("Hel"))
    grown, created = put("m1", text("fixed"), streaming("Hello, wor"))
    assert not created
    assert (grown.parts[1].text, grown.revision) == ("Hello, wor", 2)
    assert see(messages.get, session.id, "m1") == grown
    assert happened.types() == ["message.created"]


@pytest.mark.parametrize(
    "parts",
    [
        [text("one"), streaming("tw")],
        [text("one"), streaming("Two")],
        [text("one"), text("two")],
        [text("one longer"), streaming("two")],
        [text("one"), streaming("two"), streaming("")],
        [text("one")],
        [text("one"), {**streaming("two"), "type": "thinking"}],
        [text("one"), {**streaming("two"), "input": {"a": 1}}],
    ],
    ids=["shorter", "other", "complete", "grown-complete", "added", "removed", "type", "input"],
)
def test_every_other_change_is_told(put, see, session, happened, parts):
    put("m1", text("one"), streaming("two"))
    changed, created = put("m1", *parts, status="streaming")
    assert (created, changed.revision) == (False, 2)
    _, updated = happened()
    assert updated["type"] == "message.updated"
    assert updated["payload"] == see(messages.get, session.id, "m1").json_dict()


def test_the_end_of_a_message_is_told_although_its_text_grew_too(put, happened):
    put("m1", streaming("Hel"))
    done, _ = put("m1", text("Hello"))
    assert (done.status, done.parts[0].status) == ("complete", "complete")
    assert happened.types() == ["message.created", "message.updated"]


def test_another_role_is_a_change(put, happened):
    put("m1", text("hi"))
    put("m1", text("hi"), role="user")
    assert happened.types() == ["message.created", "message.updated"]


def test_a_complete_message_has_only_complete_parts(put):
    made, _ = put("m1", streaming("Hel"), status="complete")
    assert made.parts[0].status == "complete"


def test_a_message_streams_while_a_part_does_or_when_it_says_so(put):
    assert put("m1", streaming(""))[0].status == "streaming"
    assert put("m2", text("so far"), status="streaming")[0].status == "streaming"
    assert put("m3", text("all"))[0].status == "complete"
    assert put("m4")[0].parts == []


def test_a_put_against_an_older_revision_is_refused_with_the_message(put, happened):
    put("m1", text("one"))
    current, _ = put("m1", text("two"), revision=1)
    with pytest.raises(OutdatedRevision) as refused:
        put("m1", text("three"), revision=1)
    assert refused.value.extra["current"] == current.json_dict()
    assert happened.types() == ["message.created", "message.updated"]


@pytest.mark.parametrize("message_id", ["", "a" * 129, "a b", "a/b", "ä", "a\n"])
def test_an_id_that_cannot_stand_in_a_path_is_refused(put, happened, message_id):
    with pytest.raises(Invalid):
        put(message_id, text("hi"))
    assert happened() == []


def test_an_ended_session_takes_late_final_messages_only(put, do, see, session, happened):
    put("m1", streaming("half"))
    ended = do(sessions.end, session, None, None)
    happened()

    def late(message_id, *parts):
        fields = {"role": "assistant", "parts": list(parts)}
        return do(messages.put, ended, message_id, fields, None)

    assert late("m1", text("half and the rest"))[0].status == "complete"
    assert late("m2", text("one more"))[1]
    assert happened.types() == ["message.updated", "message.created"]
    for message_id in ("m1", "m3"):
        with pytest.raises(Conflict) as refused:
            late(message_id, streaming("more"))
        assert refused.value.code == "session_ended"
    assert late("m2", text("one more")) == (see(messages.get, session.id, "m2"), False)


def test_true_is_not_one_in_the_input_of_a_tool(put, happened):
    tool = {"type": "tool", "text": "", "tool": "t", "input": {"deep": [True]}}
    put("m1", tool)
    put("m1", {**tool, "input": {"deep": [1]}})
    assert happened.types() == ["message.created", "message.updated"]
