"""What a runner tells, on a real server: in order, whole, once, and nothing after the claim."""

import threading
import time
from types import SimpleNamespace

import pytest

from cortex_cli import sdk
from cortex_cli.runner.adapters import Outcome
from cortex_cli.runner.outbox import Entry, Outbox, appended
from cortex_cli.runner.redaction import Redactor
from cortex_cli.runner.report import LOG_TEXT_MAX, HttpReport
from tests.support.proxy import BreakingProxy
from tests.support.server import Server, free_port, wait_for
from tests.support.workplace import claim_one

SECRET = "hunter2-hunter2-hunter2"


class Told:
    """A claimed attempt and the report of it. over, complaints: what its outbox said."""

    def __init__(self, server, url=None, **outbox):
        self.server = server
        runner, self.claim = claim_one(server)
        key = runner["name"]
        self.attempt = self.claim["attempt"]
        self.id = self.attempt["id"]
        self.over, self.complaints = [], []
        self.client = sdk.CortexClient(url or server.url, server.token, timeout=3, retries=1)
        self.outbox = Outbox(
            self.client, key, over=self.over.append, complain=self.complaints.append, **outbox
        )
        self.root = self.claim["session"]["id"]
        self.report = HttpReport(
            self.outbox, Redactor([SECRET]), attempt=self.attempt, session=self.root
        )

    def get(self, path, **query):
        answer = self.server.api("GET", path, params=query)
        assert answer.ok, answer.text
        return answer.json()

    def log(self):
        return self.get(f"/attempts/{self.id}/log", limit=500)["items"]

    def messages(self, session=None):
        return self.get(f"/sessions/{session or self.root}/messages")["items"]

    def flush(self):
        assert self.outbox.flush(time.monotonic() + 15), self.complaints
        assert not self.complaints

    def close(self):
        self.outbox.abandon()
        self.client.close()


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    """A server that tests kill and start again."""
    server = Server(tmp_path_factory.mktemp("mortal")).start()
    yield server
    server.kill()


@pytest.fixture
def tell(shared_server):
    made = []

    def one(server=shared_server, **options):
        made.append(Told(server, **options))
        return made[-1]

    yield one
    for told in made:
        told.close()


def streaming(text):
    return [{"type": "text", "text": text, "status": "streaming"}]


def test_a_log_arrives_in_order_and_in_few_requests(tell):
    told = tell()
    before = told.server.total("cortex_requests_total")
    for number in range(250):
        told.report.log("text", f"line {number}")
    told.flush()
    entries = told.log()
    assert [entry["text"] for entry in entries] == [f"line {number}" for number in range(250)]
    assert [entry["number"] for entry in entries] == list(range(1, 251))
    assert told.server.total("cortex_requests_total") - before < 15


def test_a_long_text_becomes_several_entries(tell):
    told = tell()
    lines = "".join(f"{number}: {'x' * 90}\n" for number in range(500))
    told.report.log("text", lines)
    told.flush()
    entries = told.log()
    assert len(entries) == len(lines) // LOG_TEXT_MAX + 1
    assert "".join(entry["text"] for entry in entries) == lines


def test_what_the_server_refuses_is_made_fit(tell):
    told = tell()
    deep = []
    for _ in range(100):
        deep = [deep]
    part = {
        "type": "tool", "text": "a\0b\ud800", "tool": "t",
        "input": {"n": float("nan"), "i": 2**70, "deep": deep, "big": "y" * 200_000},
    }  # fmt: skip
    told.report.log("text", "nul \0 and lone \udc80")
    told.report.message("root", "weird id/1", "assistant", [part], True)
    told.report.progress("  two\nlines ")
    told.flush()
    assert [entry["text"] for entry in told.log()] == ["nul \ufffd and lone ?"]
    (message,) = told.messages()
    assert message["parts"][0]["text"] == "a\ufffdb?"
    assert told.get(f"/attempts/{told.id}")["progress"] == "two lines"


def test_secrets_go_nowhere(tell):
    told = tell()
    report = told.report
    report.log("text", f"the token is {SECRET}!")
    report.todos([{"text": f"use {SECRET}", "status": "pending"}])
    report.message("root", "m", "assistant", streaming("so "), False)
    for offset, piece in enumerate(f"{SECRET} it is "):
        report.delta("root", "m", 0, 3 + offset, piece)
    report.ask(
        "root", "q", kind="question", title=SECRET, detail=SECRET, options=[], free_text=True
    )
    report.end(Outcome("failed", f"could not use {SECRET}"))
    told.flush()
    (message,) = told.messages()
    assert message["parts"][0]["text"] == "so [redacted] it is "
    everything = [
        told.get(f"/attempts/{told.id}"), told.log(), told.messages(),
        told.get("/permissions", project=told.attempt["project"]),
    ]  # fmt: skip
    assert SECRET not in str(everything)
    assert str(everything).count("[redacted]") == 6


