"""A change that names an outdated revision is refused with the object as it is now."""

import pytest

from .conftest import is_problem


@pytest.fixture
def things(api):
    """(address, a change) of one thing of each kind that has a revision."""
    api.make("/teams", key="core", name="Core")
    label = api.make("/projects/CTX/labels", name="bug")["id"]
    comment = api.make("/tickets/CTX-1/comments", body="x")["id"]
    review = api.make("/tickets/CTX-1/reviews", summary="x")["id"]
    session = api.make("/tickets/CTX-1/sessions")["id"]
    message = f"/sessions/{session}/messages/m"
    api("PUT", message, json={"role": "user", "parts": []})
    return [
        ("PATCH", "/teams/core", {"name": "Other"}),
        ("PATCH", "/projects/ctx", {"name": "Other"}),
        ("PATCH", f"/labels/{label}", {"name": "defect"}),
        ("PATCH", "/tickets/CTX-1", {"title": "Other"}),
        ("PATCH", f"/comments/{comment}", {"body": "Other"}),
        ("PATCH", f"/reviews/{review}", {"state": "approved"}),
        ("PATCH", f"/sessions/{session}", {"title": "Other"}),
        ("PUT", message, {"role": "tool", "parts": []}),
        ("PATCH", "/settings", {"values": {"log_retention_days": 3}}),
        ("PATCH", "/projects/CTX/settings", {"values": {"default_type": "chore"}}),
    ]


def test_an_outdated_revision_is_refused_everywhere(api, things):
    for method, path, change in things:
        current = api.get(path)

        refused = api(method, path, json={**change, "revision": current["revision"] + 1})
        taken = api(method, path, json={**change, "revision": current["revision"]})
        late = api(method, path, json={**change, "revision": current["revision"]})

        assert is_problem(refused, 409, "outdated_revision"), path
        assert refused.json["current"]["revision"] == current["revision"], path
        assert taken.status_code == 200, (path, taken.text)
        assert taken.json["revision"] == current["revision"] + 1, path
        assert late.json["current"]["revision"] == current["revision"] + 1, path


def test_every_single_object_carries_its_revision_as_etag(api, things):
    for method, path, change in things:
        answer = api("GET", path)
        assert answer.headers["ETag"] == f'"{answer.json["revision"]}"', path
        changed = api(method, path, json=change, headers={"If-Match": answer.headers["ETag"]})
        assert changed.status_code == 200, path
        assert changed.headers["ETag"] == f'"{answer.json["revision"] + 1}"', path
        late = api(method, path, json=change, headers={"If-Match": answer.headers["ETag"]})
        assert is_problem(late, 409, "outdated_revision"), path


def test_an_outdated_move_moves_nothing(api):
    answer = api("POST", "/tickets/CTX-1/move", json={"status": "done", "revision": 7})

    assert is_problem(answer, 409, "outdated_revision")
    assert answer.json["current"]["status"] == "backlog"


def test_an_outdated_end_ends_nothing(api):
    session = api.make("/tickets/CTX-1/sessions")["id"]

    answer = api("POST", f"/sessions/{session}/end", json={"revision": 7})

    assert is_problem(answer, 409, "outdated_revision")
    assert answer.json["current"]["status"] == "starting"


@pytest.mark.parametrize("named", [{"query": "?revision=7"}, {"headers": {"If-Match": '"7"'}}])
def test_an_outdated_delete_deletes_nothing(api, named):
    answer = api(
        "DELETE", "/tickets/CTX-1" + named.get("query", ""), headers=named.get("headers", {})
    )

    assert is_problem(answer, 409, "outdated_revision")
    assert api("DELETE", "/tickets/CTX-1?revision=1").status_code == 204
    assert is_problem(api("GET", "/tickets/CTX-1"), 404)


@pytest.mark.parametrize("header", ["1", 'W/"1"', '"1", "2"', '"x"', '"-1"', ""])
def test_if_match_takes_one_revision(shared, header):
    answer = shared("PATCH", "/tickets/CTX-1", json={"title": "x"}, headers={"If-Match": header})

    assert is_problem(answer, 400, "malformed")


def test_if_match_with_a_star_matches_what_is_there(api):
    answer = api("PATCH", "/tickets/CTX-1", json={"title": "x"}, headers={"If-Match": "*"})

    assert answer.status_code == 200


def test_two_different_revisions_are_refused(api):
    change = {"title": "x", "revision": 1}

    assert is_problem(api("PATCH", "/tickets/CTX-1", json=change, headers={"If-Match": '"2"'}), 400)
    assert (
        api("PATCH", "/tickets/CTX-1", json=change, headers={"If-Match": '"1"'}).status_code == 200
    )


def test_a_precondition_where_nothing_has_a_revision_is_refused_and_not_ignored(api):
    answer = api("POST", "/tickets/CTX-1/comments", json={"body": "x"}, headers={"If-Match": '"1"'})

    assert is_problem(answer, 400, "malformed")


@pytest.mark.parametrize("revision", [0, -1, 1.0, "1", True, 2**31])
def test_a_revision_is_a_small_whole_number(shared, revision):
    answer = shared("PATCH", "/tickets/CTX-1", json={"title": "x", "revision": revision})

    assert is_problem(answer, 422, "invalid")


def test_a_change_that_changes_nothing_makes_no_event(api):
    before = api.head

    answer = api("PATCH", "/tickets/CTX-1", json={"title": "First"})

    assert answer.json["revision"] == 1
    assert api.head == before
