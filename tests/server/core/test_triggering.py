"""Triggers at work: what events and the clock set off, how often, how deep, and the calls."""

import dataclasses
import hashlib
import hmac
import json

import pytest
from sqlalchemy import select

from cortex_server import log, outgoing
from cortex_server.app import assemble
from cortex_server.config import Config
from cortex_server.domains import (
    attempts,
    batch_merges,
    batches,
    board_rules,
    claims,
    comments,
    firing,
    projects,
    runners,
    teams,
    tickets,
    trigger_calls,
    triggers,
)
from cortex_server.domains.attempt_rows import active_of_project
from cortex_server.events.objects import Actor
from cortex_server.outgoing import AddressRefused
from cortex_server.triggering import LOOK_S, OF_ONE_MAX, STORE_S, Triggering
from tests.support.clocks import Running
from tests.support.receivers import Receiver
from tests.support.stores import ALICE, BOB

LEASE_S = 1_000_000.0
RUNNER = Actor(kind="runner", name="r-1")
OFFER = {
    "name": "r-1", "host": "here", "version": "1", "parallel": 100, "projects": None,
    "agents": [{"name": "opencode", "adapter": "opencode", "capabilities": []}],
}  # fmt: skip

START = {"kind": "attempt", "agent": "opencode"}
MOVED = {"types": ["ticket.moved"], "filter": {"status": "review"}}
LOOPBACK = outgoing.networks(["127.0.0.0/8"])


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


class Shop:
    """A project, and the loop that fires its triggers. later: some time passes, and it looks."""

    def __init__(self, store, do, see, clock, project, happened, config):
        self.store, self.do, self.see, self.clock, self.project = store, do, see, clock, project
        self.happened = happened
        self._services = assemble(config, clock, store, "e")
        self.restart()
        self.runner = do(runners.register, OFFER, LEASE_S, actor=RUNNER)

    def restart(self):
        self.loop = Triggering(self._services)

    def ticket(self, title="Fix it", **fields):
        return self.do(tickets.create, self.project, {"title": title, **fields})

    def trigger(self, on=MOVED, action=START, name="t", **fields):
        wanted = {"name": name, "on": on, "action": action, **fields}
        return self.do(triggers.create, self.project, wanted)

    def move(self, ticket, status="review", **as_who):
        self.clock.advance(0.01)
        now = self.see(tickets.get, ticket.key)
        return self.do(tickets.move, now, status, None, None, **as_who)

    def later(self, seconds=0.5):
        self.clock.advance(seconds)
        self.loop.look()
        self.loop.send()
        self.loop.wait()

    def fired(self):
        """The payloads of trigger.fired since the last call."""
        return [e["payload"] for e in self.happened() if e["type"] == "trigger.fired"]

    def now(self, trigger):
        return self.see(triggers.get, trigger.id)

    def queued(self):
        found = self.see(active_of_project, "CTX")
        return [attempt for attempt in found if attempt.status == "queued"]

    def head(self):
        return self.see(lambda tx: log.state(tx.conn).head)

    def calls(self, trigger):
        return self.see(trigger_calls.listing, trigger.id, 500, None).items


@pytest.fixture
def shop(store, do, see, clock, project, happened, tmp_path):
    url = store.engine.url.render_as_string(hide_password=False)
    config = Config(data_dir=tmp_path, database_url=url, trigger_private_addresses=("127.0.0.0/8",))
    return Shop(store, do, see, clock, project, happened, config)


# events


def test_an_event_starts_an_attempt_on_its_ticket_and_it_is_told_in_one_go(shop):
    made = shop.trigger(action={**START, "prompt": "Review it"})
    ticket = shop.ticket()
    shop.move(ticket, "progress")
    shop.later()
    assert (shop.fired(), shop.queued()) == ([], [])
    moved = shop.move(ticket)
    shop.happened()
    shop.later()
    (attempt,) = shop.queued()
    assert (attempt.ticket, attempt.prompt) == (ticket.key, "Review it")
    assert (attempt.started_by.kind, attempt.started_by.name) == ("system", "trigger t")
    started, told = shop.happened()
    assert (started["type"], told["type"]) == ("attempt.started", "trigger.fired")
    assert started["at"] == told["at"], "one transaction"
    assert told["payload"]["result"] == {"attempt": attempt.id}
    assert told["payload"]["cause"]["type"] == "ticket.moved"
    assert told["payload"]["error"] is None
    now = shop.now(made)
    assert (now.fired, now.last_fired_at, now.last_error, now.revision) == (
        1, told["at"], None, 1,
    )  # fmt: skip
    shop.later()
    assert (len(shop.queued()), moved.status) == (1, "review")


