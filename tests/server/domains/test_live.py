"""Text that deltas append, between two stores of the message."""

import json

import gevent
import pytest

from cortex_server.domains import messages, sessions, tickets
from cortex_server.domains.live import LiveText
from cortex_server.errors import Conflict, NotFound, StorageFull, TooLarge, Unavailable
from tests.support.stores import ALICE


@pytest.fixture
def session(do, ticket, happened):
    made = do(sessions.start, ticket, {})
    happened()
    return made


@pytest.fixture
def put(do, session):
    def call(message_id, *parts, **more):
        fields = {"role": "assistant", "parts": list(parts), **more}
        return do(messages.put, session, message_id, fields, None)[0]

    return call


@pytest.fixture
def message(put, happened):
    made = put("m1", {"type": "thinking", "text": "done"}, streaming("Hel"))
    happened()
    return made


@pytest.fixture
def live():
    return LiveText()


@pytest.fixture
def stored(see, session):
    return lambda message_id="m1": see(messages.get, session.id, message_id)


def streaming(value):
    return {"type": "text", "text": value, "status": "streaming"}


def write(live, message, *texts):
    for text in texts:
        length = len(live.merge(message).parts[1].text)
        live.append(message, 1, length, text)


def text_of(message):
    return message.parts[1].text


def test_appended_text_is_seen_before_it_is_stored(live, message, stored):
    assert live.append(message, 1, 3, "lo, ") == 7
    assert live.append(message, 1, 7, "wörld 🌍") == 14  # code points
    assert text_of(live.merge(stored())) == "Hello, wörld 🌍"
    assert text_of(stored()) == "Hel"
    assert live.merge_all([stored()]) == [live.merge(stored())]


@pytest.mark.parametrize("offset", [0, 3, 8, 99])
def test_text_for_another_offset_is_refused_with_the_right_one(live, message, offset):
    write(live, message, "lo, ")
    with pytest.raises(Conflict) as refused:
        live.append(message, 1, offset, "x")
    assert (refused.value.code, refused.value.extra["length"]) == ("offset_mismatch", 7)
    assert text_of(live.merge(message)) == "Hello, "


def test_only_a_part_that_streams_grows(live, message, put):
    for part in (-1, 2):
        with pytest.raises(NotFound):
            live.append(message, part, 0, "x")
    with pytest.raises(Conflict) as refused:
        live.append(message, 0, 4, "x")
    assert refused.value.code == "message_complete"
    complete = put("m2", {"type": "text", "text": "all"})
    with pytest.raises(Conflict):
        live.append(complete, 0, 3, "x")
    assert not live.dirty()


def test_a_flush_stores_without_event_or_revision(live, do, message, stored, happened, clock):
    write(live, message, "lo, ", "world")
    assert live.dirty()
    clock.advance(1)
    do(live.flush)
    assert stored() == message.model_copy(update={"parts": live.merge(stored()).parts})
    assert text_of(stored()) == "Hello, world"
    assert happened() == []


def test_text_is_whole_at_every_moment_of_many_flushes(live, do, message, stored):
    whole = "Hel"
    for piece in ("lo", ", ", "wor", "ld", "", "!", "", "", " Once", " more"):
        if piece:
            write(live, stored(), piece)
        whole += piece
        assert text_of(live.merge(stored())) == whole
        stale = stored()
        do(live.flush)
        assert text_of(stored()) == text_of(live.merge(stored())) == whole
        assert text_of(live.merge(stale)) == whole  # read before the flush, merged after it
    assert live.size < len(whole)


def test_what_is_stored_is_let_go(live, do, message, stored):
    write(live, message, "lo")
    for _ in range(3):
        assert live.dirty()
        do(live.flush)
    assert not live.dirty()
    assert live.size == 0
    write(live, stored(), "!")
    assert text_of(live.merge(stored())) == "Hello!"


