"""Actions of batches, triggers and memory, for the catalogue's test."""

from typing import Any

from tests.contract.attempt_actions import runner
from tests.contract.catalogue_actions import World, causes, change


def _held(w: World, **fields: Any) -> tuple[Any, str]:
    """A runner, and the path of a batch of the action's ticket that was not started."""
    agent = w.new("agent")
    made = runner(w, agent)
    wanted = {"tickets": [w.ticket], "agent": agent, "start": False, **fields}
    batch = w.server.make(f"/projects/{w.project}/batches", **wanted)
    return made, f"/batches/{batch['id']}"


def _running(w: World, **fields: Any) -> tuple[str, str, str]:
    """The path of a batch, that of its attempt, which its runner works on, and the runner's."""
    made, batch = _held(w, **fields)
    change(w, "POST", f"{batch}/start")
    claim = w.server.make(f"/runners/{made['id']}/claim")["claim"]
    attempt = f"/attempts/{claim['attempt']['id']}"
    change(w, "PATCH", attempt, generation=1, status="running")
    return batch, attempt, f"/runners/{made['id']}"


def _merging(w: World, **fields: Any) -> str:
    """The path of a batch that its runner merges, in generation 1."""
    batch, attempt, its_runner = _running(w, **fields)
    change(w, "POST", f"{attempt}/end", generation=1, status="succeeded")
    assert w.server.make(f"{its_runner}/claim")["claim"]["kind"] == "batch"
    return batch


@causes("batch.created")
def create_batch(w: World) -> str:
    agent = w.new("agent")
    runner(w, agent)
    with w.emits("batch.created"):
        made = w.server.make(
            f"/projects/{w.project}/batches", tickets=[w.ticket], agent=agent, start=False
        )
    return f"/batches/{made['id']}"


@causes("batch.started")
def start_batch(w: World) -> str:
    _, batch = _held(w)
    with w.emits("batch.started", "attempt.started", "batch.ticket.started"):
        change(w, "POST", f"{batch}/start")
    return batch


@causes("batch.ticket.started")
def create_and_start_batch(w: World) -> str:
    agent = w.new("agent")
    runner(w, agent)
    with w.emits("batch.created", "batch.started", "attempt.started", "batch.ticket.started"):
        made = w.server.make(f"/projects/{w.project}/batches", tickets=[w.ticket], agent=agent)
    return f"/batches/{made['id']}/tickets/{w.ticket}"


@causes("batch.ticket.completed")
def complete_ticket(w: World) -> str:
    batch, attempt, _ = _running(w, merge=False)
    with w.emits(
        "attempt.status", "ticket.moved", "session.ended", "batch.ticket.completed",
        "batch.completed",
    ):  # fmt: skip
        change(w, "POST", f"{attempt}/end", generation=1, status="succeeded")
    return f"{batch}/tickets/{w.ticket}"


@causes("batch.merging")
def complete_all(w: World) -> str:
    batch, attempt, _ = _running(w)
    with w.emits(
        "attempt.status", "ticket.moved", "session.ended", "batch.ticket.completed",
        "batch.merging",
    ):  # fmt: skip
        change(w, "POST", f"{attempt}/end", generation=1, status="succeeded")
    return batch


@causes("batch.ticket.failed")
def fail_ticket(w: World) -> str:
    batch, attempt, _ = _running(w)
    with w.emits("attempt.status", "session.ended", "batch.ticket.failed", "batch.failed"):
        change(w, "POST", f"{attempt}/end", generation=1, status="failed", reason="No luck")
    return f"{batch}/tickets/{w.ticket}"


@causes("batch.ticket.skipped")
def skip_ticket(w: World) -> str:
    batch = _merging(w)
    said = {"generation": 1, "ticket": w.ticket, "result": "conflict", "files": ["a.txt"]}
    with w.emits("batch.ticket.skipped"):
        change(w, "POST", f"{batch}/merge", **said)
    return f"{batch}/tickets/{w.ticket}"


@causes("batch.failed")
def fail_by_conflict(w: World) -> str:
    batch = _merging(w, on_conflict="fail")
    said = {"generation": 1, "ticket": w.ticket, "result": "conflict", "files": ["a.txt"]}
    with w.emits("batch.ticket.failed", "batch.failed"):
        change(w, "POST", f"{batch}/merge", **said)
    return batch


@causes("batch.completed")
def finish_batch(w: World) -> str:
    batch = _merging(w)
    merged = {"generation": 1, "ticket": w.ticket, "result": "merged", "commit": "5f" * 20}
    change(w, "POST", f"{batch}/merge", **merged)
    said = {"generation": 1, "status": "completed", "pr_url": "https://example.org/pr/1"}
    with w.emits("batch.completed"):
        change(w, "POST", f"{batch}/finish", **said)
    return batch


@causes("batch.ticket.cancelled")
def cancel_held_batch(w: World) -> str:
    _, batch = _held(w)
    with w.emits("batch.ticket.cancelled", "batch.cancelled"):
        change(w, "POST", f"{batch}/cancel")
    return f"{batch}/tickets/{w.ticket}"


@causes("batch.cancelled")
def cancel_merging_batch(w: World) -> str:
    batch = _merging(w)
    with w.emits("batch.cancelled"):
        change(w, "POST", f"{batch}/cancel")
    return batch


@causes("trigger.fired")
def fire_by_hand(w: World) -> str:
    made = w.server.make(
        f"/projects/{w.project}/triggers", name="t", on={"types": ["ticket.moved"]},
        action={"kind": "call", "url": "http://127.0.0.1:1/"},
    )  # fmt: skip
    with w.emits("trigger.fired"):
        w.server.make(f"/triggers/{made['id']}/test")
    return f"/triggers/{made['id']}"


@causes("memory.changed")
def put_memory(w: World) -> str:
    path = f"/projects/{w.project}/memory/style.md"
    with w.emits("memory.changed"):
        change(w, "PUT", path, body="# Style")
    return path