def test_deltas_are_appended_and_the_final_message_is_the_truth(tell):
    told = tell()
    told.report.message("root", "m", "assistant", streaming(""), False)
    text = "".join(f"word{number} " for number in range(2000))
    for at in range(0, len(text), 7):
        told.report.delta("root", "m", 0, at, text[at : at + 7])
    wait_for(lambda: told.messages()[0]["parts"][0]["text"] == text, "all deltas")
    told.report.message("root", "m", "assistant", [{"type": "text", "text": text + "."}], True)
    told.flush()
    (message,) = told.messages()
    assert (message["status"], message["parts"][0]["text"]) == ("complete", text + ".")


def test_deltas_that_come_twice_or_leave_a_hole_do_no_harm(tell):
    told = tell()
    told.report.message("root", "m", "assistant", streaming("one "), False)
    told.report.delta("root", "m", 0, 4, "two ")
    told.report.delta("root", "m", 0, 4, "two ")  # again
    told.report.delta("root", "m", 0, 6, "o three ")  # overlaps
    told.report.delta("root", "m", 0, 99, "far away")
    told.report.delta("root", "unknown", 0, 0, "no such message")
    told.flush()
    assert [m["parts"][0]["text"] for m in told.messages()] == ["one two three "]


def test_a_message_that_the_server_has_lost_text_of_is_put_whole(mortal, tell):
    told = tell(mortal)
    told.report.message("root", "m", "assistant", streaming("begin "), False)
    told.report.delta("root", "m", 0, 6, "middle ")
    told.flush()
    mortal.kill()  # what deltas brought was not stored
    mortal.start()
    told.report.delta("root", "m", 0, 13, "end ")
    told.flush()
    told.report.delta("root", "m", 0, 17, "of it ")
    told.flush()
    assert told.messages()[0]["parts"][0]["text"] == "begin middle end of it "


@pytest.mark.fault
def test_broken_connections_repeat_nothing_and_lose_nothing(make_server, tell):
    port = free_port()
    server = make_server(allowed_hosts=f"127.0.0.1:{port}")
    with BreakingProxy(server, port) as proxy:
        told = tell(server, url=proxy.url)
        over = threading.Event()

        def cut():
            while not over.wait(0.03):
                proxy.cut()

        cutter = threading.Thread(target=cut)
        cutter.start()
        for number in range(300):
            told.report.log("text", str(number))
            if number % 10 == 0:
                parts = [{"type": "text", "text": f"m{number}"}]
                told.report.message("root", f"m{number}", "assistant", parts, True)
                told.outbox.flush(time.monotonic() + 0.02)
        assert told.outbox.flush(time.monotonic() + 30)
        over.set()
        cutter.join()
        assert not told.complaints
        assert [entry["text"] for entry in told.log()] == [str(number) for number in range(300)]
        assert [m["id"] for m in told.messages()] == [f"m{n}" for n in range(0, 300, 10)]
        assert not told.complaints


def test_it_goes_on_when_the_server_comes_back(mortal, tell):
    told = tell(mortal)
    mortal.kill()
    for number in range(20):
        told.report.log("text", str(number))
    assert not told.outbox.flush(time.monotonic() + 0.3)
    mortal.start()
    told.flush()
    assert [entry["text"] for entry in told.log()] == [str(number) for number in range(20)]


def test_a_claim_that_is_over_silences_everything(tell):
    told = tell()
    told.report.log("text", "before")
    told.flush()
    ended = {"generation": told.attempt["generation"], "status": "failed"}
    told.server.make(f"/attempts/{told.id}/end", **ended)
    told.report.log("text", "after")
    wait_for(lambda: told.over, "the outbox heard that it is over")
    told.report.log("text", "long after")
    assert told.outbox.abandoned
    assert not told.outbox.flush(time.monotonic() + 1)
    assert [entry["text"] for entry in told.log()] == ["before"]
    assert len(told.over) == 1


def test_an_older_generation_is_refused(tell):
    told = tell()
    old = HttpReport(
        told.outbox, Redactor(), session=None,
        attempt={**told.attempt, "generation": told.attempt["generation"] - 1},
    )  # fmt: skip
    old.log("text", "from the grave")
    wait_for(lambda: told.over, "refused")
    assert told.log() == []


