"""`cortex db` as a process: help and completion here, the work in the server's program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cortex
from tests.support.server import ROOT

COMMANDS = ["backup", "check", "copy", "epoch", "restore", "unseal", "upgrade"]


@pytest.fixture
def run(tmp_path: Path):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CORTEX_", "XDG_"))}
    env |= {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    env |= {"XDG_CONFIG_HOME": str(tmp_path)}

    def call(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cortex_cli", *map(str, words)], env=env | more, text=True,
            capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return call


def test_the_help_lists_what_can_be_done(cortex: Cortex) -> None:
    ran = cortex("db", "--help")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.split("Commands:")[1].splitlines()[1:]] == COMMANDS
    assert "--renew-epoch" in cortex("db", "copy", "--help").out


@pytest.mark.parametrize("words", [["chekc"], ["check", "--nope"], ["restore"], ["epoch", "more"]])
def test_a_wrong_word_is_a_usage_error_before_anything_runs(cortex: Cortex, words) -> None:
    ran = cortex("db", *words)
    assert (ran.code, ran.out) == (2, "")
    assert "See `cortex db" in ran.err


def test_commands_options_and_files_are_completed(run, tmp_path: Path) -> None:
    def complete(words: str) -> list[str]:
        ran = run(_CORTEX_COMPLETE="bash_complete", COMP_WORDS=words,
                  COMP_CWORD=str(len(words.split(" ")) - 1))  # fmt: skip
        assert ran.stderr == ""
        return ran.stdout.split()

    assert complete("cortex db re") == ["plain,restore"]
    assert "plain,--renew-epoch" in complete("cortex db copy --")
    assert complete("cortex db restore ") == ["file,"]


def test_words_output_and_exit_code_pass_through(run, tmp_path: Path) -> None:
    assert run("db", "upgrade").returncode == 0
    made = json.loads(run("db", "backup", tmp_path / "it's a file.db", "--json").stdout)
    assert Path(made["backup"]) == tmp_path / "it's a file.db"
    again = run("db", "backup", made["backup"])
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert run("db", "restore", made["backup"]).returncode == 2
    assert run("db", "restore", made["backup"], "--yes").returncode == 0