def test_a_rolled_back_flush_loses_nothing(live, store, do, message, stored):
    def flush_and_fail(tx):
        live.flush(tx)
        raise RuntimeError("no commit")

    write(live, message, "lo")
    for _ in range(4):
        with pytest.raises(RuntimeError), store.write(ALICE) as tx:
            flush_and_fail(tx)
        assert text_of(stored()) == "Hel"
        assert text_of(live.merge(stored())) == "Hello"
    do(live.flush)
    assert text_of(stored()) == "Hello"


def together(store, *changes):
    """Make changes that share a commit, which fails."""

    def refuse(_group):
        raise StorageFull("The disk is full: nothing was stored.")

    def write(change):
        with pytest.raises(StorageFull), store.write(ALICE) as tx:
            change(tx)

    ending, store._commits._ending = store._commits._ending, refuse
    greenlets = [gevent.spawn(write, change) for change in changes]
    gevent.joinall(greenlets, timeout=10, raise_error=True)
    assert all(greenlet.successful() for greenlet in greenlets)
    store._commits._ending = ending


def test_flushes_that_share_a_failed_commit_lose_nothing(live, store, do, message, stored):
    write(live, message, "lo")
    together(store, live.flush, live.flush, live.flush, live.flush)
    assert text_of(stored()) == "Hel"
    assert text_of(live.merge(stored())) == "Hello"
    do(live.flush)
    assert text_of(stored()) == "Hello"


@pytest.mark.parametrize("last", [{"type": "text", "text": "Bye"}, {"status": "complete"}])
def test_a_put_that_fails_with_a_flush_loses_nothing(live, store, session, message, stored, last):
    def put_flushed(tx):
        live.flush(tx, session.id, "m1")
        parts = [{"type": "thinking", "text": "done"}, streaming("Hello") | last]
        messages.put(tx, session, "m1", {"role": "assistant", "parts": parts}, None)

    write(live, message, "lo")
    together(store, put_flushed, live.flush, live.flush)
    assert (text_of(stored()), stored().revision) == ("Hel", 1)
    assert text_of(live.merge(stored())) == "Hello"


def test_text_that_comes_during_the_commit_stays(live, store, do, message, stored):
    for _ in range(2):
        with store.write(ALICE) as tx:
            live.flush(tx)
            tx.after_commit.insert(0, lambda: write(live, stored(), "!"))
    assert text_of(live.merge(stored())) == "Hel!!"
    for _ in range(3):
        do(live.flush)
    assert text_of(stored()) == "Hel!!"
    assert not live.dirty()


def test_the_end_of_a_session_keeps_its_live_text(live, store, session, message, stored, happened):
    write(live, message, "lo, world")
    with store.write(ALICE) as tx:
        live.flush(tx, session.id)
        sessions.end(tx, session, None, None)
    assert (text_of(stored()), stored().status) == ("Hello, world", "complete")
    updated, ended = happened()
    assert updated["payload"] == stored().json_dict() == live.merge(stored()).json_dict()
    assert ended["type"] == "session.ended"
    with pytest.raises(Conflict):
        live.append(stored(), 1, 12, "!")


def test_a_put_is_compared_with_what_readers_saw(live, store, session, message, put, happened):
    write(live, message, "lo, world")

    def put_flushed(text):
        parts = [{"type": "thinking", "text": "done"}, streaming(text)]
        with store.write(ALICE) as tx:
            live.flush(tx, session.id, "m1")
            return messages.put(tx, session, "m1", {"role": "assistant", "parts": parts}, 1)[0]

    assert put_flushed("Hello, world").revision == 1
    assert happened() == []
    assert text_of(put_flushed("Hello")) == "Hello"
    assert happened.types() == ["message.updated"]


