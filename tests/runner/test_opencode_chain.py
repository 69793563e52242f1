"""From the board to OpenCode and back: a real server, a real `cortex runner`, and a recording."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from tests.support.replays import PROGRAM, RECORDING
from tests.support.server import ROOT, wait_for
from tests.support.watched import Watched
from tests.support.workplace import RunnerProcess, Workplace

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

AGENTS = {
    "hello": ("hello", "--burst", "200", "--delta-ms", "15"),
    "abort": ("abort", "--delta-ms", "3"),
    "permission": ("perm_once",),
    "question": ("question",),
    "task": ("task",),
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory, shared_server):
    """place, runner, and what a subscriber has seen: watched."""
    directory = tmp_path_factory.mktemp("chain")
    place = Workplace(shared_server, directory)
    runner = RunnerProcess(place, "one", list(map(spec, AGENTS)), "--parallel", "5")
    settings = {"values": {"attempts_parallel": 5}}
    assert shared_server.api("PATCH", f"/projects/{place.key}/settings", json=settings).ok
    watched = Watched(shared_server, place.key)
    yield SimpleNamespace(place=place, runner=runner, watched=watched, directory=directory)
    watched.close()
    runner.kill()


def spec(agent):
    """What `--agent` takes: an OpenCode that plays this part of the recording."""
    scenario, *options = AGENTS[agent]
    argv = [sys.executable, str(PROGRAM), "--recording", str(RECORDING), "--scenario", scenario]
    argv += ["--requests", f"{agent}.requests", *options]
    return f"{agent}=opencode:{shlex.join(argv)}"


def cortex(chain, *words):
    """A person at a terminal."""
    ran = subprocess.run(
        [sys.executable, "-m", "cortex_cli", *words], check=False, cwd=ROOT, text=True,
        env={**chain.place.server.env, "CORTEX_TOKEN": chain.place.server.token},
        capture_output=True, timeout=30,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def sent(attempt, path):
    """What OpenCode was told there."""
    requested = (Path(attempt["worktree"]) / f"{attempt['agent']}.requests").read_text()
    return [body for to, body in map(json.loads, requested.splitlines()) if path in to]


def sessions(chain, attempt):
    found = chain.place.server.api("GET", f"/sessions?ticket={attempt['ticket']}").json()
    return found["items"]


def check_that_all_is_closed(chain, attempt):
    """Nothing is asked, nothing streams or works, and a subscriber has seen what is stored."""
    server, watched = chain.place.server, chain.watched
    watched.until("attempt.status", id=attempt["id"], status=attempt["status"])
    assert watched.wrong == []
    for session in sessions(chain, attempt):
        assert session["status"] == "ended"
        for message in server.api("GET", f"/sessions/{session['id']}/messages").json()["items"]:
            seen = watched.messages[session["id"], message["id"]]
            assert [part["text"] for part in seen["parts"]] == [
                part["text"] for part in message["parts"]
            ]
            assert message["status"] == seen["status"] == "complete"
    told = watched.of("opencode.status", attempt=attempt["id"])
    states = [(one["status"], one["link"]) for one in told]
    # The link is closed before the server is: whether that is told by itself is a matter of timing.
    assert [state for state in states if state != ("running", "disconnected")] == [
        ("starting", "connecting"), ("running", "connected"), ("stopped", "disconnected"),
    ]  # fmt: skip
    asked = server.api("GET", f"/permissions?ticket={attempt['ticket']}&state=open").json()
    assert asked["items"] == []


def environ_of(attempt):
    """The environment of a process of the attempt."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        values = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
        if values.get("CORTEX_ATTEMPT") == attempt["id"] and "CORTEX_TOKEN" in values:
            return values
    return None


def test_text_is_live_and_nothing_is_left(chain):
    place, watched = chain.place, chain.watched
    # Two at once: their servers have the same names for sessions, messages and parts.
    attempts = [place.attempt("hello"), place.attempt("hello")]
    environs = [wait_for(lambda a=a: environ_of(a), "a process of it") for a in attempts]
    for attempt in attempts:
        # How many come is a matter of timing: what piles up on the way is sent as one.
        wait_for(lambda a=attempt: watched.deltas[place.find(a)["session"]] > 0, "it streams")
        assert place.find(attempt)["status"] == "running"
    for attempt, environ in zip(attempts, environs, strict=True):
        check_that_it_is_whole(chain, attempt, environ)


