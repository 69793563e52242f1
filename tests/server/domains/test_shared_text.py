"""Live text that several processes share: here two of them, on one PostgreSQL."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from cortex_server.db import postgres
from cortex_server.domains import messages, sessions, shared_text, tickets
from cortex_server.domains.shared_text import PIECE, SharedText
from cortex_server.errors import Conflict, NotFound, TooLarge, Unavailable
from cortex_server.store import Store
from tests.support.databases import empty_engine
from tests.support.postgres import execute
from tests.support.server import ROOT
from tests.support.stores import ALICE

pytestmark = pytest.mark.postgres
AT = "2026-01-26T15:53:01.717454Z"


@pytest.fixture
def store(clock):
    return Store(empty_engine("postgres"), clock)


@pytest.fixture
def url(store):
    return store.engine.url.render_as_string(hide_password=False)


@pytest.fixture
def both(url):
    with closing(SharedText(url)) as one, closing(SharedText(url)) as other:
        yield one, other


@pytest.fixture
def live(both):
    return both[0]


@pytest.fixture
def session(do, ticket):
    return do(sessions.start, ticket, {})


@pytest.fixture
def put(do, session):
    def call(message_id, *parts, **more):
        fields = {"role": "assistant", "parts": list(parts), **more}
        return do(messages.put, session, message_id, fields, None)[0]

    return call


@pytest.fixture
def message(put):
    return put("m1", {"type": "thinking", "text": "done"}, streaming("Hel"))


@pytest.fixture
def stored(see, session):
    return lambda message_id="m1": see(messages.get, session.id, message_id)


@pytest.fixture
def shown(see, live, stored):
    """The text of the growing part, as a reader has it."""

    def call(message_id="m1"):
        def read(tx):
            return live.shown(tx, [messages.get(tx, stored(message_id).session, message_id)])

        return see(read)[0].parts[-1].text

    return call


def streaming(value):
    return {"type": "text", "text": value, "status": "streaming"}


def text_of(message):
    return message.parts[1].text


def test_what_one_appends_the_other_goes_on_with_and_all_see(both, message, stored, shown):
    one, other = both
    assert one.append(message, 1, 3, "lo, ") == 7
    assert other.append(message, 1, 7, "wörld 🌍") == 14  # code points
    assert shown() == "Hello, wörld 🌍"
    assert text_of(stored()) == "Hel"


@pytest.mark.parametrize("offset", [0, 3, 8, 99])
def test_text_for_another_offset_is_refused_with_the_right_one(both, message, shown, offset):
    both[0].append(message, 1, 3, "lo, ")
    with pytest.raises(Conflict) as refused:
        both[1].append(message, 1, offset, "x")
    assert (refused.value.code, refused.value.extra["length"]) == ("offset_mismatch", 7)
    assert shown() == "Hello, "


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


def test_a_flush_stores_without_event_or_revision(both, do, message, stored, shown, happened):
    both[0].append(message, 1, 3, "lo, ")
    both[1].append(message, 1, 7, "world")
    happened()
    assert both[0].dirty()
    assert both[1].dirty()
    do(both[1].flush)
    assert text_of(stored()) == shown() == "Hello, world"
    assert stored().revision == message.revision
    assert not both[0].dirty()
    assert happened() == []
    assert both[0].append(stored(), 1, 12, "!") == 13
    assert shown() == "Hello, world!"


def test_a_rolled_back_flush_loses_nothing(live, store, message, stored, shown):
    live.append(message, 1, 3, "lo")

    def flush_and_fail(tx):
        live.flush(tx)
        raise RuntimeError("no commit")

    with pytest.raises(RuntimeError), store.write(ALICE) as tx:
        flush_and_fail(tx)
    assert text_of(stored()) == "Hel"
    assert shown() == "Hello"


def test_a_reader_sees_each_character_once_whatever_is_stored_meanwhile(live, store, do, message):
    live.append(message, 1, 3, "lo")
    with store.read() as tx:
        found = messages.get(tx, message.session, "m1")
        do(live.flush)
        assert text_of(live.shown(tx, [found])[0]) == "Hello"
        again = messages.get(tx, message.session, "m1")
        assert text_of(live.shown(tx, [again])[0]) == "Hello"


def test_the_end_of_a_session_keeps_its_live_text(live, store, session, message, stored):
    live.append(message, 1, 3, "lo")
    with store.write(ALICE) as tx:
        live.flush(tx, session.id)
        sessions.end(tx, session, None, None)
    assert (text_of(stored()), stored().status) == ("Hello", "complete")
    with pytest.raises(Conflict):
        live.append(message, 1, 5, "!")  # by one who read it before the end


def test_a_put_is_the_truth(live, do, message, put, stored, shown):
    live.append(message, 1, 3, "lo, world")
    put("m1", {"type": "thinking", "text": "done"}, streaming("Bye"))
    assert shown() == "Bye"
    assert live.append(stored(), 1, 3, " now") == 7
    with pytest.raises(Conflict) as refused:
        live.append(message, 1, 12, "!")  # of a message that was read before the PUT
    assert refused.value.code == "message_replaced"
    do(live.flush)
    assert text_of(stored()) == shown() == "Bye now"
    assert not live.dirty()


def test_the_flush_drops_what_was_completed_or_deleted(live, do, ticket, put):
    kept, final, gone = (put(name, streaming("")) for name in ("m2", "m3", "m4"))
    for one in (kept, final, gone):
        live.append(one, 0, 0, "text")
    put("m3", {"type": "text", "text": "final"})
    do(live.flush, kept.session, "m2")
    assert live.dirty()
    do(tickets.delete, ticket, None)
    with pytest.raises(NotFound):
        live.append(gone, 0, 4, "!")
    do(live.flush)
    assert not live.dirty()


def test_several_parts_grow_side_by_side(live, do, put, see, session):
    made = put("m2", streaming("a"), streaming("b"))
    live.append(made, 0, 1, "A")
    live.append(made, 1, 1, "B")
    do(live.flush)
    live.append(made, 0, 2, "!")
    do(live.flush)
    stored = see(messages.get, session.id, "m2")
    assert [part.text for part in stored.parts] == ["aA!", "bB"]


def test_a_part_never_grows_beyond_what_a_put_may_hold(live, put):
    made = put("m2", streaming("x" * 1_048_575))
    assert live.append(made, 0, 1_048_575, "y") == 1_048_576
    with pytest.raises(TooLarge):
        live.append(made, 0, 1_048_576, "y")


def test_of_many_who_append_at_one_offset_one_wins(url, message, shown):
    def append(n):
        with closing(SharedText(url)) as own:
            try:
                return own.append(message, 1, 3, f"{n} wins")
            except Conflict as refused:
                return refused.extra["length"]

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(append, range(6))) == {9}
    assert shown()[3:] in {f"{n} wins" for n in range(6)}


def test_every_delta_is_told_in_pieces_that_fit(url, live, message):
    worst = "\x01" * PIECE + "🌍" * PIECE + "é\u2028\\" * 700
    with closing(postgres.connect(url)) as listener:
        listener.execute(f"LISTEN {postgres.DELTAS}")
        live.append(message, 1, 3, worst, AT)
        live.append(message, 1, 3 + len(worst), "", AT)
        payloads = [notice.payload for notice in listener.notifies(timeout=0.1)]
    assert all(len(payload.encode()) < 8000 for payload in payloads)
    events = [shared_text.event_of(payload) for payload in payloads]
    deltas = [json.loads(e.frame.decode().split("data: ")[1])["payload"] for e in events]
    text = ""
    for delta in deltas:
        assert delta["offset"] == 3 + len(text)
        text += delta["text"]
    assert text == worst
    assert {(e.project, e.ticket, e.session) for e in events} == {("CTX", "CTX-1", message.session)}


def test_a_lost_connection_is_made_again(url, live, message, shown):
    live.append(message, 1, 3, "lo")
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s",
        "COMMIT%",
    )
    with pytest.raises(Unavailable):
        live.append(message, 1, 5, "!")
    assert live.append(message, 1, 5, "!") == 6
    assert shown() == "Hello!"


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["crowd", "standstill", "interruption"])
def test_who_waits_or_stands_still_does_not_stop_the_others(url, message, scene, shown):
    """In a process of its own: in this one, whoever waits for the database stops all."""
    command = [sys.executable, "-m", "tests.support.patched_deltas", scene, url]
    command.append(message.model_dump_json())
    done = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert shown() == ("Hel" if scene == "crowd" else "Hello")


def test_the_limits_are_those_of_the_connection(live):
    live.dirty()
    names = ("lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
    shown = [live._connection.execute(f"SHOW {name}").fetchone()[0] for name in names]
    assert shown == ["3s", "10s", "off"]


def test_nothing_grows_while_a_program_has_the_database_for_itself(url, live, message, shown):
    with closing(postgres.connect(url)) as program:
        assert postgres.take_alone(program)
        with pytest.raises(Unavailable, match="for itself"):
            live.append(message, 1, 3, "lo")
    assert shown() == "Hel"


@pytest.mark.parametrize("payload", ["", "[]", "{}", "null", '{"project": 1}', "not", "NaN"])
def test_what_is_no_delta_is_no_event(live, url, message, payload):
    with pytest.raises((ValueError, TypeError, KeyError)):
        shared_text.event_of(payload)


def test_stored_text_is_a_sign_of_life_of_its_session(do, see, clock, live, session, put):
    from cortex_server.domains import liveness

    do(sessions.patch, session, {"status": "working"}, None)
    message = put("m", {"type": "text", "text": "", "status": "streaming"})
    clock.advance(3600)
    assert do(liveness.mark_stale, "") == 1
    live.append(message, 0, 0, "still here", AT)
    do(live.flush)
    assert not see(sessions.get, session.id).stale
    assert do(liveness.mark_stale, "") == 0
