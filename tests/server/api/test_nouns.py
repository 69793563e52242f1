"""Each noun once through its life: what goes in comes out, null clears, absent leaves."""

import re

import pytest

from cortex_server import api as rest

from .conftest import is_problem


def test_a_team(api):
    made = api("POST", "/teams", json={"key": "Core", "name": "Core team"})
    assert made.status_code == 201
    assert made.headers["Location"] == "/api/teams/Core"
    assert made.json["color"] is None

    api("PATCH", "/projects/CTX", json={"team": "core"})
    changed = api("PATCH", "/teams/core", json={"color": "#fff"})
    assert (changed.json["color"], changed.json["name"]) == ("#fff", "Core team")
    assert api("PATCH", "/teams/core", json={"color": None}).json["color"] is None
    assert api.get("/projects/ctx")["team"] == "Core"
    assert is_problem(
        api("POST", "/teams", json={"key": "CORE", "name": "x"}), 409, "already_exists"
    )
    assert api("DELETE", "/teams/core").status_code == 204
    assert api.get("/projects/ctx")["team"] is None


def test_a_project(api):
    columns = [{"name": "todo"}, {"name": "done", "title": "Done!", "wip_limit": 3}]
    made = api.make("/projects", key="two", name="Two", columns=columns, repo_path="/src/two")
    assert made["columns"][0] == {"name": "todo", "title": "todo", "wip_limit": None}
    assert api.make("/projects/TWO/tickets", title="x")["key"] == "two-1"

    assert api("PATCH", "/projects/two", json={"repo_path": None}).json["repo_path"] is None
    gone = {"columns": [{"name": "done"}]}
    assert is_problem(api("PATCH", "/projects/two", json=gone), 409, "column_in_use")
    moved = api("PATCH", "/projects/two", json={**gone, "move_tickets_to": "done"})
    assert [column["name"] for column in moved.json["columns"]] == ["done"]
    assert api.get("/tickets/two-1")["status"] == "done"
    assert api("DELETE", "/projects/TWO").status_code == 204
    assert is_problem(api("GET", "/tickets/two-1"), 404)


@pytest.mark.parametrize(
    "body",
    [
        {"key": "1a", "name": "x"},
        {"key": "a b", "name": "x"},
        {"key": "a" * 33, "name": "x"},
        {"key": "é", "name": "x"},
        {"key": "a\n", "name": "x"},
        {"key": "a", "name": ""},
        {"key": "a", "name": "x", "columns": []},
        {"key": "a", "name": "x", "columns": [{"name": "A"}]},
        {"key": "a", "name": "x", "columns": [{"name": "a", "x": 1}]},
        {"key": "a", "name": "x", "columns": [{"name": "a"}, {"name": "a"}]},
        {"key": "a", "name": "x", "team": "none"},
        {"key": "a", "name": "x", "columns": [{"name": "a", "wip_limit": 0}]},
    ],
)
def test_a_project_that_cannot_be(shared, body):
    assert is_problem(shared("POST", "/projects", json=body), 422, "invalid")


def test_a_label(api):
    made = api("POST", "/projects/CTX/labels", json={"name": "Bug", "color": "red", "priority": 2})
    path = made.headers["Location"].removeprefix("/api")
    api("POST", "/tickets/CTX-1/labels", json={"label": "bug"})

    assert api("PATCH", path, json={"name": "defect", "color": None}).json["color"] is None
    assert api.get("/tickets/CTX-1")["labels"] == ["defect"]
    assert api.get("/projects/CTX/labels")["items"][0]["priority"] == 2
    assert is_problem(api("POST", "/projects/CTX/labels", json={"name": "DEFECT"}), 409)
    assert api("DELETE", path).status_code == 204
    assert api.get("/tickets/CTX-1")["labels"] == []


