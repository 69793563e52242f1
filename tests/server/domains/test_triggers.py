"""Triggers as people make them: what they may say, and what is kept of them."""

import pytest

from cortex_server import log
from cortex_server.clock import parse_iso
from cortex_server.domains import trigger_calls, triggers
from cortex_server.errors import Conflict, Invalid, NotFound, OutdatedRevision

START = {"kind": "attempt", "agent": "opencode"}
CALL = {"kind": "call", "url": "https://example.org/hook"}


@pytest.fixture
def make(do, project):
    def call(name="t", on=None, action=None, **fields):
        wanted = {"name": name, "on": on or {"types": ["ticket.moved"]}, "action": action or START}
        return do(triggers.create, project, {**wanted, **fields})

    return call


def test_a_trigger_looks_at_what_happens_from_now_on(store, make, see):
    made = make(on={"types": ["ticket.*", "review.resolved"], "filter": {"status": "review"}})
    assert (made.enabled, made.fired, made.secret, made.next_at) == (True, 0, None, None)
    (waiting,) = see(triggers.waiting)
    with store.read() as tx:
        assert waiting.cursor == log.state(tx.conn).head
    assert see(triggers.get, made.id).on["filter"] == {"status": "review"}


def test_the_secret_of_a_call_is_made_or_taken_and_never_shown_again(make, see):
    made, own = make(action=CALL), make("own", action=CALL, secret="a secret of my own")
    assert len(made.secret) > 40
    assert own.secret == "a secret of my own"
    assert "secret" not in see(triggers.get, own.id).json_dict()
    assert see(triggers.secret_of, own.id) == "a secret of my own"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"on": {"types": ["ticket.flew"]}}, "on.types"),
        ({"on": {"types": ["message.delta"]}}, "on.types"),
        ({"on": {"cron": "61 * * * *"}, "action": CALL}, "on.cron"),
        ({"on": {"every_s": 60}, "action": START}, "action.ticket"),
        ({"action": {"kind": "call", "url": "ftp://example.org"}}, "action.url"),
        ({"action": {"kind": "call", "url": "https://a:b@example.org/"}}, "action.url"),
        ({"action": {"kind": "call", "url": "https://example.org/\n"}}, "action.url"),
        ({"action": {"kind": "call", "url": "https://example.org:99999/"}}, "action.url"),
        ({"action": {"kind": "call", "url": "https:///x"}}, "action.url"),
        ({"action": START, "secret": "a secret of my own"}, "secret"),
    ],
)
def test_what_no_trigger_can_do_is_refused(make, see, fields, field):
    with pytest.raises(Invalid) as refused:
        make(**fields)
    assert refused.value.extra["errors"][0]["field"] == field
    assert see(triggers.waiting) == []


def test_a_name_is_free_or_refused(do, make):
    make("one")
    other = make("two")
    with pytest.raises(Conflict):
        make("one")
    with pytest.raises(Conflict):
        do(triggers.patch, other, {"name": "one"}, None)


def test_a_change_is_a_revision_and_a_new_condition_counts_from_now(do, see, make, clock):
    made = make(on={"every_s": 60}, action=CALL)
    assert made.next_at == "2026-01-26T15:54:01.717454Z"
    clock.advance(30)
    off = do(triggers.patch, made, {"enabled": False}, 1)
    assert (off.revision, see(triggers.waiting)) == (2, [])
    with pytest.raises(OutdatedRevision):
        do(triggers.patch, off, {"enabled": True}, 1)
    on = do(triggers.patch, off, {"enabled": True}, 2)
    assert on.next_at == "2026-01-26T15:54:31.717454Z"
    timed = do(triggers.patch, on, {"on": {"cron": "0 * * * *"}}, None)
    assert timed.next_at == "2026-01-26T16:00:00.000000Z"
    assert do(triggers.patch, timed, {"name": timed.name}, None) == timed
    assert see(triggers.secret_of, made.id) == made.secret


def test_one_that_begins_to_call_needs_a_secret(do, see, make):
    made = make()
    with pytest.raises(Invalid):
        do(triggers.patch, made, {"action": CALL}, None)
    do(triggers.patch, made, {"action": CALL, "secret": "a secret of my own"}, None)
    assert see(triggers.secret_of, made.id) == "a secret of my own"


def test_a_deleted_trigger_takes_its_calls_along(do, see, make):
    made = make(action=CALL)
    do(trigger_calls.put, "c1", made.id, CALL["url"], "{}")
    do(triggers.delete, see(triggers.get, made.id), None)
    with pytest.raises(NotFound):
        see(triggers.get, made.id)
    assert see(trigger_calls.due, [], 10) == []


def test_triggers_are_listed_in_pages(make, see):
    made = [make(str(n)).id for n in range(3)]
    first = see(triggers.listing, "CTX", 2, None)
    rest = see(triggers.listing, "CTX", 2, first.next_cursor)
    assert [t.id for t in [*first.items, *rest.items]] == made


# the outbox


def test_a_call_is_tried_ever_later_for_about_a_day(do, see, make, clock):
    made = make(action=CALL)
    do(trigger_calls.put, "c1", made.id, CALL["url"], "{}")
    pauses = []
    while (call := see(trigger_calls.listing, made.id, 10, None).items[0]).status == "waiting":
        pause = parse_iso(call.next_at) - clock.now()
        pauses.append(pause.total_seconds())
        if pauses[-1]:
            clock.advance(pauses[-1] - 0.001)
            assert do(trigger_calls.begin, "c1") is None, "not before its time"
            clock.advance(0.001)
        sending = do(trigger_calls.begin, "c1")
        assert do(trigger_calls.begin, "c1") is None, "nobody else begins it meanwhile"
        assert sending.headers["Cortex-Delivery"] == "c1"
        do(
            trigger_calls.answered, "c1", accepted=False, gone=False, answer="500 No",
            random=lambda: 0.5,
        )  # fmt: skip
    assert pauses[:6] == [0, 5, 10, 20, 40, 80]
    assert max(pauses) == 7200
    assert 20 * 3600 < sum(pauses) < 24 * 3600
    assert (call.status, call.tries, call.answer) == ("failed", len(pauses), "500 No")
    assert see(triggers.get, made.id).last_error.endswith("given up.")
    clock.advance(7 * 86_400)
    assert do(trigger_calls.expire) == 1


def test_pauses_differ_by_half(do, see, make, clock):
    made = make(action=CALL)
    for random, pause_s in ((0.0, 3.75), (1.0, 6.25)):
        do(trigger_calls.put, f"c{random}", made.id, CALL["url"], "{}")
        do(trigger_calls.begin, f"c{random}")
        do(
            trigger_calls.answered, f"c{random}", accepted=False, gone=False, answer="no",
            random=lambda random=random: random,
        )  # fmt: skip
        clock.advance(pause_s - 0.01)
        assert see(trigger_calls.due, [], 10) == []
        clock.advance(0.02)
        assert len(see(trigger_calls.due, [], 10)) == 1
        do(triggers.delete, see(triggers.get, made.id), None)
        made = make(action=CALL)


def test_a_receiver_that_is_gone_is_not_asked_again(do, see, make):
    made = make(action=CALL)
    do(trigger_calls.put, "c1", made.id, CALL["url"], "{}")
    do(trigger_calls.begin, "c1")
    do(trigger_calls.answered, "c1", accepted=False, gone=True, answer="410", random=lambda: 0.5)
    assert see(trigger_calls.listing, made.id, 10, None).items[0].status == "failed"
