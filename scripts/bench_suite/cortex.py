"""Cortex as a target: a fresh database, a project, a ticket to comment on."""

import json
import sys
import time
import uuid
from collections.abc import Callable, Set
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from scripts.bench_suite import http
from scripts.bench_suite.install import TREE, Home
from scripts.bench_suite.program import Program, Unavailable, free_port
from scripts.bench_suite.target import PAYLOAD_BYTES, Target, text

PROJECT = "BENCH"
STREAMS = 12_000
READY_S = 30.0


class Cortex(Target):
    """The server of this working tree. api() is for setting up, not for measuring."""

    token = ""
    ticket = ""
    project = PROJECT
    comment_bytes = 50  # of text in a comment, so that its payload has PAYLOAD_BYTES

    def environment(self, **settings: Any) -> dict[str, str]:
        home = self.directory
        return {
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "PYTHONPATH": str(TREE),
            "CORTEX_PORT": str(self.port),
            "CORTEX_URL": self.url,
            "CORTEX_MAX_STREAMS": str(STREAMS),
            "CORTEX_WORKER_CONNECTIONS": str(STREAMS + 500),
            "CORTEX_GRACEFUL_S": "2",
            "CORTEX_LOG_LEVEL": "warning",
            **{name: str(value) for name, value in settings.items()},
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Host": f"127.0.0.1:{self.port}",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
        }

    def serve(self, on: Set[int] | None = None, **settings: Any) -> "Cortex":
        """Start it and wait until it is ready. Raises Unavailable."""
        command = [sys.executable, "-m", "cortex_server", "serve"]
        log = self.directory / "server.log"
        program = self.run(Program(command, log, self.environment(**settings), on))
        give_up = time.monotonic() + READY_S
        while not self._ready():
            if time.monotonic() > give_up or program.process.poll() is not None:
                raise Unavailable(f"not ready: {program.last_words()}")
            time.sleep(0.02)
        self.token = (self.directory / "data/cortex/token").read_text().strip()
        return self

    def _ready(self) -> bool:
        try:
            self.api("GET", "/readyz")
        except (OSError, HTTPException, Unavailable):
            return False
        return True

    def api(self, method: str, path: str, **body: Any) -> Any:
        """One request; its JSON. Raises Unavailable with the answer when it is refused."""
        content = json.dumps(body).encode() if method != "GET" else b""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            connection.request(method, path, content, self.headers)
            answer = connection.getresponse()
            text = answer.read()
        if answer.status >= 300:
            raise Unavailable(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text or b"null")

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """The same as bytes for the load client."""
        return http.request(method, path, body, {**self.headers, **headers})

    def prepare(self, tickets: int = 1) -> "Cortex":
        """Make the project with its tickets, and size the comments."""
        self.api("POST", "/api/projects", key=PROJECT, name="Bench")
        self.add_tickets(tickets)
        self.ticket = f"{PROJECT}-1"
        comments = f"/api/tickets/{self.ticket}/comments"
        probe = self.api("POST", comments, body="x")
        fixed = len(json.dumps({**probe, "body": ""}, separators=(",", ":")))
        self.comment_bytes = max(PAYLOAD_BYTES - fixed, 24)
        self.subscribe = self.stream()
        self.publish = self.commenting(self.ticket, self.comment_bytes)
        return self

    def commenting(self, ticket: str, size: int) -> Callable[[int], bytes]:
        """What makes requests for comments with so many bytes of text."""
        path = f"/api/tickets/{ticket}/comments"
        return lambda number: self.request("POST", path, b'{"body":"%s"}' % text(size))

    def add_tickets(self, count: int) -> None:
        """Tickets with a title and a short body, spread over the columns."""
        columns = ("backlog", "progress", "review", "done")
        for begun in range(0, count, 100):
            self.api(
                "POST",
                f"/api/projects/{PROJECT}/tickets/import",
                tickets=[
                    {
                        "id": str(uuid.uuid4()),
                        "title": f"Ticket {number}: make the retry loop back off",
                        "body": "What to do, and how one sees that it is done. " * 4,
                        "status": columns[number % 4],
                    }
                    for number in range(begun, min(begun + 100, count))
                ],
            )

    def stream(self, query: str = "", **headers: str) -> bytes:
        """The request for a board's stream."""
        return self.request("GET", f"/events?project={PROJECT}{query}", **headers)

    def session(self) -> str:
        """The id of a new session on the ticket."""
        path = f"/api/tickets/{self.ticket}/sessions"
        return str(self.api("POST", path, title="Bench")["id"])

    def can_bulk(self) -> bool:
        """Whether this version takes many messages in one request; sets `bulk` if so."""
        path = f"/api/sessions/{self.session()}/messages"
        try:
            self.api("POST", path, messages=[])
        except Unavailable as refusal:
            if "404" in str(refusal) or "405" in str(refusal):
                return False
        self.bulk = lambda count: self.request("POST", path, bulk_body(count))
        return True


def bulk_body(count: int) -> bytes:
    """So many whole messages, each with the mark."""
    item = (
        b'{"id":"%s","role":"assistant","status":"complete","parts":[{"type":"text","text":"%s"}]}'
    )
    items = (item % (str(uuid.uuid4()).encode(), text(50)) for _ in range(count))
    return b'{"messages":[' + b",".join(items) + b"]}"


def start(home: Home, on: Set[int] | None = None, tickets: int = 1, **settings: Any) -> Cortex:
    """A server with the project, ready to be measured."""
    target = Cortex("cortex", home.run_directory("cortex"), free_port())
    try:
        return target.serve(on, **settings).prepare(tickets)
    except BaseException:
        target.__exit__(Unavailable, None, None)
        raise


def database_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in (directory / "data/cortex").glob("cortex.db*"))