def test_each_event_fires_once_also_after_a_restart_and_in_two_processes(shop):
    shop.trigger()
    first = shop.loop
    for _ in range(3):
        shop.move(shop.ticket())
    shop.later()
    shop.restart()
    shop.later()
    first.look()
    assert len(shop.queued()) == len(shop.fired()) == 3


def test_two_processes_that_see_the_same_event_at_once_fire_once(shop):
    """One has read the page before the other has fired: what counts is asked when it is written."""
    made = shop.trigger()
    shop.move(shop.ticket())
    with shop.store.read() as tx:
        event = log.after(tx.conn, 0).events[-1]
    one, other = shop.loop, Triggering(shop._services)
    for loop in (one, other):
        assert loop._fire_for(made, event)
    assert (len(shop.fired()), shop.now(made).fired) == (1, 1)


def test_what_was_looked_at_is_looked_at_again_after_a_crash_and_fires_nothing_twice(shop):
    made = shop.trigger()
    shop.move(shop.ticket())
    shop.later()
    shop.ticket("of no interest")
    shop.later(STORE_S + 1)
    with shop.store.read() as tx:
        (waiting,), head = triggers.waiting(tx), log.state(tx.conn).head
    assert waiting.cursor == head, "so the log may be pruned behind it"
    shop.restart()
    shop.later()
    assert shop.now(made).fired == 1


def test_a_disabled_trigger_does_nothing_and_makes_nothing_up(shop, do):
    made = shop.trigger(enabled=False)
    shop.move(shop.ticket())
    shop.later()
    do(triggers.patch, shop.now(made), {"enabled": True}, None)
    shop.later()
    assert shop.fired() == []
    shop.move(shop.ticket())
    shop.later()
    assert len(shop.fired()) == 1


def test_other_projects_do_not_concern_it(shop, do):
    shop.trigger(on={"types": ["*"]}, action={"kind": "call", "url": "http://127.0.0.1:1/"})
    other = do(projects.create, {"key": "OTH", "name": "Other"})
    do(tickets.create, other, {"title": "x"})
    do(teams.create, {"key": "T", "name": "of no project"})
    shop.later()
    assert shop.fired() == []


def test_what_cannot_be_done_is_told_and_the_next_event_is_served(shop):
    made = shop.trigger(action={"kind": "attempt", "agent": "nobody"})
    shop.move(shop.ticket())
    shop.later()
    (told,) = shop.fired()
    assert told["result"] == {}
    assert "No runner has offered the agent nobody" in told["error"]
    now = shop.now(made)
    assert (now.fired, now.last_error) == (0, told["error"])
    shop.later()
    assert shop.fired() == []


def test_a_batch_is_run_of_the_tickets_that_nobody_works_on(shop, do):
    action = {"kind": "batch", "agent": "opencode", "tickets": {"status": "backlog"}, "most": 2}
    made = shop.trigger(on={"every_s": 60}, action=action, name="nightly")
    busy, first, second, third = (shop.ticket(str(n)) for n in range(4))
    do(attempts.create, busy, {"agent": "opencode"})
    shop.later(60)
    (told,) = shop.fired()
    batch = shop.see(batches.get, told["result"]["batch"])
    assert (batch.name, [t.ticket for t in batch.tickets]) == ("nightly", [first.key, second.key])
    shop.later(60)
    (told,) = shop.fired()
    batch = shop.see(batches.get, told["result"]["batch"])
    assert [t.ticket for t in batch.tickets] == [third.key]
    shop.later(60)
    assert shop.fired() == [], "nothing to do is no event"
    assert "No ticket" in shop.now(made).last_error


