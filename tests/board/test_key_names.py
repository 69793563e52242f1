"""What curses says was pressed, as the names of the key table and as text."""

import pytest

from cortex_cli.board.terminal import key_name


@pytest.mark.parametrize("pressed", ["a", "Ä", "猫", "\u200d", "\ufe0f"])
def test_what_an_emoji_or_a_letter_is_made_of_is_typed(pressed):
    assert key_name(pressed) == pressed


@pytest.mark.parametrize("pressed", ["\x85", "\u202e", "\u200b", "\ufffe"])
def test_what_would_act_on_a_terminal_is_not(pressed):
    assert key_name(pressed) == ""


def test_a_control_character_is_a_key():
    assert key_name("\x04") == "ctrl-d"
