"""A column whose ranks have become too long gets new ones, and says so."""

import pytest
from sqlalchemy import update

from cortex_server.db import schema
from cortex_server.domains import places, ranks, tickets


def crowd(do, cards):
    """Give the cards ranks between which there is room for very long ones only."""

    def change(tx):
        for card, end in zip(cards, "1234", strict=True):
            where = schema.tickets.c.key == card.key
            rank = "V" * ranks.LONG + end
            tx.conn.execute(update(schema.tickets).where(where).values(rank=rank))

    do(change)


def test_a_move_into_a_crowd_gives_the_column_short_ranks_in_the_same_order(
    do, see, make, happened
):
    first, second, third, fourth, moving = (make(str(n)) for n in range(5))
    crowd(do, [first, second, third, fourth])
    do(tickets.patch, see(tickets.get, third.key), {"archived": True}, None)
    happened()

    moved = do(tickets.move, see(tickets.get, moving.key), "backlog", 1, None)

    now = [see(tickets.get, card.key) for card in (first, moved, second, third, fourth)]
    assert [card.rank for card in now] == sorted(card.rank for card in now)
    assert {len(card.rank) for card in now} == {8}
    assert see(places.position, moved) == 1
    assert now[3].archived
    told = happened()
    assert [event["type"] for event in told] == ["ticket.moved"] * 5
    assert told[-1]["ticket"] == moved.key
    for event in told:
        assert event["payload"]["rank"] == see(tickets.get, event["ticket"]).rank
        assert event["payload"]["revision"] == see(tickets.get, event["ticket"]).revision


@pytest.mark.slow
def test_squeezing_in_for_ever_never_makes_a_rank_longer_than_the_limit(do, see, make):
    make("first")
    make("last")
    longest = 0
    for place in [1, 2] * 700:
        card = make("x", position=place)
        longest = max(longest, len(card.rank))
    assert longest <= ranks.LONG
    board = [see(tickets.get, f"CTX-{n}") for n in range(1, 200)]
    assert len({card.rank for card in board}) == len(board)