def test_a_ticket(api):
    made = api("POST", "/projects/ctx/tickets", json={
        "title": "Do", "body": "it", "type": "debug", "status": "review", "priority": "high",
        "labels": ["b", "a"], "assignee": "ann", "due": "2026-01-31", "references": ["x"],
        "depends_on": ["ctx-1"],
    })  # fmt: skip
    assert made.status_code == 201
    assert made.headers["Location"] == "/api/tickets/CTX-2"
    assert made.json["labels"] == ["a", "b"]
    assert made.json["depends_on"] == ["CTX-1"]
    assert made.json["position"] == 0

    assert api.get("/tickets/ctx-2") == api.get(f"/tickets/{made.json['id']}")
    changed = api(
        "PATCH", "/tickets/CTX-2", json={"assignee": None, "due": None, "labels": []}
    ).json
    assert (changed["assignee"], changed["due"], changed["labels"]) == (None, None, [])
    assert (changed["title"], changed["priority"]) == ("Do", "high")
    archived = api("PATCH", "/tickets/CTX-2", json={"archived": True}).json
    assert (archived["archived"], archived["position"]) == (True, None)
    assert api("PATCH", "/tickets/CTX-2", json={"archived": False}).json["position"] == 0


def test_moving_a_ticket(api):
    for title in ("b", "c"):
        api.make("/projects/CTX/tickets", title=title, status="done")

    first = api("POST", "/tickets/CTX-1/move", json={"status": "done", "position": 0}).json
    last = api("POST", "/tickets/CTX-1/move", json={"status": "done"}).json

    assert (first["status"], first["position"], first["revision"]) == ("done", 0, 2)
    assert (last["position"], last["revision"]) == (2, 3)
    assert is_problem(api("POST", "/tickets/CTX-1/move", json={"status": "no"}), 422)
    assert is_problem(api("POST", "/tickets/CTX-1/move", json={"position": 1}), 422)
    assert is_problem(
        api("POST", "/tickets/CTX-1/move", json={"status": "done", "position": -1}), 422
    )


def test_labels_of_a_ticket(api):
    labeled = api("POST", "/tickets/CTX-1/labels", json={"label": "a b/c"})
    assert labeled.status_code == 200
    assert labeled.json["labels"] == ["a b/c"]

    api("POST", "/tickets/CTX-1/labels", json={"label": "ü"})
    bare = api("DELETE", "/tickets/CTX-1/labels/%C3%BC")

    assert bare.json["labels"] == ["a b/c"]
    assert is_problem(api("DELETE", "/tickets/CTX-1/labels/none"), 404)


def test_importing_is_all_or_none_and_idempotent(api):
    one = {"id": "018F0000-0000-7000-8000-000000000001", "title": "One", "body": "",
           "labels": ["x"], "created_at": "2025-01-01T00:00:00Z"}  # fmt: skip
    bad = {**one, "id": "018f0000-0000-7000-8000-000000000002", "status": "nowhere"}

    refused = api("POST", "/projects/CTX/tickets/import", json={"tickets": [one, bad]})
    assert refused.json["errors"][0]["field"] == "tickets.1.status"
    first = api("POST", "/projects/CTX/tickets/import", json={"tickets": [one]}).json
    second = api("POST", "/projects/CTX/tickets/import", json={"tickets": [one]}).json

    assert first["created"] == ["CTX-2"]
    assert second["unchanged"] == ["CTX-2"]
    assert second["items"][0]["id"] == one["id"].lower()
    assert second["items"][0]["created_at"] == "2025-01-01T00:00:00.000000Z"
    without_id = api(
        "POST", "/projects/CTX/tickets/import", json={"tickets": [{"title": "x", "body": ""}]}
    )
    assert without_id.json["errors"] == [{"field": "tickets.0.id", "message": "is required"}]


def test_a_comment(api):
    made = api("POST", "/tickets/ctx-1/comments", json={"body": "stuck", "type": "blocker"})
    path = made.headers["Location"].removeprefix("/api")

    assert api("PATCH", path, json={"type": "done"}).json["body"] == "stuck"
    assert api.get("/tickets/CTX-1/comments")["items"] == [api.get(path)]
    assert is_problem(api("POST", "/tickets/CTX-1/comments", json={"body": " "}), 422)
    assert api("DELETE", path).status_code == 204
    assert is_problem(api("GET", path), 404)


