"""Batches, triggers and memory over HTTP: rights, shapes, and what is refused."""

import pytest

from .conftest import is_problem

TRIGGER = {
    "name": "review", "on": {"types": ["ticket.moved"], "filter": {"status": "review"}},
    "action": {"kind": "call", "url": "https://example.org/hook"},
}  # fmt: skip


@pytest.fixture
def runner(api):
    """A token of a runner that offers the agent `shell`."""
    token = api.token_for(role="runner")
    offer = {"name": "shell", "adapter": "command", "capabilities": []}
    fields = {"name": "r-1", "host": "here", "version": "1", "parallel": 2, "agents": [offer]}
    made = token("POST", "/runners", json=fields)
    assert made.status_code == 200, made.text
    token.runner = made.json["id"]
    return token


def claim(runner):
    found = runner("POST", f"/runners/{runner.runner}/claim").json["claim"]
    if found and found["kind"] == "attempt":
        path = f"/attempts/{found['attempt']['id']}"
        runner("PATCH", path, json={"generation": 1, "status": "running"})
    return found


def test_a_batch_from_its_creation_to_its_pull_request(api, runner):
    made = api("POST", "/projects/CTX/batches", json={"tickets": ["ctx-1"], "agent": "shell"})
    assert (made.status_code, made.headers["Location"]) == (201, f"/api/batches/{made.json['id']}")
    batch = f"/batches/{made.json['id']}"
    assert made.json["tickets"][0]["ticket"] == "CTX-1"
    attempt = claim(runner)["attempt"]
    runner("POST", f"/attempts/{attempt['id']}/end", json={"generation": 1, "status": "succeeded"})
    found = claim(runner)
    assert (found["kind"], found["batch"]["id"]) == ("batch", made.json["id"])
    assert [a["id"] for a in found["attempts"]] == [attempt["id"]]
    assert found["settings"]["open_pr"] is True
    beat = {"batches": [{"id": made.json["id"], "generation": 1}]}
    renewed = runner("POST", f"/runners/{runner.runner}/heartbeat", json=beat).json["renewed"]
    assert renewed == [made.json["id"]]
    said = {"generation": 1, "ticket": "CTX-1", "result": "merged", "commit": "5f" * 20}
    assert is_problem(api.token_for(role="write")("POST", f"{batch}/merge", json=said), 403)
    stale = {**said, "generation": 2}
    assert is_problem(runner("POST", f"{batch}/merge", json=stale), 409, "stale_generation")
    assert is_problem(runner("POST", f"{batch}/merge", json={**said, "result": "empty"}), 422)
    assert runner("POST", f"{batch}/merge", json=said).json["tickets"][0]["status"] == "merged"
    assert api.get(f"{batch}/tickets/ctx-1")["commit"] == "5f" * 20
    ended = {"generation": 1, "status": "completed", "branch": "b", "pr_url": "https://x/1"}
    over = runner("POST", f"{batch}/finish", json=ended)
    assert (over.json["status"], over.json["pr_url"]) == ("completed", "https://x/1")
    assert api.get("/batches?project=CTX&status=completed")["items"] == [over.json]
    assert api.get("/projects/CTX/batches")["items"] == [over.json]
    assert is_problem(api("POST", f"{batch}/cancel"), 409, "batch_ended")


@pytest.mark.parametrize(
    "body",
    [
        {"tickets": [], "agent": "shell"},
        {"tickets": ["CTX-1"]},
        {"tickets": ["CTX-1", "ctx-1"], "agent": "shell"},
        {"tickets": ["CTX-9"], "agent": "shell"},
        {"tickets": ["CTX-1"], "agent": "shell", "limit": 0},
        {"tickets": ["CTX-1"], "agent": "shell", "mode": "both"},
        {"tickets": ["CTX-1"], "agent": "shell", "prompt": ""},
    ],
)
def test_what_is_no_batch(api, runner, body):
    head = api.head
    assert is_problem(api("POST", "/projects/CTX/batches", json=body), 422)
    assert api.head == head


def test_batches_are_their_projects(api, runner):
    api.make("/projects", key="OTH", name="Other")
    made = api.make("/projects/CTX/batches", tickets=["CTX-1"], agent="shell", start=False)
    other = api.token_for(role="write", projects=["OTH"])
    path = f"/batches/{made['id']}"
    for method, where in (("GET", path), ("POST", f"{path}/start"), ("POST", f"{path}/cancel")):
        assert is_problem(other(method, where), 404)
    assert other.get("/batches")["items"] == []
    reader = api.token_for(role="read")
    assert reader.get(path)["status"] == "pending"
    assert is_problem(reader("POST", f"{path}/start"), 403)
    assert is_problem(api("POST", f"{path}/start", json={"revision": 9}), 409, "outdated_revision")
    agent = api.token_for(role="agent", ticket="CTX-1")
    assert is_problem(agent("GET", path), 403)


# triggers


def test_a_trigger_and_its_secret(api):
    made = api("POST", "/projects/CTX/triggers", json=TRIGGER, headers={"Idempotency-Key": "k"})
    assert made.status_code == 201, made.text
    assert made.json["secret"].startswith("ctx_")
    again = api("POST", "/projects/CTX/triggers", json=TRIGGER, headers={"Idempotency-Key": "k"})
    assert again.json == made.json, "the answer is repeated, sealed in between"
    path = f"/triggers/{made.json['id']}"
    shown = api.get(path)
    assert "secret" not in shown
    assert shown == {name: made.json[name] for name in shown}
    assert api.get("/projects/CTX/triggers")["items"] == [shown]
    changed = api("PATCH", path, json={"enabled": False, "revision": 1}).json
    assert (changed["enabled"], changed["revision"]) == (False, 2)
    assert api("DELETE", f"{path}?revision=2").status_code == 204
    assert is_problem(api("GET", path), 404)


