"""What comes from a terminal, read as keys, clicks and pastes; in whatever pieces it comes."""

import random

import pytest

from cortex_cli.board.keyboard import BURST_BYTES, PASTE_BYTES, Keyboard, key_name, sequence_name
from cortex_cli.board.messages import Clicked, Key, Pasted


def read(*pieces, keyboard=None, now=100.0):
    """What is typed, as names; what is no key as it is."""
    keyboard = keyboard or Keyboard()
    found = [typed for piece in pieces for typed in keyboard.feed(piece, now)]
    found += keyboard.flush() if keyboard.begun else []
    return [typed.name if isinstance(typed, Key) else typed for typed in found]


@pytest.mark.parametrize("pressed", ["a", "Ä", "猫", "\u200d", "\ufe0f"])
def test_what_an_emoji_or_a_letter_is_made_of_is_typed(pressed):
    assert key_name(pressed) == pressed


@pytest.mark.parametrize("pressed", ["\x85", "\u202e", "\u200b", "\ufffe", "\x00"])
def test_what_would_act_on_a_terminal_is_not(pressed):
    assert key_name(pressed) == ""


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"q", "q"), (b"\x04", "ctrl-d"), (b"\r", "enter"), (b"\t", "tab"), (b"\x7f", "backspace"),
        (b"\x1b[A", "up"), (b"\x1bOB", "down"), (b"\x1b[H", "home"), (b"\x1b[1~", "home"),
        (b"\x1b[4~", "end"), (b"\x1b[8~", "end"), (b"\x1b[5~", "pgup"), (b"\x1b[3~", "delete"),
        (b"\x1b[Z", "backtab"), (b"\x1b[1;5C", "ctrl-right"), (b"\x1b[3;2~", "shift-delete"),
        (b"\x1bOM", "enter"), (b"\x1bOq", "1"), (b"\x1bOP", "f1"), (b"\x1b[[B", "f2"),
        (b"\x1b[24~", "f12"), (b"\x1bb", "alt-b"), (b"\x1b\x7f", "alt-backspace"),
        (b"\x1b\xc3\xa9", "alt-é"), (b"\x1b[1;3A", "alt-up"),
    ],
    ids=str,
)  # fmt: skip
def test_a_key_by_what_it_sends(sent, name):
    assert read(sent) == [name]
    assert read(*(sent[at : at + 1] for at in range(len(sent)))) == [name]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x1b[?1;2c", b"\x1b[I", b"\x1b[113;5u", b"\x1b[27;5;113~", b"\x1b[99~", b"\x1b]11;q\x07",
        b"\x1bP1$rq\x1b\\", b"\x1b_Gq;OK\x1b\\", b"\x1b[1;99q", b"\x1b[200q", b"\x1b[<0;3;4m",
        b"\x1b[<99;1q", b"\x1b[>0;276;0c", b"\x1b[1;2;3;4;5;6;7q", b"\x1bO9q", b"\x1b[99",
    ],
    ids=str,
)  # fmt: skip
def test_a_sequence_that_nobody_knows_is_no_key(sent):
    assert read(sent) == []
    assert read(*(sent[at : at + 1] for at in range(len(sent)))) == []


def test_a_key_after_a_sequence_that_was_broken_off_counts():
    assert read(b"\x1b[12\x1b[A", b"j") == ["up", "j"]


def test_escape_is_a_key_when_nothing_follows():
    assert read(b"\x1b") == ["esc"]
    assert read(b"\x1b\x1b") == ["esc", "esc"]
    assert read(b"\x1b[") == ["esc", "["]
    assert read(b"\x1b]") == ["esc", "]"]
    assert read(b"\x1b\x1b[B") == ["esc", "down"]


def test_a_byte_that_is_no_letter_takes_nothing_with_it():
    assert read(b"a\xffb\xc3(\xe7\x8c", b"\xabq") == ["a", "b", "(", "猫", "q"]


def test_the_terminals_own_sequences_are_known():
    keyboard = Keyboard({b"\x1b[OA": "up", b"\x1bt": "down"})

    assert read(b"\x1b[OA\x1btx", keyboard=keyboard) == ["up", "down", "x"]


def test_another_encoding():
    assert read(b"\xe9", keyboard=Keyboard(encoding="iso8859-1")) == ["é"]


# --- the mouse


def test_clicks_and_the_wheel():
    assert read(b"\x1b[<0;12;3M\x1b[<0;12;3m\x1b[<64;1;1M\x1b[<65;1;1M") == [
        Clicked(2, 11), "wheel-up", "wheel-down",
    ]  # fmt: skip
    assert read(b"\x1b[M \x2c\x23\x1b[M#\x2c\x23") == [Clicked(2, 11)]
    assert read(b"\x1b[<2;1;1M\x1b[<35;1;1M\x1b[<0;0;0M\x1b[<0;99999999;1M") == []


def test_a_second_click_soon_in_the_same_place_is_a_double_one():
    keyboard = Keyboard()
    click = b"\x1b[<0;5;5M"

    assert read(click, keyboard=keyboard, now=1.0) == [Clicked(4, 4, False)]
    assert read(click, keyboard=keyboard, now=1.3) == [Clicked(4, 4, True)]
    assert read(click, keyboard=keyboard, now=2.0) == [Clicked(4, 4, False)]
    assert read(b"\x1b[<0;6;5M", keyboard=keyboard, now=2.1) == [Clicked(4, 5, False)]


# --- pastes


def test_a_paste_is_text_however_it_is_cut():
    sent = b"j\x1b[200~q\x1b[Ax\r\nD \xe7\x8c\xab\x1b[20\x1b[201~k"
    whole = ["j", Pasted("q\x1b[Ax\nD 猫\x1b[20"), "k"]

    assert read(sent) == whole
    for cut in range(1, len(sent)):
        assert read(sent[:cut], sent[cut:]) == whole
    assert read(*(sent[at : at + 1] for at in range(len(sent)))) == whole


def test_nothing_of_a_paste_is_a_key_before_its_end():
    keyboard = Keyboard()

    assert read(b"\x1b[200~dq", keyboard=keyboard) == []
    assert not keyboard.begun
    assert read(b"x\x1b", keyboard=keyboard) == []
    assert read(b"[201~q", keyboard=keyboard) == [Pasted("dqx"), "q"]


def test_a_paste_without_an_end_is_over_after_a_while():
    keyboard = Keyboard()
    read(b"\x1b[200~text", keyboard=keyboard, now=1.0)

    assert read(b"j", keyboard=keyboard, now=60.0) == [Pasted("text"), "j"]


def test_a_huge_paste_is_bounded():
    keyboard, piece = Keyboard(), b"0123456789abcdef" * 256
    keyboard.feed(b"\x1b[200~", 1.0)
    for _ in range(256):
        assert keyboard.feed(piece, 1.0) == []

    (paste,) = keyboard.feed(b"\x1b[201~", 1.0)
    assert paste.cut
    assert len(paste.text) == PASTE_BYTES


def test_more_text_at_once_than_fingers_type_is_a_paste():
    keyboard, text = Keyboard(), b"quit, delete\nand so on " * 20

    assert read(text, keyboard=keyboard, now=1.0) == [Pasted(text.decode())]
    assert read(b"q", keyboard=keyboard, now=1.1) == [Pasted("q")]
    assert read(b"q", keyboard=keyboard, now=2.0) == ["q"]


def test_a_key_held_down_over_a_slow_line_is_no_paste():
    assert read(b"j" * BURST_BYTES * 2) == ["j"] * BURST_BYTES * 2


def test_any_bytes_in_any_pieces_are_read():
    rng = random.Random(5)
    parts = [b"\x1b", b"[", b"<", b"0;1", b"M", b"~", b"200~", b"\x1b[201~", b"O", b"]", b"\x07",
             b"q", b"\xe7", b"\xff", b"\r", b"P", b"$", b"\x00"]  # fmt: skip
    for _ in range(300):
        keyboard = Keyboard()
        for _ in range(30):
            keyboard.feed(b"".join(rng.choices(parts, k=rng.randint(1, 6))), 1.0)
            if keyboard.begun and rng.random() < 0.3:
                keyboard.flush()
        keyboard.feed(b"\x1b[201~", 1.0)
        keyboard.flush()
        assert not keyboard.begun
        assert [typed.name for typed in keyboard.feed(b"x", 1.0)] == ["x"]


def test_a_string_without_an_end_is_bounded():
    keyboard = Keyboard()
    keyboard.feed(b"\x1b]", 1.0)
    for _ in range(100):
        keyboard.feed(b"x" * 1000, 1.0)

    assert len(keyboard._left) < 6000
    assert keyboard.flush() == []


def test_names_are_only_made_of_what_is_known():
    assert sequence_name(b"\x1b[1;9A") == ""
    assert sequence_name(b"\x1b[7A") == ""
    assert sequence_name(b"\x1b[~") == ""
