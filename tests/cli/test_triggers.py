"""`cortex trigger` and `cortex memory` against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cortex
from tests.support.runner_side import RunnerSide
from tests.support.server import Server

EVIL = "\x1b[31mred\x9b2J\u202e"
HIDING = "red\u202e"


@pytest.fixture
def runner(here: Server, project: str, cortex: Cortex) -> RunnerSide:
    cortex("ticket", "create", "First")
    return RunnerSide(here, project)


def test_a_trigger_from_its_making_to_its_end(
    cortex: Cortex, runner: RunnerSide, project: str
) -> None:
    made = cortex(
        "trigger", "create", "review-it", "--types", "ticket.moved,review.*", "--agent", "shell",
        "--where", "changed.status.to=review", "--where", "changed.status.to=done", "--json",
    ).json  # fmt: skip
    assert made["on"] == {
        "types": ["ticket.moved", "review.*"],
        "filter": {"changed.status.to": ["review", "done"]},
    }
    text = cortex("trigger", "show", "review-it").out
    assert "changed.status.to=review|done" in text
    assert "starts shell" in text
    assert cortex("trigger", "test", "review-it").code == 6  # by hand there is no ticket
    assert cortex("trigger", "test", "review-it", "--ticket", "1").code == 0
    assert len(cortex("attempt", "list", "1", "--json").json) == 1
    assert cortex("trigger", "disable", "review-it", "--json").json["enabled"] is False
    assert cortex("trigger", "enable", made["id"], "--json").json["enabled"] is True
    assert cortex("trigger", "delete", "review-it").code == 2
    assert cortex("trigger", "delete", "review-it", "--yes").code == 0
    assert cortex("trigger", "list", "--json").json == []


def test_each_kind_says_what_it_does(cortex: Cortex, runner: RunnerSide, project: str) -> None:
    profile = f"p-{project}"
    cortex("profile", "create", profile, "--agent", "shell")
    for name, words, shown in (
        ("t1", ("--every", "60", "--agent", "shell", "--ticket", "1"), f"shell on {project}-1"),
        ("t2", ("--cron", "0 2 * * mon-fri", "--agent", "shell", "--batch-status", "backlog"),
         "starts shell as a batch on status=backlog"),
        ("t3", ("--types", "*", "--profile", profile), f"starts shell with {profile}"),
        ("t4", ("--types", "*", "--call", "https://example.org/x"), "calls https://example.org/x"),
    ):  # fmt: skip
        ran = cortex("trigger", "create", name, "--off", *words)
        assert ran.code == 0, ran.err
        assert shown in ran.err
        assert shown in cortex("trigger", "list").out
    assert ran.out.startswith("ctx_")  # the secret, once
    assert "secret" not in cortex("trigger", "show", "t4", "--json").json
    assert cortex("trigger", "calls", "t4", "--json").json == []


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--types ticket.moved",
        "--agent shell",
        "--types ticket.moved --every 5 --agent shell",
        "--types ticket.moved --agent shell --call https://example.org",
        "--types ticket.moved --where status --agent shell",
        "--types ticket.moved --where =x --agent shell",
        "--every 5 --where a=b --agent shell",
        "--every 0 --agent shell",
        "--types ticket.moved --call https://example.org --ticket 1",
        "--types ticket.moved --call https://example.org -m text",
        "--types ticket.moved --agent shell --ticket 1 --batch-status backlog",
    ],
)
def test_half_a_trigger_is_no_trigger(cortex: Cortex, project: str, words: str) -> None:
    ran = cortex("trigger", "create", "t", *words.split())
    assert (ran.code, ran.out) == (2, "")
    assert "--help" in ran.err


def test_what_the_server_refuses(cortex: Cortex, runner: RunnerSide, project: str) -> None:
    def code(*words: str) -> int:
        ran = cortex("trigger", *words)
        assert ran.err
        assert not set(ran.out + ran.err) & {"\x1b", "\x9b", "\u202e"}
        return ran.code

    assert code("create", "t", "--types", "no.such", "--agent", "shell") == 1
    assert code("create", "t", "--types", EVIL, "--agent", "shell") == 1
    assert code("create", "t", "--cron", "x", "--agent", "shell", "--ticket", "1") == 1
    assert code("create", "t", "--every", "5", "--agent", "shell") == 1  # on which ticket?
    assert code("create", "t", "--types", "*", "--call", "ftp://x") == 1
    assert code("show", "none") == 5
    assert code("calls", "none") == 5
    options = ("--types", "*", "--agent", "shell", "-m", EVIL)
    assert code("create", EVIL, *options) == 1  # a name of one line, without control characters
    assert code("create", HIDING, *options) == 0
    assert code("create", HIDING, *options) == 6
    assert code("show", EVIL) == 5
    for words in (("list",), ("show", HIDING)):
        ran = cortex("trigger", *words)
        assert "red" in ran.out
        assert not set(ran.out + ran.err) & {"\x1b", "\x9b", "\u202e"}


def test_memory_is_kept_by_name(cortex: Cortex, project: str, tmp_path: Path) -> None:
    file = tmp_path / "style.md"
    file.write_text(f"# Style\n{EVIL}\n")
    assert cortex("memory", "set", "style.md", "-F", file).code == 0
    assert cortex("memory", "show", "style.md").out == "# Style\nred\n"
    assert cortex("memory", "show", "style.md", "--json").json["body"] == f"# Style\n{EVIL}\n"
    assert cortex("memory", "set", "style.md", "new", "--revision", "1").code == 0
    assert cortex("memory", "set", "style.md", "newer", "--revision", "1").code == 6
    assert cortex("memory", "set", "piped", "-", stdin="from a pipe").code == 0
    assert cortex("memory", "set", "empty", "").code == 0
    assert [m["name"] for m in cortex("memory", "list", "--json").json] == [
        "empty", "piped", "style.md",
    ]  # fmt: skip
    assert cortex("memory", "delete", "piped").code == 2
    assert cortex("memory", "delete", "piped", "--yes").code == 0
    assert cortex("memory", "show", "piped").code == 5


def test_what_memory_refuses(cortex: Cortex, project: str) -> None:
    assert cortex("memory", "set", "a").code == 2
    assert cortex("memory", "set", "a", "two", "words").code == 2
    assert cortex("memory", "set", "a", "x", "-m", "y").code == 2
    assert cortex("memory", "set", "a", "x", "-F", "y").code == 2
    assert cortex("memory", "set", "a/b", "x").code == 2
    assert cortex("memory", "set", "", "x").code == 2
    assert cortex("memory", "set", EVIL, "x").code == 1
    assert cortex("memory", "set", "a", "-", stdin="x" * 70_000).code == 1
    assert cortex("memory", "set", "a", "-", stdin=b"\xff").code == 1
    assert cortex("memory", "list", "--json").json == []
