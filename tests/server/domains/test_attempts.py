"""Attempts: what may start, what may follow, how they end, and what that does to the board."""

import pytest

from cortex_server.domains import (
    attempt_states,
    attempts,
    commands,
    endings,
    profiles,
    projects,
    settings,
    tickets,
)
from cortex_server.events.work import AttemptStatus
from tests.support.attempts import Work, refused

# What a runner may say by PATCH; written out, so that the table cannot change unseen.
FOLLOWS = {
    ("starting", "running"), ("starting", "waiting"), ("running", "waiting"),
    ("waiting", "running"),
}  # fmt: skip


@pytest.fixture
def work(do):
    return Work(do)


def test_an_attempt_begins_in_the_queue_and_is_told_as_it_is_stored(
    work, see, ticket, other_ticket, happened
):
    work.runner()
    happened()
    first, second = work.start(ticket, prompt="Hurry", base="main"), work.start(ticket)
    assert (first.status, first.number, first.generation) == ("queued", 1, 0)
    assert (second.number, work.start(other_ticket).number) == (2, 1)
    told = happened()
    assert [event["type"] for event in told] == ["attempt.started"] * 3
    assert told[0]["payload"] == see(attempts.get, first.id).json_dict()
    assert (told[0]["project"], told[0]["ticket"]) == ("CTX", ticket.key)


def test_an_agent_that_nobody_offered_is_refused_with_those_that_there_are(work, ticket, happened):
    with refused("agent_unknown") as caught:
        work.start(ticket, "claude")
    assert "cortex runner" in caught.value.detail
    work.runner(agents=["opencode", "shell"])
    with refused("agent_unknown") as caught:
        work.start(ticket, "claude")
    assert "opencode, shell" in caught.value.detail


def test_a_profile_must_be_for_the_agent_and_the_project(work, do, ticket):
    work.runner(agents=["shell", "opencode"])
    do(projects.create, {"key": "TWO", "name": "Two"})
    do(profiles.create, {"name": "fast", "agent": "shell", "options": {"model": "m"}})
    do(profiles.create, {"name": "other", "agent": "opencode"})
    do(profiles.create, {"name": "there", "agent": "shell", "project": "two"})
    assert work.start(ticket, profile="fast").profile == "fast"
    for profile in ("other", "there", "none"):
        with refused("invalid"):
            work.start(ticket, profile=profile)


def test_a_base_that_git_would_take_for_an_option_is_refused(work, ticket):
    work.runner()
    with refused("invalid"):
        work.start(ticket, base="--upload-pack=x")


def test_nothing_starts_on_an_archived_ticket(work, do, ticket):
    work.runner()
    archived = do(tickets.patch, ticket, {"archived": True}, None)
    with refused("ticket_archived"):
        work.start(archived)


def test_the_table_knows_every_status_and_final_ones_lead_nowhere():
    assert set(attempt_states.FINAL) == {"succeeded", "failed", "cancelled", "lost"}
    assert set(attempt_states.ACTIVE) | set(attempt_states.FINAL) == set(AttemptStatus.__args__)


@pytest.mark.parametrize("before", ["starting", "running", "waiting", "stopping"])
@pytest.mark.parametrize("after", ["starting", "running", "waiting"])
def test_only_what_may_follow_is_taken_from_a_runner(
    work, do, see, ticket, happened, before, after
):
    runner = work.runner()
    attempt = work.start(ticket)
    work.claim(runner)
    if before in ("running", "waiting"):
        work.tell(attempt, status=before)
    elif before == "stopping":
        do(attempts.stop, attempt)
    happened()
    if before == after:
        assert work.tell(attempt, status=after).status == after
        assert happened() == []
    elif (before, after) in FOLLOWS:
        assert work.tell(attempt, status=after).status == after
        # The first time that it runs its conversation begins to work.
        works = ["session.status"] if after == "running" else []
        assert happened.types() == ["attempt.status", *works]
    else:
        with refused("refused_transition") as caught:
            work.tell(attempt, status=after, branch="x")
        assert before in caught.value.detail
        assert after in caught.value.detail
        assert see(attempts.get, attempt.id).branch is None
        assert happened() == []


def test_an_agent_that_never_ran_did_not_succeed(work, ticket):
    runner = work.runner()
    attempt = work.start(ticket)
    work.claim(runner)
    with refused("refused_transition"):
        work.end(attempt, "succeeded")
    assert work.end(attempt, "failed", reason="not installed", exit_code=127).exit_code == 127


