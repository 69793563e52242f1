"""The adapter for any program: its lines, its exit code, and the line protocol."""

import os
import resource
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cortex_cli.runner.adapters import AdapterError, Job, Outcome, Run, available, load
from cortex_cli.runner.group import Group
from cortex_cli.runner.output_log import ENTRY_MAX, OutputLog
from cortex_cli.runner.protocol import Listener, Misspoken
from cortex_cli.runner.redaction import Redactor
from tests.support.families import ENVIRON
from tests.support.recorder import Recorder
from tests.support.server import wait_for

PROMPT = 'Do "it";\n$(touch x) ünd more'


class Agent:
    """A program as the adapter runs it, its report and its outcome."""

    def __init__(self, directory: Path, attempt: str) -> None:
        self.directory = directory
        self.report = Recorder()
        self.group = Group(attempt, grace_s=0.2)
        self.run: Run

    def start(self, command: str, prompt: str = PROMPT, **more: Any) -> "Agent":
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        job = Job(
            attempt={"id": self.group.attempt},
            ticket={},
            profile=more.pop("profile", None),
            worktree=self.directory,
            environ={**ENVIRON, "HOME": str(home)},
            prompt=prompt,
            options={"command": command},
            **more,
        )
        self.run = load("command").start(job, self.group, self.report)
        return self

    def sh(self, script: str, **more: Any) -> "Agent":
        return self.start(f"sh -c {shlex.quote(script)}", **more)

    def python(self, script: str, **more: Any) -> "Agent":
        """Run a script that has `tell(**fields)` and `hear()` of the line protocol."""
        protocol = (
            "import json, os, sys, time\n"
            "out = open(int(os.environ['CORTEX_PROTOCOL_FD']), 'w', buffering=1)\n"
            "answers = open(int(os.environ['CORTEX_ANSWER_FD']))\n"
            "def tell(**fields): print(json.dumps(fields), file=out)\n"
            "def hear(): return json.loads(answers.readline())\n"
        )
        argv = [sys.executable, "-S", "-c", protocol + script]
        return self.start(shlex.join(argv), **more)

    def outcome(self) -> Outcome:
        return self.run.wait()


@pytest.fixture
def agent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Agent]:
    made = Agent(tmp_path, f"{request.node.name[:40]}-{os.getpid()}")
    yield made
    made.group.stop(0.0)
    if hasattr(made, "run"):
        made.run.wait()


# The program and what it prints


def test_lines_become_the_log_and_the_exit_code_decides(agent: Agent) -> None:
    agent.sh("echo one; echo two; echo bad >&2; printf 'no end'")
    assert agent.outcome() == Outcome("succeeded", exit_code=0)
    assert agent.report.logged("text") == "one\ntwo\nno end\n"
    assert agent.report.logged("error") == "bad\n"
    assert len(agent.report.all("log")) == 2, "a burst is one entry"


def test_a_failure_names_the_code_and_the_last_error(agent: Agent) -> None:
    agent.sh("echo first >&2; echo '  the disk is   full' >&2; echo >&2; exit 9")
    assert agent.outcome() == Outcome("failed", "sh exited with 9: the disk is full", 9)


def test_a_signal_is_named(agent: Agent) -> None:
    assert agent.sh("kill -SEGV $$").outcome() == Outcome("failed", "sh was ended by SIGSEGV.", -11)


def test_the_prompt_is_in_the_environment_in_a_file_and_on_standard_input(agent: Agent) -> None:
    agent.sh('printf %s "$CORTEX_PROMPT" > a; cat "$CORTEX_PROMPT_FILE" > b; cat > c')
    assert agent.outcome().status == "succeeded"
    for name in "abc":
        assert (agent.directory / name).read_text() == PROMPT
    assert sorted(path.name for path in agent.directory.iterdir()) == ["a", "b", "c", "home"]
    assert (agent.directory / "home" / "prompt.md").stat().st_mode & 0o777 == 0o600


def test_a_prompt_too_long_for_a_variable_or_never_read_is_no_fault(agent: Agent) -> None:
    long = "long \0 " * 100_000
    agent.sh('test -z "$CORTEX_PROMPT" && wc -c < "$CORTEX_PROMPT_FILE"', prompt=long)
    assert agent.outcome().status == "succeeded"
    assert agent.report.logged("text").strip() == str(len(long))


def test_arguments_reach_the_program_without_a_shell(agent: Agent) -> None:
    profile = {"options": {"args": ["$HOME", "a b;c", "`id`"], "model": "small", "env": []}}
    agent.start("printf '%s|' 'x  y' $PATH", profile=profile)
    assert agent.outcome().status == "succeeded"
    assert agent.report.logged("text") == "x  y|$PATH|$HOME|a b;c|`id`|\n"