def test_a_review(api):
    made = api("POST", "/tickets/CTX-1/reviews", json={"summary": "look", "branch": "main"})
    path = made.headers["Location"].removeprefix("/api")

    resolved = api("PATCH", path, json={"state": "approved", "note": "good"}).json

    assert resolved["resolved_by"]["kind"] == "user"
    assert api("PATCH", path, json={"note": None}).json["note"] is None
    assert api.get("/reviews?state=approved&project=ctx")["items"] == [api.get(path)]
    assert api.get("/reviews?state=requested")["items"] == []
    assert api.get("/tickets/CTX-1/reviews")["items"] == [api.get(path)]
    both = {"summary": "x", "branch": "a", "commit": "b"}
    assert is_problem(api("POST", "/tickets/CTX-1/reviews", json=both), 422)


def test_a_session(api):
    made = api("POST", "/tickets/CTX-1/sessions")
    path = made.headers["Location"].removeprefix("/api")
    assert (made.json["title"], made.json["status"]) == ("Untitled", "starting")
    own = "018f0000-0000-7000-8000-000000000009"
    child = api.make("/tickets/CTX-1/sessions", id=own, parent_id=made.json["id"], agent="opencode")
    assert child["id"] == own

    working = api("PATCH", path, json={"status": "working", "tool": "bash", "work": "ls"}).json
    assert (working["tool"], working["work"]) == ("bash", "ls")
    assert api("PATCH", path, json={"tool": None}).json["tool"] is None
    assert is_problem(api("PATCH", path, json={"status": "ended"}), 422)
    ended = api("POST", f"{path}/end", json={"outcome": "failed"}).json
    assert (ended["status"], ended["outcome"]) == ("ended", "failed")
    assert is_problem(api("PATCH", path, json={"title": "x"}), 409, "session_ended")
    assert [s["id"] for s in api.get("/sessions?active=1&ticket=ctx-1")["items"]] == [own]
    assert [s["id"] for s in api.get("/sessions?active=false")["items"]] == [made.json["id"]]


def test_a_message_and_its_growing_text(api):
    session = api.make("/tickets/CTX-1/sessions")["id"]
    path = f"/sessions/{session}/messages/msg_1"
    whole = {"role": "assistant", "parts": [{"type": "text", "text": "Hé", "status": "streaming"}]}

    first = api("PUT", path, json=whole)
    assert first.status_code == 201
    assert first.headers["Location"] == f"/api{path}"
    assert api("PUT", path, json=whole).status_code == 200
    grown = api("POST", f"{path}/delta", json={"part": 0, "offset": 2, "text": "llo\U0001f600"})
    assert (grown.status_code, grown.json) == (202, {"length": 6})
    hole = api("POST", f"{path}/delta", json={"part": 0, "offset": 9, "text": "x"})
    assert is_problem(hole, 409, "offset_mismatch")
    assert hole.json["length"] == 6
    assert api.get(path)["parts"][0]["text"] == "Héllo\U0001f600"
    assert api.get(f"/sessions/{session}/messages")["items"] == [api.get(path)]

    api("POST", f"/sessions/{session}/end")
    done = api.get(path)
    assert (done["status"], done["parts"][0]["text"]) == ("complete", "Héllo\U0001f600")
    assert is_problem(api("PUT", f"/sessions/{session}/messages/a%20b", json=whole), 422)


def test_settings(api):
    assert (
        api("PATCH", "/settings", json={"values": {"log_retention_days": 7}}).json["revision"] == 2
    )
    assert (
        api(
            "PATCH", "/projects/ctx/settings", json={"values": {"default_type": "chore"}}
        ).status_code
        == 200
    )
    refused = api("PATCH", "/projects/CTX/settings", json={"values": {"nothing": 1}})
    assert refused.json["errors"][0]["field"] == "values.nothing"
    assert is_problem(api("PATCH", "/settings", json={}), 422)


