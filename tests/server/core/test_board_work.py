"""Agents at work on a board: in its snapshot, and as the first frames of a stream."""

import json

import pytest

from cortex_server.domains import (
    attempts,
    batch_merges,
    batches,
    board_work,
    claims,
    instances,
    messages,
    permissions,
    questions,
    sessions,
)
from cortex_server.reconciler import Reconciler
from tests.support.attempts import BY_RUNNER, LEASE_S, Work

DAY_S = 86_400


@pytest.fixture
def work(live):
    return Work(live.do)


def board(live):
    return json.loads(live.services.snapshots.board("CTX").body)


def statuses(reader):
    return [frame.data["payload"]["status"] for frame in reader.of("attempt.status")]


def test_a_board_holds_attempts_open_questions_and_batches(live, work):
    project = live.project()
    first, second, third = (live.ticket(project) for _ in range(3))
    running = work.running(first)
    queued = work.start(second)
    session = live.do(sessions.get, running.session)
    asked = live.do(questions.ask, session, {"title": "Which?", "free_text": True})[0]
    answered = live.do(questions.ask, session, {"title": "And?", "free_text": True})[0]
    live.do(questions.reply, answered, [], "that")
    batch = live.do(batches.create, project, {"tickets": [third.key], "agent": "shell"})

    found = board(live)
    shown = [live.do(attempts.get, attempt.id) for attempt in (running, queued)]
    assert found["attempts"][:2] == [attempt.json_dict() for attempt in shown]
    assert [attempt["batch"] for attempt in found["attempts"][2:]] == [batch.id]
    assert found["permissions"] == [live.do(permissions.get, asked.id).json_dict()]
    assert found["batches"] == [live.do(batches.get, batch.id).json_dict()]

    of_second = json.loads(live.services.snapshots.board("CTX", second.key).body)
    assert [attempt["id"] for attempt in of_second["attempts"]] == [queued.id]
    assert of_second["permissions"] == []


def test_an_attempt_that_ended_is_shown_for_a_day(live, work):
    ended = work.end(work.running(live.ticket(live.project())))
    assert [a["id"] for a in board(live)["attempts"]] == [ended.id]
    live.clock.advance(DAY_S + 1)
    live.ticket(live.project("OTHER"))
    assert board(live)["attempts"] == []


def test_of_very_many_attempts_those_at_work_are_shown_first(live, work):
    ticket = live.ticket(live.project())
    over = work.end(work.running(ticket))
    for _ in range(board_work.ATTEMPTS_MAX + 5):
        work.start(ticket)
    running = live.do(claims.claim, work.runner(), None, LEASE_S, actor=BY_RUNNER)["attempt"]
    found = {attempt["id"]: attempt["status"] for attempt in board(live)["attempts"]}
    assert len(found) == board_work.ATTEMPTS_MAX
    assert found[running.id] == "starting"
    assert over.id not in found


def test_an_expired_lease_never_reads_as_running_from_a_kept_board(live, work):
    runner = work.runner()
    attempt = work.running(live.ticket(live.project()), runner)
    kept = live.services.snapshots.board("CTX")
    live.clock.advance(LEASE_S - 1)
    assert live.services.snapshots.board("CTX", head=kept.head) is kept
    work.beat(runner, attempt)  # which is no event
    live.clock.advance(2)
    renewed = live.services.snapshots.board("CTX", head=kept.head)
    assert (renewed is kept, renewed.head, renewed.tag) == (False, kept.head, kept.tag)
    assert live.services.snapshots.board("CTX") is renewed
    live.clock.advance(LEASE_S)
    lost = live.services.snapshots.board("CTX", head=kept.head)
    assert [a["status"] for a in json.loads(lost.body)["attempts"]] == ["lost"]
    assert (lost.head, lost.tag != kept.tag) == (kept.head, True)
    assert statuses(live.open("CTX")) == ["lost"]


