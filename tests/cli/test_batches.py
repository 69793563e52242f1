"""`cortex batch` against a real server; the runner's side by REST."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cortex
from tests.support.runner_side import RunnerSide
from tests.support.server import Server

EVIL = "\x1b[31mred\x9b2J\u202e"


@pytest.fixture
def runner(here: Server, project: str, cortex: Cortex) -> RunnerSide:
    for number in (1, 2, 3):
        cortex("ticket", "create", f"Ticket {number}")
    return RunnerSide(here, project)


def test_a_batch_runs_to_its_end(cortex: Cortex, runner: RunnerSide, project: str) -> None:
    made = cortex(
        "batch", "create", "1", "2", "--mode", "parallel", "--limit", "2", "--no-merge", "--json"
    )
    assert made.json["agent"] == "shell"  # the only one that there is
    assert (made.json["mode"], made.json["limit"], made.json["merge"]) == ("parallel", 2, False)
    first, second = runner.work(), runner.work()
    first.end()
    assert "1 of 2" in cortex("batch", "list").out
    assert [row.split()[:2] for row in cortex("batch", "show").out.splitlines()[-2:]] == [
        [f"{project}-1", "completed"],
        [f"{project}-2", "running"],
    ]
    second.end("failed", EVIL)
    ran = cortex("batch", "follow")
    assert f"{project}-1" in ran.out
    assert "\x1b" not in ran.out + ran.err
    assert ran.code == (0 if cortex("batch", "show", "--json").json["status"] == "completed" else 1)
    statuses = [t["status"] for t in cortex("batch", "show", "--json").json["tickets"]]
    assert statuses == ["completed", "failed"]


def test_a_whole_column_in_its_order(cortex: Cortex, runner: RunnerSide, project: str) -> None:
    cortex("ticket", "move", "3", "progress")
    cortex("ticket", "move", "1", "backlog", "--position", "1")
    made = cortex("batch", "create", "3", "--all-in", "backlog", "--hold", "--json").json
    assert [t["ticket"] for t in made["tickets"]] == [f"{project}-{n}" for n in (3, 2, 1)]
    assert made["status"] == "pending"
    missing = cortex("batch", "create", "--all-in", "nowhere")
    assert missing.code == 5
    assert "there are backlog, progress" in missing.err
    assert cortex("batch", "create", "--all-in", "review").code == 5
    assert cortex("batch", "create").code == 2


def test_a_batch_goes_by_name_while_only_one_has_it(cortex: Cortex, runner: RunnerSide) -> None:
    def create(number: int) -> str:
        ran = cortex("batch", "create", number, "--hold", "--name", "mine")
        return ran.out.strip()

    first = create(1)
    assert cortex("batch", "start", "mine", "--json").json["status"] == "running"
    second = create(2)
    ran = cortex("batch", "cancel", "mine")
    assert ran.code == 2
    assert first in ran.err
    assert second in ran.err
    assert cortex("batch", "cancel", second, "--json").json["status"] == "cancelled"
    assert cortex("batch", "start", second).code == 6
    assert cortex("batch", "show", "other").code == 5
    assert cortex("batch", "show", "--json").json["id"] == second
    assert len(cortex("batch", "list", "--status", "cancelled", "--json").json) == 1


def test_what_is_refused(cortex: Cortex, runner: RunnerSide, project: str) -> None:
    assert cortex("batch", "show").code == 5
    assert cortex("batch", "create", "1", "1").code == 1
    assert cortex("batch", "create", "99").code == 1
    assert cortex("batch", "create", "1", "--agent", EVIL).code == 1
    assert cortex("batch", "create", "1", "--hold", "--follow").code == 2
    assert cortex("batch", "create", "1", "--limit", "0").code == 2
    assert cortex("batch", "create", "1", "--hold", "--name", f"{EVIL}\nsecond").code == 1
    named = cortex("batch", "create", "1", "--hold", "--name", "red\u202e")
    for ran in (named, cortex("batch", "list"), cortex("batch", "show")):
        assert "red" in ran.out + ran.err
        assert not set(ran.out + ran.err) & {"\x1b", "\x9b", "\u202e"}
