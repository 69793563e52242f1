"""Text that others wrote: nothing in it may steer the terminal, and its width is what it takes."""

import ctypes
import locale
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cli.board import text

# Characters that steer, hide, join, double or combine, beside ordinary ones.
NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\u200b\u200d\u2028\u202e\ufe0f\ufeff"),
        st.sampled_from("a é日本👩👨🏽❤🇩🇪⃣️e\u0301\U000e0041"),
    ),
    max_size=60,
)


def is_harmless(shown: str) -> bool:
    return all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn") for char in shown)


@given(NASTY)
def test_clean_text_is_one_line_without_anything_that_steers(given_text):
    shown = text.clean(given_text)

    assert is_harmless(shown)
    assert not set(shown) & set("\n\r\t\x1b\u2028\u2029\u202e\u200b")


@given(NASTY)
def test_cleaning_twice_changes_nothing(given_text):
    assert text.clean(text.clean(given_text)) == text.clean(given_text)


@given(NASTY, st.integers(0, 40))
def test_clipped_text_fits(given_text, cells):
    shown = text.clean(given_text)

    assert text.width(text.clip(shown, cells)) <= cells
    assert text.width(text.pad(shown, cells)) == cells


@given(NASTY, st.integers(2, 40))
def test_wrapped_lines_fit_and_are_harmless(given_text, cells):
    lines = text.wrap(given_text, cells)

    assert lines
    assert all(text.width(line) <= cells and is_harmless(line) for line in lines)


@given(NASTY)
def test_ascii_is_ascii_and_as_wide(given_text):
    shown = text.clean(given_text)

    assert text.to_ascii(shown).isascii()
    assert text.width(text.to_ascii(shown)) == text.width(shown)


@given(st.text(st.sampled_from("ab cd\n日é"), max_size=80), st.integers(2, 20))
def test_wrapping_loses_no_letter(given_text, cells):
    def letters(lines):
        return "".join("".join(lines).split())

    assert letters(text.wrap(given_text, cells)) == letters([text.clean(given_text)])


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;cm0gLXJmIC8=\x1b\\x", "x"),
        ("\x9b2Jcleared", "cleared"),
        ("a\x1b", "a\ufffd"),
        ("a\nb\tc\r\nd", "a b c  d"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("a\u200bb\ufeffc", "abc"),
        ("👩‍💻 ok", "👩 ok"),
        ("👨‍👩‍👧", "👨"),
        ("👍🏽", "👍"),
        ("❤️", "❤"),
        ("1️⃣", "1"),
        ("🇩🇪", "DE"),
        ("tag\U000e0041\U000e007f", "tag"),
        ("e\u0301", "é"),
        ("Z\u0300\u0301\u0302\u0303\u0304", "Z\u0300\u0301"),
        ("☰", "\ufffd"),
        ("\ud800", "\ufffd"),
    ],
)
def test_what_becomes_of(given_text, shown):
    assert text.clean(given_text) == shown


def test_printed_blocks_keep_their_lines():
    assert text.clean_block("a\tb\r\n\x1b[1mc\x1b[0m\u2028d") == "a   b\nc\nd"


@pytest.mark.skipif(sys.platform != "linux", reason="compares with the libc of Linux")
def test_every_clean_character_is_as_wide_as_libc_says():
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    try:
        wcwidth = ctypes.CDLL(None).wcwidth
        wcwidth.argtypes = [ctypes.c_wchar]
        shown = {
            text.clean("a" + chr(code))[1:]
            for code in range(32, sys.maxunicode)
            if not 0xD800 <= code < 0xE000
        }
        wrong = [c for c in "".join(shown) if wcwidth(c) not in (-1, text.cell_width(c))]
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    assert not [f"U+{ord(c):04X}" for c in wrong]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "now"), (0.5, "now"), (12, "12 s"), (125, "2 min"), (7300, "2 h"), (200_000, "2 d")],
)
def test_ages_are_in_one_unit(seconds, shown):
    assert text.age(seconds) == shown
