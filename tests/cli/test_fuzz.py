"""Over 100,000 hostile strings on a server, then every command: none of it steers a terminal."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from cortex_cli.board import text as texts
from tests.cli.printed import commands, printed
from tests.support.fuzzed import PROJECT, Fuzzed
from tests.support.hostile import FOREIGN, foreign, raw, string
from tests.support.server import ROOT, Server

SEED = os.environ.get("CORTEX_TEST_SEED", "1")
COMMANDS = dict(commands())

# What shows something that the server holds: {name} is an id that the fuzzed server knows.
SHOWN = {
    "status": ["status"],
    "board": ["board --once", "board --once --ascii", "board --plain --once"],
    "dashboard": ["dashboard --once", "dashboard --once --ascii", "dashboard --plain --once"],
    "watch": ["watch --since 0 --count {events}", "watch --since 0 --pretty --count {events}",
              "watch --since 0 --raw --count {events}"],
    "open": ["open --print"],
    "ticket list": ["ticket list --all"],
    "ticket show": ["ticket show {ticket} --comments", "ticket show FUZ-2"],
    "ticket export": ["ticket export FUZ-1 FUZ-2", "ticket export FUZ-1 FUZ-2 --to {directory}"],
    "ticket create": ["ticket create {text} --body {text} --assignee {text}"],
    "ticket edit": ["ticket edit FUZ-3 --title {text}"],
    "ticket move": ["ticket move FUZ-3 done"],
    "ticket archive": ["ticket archive FUZ-3"],
    "ticket restore": ["ticket restore FUZ-3"],
    "ticket label add": ["ticket label add FUZ-3 {text}"],
    "ticket label remove": ["ticket label remove FUZ-3 {label}"],
    "ticket import": ["ticket import {file} --dry-run", "ticket import {file}"],
    "ticket delete": ["ticket delete FUZ-4 --yes"],
    "comment list": ["comment list {ticket}"],
    "comment show": ["comment show {comment}"],
    "comment add": ["comment add FUZ-5 {text}"],
    "comment edit": ["comment edit {comment} --body {text}"],
    "comment delete": ["comment delete {comment} --yes"],
    "review list": ["review list FUZ-2"],
    "review show": ["review show {review}"],
    "review request": ["review request FUZ-5 {text} --branch {text}"],
    "review changes": ["review changes {review} --note {text}"],
    "review approve": ["review approve {review}"],
    "review dismiss": ["review dismiss {review}"],
    "session list": ["session list FUZ-1"],
    "session show": ["session show {session}"],
    "session messages": ["session messages {session}"],
    "session start": ["session start FUZ-6 --title {text} --agent {text}"],
    "session status": ["session status {session}",
                       "session status {session} working --work {text}"],
    "session say": ["session say {session} {text}"],
    "session ask": ["session ask {text} --session {session} --option {text} --no-wait"],
    "session answer": ["session answer {asked}"],
    "session edit": ["session edit {session} --title {text}"],
    "inbox": ["inbox"],
    "inbox answer": ["inbox answer {asked} --text {text}"],
    "attempt list": ["attempt list FUZ-1", "attempt list FUZ-2"],
    "attempt show": ["attempt show {attempt}", "attempt show {failed}"],
    "attempt log": ["attempt log {attempt}", "attempt log {failed} --follow"],
    "attempt git": ["attempt git {attempt}"],
    "attempt diff": ["attempt diff {attempt}", "attempt diff {attempt} --stat"],
    "attempt start": ["attempt start FUZ-7 --agent shell --prompt {text}"],
    "attempt say": ["attempt say {attempt} {text}"],
    "attempt wait": ["attempt wait {failed}"],
    "attempt retry": ["attempt retry {failed}"],
    "attempt stop": ["attempt stop FUZ-7"],
    "batch list": ["batch list --all"],
    "batch show": ["batch show {batch}"],
    "batch create": ["batch create FUZ-9 --agent shell --name {text} --hold"],
    "batch start": ["batch start {batch}"],
    "batch cancel": ["batch cancel {batch}"],
    "batch follow": ["batch follow {batch}"],
    "agent list": ["agent list"],
    "agent runners": ["agent runners"],
    "agent show": ["agent show shell"],
    "profile list": ["profile list"],
    "profile show": ["profile show p1"],
    "profile create": ["profile create p2 --agent shell --model {text} --prompt {text}"],
    "profile edit": ["profile edit p2 --model {text}"],
    "profile delete": ["profile delete p2 --yes"],
    "instance list": ["instance list --all"],
    "instance show": ["instance show {instance}"],
    "trigger list": ["trigger list"],
    "trigger show": ["trigger show {trigger}"],
    "trigger calls": ["trigger calls {trigger}"],
    "trigger test": ["trigger test {trigger} --ticket FUZ-8"],
    "trigger enable": ["trigger enable {trigger}"],
    "trigger disable": ["trigger disable {trigger}"],
    "trigger create": ["trigger create {text} --types ticket.* --agent shell --prompt {text}"],
    "trigger delete": ["trigger delete {trigger} --yes"],
    "memory list": ["memory list"],
    "memory show": ["memory show n1.md"],
    "memory set": ["memory set n2.md {text}"],
    "memory delete": ["memory delete n3.md --yes"],
    "project list": ["project list"],
    "project show": ["project show FUZ"],
    "project create": ["project create NEW --name {text}"],
    "project edit": ["project edit NEW --name {text}"],
    "project delete": ["project delete NEW --yes"],
    "team list": ["team list"],
    "team show": ["team show t1"],
    "team create": ["team create new --name {text}"],
    "team edit": ["team edit new --name {text}"],
    "team delete": ["team delete new --yes"],
    "label list": ["label list"],
    "label show": ["label show {label}"],
    "label create": ["label create {text} --color {text}"],
    "label edit": ["label edit {label} --color {text}"],
    "label delete": ["label delete {label} --yes"],
    "settings list": ["settings list"],
    "settings show": ["settings show auto_commit"],
    "settings get": ["settings get auto_commit"],
    "settings set": ["settings set auto_commit={text}"],
    "config check": ["config check"],
    "config show": ["config show"],
    "config path": ["config path"],
    "token list": ["token list"],
    "token show": ["token show {token}"],
    "token create": ["token create {text}"],
    "token revoke": ["token revoke {token} --yes"],
    "session end": ["session end {session}"],
    "worktree list": ["worktree list --worktrees {directory}"],
    "worktree clean": ["worktree clean --worktrees {directory} --dry-run"],
    "completion": ["completion bash", "completion zsh", "completion fish"],
}  # fmt: skip

# What is not run at all, and why nothing hostile can come of it here.
EXEMPT = {
    "up": "starts a server of its own, then the board, which is watched on a terminal below",
    "serve": "becomes the server; its log is JSON",
    "runner": "runs until it is ended; what it prints is watched by tests of the runner",
    "down": "ends the server of this user",
    "db backup": "only for who has the database; prints paths that its user typed",
    "db check": "prints numbers and names of tables",
    "db copy": "prints numbers and names of tables",
    "db epoch": "prints a number",
    "db restore": "prints paths that its user typed",
    "db unseal": "prints paths that its user typed",
    "db upgrade": "prints revisions",
}
# Nothing that a hostile word could make them do.
NEVER_WITH = {
    "--exec",
    "--edit",
    "--follow",
    "--wait",
    "--to",
    "--output",
    "--help",
    "--since-file",
}
QUIET = {"board": ["--once"], "dashboard": ["--once"], "watch": ["--since", "0", "--count", "1"],
         "open": ["--print"]}  # fmt: skip


@pytest.fixture(scope="module")
def full_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The runner in it is never heard of again: what it claimed stays its own."""
    running = Server(tmp_path_factory.mktemp("full"), lease_s=600).start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def fuzzed(full_server: Server) -> Fuzzed:
    return Fuzzed(full_server, SEED)


