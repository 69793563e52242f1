"""From the board to the real OpenCode and back: CORTEX_TEST_OPENCODE=/path/to/opencode.

A scripted model, a real server, a real `cortex runner`, and a subscriber that follows.
"""

import base64
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from tests.support.server import ROOT, wait_for
from tests.support.watched import Watched
from tests.support.workplace import RunnerProcess, Workplace

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]

PROGRAM = os.environ.get("CORTEX_TEST_OPENCODE", "opencode")
MODEL = Path(__file__).parent.parent / "support/scripted_model.py"
PATIENCE_S = 90.0
KINDS = {"text": "text", "reasoning": "thinking", "tool": "tool"}


@pytest.fixture(scope="module")
def chain(tmp_path_factory, shared_server):
    """place, runner, watched, and what OpenCode itself says: heard."""
    directory = tmp_path_factory.mktemp("chain")
    place = Workplace(shared_server, directory)
    argv = [sys.executable, str(MODEL), "--delta-ms", "2"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as model:
        assert model.stdout is not None
        found = re.search(r":(\d+)$", model.stdout.readline().strip())
        assert found
        shared_server.env["OPENCODE_CONFIG_CONTENT"] = configuration(int(found[1]))
        runner = RunnerProcess(place, "one", [f"opencode=opencode:{shlex.quote(PROGRAM)}"])
        options = {"env": ["OPENCODE_CONFIG_CONTENT"], "model": None, "prompt": None, "args": []}
        shared_server.make("/profiles", name="scripted", agent="opencode", options=options)
        watched = Watched(shared_server, place.key)
        heard = Heard()
        yield SimpleNamespace(place=place, runner=runner, watched=watched, heard=heard)
        heard.close()
        watched.close()
        runner.stop()
        model.kill()


def configuration(port):
    return json.dumps(
        {
            "model": "fake/scripted",
            "small_model": "fake/scripted",
            "enabled_providers": ["fake"],
            "permission": {"bash": "ask"},
            "provider": {
                "fake": {
                    "npm": "@ai-sdk/openai-compatible",
                    "options": {"baseURL": f"http://127.0.0.1:{port}/v1", "apiKey": "dummy"},
                    "models": {"scripted": {"tool_call": True, "reasoning": True}},
                }
            },
        }
    )


class Heard:
    """Asks the servers of attempts for their messages, until they end.

    messages: the last answer, by attempt: a list for each session. environ, pids: of each server.
    """

    def __init__(self):
        self.messages = {}
        self.environ = {}
        self.pids = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def close(self):
        self._over.set()
        self._thread.join()

    def _listen(self):
        while not self._over.wait(0.2):
            for pid, values in processes():
                if "OPENCODE_SERVER_PASSWORD" not in values:
                    continue
                found = re.search(rb"serve\0--port\0(\d+)", command_of(pid))
                if found is None:
                    continue
                attempt = values["CORTEX_ATTEMPT"]
                self.environ[attempt], self.pids[attempt] = values, pid
                with contextlib.suppress(OSError, ValueError):
                    self.messages[attempt] = everything(int(found[1]), values)


def processes():
    """The processes of attempts: pid and environment."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            text = path.read_bytes().decode(errors="replace")
            values = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
            if "CORTEX_ATTEMPT" in values:
                yield int(path.parent.name), values


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def everything(port, environ):
    password = environ["OPENCODE_SERVER_PASSWORD"]
    token = base64.b64encode(f"opencode:{password}".encode()).decode()

    def get(path):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Basic {token}"}
        )
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return json.load(answer)

    return [get(f"/session/{session['id']}/message") for session in get("/session")]


def theirs(message):
    """A message of OpenCode as the board should have it: role, and kind and text of each part."""
    parts = []
    for part in message["parts"]:
        state = part.get("state") or {}
        if part["type"] in KINDS:
            text = part.get("text") or state.get("output") or state.get("error") or ""
            parts.append((KINDS[part["type"]], text))
    return message["info"]["role"], parts


def begin(chain, body):
    """An attempt on a ticket that says this."""
    return chain.place.attempt("opencode", chain.place.ticket(body=body), profile="scripted")


def finish(chain, attempt, status="succeeded"):
    """Wait for the end; everything is closed then, and everybody says the same."""
    place, watched, heard = chain.place, chain.watched, chain.heard
    ended = place.wait_for_status(attempt, "succeeded", "failed", "cancelled", deadline_s=90)
    assert ended["status"] == status, ended["reason"]
    watched.until("attempt.status", id=attempt["id"], status=status)
    assert watched.wrong == []
    said = []
    for session in sessions(chain, attempt):
        assert session["status"] == "ended"
        stored = place.server.api("GET", f"/sessions/{session['id']}/messages?limit=500").json()
        said.append([plain(message) for message in stored["items"]])
        assert {message["status"] for message in stored["items"]} == {"complete"}
        seen = [watched.messages[session["id"], message["id"]] for message in stored["items"]]
        assert [plain(message) for message in seen] == said[-1]
    environ = heard.environ[attempt["id"]]
    refused = requests.get(
        f"{place.server.url}/api/tickets/{ended['ticket']}", timeout=10,
        headers={"Authorization": f"Bearer {environ['CORTEX_TOKEN']}"},
    )  # fmt: skip
    assert refused.status_code == 401
    assert not os.path.exists(environ["HOME"])
    assert [pid for pid, values in processes() if values["CORTEX_ATTEMPT"] == attempt["id"]] == []
    if status == "succeeded":
        wanted = [[theirs(one) for one in talk] for talk in heard.messages[attempt["id"]]]
        assert sorted(map(sorted, said)) == sorted(map(sorted, wanted))
    return ended


def plain(message):
    return message["role"], [(part["type"], part["text"]) for part in message["parts"]]


def sessions(chain, attempt):
    found = chain.place.server.api("GET", f"/sessions?ticket={attempt['ticket']}").json()
    return found["items"]


def asked(chain, attempt):
    return chain.watched.until("permission.asked", PATIENCE_S, attempt=attempt["id"])


def cortex(chain, *words):
    """A person at a terminal."""
    ran = subprocess.run(
        [sys.executable, "-m", "cortex_cli", *words], check=False, cwd=ROOT, text=True,
        env={**chain.place.server.env, "CORTEX_TOKEN": chain.place.server.token},
        capture_output=True, timeout=30,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def links(chain, attempt):
    told = chain.watched.of("opencode.status", attempt=attempt["id"])
    return [(one["status"], one["link"]) for one in told]


def streams(chain, attempt):
    """Wait until text of the agent arrives."""
    told = chain.watched.until("attempt.session", attempt=attempt["id"])
    session = told["session"]
    wait_for(lambda: len("".join(chain.watched.said(session))) > 60, "it streams", PATIENCE_S)
    return session


def test_two_at_once_stream_whole_texts(chain):
    attempts = [begin(chain, "[[stream n=2000 ms=2]]") for _ in range(2)]
    for attempt in attempts:
        ended = finish(chain, attempt)
        text = " ".join(f"w{number}" for number in range(2000))
        assert chain.watched.said(ended["session"]) == [text]
        assert list(dict.fromkeys(chain.watched.statuses(attempt["id"]))) == [
            "starting", "running", "succeeded",
        ]  # fmt: skip
        assert links(chain, attempt) == [
            ("starting", "connecting"), ("running", "connected"), ("stopped", "disconnected"),
        ]  # fmt: skip
        assert len(chain.place.log(attempt)) < 5
        assert chain.watched.deltas[ended["session"]] > 0


def test_work_is_planned_answered_committed_and_pushed(chain):
    attempt = begin(chain, "Please make a hello file [[hello n=40]]")
    question = asked(chain, attempt)
    chain.place.wait_for_status(attempt, "waiting")
    cortex(chain, "inbox", "answer", question["id"], "once")
    ended = finish(chain, attempt)
    assert {item["status"] for item in ended["todos"]} == {"completed"}
    told = [event["type"] for event in chain.watched.events if event["ticket"] == ended["ticket"]]
    for kind in ("attempt.todos", "git.status", "git.commit", "git.push"):
        assert kind in told
    shown = subprocess.run(
        ["git", "-C", str(chain.place.remote), "show", f"{ended['branch']}:hello.txt"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert shown.stdout == "hi\n"


def test_a_refusal_goes_back_and_a_question_is_answered(chain):
    refused, questioned = begin(chain, "[[bash cmd=echo~yes]]"), begin(chain, "[[question]]")
    cortex(chain, "inbox", "answer", asked(chain, refused)["id"], "reject", "-m", "Not now")
    cortex(chain, "inbox", "answer", asked(chain, questioned)["id"], "Blue")
    (tool,) = chain.watched.said(finish(chain, refused)["session"], "tool")
    assert "Not now" in tool
    (tool,) = chain.watched.said(finish(chain, questioned)["session"], "tool")
    assert "Blue" in tool


def test_a_sub_agent_is_a_session_below(chain):
    attempt = begin(chain, "[[task]]")
    question = asked(chain, attempt)
    cortex(chain, "inbox", "answer", question["id"], "once")
    ended = finish(chain, attempt)
    root, child = sessions(chain, attempt)
    assert (root["id"], child["parent_id"]) == (ended["session"], root["id"])
    assert question["session"] == child["id"]


def test_an_abort_waits_and_prompts_are_told_once(chain):
    attempt = begin(chain, "[[stream n=3000 ms=10]]")
    session = streams(chain, attempt)
    chain.place.server.make(f"/sessions/{session}/abort")
    chain.place.wait_for_status(attempt, "waiting")
    prompts = ["  [[stream n=60 ms=5]] with\n\nblanks \n", "[[stream n=3 ms=1]]"]
    for prompt in prompts:
        cortex(chain, "attempt", "say", attempt["ticket"], prompt)
    finish(chain, attempt)
    assert chain.watched.said(session, role="user")[1:] == prompts
    assert chain.watched.said(session)[-1] == "w0 w1 w2"


def test_what_goes_wrong_is_said(chain):
    wrong, killed = begin(chain, "[[httperror code=400]]"), begin(chain, "[[stream n=3000 ms=20]]")
    assert finish(chain, wrong, "failed")["reason"] == "scripted failure 400"
    session = streams(chain, killed)
    os.kill(chain.heard.pids[killed["id"]], signal.SIGKILL)
    ended = finish(chain, killed, "failed")
    assert ended["reason"] == "OpenCode's server ended with signal 9."
    assert ("error", "disconnected") in links(chain, killed)
    assert chain.watched.said(session)[0].startswith("w0 w1 ")


def test_stop_ends_all_of_it(chain):
    attempt = begin(chain, "[[question]]")
    question = asked(chain, attempt)
    cortex(chain, "attempt", "stop", attempt["ticket"])
    finish(chain, attempt, "cancelled")
    assert chain.watched.of("permission.replied", id=question["id"])[0]["state"] == "withdrawn"