def test_the_profile_may_name_the_program_and_the_model(agent: Agent) -> None:
    profile = {"options": {"args": ["sh", "-c", "echo $CORTEX_MODEL"], "model": "small"}}
    agent.start("", profile=profile)
    assert agent.outcome().status == "succeeded"
    assert agent.report.logged("text") == "small\n"


def test_what_cannot_be_started_says_why(agent: Agent) -> None:
    with pytest.raises(AdapterError, match=r"no-such-program cannot be started: .*No such file"):
        agent.start("no-such-program")
    with pytest.raises(AdapterError, match="not well quoted"):
        agent.start("sh 'x")
    with pytest.raises(AdapterError, match="no program"):
        agent.start("")


def test_missing_programs_are_found_before(tmp_path: Path) -> None:
    adapter = load("command")
    assert adapter.missing(ENVIRON, {"command": "sh -c x"}) is None
    assert adapter.missing(ENVIRON, {}) is None, "the profile may name one"
    assert adapter.missing(ENVIRON, {"command": "no-such x"}) == "There is no program no-such."
    assert "not well quoted" in str(adapter.missing(ENVIRON, {"command": "'"}))


def test_adapters_are_found_by_name() -> None:
    assert {"command", "opencode"} <= set(available())
    assert load("command").name == "command"
    with pytest.raises(AdapterError, match="no adapter nothing; there are command, "):
        load("nothing")


