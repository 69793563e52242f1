"""Deltas that continue each other become one."""

import pytest

from cortex_server.domains.deltas import JOINED_MAX, Piece, append_all, joined
from cortex_server.errors import TooLarge, Unavailable


def test_neighbours_that_continue_each_other_are_one():
    pieces = [Piece("m", 0, 0, "Hel"), Piece("m", 0, 3, "lo"), Piece("m", 0, 5, "\U0001f600!")]
    assert list(joined(pieces)) == [Piece("m", 0, 0, "Hello\U0001f600!", tuple(pieces))]


def test_another_message_part_or_offset_begins_a_new_one():
    pieces = [
        Piece("m", 0, 0, "a"), Piece("n", 0, 1, "b"), Piece("n", 1, 2, "c"), Piece("n", 1, 9, "d"),
    ]  # fmt: skip
    assert list(joined(pieces)) == pieces


def test_offsets_count_code_points():
    pieces = [Piece("m", 0, 0, "\U0001f600"), Piece("m", 0, 1, "x"), Piece("m", 0, 4, "y")]
    assert [piece.text for piece in joined(pieces)] == ["\U0001f600x", "y"]


def test_none_becomes_too_large():
    pieces = [Piece("m", 0, n * 10_000, "x" * 10_000) for n in range(5)]
    found = list(joined(pieces))
    assert max(len(piece.text) for piece in found) <= JOINED_MAX
    assert "".join(piece.text for piece in found) == "x" * 50_000
    assert sum(len(piece.joins) or 1 for piece in found) == 5


def test_nothing_is_nothing():
    assert list(joined([])) == []


def test_what_is_refused_together_is_appended_one_by_one():
    taken = []

    def append(piece):
        if "c" in piece.text:
            raise TooLarge("x")
        taken.append(piece.text)

    pieces = [Piece("m", 0, n, letter) for n, letter in enumerate("abcd")]
    with pytest.raises(TooLarge) as refused:
        append_all([Piece("n", 0, 0, "x"), *pieces], append)
    assert (taken, refused.value.extra["applied"]) == (["x", "a", "b"], 3)


def test_what_may_have_been_appended_is_not_tried_again():
    tried = []

    def append(piece):
        tried.append(piece.text)
        raise Unavailable("x")

    with pytest.raises(Unavailable) as refused:
        append_all([Piece("m", 0, 0, "a"), Piece("m", 0, 1, "b")], append)
    assert (tried, refused.value.extra["applied"]) == (["ab"], 0)
