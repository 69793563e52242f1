"""`cortex inbox`: what waits for a person, and the answers."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cortex
from tests.support.runner_side import Job, RunnerSide
from tests.support.server import Server

EVIL = "\x1b[31mred\x9b2J\u202e"


@pytest.fixture
def runner(here: Server, project: str, cortex: Cortex) -> RunnerSide:
    for number in (1, 2, 3):
        cortex("ticket", "create", f"Ticket {number}")
    return RunnerSide(here, project)


@pytest.fixture
def job(cortex: Cortex, runner: RunnerSide) -> Job:
    """An attempt at work on the first ticket."""
    cortex("attempt", "start", "1", "--agent", "shell")
    return runner.work()


def kinds(cortex: Cortex, *more: str) -> list[tuple[str, str]]:
    items = cortex("inbox", *more, "--json").json
    return [(item["kind"], item["ticket"][-1]) for item in items]


def test_all_that_waits_is_listed_and_answered(cortex: Cortex, job: Job, project: str) -> None:
    assert cortex("inbox").err == "Nothing waits for you.\n"
    key = f"{project}-2"
    job.ask("Run it?", "once", "always", kind="permission")
    cortex("review", "request", key, f"Look\n{EVIL}")
    assert kinds(cortex) == [("permission", "1"), ("review", "2")]
    assert kinds(cortex, "-p", project) == kinds(cortex)
    assert cortex("inbox", "answer", f"{project.lower()}-1", "Once").err == f"{project}-1: once.\n"
    said = cortex("inbox", "answer", key, "2", "-m", "Rename", "--json").json
    assert (said["state"], said["note"]) == ("changes_requested", "Rename")
    assert cortex("inbox", "--json").json == []


def test_a_failure_waits_until_it_is_tried_again_or_done(
    cortex: Cortex, job: Job, runner: RunnerSide, project: str
) -> None:
    job.end("failed", f"Broken {EVIL}")
    key = f"{project}-1"
    ran = cortex("inbox")
    assert "Broken red" in ran.out
    assert "\x1b" not in ran.out + ran.err
    assert cortex("inbox", "answer", key, "leave").code == 0
    assert cortex("inbox", "answer", key, "leave", "-m", "why").code == 2
    assert kinds(cortex) == [("failed", "1")]
    assert cortex("inbox", "answer", key, "retry").code == 0
    assert kinds(cortex) == []  # another one is on it
    runner.work().end("failed", "Again")
    assert kinds(cortex) == [("failed", "1")]
    cortex("settings", "set", "done_column", "review", "-p", project)
    cortex("ticket", "move", "1", "review")
    assert kinds(cortex) == []


def test_an_agent_whose_turn_is_over_waits_for_words(
    cortex: Cortex, job: Job, here: Server, runner: RunnerSide, project: str
) -> None:
    question = job.ask("Which?", "a", "b", detail="Which?\nBoth are fine.")
    assert kinds(cortex) == [("question", "1")], "it is asked: that is no turn"
    cortex("inbox", "answer", question, "a")
    assert here.api("PATCH", f"/sessions/{job.session}", json={"status": "idle"}).ok
    assert kinds(cortex) == [], "it works, between two turns"

    job.tell(status="waiting")
    assert kinds(cortex) == [("turn", "1")]
    assert "shell waits for what you say next" in cortex("inbox").out
    ran = cortex("inbox", "answer", f"{project}-1")
    assert (ran.code, "your words" in ran.err) == (2, True)
    assert cortex("inbox", "answer", f"{project}-1", "go", "on").code == 0
    assert [c["payload"]["text"] for c in runner.commands() if c["kind"] == "prompt"] == ["go on"]


def test_an_option_goes_by_id_label_and_number(cortex: Cortex, job: Job, project: str) -> None:
    def answer(*words: str) -> list[str]:
        question = job.ask("Which?", "2", "b", "c", multiple=True)
        return list(cortex("inbox", "answer", question, *words, "--json").json["choices"])

    assert answer("2") == ["2"]  # an id comes before a number
    assert answer("B") == ["b"]
    assert answer("3", "b") == ["c", "b"]


def test_what_is_refused(cortex: Cortex, job: Job, project: str) -> None:
    key = f"{project}-1"
    assert cortex("inbox", "answer").code == 2
    assert cortex("inbox", "answer", key).code == 5
    question = job.ask(EVIL, "yes", "no")
    assert cortex("inbox", "answer", key).code == 2  # without a terminal
    assert cortex("inbox", "answer", key, "maybe").code == 2
    assert cortex("inbox", "answer", key, "yes", "no").code == 1
    assert cortex("inbox", "answer", key, "-m", "words").code == 1
    other = job.ask("Another?", free_text=True)
    ran = cortex("inbox", "answer", key, "yes")
    assert ran.code == 2
    assert question in ran.err
    assert other in ran.err
    assert cortex("inbox", "answer", other, "-m", "in words").code == 0
    assert cortex("inbox", "answer", other, "-m", "again").code == 5
    job.end("succeeded")
    assert cortex("inbox", "answer", question, "yes").code == 5
