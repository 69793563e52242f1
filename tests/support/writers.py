"""Writers that keep a ledger: of every change that the server acknowledged, and how often."""

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from cortex_cli.sdk import CortexClient, Overloaded, Unreachable
from tests.support.server import Server

GIVE_UP_S = 60.0


class Writer(threading.Thread):
    """Creates tickets, comments on them and moves a ticket of its own, each change exactly once.

    tickets, comments: title or body -> the answer that acknowledged it.
    moves: acknowledged changes of `own`, which so has the revision 1 + moves.
    """

    def __init__(
        self, server: Server, project: str, changes: int | None = None, padding: int = 0,
        pause_s: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self.name = f"writer-{uuid.uuid4().hex[:6]}"
        self.project = project
        self.tickets: dict[str, Any] = {}
        self.comments: dict[str, Any] = {}
        self.moves = 0
        self.retries = 0
        self.fault: BaseException | None = None
        self.stopping = threading.Event()
        self.endless = changes is None
        self._changes, self._pause_s = changes, pause_s
        self._padding = "x" * padding
        self._client = CortexClient(
            server.url, server.token, timeout=10, retries=1, ca_file=server.ca_file
        )
        self.own = self._create(f"{self.name} own")

    def run(self) -> None:
        try:
            number = 0
            while not self.stopping.is_set() and (self._changes is None or number < self._changes):
                self._change(number)
                number += 1
                self.stopping.wait(self._pause_s)
        except BaseException as error:
            self.fault = error

    def finish(self, deadline_s: float = 60) -> None:
        """Wait until it is through; raise what went wrong in it."""
        self.join(deadline_s)
        self._client.close()
        assert not self.is_alive(), f"{self.name} did not finish"
        if self.fault is not None:
            raise self.fault

    def _change(self, number: int) -> None:
        stamp = f"{self.name} {number} sent_at={time.monotonic_ns()}"
        kind = number % 3
        if kind == 0:
            self._create(stamp)
        elif kind == 1:
            body = f"{stamp} {self._padding}"
            path = f"/api/tickets/{self.own['key']}/comments"
            self.comments[body] = self._send("POST", path, {"body": body})
        else:
            status = ("progress", "backlog", "review")[number % 9 // 3]
            self._send("POST", f"/api/tickets/{self.own['key']}/move", {"status": status})
            self.moves += 1

    def _create(self, title: str) -> Any:
        made = self._send(
            "POST", f"/api/projects/{self.project}/tickets",
            {"title": title, "body": self._padding},
        )  # fmt: skip
        self.tickets[title] = made
        return made

    def _send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """Send it with one key until it is acknowledged."""
        key = str(uuid.uuid4())
        give_up = time.monotonic() + GIVE_UP_S
        while True:
            try:
                return self._client.request(method, path, body, idempotency_key=key)
            except (Overloaded, Unreachable):
                self.retries += 1
                if time.monotonic() > give_up:
                    raise
                self.stopping.wait(random.random() * 0.1)


@contextlib.contextmanager
def writing(writers: list[Writer]) -> Iterator[list[Writer]]:
    """Start the writers; at the end of the block wait for them."""
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            if writer.endless:
                writer.stopping.set()
    for writer in writers:
        writer.finish()


def all_items(server: Server, path: str) -> list[Any]:
    with CortexClient(server.url, server.token) as client:
        return list(client.paginate(path, limit=500))


def assert_ledger_holds(server: Server, writers: list[Writer]) -> None:
    """Everything that was acknowledged is there, once."""
    for writer in writers:
        stored = all_items(server, f"/api/projects/{writer.project}/tickets")
        titles = [item["title"] for item in stored if item["title"].startswith(writer.name)]
        assert sorted(titles) == sorted(writer.tickets)
        keys = {item["title"]: item["key"] for item in stored}
        assert all(keys[title] == made["key"] for title, made in writer.tickets.items())
        path = f"/api/tickets/{writer.own['key']}"
        comments = all_items(server, f"{path}/comments")
        assert sorted(c["body"] for c in comments) == sorted(writer.comments)
        revision = server.api("GET", path.removeprefix("/api")).json()["revision"]
        assert revision == 1 + writer.moves
