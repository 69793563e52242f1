"""Snapshot and stream join without a gap: under load, a client's board is the server's board."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from cortex_cli.board.apply import Change, apply
from cortex_cli.board.wire import Board
from cortex_cli.sdk import Conflict, CortexClient, Event, Invalid, NotFound, State
from tests.support.follower import Follower
from tests.support.reference_board import ReferenceBoard
from tests.support.server import Server, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

WRITERS, CLIENTS, CHANGES = 3, 6, 100
COLUMNS = ("backlog", "progress", "review", "done")


class Client(Follower):
    """A follower that applies what it gets, twice: by the reference and by the board's own code."""

    reference: ReferenceBoard
    board: Board
    boards: dict[int, Board]
    holes = 0

    def _follow(self) -> None:
        for value in self.stream:
            if isinstance(value, State):
                self.reference = ReferenceBoard(value.body)
                self.board = Board.read(value.body)
                self.boards = {value.head: self.board}
            elif isinstance(value, Event):
                self._apply(value)
            self.values.append(value)

    def _apply(self, event: Event) -> None:
        position = int((event.id or "").rpartition(".")[2])
        self.reference.apply(position, event.seq, event.type, event.payload)
        change = Change(
            event.type, event.payload, event.project, event.seq, event.ticket, gap=event.gap
        )
        applied = apply(self.board, change)
        self.holes += applied.hole
        self.board = self.boards[position] = applied.board

    @property
    def position(self) -> int:
        return int((self.stream.cursor or ".0").rpartition(".")[2])


class Storm(threading.Thread):
    """Makes random changes of every kind that shows on the board."""

    def __init__(self, server: Server, seed: int) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.client = CortexClient(server.url, server.token)
        self.refusals = 0
        self.fault: Exception | None = None

    def run(self) -> None:
        try:
            for _ in range(CHANGES):
                # Others delete what this one has just seen: that is part of the load.
                try:
                    self._change()
                except (Conflict, NotFound, Invalid):
                    self.refusals += 1
        except Exception as error:
            self.fault = error
        self.client.close()

    def _change(self) -> None:
        board = self.client.get("/api/projects/CTX/board")
        changes: list[Callable[[], Any]] = [self._create]
        if board["tickets"]:
            key = self.random.choice(board["tickets"])["key"]
            changes += [*self._on_ticket(f"/api/tickets/{key}", key)] * 2
        changes += self._on_others(board)
        self.random.choice(changes)()

    def _create(self) -> None:
        labels = self.random.sample(["a", "b", "c", "d"], 2)
        status = self.random.choice(COLUMNS)
        self.client.post(
            "/api/projects/CTX/tickets", {"title": "New", "labels": labels, "status": status}
        )

    def _on_ticket(self, path: str, key: str) -> Iterator[Callable[[], Any]]:
        patch, post = self.client.patch, self.client.post
        status, number = self.random.choice(COLUMNS), self.random.randrange(1000)
        for _ in range(4):
            place = self.random.randrange(4)
            yield lambda at=place: post(f"{path}/move", {"status": status, "position": at})
        yield lambda: patch(path, {"title": f"Title {number}", "priority": "high"})
        yield lambda: patch(path, {"labels": ["a", f"l{number % 5}"], "status": status})
        yield lambda: patch(path, {"archived": True})
        yield lambda: post(f"{path}/sessions", {"title": f"Session {number}"})
        yield lambda: post(f"{path}/reviews", {"summary": "Look", "branch": "b"})
        yield lambda: post(f"{path}/comments", {"body": "Not on the board"})
        yield lambda: patch(f"/api/tickets/{key.rpartition('-')[0]}-1", {"archived": False})
        if number % 4 == 0:
            yield lambda: self.client.delete(path)

    def _on_others(self, board: dict[str, Any]) -> Iterator[Callable[[], Any]]:
        patch, post, delete = self.client.patch, self.client.post, self.client.delete
        for session in board["sessions"][:2]:
            path = f"/api/sessions/{session['id']}"
            yield lambda path=path: patch(path, {"status": "working", "tool": "bash"})
            yield lambda path=path: post(f"{path}/end", {"outcome": "succeeded"})
        for review in board["reviews"][:2]:
            yield lambda id=review["id"]: patch(f"/api/reviews/{id}", {"state": "approved"})
        if board["labels"]:
            label = board["labels"][0]
            name = f"{label['name'][0]}{self.random.randrange(9)}"
            yield lambda: patch(f"/api/labels/{label['id']}", {"name": name})
            yield lambda: delete(f"/api/labels/{label['id']}")
        columns = [
            {**c, "wip_limit": self.random.randrange(1, 9)} for c in board["project"]["columns"]
        ]
        yield lambda: patch("/api/projects/CTX", {"name": "Renamed", "columns": columns})


def test_at_any_moment_a_clients_board_is_the_servers_board(server: Server):
    server.make("/projects", key="CTX", name="Cortex")
    server.make("/projects", key="OPS", name="Beside it")
    storms = [Storm(server, seed) for seed in range(WRITERS)]
    samples: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        clients: list[Client] = []
        for storm in storms:
            storm.start()
        while any(storm.is_alive() for storm in storms):
            samples.append(server.api("GET", "/projects/CTX/board").json())
            server.make("/projects/OPS/tickets", title="Other projects move the head too")
            if len(clients) < CLIENTS and samples[-1]["seq"] > 50 * len(clients):
                clients.append(stack.enter_context(Client(server, project="CTX")))
        samples.append(server.api("GET", "/projects/CTX/board").json())
        last = server.make("/teams", key="last", name="The end, for everyone")
        for client in clients:
            wait_for(
                lambda client=client: client.events[-1].payload.get("id") == last["id"], "the end"
            )

    assert [storm.fault for storm in storms if storm.fault] == []
    assert len(clients) >= 3
    compared = sum(assert_was_right(client, samples) for client in clients)
    assert compared > 100


def assert_was_right(client: Client, samples: list[dict[str, Any]]) -> int:
    """Compare the client's board with every sample since it joined; return how many that were."""
    assert client.holes == 0
    compared = 0
    for sample in samples:
        head = sample["head"]
        mine = client.reference.at(head)
        if mine is None:
            continue
        assert mine == {name: sample[name] for name in mine}
        position = max(p for p in client.boards if p <= head)
        held = replace(client.boards[position], head=head)  # it keeps count by seq
        assert held == Board.read(sample)
        compared += 1
    return compared
