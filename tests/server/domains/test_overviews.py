"""An attempt that waits for what a person says next is among what needs one."""

from cortex_server.domains import attempts, conversations, overviews, questions, sessions
from tests.support.at_work import LEASE_S, RUNNER, claimed
from tests.support.attempts import Work


def needs(see, project):
    found = see(overviews.of_project, project)
    assert found.counts["needs"] == len(found.needs)
    return [(need["kind"], need["id"], need["agent"]) for need in found.needs]


def test_a_turn_that_ended_waits_for_a_person_until_one_says_something(
    do, see, clock, project, ticket
):
    attempt = claimed(do, ticket)
    session = see(sessions.get, attempt.session)
    asked, _ = do(questions.ask, session, {"title": "Which?", "free_text": True}, actor=RUNNER)
    assert needs(see, project) == [("question", asked.id, "shell")], "it is asked, no turn"

    do(questions.withdraw, asked)
    do(sessions.patch, see(sessions.get, session.id), {"status": "idle"}, None, actor=RUNNER)
    assert needs(see, project) == [], "it works, between two turns"

    waits = Work(do).tell(see(attempts.get, attempt.id), status="waiting")
    (need,) = see(overviews.of_project, project).needs
    assert need == {
        "kind": "turn", "id": attempt.id, "project": "CTX", "ticket": ticket.key,
        "title": "Build it", "agent": "shell", "text": "Build it", "at": waits.updated_at,
        "session": session.id,
    }  # fmt: skip

    do(conversations.prompt, see(sessions.get, session.id), "Go on")
    Work(do).tell(see(attempts.get, attempt.id), status="running")
    assert needs(see, project) == []

    Work(do).tell(see(attempts.get, attempt.id), status="waiting")
    clock.advance(LEASE_S)
    assert needs(see, project) == [("lost", attempt.id, "shell")], "nobody holds it: one entry"