def test_a_put_is_the_truth_also_when_nobody_told(live, do, message, put, stored):
    write(live, message, "lo, world")
    put("m1", {"type": "thinking", "text": "done"}, streaming("Bye"))
    assert text_of(live.merge(stored())) == "Bye"
    assert live.append(stored(), 1, 3, " now") == 7
    assert text_of(live.merge(stored())) == "Bye now"
    with pytest.raises(Conflict) as refused:
        live.append(message, 1, 12, "!")  # of a message that was read before the PUT
    assert refused.value.code == "message_replaced"
    do(live.flush)
    assert text_of(stored()) == "Bye now"


def test_the_flush_forgets_what_was_put_anew_completed_or_deleted(
    live, do, see, ticket, message, put
):
    kept = put("m2", streaming(""))
    gone = {name: put(name, streaming("")) for name in ("m3", "m4")}
    for one in (kept, *gone.values()):
        live.append(one, 0, 0, "text")
    put("m3", streaming("other"))
    put("m4", {"type": "text", "text": "final"})
    do(live.flush)
    assert live.size == len("text")
    assert see(messages.get, kept.session, "m2").parts[0].text == "text"
    do(tickets.delete, ticket, None)
    do(live.flush)
    assert not live.dirty()


def test_forgetting_drops_one_message(live, message, put):
    other = put("m2", streaming(""))
    write(live, message, "lo")
    live.append(other, 0, 0, "x")
    live.forget(message.session, "m1")
    assert text_of(live.merge(message)) == "Hel"
    assert live.merge(other).parts[0].text == "x"


def test_a_flush_can_be_of_one_session_or_message(live, do, message, put, session, see):
    other = put("m2", streaming(""))
    write(live, message, "lo")
    live.append(other, 0, 0, "x")
    do(live.flush, "another session")
    do(live.flush, session.id, "m2")
    assert see(messages.get, session.id, "m2").parts[0].text == "x"
    assert text_of(see(messages.get, session.id, "m1")) == "Hel"
    do(live.flush, session.id)
    assert text_of(see(messages.get, session.id, "m1")) == "Hello"


def test_several_parts_grow_side_by_side(live, do, put, see, session):
    made = put("m2", streaming("a"), streaming("b"))
    live.append(made, 0, 1, "A")
    live.append(made, 1, 1, "B")
    do(live.flush)
    live.append(made, 0, 2, "!")
    do(live.flush)
    stored = see(messages.get, session.id, "m2")
    assert [part.text for part in stored.parts] == ["aA!", "bB"]


def test_live_text_is_bounded(message, put):
    small = LiveText(message_max=5, total_max=8)
    small.append(message, 1, 3, "12345")
    with pytest.raises(TooLarge):
        small.append(message, 1, 8, "6")
    other = put("m2", streaming(""))
    small.append(other, 0, 0, "123")
    with pytest.raises(Unavailable):
        small.append(other, 0, 3, "4")
    assert small.append(other, 0, 3, "") == 3


def test_a_part_never_grows_beyond_what_a_put_may_hold(live, put):
    made = put("m2", streaming("x" * 1_048_576))
    with pytest.raises(TooLarge):
        live.append(made, 0, 1_048_576, "y")


def test_the_event_of_a_delta_has_no_id_and_stays_on_one_line(message):
    told = []
    LiveText(tell=told.append).append(message, 1, 3, "lo\n\u2028🌍", "2026-01-26T15:53:01.717454Z")
    (event,) = told
    assert (event.type, event.project, event.ticket) == ("message.delta", "CTX", "CTX-1")
    assert event.session == message.session
    head, data = event.frame.decode("ascii").removesuffix("\n\n").split("\n")
    assert head == "event: message.delta"
    assert json.loads(data.removeprefix("data: ")) == {
        "type": "message.delta",
        "project": "CTX",
        "ticket": "CTX-1",
        "at": "2026-01-26T15:53:01.717454Z",
        "payload": {
            "session": message.session,
            "message": "m1",
            "part": 1,
            "offset": 3,
            "text": "lo\n\u2028🌍",
        },
    }