def test_tokens(api):
    made = api(
        "POST",
        "/tokens",
        json={"name": "ci", "role": "write", "projects": ["ctx"], "expires_in_s": 60},
    )
    assert made.status_code == 201
    assert made.json["projects"] == ["CTX"]
    shown = api.get(f"/tokens/{made.json['id']}")
    assert "secret" not in shown
    assert made.json["secret"] not in api("GET", "/tokens").text
    assert is_problem(api("POST", "/tokens", json={"name": "x", "role": "agent"}), 422)
    assert is_problem(api("POST", "/tokens", json={"name": "x", "role": "king"}), 422)
    actor = {"kind": "system", "name": "x"}
    assert is_problem(
        api("POST", "/tokens", json={"name": "x", "role": "read", "actor": actor}), 422
    )


def test_pages_of_a_list_are_whole_while_it_changes(api):
    for number in range(2, 8):
        api.make("/projects/CTX/tickets", title=str(number))

    page = api.get("/projects/CTX/tickets?limit=3")
    api("DELETE", "/tickets/CTX-3")
    seen = [ticket["key"] for ticket in page["items"]]
    while page["next_cursor"]:
        page = api.get(f"/projects/CTX/tickets?limit=3&cursor={page['next_cursor']}")
        seen += [ticket["key"] for ticket in page["items"]]

    assert seen == [f"CTX-{number}" for number in range(1, 8)]


def two_of_each_at_work(api):
    """Two agents, runners, attempts with a log, servers, questions, commands; ids by noun."""
    for number in range(2):
        takes = {"adapter": "command", "capabilities": ["prompt"]}
        offers = [{"name": f"a{n}", **takes} for n in range(2)]
        said = {"name": f"r{number}", "host": "here", "version": "1", "parallel": 2}
        runner = api.make("/runners", **said, agents=offers)["id"]
        api.make("/profiles", name=f"p{number}", agent="a0")
    for _ in range(2):
        api.make("/tickets/CTX-1/attempts", agent="a0")
        attempt = api.make(f"/runners/{runner}/claim")["claim"]["attempt"]
        path, session = f"/attempts/{attempt['id']}", f"/sessions/{attempt['session']}"
        entries = [{"kind": "text", "text": "x"}] * 2
        api("POST", f"{path}/log", json={"generation": 1, "entries": entries})
        api("PUT", f"{path}/instance", json={"generation": 1, "status": "running"})
        api.make(f"{session}/permissions", title="?", free_text=True)
        api.make(f"{session}/prompt", text="on")
    call = {"kind": "call", "url": "https://example.org/hook"}
    for number in range(2):
        body = {"tickets": ["CTX-2"], "agent": "a0", "start": False}
        api.make("/projects/CTX/batches", **body)
        api("PUT", f"/projects/CTX/memory/m{number}", json={"body": "x"})
        on = {"types": ["team.created"]}
        trigger = api.make("/projects/CTX/triggers", name=f"t{number}", on=on, action=call)["id"]
    for _ in range(2):
        api.make(f"/triggers/{trigger}/test")
    return {"attempts": attempt["id"], "runners": runner, "triggers": trigger}


def test_every_list_pages_one_by_one(api):
    api.make("/projects", key="B", name="b")
    for number in range(2):
        api.make("/teams", key=f"t{number}", name="t")
        api.make("/projects/CTX/labels", name=f"l{number}")
        api.make("/projects/CTX/tickets", title="t")
        api.make("/tickets/CTX-1/comments", body="c")
        api.make("/tickets/CTX-1/reviews", summary="r")
        session = api.make("/tickets/CTX-1/sessions")["id"]
        api.make("/tokens", name="t", role="read")
    for number in range(2):
        api("PUT", f"/sessions/{session}/messages/m{number}", json={"role": "user", "parts": []})
    values = {"<key>": "CTX", "<ref>": "CTX-1"}
    ids = {"sessions": session, **two_of_each_at_work(api)}
    # commands come all at once: a runner needs them all
    paged = [e for noun in rest.ALL for e in noun.endpoints if "limit" in e.query.model_fields]
    lists = [e.path for e in paged]
    assert all(e.many for e in paged)
    assert len(lists) >= 12
    for declared in lists:
        named = values | {"<id>": ids.get(declared.split("/")[1])}
        path = re.sub("<.+?>", lambda match, named=named: named[match[0]], declared)
        whole = api.get(path)["items"]
        assert len(whole) >= 2, path
        found, cursor = [], ""
        while cursor is not None:
            page = api.get(f"{path}?limit=1{cursor}")
            assert len(page["items"]) == 1, path
            found += page["items"]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        assert found == whole, path