def test_events_that_left_the_log_unseen_are_owned_up_to(shop, store, do):
    made = shop.trigger()
    for _ in range(3):
        shop.move(shop.ticket())
    shop.happened()
    with store.write(RUNNER) as tx:
        log.prune(tx.conn, "9", 0)
    shop.later()
    assert shop.fired() == []
    assert "left the log" in shop.now(made).last_error
    shop.move(shop.ticket())
    shop.later()
    assert len(shop.fired()) == 1


def test_a_burst_leaves_time_for_others_and_is_served_in_turns(shop, do, receiver):
    """The reconciler waits for each look: a burst must not keep leases from being looked at."""
    other = do(projects.create, {"key": "OPS", "name": "Ops"})
    on = {"types": ["comment.added"], "filter": {}}
    nothing = {"kind": "batch", "agent": "opencode", "tickets": {"label": "none"}}
    vain = shop.trigger(on=on, action=nothing, name="vain")
    call = {"kind": "call", "url": receiver.url}
    waits = do(triggers.create, other, {"name": "waits", "on": on, "action": call})
    busy, quiet = shop.ticket(), do(tickets.create, other, {"title": "x"})
    for count, ticket in ((100, busy), (1, quiet)):
        for _ in range(count):
            do(comments.add, ticket, {"body": "x"})
    loop = Triggering(dataclasses.replace(shop._services, clock=Running(shop.clock)))
    spans = []
    for _ in range(3):
        before = shop.clock.monotonic()
        loop.look()
        spans.append(shop.clock.monotonic() - before)
    assert max(spans) <= 2 * LOOK_S
    assert shop.now(waits).fired == 1, "what comes first changes"
    while loop._looked[vain.id] < shop.head():
        loop.look()
    assert shop.now(waits).fired == 1


def test_what_a_look_had_no_time_for_comes_next_and_nothing_comes_twice(shop, do, receiver):
    call = {"kind": "call", "url": receiver.url}
    made = shop.trigger(on={"types": ["comment.added"], "filter": {}}, action=call)
    ticket = shop.ticket()
    bodies = [str(number) for number in range(60)]
    for body in bodies:
        do(comments.add, ticket, {"body": body})
    loop = Triggering(dataclasses.replace(shop._services, clock=Running(shop.clock)))
    looks = 0
    while shop.now(made).fired < len(bodies):
        loop.look()
        looks += 1
    assert looks > 1
    loop.look()
    with shop.store.read() as tx:
        sent = tx.conn.execute(select(trigger_calls.calls.c.body).order_by("id")).scalars()
    assert [json.loads(body)["event"]["payload"]["body"] for body in sent] == bodies


# the clock


def test_an_interval_is_kept_and_what_was_missed_is_made_up_for_once(shop, receiver):
    made = shop.trigger(on={"every_s": 60}, action={"kind": "call", "url": receiver.url})
    shop.later(59)
    assert shop.fired() == []
    shop.later(1.5)
    (told,) = shop.fired()
    assert told["cause"] == {"due": made.next_at}
    shop.later(59.6)
    assert len(shop.fired()) == 1, "no drift: by when it was due, not by when it was noticed"
    shop.later(3600)
    shop.later()
    assert len(shop.fired()) == 1
    shop.later(60)
    assert len(shop.fired()) == 1


def test_two_processes_that_see_that_it_is_due_fire_once(shop, receiver):
    made = shop.trigger(on={"every_s": 60}, action={"kind": "call", "url": receiver.url})
    shop.clock.advance(61)
    for loop in (shop.loop, Triggering(shop._services)):
        loop._fire_by_clock(made, made.next_at)
    assert len(shop.fired()) == 1


def test_cron_goes_by_the_clock_in_utc(shop, receiver):
    made = shop.trigger(on={"cron": "0 16 * * *"}, action={"kind": "call", "url": receiver.url})
    assert made.next_at == "2026-01-26T16:00:00.000000Z"
    shop.later(6 * 60)
    assert shop.fired() == []
    shop.later(60)
    assert len(shop.fired()) == 1
    assert shop.now(made).next_at == "2026-01-27T16:00:00.000000Z"


