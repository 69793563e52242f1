"""Random keys, random changes by others, a server that restarts: at the end the screen is right."""

import random
import re
import time
from dataclasses import replace

import pytest

from cortex_cli import sdk
from cortex_cli.board import calls, detail
from cortex_cli.board import messages as m
from cortex_cli.board.effects import board_message
from cortex_cli.board.model import Model
from cortex_cli.board.update import update
from cortex_cli.board.wire import Board
from tests.board.screen import PROGRAM, Terminal, python

pytestmark = pytest.mark.e2e

KEYS = ["h", "j", "k", "l", "g", "G", "H", "L", "J", "K", "z", "\r", "\x1b", "]", "F", "F"]
STATUSES = ["backlog", "progress", "review", "done"]
COLUMN_CELLS = 50
SHA = "0123456789abcdef0123456789abcdef01234567"
RUNNER = {
    "name": "r-1", "host": "here", "version": "1", "parallel": 9,
    "agents": [{"name": "shell", "adapter": "command", "capabilities": ["prompt", "abort"]}],
}  # fmt: skip
EXPECTED = {
    "attempt.started", "attempt.status", "attempt.progress", "attempt.log", "attempt.session",
    "attempt.todos", "attempt.pr", "git.status", "git.commit", "git.push", "opencode.status",
    "permission.asked", "permission.replied", "batch.created", "batch.started",
    "batch.ticket.started", "batch.ticket.completed", "batch.ticket.failed", "ticket.moved",
    "session.started", "session.ended",
}  # fmt: skip


