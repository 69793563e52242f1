"""Questions to people: who waits, who may answer what, and that the runner hears the answer."""

import pytest

from cortex_server.domains import attempts, permissions, questions, sessions
from cortex_server.domains.permissions import PermissionFilter
from cortex_server.errors import Conflict, Invalid
from tests.support.at_work import claimed, waiting_commands
from tests.support.attempts import BY_RUNNER
from tests.support.stores import ALICE, BOB

ALLOW = [{"id": "once", "label": "Allow once"}, {"id": "reject", "label": "Reject"}]
ASKED = {"kind": "permission", "title": "Run ls?", "detail": "ls -l", "options": ALLOW}


@pytest.fixture
def attempt(do, ticket, happened):
    made = claimed(do, ticket)
    happened()
    return made


@pytest.fixture
def session(do, attempt):
    return do(sessions.get, attempt.session)


def ask(do, session, by=BY_RUNNER, **fields):
    return do(questions.ask, session, {**ASKED, **fields}, actor=by)[0]


def reply(do, permission, *choices, text=None):
    return do(questions.reply, permission, choices, text)


def test_a_question_makes_its_session_and_its_attempt_wait(do, see, attempt, session, happened):
    asked = ask(do, session, external_id="q-1")
    assert (asked.attempt, asked.state, asked.asked_by) == (attempt.id, "open", BY_RUNNER)
    events = happened()
    assert [e["type"] for e in events] == ["permission.asked", "session.status", "attempt.status"]
    assert events[0]["payload"] == see(permissions.get, asked.id).json_dict()
    assert see(sessions.get, session.id).status == "awaiting_input"
    assert see(attempts.get, attempt.id).status == "waiting"


def test_an_answer_is_told_goes_to_the_runner_and_lets_them_go_on(
    do, see, attempt, session, happened
):
    asked = ask(do, session, external_id="q-1")
    happened()
    answered = reply(do, asked, "once")
    assert (answered.state, answered.choices, answered.answered_by) == ("answered", ["once"], ALICE)
    events = happened()
    assert [e["type"] for e in events] == ["permission.replied", "session.status", "attempt.status"]
    assert events[0]["payload"] == answered.json_dict()
    assert see(sessions.get, session.id).status == "working"
    assert see(attempts.get, attempt.id).status == "running"
    (command,) = waiting_commands(see)
    assert (command["kind"], command["attempt"]) == ("answer", attempt.id)
    assert command["payload"] == {
        "permission": asked.id, "external_id": "q-1", "choices": ["once"], "text": None,
    }  # fmt: skip


def test_what_an_agent_asks_by_itself_is_no_business_of_its_runner(do, see, attempt, session):
    asked = ask(do, session, by=BOB)
    assert BOB.kind == "agent"
    reply(do, asked, "once")
    assert waiting_commands(see) == []
    assert see(attempts.get, attempt.id).status == "running"


def test_asked_again_under_its_name_it_is_asked_once(do, session, happened):
    first = ask(do, session, external_id="q-1")
    happened()
    again, is_new = do(questions.ask, session, {**ASKED, "external_id": "q-1"})
    assert (again, is_new) == (first, False)
    assert happened() == []
    assert [do(questions.ask, session, ASKED)[1] for _ in range(2)] == [True, True]


def test_with_two_questions_open_the_first_answer_changes_nobody(do, see, attempt, session):
    first, second = ask(do, session), ask(do, session)
    reply(do, first, "once")
    assert see(sessions.get, session.id).status == "awaiting_input"
    assert see(attempts.get, attempt.id).status == "waiting"
    do(questions.withdraw, second)
    assert see(sessions.get, session.id).status == "working"
    assert see(attempts.get, attempt.id).status == "running"


def test_a_second_answer_is_refused_and_says_who_answered(do, see, session, happened):
    asked = ask(do, session)
    answered = reply(do, asked, "once")
    happened()
    with pytest.raises(Conflict) as refused:
        reply(do, answered, "reject")
    assert refused.value.code == "already_answered"
    assert "alice" in refused.value.detail
    assert refused.value.extra["answered_by"] == ALICE.json_dict()
    assert do(questions.withdraw, answered) == answered
    assert happened() == []
    assert len(waiting_commands(see)) == 1


