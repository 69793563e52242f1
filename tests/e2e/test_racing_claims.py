"""Runners that race for the same attempts, on a real server: each is given out once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier, Thread

import pytest
import requests

from tests.support.databases import empty_postgres
from tests.support.postgres import server_on
from tests.support.server import Server

pytestmark = pytest.mark.e2e
RUNNERS, ATTEMPTS = 4, 24


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """With one process, and with several that share a database."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            server = Server(tmp_path)
        else:
            server = server_on(stack.enter_context(empty_postgres()), tmp_path / "server")
        stack.callback(server.kill)
        yield server.start()


def test_each_attempt_is_claimed_by_one_runner_and_by_one_only(server: Server):
    server.make("/projects", key="CTX", name="Cortex")
    settings = {"values": {"attempts_parallel": ATTEMPTS - 3}}
    assert server.api("PATCH", "/projects/CTX/settings", json=settings).ok
    secret = server.make("/tokens", name="runners", role="runner")["secret"]
    offer = [{"name": "shell", "adapter": "command", "capabilities": []}]
    runners = [
        server.make(
            "/runners", name=f"r-{n}", host="here", version="1", parallel=100, agents=offer
        )["id"]
        for n in range(RUNNERS)
    ]
    for n in range(ATTEMPTS):
        ticket = server.make("/projects/CTX/tickets", title=f"T {n}")["key"]
        server.make(f"/tickets/{ticket}/attempts", agent="shell")
    given: list[tuple[str, int, str]] = []
    start = Barrier(RUNNERS)

    def race(runner: str) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {secret}"
        start.wait()
        while True:
            answer = session.post(f"{server.url}/api/runners/{runner}/claim", timeout=20)
            answer.raise_for_status()
            claim = answer.json()["claim"]
            if claim is None:
                return session.close()
            found = claim["attempt"]
            given.append((found["id"], found["generation"], runner))

    threads = [Thread(target=race, args=(runner,)) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(Counter(attempt for attempt, _, _ in given).values()) == {1}
    assert len(given) == ATTEMPTS - 3  # what the project allows, and not one more
    assert {generation for _, generation, _ in given} == {1}
    assert len({runner for _, _, runner in given}) > 1, "nobody raced"
    stored = server.api("GET", "/attempts?status=starting&limit=500").json()["items"]
    names = {runner: f"r-{n}" for n, runner in enumerate(runners)}
    assert {a["id"]: a["runner"] for a in stored} == {a: names[r] for a, _, r in given}
