"""Row mutations: requests/s of single changes and reads, beside a bare Flask application."""

import json
import sys
import uuid
from collections.abc import Callable
from typing import Any

from scripts.bench_suite import http, peers
from scripts.bench_suite.cortex import PROJECT, Cortex
from scripts.bench_suite.install import Home
from scripts.bench_suite.load import Loop, Sender, no_collector
from scripts.bench_suite.program import Unavailable, free_port
from scripts.bench_suite.rows.fanout import Plan, percentile
from scripts.bench_suite.target import Target

Make = Callable[[int], bytes]
CONNECTIONS = (1, 8)
COLUMNS = ("progress", "review", "done", "backlog")


def row_mutations(target: Cortex, plan: Plan) -> dict[str, Any]:
    """Each kind of request over 1 and over 8 kept connections."""
    return {name: measure(target, make, plan) for name, make in _cases(target).items()}


def _cases(target: Cortex) -> dict[str, Make]:
    session = target.session()
    board = f"/api/projects/{PROJECT}/board"

    def move(number: int) -> bytes:
        body = json.dumps({"status": COLUMNS[number % 4]}).encode()
        return target.request("POST", f"/api/tickets/{PROJECT}-{number % 100 + 2}/move", body)

    def create(number: int) -> bytes:
        body = json.dumps({"title": f"Ticket {number}", "body": "What to do. " * 5}).encode()
        return target.request("POST", f"/api/projects/{PROJECT}/tickets", body)

    def message(number: int) -> bytes:
        part = {"type": "text", "text": "The agent says what it does. " * 5}
        body = {"role": "assistant", "status": "complete", "parts": [part]}
        path = f"/api/sessions/{session}/messages/{uuid.uuid4()}"
        return target.request("PUT", path, json.dumps(body).encode())

    return {  # what makes tickets last, or the boards grow meanwhile
        "comment": target.publish,
        "ticket_move": move,
        "message_put": message,
        "get_ticket": lambda number: target.request("GET", f"/api/tickets/{target.ticket}"),
        "get_board": lambda number: target.request("GET", board),
        "get_board_gzip": lambda number: target.request(
            "GET", board, **{"Accept-Encoding": "gzip"}
        ),
        "ticket_create": create,
    }


def measure(target: Target, make: Make, plan: Plan) -> dict[str, float]:
    """Requests/s, ms and processor time of one kind of request."""
    found: dict[str, float] = {}
    for connections in CONNECTIONS:
        loop = Loop()
        sender = Sender(loop, target.port, make, connections)
        sender.flood(20)
        before, done = target.cpu_s(), sender.done
        sender.times_s.clear()
        with no_collector():
            sender.flood_for(plan.seconds / 2)
        done = sender.done - done
        found |= {
            f"per_s_{connections}": done / (plan.seconds / 2),
            f"p50_ms_{connections}": percentile(sender.times_s, 0.5) * 1000,
            f"p99_ms_{connections}": percentile(sender.times_s, 0.99) * 1000,
            f"cpu_us_{connections}": (target.cpu_s() - before) * 1e6 / max(done, 1),
            "answer_bytes": sender.answer_bytes,
        }
        loop.close()
    return found


def bare_flask(home: Home, plan: Plan) -> dict[str, Any]:
    """A POST of the same body to bare Flask: without a database, and with a durable insert."""
    found = {}
    for name in ("flask_no_database", "flask_sqlite_full"):
        target = Target(name, home.run_directory("flask"), free_port())
        target.publish = lambda number: http.request(
            "POST", "/publish", b'{"body":"%s"}' % (b"x" * 50), {"Content-Type": "application/json"}
        )
        database = {"DATABASE": "bench.db"} if name.endswith("full") else {}
        with target:
            if database:
                database = {"DATABASE": str(target.directory / "bench.db")}
            # our own interpreter: the same Flask, gunicorn and gevent as the server's
            peers.gunicorn(target, sys.executable, "flask_insert_app", **database)
            found[name] = measure(target, target.publish, plan)
    if not found:
        raise Unavailable("bare Flask did not start")
    return found
