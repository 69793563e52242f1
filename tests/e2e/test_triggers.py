"""Triggers on a real server: in time, and in nobody's way."""

import socket
import time

import pytest

from tests.support.receivers import Receiver
from tests.support.server import wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def trigger(server, url, name="t"):
    on = {"types": ["ticket.moved"], "filter": {"changed.status.to": "review"}}
    fields = {"name": name, "on": on, "action": {"kind": "call", "url": url}}
    return server.make("/projects/CTX/triggers", **fields)


def move(server, status="review"):
    key = server.make("/projects/CTX/tickets", title="x")["key"]
    server.make(f"/tickets/{key}/move", status=status)
    return key


def test_a_call_leaves_within_a_second_and_a_dead_receiver_is_in_nobodys_way(make_server, receiver):
    server = make_server(trigger_private_addresses="127.0.0.0/8")
    server.make("/projects", key="CTX", name="Cortex")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and never answers
        dead = trigger(server, f"http://127.0.0.1:{silent.getsockname()[1]}/", "dead")
        trigger(server, receiver.url)
        for _ in range(6):
            move(server)
        moved_at = time.monotonic()
        wait_for(lambda: len(receiver.got) == 6, "the calls", 5)
        late_s = time.monotonic() - moved_at
        begun_at = time.monotonic()
        for _ in range(10):
            server.make("/projects/CTX/tickets", title="meanwhile")
        took_s = time.monotonic() - begun_at
        calls = server.api("GET", f"/triggers/{dead['id']}/calls").json()["items"]
        assert {call["status"] for call in calls} == {"waiting"}
    assert late_s < 2.0, "a second, and the machine has others to serve"
    assert took_s < 2.0
    server.kill()
    server.start()
    move(server)
    wait_for(lambda: len(receiver.got) == 7, "the next call after kill -9", 5)
    ids = [got.headers["Cortex-Delivery"] for got in receiver.got]
    assert len(set(ids)) == 7


def test_nothing_leaves_for_this_machine_unless_it_is_configured(server, receiver):
    server.make("/projects", key="CTX", name="Cortex")
    made = trigger(server, receiver.url.replace("127.0.0.1", "localhost"))
    move(server)

    def tried():
        calls = server.api("GET", f"/triggers/{made['id']}/calls").json()["items"]
        return [call for call in calls if call["answer"]]

    (call,) = wait_for(tried, "the call was tried")
    assert "no public address" in call["answer"]
    assert receiver.got == []