def check_that_it_is_whole(chain, attempt, environ):
    place, watched = chain.place, chain.watched
    ended = place.wait_for_status(attempt, "succeeded")
    check_that_all_is_closed(chain, ended)
    (root,) = sessions(chain, ended)
    words = [f"w{number}" for number in (*range(40), *range(200))]
    assert watched.said(root["id"])[-1] == "Done. " + " ".join(words)
    assert {item["status"] for item in ended["todos"]} == {"completed"}
    statuses = list(dict.fromkeys(watched.statuses(attempt["id"])))
    assert statuses == ["starting", "running", "succeeded"]
    log = [(entry["kind"], entry["tool"]) for entry in place.log(attempt)]
    assert len(log) < 15
    assert ("tool", "bash") in log
    refused = requests.get(
        f"{place.server.url}/api/tickets/{ended['ticket']}", timeout=10,
        headers={"Authorization": f"Bearer {environ['CORTEX_TOKEN']}"},
    )  # fmt: skip
    assert refused.status_code == 401
    assert not os.path.exists(environ["HOME"])
    assert environ_of(attempt) is None


def test_a_permission_is_answered_from_the_inbox(chain):
    attempt = chain.place.attempt("permission")
    asked = chain.watched.until("permission.asked", attempt=attempt["id"])
    assert asked["title"] == "bash: echo ok>p1.txt"
    chain.place.wait_for_status(attempt, "waiting")
    cortex(chain, "inbox", "answer", attempt["ticket"], "once")
    ended = chain.place.wait_for_status(attempt, "succeeded")
    check_that_all_is_closed(chain, ended)
    assert sent(ended, "/permission/") == [{"reply": "once"}]
    statuses = list(chain.watched.statuses(attempt["id"]))
    assert statuses[-4:] == ["running", "waiting", "running", "succeeded"]


def test_a_sub_agent_is_a_session_below_the_attempts_own(chain):
    attempt = chain.place.attempt("task")
    ended = chain.place.wait_for_status(attempt, "succeeded")
    check_that_all_is_closed(chain, ended)
    root, child = sessions(chain, ended)
    assert (root["id"], child["parent_id"]) == (ended["session"], root["id"])
    assert chain.watched.said(child["id"])[-1] == "Command finished."
    told = chain.watched.of("attempt.session", attempt=attempt["id"])
    assert [(one["session"], one["root"]) for one in told] == [
        (root["id"], True), (child["id"], False),
    ]  # fmt: skip


def test_an_aborted_turn_waits_for_a_prompt_that_is_told_once(chain):
    place, watched = chain.place, chain.watched
    attempt = place.attempt("abort")
    wait_for(lambda: watched.deltas[place.find(attempt)["session"]] > 0, "it streams")
    session = place.find(attempt)["session"]
    place.server.make(f"/sessions/{session}/abort")
    place.wait_for_status(attempt, "waiting")
    cortex(chain, "attempt", "say", attempt["ticket"], "and now?")
    ended = place.wait_for_status(attempt, "succeeded")
    check_that_all_is_closed(chain, ended)
    (prompted,) = sent(ended, "prompt_async")[1:]
    assert prompted == {"parts": [{"type": "text", "text": "and now?"}], "agent": "build"}
    assert watched.said(session, role="user")[1:] == ["and now?"]
    assert watched.said(session)[-1] == "Understood."


def test_an_abort_withdraws_what_was_asked_and_still_waits(chain):
    place = chain.place
    attempt = place.attempt("question")
    asked = chain.watched.until("permission.asked", attempt=attempt["id"])
    place.server.make(f"/sessions/{asked['session']}/abort")
    replied = chain.watched.until("permission.replied", id=asked["id"])
    assert replied["state"] == "withdrawn"
    wait_for(lambda: chain.watched.statuses(attempt["id"])[-2:] == ["running", "waiting"], "waits")
    cortex(chain, "attempt", "stop", attempt["ticket"])
    check_that_all_is_closed(chain, place.wait_for_status(attempt, "cancelled"))
