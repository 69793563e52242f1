"""Pasted text, and what is said of copied text."""

import pytest

from cortex_cli.board.messages import Copied, Copy, Pasted
from cortex_cli.board.prompts import MAX_INPUT
from tests.board.samples import feed, live, press


def typed(*keys, paste):
    return feed(press(live(), *keys)[0], paste)[0]


@pytest.mark.parametrize("key", ["n", "/"])
def test_a_line_takes_a_paste_as_one_line(key):
    model = typed(key, *"ab", "left", paste=Pasted("q\nx\x1b\x07\tz\n"))

    assert model.overlay.text == "aq x   zb"
    assert model.overlay.cursor == len("aq x   z")


def test_a_comment_keeps_the_lines():
    assert typed("c", paste=Pasted("one\n\ntwo\n")).overlay.text == "one\n\ntwo"


def test_a_filter_is_in_effect_with_what_was_pasted():
    assert typed("/", paste=Pasted("parser")).filter == "parser"


def test_elsewhere_a_paste_does_nothing_and_says_so():
    before = live()
    model, effects = feed(before, Pasted("qD" * 100), Pasted("x"))

    assert effects == []
    assert [toast.text for toast in model.toasts] == [
        "A paste goes only where text is typed: it did nothing."
    ]
    assert (model.board, model.selected, model.overlay) == (before.board, before.selected, None)


def test_more_than_a_line_takes_is_cut_and_said():
    model = typed("c", paste=Pasted("x" * (MAX_INPUT + 1)))

    assert len(model.overlay.text) == MAX_INPUT
    assert "too long" in model.toasts[-1].text
    assert "too long" in typed("c", paste=Pasted("x", cut=True)).toasts[-1].text


def test_alt_and_a_key_is_escape_and_the_key_but_not_where_text_is_typed():
    assert press(press(live(), "/", "p", "enter")[0], "alt-j")[0].filter == ""
    assert press(live(), "n", *"ab", "alt-b")[0].overlay.text == "ab"


@pytest.mark.parametrize(
    ("copied", "said"),
    [
        (Copied("CTX-1", ("tmux", "xclip"), True), "Copied CTX-1 (tmux, xclip)"),
        (Copied("CTX-1", (), True), "Copied CTX-1, if this terminal allows it"),
        (Copied("CTX-1", (), False), "No clipboard here; to copy by hand: CTX-1"),
    ],
    ids=["programs", "terminal", "nothing"],
)
def test_what_became_of_a_copy_is_said_as_it_is(copied, said):
    model, effects = press(live(), "y")
    assert effects == [Copy("CTX-1")]
    assert model.toasts == ()

    assert feed(model, copied)[0].toasts[-1].text == said
