"""Actions of agents, profiles, runners and attempts, for the catalogue's test."""

from typing import Any

from tests.contract.catalogue_actions import World, causes, change


def runner(w: World, agent: str, **fields: Any) -> Any:
    """A new runner, of the action's own project, that offers one agent."""
    offer = {"name": agent, "adapter": "command", "capabilities": ["prompt"]}
    body = {"name": w.new("runner"), "host": "here", "version": "1", "parallel": 2, **fields}
    return w.server.make("/runners", **{"projects": [w.project], "agents": [offer], **body})


def queued(w: World) -> tuple[Any, str]:
    """A runner, and the path of an attempt in the queue that it may take."""
    agent = w.new("agent")
    made = runner(w, agent)
    return made, f"/attempts/{w.server.make(f'/tickets/{w.ticket}/attempts', agent=agent)['id']}"


def claimed(w: World) -> str:
    """The path of an attempt of generation 1 that its runner has begun to work on."""
    made, path = queued(w)
    assert w.server.make(f"/runners/{made['id']}/claim")["claim"]["kind"] == "attempt"
    change(w, "PATCH", path, generation=1, status="running")
    return path


@causes("agent.registered")
def offer_agent(w: World) -> str:
    agent = w.new("agent")
    with w.emits("runner.online", "agent.registered"):
        runner(w, agent)
    return f"/agents/{agent}"


@causes("agent.profile")
def create_profile(w: World) -> str:
    name = w.new("profile")
    with w.emits("agent.profile"):
        w.server.make(
            "/profiles", name=name, agent="any", project=w.project, options={"model": "m"}
        )
    return f"/profiles/{name}"


@causes("runner.online")
def come_back(w: World) -> str:
    made = runner(w, w.new("agent"))
    w.server.make(f"/runners/{made['id']}/leave")
    with w.emits("runner.online"):
        w.server.make(f"/runners/{made['id']}/heartbeat")
    return f"/runners/{made['id']}"


@causes("runner.offline")
def leave(w: World) -> str:
    made = runner(w, w.new("agent"))
    with w.emits("runner.offline"):
        w.server.make(f"/runners/{made['id']}/leave")
    return f"/runners/{made['id']}"


@causes("attempt.started")
def start_attempt(w: World) -> str:
    agent = w.new("agent")
    runner(w, agent)
    with w.emits("attempt.started"):
        made = w.server.make(f"/tickets/{w.ticket}/attempts", agent=agent, prompt="Do it")
    return f"/attempts/{made['id']}"


@causes("attempt.status")
def claim_attempt(w: World) -> str:
    made, path = queued(w)
    with w.emits("session.started", "attempt.session", "attempt.status", "ticket.moved"):
        w.server.make(f"/runners/{made['id']}/claim")
    return path


@causes("attempt.progress")
def progress(w: World) -> str:
    path = claimed(w)
    with w.emits("attempt.progress"):
        change(w, "PATCH", path, generation=1, stage="executing", progress="3 of 7")
    return path
