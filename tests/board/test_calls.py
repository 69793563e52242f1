"""What is asked of agents, against a real server: what it answers, and what it refuses."""

import itertools

import pytest

from cortex_cli import sdk
from cortex_cli.board import asks as a
from cortex_cli.board import calls
from cortex_cli.board import messages as m
from cortex_cli.board.model import DIFF

pytestmark = pytest.mark.e2e


class Place:
    """A project of its own, a runner that offers the agent `shell`, and a client."""

    def __init__(self, server, key):
        self.server, self.key = server, key
        self.client = sdk.CortexClient(server.url, server.token)
        server.make("/projects", key=key, name=key)
        self.ticket = server.make(f"/projects/{key}/tickets", title="T")["key"]
        agents = [{"name": "shell", "adapter": "command", "capabilities": ["prompt", "abort"]}]
        fields = {"name": f"r-{key}", "host": "here", "version": "1", "parallel": 9}
        self.runner = server.make("/runners", projects=[key], agents=agents, **fields)["id"]

    def running(self):
        """The claim of a new attempt that a runner has begun to work on."""
        self.server.make(f"/tickets/{self.ticket}/attempts", agent="shell")
        claim = self.server.make(f"/runners/{self.runner}/claim")["claim"]
        path = f"/attempts/{claim['attempt']['id']}"
        self.server.api("PATCH", path, {"generation": 1, "status": "running"})
        return claim

    def ask(self, ask):
        try:
            return calls.changed(self.client, ask)
        except sdk.CortexError as error:
            return calls.refusal(ask, error)


@pytest.fixture(scope="module")
def keys():
    return itertools.count(1)


@pytest.fixture
def place(shared_server, keys):
    made = Place(shared_server, f"P{next(keys)}")
    yield made
    made.client.close()


def test_an_attempt_is_started_stopped_and_tried_again(place):
    started = place.ask(a.StartAttempt(place.ticket, "shell", ""))
    assert (started.target, started.result.status) == (place.ticket, "queued")

    stopped = place.ask(a.StopAttempt(started.result.id))
    assert stopped.result.status == "cancelled"
    assert stopped.said == f"{place.ticket}/1 is cancelled"

    again = place.ask(a.RetryAttempt(started.result.id, place.ticket))
    assert (again.target, again.result.number, again.result.status) == (place.ticket, 2, "queued")


def test_a_profile_is_started_as_its_agent(place):
    place.server.make("/profiles", name=f"careful-{place.key}", agent="shell", project=place.key)

    started = place.ask(a.StartAttempt(place.ticket, "shell", f"careful-{place.key}"))

    assert started.result.profile == f"careful-{place.key}"


def test_a_question_is_answered_and_words_go_to_the_agent(place):
    session = place.running()["session"]["id"]
    options = [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]
    asks = {"kind": "question", "title": "Which?", "options": options, "multiple": True}
    asked = place.server.make(f"/sessions/{session}/permissions", **asks)["id"]

    answered = place.ask(a.Answer(asked, ("a", "b"), ""))
    assert (answered.target, answered.result.state) == (asked, "answered")
    assert place.ask(a.Say(session, "Go on")).said
    assert place.ask(a.Abort(session)).said

    kinds = [
        c["kind"]
        for c in place.server.api("GET", f"/runners/{place.runner}/commands").json()["items"]
    ]
    assert kinds == ["answer", "prompt", "abort"]


def test_an_answer_in_words(place):
    session = place.running()["session"]["id"]
    asks = {"kind": "question", "title": "Why?", "options": [], "free_text": True}
    asked = place.server.make(f"/sessions/{session}/permissions", **asks)["id"]

    assert place.ask(a.Answer(asked, (), "So it is")).result.state == "answered"
    refused = place.ask(a.Answer(asked, (), "Once more"))
    assert "was answered by" in refused.why
    assert refused.draft == (f"answer {asked}", "Once more")


@pytest.mark.parametrize("note", ["", "Smaller"])
def test_a_review_is_answered_with_a_note(place, note):
    path = f"/tickets/{place.ticket}/reviews"
    review = place.server.make(path, summary="Look", branch="b")["id"]

    answered = place.ask(a.ResolveReview(review, "changes_requested", note))

    assert (answered.result.state, answered.result.note) == ("changes_requested", note or None)


