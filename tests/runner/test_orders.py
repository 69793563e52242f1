"""Commands from the queue of a real server: each once, in order, acknowledged."""

import threading

import pytest

from cortex_cli import sdk
from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.orders import Orders
from tests.support.server import wait_for
from tests.support.workplace import claim_one


class Job:
    """Takes commands; those that are not a stop wait until `go`."""

    def __init__(self):
        self.obeyed = []
        self.go = threading.Event()

    def obey(self, command):
        text = command["payload"].get("text", command["kind"])
        self.obeyed.append(text)
        if command["kind"] == "stop":
            return
        assert self.go.wait(10)
        if text == "refuse":
            raise RunnerError("Not this one.")


class Desk:
    """A claimed attempt, a job in its place, and the orders for it."""

    def __init__(self, server):
        self.server = server
        runner, claim = claim_one(server)
        self.runner, self.attempt, self.session = runner["id"], claim["attempt"], claim["session"]
        self.job = Job()
        self.client = sdk.CortexClient(server.url, server.token, retries=1)
        self.finished = threading.Semaphore(0)
        self.orders = Orders(self.client, {self.attempt["id"]: self.job}.get, self.finished.release)

    def prompt(self, text):
        self.server.make(f"/sessions/{self.session['id']}/prompt", text=text)

    def look(self):
        self.orders.look(self.runner)

    def waiting(self):
        return self.server.api("GET", f"/runners/{self.runner}/commands").json()["items"]


@pytest.fixture
def desk(shared_server):
    desk = Desk(shared_server)
    yield desk
    desk.job.go.set()
    desk.client.close()


def test_prompts_are_passed_on_one_after_the_other_and_once(desk):
    desk.prompt("one")
    desk.prompt("two")
    for _ in range(3):
        desk.look()
    wait_for(lambda: desk.job.obeyed, "the first")
    assert desk.job.obeyed == ["one"]
    desk.job.go.set()
    assert desk.finished.acquire(timeout=10)
    desk.look()
    assert desk.finished.acquire(timeout=10)
    assert desk.job.obeyed == ["one", "two"]
    assert desk.waiting() == []


def test_a_stop_waits_for_nothing(desk):
    desk.prompt("slow")
    desk.look()
    wait_for(lambda: desk.job.obeyed, "the prompt")
    desk.server.make(f"/attempts/{desk.attempt['id']}/stop")
    desk.look()
    wait_for(lambda: desk.job.obeyed == ["slow", "stop"], "the stop")


def test_what_cannot_be_done_is_acknowledged_with_the_reason(desk):
    desk.job.go.set()
    desk.prompt("refuse")
    desk.look()
    assert desk.finished.acquire(timeout=10)
    assert desk.waiting() == []
    log = desk.server.api("GET", f"/attempts/{desk.attempt['id']}/log").json()["items"]
    assert "Not this one." in log[-1]["text"]


@pytest.mark.slow
def test_what_was_done_and_not_acknowledged_is_not_done_again(make_server):
    server = make_server()
    desk = Desk(server)
    desk.prompt("once")
    desk.look()
    wait_for(lambda: desk.job.obeyed, "the prompt")
    server.kill()
    desk.job.go.set()
    assert desk.finished.acquire(timeout=20)  # the acknowledgement found nobody
    server.start()
    assert len(desk.waiting()) == 1
    desk.look()
    assert desk.finished.acquire(timeout=10)
    assert desk.waiting() == []
    assert desk.job.obeyed == ["once"]
    desk.client.close()


def test_a_command_for_what_does_not_run_here_is_no_longer_waited_for(desk):
    elsewhere = Orders(desk.client, lambda _attempt: None, desk.finished.release)
    desk.prompt("anyone?")
    elsewhere.look(desk.runner)
    assert desk.finished.acquire(timeout=10)
    assert desk.waiting() == []