def test_stage_and_status_are_two_events_of_one_revision(work, ticket, happened):
    attempt = work.running(ticket)
    happened()
    told = work.tell(attempt, status="waiting", stage="executing", progress="half", branch="b")
    assert told.revision == attempt.revision + 1
    status, progress = happened()
    assert status["payload"] == told.json_dict()
    assert progress["payload"] == {
        "attempt": attempt.id, "stage": "executing", "progress": "half",
        "revision": told.revision, "updated_at": told.updated_at,
    }  # fmt: skip


def test_a_session_of_another_attempt_is_refused(work, ticket, other_ticket):
    runner = work.runner()
    attempt, other = work.running(ticket, runner), work.running(other_ticket, runner)
    with refused("invalid"):
        work.tell(attempt, session=other.session)


def test_secrets_do_not_come_in_with_progress_and_reason(work, ticket):
    attempt = work.running(ticket)
    secret = "ghp_" + "a1B2" * 9
    assert secret not in work.tell(attempt, progress=f"with {secret}").progress
    assert secret not in work.end(attempt, "failed", reason=f"with {secret}").reason


def test_what_is_stopped_in_the_queue_is_cancelled_at_once(work, do, see, ticket, happened):
    runner = work.runner()
    attempt = work.start(ticket)
    happened()
    stopped = do(attempts.stop, attempt)
    assert (stopped.status, stopped.reason) == ("cancelled", "Stopped by alice.")
    assert stopped.ended_at is not None
    assert happened.types() == ["attempt.status"]
    assert see(commands.waiting, runner.name) == []
    assert work.claim(runner) is None
    with refused("attempt_ended"):
        do(attempts.stop, attempt)


def test_a_stop_is_a_command_and_the_end_is_when_the_runner_says_so(
    work, do, see, ticket, happened
):
    attempt = work.running(ticket)
    happened()
    assert do(attempts.stop, attempt).status == "stopping"
    assert happened.types() == ["attempt.status"]
    assert do(attempts.stop, attempt).status == "stopping"
    assert happened() == []
    (command,) = see(commands.waiting, "r-1")
    assert (command.kind, command.attempt, command.payload) == ("stop", attempt.id, {})
    ended = work.end(attempt, "cancelled")
    assert (ended.status, ended.reason) == ("cancelled", "Stopped by alice.")
    assert see(commands.waiting, "r-1") == []


def test_the_end_is_told_once_and_another_one_is_refused(work, ticket, happened):
    attempt = work.running(ticket)
    happened()
    ended = work.end(attempt, "failed", reason="exit 1", exit_code=1)
    assert (ended.status, ended.reason, ended.exit_code) == ("failed", "exit 1", 1)
    assert happened.types() == ["attempt.status", "session.ended"]
    assert work.end(attempt, "failed") == ended
    with refused("attempt_ended"):
        work.end(attempt, "succeeded")
    with refused("attempt_ended"):
        work.tell(attempt, stage="done")
    assert happened() == []


def test_a_claim_that_is_none_is_refused(work, see, ticket):
    work.runner()
    queued = work.start(ticket)
    for generation in (0, 1):
        with refused("stale_generation"):
            see(attempts.owned, queued.id, generation)


def test_an_old_generation_is_refused(work, see, ticket):
    attempt = work.running(ticket)
    for generation in (0, 2):
        with refused("stale_generation"):
            see(attempts.owned, attempt.id, generation)
    assert see(attempts.owned, attempt.id, 1).id == attempt.id


def test_what_went_wrong_can_be_tried_again(work, do, ticket, happened):
    work.runner()
    first = work.start(ticket, prompt="Hurry", base="dev")
    with refused("not_over"):
        do(attempts.retry, first)
    do(attempts.stop, first)
    happened()
    again = do(attempts.retry, first)
    assert (again.retry_of, again.number, again.status) == (first.id, 2, "queued")
    assert (again.agent, again.prompt, again.base) == ("shell", "Hurry", "dev")
    assert happened.types() == ["attempt.started"]
    do(attempts.stop, again)
    done = work.running(ticket)
    with refused("not_over"):
        do(attempts.retry, work.end(done))


def test_waiting_for_a_person_comes_and_goes(work, do, ticket, happened):
    attempt = work.running(ticket)
    happened()
    assert do(attempts.set_waiting, attempt, True).status == "waiting"
    do(attempts.set_waiting, attempt, True)
    assert happened.types() == ["attempt.status"]
    assert do(attempts.set_waiting, attempt, False).status == "running"
    do(attempts.stop, attempt)
    happened()
    assert do(attempts.set_waiting, attempt, True).status == "stopping"
    assert happened() == []


