"""100 subscribers and 4 writers, while connections are cut and the server is killed."""

import contextlib
import random
import time
from pathlib import Path

import pytest

from tests.support.crowd import Crowd, Place, assert_received_exactly_the_log, read_log
from tests.support.follower import Follower
from tests.support.proxy import BreakingProxy
from tests.support.server import Server, free_port, wait_for
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
        crowd.ask("cut", times=CUTS, over_s=5)
        wait_for(lambda: crowd.ask("status")["cuts"] >= CUTS, "1,000 cuts", 60)

    assert_all_have_exactly_the_log(server, crowd, tmp_path)
    assert_ledger_holds(server, writers)
    assert crowd.ask("status")["connects"] >= SUBSCRIBERS + CUTS


def are_back(followers: list[Follower], proxy: BreakingProxy) -> bool:
    """Whether half of them are; nobody has to wait for long."""
    for follower in followers:
        follower.stream.retry_now()
    return len(proxy.open) >= len(followers) // 2


def has_reached(follower: Follower, team: str) -> bool:
    assert follower.stream.error is None, "the SDK gave up"
    follower.stream.retry_now()
    return follower.events[-1].payload.get("id") == team


def test_the_sdk_receives_exactly_the_log_through_cuts_in_the_middle_of_frames(
    make_server, tmp_path: Path
):
    port = free_port()
    server: Server = make_server(allowed_hosts=f"127.0.0.1:{port}", retry_ms=20)
    for key in ("CTX", "OPS"):
        server.make("/projects", key=key, name=key)
    epoch = server.api("GET", "/projects/CTX/board").json()["epoch"]
    places = [{"since": f"{epoch}.0"}, {"since": f"{epoch}.0", "project": "CTX"}] * 2
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(BreakingProxy(server, port))
        followers = [
            stack.enter_context(Follower(server, url=proxy.url, **place)) for place in places
        ]
        with writing(writers_for(server, changes=80)) as writers:
            cuts = 0
            while any(writer.is_alive() for writer in writers):
                cuts += proxy.cut()
                wait_for(lambda: are_back(followers, proxy), "half are back")
        last = server.make("/teams", key="last", name="The end")["id"]
        for follower in followers:
            wait_for(lambda f=follower: has_reached(f, last), "the end")
    assert cuts > 30
    log = read_log(server.database)
    for follower, place in zip(followers, places, strict=True):
        mine = [e for e in log if not e.project or place.get("project") in (None, e.project)]
        assert [event.raw for event in follower.events] == [line.data for line in mine]
        assert sum(event.gap for event in follower.events) == 0


def test_kill_9_loses_no_acknowledged_change_and_repeats_none(
    server: Server, crowd: Crowd, tmp_path: Path
):
    with writing(writers_for(server, pause_s=0.005)) as writers:
        for _ in range(5):
            done = [len(writer.tickets) for writer in writers]
            crowd.ask("cut", times=20, over_s=0.5)
            wait_for(
                lambda done=done: all(
                    len(w.tickets) > n + 5 for w, n in zip(writers, done, strict=True)
                ),
                "every writer works",
            )
            time.sleep(random.random() * 0.05)  # so that it strikes anywhere in a change
            server.kill()
            server.start()

    assert sum(writer.retries for writer in writers) >= 5, "no change was hit"
    crowd.wait_until_live()
    assert_all_have_exactly_the_log(server, crowd, tmp_path)
    assert_ledger_holds(server, writers)