def test_what_is_withdrawn_cannot_be_answered(do, session, happened):
    asked = do(questions.withdraw, ask(do, session))
    assert (asked.state, asked.answered_by) == ("withdrawn", None)
    assert happened.types()[3:] == ["permission.replied", "session.status", "attempt.status"]
    with pytest.raises(Conflict) as refused:
        reply(do, asked, "once")
    assert refused.value.code == "withdrawn"
    assert do(questions.withdraw, asked) == asked


@pytest.mark.parametrize(
    ("fields", "choices", "text", "field"),
    [
        ({}, ["always"], None, "choices"),
        ({}, ["once", "reject"], None, "choices"),
        ({"multiple": True}, ["once", "once"], None, "choices"),
        ({}, [], None, "choices"),
        ({}, ["once"], "and be quick", "text"),
        ({"options": [], "free_text": True}, [], " ", "text"),
        ({"options": [], "free_text": True}, ["once"], None, "choices"),
    ],
)
def test_an_answer_that_is_not_offered_is_refused(do, session, fields, choices, text, field):
    asked = ask(do, session, **fields)
    with pytest.raises(Invalid) as refused:
        reply(do, asked, *choices, text=text)
    assert refused.value.extra["errors"][0]["field"] == field


def test_several_may_be_chosen_and_words_said_where_that_is_offered(do, see, session):
    several = reply(do, ask(do, session, multiple=True), "reject", "once")
    assert several.choices == ["reject", "once"]
    secret = "ghp_" + "a1B2" * 9
    said = reply(do, ask(do, session, free_text=True), text=f"use {secret}")
    assert (said.choices, said.text) == ([], "use " + "*" * len(secret))
    assert waiting_commands(see)[-1]["payload"]["text"] == f"use {secret}", "the agent needs it"


@pytest.mark.parametrize(
    "fields", [{"options": []}, {"options": [ALLOW[0], {**ALLOW[1], "id": "once"}]}]
)
def test_a_question_without_an_answer_cannot_be_asked(do, session, happened, fields):
    with pytest.raises(Invalid) as refused:
        ask(do, session, **fields)
    assert refused.value.extra["errors"][0]["field"] == "options"
    assert happened() == []


def test_a_session_by_hand_asks_and_watches_for_the_answer(do, see, ticket, happened):
    by_hand = do(sessions.start, ticket, {}, actor=BOB)
    asked = ask(do, by_hand)
    answered = reply(do, asked, "once")
    assert answered.attempt is None
    assert happened.types() == [
        "session.started", "permission.asked", "session.status", "permission.replied",
        "session.status",
    ]  # fmt: skip
    assert see(sessions.get, by_hand.id).status == "working"


def test_questions_are_found_by_what_they_are_of(do, see, ticket, other_ticket, session):
    mine = ask(do, session)
    by_hand = do(sessions.start, other_ticket, {})
    other = ask(do, by_hand)
    answered = reply(do, ask(do, by_hand), "once")

    def found(**wanted):
        page = see(permissions.listing, PermissionFilter(**wanted), limit=10, cursor=None)
        return [p.id for p in page.items]

    assert found() == [mine.id, other.id, answered.id]
    assert found(state="open") == [mine.id, other.id]
    assert found(ticket=other_ticket.key, state="open") == [other.id]
    assert found(readable=frozenset(["CTX"])) == [mine.id, other.id, answered.id]
    assert found(readable=frozenset()) == []
    first = see(permissions.listing, PermissionFilter(), limit=2, cursor=None)
    rest = see(permissions.listing, PermissionFilter(), limit=2, cursor=first.next_cursor)
    assert [p.id for p in rest.items] == [answered.id]


def test_only_so_many_questions_of_an_attempt_are_open(do, see, ticket, attempt, session):
    child = do(sessions.start, ticket, {}, attempt.id)  # another session of it makes no room
    asked = [ask(do, (session, child)[n % 2]) for n in range(questions.OPEN_MAX)]
    with pytest.raises(Conflict, match="wait for an answer") as caught:
        ask(do, child)
    assert caught.value.code == "too_many_questions"
    assert len(see(permissions.open_of_attempt, attempt.id)) == questions.OPEN_MAX
    do(questions.withdraw, asked[0])
    ask(do, child)