def test_a_command_waits_until_it_is_acknowledged(work, do, see, ticket, happened):
    attempt = work.running(ticket)
    happened()
    command = do(attempts.request, attempt, "prompt", {"session": attempt.session, "text": "Go"})
    assert see(commands.waiting, "r-1") == [command]
    assert (see(commands.count, "r-1"), see(commands.count, "r-2")) == (1, 0)
    with refused("not_found"):
        do(commands.acknowledge, "r-2", command.id, None)
    do(commands.acknowledge, "r-1", command.id, "it is deaf")
    assert see(commands.waiting, "r-1") == []
    log = happened.one()
    assert (log["type"], log["payload"]["kind"]) == ("attempt.log", "system")
    assert "it is deaf" in log["payload"]["text"]
    assert do(commands.acknowledge, "r-1", command.id, "again").id == command.id
    assert happened() == []


def test_nobody_can_be_asked_for_what_is_not_claimed(work, do, ticket):
    work.runner()
    attempt = work.start(ticket)
    with refused("no_runner"):
        do(attempts.request, attempt, "abort", {})
    do(attempts.stop, attempt)
    with refused("attempt_ended"):
        do(attempts.request, attempt, "abort", {})


def test_old_commands_are_forgotten(work, do, see, ticket, clock):
    attempt = work.running(ticket)
    command = do(attempts.request, attempt, "abort", {})
    clock.advance(90_000)
    assert do(commands.expire) == 0
    do(commands.acknowledge, "r-1", command.id, None)
    clock.advance(90_000)
    assert do(commands.expire) == 1


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_ticket_that_is_worked_on_is_not_taken_away(work, do, ticket, project, status):
    attempt = work.running(ticket) if status == "running" else None
    if attempt is None:
        work.runner()
        attempt = work.start(ticket)
    words = "claimed by runner r-1" if status == "running" else "in the queue"
    for verb, *arguments in (
        (tickets.delete, ticket, None),
        (tickets.patch, ticket, {"archived": True}, None),
        (projects.delete, project, None),
    ):
        with refused("attempt_active") as caught:
            do(verb, *arguments)
        assert f"Ticket {ticket.key} " in caught.value.detail
        assert words in caught.value.detail
        assert "stop its attempt first" in caught.value.detail
    do(attempts.stop, attempt)
    if status == "running":
        work.end(attempt, "cancelled")
    do(tickets.patch, ticket, {"archived": True}, None)
    do(projects.delete, project, None)


def column(see, ticket):
    return see(tickets.get, ticket.key).status


def test_the_board_follows_the_work(work, do, see, ticket, happened):
    attempt = work.running(ticket)
    assert column(see, ticket) == "progress"
    happened()
    work.end(attempt)
    assert column(see, ticket) == "review"
    assert happened.types() == ["attempt.status", "ticket.moved", "session.ended"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_did_not_succeed_stays_where_it_is(work, do, see, ticket, status):
    work.end(work.running(ticket), status)
    assert column(see, ticket) == "progress"


def test_a_ticket_is_never_moved_back_from_where_a_person_put_it(work, do, see, ticket):
    runner = work.runner()
    do(tickets.move, ticket, "review", None, None)
    attempt = work.running(ticket, runner)
    assert column(see, ticket) == "review"
    do(tickets.move, see(tickets.get, ticket.key), "done", None, None)
    work.end(attempt)
    assert column(see, ticket) == "done"


@pytest.mark.parametrize("target", ["", "nowhere"])
def test_a_rule_that_is_off_or_names_no_column_moves_nothing(work, do, see, ticket, target):
    do(settings.patch, "CTX", {"started_moves_to": target, "succeeded_moves_to": target}, None)
    work.end(work.running(ticket))
    assert column(see, ticket) == "backlog"


def test_what_follows_an_end_is_called_once_with_what_is_stored(work, do, ticket, monkeypatch):
    seen = []
    monkeypatch.setattr(endings, "_GOING_ON", [])

    @endings.going_on
    def note(tx, ended):
        seen.append((ended.status, attempts.get(tx, ended.id) == ended))

    work.end(work.running(ticket), "failed")
    do(attempts.stop, work.start(ticket))
    assert seen == [("failed", True), ("cancelled", True)]