def test_nor_does_a_merger_that_is_gone_stay_on_it(live, work):
    """The claim of a merge and its end by silence are no events."""
    project, runner = live.project(), work.runner()
    wanted = {"tickets": [live.ticket(project).key], "agent": "shell"}
    live.do(batches.create, project, wanted)
    attempt = work.claim(runner)["attempt"]
    work.tell(attempt, status="running")
    work.end(attempt)
    assert live.do(batch_merges.claim, runner, None, LEASE_S)["batch"].runner == runner.name

    def merger(**known):
        (batch,) = json.loads(live.services.snapshots.board("CTX", **known).body)["batches"]
        return batch["runner"]

    live.ticket(project)  # something happens, and the board is read anew
    assert merger() == runner.name
    live.clock.advance(LEASE_S)
    assert merger(head=live.services.store.published) is None


def test_a_stream_begins_with_the_statuses_of_recent_attempts(live, work):
    project = live.project()
    running = work.running(live.ticket(project))
    queued = work.start(live.ticket(project))
    reader = live.open("CTX")
    assert reader.names == ["hello", "attempt.status", "attempt.status", "state"]
    for frame, attempt in zip(reader.of("attempt.status"), (running, queued), strict=True):
        assert frame.id is None
        assert frame.data["payload"] == live.do(attempts.get, attempt.id).json_dict()
        assert (frame.data["type"], frame.data["snapshot"]) == ("attempt.status", True)
        assert (frame.data["project"], frame.data["ticket"]) == ("CTX", attempt.ticket)
    work.end(running)
    assert "attempt.status" in [event["type"] for event in reader.settle().events]


def test_each_stream_gets_the_statuses_that_it_is_about(live, work):
    project = live.project()
    mine, other = live.ticket(project), live.ticket(project)
    work.running(mine)
    work.start(other)
    agent = live.grant("agent", ticket=mine.key)
    assert statuses(live.open("CTX", grant=agent)) == ["running"]
    assert statuses(live.open("CTX", ticket=other.key)) == ["queued"]
    assert statuses(live.open("CTX", types=frozenset(["ticket.moved"]))) == []
    assert statuses(live.open("CTX", types=frozenset(["attempt.status"]))) == ["running", "queued"]
    assert statuses(live.open("CTX", snapshot=False)) == []
    assert statuses(live.open(None)) == ["running", "queued"]
    live.project("OTHER")
    assert statuses(live.open(None, grant=live.grant("read", ["OTHER"]))) == []


def test_after_a_reset_they_come_again_before_the_state(live, work):
    work.running(live.ticket(live.project()))
    reader = live.open("CTX", cursor=("00000000", 1))
    assert reader.names == ["hello", "reset", "attempt.status", "state"]


def test_the_reconciler_tells_of_silence_once(live, work):
    """The server of an agent whose runner is gone, and a session that somebody left at work."""
    reconciler = Reconciler(live.services)
    ticket = live.ticket(live.project())
    live.do(instances.put, work.running(ticket), {"status": "running"})
    live.do(sessions.start, ticket, {"status": "working"})
    reader = live.open("CTX")
    for _ in range(62):
        live.clock.advance(5)
        reconciler.tick(live.clock.monotonic())
    told = [(event["type"], event["payload"]) for event in reader.settle().events]
    assert [p["status"] for name, p in told if name == "opencode.status"] == [
        "unhealthy",
        "stopped",
    ]
    assert [p["stale"] for name, p in told if name == "session.status"] == [True]


def test_text_by_deltas_is_a_sign_of_life_and_whole_at_the_end(live):
    reconciler = Reconciler(live.services)
    session = live.do(sessions.start, live.ticket(live.project()), {"status": "working"})
    part = {"type": "text", "text": "", "status": "streaming"}
    fields = {"role": "assistant", "parts": [part]}
    message, _ = live.do(messages.put, session, "m", fields, None)
    before = live.store.published
    for number in range(64):
        live.services.live.append(message, 0, 5 * number, "abcd ")
        live.clock.advance(5)
        reconciler.tick(live.clock.monotonic())
    assert live.store.published == before, "no event"
    live.services.live.append(message, 0, 320, "and the end")
    live.do(sessions.end, session, None, None)
    stored = live.do(messages.get, session.id, "m")
    assert stored.parts[0].text == "abcd " * 64 + "and the end"
    assert (stored.status, live.store.published - before) == ("complete", 2)
