"""Attempts and runners over REST: who may do what, and what a repeated request does."""

import pytest

from .conftest import is_problem

OFFER = [{"name": "shell", "adapter": "command", "capabilities": ["prompt"]}]
RUNNER = {"name": "r-1", "host": "here", "version": "1", "parallel": 4, "agents": OFFER}


@pytest.fixture
def runner(api):
    return api.make("/runners", **RUNNER)


@pytest.fixture
def attempt(api, runner):
    return api.make("/tickets/CTX-1/attempts", agent="shell", prompt="Hurry")


@pytest.fixture
def claimed(api, runner, attempt):
    return api.make(f"/runners/{runner['id']}/claim")["claim"]


def test_a_life_over_http(api, runner, claimed):
    path = f"/attempts/{claimed['attempt']['id']}"
    beat = api.make(
        f"/runners/{runner['id']}/heartbeat",
        attempts=[{"id": claimed["attempt"]["id"], "generation": 1}],
        batches=[{"id": claimed["project"]["id"], "generation": 1}],
    )
    assert beat == {
        "lease_s": 30.0, "renewed": [claimed["attempt"]["id"]],
        "lost": [claimed["project"]["id"]], "commands": 0,
    }  # fmt: skip
    told = api("PATCH", path, json={"generation": 1, "status": "running", "branch": "b"}).json
    assert (told["status"], told["branch"]) == ("running", "b")
    assert api.get("/attempts?active=true&project=CTX")["items"] == [told]
    api.make(f"{path}/stop")
    (command,) = api.get(f"/runners/{runner['id']}/commands")["items"]
    ack = f"/runners/{runner['id']}/commands/{command['id']}/ack"
    assert api.make(ack)["kind"] == api.make(ack)["kind"] == "stop"
    assert api.get(f"/runners/{runner['id']}/commands")["items"] == []
    ended = api.make(f"{path}/end", generation=1, status="cancelled", reason="Stopped")
    assert api.get("/tickets/CTX-1/attempts")["items"] == [ended]
    assert api.get("/attempts?status=cancelled&runner=r-1")["items"] == [ended]
    again = api.make(f"{path}/retry")
    assert (again["retry_of"], again["prompt"]) == (ended["id"], "Hurry")
    assert api.make(f"/runners/{runner['id']}/leave")["status"] == "offline"


def test_a_repeated_claim_is_the_same_and_its_secret_is_not_stored_in_clear(api, runner, attempt):
    path, key = f"/runners/{runner['id']}/claim", {"Idempotency-Key": "one"}
    first = api("POST", path, headers=key)
    head = api.head
    assert api("POST", path, headers=key).data == first.data
    assert api.head == head
    assert first.json["claim"]["attempt"]["id"] == attempt["id"]
    assert api.make(path)["claim"] is None
    secret = first.json["claim"]["token"]
    database = api.app.extensions["cortex"].config.database_path
    stored = b"".join(path.read_bytes() for path in database.parent.glob("cortex.db*"))
    assert attempt["id"].encode() in stored
    assert secret.encode() not in stored


def test_a_write_of_another_generation_is_refused(api, claimed):
    path = f"/attempts/{claimed['attempt']['id']}"
    for method, where, more in (
        ("PATCH", path, {}), ("POST", f"{path}/end", {"status": "failed"}),
    ):  # fmt: skip
        assert is_problem(
            api(method, where, json={"generation": 2, **more}), 409, "stale_generation"
        )
        assert is_problem(api(method, where, json=more), 422)


def test_the_token_of_an_attempt_reads_that_one_and_does_nothing_as_a_runner(api, runner, claimed):
    mine = api.as_token(claimed["token"])
    path = f"/attempts/{claimed['attempt']['id']}"
    other = api.make("/tickets/CTX-1/attempts", agent="shell")
    assert mine.get(path)["id"] == claimed["attempt"]["id"]
    assert is_problem(mine("GET", f"/attempts/{other['id']}"), 404)
    for listing in ("/attempts", "/tickets/CTX-1/attempts"):
        assert [found["id"] for found in mine.get(listing)["items"]] == [claimed["attempt"]["id"]]
    body = {"generation": 1, "status": "running"}
    for method, where, sent in (
        ("PATCH", path, body),
        ("POST", f"{path}/end", {"generation": 1, "status": "succeeded"}),
        ("POST", f"{path}/stop", None),
        ("POST", f"{path}/retry", None),
        ("POST", "/tickets/CTX-1/attempts", {"agent": "shell"}),
        ("POST", f"/runners/{runner['id']}/claim", None),
        ("GET", f"/runners/{runner['id']}/commands", None),
        ("GET", "/runners", None),
        ("GET", "/profiles", None),
    ):
        assert is_problem(mine(method, where, json=sent), 403), (method, where)
    assert mine.make("/tickets/CTX-1/comments", body="x")["author"] == {
        "kind": "agent", "name": "shell",
    }  # fmt: skip