def keys_by_column(text):
    """The cards on a screen of 200 columns, from top to bottom."""
    columns = [[], [], [], []]
    for line in text.splitlines():
        for found in re.finditer(r"│ (CTX-\d+) ", line):
            columns[found.start() // COLUMN_CELLS].append(found[1])
    return columns


def ok(server, method, path, body=None):
    """The answer to a request that has to succeed."""
    answer = server.api(method, path, body)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def test_the_screen_becomes_the_servers_board(server):
    choose = random.Random(7)
    ok(server, "POST", "/projects", {"key": "CTX", "name": "Cortex"})
    for number in range(20):
        status = choose.choice(STATUSES)
        ok(server, "POST", "/projects/CTX/tickets", {"title": f"T {number}", "status": status})
    code = PROGRAM.replace('"a-token-of-the-tests"', f'"{server.token}"')
    terminal = Terminal(python(code, server.url), 200, 60)
    try:
        terminal.until("● live")
        for step in range(150):
            terminal.send(choose.choice(KEYS))
            if step % 3 == 0:
                number, status = choose.randint(1, 20), choose.choice(STATUSES)
                body = {"status": status, "position": 0}
                ok(server, "POST", f"/tickets/CTX-{number}/move", body)
            if step == 75:
                server.restart()
                terminal.send("\x1br")
            terminal.read(0.005)
        terminal.send("\x1b\x1b\x1b")
        terminal.until("● live")

        def is_right(text):
            tickets = ok(server, "GET", "/projects/CTX/board")["tickets"]
            wanted = [[t["key"] for t in tickets if t["status"] == s] for s in STATUSES]
            return "saving" not in text and keys_by_column(text) == wanted

        terminal.until(is_right)
    finally:
        terminal.close()


class Follower:
    """A model that a project's stream changes, beside the server that it is compared with."""

    def __init__(self, server):
        self.server = server
        self.client = sdk.CortexClient(server.url, server.token)
        self.stream = self.client.events(project="CTX")
        self.model = Model(project="CTX", now=time.time(), width=120, height=36)
        self.seen = set()
        while self.model.board is None:
            self.step()

    def step(self):
        value = next(self.stream)
        if isinstance(value, sdk.Event) and not value.snapshot:
            self.seen.add(value.type)
        message = board_message(1, value)
        if message is not None:
            self.model, effects = update(self.model, message)
            for effect in effects:
                assert not isinstance(effect, m.LoadBoard), "an event left a hole"

    def catch_up(self):
        """Read until the model is as of now; then it is what the server answers."""
        body = ok(self.server, "GET", "/projects/CTX/board")
        while self.model.board.seq < body["seq"]:
            self.step()
        fetched = Board.read(body)
        assert replace(self.model.board, head=fetched.head) == fetched

    def open(self, key):
        """The ticket as it is fetched when it is opened."""
        ticket = next(t for t in self.model.board.tickets.values() if t.key == key)
        model, effects = detail.open_ticket(self.model, ticket)
        model, _ = update(model, calls.fetched(self.client, effects[0]))
        return model

    def close(self):
        self.stream.close()
        self.client.close()


def work(server, look):
    """What a runner, an agent and a person do on CTX-1; `look` after each step."""
    runner = ok(server, "POST", "/runners", RUNNER)["id"]
    made = ok(server, "POST", "/tickets/CTX-1/attempts", {"agent": "shell"})
    look()
    claim = ok(server, "POST", f"/runners/{runner}/claim", {})["claim"]
    path, session, mine = f"/attempts/{made['id']}", claim["session"]["id"], {"generation": 1}
    look()
    patch = {"status": "running", "stage": "executing", "branch": "cortex/x", "worktree": "/w"}
    ok(server, "PATCH", path, mine | patch)
    ok(server, "PATCH", path, mine | {"stage": "committing", "progress": "half"})
    look()
    entries = [{"kind": "text", "text": "one"}, {"kind": "tool", "text": "two", "tool": "sh"}]
    ok(server, "POST", f"{path}/log", mine | {"entries": entries})
    todos = [{"text": "Read", "status": "completed"}, {"text": "Write", "status": "in_progress"}]
    ok(server, "PUT", f"{path}/todos", mine | {"todos": todos})
    look()
    git = {"branch": "cortex/x", "head": SHA, "ahead": 1, "behind": 0, "more": 0,
           "files": [{"path": "a", "status": "modified"}]}  # fmt: skip
    ok(server, "PUT", f"{path}/git/status", mine | git)
    commit = {"sha": SHA, "subject": "S", "author": "A", "at": "2026-01-26T15:53:01.717Z",
              "files": 1, "insertions": 1, "deletions": 0}  # fmt: skip
    ok(server, "POST", f"{path}/git/commits", mine | {"commits": [commit]})
    push = {"remote": "origin", "branch": "cortex/x", "sha": SHA}
    ok(server, "POST", f"{path}/git/pushes", mine | push)
    look()
    ok(server, "PUT", f"{path}/instance", mine | {"status": "running", "url": "http://127.0.0.1:1"})
    ok(server, "PUT", f"{path}/instance", mine | {"status": "unhealthy", "error": "no answer"})
    child = {"title": "Child", "parent_id": session}
    child = ok(server, "POST", "/tickets/CTX-1/sessions", child)["id"]
    asks = {"kind": "question", "title": "Why?", "options": [{"id": "a", "label": "A"}]}
    asked = ok(server, "POST", f"/sessions/{child}/permissions", asks)["id"]
    look()
    ok(server, "POST", f"/permissions/{asked}/reply", {"choices": ["a"]})
    look()
    second = ok(server, "POST", f"/sessions/{session}/permissions", asks)["id"]
    ok(server, "POST", f"/permissions/{second}/withdraw", {})
    ok(server, "POST", f"/sessions/{session}/prompt", {"text": "Go on"})
    ok(server, "POST", f"/sessions/{session}/permissions", asks)
    ok(server, "POST", f"{path}/stop", {})
    look()
    ok(server, "POST", f"{path}/end", mine | {"status": "cancelled"})
    look()
    pr = {"state": "open", "url": "https://x/pull/1", "number": 1}
    ok(server, "PUT", f"{path}/pr", mine | pr)
    ok(server, "PUT", f"{path}/pr", mine | {"state": "merged"})
    look()
    ok(server, "POST", f"{path}/retry", {})
    look()
    batch = {"tickets": ["CTX-2", "CTX-3"], "mode": "sequential", "agent": "shell"}
    ok(server, "POST", "/projects/CTX/batches", batch)
    look()
    for status in ("cancelled", "succeeded", "failed"):
        claim = ok(server, "POST", f"/runners/{runner}/claim", {})["claim"]
        path = f"/attempts/{claim['attempt']['id']}"
        ok(server, "PATCH", path, mine | {"status": "running"})
        look()
        ok(server, "POST", f"{path}/end", mine | {"status": status, "reason": "so it is"})
        look()
    ok(server, "DELETE", "/tickets/CTX-1")
    look()


def test_what_agents_do_converges_to_what_the_server_answers(server):
    """Event by event, on the board and in the open ticket; every type of theirs comes by."""
    ok(server, "POST", "/projects", {"key": "CTX", "name": "Cortex"})
    for number in range(3):
        ok(server, "POST", "/projects/CTX/tickets", {"title": f"T {number}"})
    follower = Follower(server)
    try:
        follower.model = follower.open("CTX-1")

        def look():
            follower.catch_up()
            shown = follower.model.detail
            if shown is not None:
                fetched = follower.open("CTX-1").detail
                for name in ("ticket", "attempts", "instances", "sessions", "reviews"):
                    assert getattr(shown, name) == getattr(fetched, name), name

        work(server, look)
    finally:
        follower.close()
    assert follower.seen >= EXPECTED
