"""100 subscribers and 4 writers, while connections are cut and the server is killed."""

import random
import time
from pathlib import Path

import pytest

from cortex_cli import sdk
from tests.support.crowd import Crowd, Place, assert_received_exactly_the_log, read_log
from tests.support.server import Server, wait_for
from tests.support.writers import Writer, assert_ledger_holds, writing

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(120)]

SUBSCRIBERS, CUTS, WRITERS = 100, 1000, 4


@pytest.fixture
def crowd(server: Server):
    """Half of them follow everything, half one of two boards; some begin with a snapshot."""
    for key in ("CTX", "OPS"):
        server.make("/projects", key=key, name=key)
    start = server.api("GET", "/projects/CTX/board").json()
    cursor = f"{start['epoch']}.0"
    kinds = [
        Place(cursor=cursor), Place("CTX", cursor), Place(), Place("OPS"),
    ]  # fmt: skip
    with Crowd(server, [kinds[i % len(kinds)] for i in range(SUBSCRIBERS)]) as crowd:
        crowd.wait_until_live()
        yield crowd


def writers_for(server: Server, **options) -> list[Writer]:
    return [Writer(server, ("CTX", "OPS")[i % 2], **options) for i in range(WRITERS)]


def assert_all_have_exactly_the_log(server: Server, crowd: Crowd, directory: Path) -> None:
    server.make("/teams", key="last", name="An event for everyone marks the end")
    log = read_log(server.database)
    crowd.wait_until_at(log[-1].position)
    assert_received_exactly_the_log(crowd.report(directory), log)
    assert crowd.ask("status")["resets"] == 0


def test_subscribers_cut_1000_times_receive_exactly_the_log(
    server: Server, crowd: Crowd, tmp_path: Path
):
    with writing(writers_for(server, pause_s=0.005)) as writers:
        crowd.ask("cut", times=CUTS, over_s=8)
        wait_for(lambda: crowd.ask("status")["cuts"] >= CUTS, "1,000 cuts", 60)

    assert_all_have_exactly_the_log(server, crowd, tmp_path)
    assert_ledger_holds(server, writers)
    assert crowd.ask("status")["connects"] >= SUBSCRIBERS + CUTS


def test_kill_9_loses_no_acknowledged_change_and_repeats_none(
    server: Server, crowd: Crowd, tmp_path: Path
):
    with writing(writers_for(server, pause_s=0.005)) as writers:
        for _ in range(5):
            done = [len(writer.tickets) for writer in writers]
            crowd.ask("cut", times=20, over_s=0.5)
            wait_for(
                lambda done=done: all(len(w.tickets) > n + 5 for w, n in zip(writers, done, strict=True)),
                "every writer works",
            )
            time.sleep(random.random() * 0.05)  # so that it strikes anywhere in a change
            server.kill()
            server.start()

    assert sum(writer.retries for writer in writers) >= 5, "no change was hit"
    crowd.wait_until_live()
    assert_all_have_exactly_the_log(server, crowd, tmp_path)
    assert_ledger_holds(server, writers)