@pytest.fixture(scope="module")
def filled(shared):
    """A project for the filters, beside the others."""
    shared.make("/projects", key="F", name="filters")
    shared.make("/projects/F/tickets", title="plain")
    shared.make("/projects/F/tickets", title="Needle 100%", body="in hay", status="done",
                labels=["bug"], assignee="ann", type="debug", priority="high")  # fmt: skip
    shared.make("/projects/F/tickets", title="old")
    shared("PATCH", "/tickets/F-3", json={"archived": True})
    return shared


@pytest.mark.parametrize("query, keys", [
    ("status=done", "F-2"), ("label=BUG", "F-2"), ("assignee=ann", "F-2"), ("type=debug", "F-2"),
    ("priority=high", "F-2"), ("q=needle+HAY", "F-2"), ("q=100%25", "F-2"), ("q=_", ""),
    ("archived=true", "F-3"), ("archived=1", "F-3"), ("archived=any", "F-1 F-2 F-3"),
    ("", "F-1 F-2"), ("limit=1", "F-1"), ("status=backlog", "F-1"),
])  # fmt: skip
def test_filters(filled, query, keys):
    for path in (f"/projects/f/tickets?{query}", f"/tickets?project=f&{query}"):
        assert [ticket["key"] for ticket in filled.get(path)["items"]] == keys.split()


def test_the_board_is_tagged_and_compressed_for_who_asks(api):
    for number in range(30):
        api.make("/projects/CTX/tickets", title=f"ticket {number}")

    whole = api("GET", "/projects/ctx/board")
    small = api("GET", "/projects/ctx/board", headers={"Accept-Encoding": "gzip"})
    same = api("GET", "/projects/ctx/board", headers={"If-None-Match": whole.headers["ETag"]})

    assert whole.json["seq"] == 32
    assert len(whole.json["tickets"]) == 31
    assert whole.headers["ETag"] == f'"{whole.json["epoch"]}.{whole.json["head"]}"'
    assert small.headers["Content-Encoding"] == "gzip"
    assert len(small.data) < len(whole.data) / 3
    assert (same.status_code, same.data) == (304, b"")
    api.make("/projects/CTX/tickets", title="news")
    assert (
        api("GET", "/projects/ctx/board", headers={"If-None-Match": whole.headers["ETag"]}).json[
            "seq"
        ]
        == 33
    )


def test_a_revision_is_no_tag_of_bytes(api):
    answer = api("GET", "/tickets/CTX-1", headers={"If-None-Match": '"1"'})

    assert answer.status_code == 200


def test_the_dashboard_counts(api):
    overview = api.get("/dashboard")

    assert overview["projects"][0]["columns"]["backlog"] == 1


def test_health(shared):
    for path, status in (("/healthz", "ok"), ("/readyz", "ready")):
        answer = shared.client.get(path, base_url="http://127.0.0.1:4747")
        assert (answer.status_code, answer.json["status"]) == (200, status)


def test_a_draining_process_is_not_ready(api):
    api.app.extensions["cortex"].streams.draining = True

    answer = api("GET", "./readyz")

    assert is_problem(answer, 503, "draining")
    assert answer.headers["Retry-After"] == "1"
    assert api("GET", "./healthz").status_code == 200


def test_metrics_count_requests(start):
    api = start(metrics_public=True)
    api.client.get("/healthz", base_url="http://127.0.0.1:4747")

    text = api.client.get("/metrics", base_url="http://127.0.0.1:4747").text

    assert 'cortex_requests_total{method="GET",status="200"} 1.0' in text