@pytest.mark.parametrize(
    ("ask", "target"),
    [
        (lambda p: a.StartAttempt(p.ticket, "nobody", ""), lambda p: p.ticket),
        (lambda p: a.StopAttempt("none"), lambda p: "none"),
        (lambda p: a.RetryAttempt("none", p.ticket), lambda p: p.ticket),
        (lambda p: a.Answer("none", ("x",), ""), lambda p: "none"),
        (lambda p: a.ResolveReview("none", "approved", ""), lambda p: "none"),
        (lambda p: a.Say("none", "Hi"), lambda p: ""),
        (lambda p: a.Abort("none"), lambda p: ""),
    ],
)
def test_a_refusal_names_what_it_takes_back(place, ask, target):
    refused = place.ask(ask(place))

    assert isinstance(refused, a.AskRefused)
    assert refused.target == target(place)
    assert len(refused.why) > 20


def test_who_can_work_is_told_with_whether_a_runner_has_it_now(place):
    place.server.make("/profiles", name=f"mine-{place.key}", agent="shell", project=place.key)
    other = place.server.make("/projects", key=f"{place.key}X", name="Other")["key"]
    place.server.make("/profiles", name=f"theirs-{place.key}", agent="shell", project=other)

    found = calls.fetched(place.client, a.LoadAgents(place.key, place.ticket)).choices
    mine = [choice for choice in found if choice.profile in ("", f"mine-{place.key}")]
    assert a.Choice("shell", "", True) in mine
    assert a.Choice("shell", f"mine-{place.key}", True) in mine
    assert f"theirs-{place.key}" not in {choice.profile for choice in found}

    place.server.make(f"/runners/{place.runner}/leave")
    found = calls.fetched(place.client, a.LoadAgents(place.key, place.ticket)).choices
    assert a.Choice("shell", "", False) in found


def test_the_end_of_a_log_then_what_follows_it(place):
    attempt = place.running()["attempt"]["id"]
    entries = [{"kind": "text", "text": str(n)} for n in range(1, 601)]
    for first in range(0, 600, 200):
        body = {"generation": 1, "entries": entries[first : first + 200]}
        assert place.server.api("POST", f"/attempts/{attempt}/log", body).ok

    def numbers(after):
        found = calls.fetched(place.client, a.LoadLog(attempt, after)).entries
        return [entry.number for entry in found]

    assert numbers(0) == list(range(101, 601))
    assert numbers(598) == [599, 600]
    assert numbers(5) == list(range(101, 601))  # too much is missing: its end

    def page(**query):
        found = calls.fetched(place.client, a.LoadLog(attempt, **query))
        return found.entries[0].number, found.entries[-1].number, found.before, found.more

    assert page(after=0, before=101) == (1, 100, 101, False)
    assert page(after=5, step=True) == (6, 505, 0, True)
    assert page(after=505, step=True) == (506, 600, 0, False)


def test_a_conversation_comes_by_its_end_then_by_the_page_before(place):
    session = place.server.make(f"/tickets/{place.ticket}/sessions")["id"]
    texts = [{"type": "text", "text": "x"}]
    said = [{"id": f"m{n}", "role": "user", "parts": texts} for n in range(1, 151)]
    assert place.server.api("POST", f"/sessions/{session}/messages", {"messages": said}).ok

    def numbers(**query):
        found = calls.fetched(place.client, m.LoadThread(session, **query))
        return [message.number for message in found.messages], found.before

    assert numbers() == (list(range(51, 151)), 0)
    assert numbers(before=51) == (list(range(1, 51)), 51)
    assert numbers(after=30) == (list(range(31, 151)), 0)


def test_a_diff_and_that_there_is_none_yet(place):
    attempt = place.running()["attempt"]["id"]
    load = a.LoadDiff(attempt)
    assert calls.fetched(place.client, load) == a.DiffLoaded(attempt, "", "", False)
    assert calls.failure(load, "why") == m.LoadFailed(DIFF, "why")

    body = {"generation": 1, "base": "b", "text": "diff --git a/x b/x\n", "truncated": True}
    assert place.server.api("PUT", f"/attempts/{attempt}/diff", body).ok
    found = calls.fetched(place.client, load)
    assert (found.text, found.truncated) == ("diff --git a/x b/x\n", True)


def test_the_open_ticket_comes_with_its_attempts_and_servers(place):
    attempt = place.running()["attempt"]["id"]
    body = {"generation": 1, "status": "running", "url": "http://127.0.0.1:1"}
    assert place.server.api("PUT", f"/attempts/{attempt}/instance", body).ok

    found = calls.fetched(place.client, m.LoadDetail(place.ticket))

    assert [one.id for one in found.attempts] == [attempt]
    assert [(one.attempt, one.status) for one in found.instances] == [(attempt, "running")]