@pytest.fixture
def here(fuzzed: Fuzzed, full_server: Server, use_server, monkeypatch, tmp_path: Path) -> Server:
    monkeypatch.setenv("CORTEX_PROJECT", PROJECT)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(tmp_path)
    return use_server(full_server)


@pytest.fixture
def filled(fuzzed: Fuzzed, here: Server, tmp_path: Path) -> Callable[[str], list[str]]:
    """The words of a line of SHOWN."""
    head = here.api("GET", f"/projects/{PROJECT}/board").json()["head"]
    file = tmp_path / "tickets" / "x\x1b[31m\u202e.md"
    file.parent.mkdir()
    told = fuzzed.lines()
    file.write_text(f"---\ntitle: {json.dumps(fuzzed.text())}\n---\n{told}", encoding="utf-8")
    known = {**fuzzed.ids, "events": str(min(head, 2_000)), "directory": str(tmp_path / "out"),
             "file": str(file)}  # fmt: skip

    def fill(line: str) -> list[str]:
        return [word.format(text=fuzzed.text(50), **known) for word in line.split()]

    return fill


def check(words: list[str], terminal: bool = False) -> str:
    """Run it; what it printed is harmless. Returns that."""
    _, out = printed(words, terminal)
    if words[:2] == ["attempt", "diff"] or not words:
        out = out.replace("\t", " ")  # kept, so that it is a patch; between a word and its help
    found = foreign(out, colours=terminal)
    assert not found, f"CORTEX_TEST_SEED={SEED}: {words} printed {found}"
    assert "Traceback" not in out, (words, out)
    return out


