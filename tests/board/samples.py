"""Boards, tickets and models for the tests of the board, as the wire has them."""

from typing import Any

from cortex_cli.board import document
from cortex_cli.board.apply import Change
from cortex_cli.board.messages import Connected, Effect, Incoming, Key, Snapshot
from cortex_cli.board.model import Model
from cortex_cli.board.update import update

AT = "2026-01-26T15:53:01.717454Z"
NOW = 1769442781.0 + 200  # three minutes after AT
ACTOR = {"kind": "agent", "name": "opencode"}
COLUMNS = [
    {"name": "backlog", "title": "Backlog", "wip_limit": None},
    {"name": "progress", "title": "In progress", "wip_limit": 3},
    {"name": "review", "title": "Review", "wip_limit": None},
    {"name": "done", "title": "Done", "wip_limit": None},
]


def project(**changes: Any) -> dict[str, Any]:
    return {
        "id": "p1", "key": "CTX", "name": "Cortex", "team": None, "repo_path": None,
        "default_branch": "main", "columns": COLUMNS, "revision": 1, "created_at": AT,
        "updated_at": AT,
    } | changes  # fmt: skip


def ticket(number: int, status: str = "backlog", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"t{number:03}", "key": f"CTX-{number}", "project": "CTX", "number": number,
        "title": f"Ticket {number}", "body": "", "type": "work", "status": status,
        "rank": f"a{number:03}", "priority": "none", "labels": [], "assignee": None, "due": None,
        "references": [], "depends_on": [], "archived": False, "revision": 1, "created_at": AT,
        "updated_at": AT,
    } | changes  # fmt: skip


def session(number: int, key: str, status: str = "working", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"s{number}", "project": "CTX", "ticket": key, "parent_id": None,
        "title": f"Session {number}", "agent": "opencode", "model": "big", "status": status,
        "tool": None, "work": None, "outcome": None, "started_by": ACTOR, "attempt": None,
        "stale": False, "revision": 1, "created_at": AT, "updated_at": AT, "ended_at": None,
    } | changes  # fmt: skip


def attempt(number: int, key: str, status: str = "running", **changes: Any) -> dict[str, Any]:
    ended = AT if status in ("succeeded", "failed", "cancelled", "lost") else None
    return {
        "id": f"a{number}", "project": "CTX", "ticket": key, "number": number, "agent": "opencode",
        "profile": None, "status": status, "stage": None, "progress": None, "prompt": None,
        "base": None, "branch": None, "worktree": None, "session": None, "runner": None,
        "generation": 1, "todos": [], "git": None, "pr": None, "compare_url": None, "batch": None,
        "retry_of": None, "reason": None, "exit_code": None, "started_by": ACTOR, "revision": 1,
        "created_at": AT, "updated_at": AT, "started_at": None, "ended_at": ended,
    } | changes  # fmt: skip


def permission(number: int, key: str, state: str = "open", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"q{number}", "project": "CTX", "ticket": key, "attempt": "a1", "session": "s1",
        "external_id": None, "kind": "permission", "title": "Run rm?", "detail": "rm -r build",
        "options": [
            {"id": "once", "label": "Allow once", "description": None},
            {"id": "no", "label": "Reject", "description": None},
        ],
        "multiple": False, "free_text": False, "state": state, "choices": None, "text": None,
        "asked_by": ACTOR, "answered_by": None, "revision": 1, "created_at": AT, "updated_at": AT,
    } | changes  # fmt: skip


def batch(number: int, *rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": f"b{number}", "project": "CTX", "name": "Nightly", "mode": "parallel", "limit": None,
        "stop_on_failure": False, "on_conflict": "skip", "merge": True, "agent": "opencode",
        "profile": None, "prompt": None, "status": "running", "tickets": list(rows),
        "branch": None, "commit": None, "pr_url": None, "compare_url": None, "reason": None,
        "runner": None, "generation": 0, "created_by": ACTOR, "revision": 1, "created_at": AT,
        "updated_at": AT, "started_at": AT, "ended_at": None,
    } | changes  # fmt: skip


def batch_ticket(key: str, status: str = "pending", **changes: Any) -> dict[str, Any]:
    return {
        "batch": "b1", "ticket": key, "title": "T", "status": status, "attempt": None,
        "error": None, "files": [], "commit": None,
    } | changes  # fmt: skip


