"""What each role may do, and that a thing out of reach looks as if it were not there."""

import pytest

from .conftest import Api, dispose, is_problem, make_api


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two projects, and a token of each kind."""
    admin = make_api(tmp_path_factory.mktemp("roles"))
    for key in ("ONE", "TWO"):
        admin.make("/projects", key=key, name=key)
        admin.make(f"/projects/{key}/tickets", title=key, labels=["x"])
    admin.make("/projects/ONE/tickets", title="another")
    tokens = {
        "admin": admin,
        "read": admin.token_for(role="read"),
        "write": admin.token_for(role="write"),
        "runner": admin.token_for(role="runner"),
        "reads ONE": admin.token_for(role="read", projects=["one"]),
        "writes ONE": admin.token_for(role="write", projects=["ONE"]),
        "agent": admin.token_for(role="agent", ticket="ONE-1"),
    }
    yield tokens
    dispose(admin)


ALL = ("admin", "read", "write", "runner", "reads ONE", "writes ONE", "agent")
WRITERS = ("admin", "write", "runner", "writes ONE", "agent")
WIDE = ("admin", "write")
NO_AGENT = tuple(role for role in ALL if role != "agent")
RUNNER = {"name": "r-1", "host": "h", "version": "1", "parallel": 1, "agents": []}
# (method, path, body, who may, what the others get)
MATRIX = [
    ("GET", "/whoami", None, ALL, None),
    ("GET", "/openapi.json", None, ALL, None),
    ("GET", "/projects", None, NO_AGENT, 403),
    ("GET", "/projects/ONE", None, NO_AGENT, 403),
    ("GET", "/projects/ONE/board", None, NO_AGENT, 403),
    ("GET", "/projects/ONE/labels", None, NO_AGENT, 403),
    ("GET", "/projects/ONE/settings", None, NO_AGENT, 403),
    ("GET", "/teams", None, NO_AGENT, 403),
    ("GET", "/tickets", None, NO_AGENT, 403),
    ("GET", "/dashboard", None, NO_AGENT, 403),
    ("GET", "/tickets/ONE-1", None, ALL, None),
    ("GET", "/tickets/ONE-1/comments", None, ALL, None),
    ("GET", "/sessions", None, ALL, None),
    ("GET", "/reviews", None, ALL, None),
    ("GET", "/tickets/ONE-2", None, NO_AGENT, 404),
    ("GET", "/settings", None, ("admin",), 403),
    ("GET", "/tokens", None, ("admin",), 403),
    ("GET", "./metrics", None, ("admin",), 403),
    ("POST", "/tickets/ONE-1/comments", {"body": "x"}, WRITERS, 403),
    ("POST", "/tickets/ONE-1/reviews", {"summary": "x"}, WRITERS, 403),
    ("POST", "/tickets/ONE-1/sessions", {}, WRITERS, 403),
    ("POST", "/tickets/ONE-1/move", {"status": "review"}, WRITERS, 403),
    ("PATCH", "/tickets/ONE-1", {"title": "x"}, WRITERS, 403),
    ("POST", "/tickets/ONE-1/labels", {"label": "y"}, WRITERS, 403),
    ("POST", "/projects/ONE/tickets", {"title": "x"}, (*WIDE, "writes ONE"), 403),
    ("PATCH", "/projects/ONE", {"name": "x"}, (*WIDE, "writes ONE"), 403),
    ("PATCH", "/projects/ONE/settings", {"values": {}}, (*WIDE, "writes ONE"), 403),
    ("GET", "/agents", None, NO_AGENT, 403),
    ("GET", "/runners", None, NO_AGENT, 403),
    ("GET", "/profiles", None, NO_AGENT, 403),
    ("GET", "/attempts", None, ALL, None),
    ("GET", "/tickets/ONE-1/attempts", None, ALL, None),
    ("POST", "/tickets/ONE-1/attempts", {"agent": "none", "base": "-x"}, (), 403),
    ("POST", "/runners", RUNNER, ("admin", "runner"), 403),
    ("DELETE", "/tickets/ONE-1?revision=999", None, (), 403),
    ("POST", "/teams", {"key": "bad key", "name": "x"}, (), 403),
    ("POST", "/tokens", {"name": "x", "role": "read"}, ("admin",), 403),
    ("PATCH", "/settings", {"values": {}}, ("admin",), 403),
]


@pytest.mark.parametrize(
    "method, path, body, allowed, refusal", MATRIX, ids=[f"{m[0]} {m[1]}" for m in MATRIX]
)
def test_the_matrix_of_roles(world, method, path, body, allowed, refusal):
    for role, api in world.items():
        answer = api(method, path, json=body)
        if role in allowed:
            assert answer.status_code < 300, (role, answer.text)
        elif not allowed:  # whoever passes the role is then told that the request itself is wrong
            assert answer.status_code in (refusal, 409, 422), (role, answer.text)
        else:
            assert answer.status_code == refusal, (role, answer.text)


HIDDEN = [
    ("GET", "/projects/TWO", None), ("GET", "/projects/TWO/board", None),
    ("GET", "/tickets/TWO-1", None),
    ("GET", "/projects/TWO/tickets", None), ("GET", "/tickets?project=TWO", None),
    ("GET", "/sessions?project=TWO", None), ("GET", "/sessions?ticket=TWO-1", None),
    ("GET", "/reviews?project=TWO", None), ("GET", "/tickets/TWO-1/comments", None),
    ("GET", "./events?project=TWO", None), ("GET", "./events?ticket=TWO-1", None),
    ("PATCH", "/tickets/TWO-1", {"title": "x"}), ("DELETE", "/tickets/TWO-1", None),
    ("POST", "/tickets/TWO-1/comments", {"body": "x"}),
    ("POST", "/projects/TWO/tickets", {"title": "x"}),
]  # fmt: skip


@pytest.mark.parametrize("method, path, body", HIDDEN)
def test_what_is_hidden_looks_as_if_it_were_not_there(world, method, path, body):
    api = world["writes ONE"]

    hidden = api(method, path, json=body)
    missing = api(method, path.replace("TWO", "NONE"), json=body)

    assert is_problem(hidden, 404, "not_found")
    assert hidden.json == missing.json


def test_lists_hold_only_what_the_token_may_read(world):
    api = world["reads ONE"]

    assert [project["key"] for project in api.get("/projects")["items"]] == ["ONE"]
    assert {ticket["project"] for ticket in api.get("/tickets?limit=500")["items"]} == {"ONE"}
    assert [row["project"] for row in api.get("/dashboard")["projects"]] == ["ONE"]


def test_an_agent_sees_only_what_is_on_its_ticket(world):
    admin, agent = world["admin"], world["agent"]
    admin.make("/tickets/ONE-2/sessions")
    admin.make("/tickets/ONE-2/reviews", summary="x")
    other = admin.make("/tickets/ONE-2/sessions")["id"]

    assert {session["ticket"] for session in agent.get("/sessions?limit=500")["items"]} <= {"ONE-1"}
    assert {review["ticket"] for review in agent.get("/reviews?limit=500")["items"]} <= {"ONE-1"}
    assert is_problem(agent("GET", f"/sessions/{other}"), 404)
    assert is_problem(agent("PATCH", f"/sessions/{other}", json={"title": "x"}), 404)
    assert is_problem(agent("GET", "/sessions?ticket=ONE-2"), 404)
    message = {"role": "user", "parts": []}
    assert is_problem(agent("PUT", f"/sessions/{other}/messages/m", json=message), 404)


def test_an_agent_does_not_answer_its_own_review_request(world):
    admin, agent = world["admin"], world["agent"]
    own = agent.make("/tickets/ONE-1/reviews", summary="mine")["id"]
    other = admin.make("/tickets/ONE-1/reviews", summary="yours")["id"]

    for state in ("approved", "changes_requested"):
        assert is_problem(agent("PATCH", f"/reviews/{own}", json={"state": state}), 403)
    assert agent("PATCH", f"/reviews/{own}", json={"state": "dismissed"}).status_code == 200
    assert agent("PATCH", f"/reviews/{other}", json={"state": "approved"}).status_code == 200


def test_a_runner_tells_of_work_and_decides_none(world):
    runner = world["runner"]
    profile = {"name": "p", "agent": "none", "options": {}}
    assert is_problem(runner("POST", "/profiles", json=profile), 403)
    assert is_problem(runner("PATCH", "/projects/ONE", json={"repo_path": "/etc"}), 403)
    assert is_problem(runner("POST", "/projects/ONE/batches", json={"tickets": ["ONE-1"]}), 403)
    assert is_problem(runner("POST", "/tickets/ONE-1/attempts", json={"agent": "none"}), 403)
    assert runner("POST", "/tickets/ONE-1/sessions", json={}).status_code == 201


def test_an_agent_changes_only_its_own_comments(world):
    admin, agent = world["admin"], world["agent"]
    other = admin.make("/tickets/ONE-1/comments", body="mine")["id"]
    own = agent.make("/tickets/ONE-1/comments", body="mine")["id"]

    assert is_problem(agent("PATCH", f"/comments/{other}", json={"body": "forged"}), 403)
    assert is_problem(agent("DELETE", f"/comments/{other}"), 403)
    assert agent("PATCH", f"/comments/{own}", json={"body": "better"}).status_code == 200


def test_the_actor_comes_from_the_token(world):
    comment = world["agent"].make("/tickets/ONE-1/comments", body="x")

    assert comment["author"] == {"kind": "agent", "name": "t"}
    forged = world["agent"]("POST", "/tickets/ONE-1/comments", json={"body": "x", "author": "root"})
    assert is_problem(forged, 422)


def test_a_reader_cannot_append_text(world):
    session = world["write"].make("/tickets/ONE-1/sessions")["id"]
    path = f"/sessions/{session}/messages/m"
    part = {"type": "text", "text": "", "status": "streaming"}
    world["write"]("PUT", path, json={"role": "assistant", "parts": [part]})
    delta = {"part": 0, "offset": 0, "text": "x"}

    assert is_problem(world["read"]("POST", f"{path}/delta", json=delta), 403)
    assert world["agent"]("POST", f"{path}/delta", json=delta).json == {"length": 1}


def test_a_revoked_token_is_refused_at_once(world):
    admin = world["admin"]
    made = admin.make("/tokens", name="brief", role="read")
    brief = admin.as_token(made["secret"])
    assert brief("GET", "/whoami").status_code == 200

    assert admin("DELETE", f"/tokens/{made['id']}").json["revoked_at"]

    assert is_problem(brief("GET", "/whoami"), 401, "token_revoked")


def test_a_token_that_is_revoked_while_its_body_arrives_changes_nothing(world):
    admin = world["admin"]
    made = admin.make("/tokens", name="brief", role="write")
    brief = admin.as_token(made["secret"])

    class RevokedMeanwhile:
        rest = b'{"title":"too late"}'

        def read(self, size):
            admin("DELETE", f"/tokens/{made['id']}")
            part, self.rest = self.rest[:size], self.rest[size:]
            return part

    answer = post_chunked(brief, RevokedMeanwhile())

    assert is_problem(answer, 401, "token_revoked")
    assert "too late" not in admin("GET", "/tickets?limit=500").text


def post_chunked(api: Api, body):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {api.token}"}
    environ = {"wsgi.input": body, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    return api.client.post(
        "/api/projects/ONE/tickets", base_url="http://127.0.0.1:4747", headers=headers,
        environ_overrides=environ,
    )  # fmt: skip
