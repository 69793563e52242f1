"""Review requests and their answers."""

import pytest

from cortex_server.domains import reviews
from cortex_server.errors import Conflict, Invalid, NotFound, OutdatedRevision
from cortex_server.events.objects import Actor
from tests.support.stores import BOB


@pytest.fixture
def review(do, ticket, happened):
    made = do(reviews.request, ticket, {"summary": "Please look", "branch": "ctx-1"}, actor=BOB)
    happened()
    return made


def test_a_request_is_told_as_it_is_stored(do, see, ticket, happened):
    fields = {"summary": "Please look", "repo_path": "/srv/app", "commit": "4f2a"}
    made = do(reviews.request, ticket, fields, actor=BOB)
    event = happened.one()
    assert event["type"] == "review.requested"
    assert event["payload"] == made.json_dict() == see(reviews.get, made.id).json_dict()
    assert (made.state, made.requested_by, made.resolved_by) == ("requested", BOB, None)
    assert (made.repo_path, made.branch, made.commit) == ("/srv/app", None, "4f2a")


def test_a_request_names_a_branch_or_a_commit(do, ticket, happened):
    with pytest.raises(Invalid) as refused:
        do(reviews.request, ticket, {"summary": "Both", "branch": "b", "commit": "c"})
    assert refused.value.extra["errors"][0]["field"] == "commit"
    assert happened() == []


def test_an_answer_says_who_gave_it(do, see, review, happened):
    answered = do(reviews.patch, review, {"state": "approved", "note": "Fine"}, 1)
    assert (answered.state, answered.note, answered.revision) == ("approved", "Fine", 2)
    assert answered.resolved_by == Actor(kind="user", name="alice")
    event = happened.one()
    assert event["type"] == "review.resolved"
    assert event["payload"] == see(reviews.get, review.id).json_dict()


def test_a_reopened_request_has_no_answer(do, review, happened):
    answered = do(reviews.patch, review, {"state": "changes_requested"}, None)
    reopened = do(reviews.patch, answered, {"state": "requested"}, None)
    assert (reopened.state, reopened.resolved_by) == ("requested", None)
    assert happened.types() == ["review.resolved", "review.resolved"]


def test_a_note_alone_is_told_too_and_leaves_who_answered(do, review, happened):
    answered = do(reviews.patch, review, {"state": "approved"}, None)
    noted = do(reviews.patch, answered, {"note": "But squash it"}, None, actor=BOB)
    assert noted.resolved_by == answered.resolved_by
    assert happened.types() == ["review.resolved", "review.resolved"]


def test_the_same_answer_again_changes_nothing(do, review, happened):
    answered = do(reviews.patch, review, {"state": "dismissed"}, None)
    assert do(reviews.patch, answered, {"state": "dismissed"}, None, actor=BOB) == answered
    assert happened.types() == ["review.resolved"]


def test_an_answer_to_an_older_revision_is_refused(do, review):
    answered = do(reviews.patch, review, {"state": "approved"}, None)
    with pytest.raises(OutdatedRevision):
        do(reviews.patch, answered, {"state": "dismissed"}, 1)


def test_requests_are_found_by_project_ticket_and_state(do, see, ticket, other_ticket, review):
    other = do(reviews.request, other_ticket, {"summary": "This too"})
    answered = do(reviews.patch, other, {"state": "approved"}, None)

    def found(readable=None, **wanted):
        page = see(reviews.listing, readable, **wanted, limit=10, cursor=None)
        return {item.id for item in page.items}

    assert found() == {review.id, answered.id}
    assert found(ticket=ticket.key) == {review.id}
    assert found(state="approved") == {answered.id}
    assert found(project="CTX", state="requested") == {review.id}
    assert found(frozenset({"CTX"})) == {review.id, answered.id}
    assert found(frozenset()) == set()
    assert [r.id for r in see(reviews.open_of_project, "CTX")] == [review.id]


def test_pages_of_requests_join_without_gap_or_repeat(do, see, ticket, happened):
    made = {do(reviews.request, ticket, {"summary": str(n)}).id for n in range(5)}
    first = see(reviews.listing, None, limit=3, cursor=None)
    rest = see(reviews.listing, None, limit=3, cursor=first.next_cursor)
    assert (len(first.items), len(rest.items), rest.next_cursor) == (3, 2, None)
    assert {item.id for item in [*first.items, *rest.items]} == made


def test_an_unknown_request_is_not_found(see):
    with pytest.raises(NotFound):
        see(reviews.get, "nothing")


def test_only_so_many_requests_on_a_ticket_wait_for_an_answer(do, ticket, other_ticket):
    asked = [do(reviews.request, ticket, {"summary": "Look"}) for _ in range(reviews.OPEN_MAX)]
    with pytest.raises(Conflict, match="wait for an answer") as refused:
        do(reviews.request, ticket, {"summary": "One more"})
    assert refused.value.code == "too_many_reviews"
    do(reviews.request, other_ticket, {"summary": "Look"})
    answered = do(reviews.patch, asked[0], {"state": "approved"}, None)
    do(reviews.request, ticket, {"summary": "One more"})
    with pytest.raises(Conflict):
        do(reviews.patch, answered, {"state": "requested"}, None)
