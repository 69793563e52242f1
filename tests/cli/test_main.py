"""The command line as a whole: what it loads, what it says, how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cortex_cli import reference
from cortex_cli.main import COMMANDS, cli
from tests.cli.conftest import Cortex
from tests.support import needs

NOWHERE = "http://127.0.0.1:9"


def python(*code: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *code], capture_output=True, text=True, timeout=30, check=False, **options
    )  # type: ignore[call-overload, no-any-return]


def test_help_lists_every_command_and_loads_none() -> None:
    code = (
        "import sys, cortex_cli.main as m; assert m.run(['--help']) == 0;"
        "heavy = {'requests', 'rich', 'yaml', 'psutil', 'cortex_server', 'cortex_cli.sdk',"
        " 'cortex_cli.board', 'cortex_cli.commands'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    ran = python("-c", code)
    assert ran.returncode == 0, ran.stderr
    for name in COMMANDS:
        assert f"\n  {name} " in ran.stdout


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_table_says_what_the_command_itself_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert (command.help or "").split("\n\n")[0].replace("\n", " ") == COMMANDS[name][1]


def test_every_command_and_option_is_documented() -> None:
    page = reference.cli_md()
    assert "### cortex ticket\n" in page
    assert "#### cortex ticket move\n" in page
    for block in page.split("```")[1::2]:
        usage, _, rest = block.strip().partition("\n\n")
        assert usage.startswith("Usage: cortex")
        assert not rest.startswith("Options:"), f"no help: {usage}"


def commands(ctx: click.Context) -> Iterator[click.Context]:
    yield ctx
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            command = ctx.command.get_command(ctx, name)
            assert command is not None
            yield from commands(click.Context(command, parent=ctx, info_name=name))


def test_every_command_and_every_option_says_what_it_does() -> None:
    for ctx in commands(click.Context(cli, info_name="cortex")):
        assert ctx.command.help, ctx.command_path
        for parameter in ctx.command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help, f"{ctx.command_path} {parameter.opts[0]}"


def test_no_line_of_a_list_of_commands_is_cut_at_80_columns() -> None:
    for ctx in commands(click.Context(cli, info_name="cortex", terminal_width=80)):
        if isinstance(ctx.command, click.Group):
            _, _, listed = ctx.get_help().partition("\n\n")
            assert "..." not in listed, ctx.command_path


@pytest.mark.parametrize("url", ["garbage", "http://bob:x@h", "http://h/?q=1"])
def test_an_address_that_is_none_is_a_wrong_command_line(cortex: Cortex, url: str) -> None:
    ran = cortex("--url", url, "project", "list")
    assert (ran.code, ran.out) == (2, "")
    assert "address" in ran.err


def test_the_reference_is_the_same_on_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reference.cli_md()
    monkeypatch.setenv("COLUMNS", "40")
    assert reference.cli_md() == before


def test_an_unknown_command_names_the_nearest(cortex: Cortex) -> None:
    ran = cortex("tikcet")
    assert ran.code == 2
    assert "Did you mean ticket" in ran.err
    assert cortex("ticket", "mvoe").err.count("move") == 1


def test_the_version_is_printed(cortex: Cortex) -> None:
    ran = cortex("--version")
    assert ran.code == 0
    assert ran.out.startswith("cortex ")


def test_without_a_server_it_says_how_to_start_one(
    cortex: Cortex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in ("", "some-token"):
        monkeypatch.setenv("CORTEX_TOKEN", token)
        ran = cortex("--url", NOWHERE, "project", "list")
        assert ran.code == 3
        assert NOWHERE in ran.err
        assert "cortex up" in ran.err
        assert ran.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["ticket", "create"],
        ["ticket", "move", "CTX-1"],
        ["ticket", "show", ".."],
        ["ticket", "edit", "CTX-1", "--type", "story"],
        ["comment", "add", "CTX-1"],
        ["session", "end"],
        ["token", "create", "x", "--expires", "soon"],
        ["token", "create", "x", "--actor", "bob"],
        ["settings", "set", "x"],
        ["project", "create", "X", "--column", "a:A:b"],
        ["watch", "--exec", "'"],
        ["up", "--keep"],
        ["completion", "tcsh"],
    ],
)
def test_a_wrong_command_line_is_2(
    cortex: Cortex, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("CORTEX_TOKEN", "some-token")
    monkeypatch.setenv("CORTEX_PROJECT", "X")
    ran = cortex("--url", NOWHERE, *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err


def test_what_the_shell_completes_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {**os.environ, "_CORTEX_COMPLETE": "bash_complete", "CORTEX_URL": NOWHERE}

    def complete(words: str) -> list[str]:
        count = str(len(words.split(" ")) - 1)
        ran = python("-m", "cortex_cli", env={**environ, "COMP_WORDS": words, "COMP_CWORD": count})
        assert ran.stderr == ""
        return [line.partition(",")[2] for line in ran.stdout.splitlines() if line]

    assert complete("cortex t") == ["ticket", "trigger", "team", "token"]
    assert complete("cortex ticket m") == ["move"]
    assert complete("cortex watch --types ticket.m") == ["ticket.moved"]
    assert complete("cortex watch --types ticket.*,session.e") == ["ticket.*,session.ended"]
    assert complete("cortex ticket show C") == []
    assert complete("cortex -p C") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_scripts_come_from_click(cortex: Cortex, shell: str) -> None:
    ran = cortex("completion", shell)
    assert ran.code == 0
    assert "_CORTEX_COMPLETE" in ran.out


def test_a_reader_who_leaves_ends_it_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        ran = subprocess.run(
            [sys.executable, "-m", "cortex_cli", "--help"],
            stdout=gone, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_no_traceback(closed: str) -> None:
    words = f'exec "$0" -m cortex_cli --url {NOWHERE} ticket list {closed}'
    ran = subprocess.run(
        ["sh", "-c", words, sys.executable], capture_output=True, text=True, check=False,
        env={**os.environ, "CORTEX_TOKEN": "some-token"},
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "Traceback" not in ran.stderr


def test_a_full_disk_is_a_failure_not_a_traceback() -> None:
    if not Path("/dev/full").exists():
        needs.missing("there is no /dev/full")
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "cortex_cli", "--help"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr == "cannot write: No space left on device\n"