def test_one_bad_message_does_not_take_the_others_with_it(mortal, tell):
    told = tell(mortal)
    mortal.kill()  # so that they wait, and go together
    for name in ("a", "b", "bad", "c"):
        role = "nonsense" if name == "bad" else "assistant"
        told.report.message("root", name, role, [{"type": "text", "text": name}], True)
    mortal.start()
    assert told.outbox.flush(time.monotonic() + 15)
    assert [message["id"] for message in told.messages()] == ["a", "b", "c"]
    assert len(told.complaints) == 1


def test_who_tells_too_much_is_slowed_down_and_let_go_at_the_end(tell):
    told = tell(url=f"http://127.0.0.1:{free_port()}", waiting_max=20_000)
    told.report.message("root", "m", "assistant", streaming(""), False)
    through = threading.Event()

    def talk():
        for _ in range(100):
            told.report.log("text", "x" * 1000)
        through.set()

    talker = threading.Thread(target=talk)
    talker.start()
    wait_for(lambda: not told.outbox.has_room(), "it is full")
    for offset in range(1000):  # the copy here grows, nothing waits
        told.report.delta("root", "m", 0, offset, "y")
    assert not through.is_set()
    told.outbox.abandon()
    talker.join(10)
    assert through.is_set()


def test_the_first_session_is_the_claims_and_others_are_below_it(tell):
    told = tell()
    report = told.report
    report.session("main", title="The work", model="big")
    report.session("child", parent="main", title="Search", agent="explore")
    report.session("stray")
    report.doing("child", "working", "grep", "looks for it")
    report.doing("child", "working", "grep", "looks for it")
    report.session_ended("child", "succeeded")
    told.flush()
    found = told.get("/sessions", ticket=told.attempt["ticket"])["items"]
    root, child, stray = (SimpleNamespace(**session) for session in found)
    assert (root.id, root.title, root.model) == (told.root, "The work", "big")
    assert (child.parent_id, child.title, child.agent) == (root.id, "Search", "explore")
    assert (child.status, child.outcome, child.revision) == ("ended", "succeeded", 3)
    assert stray.parent_id == root.id
    assert {root.attempt, child.attempt, stray.attempt} == {told.id}
    assert told.report.conversation.key_of(child.id) == "child"


def test_a_question_is_asked_and_withdrawn(tell):
    told = tell()
    told.report.stage("executing", status="running")
    options = [{"id": "y", "label": "Yes"}, {"id": "n", "label": "No"}]
    told.report.ask("main", "q-1", kind="permission", title="Run it?", detail="rm", options=options)
    told.flush()
    (asked,) = told.get("/permissions", ticket=told.attempt["ticket"])["items"]
    assert (asked["title"], asked["external_id"], asked["state"]) == ("Run it?", "q-1", "open")
    assert told.get(f"/attempts/{told.id}")["status"] == "waiting"
    told.report.withdrawn("q-1")
    told.report.withdrawn("never asked")
    told.flush()
    assert told.get(f"/permissions/{asked['id']}")["state"] == "withdrawn"


def test_what_waits_to_be_told_keeps_its_order_where_that_matters(mortal, tell):
    told = tell(mortal)
    options = [{"id": "y", "label": "Yes"}]
    told.report.stage("executing", status="running")
    told.report.ask("main", "q", kind="permission", title="Run it?", detail="", options=options)
    told.flush()
    mortal.kill()  # so that all of this waits together
    for status in ("running", "unhealthy", "running"):
        told.report.instance(status, "http://127.0.0.1:1")
    told.report.status(waiting=True)
    told.report.withdrawn("q")
    told.report.status(waiting=True)
    mortal.start()
    told.flush()
    assert told.get(f"/attempts/{told.id}")["status"] == "waiting"
    (instance,) = told.get("/instances", project=told.attempt["project"])["items"]
    assert (instance["status"], instance["revision"]) == ("running", 3)  # each of them was told


def test_a_status_that_comes_too_late_is_no_news(tell):
    told = tell()
    told.server.make(f"/attempts/{told.id}/stop")
    told.report.stage("executing", status="running")
    told.report.status(waiting=True)
    told.report.end(Outcome("cancelled"))
    told.flush()
    ended = told.get(f"/attempts/{told.id}")
    assert ended["status"] == "cancelled"
    assert ended["reason"].startswith("Stopped by")  # the server's, since ours named none


def test_entries_of_a_lane_keep_their_order_and_join_only_their_neighbour():
    def put(name, items):
        return Entry(name, "POST", f"/{name}", {"items": items}, join=appended("items", 3))

    one, two = put("a", [1, 2]), put("a", [3])
    assert one.absorb(two)
    assert not one.absorb(put("a", [4]))  # full
    assert not one.absorb(put("b", [4]))
    assert one.body == {"items": [1, 2, 3]}
