"""All projects in one board, followed from a real server while everything changes."""

import queue
import random
import time
from dataclasses import replace

import pytest

from cortex_cli import sdk
from cortex_cli.board import messages as m
from cortex_cli.board.effects import Effects
from cortex_cli.board.everything import beginning
from cortex_cli.board.merged import Merged
from cortex_cli.board.model import Model
from cortex_cli.board.status import status
from cortex_cli.board.update import start, update
from cortex_cli.board.wire import Board

pytestmark = pytest.mark.e2e

DEADLINE_S = 30.0
COLUMNS = {
    "AA": ["backlog", "progress", "review", "done"],
    "BB": ["backlog", "blocked", "done"],
    "CC": ["backlog", "done"],
}


class Watching:
    """The board without a screen: the model, its effects, and what they post."""

    def __init__(self, server, token=None):
        self.server = server
        self.client = sdk.CortexClient(server.url, token or server.token)
        self.posted = queue.SimpleQueue()
        self.effects = Effects(lambda: self.client, self.posted.put)
        self.model = beginning(Model(width=120, height=36, now=time.time()))
        self._run(start(self.model)[1])

    def _run(self, effects):
        for effect in effects:
            self.effects.run(effect)

    def send(self, message):
        self.model, effects = update(self.model, message)
        self._run(effects)

    def until(self, condition):
        """Take what comes until it is so."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, status(self.model)
            self.send(self.posted.get(timeout=left))
            self.send(m.Tick(time.time()))

    def is_the_servers(self):
        if status(self.model)[0] != "● live":
            return False
        keys = [one["key"] for one in self.server.api("GET", "/projects").json()["items"]]
        bodies = [self.server.api("GET", f"/projects/{key}/board").json() for key in keys]
        wanted = Merged.of_parts(
            {key.casefold(): Board.read(body) for key, body in zip(keys, bodies, strict=True)}
        )
        heads = {key: part.head for key, part in self.model.board.parts.items()}
        parts = {key: replace(one, head=heads.get(key)) for key, one in wanted.parts.items()}
        return self.model.board.parts == parts and self.model.board.columns == wanted.columns

    def close(self):
        self.effects.close()
        self.client.close()


def test_the_merged_board_becomes_the_servers_boards(server):
    choose = random.Random(3)

    def make(key):
        columns = [{"name": name, "title": name.title()} for name in COLUMNS[key]]
        server.make("/projects", key=key, name=key, columns=columns)

    def change(key, number):
        to = {"status": choose.choice(COLUMNS[key]), "position": 0}
        assert server.api("POST", f"/tickets/{key}-{number}/move", to).ok

    for key in ("AA", "BB"):
        make(key)
        for number in range(8):
            server.make(f"/projects/{key}/tickets", title=f"{key} {number}")
    board = Watching(server)
    try:
        board.until(board.is_the_servers)
        for step in range(60):
            change(choose.choice(["AA", "BB"]), choose.randint(1, 8))
            if step == 20:
                make("CC")
                server.make("/projects/CC/tickets", title="New")
            if step == 30:
                server.restart()  # it resumes after the last event that it saw
            if step == 40:
                board.until(lambda: "cc" in board.model.board.parts)
                revision = server.api("GET", "/projects/CC").json()["revision"]
                assert server.api("DELETE", f"/projects/CC?revision={revision}").ok
        board.until(board.is_the_servers)
        assert list(board.model.board.parts) == ["aa", "bb"]

        made = server.make("/tokens", name="r", role="read", projects=["BB"])
        board.close()
        board = Watching(server, made["secret"])
        board.until(lambda: status(board.model)[0] == "● live")
        assert list(board.model.board.parts) == ["bb"], "what the token may not read is left out"
    finally:
        board.close()
