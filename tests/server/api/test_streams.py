"""What a stream's address may say. The streams themselves are tested elsewhere."""

import json

import pytest

from cortex_server.api.streams import parse_types

from .conftest import is_problem


def first_frames(api, path, until="state", **headers):
    """The frames of a stream up to the first of a kind, by event name."""
    answer = api("GET", f".{path}", headers=headers, buffered=False)
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/event-stream"
    found, rest = {}, b""
    try:
        for chunk in answer.response:
            *frames, rest = (rest + chunk).split(b"\n\n")
            for frame in frames:
                lines = dict(
                    line.split(": ", 1) for line in frame.decode().split("\n") if ": " in line
                )
                found[lines.get("event")] = json.loads(lines["data"]) if "data" in lines else None
            if until in found:
                return found
    finally:
        answer.close()
    raise AssertionError(f"no {until}: {found}")


MALFORMED = [
    "?types=",
    "?types=ticket",
    "?types=ticket.",
    "?types=ticket.**",
    "?types=a.b,,c.d",
    "?types=.moved",
    "?types=%00",
    "?types=ticket.moved;x",
    "?since=",
    "?since=x",
    "?since=a.b",
    "?since=8f3c.-1",
    "?since=8f3c.1_0",
    "?since=8f3c.٣",
    "?snapshot=2",
    "?snapshot=yes",
    "?unknown=1",
    "?project=CTX&project=CTX",
    "?client_id=",
    "?client_id=a%20b",
    "?project=",
    "?deltas=",
    "?ticket=",
    "?since=" + "8" * 70 + ".1",
    "?token=x",
    "?Project=CTX",
]


@pytest.mark.parametrize("query", MALFORMED)
def test_a_malformed_value_is_refused(shared, query):
    assert is_problem(shared("GET", f"./events{query}"), 400)


@pytest.mark.parametrize("query", ["?project=CTX", "?types=a.b", "?snapshot=1", "?since=x", "?x=1"])
def test_the_dashboard_takes_less(shared, query):
    assert is_problem(shared("GET", f"./events/dashboard{query}"), 400)


@pytest.mark.parametrize(
    "query", ["?project=NO", "?ticket=CTX-99", "?deltas=none", "?project=CTX&ticket=NO-1"]
)
def test_what_is_not_there_is_not_found(shared, query):
    assert is_problem(shared("GET", f"./events{query}"), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["./events", "./events?project=ctx&types=ticket.*,no.such&ticket=ctx-1&snapshot=0"]
)
def test_head_answers_as_get_would_and_takes_no_place(shared, path):
    answer = shared("HEAD", path)

    assert answer.status_code == 200
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert "Content-Encoding" not in answer.headers
    assert len(shared.app.extensions["cortex"].streams) == 0


def test_a_board_is_named_by_query_or_header_in_any_case(shared):
    by_query = first_frames(shared, "/events?project=ctx")
    by_header = first_frames(shared, "/events", **{"X-Cortex-Project": "ctx"})
    by_both = first_frames(shared, "/events?project=CTX", **{"X-Cortex-Project": "ctx"})

    assert (
        by_query["state"]
        == by_header["state"]
        == by_both["state"]
        == shared.get("/projects/CTX/board")
    )


def test_two_different_boards_are_refused(shared):
    assert is_problem(shared("GET", "./events?project=CTX", headers={"X-Cortex-Project": "B"}), 400)
    assert is_problem(shared("GET", "./events", headers={"X-Cortex-Project": " "}), 400)


def test_without_a_project_it_is_everything(shared):
    frames = first_frames(shared, "/events")

    assert [project["key"] for project in frames["state"]["projects"]] == ["CTX"]


def test_the_client_id_is_echoed_or_made(shared):
    assert first_frames(shared, "/events?client_id=me")["hello"]["client_id"] == "me"
    assert len(first_frames(shared, "/events")["hello"]["client_id"]) == 36


def test_the_header_wins_over_since(shared):
    head = shared.get("/projects/CTX/board")
    last = f"{head['epoch']}.{head['head']}"

    resumed = first_frames(shared, "/events?since=0bad.1", "hello", **{"Last-Event-ID": last})
    by_query = first_frames(shared, f"/events?since={last}", "hello")
    lost = first_frames(shared, f"/events?since={last}", "state", **{"Last-Event-ID": "0bad.1"})

    assert resumed["hello"]["resumed"] is True
    assert by_query["hello"]["resumed"] is True
    assert lost["reset"]["reason"] == "epoch"


def test_an_agent_gets_its_ticket_whatever_it_asks(api):
    api.make("/projects/CTX/tickets", title="another")
    agent = api.token_for(role="agent", ticket="CTX-1")

    for path in ("/events", "/events?project=CTX", "/events?ticket=ctx-1"):
        state = first_frames(agent, path)["state"]
        assert [ticket["key"] for ticket in state["tickets"]] == ["CTX-1"], path
    assert is_problem(agent("GET", "./events?ticket=CTX-2"), 404)
    assert is_problem(agent("GET", "./events/dashboard"), 403)


def test_the_dashboard_streams(shared):
    frames = first_frames(shared, "/events/dashboard", "dashboard_overview")

    assert frames["dashboard_overview"]["projects"][0]["project"] == "CTX"


@pytest.mark.parametrize(
    "text, types",
    [
        (None, None),
        ("*", None),
        ("ticket.moved", {"ticket.moved"}),
        ("comment.*", {"comment.added", "comment.updated", "comment.deleted"}),
        ("no.such", {"no.such"}),
        ("nothing.*", set()),
        ("review.*,ticket.moved", {"review.requested", "review.resolved", "ticket.moved"}),
        (
            "batch.ticket.*",
            {f"batch.ticket.{end}" for end in ("started", "completed", "failed", "skipped")}
            | {"batch.ticket.cancelled"},
        ),
        ("batch.ticket.failed", {"batch.ticket.failed"}),
        ("ticket.moved,*", None),
    ],
)
def test_a_filter_of_types(text, types):
    assert parse_types(text) == (None if types is None else frozenset(types))
