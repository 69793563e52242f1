"""Three workers and eight writers on PostgreSQL, while workers and the database are killed."""

import os
import signal
import time
from pathlib import Path

import pytest
import requests

from tests.support.crowd import Crowd, Place, assert_received_exactly_the_log
from tests.support.postgres import (
    WORKERS,
    PostgresServer,
    postgres_of_its_own,
    read_log,
    server_on,
)
from tests.support.server import Server, wait_for
from tests.support.writers import Writer, assert_ledger_holds, writing

pytestmark = [
    pytest.mark.fault, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(120),
]  # fmt: skip

SUBSCRIBERS, WRITERS, KILLS = 40, 8, 4


@pytest.fixture
def database():
    with postgres_of_its_own() as database:
        yield database


@pytest.fixture
def server(database: PostgresServer, tmp_path: Path):
    server = server_on(database.url, tmp_path / "server")
    yield server.start()
    server.kill()


@pytest.fixture
def crowd(server: Server):
    for key in ("CTX", "OPS"):
        server.make("/projects", key=key, name=key)
    start = server.api("GET", "/projects/CTX/board").json()
    cursor = f"{start['epoch']}.0"
    kinds = [Place(cursor=cursor), Place("CTX", cursor), Place(), Place("OPS")]
    with Crowd(server, [kinds[i % len(kinds)] for i in range(SUBSCRIBERS)]) as crowd:
        crowd.wait_until_live()
        yield crowd


def all_work(writers: list[Writer]) -> None:
    """Wait until each has made some more changes."""
    done = [len(writer.tickets) for writer in writers]
    wait_for(
        lambda: all(len(w.tickets) > n + 2 for w, n in zip(writers, done, strict=True)),
        "every writer works",
        30,
    )


def wait_until_refused(writers: list[Writer]) -> None:
    before = sum(writer.retries for writer in writers)
    wait_for(lambda: sum(writer.retries for writer in writers) > before, "a writer is refused")


def test_killed_workers_and_a_killed_database_lose_nothing_and_repeat_nothing(
    database: PostgresServer, server: Server, crowd: Crowd, tmp_path: Path
):
    writers = [Writer(server, ("CTX", "OPS")[i % 2], pause_s=0.02) for i in range(WRITERS)]
    with writing(writers):
        for round_ in range(KILLS):
            all_work(writers)
            crowd.ask("cut", times=10, over_s=0.5)
            os.kill(server.worker_pids()[round_ % WORKERS], signal.SIGKILL)
            if round_ == KILLS // 2:
                database.stop()
                wait_until_refused(writers)
                database.start()
            wait_for(lambda: len(server.worker_pids()) == WORKERS, "it is replaced")
        all_work(writers)

    assert sum(writer.retries for writer in writers) >= WORKERS, "no change was hit"
    crowd.wait_until_live()
    server.make("/teams", key="last", name="An event for everyone marks the end")
    log = read_log(database.url)
    assert [line.position for line in log] == list(range(1, len(log) + 1))
    crowd.wait_until_at(log[-1].position)
    assert_received_exactly_the_log(crowd.report(tmp_path), log)
    assert crowd.ask("status")["resets"] == 0
    assert_ledger_holds(server, writers)


def test_nothing_is_called_current_while_the_database_hangs(
    database: PostgresServer, server: Server, crowd: Crowd
):
    """A database that keeps its connections and answers nothing, as one on a frozen machine."""
    ends = crowd.ask("status")["ends"]
    assert ends == {}
    with database.frozen():
        wait_for(
            lambda: crowd.ask("status")["ends"].get("overload true", 0) >= SUBSCRIBERS,
            "every stream is ended",
        )
        began = time.monotonic()
        paths = ("/readyz", "/healthz", "/events", "/api/projects")
        statuses = [requests.get(server.url + path, timeout=5).status_code for path in paths]
        assert statuses == [503, 200, 503, 503]
        assert time.monotonic() - began < 3
    server.wait_until_ready()
    crowd.wait_until_live()
