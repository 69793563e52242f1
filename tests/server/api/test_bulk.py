"""The routes that take many things in one request."""

import pytest

from cortex_server.domains.messages import TEXT_MAX


@pytest.fixture
def session(api):
    return api.make("/tickets/CTX-1/sessions", title="s")["id"]


def streaming(api, session, message):
    part = {"type": "text", "text": "", "status": "streaming"}
    body = {"role": "assistant", "parts": [part]}
    assert api("PUT", f"/sessions/{session}/messages/{message}", json=body).status_code == 201


def delta(message, offset, text, part=0):
    return {"message": message, "part": part, "offset": offset, "text": text}


def text_of(api, session, message):
    return api.get(f"/sessions/{session}/messages/{message}")["parts"][0]["text"]


def test_deltas_are_appended_in_their_order(api, session):
    streaming(api, session, "m")
    streaming(api, session, "n")
    pieces = [delta("m", 0, "Hel"), delta("m", 3, "lo"), delta("n", 0, "x"), delta("m", 5, "!")]
    answer = api("POST", f"/sessions/{session}/deltas", json={"deltas": pieces})
    assert (answer.status_code, answer.json) == (202, {"applied": 4})
    assert text_of(api, session, "m") == "Hello!"
    assert text_of(api, session, "n") == "x"


def test_a_refused_delta_says_how_many_were_appended_before_it(api, session):
    streaming(api, session, "m")
    pieces = [delta("m", 0, "a"), delta("m", 1, "b"), delta("m", 7, "c"), delta("m", 8, "d")]
    answer = api("POST", f"/sessions/{session}/deltas", json={"deltas": pieces})
    assert answer.status_code == 409
    assert answer.json["code"] == "offset_mismatch"
    assert (answer.json["applied"], answer.json["length"]) == (2, 2)
    assert text_of(api, session, "m") == "ab"


def test_those_that_continue_each_other_are_appended_up_to_the_refused_one(api, session):
    """They are joined first: what is refused then is more than the one that is too long."""
    streaming(api, session, "m")
    for offset in range(0, TEXT_MAX, TEXT_MAX // 4):
        text = "x" * (TEXT_MAX // 4 - 4 * (offset == TEXT_MAX // 4 * 3))
        assert api("POST", f"/sessions/{session}/deltas",
                   json={"deltas": [delta("m", offset, text)]}).status_code == 202  # fmt: skip
    full = TEXT_MAX - 4
    pieces = [
        delta("m", full, "a"), delta("m", full + 1, "b"),
        delta("m", full + 2, "too long"), delta("m", full + 10, "d"),
    ]  # fmt: skip
    answer = api("POST", f"/sessions/{session}/deltas", json={"deltas": pieces})
    assert (answer.status_code, answer.json["applied"]) == (413, 2)
    assert text_of(api, session, "m")[full:] == "ab"


def test_deltas_for_a_message_that_is_not_there(api, session):
    answer = api("POST", f"/sessions/{session}/deltas", json={"deltas": [delta("no", 0, "a")]})
    assert (answer.status_code, answer.json["applied"]) == (404, 0)


def test_messages_are_stored_together(api, session):
    parts = [{"type": "text", "text": "x"}]
    items = [{"id": f"m{n}", "role": "user", "parts": parts} for n in range(3)]
    answer = api("POST", f"/sessions/{session}/messages", json={"messages": items})
    assert (answer.status_code, answer.json) == (200, {"created": 3, "updated": 0, "unchanged": 0})
    listed = api.get(f"/sessions/{session}/messages")["items"]
    assert [message["id"] for message in listed] == ["m0", "m1", "m2"]


def test_a_list_that_puts_a_streaming_message_keeps_what_deltas_brought(api, session):
    streaming(api, session, "m")
    api("POST", f"/sessions/{session}/deltas", json={"deltas": [delta("m", 0, "Hello")]})
    head = api.head
    part = {"type": "text", "text": "Hello", "status": "streaming"}
    items = [{"id": "m", "role": "assistant", "parts": [part]}]
    answer = api("POST", f"/sessions/{session}/messages", json={"messages": items})
    assert answer.json == {"created": 0, "updated": 0, "unchanged": 1}
    assert api.head == head


def test_tickets_are_created_and_changed_together(api, session):
    created = api.make("/projects/CTX/tickets/bulk", tickets=[{"title": "b"}, {"title": "c"}])
    keys = [ticket["key"] for ticket in created["items"]]
    assert keys == ["CTX-2", "CTX-3"]
    changes = [{"ticket": key, "status": "done", "position": None} for key in keys]
    answer = api("PATCH", "/projects/CTX/tickets", json={"changes": changes})
    assert [ticket["status"] for ticket in answer.json["items"]] == ["done", "done"]


def test_a_wrong_one_refuses_all_and_is_named(api, session):
    head = api.head
    body = {"tickets": [{"title": "b"}, {"title": "c", "status": "nowhere"}]}
    answer = api("POST", "/projects/CTX/tickets/bulk", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["tickets.1.status"]
    assert api.head == head


def test_an_outdated_revision_of_one_refuses_all(api, session):
    api.make("/projects/CTX/tickets", title="b")
    head = api.head
    changes = [
        {"ticket": "CTX-1", "priority": "high"},
        {"ticket": "CTX-2", "priority": "high", "revision": 9},
    ]
    answer = api("PATCH", "/projects/CTX/tickets", json={"changes": changes})
    assert (answer.status_code, answer.json["code"]) == (409, "outdated_revision")
    assert answer.json["current"]["key"] == "CTX-2"
    assert api.head == head


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/projects/CTX/tickets/bulk", {"tickets": []}),
        ("PATCH", "/projects/CTX/tickets", {"changes": []}),
        ("POST", "/projects/CTX/tickets/bulk", {"tickets": [{"title": "x"}] * 501}),
    ],
)
def test_lists_that_are_empty_or_too_long_are_refused(api, session, method, path, body):
    assert api(method, path, json=body).status_code == 422
