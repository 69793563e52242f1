"""The demo's agents against a real server, as fast as it goes."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cortex_cli import sdk
from cortex_cli.demo import Demo
from cortex_cli.demo_script import AGENTS, TASKS
from tests.support.server import Server


@pytest.fixture
def client(shared_server: Server) -> Any:
    with sdk.CortexClient(shared_server.url, shared_server.token) as client:
        yield client


def story(client: sdk.CortexClient, project: str, since: str) -> list[sdk.Event]:
    """Return every event of a project since a cursor."""
    head = client.get(f"/api/projects/{project}/board")["head"]
    events = []
    with client.events(project, since=since, snapshot=False) as stream:
        for value in stream:
            if isinstance(value, sdk.Event):
                events.append(value)
                if str(value.id).endswith(f".{head}"):
                    break
    return events


def test_a_newcomer_sees_everything_that_agents_do(client: sdk.CortexClient) -> None:
    with client.events(snapshot=False) as stream:
        hello = next(value for value in stream if isinstance(value, sdk.Connected))
    demo = Demo(client, rounds=3, pace=0)
    with demo.running() as project:
        demo.wait()
        assert demo.errors == []
        events = story(client, project, f"{hello.epoch}.{hello.head}")
        board = client.get(f"/api/projects/{project}/board")
    happened = {event.type for event in events}
    assert happened >= {
        "project.created", "label.created", "ticket.created", "ticket.moved", "session.started",
        "session.status", "session.ended", "message.created", "message.updated", "comment.added",
        "review.requested", "review.resolved",
    }  # fmt: skip
    assert {"agent"} == {
        e.actor.kind for e in events if e.type in ("ticket.moved", "review.requested")
    }
    assert {event.actor.name for event in events} >= {agent.name for agent in AGENTS}
    sessions = [event.payload for event in events if event.type.startswith("session.")]
    assert any(session["parent_id"] for session in sessions)
    assert any(session["status"] == "awaiting_input" for session in sessions)
    roles = {event.payload["role"] for event in events if event.type == "message.created"}
    assert roles == {"assistant", "user"}
    assert len([s for s in board["sessions"] if s["status"] == "working"]) == len(AGENTS)


def test_afterwards_nothing_is_left(client: sdk.CortexClient) -> None:
    with Demo(client, rounds=0, pace=0).running() as project:
        assert len(client.get(f"/api/projects/{project}/board")["tickets"]) == len(TASKS)
    with pytest.raises(sdk.NotFound):
        client.get(f"/api/projects/{project}")
    tokens = [t for t in client.paginate("/api/tokens") if t["name"].startswith(f"{project} ")]
    assert len(tokens) >= len(AGENTS)
    assert all(token["revoked_at"] for token in tokens)
    assert not [t for t in threading.enumerate() if t.name.startswith("demo-")]


def test_it_can_be_kept_and_the_next_one_takes_another_key(client: sdk.CortexClient) -> None:
    with Demo(client, rounds=0, pace=0).running(keep=True) as first:
        pass
    with Demo(client, rounds=0, pace=0).running() as second:
        assert first != second
    client.delete(f"/api/projects/{first}")


def test_leaving_in_the_middle_ends_the_agents_at_once(client: sdk.CortexClient) -> None:
    demo = Demo(client, pace=1_000)  # every pause is minutes long
    with demo.running() as project:
        assert project
    assert not [t for t in threading.enumerate() if t.name.startswith("demo-")]


def test_a_failure_of_an_agent_is_noted_and_breaks_nothing(client: sdk.CortexClient) -> None:
    demo = Demo(client, rounds=1, pace=0)
    with demo.running() as project:
        client.delete(f"/api/projects/{project}")
        demo.wait()
    assert demo.errors