def test_an_installed_adapter_is_one_file_and_one_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[cortex.adapters]\ntheirs = their_adapter:Theirs\nbroken = their_adapter:Gone\n"
    )
    (tmp_path / "their_adapter.py").write_text("class Theirs:\n    name = 'theirs'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "theirs" in available()
    assert load("theirs").name == "theirs"
    with pytest.raises(AdapterError, match=r"broken cannot be loaded: .*Gone"):
        load("broken")


# Stopping


def test_stop_asks_and_the_outcome_is_cancelled(agent: Agent) -> None:
    agent.sh("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done")
    agent.report.wait("log")
    agent.run.stop()
    assert agent.outcome() == Outcome("cancelled", "sh was stopped.", 0)
    assert agent.report.logged("text") == "up\nbye\n"


def test_a_killed_group_is_cancelled_too(agent: Agent) -> None:
    agent.sh("trap '' TERM; echo up; while :; do sleep 0.01; done")
    agent.report.wait("log")
    agent.group.stop(0.0)
    assert agent.outcome() == Outcome("cancelled", "sh was stopped.", -9)


def test_a_deadline_is_a_failure_that_says_so(agent: Agent) -> None:
    agent.sh("exec sleep 60")
    agent.group.extend(time.monotonic() + 0.2)
    assert agent.outcome() == Outcome("failed", "sh was ended: deadline.", -15)


def test_what_outlives_the_program_does_not_hold_up_the_outcome(agent: Agent) -> None:
    agent.sh("sleep 60 & echo done")
    assert agent.outcome().status == "succeeded"
    assert agent.report.logged("text") == "done\n"
    assert agent.group.alive()


# Output that is hard to take


def test_a_secret_is_redacted_in_lines_and_in_the_reason(agent: Agent) -> None:
    agent.sh(
        "printf 'my s3cret'; sleep 0.05; echo '-value x'; echo s3cret-value >&2; exit 1",
        secrets=["s3cret-value"],
    )
    assert agent.outcome().reason == "sh exited with 1: [redacted]"
    assert agent.report.logged("text") == "my [redacted] x\n"


def test_strange_bytes_are_kept_as_text(agent: Agent) -> None:
    agent.sh(r"printf 'a\033[31mb\377\303\251\302\n'")
    agent.outcome()
    assert agent.report.logged("text") == "a\x1b[31mb�é�\n"


@pytest.mark.slow
def test_a_flood_takes_little_memory_and_few_entries_and_its_end_is_told(agent: Agent) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    agent.sh("yes 0123456789012345678901234567890123456789 | head -c 40000000; echo; echo the end")
    assert agent.outcome().status == "succeeded"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # KiB
    entries = agent.report.all("log")
    assert len(entries) < 600
    assert agent.report.logged("text").endswith("the end\n")
    (*_, note) = [entry["text"] for entry in entries if entry["kind"] == "system"]
    assert note.startswith("… ")
    assert "lines left out (" in note


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class Printed:
    """An OutputLog with a clock of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.entries: list[tuple[str, str]] = []
        self.log = OutputLog("text", self._tell, Redactor(), self.clock)

    def _tell(self, kind: str, text: str) -> None:
        self.entries.append((kind, text))

    def after(self, seconds: float) -> list[str]:
        self.clock.at += seconds
        self.log.tick()
        return [text for _, text in self.entries]


def test_a_burst_is_one_entry_and_an_unfinished_line_waits() -> None:
    printed = Printed()
    printed.log.feed(b"one\n")
    assert printed.after(0.2) == []
    printed.log.feed(b"two\nthree ")
    assert printed.after(0.1) == ["one\ntwo"]
    assert printed.after(1.0) == ["one\ntwo"]
    assert printed.after(1.0) == ["one\ntwo", "three "]
    printed.log.feed(b"four\n")
    assert printed.after(0.3) == ["one\ntwo", "three ", "four"]


def test_long_output_is_cut_at_lines_and_long_lines_into_pieces() -> None:
    printed = Printed()
    printed.log.feed(b"x" * 100 + b"\n" + b"y " * 10_000 + b"\n" + b"z\n" * 5000)
    printed.log.finish()
    texts = printed.after(0)
    assert max(map(len, texts)) <= ENTRY_MAX
    assert texts[0] == "x" * 100
    assert "".join(texts).replace("\n", "") == "x" * 100 + "y " * 10_000 + "z" * 5000
    assert all(set(text) <= {"z", "\n"} for text in texts[4:])


def test_what_is_left_out_is_counted_and_the_log_goes_on_later() -> None:
    printed = Printed()
    line = b"0123456789abcdef" * 4 + b"\n"
    for _ in range(50):
        printed.log.feed(line * 1000)  # 3.2 MB at once
    told = "\n".join(printed.after(0.3))
    assert len(told) < 1_200_000
    printed.clock.at += 10
    told = "\n".join(text for text in printed.after(0.3))
    kept = told.count("0123456789abcdef" * 4)
    (note,) = [text for kind, text in printed.entries if kind == "system"]
    assert note == f"… {50_000 - kept:,} lines left out (2.1 MiB)"
    printed.log.feed(b"later\n")
    assert printed.after(0.3)[-1] == "later"


# The line protocol


def test_everything_that_a_program_can_tell(agent: Agent) -> None:
    agent.python(
        "tell(type='progress', text='half')\n"
        "tell(type='todos', todos=[{'text': 'a', 'status': 'completed'}, {'text': 'b'}])\n"
        "tell(type='status', status='working', tool='grep', work='looks')\n"
        "tell(type='session', id='sub', parent='main', title='Sub', agent='helper', model='m')\n"
        "tell(type='message', id='m1', text='whole')\n"
        "tell(type='delta', message='m2', text='gr')\n"
        "tell(type='delta', message='m2', text='ows')\n"
        "tell(type='message', id='m3', session='sub', role='tool', parts=["
        "{'type': 'tool', 'tool': 'ls', 'input': {'a': 1}, 'text': 'x'}])\n"
        "tell(type='log', kind='tool', tool='ls', text='listed')\n"
        "tell(type='session', id='sub', outcome='succeeded')\n"
        "tell(type='status', waiting=True)\n"
    )
    assert agent.outcome().status == "succeeded"
    part = {"type": "text", "text": "", "tool": None, "input": None, "status": "complete"}
    sub = {"parent": "main", "title": "Sub", "agent": "helper", "model": "m"}
    tool = {**part, "type": "tool", "tool": "ls", "input": {"a": 1}, "text": "x"}

    def message(key: str, name: str, role: str, one: dict[str, Any], complete: bool) -> Any:
        fields = {"key": key, "message": name, "role": role, "parts": [one], "complete": complete}
        return "message", fields

    def delta(offset: int, text: str) -> Any:
        fields = {"key": "main", "message": "m2", "part": 0, "offset": offset, "text": text}
        return "delta", fields

    todos = [{"text": "a", "status": "completed"}, {"text": "b", "status": "pending"}]
    assert agent.report.told == [
        ("progress", {"text": "half"}),
        ("todos", {"items": todos}),
        ("session", {"key": "main"}),
        ("doing", {"key": "main", "status": "working", "tool": "grep", "work": "looks"}),
        ("session", {"key": "sub", **sub}),
        message("main", "m1", "assistant", {**part, "text": "whole"}, True),
        message("main", "m2", "assistant", {**part, "status": "streaming"}, False),
        delta(0, "gr"),
        delta(2, "ows"),
        message("sub", "m3", "tool", tool, True),
        ("log", {"kind": "tool", "text": "listed", "tool": "ls"}),
        ("session_ended", {"key": "sub", "outcome": "succeeded"}),
        ("status", {"waiting": True}),
    ]


def test_questions_are_answered_and_prompts_reach_who_takes_them(agent: Agent) -> None:
    agent.python(
        "tell(type='hello', accepts=['prompt'])\n"
        "tell(type='ask', id='q1', kind='permission', title='May I?', options=['yes', 'no'])\n"
        "tell(type='ask', id='q2', title='Name?', free_text=True)\n"
        "tell(type='withdrawn', id='q2')\n"
        "for _ in range(2): print(json.dumps(hear(), sort_keys=True), flush=True)\n"
    )
    asked = agent.report.wait("ask")
    agent.report.wait("withdrawn")
    agent.run.answer("q1", ["yes"], None)
    agent.run.prompt("go on\nplease", "main")
    assert agent.outcome().status == "succeeded"
    assert asked == {
        "key": "main",
        "question": "q1",
        "kind": "permission",
        "title": "May I?",
        "detail": "",
        "options": [{"id": "yes", "label": "yes"}, {"id": "no", "label": "no"}],
        "multiple": False,
        "free_text": False,
    }
    assert agent.report.logged("text").splitlines() == [
        '{"choices": ["yes"], "id": "q1", "text": null, "type": "answer"}',
        '{"session": "main", "text": "go on\\nplease", "type": "prompt"}',
    ]


def test_what_a_program_does_not_take_is_refused(agent: Agent) -> None:
    agent.python("tell(type='ask', id='q', title='?', options=['a'])\nhear()\n")
    agent.report.wait("ask")
    for call in (
        lambda: agent.run.prompt("x", None),
        lambda: agent.run.abort(None),
        lambda: agent.run.answer("other", [], None),
    ):
        with pytest.raises(AdapterError):
            call()
    with pytest.raises(AdapterError, match="does not read"):
        agent.run.answer("q", ["a"], "x" * 2_000_000)
    agent.run.answer("q", ["a"], "y" * 300_000)  # more than the pipe holds at once
    assert agent.outcome().status == "succeeded"
    with pytest.raises(AdapterError, match="no open question"):
        agent.run.answer("q", ["a"], None)


def test_wrong_lines_are_told_and_the_program_goes_on(agent: Agent) -> None:
    agent.python(
        "out.write('nonsense\\n\\n[1]\\n' + 'x' * 2_000_000 + '\\n')\n"
        "tell(type='progress', text=7)\n"
        "tell(type='progress', text='fine')\n"
        "out.write('cut off')\n"
    )
    assert agent.outcome().status == "succeeded"
    assert agent.report.all("progress") == [{"text": "fine"}]
    told = agent.report.logged("error").splitlines()
    assert [line.partition(":")[0] for line in told] == [
        f"Line {number} of the protocol" for number in (1, 3, 4, 5, 7)
    ]
    assert "not JSON" in told[0]
    assert told[1].endswith("not a JSON object")
    assert told[2].endswith("longer than 1,048,576 bytes")
    assert told[3].endswith("text must be text")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (b"{}", "type must be text"),
        (b'{"type":"no"}', "type must be one of hello"),
        (b'{"type":"hello","accepts":["x"]}', "accepts must be one of prompt, abort"),
        (b'{"type":"status","waiting":1}', "waiting must be true or false"),
        (b'{"type":"status","status":"busy"}', "status must be one of working"),
        (b'{"type":"status","status":"idle","session":"x"}', "session names none"),
        (b'{"type":"todos","todos":["a"]}', "todos must be a list of objects"),
        (b'{"type":"todos","todos":[{"text":"a","status":"x"}]}', "status must be one of pending"),
        (b'{"type":"session","id":"x","parent":"y"}', "parent names no session"),
        (b'{"type":"message","id":"m","parts":1}', "parts must be a list"),
        (b'{"type":"delta","message":"m","text":"x","part":1}', "part 1 is none of"),
        (b'{"type":"delta","message":"m","text":"x","offset":5}', "offset 5 leaves a hole"),
        (b'{"type":"delta","message":"m","text":"x","part":true}', "part must be a number"),
        (b'{"type":"ask","id":"q","title":"?"}', "options must not be empty"),
        (b'{"type":"ask","id":"q","title":"?","options":[1]}', "options must be strings"),
        (b'{"type":"withdrawn","id":"q"}', "no open question"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff", "not JSON"),
    ],
)
def test_each_wrong_line_says_what_is_wrong(line: bytes, wrong: str) -> None:
    with pytest.raises(Misspoken, match=wrong):
        Listener(Recorder()).hear(line)


def test_a_program_that_never_reads_or_tells_costs_no_thread_for_ever(agent: Agent) -> None:
    agent.sh("exec 3>&- 4<&- >&- 2>&-; exit 0", prompt="x" * 1_000_000)
    assert agent.outcome().status == "succeeded"
    wait_for(lambda: not [t for t in threading.enumerate() if "command " in t.name], "their end")