@pytest.mark.parametrize(
    "change",
    [
        {"on": {}},
        {"on": {"types": []}},
        {"on": {"types": ["ticket.moved"], "every_s": 5}},
        {"on": {"every_s": 0}},
        {"on": {"cron": "nightly"}},
        {"on": {"types": ["ticket.moved"], "filter": {"a": {"b": 1}}}},
        {"on": {"types": ["ticket.moved"], "filter": {str(n): 1 for n in range(21)}}},
        {"action": {"kind": "call", "url": "file:///etc/passwd"}},
        {"action": {"kind": "dance"}},
        {"action": {"kind": "attempt"}},
        {"action": {"kind": "batch", "agent": "x"}},
        {"action": {"kind": "call", "url": "https://example.org", "agent": "x"}},
        {"secret": "short"},
        {"name": " "},
    ],
)
def test_what_is_no_trigger(api, change):
    assert is_problem(api("POST", "/projects/CTX/triggers", json={**TRIGGER, **change}), 422)
    assert api.get("/projects/CTX/triggers")["items"] == []


def test_triggers_are_for_who_may_change_the_project(api):
    api.make("/projects", key="OTH", name="Other")
    path = f"/triggers/{api.make('/projects/CTX/triggers', **TRIGGER)['id']}"
    for token, status in (
        (api.token_for(role="read"), 403),
        (api.token_for(role="agent", ticket="CTX-1"), 403),
        (api.token_for(role="write", projects=["OTH"]), 404),
    ):
        for where in (path, f"{path}/calls", "/projects/CTX/triggers"):
            assert is_problem(token("GET", where), status)
        assert is_problem(token("POST", f"{path}/test"), status)
    assert api.token_for(role="write", projects=["CTX"])("GET", path).status_code == 200


def test_a_trigger_is_tried_by_hand(api, runner):
    call = api.make("/projects/CTX/triggers", **TRIGGER)
    fired = api("POST", f"/triggers/{call['id']}/test").json
    assert (fired["cause"], fired["error"]) == ({"by_hand": True}, None)
    (waiting,) = api.get(f"/triggers/{call['id']}/calls")["items"]
    assert (waiting["id"], waiting["status"]) == (fired["result"]["call"], "waiting")
    start = api.make(
        "/projects/CTX/triggers",
        **{**TRIGGER, "name": "start", "action": {"kind": "attempt", "agent": "shell"}},
    )
    path = f"/triggers/{start['id']}/test"
    assert is_problem(api("POST", path), 409, "nothing_to_do")
    fired = api("POST", path, json={"ticket": "CTX-1"}).json
    assert api.get(f"/attempts/{fired['result']['attempt']}")["ticket"] == "CTX-1"
    for _ in range(9):
        assert api("POST", path, json={"ticket": "CTX-1"}).status_code == 200
    assert is_problem(api("POST", path, json={"ticket": "CTX-1"}), 409, "rate_limited")


# memory


def test_memory_is_put_read_and_deleted(api):
    path = "/projects/CTX/memory/style.md"
    made = api("PUT", path, json={"body": "# Tabs"})
    assert (made.status_code, made.headers["Location"]) == (201, f"/api{path}")
    assert made.headers["ETag"] == '"1"'
    assert api("PUT", path, json={"body": "# Spaces", "revision": 1}).status_code == 200
    outdated = api("PUT", path, json={"body": "x", "revision": 1})
    assert is_problem(outdated, 409, "outdated_revision")
    assert api.get(path)["body"] == "# Spaces"
    assert [m["name"] for m in api.get("/projects/CTX/memory?prefix=sty")["items"]] == ["style.md"]
    assert api.get("/projects/CTX/memory?prefix=x")["items"] == []
    assert api("DELETE", path).status_code == 204
    assert is_problem(api("GET", path), 404)


@pytest.mark.parametrize("name", [".hidden", "a b", "a%0Ab", "é", "x" * 101, "a:b"])
def test_a_name_is_one_that_a_file_could_have(api, name):
    assert is_problem(api("PUT", f"/projects/CTX/memory/{name}", json={"body": "x"}), 422)


def test_a_text_of_the_memory_is_bounded(api):
    long = {"body": "x" * 65_537}
    assert is_problem(api("PUT", "/projects/CTX/memory/a", json=long), 422)


def test_agents_read_the_memory_and_write_it_where_the_project_lets_them(api):
    path = "/projects/CTX/memory/style.md"
    api("PUT", path, json={"body": "# Tabs"})
    api.make("/projects", key="OTH", name="Other")
    agent = api.token_for(role="agent", ticket="CTX-1")
    assert agent.get(path)["body"] == "# Tabs"
    assert len(agent.get("/projects/CTX/memory")["items"]) == 1
    assert is_problem(agent("GET", "/projects/OTH/memory"), 404)
    assert is_problem(agent("PUT", path, json={"body": "x"}), 403)
    assert is_problem(agent("DELETE", path), 403)
    assert is_problem(api.token_for(role="read")("PUT", path, json={"body": "x"}), 403)
    api("PATCH", "/projects/CTX/settings", json={"values": {"agents_write_memory": True}})
    assert agent("PUT", path, json={"body": "# Spaces"}).json["author"]["kind"] == "agent"
    assert is_problem(agent("PUT", "/projects/OTH/memory/a", json={"body": "x"}), 404)
