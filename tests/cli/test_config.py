"""`cortex config`, and what a mistake in the file does to the board."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cortex_cli import man_page
from cortex_cli.board import keys
from cortex_cli.board.settings_file import SETTINGS
from cortex_cli.commands.config import in_effect
from cortex_cli.context import App
from cortex_server.config import Config
from tests.cli.conftest import Cortex

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("CORTEX_CONFIG", str(path))
    return path


def test_the_path_is_where_it_is_looked_for(cortex: Cortex, file: Path) -> None:
    assert cortex("config", "path").out == f"{file}\n"


def test_a_good_file_is_said_to_be_fine(cortex: Cortex, file: Path) -> None:
    file.write_text('[board.keys]\nundo = "u"\n')
    ran = cortex("config", "check")
    assert (ran.code, ran.err) == (0, f"{file} is fine.\n")


@pytest.mark.parametrize("words", [["config", "check"], ["config", "show"], ["board"],
                                   ["board", "--once"], ["dashboard"], ["up"]])  # fmt: skip
def test_mistakes_end_every_command_that_needs_it_with_2(
    cortex: Cortex, file: Path, words: list[str]
) -> None:
    file.write_text('[board]\nbell = 1\n[board.keys]\nopne = "o"\n')
    ran = cortex("--url", "http://127.0.0.1:9", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"{file} has 2 mistakes:\n  [board] bell = 1: ")
    assert "did you mean open?" in ran.err


def test_what_is_in_effect_is_shown_with_what_was_changed(cortex: Cortex, file: Path) -> None:
    file.write_text('[board]\nbell = false\n[board.keys]\nundo = ["u", "^t"]\nabort = []\n')
    shown = json.loads(cortex("config", "show", "--json").out)
    assert (shown["version"], shown["path"]) == (1, str(file))
    assert shown["board"]["bell"] is False
    changed = {(k["scope"], k["action"]): k["keys"] for k in shown["keys"] if k["changed"]}
    assert changed == {("board", "undo"): ["u", "ctrl-t"], ("detail", "undo"): ["u", "ctrl-t"],
                       ("detail", "abort"): []}  # fmt: skip
    rows = [line.split() for line in cortex("config", "show").out.splitlines()]
    assert ["board", "undo", "*", "u", "ctrl-t"] in [row[:5] for row in rows]
    assert ["bell", "*", "false"] in [row[:3] for row in rows]


def test_the_server_leaves_the_tables_of_the_board_alone(file: Path, tmp_path: Path) -> None:
    file.write_text('heartbeat_s = 5\n[board]\nbell = 1\n[board.keys]\nopne = "o"\n')
    assert Config.load({"CORTEX_CONFIG": str(file), "HOME": str(tmp_path)}).heartbeat_s == 5


# --- the manual


def test_the_manual_names_every_key_setting_and_option() -> None:
    page = man_page.man_page()
    for binding in keys.TABLE:
        assert man_page.roff(f"{binding.help}.") in page.replace("\n", " ")
        for key in binding.keys:
            assert man_page.roff(keys.title(key)) in page
    for name in (*SETTINGS, *keys.SCOPES.values(), "--once", "--json"):
        assert man_page.roff(name) in page


def test_no_text_of_the_manual_is_taken_for_a_request_or_an_escape() -> None:
    assert man_page.roff(".x") == r"\&.x"
    assert man_page.roff(r"a\n-'`^~ ←") == r"a\en\-\(aq\(ga\(ha\(ti \[u2190]"
    known = (".TH", ".SH", ".SS", ".TP", ".PD", ".P", ".B", ".RS", ".RE", ".nf", ".fi", '.\\"')
    for line in man_page.man_page().splitlines():
        assert line.isascii()
        assert not line.startswith("'")
        assert not line.startswith(".") or line.split()[0] in known


def test_the_manual_is_installed() -> None:
    assert "share/man/man1 =\n    docs/man/cortex-board.1\n" in (ROOT / "setup.cfg").read_text()
    assert (ROOT / "docs/man/cortex-board.1").exists()


def test_ascii_is_asked_for_by_the_file_an_option_or_the_environment(file: Path) -> None:
    def asked(flag: bool = False, **environ: str) -> bool:
        app = App(environ={"CORTEX_CONFIG": str(file)} | environ)
        return in_effect(app, flag).ascii

    file.write_text("[board]\n")
    assert [asked(), asked(True), asked(CORTEX_ASCII="1")] == [False, True, True]
    file.write_text("[board]\nascii = true\n")
    assert asked()