def test_every_command_is_covered_or_says_why_not() -> None:
    assert set(SHOWN) | set(EXEMPT) == set(COMMANDS)


def test_enough_is_stored(fuzzed: Fuzzed) -> None:
    assert fuzzed.strings >= 100_000
    assert fuzzed.refused >= 4


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_no_command_prints_what_steers_a_terminal(filled, terminal: bool) -> None:
    printed_chars = 0
    for name, lines in SHOWN.items():
        for line in lines:
            words = filled(line)
            printed_chars += len(check(words, terminal))
            if any("--json" in option.opts for option in COMMANDS[name].params):
                found = check([*filled(line), "--json"], terminal)
                printed_chars += len(found)
    assert printed_chars > 5_000_000


def hostile_lines(name: str, command: click.Command, choose: random.Random) -> Iterator[list[str]]:
    """Command lines with a hostile word in each place that takes one."""
    base, quiet = name.split(), QUIET.get(name, [])

    def word() -> str:
        found = string(choose, 4).replace("\0", "")
        return found + os.fsdecode(raw(choose).replace(b"\0", b""))[:20]

    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    for _ in range(2):
        yield [*base, *quiet, *(word() for _ in arguments)]
        yield [*base, *quiet, "--" + word().replace("=", ""), word()]
        yield [*base, *quiet, *(["--"] if arguments else []), *(word() for _ in arguments), word()]
    for option in command.params if name != "watch" else ():  # it would wait for what fits
        if (
            isinstance(option, click.Option)
            and not option.is_flag
            and NEVER_WITH.isdisjoint(option.opts)
        ):
            yield [*base, *quiet, option.opts[-1], word(), *("x" for _ in arguments)]


def test_no_error_quotes_what_steers_a_terminal(here: Server) -> None:
    choose = random.Random(SEED)
    for name, command in COMMANDS.items():
        if name in EXEMPT:
            continue
        for number, words in enumerate(hostile_lines(name, command, choose)):
            check(words, terminal=number % 4 == 3)
    for words in (
        ["\x1b[31m"],
        ["ticket", "\u202eshow"],
        ["--\x9b2J"],
        ["--url", "http://\x1b[2J"],
    ):
        check([*words, "ticket", "list"])


