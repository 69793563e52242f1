"""Drafts in the user's editor: private, split without a shell, kept when they cannot be sent."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from cortex_cli import editor
from cortex_cli.editor import EditorFailed


def test_the_editor_is_split_as_a_shell_would_and_visual_comes_first() -> None:
    environ = {"VISUAL": "code --wait 'my file'", "EDITOR": "ed"}
    assert editor.editor(environ) == ["code", "--wait", "my file"]
    assert editor.editor({"EDITOR": "ed"}) == ["ed"]


def test_without_a_terminal_an_editor_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(EditorFailed, match="EDITOR"):
            editor.editor({})


def test_the_draft_is_private_and_what_was_saved_comes_back(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path), "EDITOR": "sed -i s/old/new/"}
    draft = editor.draft("old\r\ntext", "CTX-1", environ)
    assert stat.S_IMODE(draft.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(draft.path.parent.stat().st_mode) == 0o700
    assert draft.edit(environ) == "new\r\ntext"
    draft.discard()
    assert list(draft.path.parent.iterdir()) == []


@pytest.mark.parametrize("command", ["false", "sh -c 'exit 3'"])
def test_an_editor_that_fails_keeps_the_draft(tmp_path: Path, command: str) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path), "EDITOR": command}
    draft = editor.draft("text", "../../x", environ)
    with pytest.raises(EditorFailed, match=str(draft.path)):
        draft.edit(environ)
    assert draft.path.read_text() == "text"
    assert draft.path.parent == tmp_path / "cortex" / "drafts"


def test_an_editor_that_is_not_there_leaves_no_draft(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path), "EDITOR": "/no/such/editor"}
    draft = editor.draft("text", "x", environ)
    with pytest.raises(EditorFailed, match="cannot be started"):
        draft.edit(environ)
    assert not draft.path.exists()


def test_what_could_steer_the_terminal_is_taken_out_and_the_rest_stays() -> None:
    assert editor.safe_to_edit("a\tb\r\n👍🏽 é\x1b[2J\u202e") == "a\tb\n👍🏽 é\ufffd[2J\ufffd"
