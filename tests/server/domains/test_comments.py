"""Comments on a ticket."""

import pytest

from cortex_server.domains import comments, tickets
from cortex_server.errors import Malformed, NotFound, OutdatedRevision
from tests.support.stores import BOB


def test_a_comment_is_its_writers_and_its_event_is_what_a_get_returns(
    do, see, ticket, happened, clock
):
    made = do(comments.add, ticket, {"body": "Look here", "type": "blocker"}, actor=BOB)
    assert (made.author, made.type, made.revision) == (BOB, "blocker", 1)
    event = happened.one()
    assert event["type"] == "comment.added"
    assert (event["project"], event["ticket"], event["actor"]) == (
        "CTX",
        "CTX-1",
        {"kind": "agent", "name": "bob"},
    )
    assert event["payload"] == see(comments.get, made.id).json_dict()
    assert made.created_at == event["at"] == "2026-01-26T15:53:01.717454Z"


def test_an_edit_keeps_the_author_and_counts_a_revision(do, see, ticket, happened, clock):
    made = do(comments.add, ticket, {"body": "Frist"}, actor=BOB)
    clock.advance(5)
    edited = do(comments.patch, made, {"body": "First", "type": "done"}, 1)
    assert (edited.body, edited.type, edited.author) == ("First", "done", BOB)
    assert (edited.revision, edited.created_at) == (2, made.created_at)
    assert edited.updated_at > made.updated_at
    _, updated = happened()
    assert updated["type"] == "comment.updated"
    assert updated["payload"] == see(comments.get, made.id).json_dict() == edited.json_dict()


def test_an_edit_that_changes_nothing_is_none(do, ticket, happened):
    made = do(comments.add, ticket, {"body": "Same"})
    assert do(comments.patch, made, {"body": "Same"}, None) == made
    assert happened.types() == ["comment.added"]


def test_an_edit_of_an_older_revision_is_refused_with_the_current_comment(do, ticket, happened):
    made = do(comments.add, ticket, {"body": "One"})
    current = do(comments.patch, made, {"body": "Two"}, None)
    with pytest.raises(OutdatedRevision) as refused:
        do(comments.patch, current, {"body": "Three"}, 1)
    assert refused.value.extra["current"] == current.json_dict()
    assert happened.types() == ["comment.added", "comment.updated"]


def test_a_deleted_comment_is_gone(do, see, ticket, happened):
    made = do(comments.add, ticket, {"body": "Oops"})
    do(comments.delete, made, None)
    with pytest.raises(NotFound):
        see(comments.get, made.id)
    _, deleted = happened()
    assert deleted["type"] == "comment.deleted"
    assert deleted["payload"] == {"id": made.id, "ticket": "CTX-1"}


def test_comments_are_listed_oldest_first_and_only_of_their_ticket(do, see, ticket, other_ticket):
    bodies = [f"comment {number}" for number in range(5)]
    for body in bodies:
        do(comments.add, ticket, {"body": body})
    do(comments.add, other_ticket, {"body": "elsewhere"})
    seen, cursor = [], None
    while True:
        page = see(comments.listing, ticket.key, 2, cursor)
        assert len(page.items) <= 2
        seen += [comment.body for comment in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == bodies
    with pytest.raises(Malformed):
        see(comments.listing, ticket.key, 2, "not a cursor")


def test_comments_go_with_their_ticket(do, see, ticket):
    made = do(comments.add, ticket, {"body": "On it"})
    do(tickets.delete, ticket, None)
    with pytest.raises(NotFound):
        see(comments.get, made.id)


def test_a_comment_of_a_transaction_that_fails_leaves_nothing(store, see, ticket, happened):
    def add_and_fail(tx):
        comments.add(tx, ticket, {"body": "Never"})
        raise RuntimeError("after the comment")

    with pytest.raises(RuntimeError), store.write(BOB) as tx:
        add_and_fail(tx)
    assert happened() == []
    assert see(comments.listing, ticket.key, 10, None).items == []
