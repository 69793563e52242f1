"""What agents, runners and people may do inside an attempt, over REST."""

import pytest
from sqlalchemy import update

from cortex_server.clock import later
from cortex_server.db import schema
from cortex_server.domains import liveness
from cortex_server.store import SYSTEM
from tests.server.api.conftest import is_problem

AGENT = {"name": "opencode", "adapter": "opencode", "capabilities": ["prompt", "abort"]}
RUNNER = {"name": "r-1", "host": "here", "version": "1", "parallel": 9, "agents": [AGENT]}
OPTIONS = [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}]


class Claim:
    """An attempt that a runner holds. agent: with the token of the attempt."""

    def __init__(self, api, ticket="CTX-1"):
        self.api = api
        runner = api.make("/runners", **RUNNER)
        api.make(f"/tickets/{ticket}/attempts", agent="opencode")
        claim = api.make(f"/runners/{runner['id']}/claim")["claim"]
        self.id, self.path = claim["attempt"]["id"], f"/attempts/{claim['attempt']['id']}"
        self.session, self.ticket = claim["session"]["id"], ticket
        self.runner, self.agent = runner, api.as_token(claim["token"])
        self.tell("PATCH", "", status="running")

    def tell(self, method, below, **body):
        """A write by its runner, which must succeed; the JSON of the answer."""
        answer = self.send(method, below, **body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json

    def send(self, method, below, generation=1, **body):
        return self.api(method, f"{self.path}{below}", json={"generation": generation, **body})


@pytest.fixture
def claim(api):
    return Claim(api)


def test_the_token_of_an_attempt_works_in_its_sessions_only(api, claim):
    by_hand = api.make("/tickets/CTX-1/sessions")["id"]
    other = Claim(api)
    part = [{"type": "text", "text": "", "status": "streaming"}]
    delta = {"message": "m", "part": 0, "offset": 0, "text": "x"}
    for session, allowed in ((claim.session, True), (by_hand, False), (other.session, False)):
        at = f"/sessions/{session}"
        asked = [
            ("PATCH", at, {"status": "working"}),
            ("PUT", f"{at}/messages/m", {"role": "assistant", "parts": part}),
            ("POST", f"{at}/deltas", {"deltas": [delta]}),
            ("POST", f"{at}/messages/m/delta", {"part": 0, "offset": 1, "text": "y"}),
            ("POST", f"{at}/messages", {"messages": []}),
            ("POST", f"{at}/permissions", {"title": "?", "free_text": True}),
            ("POST", f"{at}/prompt", {"text": "on"}),
            ("POST", f"{at}/abort", {}),
            ("POST", f"{at}/end", {}),
        ]
        for method, path, body in asked:
            answer = claim.agent(method, path, json=body)
            if allowed:
                assert answer.status_code in (200, 201, 202), (path, answer.text)
            else:
                assert is_problem(answer, 403, "forbidden"), path
        assert claim.agent.get(at)["id"] == session, "reading is by ticket"


def test_a_session_that_it_starts_is_of_its_attempt(api, claim):
    other = Claim(api)
    started = claim.agent.make("/tickets/CTX-1/sessions", title="A child")
    assert started["attempt"] == claim.id
    body = {"attempt": other.id}
    assert is_problem(claim.agent("POST", "/tickets/CTX-1/sessions", json=body), 403)


def test_only_a_runner_tells_how_an_attempt_is(api, claim):
    file = {"path": "a", "status": "added"}
    status = {"branch": "b", "head": None, "ahead": 0, "behind": 0, "files": [file], "more": 0}
    writes = [
        ("POST", "/log", {"entries": [{"kind": "text", "text": "x"}]}),
        ("PUT", "/todos", {"todos": []}),
        ("PUT", "/git/status", status),
        ("POST", "/git/commits", {"commits": []}),
        ("POST", "/git/pushes", {"remote": "origin", "branch": "b", "sha": "abcd"}),
        ("PUT", "/pr", {"state": "open", "url": "https://x/1"}),
        ("PUT", "/diff", {"base": "main", "text": "+a", "truncated": False}),
        ("PUT", "/instance", {"status": "running"}),
    ]
    writer = api.token_for(role="write")
    for method, below, body in writes:
        for other in (claim.agent, writer):
            sent = other(method, claim.path + below, json={"generation": 1, **body})
            assert is_problem(sent, 403), below
        assert is_problem(claim.send(method, below, 2, **body), 409, "stale_generation"), below
        claim.tell(method, below, **body)
    claim.tell("POST", "/end", status="succeeded")
    for method, below, body in writes:
        sent = claim.send(method, below, **body)
        if below == "/pr":
            assert sent.status_code == 200, "a pull request outlives its attempt"
        else:
            assert is_problem(sent, 409, "attempt_ended"), below


def test_what_a_runner_told_is_read_by_people(api, claim):
    claim.tell("POST", "/log", entries=[{"kind": "text", "text": str(n)} for n in range(5)])
    assert [e["text"] for e in api.get(f"{claim.path}/log?after=3")["items"]] == ["3", "4"]
    assert [e["number"] for e in api.get(f"{claim.path}/log?tail=2")["items"]] == [4, 5]
    assert [e["number"] for e in api.get(f"{claim.path}/log?tail=2&before=4")["items"]] == [2, 3]
    assert [e["number"] for e in api.get(f"{claim.path}/log?limit=1&before=4")["items"]] == [3]
    first = api.get(f"{claim.path}/log?limit=2")
    rest = api.get(f"{claim.path}/log?cursor={first['next_cursor']}")
    assert [e["number"] for e in first["items"] + rest["items"]] == [1, 2, 3, 4, 5]
    assert is_problem(api("GET", f"{claim.path}/diff"), 404)
    claim.tell("PUT", "/diff", base="main", text="-a\n+b\n", truncated=False)
    diff = api.get(f"{claim.path}/diff")
    assert (diff["text"], diff["truncated"], diff["attempt"]) == ("-a\n+b\n", False, claim.id)
    claim.tell("PUT", "/instance", status="running", url="http://127.0.0.1:9")
    (instance,) = api.get("/instances?project=CTX")["items"]
    assert api.get(f"/instances/{instance['id']}") == instance
    assert claim.agent.get("/instances")["items"] == [instance]


def test_a_question_is_answered_by_people_and_not_by_agents(api, claim):
    path = f"/sessions/{claim.session}/permissions"
    body = {"title": "Run it?", "options": OPTIONS, "external_id": "q"}
    asked = claim.agent.make(path, **body)
    assert claim.agent("POST", path, json=body).status_code == 200
    reply = f"/permissions/{asked['id']}/reply"
    assert is_problem(claim.agent("POST", reply, json={"choices": ["yes"]}), 403)
    for role in ("read", "runner"):
        other = api.token_for(role=role)
        assert is_problem(other("POST", reply, json={"choices": ["yes"]}), 403), role
    assert api.get(claim.path)["status"] == "waiting"
    writer = api.token_for(role="write", actor={"kind": "user", "name": "ann"})
    assert writer.make(reply, choices=["yes"])["answered_by"]["name"] == "ann"
    again = api("POST", reply, json={"choices": ["no"]})
    assert is_problem(again, 409, "already_answered")
    assert again.json["answered_by"] == {"kind": "user", "name": "ann"}
    commands = api.get(f"/runners/{claim.runner['id']}/commands")["items"]
    assert commands == [], "who asked by itself waits for the answer itself"
    assert api.get("/permissions?state=open")["items"] == []
    assert [p["id"] for p in api.get("/permissions?ticket=CTX-1")["items"]] == [asked["id"]]


def test_a_foreign_question_is_not_withdrawn(api, claim):
    other = Claim(api)
    asked = other.agent.make(
        f"/sessions/{other.session}/permissions", title="Which?", free_text=True
    )
    path = f"/permissions/{asked['id']}/withdraw"
    assert is_problem(claim.agent("POST", path), 403)
    assert other.agent.make(path)["state"] == "withdrawn"


def test_a_prompt_reaches_the_runner_and_its_secrets_stay_out_of_the_transcript(api, claim):
    secret = "ghp_" + "a1B2" * 9
    said = api.make(f"/sessions/{claim.session}/prompt", text=f"use {secret}")
    assert secret not in str(api.get(f"/sessions/{claim.session}/messages/{said['id']}"))
    (command,) = api.get(f"/runners/{claim.runner['id']}/commands")["items"]
    assert command["payload"]["text"] == f"use {secret}"


def test_secrets_leave_messages_and_deltas_and_nothing_moves(api, claim):
    secret = "sk-proj-" + "aB3" * 10
    path = f"/sessions/{claim.session}/messages/m"
    part = {"type": "text", "text": "", "status": "streaming"}
    claim.agent("PUT", path, json={"role": "assistant", "parts": [part]})
    half = len(secret) // 2
    text = f"key {secret} "
    sent = claim.agent("POST", f"{path}/delta", json={"part": 0, "offset": 0, "text": text})
    assert sent.json == {"length": len(text)}
    at = len(text)
    for piece in (text, secret[:half], secret[half:]):
        delta = {"message": "m", "part": 0, "offset": at, "text": piece}
        deltas = f"/sessions/{claim.session}/deltas"
        assert claim.agent("POST", deltas, json={"deltas": [delta]}).status_code == 202
        at += len(piece)
    hidden = "key " + "*" * len(secret) + " "
    assert api.get(path)["parts"][0]["text"].startswith(2 * hidden)
    tool = {"type": "tool", "text": "", "tool": "bash", "input": {"env": [secret]}}
    claim.agent(
        "PUT", f"/sessions/{claim.session}/messages/t", json={"role": "tool", "parts": [tool]}
    )
    claim.tell("POST", "/end", status="failed")
    whole = str(api.get(f"/sessions/{claim.session}/messages"))
    assert secret not in whole, "also what came in pieces, when the message is complete"
    assert whole.count("*" * len(secret)) == 4


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_message_is_a_sign_of_life(api, method):
    session = api.make("/tickets/CTX-1/sessions", status="working")["id"]
    store = api.app.extensions["cortex"].store
    with store.write(SYSTEM) as tx:
        long_ago = later(tx.now, -3600)
        tx.conn.execute(update(schema.sessions).values(seen_at=long_ago))
        assert liveness.mark_stale(tx, "") == 1
    assert api.get(f"/sessions/{session}")["stale"]
    message = {"role": "user", "parts": []}
    if method == "PUT":
        sent = api("PUT", f"/sessions/{session}/messages/m", json=message)
    else:
        body = {"messages": [{"id": "m", **message}]}
        sent = api("POST", f"/sessions/{session}/messages", json=body)
    assert sent.status_code in (200, 201)
    assert not api.get(f"/sessions/{session}")["stale"]