# its own effects


def test_a_trigger_does_not_fire_on_what_came_of_itself(shop, do):
    """A review starts an agent, whose success moves the ticket to review, and so on for ever."""
    shop.trigger(on={"types": ["ticket.*", "attempt.*", "trigger.fired"]})
    ticket = shop.ticket()
    shop.later()
    assert len(shop.fired()) == 1
    _work_on(shop, ticket, do)
    shop.restart()
    shop.later()
    told = [event["type"] for event in shop.happened()]
    assert (told.count("ticket.moved"), told.count("trigger.fired")) == (2, 0)
    assert shop.see(tickets.get, ticket.key).status == "review"
    shop.move(ticket, "progress")
    shop.later()
    assert len(shop.fired()) == 1, "a person's move is nobody's effect"


def _work_on(shop, ticket, do, actor=RUNNER):
    """Claim the ticket's queued attempt, and end it: the board's rules move the ticket."""
    shop.clock.advance(0.01)
    claim = do(claims.claim, shop.runner, None, LEASE_S, actor=actor)
    assert claim["ticket"].key == ticket.key
    shop.clock.advance(0.01)
    do(attempts.patch, claim["attempt"], {"status": "running"}, actor=actor)
    shop.clock.advance(0.01)
    return do(attempts.end, claim["attempt"].id, 1, "succeeded", actor=actor)


def test_nor_on_what_its_agent_says_on_the_ticket(shop, do):
    shop.trigger(on={"types": ["ticket.created", "comment.added"]})
    ticket = shop.ticket()
    shop.later()
    assert len(shop.fired()) == 1
    shop.clock.advance(1)
    do(comments.add, ticket, {"body": "Done"}, actor=BOB)
    shop.later()
    assert shop.fired() == []
    do(comments.add, ticket, {"body": "Not quite"})
    shop.later()
    assert len(shop.fired()) == 1


def test_nor_where_the_runner_goes_by_a_persons_token(shop, do):
    shop.trigger(on={"types": ["ticket.*"]})
    ticket = shop.ticket()
    shop.later()
    assert len(shop.fired()) == 1
    _work_on(shop, ticket, do, actor=ALICE)
    shop.later()
    assert shop.see(tickets.get, ticket.key).status == "review"
    assert shop.fired() == []


def test_nor_on_what_its_batch_sets_off_later(shop, do):
    action = {"kind": "batch", "agent": "opencode", "tickets": {"label": "auto"}, "merge": False}
    shop.trigger(on={"types": ["ticket.moved", "batch.*"]}, action=action)
    first, second = (shop.ticket(labels=["auto"]) for _ in range(2))
    shop.move(shop.ticket("another"))
    shop.later()
    assert len(shop.fired()) == 1
    for ticket in (first, second):  # the second attempt is started by the end of the first
        _work_on(shop, ticket, do)
        shop.later()
    assert shop.fired() == []
    (batch,) = shop.see(batches.of_board, "CTX")
    assert batch.status == "completed"
    do(board_rules.apply, shop.see(attempts.get, batch.tickets[0].attempt), "merged_moves_to")
    shop.later()


def test_triggers_that_lead_to_each_other_go_three_deep(shop, receiver):
    names = ["a", "b", "c", "d", "e"]
    for before, name in zip(["", *names], names, strict=False):
        on = {"types": ["trigger.fired"], "filter": {"name": before}} if before else MOVED
        shop.trigger(on=on, action={"kind": "call", "url": receiver.url}, name=name)
    shop.move(shop.ticket())
    for _ in range(6):
        shop.later()
    assert [told["name"] for told in shop.fired()] == ["a", "b", "c"]
    (fourth,) = [t for t in shop.see(triggers.listing, "CTX", 9, None).items if t.name == "d"]
    assert "3 triggers in a row" in fourth.last_error


