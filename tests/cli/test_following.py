"""Following attempts, batches and questions, as processes and on a terminal, as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import Cortex
from tests.support.runner_side import Job, RunnerSide
from tests.support.server import Server, wait_for

pytestmark = pytest.mark.e2e

EVIL = "\x1b[31mred\x9b2J\u202e"
DEADLINE_S = 20.0
Process = subprocess.Popen[str]


@pytest.fixture
def runner(here: Server, project: str, cortex: Cortex) -> RunnerSide:
    """A runner of the project, which has the tickets 1 and 2."""
    for title in ("First", "Second"):
        cortex("ticket", "create", title)
    return RunnerSide(here, project)


def start(cortex: Cortex) -> None:
    assert cortex("attempt", "start", "1").code == 0


@pytest.fixture
def spawn(here: Server, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start_one(*words: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "cortex_cli", *words], text=True, cwd=tmp_path,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_followed_log_ends_with_the_attempt(
    cortex: Cortex, runner: RunnerSide, spawn: Callable[..., Process], project: str
) -> None:
    process = spawn("attempt", "start", "1", "-f", "--json")
    made = json.loads(line(process))
    assert made["status"] == "queued"
    job = runner.work()
    for text in ("one", "two"):
        job.log(text)
        assert json.loads(line(process))["text"] == text
    job.end("failed", "No")
    assert process.wait(DEADLINE_S) == 1
    assert line(process) == ""


def test_the_last_lines_are_followed_by_all_new_ones(
    cortex: Cortex, runner: RunnerSide, spawn: Callable[..., Process]
) -> None:
    start(cortex)
    job = runner.work()
    process = spawn("attempt", "log", "1", "-f", "-n", "1")
    assert process.stderr is not None
    job.log("old", "last")
    first = line(process)  # whichever it saw when it began
    assert first in ("old\n", "last\n")
    if first == "old\n":
        assert line(process) == "last\n"
    job.log("a", "b", "c")
    assert [line(process) for _ in range(3)] == ["a\n", "b\n", "c\n"]
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 130
    assert "Traceback" not in process.stderr.read()


def test_a_reader_that_leaves_ends_a_silent_follower(
    cortex: Cortex, runner: RunnerSide, spawn: Callable[..., Process]
) -> None:
    start(cortex)
    runner.work().log("one")
    process = spawn("attempt", "log", "1", "-f")
    assert line(process) == "one\n"
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(DEADLINE_S) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


@pytest.mark.fault
def test_a_follower_outlives_the_server(
    cortex: Cortex, runner: RunnerSide, here: Server, spawn: Callable[..., Process]
) -> None:
    start(cortex)
    job = runner.work()
    job.log("before")
    process = spawn("attempt", "log", "1", "-f")
    assert line(process) == "before\n"
    here.kill()
    here.start()
    job.log("after")
    assert line(process) == "after\n"
    job.end()
    assert process.wait(DEADLINE_S) == 0
    assert line(process) == ""


def test_an_asker_that_is_ended_asks_no_more(
    cortex: Cortex, runner: RunnerSide, spawn: Callable[..., Process]
) -> None:
    start(cortex)
    job = runner.work()
    process = spawn("session", "ask", "Which?", "-o", "red", "--session", job.session)
    assert process.stderr is not None
    assert "waiting for an answer" in process.stderr.readline()
    (asked,) = cortex("inbox", "--json").json
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 130
    assert cortex("inbox", "--json").json == []
    assert cortex("session", "answer", asked["id"]).code == 1


def test_an_asker_prints_what_was_answered(
    cortex: Cortex, runner: RunnerSide, spawn: Callable[..., Process]
) -> None:
    start(cortex)
    job = runner.work()
    process = spawn("session", "ask", "Which?", "-o", "r\x1b[1med", "--session", job.session)
    found = wait_for(lambda: cortex("inbox", "--json").json, "it asks")
    assert cortex("inbox", "answer", found[0]["id"], "1").code == 0
    assert line(process) == "red\n"
    assert process.wait(DEADLINE_S) == 0


def test_a_batch_is_followed_ticket_by_ticket(
    cortex: Cortex, runner: RunnerSide, spawn: Callable[..., Process], project: str
) -> None:
    process = spawn(
        "batch", "create", "1", "2", "--no-merge", "--stop-on-failure", "-f", "--json",
    )  # fmt: skip

    def told() -> tuple[str, str]:
        ticket = json.loads(line(process))
        return ticket["ticket"][-1], ticket["status"]

    assert json.loads(line(process))["status"] == "running"
    assert told() == ("1", "running")
    runner.work().end("failed", "No")
    assert {told(), told()} == {("1", "failed"), ("2", "cancelled")}
    assert process.wait(DEADLINE_S) == 1


@pytest.fixture
def terminal(here: Server, project: str) -> Iterator[pexpect.spawn[str]]:
    child = pexpect.spawn(
        sys.executable, ["-m", "cortex_cli", "inbox", "answer"], encoding="utf-8", timeout=20,
        dimensions=(40, 100), env={**os.environ, "NO_COLOR": "1"}, echo=False,
    )  # fmt: skip
    yield child
    child.close(force=True)


@pytest.fixture
def asked(cortex: Cortex, runner: RunnerSide, project: str) -> Job:
    start(cortex)
    job = runner.work()
    job.ask(f"Which {EVIL}?", "a", "b", detail=f"More {EVIL}", free_text=True)
    job.ask("Many?", "x", "y", "z", multiple=True)
    cortex("review", "request", f"{project}-2", "Look")
    return job


def test_all_are_answered_one_after_the_other(
    cortex: Cortex, asked: Job, terminal: pexpect.spawn[str], project: str
) -> None:
    said = []
    for answer in ("neither", "9", "1, z", "soon", "2 Rename it"):
        terminal.expect("leaves it\\): ")
        said.append(terminal.before)
        terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "Which red?" in said[0]
    assert "More red" in said[0]
    assert "\x1b[31m" not in "".join(map(str, said))
    assert "'9' is not offered; there is x, y, z." in said[2]
    assert cortex("inbox", "--json").json == []
    review = cortex("review", "list", "--state", "changes_requested", "--json").json[0]
    assert review["note"] == "Rename it"


def test_what_was_answered_elsewhere_does_not_end_it_and_empty_leaves_one(
    cortex: Cortex, asked: Job, terminal: pexpect.spawn[str]
) -> None:
    terminal.expect("leaves it\\): ")
    first = cortex("inbox", "--json").json[0]["id"]
    assert cortex("inbox", "answer", first, "a").code == 0
    terminal.sendline("b")
    terminal.expect("leaves it\\): ")
    assert "answered" in str(terminal.before)
    terminal.sendline("")
    terminal.expect("leaves it\\): ")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert [item["kind"] for item in cortex("inbox", "--json").json] == ["question", "review"]