def instance(number: int, key: str, status: str = "running", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"i{number}", "project": "CTX", "ticket": key, "attempt": f"a{number}",
        "runner": "r1", "status": status, "url": "http://127.0.0.1:9", "error": None,
        "link": "connected", "revision": 1, "created_at": AT, "updated_at": AT,
    } | changes  # fmt: skip


def entry(number: int, text: str, kind: str = "text", **changes: Any) -> dict[str, Any]:
    return {
        "attempt": "a1", "number": number, "kind": kind, "text": text, "tool": None, "at": AT
    } | changes  # fmt: skip


def review(number: int, key: str, state: str = "requested", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"r{number}", "project": "CTX", "ticket": key, "repo_path": None, "branch": "fix",
        "commit": None, "summary": "Please look", "state": state, "note": None,
        "requested_by": ACTOR, "resolved_by": None, "revision": 1, "created_at": AT,
        "updated_at": AT,
    } | changes  # fmt: skip


def comment(number: int, key: str, body: str = "Hello", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"c{number}", "project": "CTX", "ticket": key, "author": ACTOR, "type": "comment",
        "body": body, "revision": 1, "created_at": AT, "updated_at": AT,
    } | changes  # fmt: skip


def label(number: int, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"l{number}", "project": "CTX", "name": name, "color": None, "priority": 0,
        "revision": 1, "created_at": AT, "updated_at": AT,
    } | changes  # fmt: skip


def part(text: str, status: str = "complete", **changes: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, "tool": None, "input": None, "status": status} | changes


def message(number: int, session_id: str, *parts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": f"m{number}", "project": "CTX", "ticket": "CTX-1", "session": session_id,
        "role": "assistant", "parts": list(parts), "status": "complete", "number": number,
        "revision": 1, "created_at": AT, "updated_at": AT,
    } | changes  # fmt: skip


def board(**changes: Any) -> dict[str, Any]:
    """A board of three columns with cards and one without."""
    return {
        "epoch": "e1", "head": 10, "seq": 10, "project": project(), "labels": [label(1, "ui")],
        "tickets": [
            ticket(1, title="Write the parser", labels=["ui"], priority="high"),
            ticket(2, title="日本語 cards 👩‍💻 too", assignee="anna"),
            ticket(3, "progress", title="Stream the events"),
            ticket(4, "progress", title="Draw the board"),
            ticket(5, "review", title="Fix the lease"),
        ],
        "sessions": [session(1, "CTX-3"), session(2, "CTX-4", "awaiting_input")],
        "attempts": [], "reviews": [review(1, "CTX-5")], "permissions": [], "batches": [],
    } | changes  # fmt: skip


def event(kind: str, payload: dict[str, Any], seq: int | None = None, **changes: Any) -> Change:
    return Change(
        kind, payload, changes.get("project", "CTX"), seq,
        changes.get("ticket", payload.get("ticket")), "opencode",
        changes.get("gap", 0),
    )  # fmt: skip


def live(body: dict[str, Any] | None = None, width: int = 120, height: int = 30) -> Model:
    """A board that is connected and shows `body`."""
    model = Model(project="CTX", width=width, height=height, now=NOW)
    return feed(model, Connected(1, False), Snapshot(1, board() if body is None else body))[0]


def feed(model: Model, *messages: Incoming) -> tuple[Model, list[Effect]]:
    """The model after the messages, and all effects that they asked for."""
    effects: list[Effect] = []
    for item in messages:
        model, more = update(model, item)
        effects.extend(more)
    return model, effects


def press(model: Model, *names: str) -> tuple[Model, list[Effect]]:
    return feed(model, *(Key(name) for name in names))


def tab_lines(model: Model) -> list[str]:
    """The open tab of the open ticket as text, all of it."""
    assert model.detail
    found = document.sheet(model, model.detail)
    rows = [row for index in range(len(found)) for row in found.block(index).rows]
    return ["".join(span.text for span in row.line).rstrip() for row in rows]


def selected(model: Model) -> str | None:
    """The key of the selected ticket."""
    return model.ticket.key if model.ticket else None
