"""What is printed is safe on a terminal and still says the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_cli import output

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(json_values)
def test_printed_json_is_printable_and_the_same_json(value: Any) -> None:
    shown = output.to_json(value, indent=2)
    assert json.loads(shown) == value
    assert not [c for c in shown if c in "\x1b\x07\x7f\x9b\u202e\u2028\u200b"]
    assert all(c == "\n" or ord(c) >= 0x20 for c in shown)


def test_control_sequences_do_not_reach_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("KEY", "TITLE"), [("A-1", "\x1b]0;pwned\x07\x1b[31mred\nline\x9b2J\u202e")])
    shown = capsys.readouterr().out
    assert shown == "KEY  TITLE\nA-1  red line\n"


def test_a_table_in_a_pipe_is_whole_and_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("KEY", "NAME", "X"), [("日本", "y" * 300, ""), ("A-1", None, 3)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("KEY   NAME")
    assert lines[1] == f"日本  {'y' * 300}"
    assert lines[2].split() == ["A-1", "3"]


def test_fields_leave_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_fields({"a": 1, "long": "x\ny", "none": None, "nothing": "", "zero": 0})
    assert capsys.readouterr().out == "a     1\nlong  x y\nzero  0\n"


def test_messages_are_cleaned_and_keep_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("one\x1b[2J\ntwo")
    assert capsys.readouterr().err == "one\ntwo\n"


def test_ages_are_short() -> None:
    now = datetime(2026, 1, 26, 12, tzinfo=UTC)
    assert output.ago("2026-01-26T11:55:59.000000Z", now) == "4 min"
    assert output.ago(None, now) == ""
    assert output.ago("never", now) == ""
    assert output.past("2026-01-26T11:55:59.000000Z", now) == "4 min ago"
    assert output.past("2026-01-26T11:59:59.500000Z", now) == "just now"
