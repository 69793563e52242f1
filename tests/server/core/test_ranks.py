"""Ranks: always room between two cards, and short for a long time."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_server.domains.ranks import DIGITS, between, spread


@given(st.lists(st.integers(min_value=0, max_value=10**6), max_size=120))
def test_inserting_anywhere_keeps_the_order_and_never_repeats(places):
    column: list[str] = []
    for place in places:
        index = place % (len(column) + 1)
        before = column[index - 1] if index else None
        after = column[index] if index < len(column) else None
        rank = between(before, after)
        assert before is None or before < rank
        assert after is None or rank < after
        column.insert(index, rank)
    assert column == sorted(set(column))


@given(st.data())
def test_there_is_room_between_any_two_ranks_that_were_given(data):
    """Squeezed into a gap again and again, on whichever side."""
    low, high = between(None, None), between(between(None, None), None)
    for left in data.draw(st.lists(st.booleans(), min_size=1, max_size=150)):
        middle = between(low, high)
        assert low < middle < high
        assert set(middle) <= set(DIGITS)
        assert len(middle) == 8 or not middle.endswith("0")
        low, high = (low, middle) if left else (middle, high)


def test_digits_sort_as_they_count():
    assert list(DIGITS) == sorted(DIGITS)
    assert len(set(DIGITS)) == 62


@pytest.mark.parametrize("at_end", [True, False])
def test_thirty_thousand_cards_at_an_end_keep_short_ranks(at_end):
    rank = between(None, None)
    for _ in range(30_000):
        new = between(rank, None) if at_end else between(None, rank)
        assert (rank < new) is at_end
        rank = new
    assert len(rank) == 8


@pytest.mark.parametrize("edge", ["zzzzzzzz", "zzzzzzzy", "zzzzzzzzz", "zzzzzzzzzzzzz", "yzzzzzzz"])
def test_there_is_room_behind_the_very_last_rank(edge):
    rank = edge
    for _ in range(200):
        new = between(rank, None)
        assert rank < new
        rank = new


@pytest.mark.parametrize("edge", ["00000001", "00000000V", "0000000000V", "00010000", "000000001"])
def test_there_is_room_before_the_very_first_rank(edge):
    rank = edge
    for _ in range(200):
        new = between(None, rank)
        assert new < rank
        rank = new


def test_ranks_stay_short_in_a_busy_column():
    chance = random.Random(7)
    column = [between(None, None)]
    for _ in range(5000):
        index = chance.randrange(len(column) + 1)
        before = column[index - 1] if index else None
        after = column[index] if index < len(column) else None
        column.insert(index, between(before, after))
    assert max(map(len, column)) <= 10


def test_squeezing_always_before_the_same_card_grows_slowly():
    low, high = between(None, None), between(between(None, None), None)
    for _ in range(400):
        low = between(low, high)
    assert len(low) < 90


@pytest.mark.parametrize(("before", "after"), [("b", "a"), ("a", "a"), ("V0000001", "V0000000")])
def test_neighbours_in_the_wrong_order_are_a_mistake(before, after):
    with pytest.raises(ValueError, match="does not sort before"):
        between(before, after)


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_spread_ranks_are_in_order_with_room_between_and_at_both_ends(count):
    found = spread(count)
    assert found == sorted(set(found))
    assert len(found) == count
    edges = [None, *found, None]
    for before, after in pairwise(edges):
        assert len(between(before, after)) == 8
