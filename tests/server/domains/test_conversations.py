"""Sessions of attempts: how they begin, what people say into them, and how they end with them."""

import pytest

from cortex_server.domains import (
    agents,
    attempts,
    commands,
    conversations,
    instances,
    messages,
    permissions,
    questions,
    sessions,
)
from cortex_server.domains.live import LiveText
from cortex_server.errors import Conflict, Invalid
from tests.support.at_work import LEASE_S, RUNNER, claimed, waiting_commands
from tests.support.attempts import refused

STREAMING = {
    "role": "assistant", "parts": [{"type": "text", "text": "", "status": "streaming"}],
}  # fmt: skip
QUESTION = {"title": "Which?", "free_text": True}


@pytest.fixture
def attempt(do, ticket, happened):
    made = claimed(do, ticket)
    happened()
    return made


def start(do, ticket, **fields):
    return do(conversations.start, ticket, fields, actor=RUNNER)


def test_the_first_session_of_an_attempt_is_its_root(do, see, ticket, happened):
    attempt = claimed(do, ticket)
    root = see(sessions.get, attempt.session)
    assert root.attempt == attempt.id
    told = [event for event in happened() if event["type"] == "attempt.session"]
    expected = {
        "attempt": attempt.id, "revision": 2, "updated_at": attempt.updated_at,
        "session": root.id, "root": True,
    }  # fmt: skip
    assert [event["payload"] for event in told] == [expected]


def test_a_child_and_a_second_session_are_of_the_attempt_and_not_its_root(
    do, see, ticket, attempt, happened
):
    child = start(do, ticket, parent_id=attempt.session)
    second = start(do, ticket, attempt=attempt.id)
    assert (child.attempt, second.attempt) == (attempt.id, attempt.id)
    told = [e["payload"]["root"] for e in happened() if e["type"] == "attempt.session"]
    assert told == [False, False]
    assert see(attempts.get, attempt.id).session == attempt.session


def test_an_attempt_of_another_ticket_or_one_that_ended_gets_no_session(
    do, ticket, other_ticket, attempt
):
    for given in (attempt.id, "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"):
        with pytest.raises(Invalid) as refused:
            start(do, other_ticket, attempt=given)
        assert refused.value.extra["errors"][0]["field"] == "attempt"
    do(attempts.end, attempt.id, attempt.generation, "failed")
    with pytest.raises(Conflict) as ended:
        start(do, ticket, attempt=attempt.id)
    assert ended.value.code == "attempt_ended"


def test_a_prompt_is_a_message_of_the_user_and_a_command(do, see, attempt, happened):
    session = see(sessions.get, attempt.session)
    said = do(conversations.prompt, session, "Also fix it")
    assert (said.role, said.status, said.parts[0].text) == ("user", "complete", "Also fix it")
    event = happened.one()
    assert (event["type"], event["payload"]) == ("message.created", said.json_dict())
    (command,) = waiting_commands(see)
    payload = {"session": session.id, "text": "Also fix it", "message": said.id}
    assert command == {"kind": "prompt", "attempt": attempt.id, "payload": payload}


def test_an_abort_is_a_command_and_told(do, see, attempt, happened):
    do(conversations.abort, see(sessions.get, attempt.session))
    (command,) = waiting_commands(see)
    assert (command["kind"], command["payload"]) == ("abort", {"session": attempt.session})
    event = happened.one()
    assert event["type"] == "message.created", "it wakes the runner"
    assert (event["payload"]["role"], event["payload"]["session"]) == ("system", attempt.session)


@pytest.mark.parametrize(("verb", "said"), [("prompt", ("Go on",)), ("abort", ())])
def test_what_an_agent_is_known_not_to_take_is_refused(do, see, ticket, happened, verb, said):
    attempt = claimed(do, ticket)
    mute = [{"name": "shell", "adapter": "mute", "capabilities": ["todos"]}]
    do(agents.offered, mute, [see(agents.get, "shell")])
    happened()
    with refused("not_offered"):
        do(getattr(conversations, verb), see(sessions.get, attempt.session), *said)
    assert (happened.types(), waiting_commands(see)) == ([], [])


