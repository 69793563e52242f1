"""Attempts, agents, profiles and instances against a real server; the runner's side by REST."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete

from cortex_cli import patches
from cortex_cli.main import SECTIONS, cli
from tests.cli.conftest import Cortex
from tests.support.runner_side import RunnerSide
from tests.support.server import Server

EVIL = "\x1b[31mred\x1b]0;owned\x07\x9b2J\u202ertl"
NOBODY = "01890000-0000-7000-8000-000000000000"

PATCH = """diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1,2 +1,3 @@
 same\t\x1b[31mtab
--- removed
+++ added
+\tmore
diff --git a/pic.png b/pic.png
Binary files a/pic.png and b/pic.png differ
diff --git a/old name b/new name
rename from old name
rename to new name
"""


def harmless(text: str) -> bool:
    """Whether a terminal does nothing but print it."""
    return not set(text) & {"\x1b", "\x07", "\x9b", "\u202e", "\r", "\x08"}


@pytest.fixture
def runner(here: Server, project: str, cortex: Cortex) -> RunnerSide:
    """A runner of the project, which has the tickets 1 and 2."""
    for title in ("First", "Second"):
        cortex("ticket", "create", title)
    return RunnerSide(here, project)


def start(cortex: Cortex, *more: str) -> str:
    ran = cortex("attempt", "start", "1", "--agent", "shell", *more)
    assert ran.code == 0, ran.err
    return ran.out.strip()


def test_an_attempt_from_the_queue_to_its_end(
    cortex: Cortex, runner: RunnerSide, project: str
) -> None:
    made = start(cortex, "-m", "Be quick", "--base", "main")
    shown = cortex("attempt", "show", f"{project.lower()}-1/1", "--json").json
    assert (shown["id"], shown["status"], shown["prompt"]) == (made, "queued", "Be quick")
    job = runner.work(branch=f"cortex/{project}-1-first-1")
    job.todos(Look="completed", Fix="in_progress")
    job.log("one", "two")
    job.log("ls -l", kind="tool", tool="bash")
    job.log("oops\n\n", kind="error")
    assert cortex("attempt", "log", "1").out == "one\ntwo\n[bash] ls -l\noops\n"
    assert cortex("attempt", "log", "1", "-n", "2").out == "[bash] ls -l\noops\n"
    assert cortex("attempt", "log", "1", "-n", "1", "--kind", "text").out == "two\n"
    lines = cortex("attempt", "log", "1", "--json").out.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2, 3, 4]
    text = cortex("attempt", "show", "1").out
    assert "[x] Look\n  [>] Fix\n" in text
    assert f"cortex/{project}-1-first-1" in text
    assert cortex("attempt", "stop", "1", "--json").json["status"] == "stopping"
    job.end("cancelled", "Somebody\x1b[2J stopped it.")
    ended = cortex("attempt", "wait", "1")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"Attempt {project}-1/1: cancelled: Somebody stopped it.\n"
    assert "cancelled" in cortex("attempt", "list").out


def test_a_ticket_stands_for_its_newest_attempt_or_what_still_works(
    cortex: Cortex, runner: RunnerSide, project: str
) -> None:
    first = start(cortex)
    runner.work()
    second = start(cortex)
    runner.work().end("failed", "No")
    assert cortex("attempt", "show", "1", "--json").json["id"] == second
    assert cortex("attempt", "stop", "1", "--json").json["id"] == first
    assert cortex("attempt", "retry", "1", "--json").json["retry_of"] == second
    numbers = [a["number"] for a in cortex("attempt", "list", "1", "--json").json]
    assert numbers == [1, 2, 3]
    assert len(cortex("attempt", "list", "1", "--active", "--json").json) == 2
    assert len(cortex("attempt", "list", "--status", "failed", "--json").json) == 1
    assert len(cortex("attempt", "list", "--all", "--runner", runner.name, "--json").json) == 2


def test_what_is_refused_has_its_exit_code(
    cortex: Cortex, runner: RunnerSide, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def code(*words: str) -> int:
        ran = cortex("attempt", *words)
        assert ran.err, words
        assert harmless(ran.err), words
        return ran.code

    assert code("show") == 2
    assert code("show", "1") == 5  # no attempt yet
    assert code("show", "99") == 5
    assert code("show", NOBODY) == 5
    assert code("show", EVIL) == 5
    assert code("start", "1", "--agent", "nobody") == 1
    assert code("start", "1", "--agent", EVIL) == 1
    assert code("start", "1", "--profile", "nobody") == 5
    start(cortex)
    assert code("show", "1/2") == 5
    assert code("diff", "1") == 5
    assert code("diff", "1", "--stat", "--json") == 2
    assert code("retry", "1") == 6
    assert code("say", "1") == 2
    assert code("say", "1", "two", "words") == 2
    assert code("say", "1", "words") == 1  # no conversation yet
    runner.work().end()
    assert code("stop", "1") == 6
    assert code("list", "1", "--all") == 2
    monkeypatch.setenv("CORTEX_TOKEN", "ctx_unknown")
    assert code("list") == 4
    monkeypatch.setenv("CORTEX_URL", "http://127.0.0.1:9")
    assert code("list") == 3


def test_what_nobody_is_there_for_waits_and_says_so(
    cortex: Cortex, runner: RunnerSide, here: Server, project: str
) -> None:
    assert "No runner" not in cortex("attempt", "start", "1", "--agent", "shell").err
    RunnerSide(here, f"{project}", "elsewhere", name=f"gone-{project}")
    other = f"{project}B"
    here.make("/projects", key=other, name=other)
    here.make(f"/projects/{other}/tickets", title="T")
    said = cortex("attempt", "start", f"{other}-1", "--agent", "elsewhere").err
    assert f"No runner that is online offers elsewhere to {other}" in said
    ran = cortex("attempt", "start", "2")
    assert ran.code == 2
    assert "elsewhere" in ran.err
    assert "shell" in ran.err


def test_the_difference_is_shown_counted_and_written(
    cortex: Cortex, runner: RunnerSide, tmp_path: Path
) -> None:
    start(cortex)
    job = runner.work()
    job.diff(PATCH, truncated=True)
    ran = cortex("attempt", "diff", "1")
    assert ran.out == PATCH.replace("\x1b[31m", "")
    assert "longer" in ran.err
    stat = cortex("attempt", "diff", "1", "--stat").out.splitlines()
    assert [line.split("|")[0].strip() for line in stat[:3]] == ["a.txt", "pic.png", "new name"]
    assert stat[0].endswith("| 3 ++-")
    assert stat[1].split("|")[1].strip() == "Bin"
    assert stat[3] == " 3 files changed, 2 added, 1 removed"
    target = tmp_path / "x.patch"
    assert cortex("attempt", "diff", "1", "-o", target).out == ""
    assert target.read_text() == PATCH
    assert cortex("attempt", "diff", "1", "-o", tmp_path / "no" / "x").code == 1
    assert cortex("attempt", "diff", "1", "--json").json["text"] == PATCH


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ("", []),
        ("diff --git a/x b/x\nnew file mode 100644\n", [("x", 0, 0)]),
        ("diff --git a/x b/x\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n", [("x", 0, 1)]),
        ("diff --git a/a b/a b/a b/a\nnew file mode 100644\n", [("a b/a", 0, 0)]),
        ("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n+cut o", [("x", 1, 0)]),
        (
            "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline\n+b\n",
            [("x", 1, 1)],
        ),
    ],
)
def test_a_patch_is_counted_by_its_hunks(patch: str, expected: list[Any]) -> None:
    assert [(c.path, c.added, c.removed) for c in patches.changes(patch)] == expected


def test_nothing_that_an_agent_says_steers_the_terminal(
    cortex: Cortex, runner: RunnerSide, project: str
) -> None:
    start(cortex, "-m", EVIL)
    job = runner.work(progress=EVIL)
    job.log(EVIL, f"two\n{EVIL}")
    job.log(EVIL, kind="tool", tool=EVIL)
    job.todos(**{EVIL: "pending"})
    job.git("branch", EVIL)
    job.commit(EVIL)
    job.instance(status="error", url="http://127.0.0.1:1", error=EVIL)
    instances = cortex("instance", "list", "--json").json
    shown = [
        cortex("attempt", *words)
        for words in (("log", "1"), ("log", "1", "--json"), ("show", "1"), ("git", "1"), ("list",))
    ]
    shown += [cortex("instance", "list"), cortex("instance", "show", instances[0]["id"])]
    job.end("failed", EVIL)
    shown += [cortex("attempt", *w) for w in (("log", "1", "-f"), ("wait", "1"), ("show", "1"))]
    for ran in shown:
        assert "red" in ran.out + ran.err, ran
        assert harmless(ran.out + ran.err), ran


def test_what_an_attempt_did_to_its_repository(cortex: Cortex, runner: RunnerSide) -> None:
    start(cortex)
    job = runner.work(branch="cortex/x")
    job.git("cortex/x", "a.txt", "b.txt")
    job.commit("Fix it")
    text = cortex("attempt", "git", "1").out
    assert "cortex/x" in text
    assert "bbbbbbbbbb  1      2      3" in text
    assert "modified  b.txt" in text
    assert cortex("attempt", "git", "1", "--json").json["commits"][0]["subject"] == "Fix it"


def test_words_for_the_agent_reach_its_runner(
    cortex: Cortex, runner: RunnerSide, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(cortex)
    job = runner.work()
    assert cortex("attempt", "say", "1", "-", stdin="Go on").code == 0
    monkeypatch.setenv("CORTEX_ATTEMPT", job.id)
    assert cortex("attempt", "say", "And on").code == 0
    texts = [c["payload"]["text"] for c in runner.commands() if c["kind"] == "prompt"]
    assert texts == ["Go on", "And on"]


def test_an_agents_own_token_reads_its_attempt_and_no_other(
    cortex: Cortex, runner: RunnerSide, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(cortex)
    job = runner.work()
    job.log("so far")
    other = cortex("attempt", "start", "2", "--agent", "shell").out.strip()
    for name, value in {
        "TOKEN": job.token, "TICKET": job.ticket, "ATTEMPT": job.id, "SESSION": job.session,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"CORTEX_{name}", value)
    assert cortex("attempt", "show", "--json").json["id"] == job.id
    assert cortex("attempt", "log").out == "so far\n"
    assert [a["id"] for a in cortex("attempt", "list", "--json").json] == [job.id]
    assert cortex("comment", "add", "Found it").code == 0
    assert cortex("review", "request", "Look").code == 0
    assert cortex("session", "status", "working", "--work", "at it").code == 0
    assert cortex("memory", "list").code == 0
    question = cortex("session", "ask", "Which?", "-o", "a", "--no-wait").out.strip()
    assert cortex("session", "answer", question, "--no-wait").code == 1
    for verb, named in (("show", other), ("show", f"{project}-2"), ("stop", other)):
        assert cortex("attempt", verb, named).code == 5, named
    for words in ("attempt stop", "attempt start", f"inbox answer {question} a",
                  "memory set a b", "batch list", "trigger list"):  # fmt: skip
        ran = cortex(*words.split())
        assert (ran.code, ran.out) == (4, ""), words
        assert ran.err, words


def test_profiles(cortex: Cortex, runner: RunnerSide, project: str) -> None:
    name = f"p-{project}"
    made = cortex(
        "profile", "create", name, "--agent", "shell", "--model", "m", "--arg", "a", "--env", "E",
        "--only", project, "--json",
    ).json  # fmt: skip
    assert made["options"] == {"model": "m", "prompt": None, "args": ["a"], "env": ["E"]}
    assert cortex("profile", "create", name, "--agent", "shell").code == 6
    assert cortex("profile", "create", EVIL, "--agent", "shell").code == 1
    assert cortex("attempt", "start", "1", "--profile", name, "--json").json["agent"] == "shell"
    cortex("profile", "edit", name, "--arg", "", "--model", "", "-m", f"Say {EVIL}")
    options = cortex("profile", "show", name, "--json").json["options"]
    assert (options["args"], options["model"], options["env"]) == ([], None, ["E"])
    for words in (("show", name), ("list",)):
        ran = cortex("profile", *words)
        assert name in ran.out
        assert harmless(ran.out)
    assert cortex("profile", "edit", name).code == 2
    assert cortex("profile", "delete", name).code == 2
    assert cortex("profile", "delete", name, "--yes").code == 6  # an attempt waits with it
    cortex("attempt", "stop", "1")
    assert cortex("profile", "delete", name, "--yes").code == 0
    assert cortex("profile", "show", name).code == 5


def test_agents_and_runners(cortex: Cortex, runner: RunnerSide, project: str) -> None:
    assert "shell" in cortex("agent", "list").out
    assert runner.name in cortex("agent", "show", "shell", "--json").json["runners"]
    assert cortex("agent", "show", "nobody").code == 5
    rows = [row.split() for row in cortex("agent", "runners").out.splitlines()]
    assert next(row[1] for row in rows if row[0] == runner.name) == "online"


# The shell.


def test_names_complete(cortex: Cortex, runner: RunnerSide, project: str) -> None:
    name = f"zz-{project}"
    start(cortex)
    cortex("profile", "create", name, "--agent", "shell")
    cortex("memory", "set", "style.md", "x")
    cortex("batch", "create", "2", "--agent", "shell", "--hold", "--name", "mine")
    cortex("trigger", "create", "often", "--every", "99", "--agent", "shell", "--ticket", "1")
    for words, expected in {
        "attempt start 1 --agent sh": ["shell"],
        f"attempt start 1 --profile {name[:-1]}": [name],
        f"attempt show {project}-": [f"{project}-1", f"{project}-2"],
        f"attempt show {project}-1/": [f"{project}-1/1"],
        "attempt stop P": [f"{project}-1"],
        "batch show m": ["mine"],
        "trigger show o": ["often"],
        "memory show s": ["style.md"],
    }.items():
        *typed, incomplete = words.split(" ")
        shell = ShellComplete(cli, {}, "cortex", "_CORTEX_COMPLETE")
        assert [item.value for item in shell.get_completions(typed, incomplete)] == expected, words


@pytest.mark.parametrize("name", [*SECTIONS["Run agents"], "inbox", "session"])
def test_the_lists_of_commands_fit_a_narrow_terminal(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=name, terminal_width=80))
    cut = [row for row in text.splitlines() if row.endswith("...") and "Usage" not in row]
    assert cut == []