@pytest.mark.parametrize(
    "variable",
    [
        "CORTEX_PROJECT",
        "CORTEX_TICKET",
        "CORTEX_URL",
        "CORTEX_TOKEN",
        "CORTEX_SESSION",
        "CORTEX_CONFIG",
    ],
)
def test_no_error_quotes_the_environment(here: Server, monkeypatch, variable: str) -> None:
    choose = random.Random(SEED)
    for line in (
        "ticket list",
        "ticket show",
        "session show",
        "config check",
        "status",
        "board --once",
    ):
        monkeypatch.setenv(variable, os.fsdecode(raw(choose).replace(b"\0", b"")))
        check(line.split())


def test_files_with_anything_in_them(here: Server, tmp_path: Path, monkeypatch) -> None:
    choose = random.Random(SEED)
    config = tmp_path / "config.toml"
    monkeypatch.setenv("CORTEX_CONFIG", str(config))
    ticket = os.fsencode(tmp_path) + b"/\x1b[31m\x9b\xff\xe2\x80\xae.md"
    for _ in range(40):
        config.write_bytes(b'[board]\n"%s" = "%s"\n' % (raw(choose), raw(choose)))
        for line in ("config check", "config show", "board --once", "config path"):
            check(line.split())
        config.unlink()
        front = b"---\ntitle: %s\n%s: %s\n---\n" % (raw(choose), raw(choose), raw(choose))
        Path(os.fsdecode(ticket)).write_bytes(front + raw(choose))
        check(["ticket", "import", os.fsdecode(ticket)])
        check(["ticket", "create", "x", "-F", os.fsdecode(ticket)])


WORDS = [
    "ticket show ",
    "attempt log ",
    "batch show ",
    "label show ",
    "trigger show ",
    "memory show ",
    "ticket move FUZ-1 ",
    "project show ",
    "inbox answer ",
    "instance show ",
    "profile show ",
    "attempt start FUZ-1 --agent ",
    "session list ",
    "ticket show \x1b[3",
    "tick\u202e",
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_no_completion_steers_a_terminal(here: Server, monkeypatch, shell: str) -> None:
    monkeypatch.setenv("_CORTEX_COMPLETE", f"{shell}_complete")
    for words in WORDS:
        monkeypatch.setenv("COMP_WORDS", f"cortex {words}")
        monkeypatch.setenv(
            "COMP_CWORD", str(len(words.split(" "))) if shell != "fish" else words.split(" ")[-1]
        )
        check([])


def test_a_real_process_prints_as_harmlessly(
    here: Server, fuzzed: Fuzzed, full_server: Server
) -> None:
    lines = (
        ["ticket", "show", "FUZ-1"],
        ["ticket", "show", b"\x1b[31m\x9b2J\xff\xe2\x80\xae"],
        [b"\xc2\x9b2J"],
        ["attempt", "log", fuzzed.ids["attempt"], "--last", "50"],
    )
    for words in lines:
        found = subprocess.run(
            [sys.executable, "-m", "cortex_cli", *words], cwd=ROOT, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=30, check=False,
            env={**full_server.env, "CORTEX_TOKEN": full_server.token, "CORTEX_PROJECT": PROJECT},
        )  # fmt: skip
        for stream in (found.stdout, found.stderr):
            assert not foreign(stream.decode("utf-8", "surrogateescape")), words


def test_what_would_be_found_is_found() -> None:
    """The checks above can fail, and what cleans a text passes them."""
    choose = random.Random(SEED)
    assert all(
        foreign(f"a{char}b")
        for char in "\x00\x07\t\r\x1b\x7f\x9b\xad\u202e\u2066\u200d\u2028\ufeff\U000e0041\udc9b"
    )
    assert foreign("\x1b[31m")
    assert foreign("\x1b[2J", colours=True)
    assert not foreign("\x1b[1;31m", colours=True)
    many = [string(choose) for _ in range(2_000)]
    assert sum(map(bool, map(FOREIGN.search, many))) > 1_000
    assert not any(foreign(texts.clean(one)) or foreign(texts.clean_block(one)) for one in many)