@pytest.mark.parametrize("verb", ["prompt", "abort"])
def test_where_nobody_would_hear_it_nothing_is_said(do, see, clock, ticket, attempt, verb):
    arguments = ("hello",) if verb == "prompt" else ()
    by_hand = do(sessions.start, ticket, {})
    session = see(sessions.get, attempt.session)
    ended = do(sessions.end, start(do, ticket, parent_id=session.id), None, None)
    clock.advance(LEASE_S)
    codes = []
    for of in (by_hand, ended, session):
        with pytest.raises(Conflict) as refused:
            do(getattr(conversations, verb), of, *arguments)
        codes.append(refused.value.code)
    assert codes == ["nobody_holds", "session_ended", "nobody_holds"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("succeeded", "succeeded"), ("failed", "failed"), ("cancelled", "cancelled")],
)
def test_what_belongs_to_an_attempt_ends_with_it(
    do, see, store, attempt, happened, status, outcome
):
    live = LiveText()
    store.store_text = live.flush
    root = see(sessions.get, attempt.session)
    child = do(conversations.start, see_ticket(see, attempt), {"parent_id": root.id})
    over = do(conversations.start, see_ticket(see, attempt), {"parent_id": root.id})
    do(sessions.end, over, "failed", None)
    message, _ = do(messages.put, child, "m-1", STREAMING, None)
    live.append(message, 0, 0, "half a sen")
    do(questions.ask, child, QUESTION)
    do(instances.put, attempt, {"status": "running"})
    happened()

    do(attempts.end, attempt.id, attempt.generation, status)
    types = [t for t in happened.types() if t != "ticket.moved"]
    assert types == [
        "attempt.status", "permission.replied", "message.updated", "session.ended",
        "session.ended", "opencode.status",
    ]  # fmt: skip
    ended = [see(sessions.get, session.id) for session in (root, child, over)]
    assert [session.outcome for session in ended] == [outcome, outcome, "failed"]
    stored = see(messages.get, child.id, "m-1")
    assert (stored.status, stored.parts[0].text) == ("complete", "half a sen")
    assert see(permissions.open_of_attempt, attempt.id) == []
    assert see(instances.find, attempt.id).status == "stopped"


def see_ticket(see, attempt):
    from cortex_server.domains import tickets

    return see(tickets.get, attempt.ticket)


def test_a_lost_attempt_takes_its_sessions_along(do, see, clock, attempt):
    do(questions.ask, see(sessions.get, attempt.session), QUESTION)
    clock.advance(LEASE_S)
    assert do(attempts.lose, attempt.id).status == "lost"
    session = see(sessions.get, attempt.session)
    assert (session.status, session.outcome) == ("ended", "failed")
    assert see(permissions.open_of_attempt, attempt.id) == []


def test_the_end_of_a_session_withdraws_what_it_asked(do, see, ticket, attempt, happened):
    child = start(do, ticket, parent_id=attempt.session)
    do(questions.ask, child, QUESTION)
    happened()
    do(conversations.end, see(sessions.get, child.id), None, None)
    assert happened.types() == ["session.ended", "permission.replied", "attempt.status"]
    assert see(attempts.get, attempt.id).status == "running"


def test_a_flood_of_prompts_is_refused_and_holds_up_no_stop(do, see, attempt):
    session = see(sessions.get, attempt.session)
    for _ in range(commands.OF_ONE_MAX):
        do(conversations.abort, session)
    for verb, said in ((conversations.abort, ()), (conversations.prompt, ("again",))):
        with pytest.raises(Conflict) as caught:
            do(verb, session, *said)
        assert caught.value.code == "too_many_commands"
    do(attempts.stop, attempt)
    kinds = [command["kind"] for command in waiting_commands(see)]
    assert kinds == ["stop"] + ["abort"] * commands.OF_ONE_MAX