def test_only_runners_and_administrators_write_as_a_runner(api, runner, claimed):
    path, own = f"/attempts/{claimed['attempt']['id']}", f"/runners/{runner['id']}"
    writes = [
        ("POST", "/runners", RUNNER),
        ("POST", f"{own}/heartbeat", None),
        ("POST", f"{own}/claim", None),
        ("GET", f"{own}/commands", None),
        ("PATCH", path, {"generation": 1, "status": "running"}),
        ("POST", f"{path}/end", {"generation": 1, "status": "succeeded"}),
        ("POST", f"{own}/leave", None),
    ]
    for role, status in (("read", 403), ("write", 403), ("runner", 200)):
        token = api.token_for(role=role)
        for method, where, body in writes:
            answer = token(method, where, json=body)
            assert answer.status_code == status, (role, method, where, answer.text)
    assert api.token_for(role="write").make("/tickets/CTX-1/attempts", agent="shell")
    reader = api.token_for(role="read")
    assert is_problem(reader("POST", "/tickets/CTX-1/attempts", json={"agent": "shell"}), 403)


def test_a_runners_token_for_some_projects_serves_and_claims_only_those(api, runner, attempt):
    api.make("/projects", key="TWO", name="Two")
    ticket = api.make("/projects/TWO/tickets", title="x")
    mine = api.make(f"/tickets/{ticket['key']}/attempts", agent="shell")
    token = api.token_for(role="runner", projects=["TWO"])
    named = token.make("/runners", **RUNNER | {"name": "r-2"})
    assert named["projects"] == ["TWO"]
    assert is_problem(
        token("POST", "/runners", json=RUNNER | {"name": "r-3", "projects": ["CTX"]}), 422
    )
    assert is_problem(token("POST", f"/runners/{runner['id']}/claim"), 404)
    claim = f"/runners/{named['id']}/claim"
    assert token.make(claim)["claim"]["attempt"]["id"] == mine["id"]
    assert token.make(claim)["claim"] is None
    assert is_problem(token("GET", f"/attempts/{attempt['id']}"), 404)
    assert [
        r["name"] for r in api.token_for(role="read", projects=["CTX"]).get("/runners")["items"]
    ] == ["r-1"]


@pytest.mark.parametrize("served", [None, ["CTX", "TWO"]])
def test_a_runners_token_for_some_projects_cannot_become_a_runner_that_serves_more(api, served):
    api.make("/projects", key="TWO", name="Two")
    there = {} if served is None else {"projects": served}
    runner = api.make("/runners", **RUNNER, **there)
    attempt = api.make("/tickets/CTX-1/attempts", agent="shell")
    claim = api.make(f"/runners/{runner['id']}/claim")["claim"]
    api.make(f"/sessions/{claim['session']['id']}/prompt", text="of another project")
    token = api.token_for(role="runner", projects=["TWO"])
    at = f"/runners/{runner['id']}"

    for own in ({}, {"id": runner["id"]}):  # the same host, and the same runner as it says
        taken = token("POST", "/runners", json={**RUNNER, **own})
        assert is_problem(taken, 409, "runner_name_taken")
    assert is_problem(token("GET", f"{at}/commands"), 404)
    for verb in ("heartbeat", "claim", "leave"):
        assert is_problem(token("POST", f"{at}/{verb}"), 404), verb
    assert len(api.get(f"{at}/commands")["items"]) == 1
    assert api.get(f"/attempts/{attempt['id']}")["status"] == "starting"


def test_profiles_for_all_projects_take_a_token_for_all(api):
    narrow = api.token_for(role="write", projects=["CTX"])
    wide = api.token_for(role="write")
    assert is_problem(narrow("POST", "/profiles", json={"name": "a", "agent": "x"}), 403)
    own = narrow.make("/profiles", name="b", agent="x", project="CTX")
    common = wide.make("/profiles", name="a", agent="x", options={"env": ["TERM"]})
    assert [found["name"] for found in narrow.get("/profiles")["items"]] == ["a", "b"]
    assert narrow.get("/profiles/a") == common
    assert is_problem(narrow("DELETE", "/profiles/a"), 403)
    assert narrow("PATCH", "/profiles/b", json={"options": {"model": "m"}}).json["revision"] == 2
    assert is_problem(narrow("PATCH", "/profiles/b", json={"revision": 1, "agent": "y"}), 409)
    assert narrow("DELETE", f"/profiles/{own['id']}").status_code == 204
    for name in ("a b", "../x", "", "a" * 65):
        assert is_problem(wide("POST", "/profiles", json={"name": name, "agent": "x"}), 422)
    for env in ("A=b", "1A", "A\n"):
        body = {"name": "c", "agent": "x", "options": {"env": [env]}}
        assert is_problem(wide("POST", "/profiles", json=body), 422)


def test_an_agent_that_nobody_offers_is_a_bad_request_that_says_what_to_do(api):
    answer = api("POST", "/tickets/CTX-1/attempts", json={"agent": "claude"})
    assert is_problem(answer, 400, "agent_unknown")
    assert "cortex runner" in answer.json["detail"]


def test_deleting_what_is_worked_on_is_refused_with_what_to_do(api, claimed):
    for path in ("/tickets/CTX-1", "/projects/CTX"):
        answer = api("DELETE", path)
        assert is_problem(answer, 409, "attempt_active")
        assert "CTX-1 is claimed by runner r-1; stop its attempt first" in answer.json["detail"]


def test_agents_are_what_runners_offer(api, runner):
    assert api.get("/agents")["items"] == [api.get("/agents/shell")]
    assert api.get("/agents/shell")["runners"] == ["r-1"]
    twice = RUNNER | {"agents": OFFER * 2}
    assert is_problem(api("POST", "/runners", json=twice), 422)