def test_two_that_set_each_other_off_do_so_once(shop, receiver):
    for name, other in (("a", "b"), ("b", "a")):
        on = {"types": ["trigger.fired", "ticket.moved"], "filter": {}}
        shop.trigger(on=on, action={"kind": "call", "url": receiver.url}, name=name)
        assert other != name
    shop.move(shop.ticket())
    for _ in range(6):
        shop.later()
    names = [told["name"] for told in shop.fired()]
    assert sorted(names) == ["a", "a", "b", "b"]


# how often


def test_more_than_its_rate_waits_and_says_so(shop):
    made = shop.trigger()
    for _ in range(firing.PER_MINUTE["attempt"] + 2):
        shop.move(shop.ticket())
    shop.later()
    assert len(shop.fired()) == 10
    assert shop.now(made).last_error.startswith("Limited to 10 a minute")
    shop.restart()
    shop.later(30)
    assert shop.fired() == []
    shop.later(30)
    assert len(shop.fired()) == 2, "nothing is lost"
    assert shop.now(made).last_error is None


def test_one_that_waits_holds_up_no_other(shop, receiver):
    shop.trigger()
    call = shop.trigger(action={"kind": "call", "url": receiver.url}, name="call")
    for _ in range(12):
        shop.move(shop.ticket())
    shop.later()
    assert len(shop.calls(call)) == 12


# calls


def test_a_call_tells_the_event_and_is_signed(shop, receiver):
    made = shop.trigger(action={"kind": "call", "url": f"{receiver.url}?x=1"})
    ticket = shop.ticket()
    shop.move(ticket)
    shop.later()
    (got,) = receiver.got
    stamp, signature = got.headers["Cortex-Timestamp"], got.headers["Cortex-Signature"]
    signed = stamp.encode() + b"." + got.body
    expected = hmac.new(made.secret.encode(), signed, hashlib.sha256).hexdigest()
    assert signature == f"v1={expected}"
    assert abs(int(stamp) - shop.clock.now().timestamp()) < 2
    body = json.loads(got.body)
    (call,) = shop.calls(made)
    (told,) = shop.fired()
    assert body["id"] == got.headers["Cortex-Delivery"] == call.id == told["result"]["call"]
    assert (body["event"]["type"], body["event"]["ticket"]) == ("ticket.moved", ticket.key)
    assert (call.status, call.tries, call.answer) == ("delivered", 1, "200 Thank you")
    assert "Authorization" not in got.headers
    assert "secret" not in json.dumps(body)


def test_a_call_that_failed_is_repeated_with_the_same_id(shop, receiver):
    made = shop.trigger(action={"kind": "call", "url": receiver.url})
    receiver.status, receiver.body = 500, b"Not\x1b[31m now\x00" + b"x" * 5000
    shop.move(shop.ticket())
    shop.later()
    (call,) = shop.calls(made)
    assert (call.status, call.tries, len(call.answer)) == ("waiting", 1, 504)
    assert call.answer.startswith("500 Not [31m now x")
    assert "it is tried again" in shop.now(made).last_error
    shop.later(1)
    assert len(receiver.got) == 1
    receiver.status = 204
    shop.restart()
    shop.later(7)
    first, second = receiver.got
    assert first.headers["Cortex-Delivery"] == second.headers["Cortex-Delivery"]
    assert first.headers["Cortex-Signature"] != second.headers["Cortex-Signature"]
    assert first.body == second.body
    assert shop.calls(made)[0].status == "delivered"
    assert shop.now(made).last_error is None


def test_a_redirect_is_not_followed(shop, receiver):
    made = shop.trigger(action={"kind": "call", "url": receiver.url})
    receiver.status, receiver.headers = 302, {"Location": receiver.url}
    shop.move(shop.ticket())
    shop.later()
    assert len(receiver.got) == 1
    assert shop.calls(made)[0].answer.startswith("302")


def test_one_receiver_that_does_not_answer_holds_up_no_other(shop, receiver):
    dead = shop.trigger(action={"kind": "call", "url": "http://127.0.0.1:1/"}, name="dead")
    well = shop.trigger(action={"kind": "call", "url": receiver.url}, name="well")
    for _ in range(20):
        shop.move(shop.ticket())
    shop.loop.look()
    shop.loop.send()
    assert shop.loop._sending[dead.id] == OF_ONE_MAX, "however many of it are due"
    for _ in range(6):
        shop.later(0)
    assert {call.status for call in shop.calls(well)} == {"delivered"}
    assert {call.status for call in shop.calls(dead)} == {"waiting"}


