"""With the real program and a scripted model: CORTEX_TEST_OPENCODE=/path/to/opencode."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cortex_cli.runner.adapters import Job
from cortex_cli.runner.adapters.opencode import OpenCodeAdapter
from cortex_cli.runner.errors import AdapterError
from cortex_cli.runner.group import Group
from cortex_cli.runner.opencode.run import OpenCodeRun, Timing
from tests.support.told import Told

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(120)]

MODEL = Path(__file__).parent.parent / "support/scripted_model.py"
PROGRAM = os.environ.get("CORTEX_TEST_OPENCODE", "opencode")


@pytest.fixture(scope="module")
def model_port() -> Iterator[int]:
    """A scripted model on loopback."""
    argv = [sys.executable, str(MODEL), "--delta-ms", "2"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        found = re.search(r":(\d+)$", running.stdout.readline().strip())
        assert found
        yield int(found[1])
        running.kill()


@pytest.fixture
def begin(tmp_path: Path, model_port: int) -> Iterator[Callable[..., tuple[OpenCodeRun, Told]]]:
    """Start an attempt with this prompt and these permissions of OpenCode."""
    groups: list[Group] = []

    def start(prompt: str, **permission: str) -> tuple[OpenCodeRun, Told]:
        number = len(groups)
        worktree, home = tmp_path / f"tree-{number}", tmp_path / f"home-{number}"
        worktree.mkdir()
        home.mkdir()
        subprocess.run(["git", "init", "-q", worktree], check=True)
        config = {
            "model": "fake/scripted",
            "small_model": "fake/scripted",
            "enabled_providers": ["fake"],
            "permission": permission,
            "provider": {
                "fake": {
                    "npm": "@ai-sdk/openai-compatible",
                    "options": {"baseURL": f"http://127.0.0.1:{model_port}/v1", "apiKey": "dummy"},
                    "models": {"scripted": {"tool_call": True, "reasoning": True}},
                }
            },
        }
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            **{f"XDG_{kind}_HOME": str(home / kind) for kind in ("CONFIG", "DATA", "STATE")},
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "OPENCODE_CONFIG_CONTENT": json.dumps(config),
        }
        job = Job(
            attempt={"id": f"live-{os.getpid()}-{number}"},
            ticket={"title": "A ticket"},
            profile=None,
            worktree=worktree,
            environ=environ,
            prompt=prompt,
            options={"command": PROGRAM},
        )
        groups.append(Group(job.attempt["id"]))
        told = Told()
        timing = Timing(health_every_s=0.5, health_timeout_s=0.5)
        return OpenCodeAdapter(timing).start(job, groups[-1], told), told

    yield start
    for group in groups:
        group.stop()


def first(told: Told, name: str, **wanted: Any) -> Any:
    """Wait for the first call of that name whose arguments are so; return its key and them."""

    def found(told: Told) -> Any:
        return next(
            (
                call
                for call in told.calls
                if call.name == name
                and all(call.given.get(field) == value for field, value in wanted.items())
            ),
            None,
        )

    return told.until(found, 40)


def test_plans_runs_a_command_writes_a_file_and_ends(begin):
    run, told = begin("Please make a hello file [[hello n=40]]")

    assert run.wait().status == "succeeded"
    assert told.wrong == []
    said = told.said(told.root)
    assert said[0] == "I will plan the work first."
    assert said[-1] == "Done. " + " ".join(f"w{number}" for number in range(40))
    assert told.said(told.root, "thinking") == [
        "The user wants a file. I will plan, then write it."
    ]
    assert "hi\n" in told.said(told.root, "tool")
    assert {item["status"] for item in told.of("todos")[-1]} == {"completed"}
    assert told.of("instance")[-1] == ("stopped", None)
    assert not [thread.name for thread in threading.enumerate() if "live-" in thread.name
                and not thread.name.startswith("group")]  # fmt: skip


def test_streams_a_burst_without_a_hole_in_few_calls(begin):
    run, told = begin("[[stream n=5000 ms=0]]")

    assert run.wait().status == "succeeded"
    assert told.wrong == []
    assert told.said(told.root) == [" ".join(f"w{number}" for number in range(5000))]
    assert 1 <= len(told.of("delta")) < 1000


def test_a_lost_connection_loses_no_text(begin):
    run, told = begin("[[stream n=600 ms=10]]")
    told.until(lambda told: len(told.of("delta")) > 5, 40)

    run._events._stream.interrupt()

    assert run.wait().status == "succeeded"
    assert told.wrong == []
    assert told.said(told.root) == [" ".join(f"w{number}" for number in range(600))]
    assert told.said(told.root, role="user") == ["[[stream n=600 ms=10]]"]


def test_asks_for_a_permission_and_goes_on_when_it_is_given(begin):
    run, told = begin("[[bash cmd=echo~yes]]", bash="ask")
    ask = first(told, "ask", kind="permission")
    assert ask.given["title"] == "bash: echo yes"
    told.until(lambda told: True in told.of("status"))
    assert told.of("doing")[-1][0] == "awaiting_input"

    run.answer(ask.key, ["once"], None)

    assert run.wait().status == "succeeded"
    assert "yes\n" in told.said(told.root, "tool")
    assert told.of("withdrawn") == []
    assert told.of("status") == [True, False]


def test_a_refusal_tells_the_agent_and_the_turn_goes_on(begin):
    run, told = begin("[[bash cmd=echo~yes]]", bash="ask")
    ask = first(told, "ask", kind="permission")

    run.answer(ask.key, ["reject"], None)

    assert run.wait().status == "succeeded"
    assert told.said(told.root)[-1] == "Finished."
    assert "yes\n" not in told.said(told.root, "tool")


def test_a_question_is_answered(begin):
    run, told = begin("[[question]]")
    ask = first(told, "ask", kind="question")
    assert [option["label"] for option in ask.given["options"]] == ["Red", "Blue"]

    run.answer(ask.key, [ask.given["options"][1]["id"]], None)

    assert run.wait().status == "succeeded"
    assert any("Blue" in text for text in told.said(told.root, "tool"))


def test_a_sub_agent_is_a_session_of_its_own(begin):
    run, told = begin("[[task]]")

    assert run.wait().status == "succeeded"
    child = first(told, "session", parent=told.root)
    assert told.said(child.key)[-1] == "Finished."
    assert told.said(told.root)[-1] == "It is done."
    assert [call.key for call in told.calls if call.name == "session_ended"] == [
        child.key,
        told.root,
    ]


def test_an_abort_ends_the_turn_and_a_prompt_begins_another(begin):
    run, told = begin("[[stream n=3000 ms=20]]")
    told.until(lambda told: len(told.of("delta")) > 3, 40)

    run.abort(None)
    told.until(lambda told: True in told.of("status"))
    run.prompt("[[stream n=3 ms=1]]", None)

    assert run.wait().status == "succeeded"
    assert told.said(told.root)[-1] == "w0 w1 w2"
    assert told.said(told.root, role="user") == ["[[stream n=3000 ms=20]]"]
    assert told.wrong == []


def test_an_abort_withdraws_what_was_asked(begin):
    run, told = begin("[[question]]")
    ask = first(told, "ask", kind="question")

    run.abort(None)

    told.until(lambda told: told.of("withdrawn", ask.key))
    with pytest.raises(AdapterError):
        run.answer(ask.key, ["0"], None)
    run.stop()
    assert run.wait().status == "cancelled"


def test_an_error_of_the_model_is_the_reason(begin):
    run, told = begin("[[httperror code=400]]")

    outcome = run.wait()

    assert (outcome.status, outcome.reason) == ("failed", "scripted failure 400")
    assert ("error", "scripted failure 400", None) in told.of("log")


def test_repeated_attempts_are_shown_and_can_be_stopped(begin):
    run, told = begin("[[httperror code=429]]")

    told.until(lambda told: any(work == "trying again (1): scripted failure 429"
                                for _, _, work in told.of("doing")), 40)  # fmt: skip
    run.stop()

    assert run.wait().status == "cancelled"


def test_a_killed_server_fails_the_attempt_and_keeps_its_text(begin):
    run, told = begin("[[stream n=3000 ms=20]]")
    told.until(lambda told: len(told.of("delta")) > 10, 40)

    os.kill(run._server._child.pid, signal.SIGKILL)

    outcome = run.wait()
    assert (outcome.status, outcome.exit_code) == ("failed", -9)
    assert told.of("instance")[-1][0] == "error"
    assert told.said(told.root)[0].startswith("w0 w1 w2 ")
    assert all(message["complete"] for message in told.messages.values())


def test_a_server_that_stops_answering_is_unhealthy_until_it_does(begin):
    run, told = begin("[[question]]")
    first(told, "ask", kind="question")
    pid = run._server._child.pid

    os.kill(pid, signal.SIGSTOP)
    told.until(lambda told: told.of("instance")[-1][0] == "unhealthy")
    os.kill(pid, signal.SIGCONT)
    told.until(lambda told: told.of("instance")[-1][0] == "running")

    run.stop()
    assert run.wait().status == "cancelled"