def test_an_outbox_that_nobody_empties_does_not_grow_for_ever(shop, monkeypatch):
    monkeypatch.setattr(trigger_calls, "WAITING_MAX", 3)
    made = shop.trigger(action={"kind": "call", "url": "http://127.0.0.1:1/"})
    for _ in range(5):
        shop.move(shop.ticket())
    shop.later()
    shop.later(0)
    assert len(shop.calls(made)) == 3
    assert "3 calls wait" in shop.now(made).last_error


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:{port}/", ()),
        ("http://localhost:{port}/", ()),
        ("http://[::1]:{port}/", ()),
        ("http://0.0.0.0:{port}/", ()),
        ("http://127.1:{port}/", ()),
        ("http://2130706433:{port}/", ()),
        ("http://[::ffff:127.0.0.1]:{port}/", ()),
        ("http://127.0.0.1:{port}/", ("10.0.0.0/8",)),
    ],
)
def test_nothing_is_sent_to_an_address_that_is_not_public(receiver, url, private):
    answered = outgoing.post(url.format(port=receiver.port), b"x", {}, outgoing.networks(private))
    assert answered.status is None
    assert "no public address" in answered.text
    assert receiver.got == []


def test_the_name_is_resolved_anew_for_the_connection_that_is_made(receiver, monkeypatch):
    """A name that was public when it was looked at, and is not a moment later."""
    asked = []

    def resolve(host, port, **_options):
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    url = f"http://rebound.example:{receiver.port}/"
    assert "no public address" in outgoing.post(url, b"x", {}, ()).text
    assert (asked, receiver.got) == (["rebound.example"], [])
    assert outgoing.post(url, b"x", {}, LOOPBACK).accepted


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "fe80::1%eth0", "fd00::1", "::", "ff02::1", "::ffff:10.0.0.1",
        "2002:0a00:0001::1", "64:ff9b::a00:1", "2001:db8::1",
        "fec0::1", "::127.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b:1::a00:1", "192.0.0.8",
        "192.88.99.1", "3fff::1", "4000::1",
    ],
)  # fmt: skip
def test_special_addresses_of_every_kind(address):
    with pytest.raises(AddressRefused):
        outgoing.check_address(address, ())


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses(address):
    outgoing.check_address(address, ())


def test_private_ones_that_are_allowed():
    allowed = outgoing.networks(["10.0.0.0/8", "fd00::/8"])
    for address in ("10.1.2.3", "fd00::1", "::ffff:10.0.0.1"):
        outgoing.check_address(address, allowed)
    with pytest.raises(AddressRefused):
        outgoing.check_address("192.168.1.1", allowed)


def test_a_proxy_of_the_environment_is_not_asked(receiver, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert outgoing.post(receiver.url, b"x", {}, LOOPBACK).accepted


def test_the_rows_of_firings_go_after_a_month(shop, receiver):
    shop.trigger(action={"kind": "call", "url": receiver.url})
    shop.move(shop.ticket())
    shop.later()
    shop.clock.advance(31 * 86_400)
    assert shop.do(firing.expire) == 1


def test_a_batch_that_merges_is_nobody_elses_business(shop, do):
    """The merge is reported by a runner, long after; it still comes of the trigger."""
    action = {"kind": "batch", "agent": "opencode", "tickets": {"label": "auto"}}
    shop.trigger(on={"types": ["ticket.moved", "batch.*"]}, action=action)
    ticket = shop.ticket(labels=["auto"])
    shop.move(shop.ticket("another"))
    shop.later()
    assert len(shop.fired()) == 1
    _work_on(shop, ticket, do)
    batch = do(batch_merges.claim, shop.runner, None, LEASE_S, actor=RUNNER)["batch"]
    do(batch_merges.finish, batch.id, 1, "completed", {}, actor=RUNNER)
    shop.later()
    assert shop.fired() == []
