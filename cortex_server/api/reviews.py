"""Review requests."""

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    FilledText,
    GitRef,
    PageQuery,
    Path,
    RevisedBody,
    Text,
    Word,
    absent,
)
from cortex_server.api.rights import readable_ticket, scope, writable_ticket
from cortex_server.domains import reviews
from cortex_server.domains.pages import Listing
from cortex_server.errors import Forbidden
from cortex_server.events.objects import Review, ReviewState

routes = Routes("reviews")

_ANSWERS = ("approved", "changes_requested")


class NewReview(Body):
    """What is to be reviewed: a branch or a commit, or the ticket's work as it is."""

    summary: FilledText
    repo_path: Path | None = absent()
    branch: GitRef | None = absent()
    commit: GitRef | None = absent()


class ReviewChange(RevisedBody):
    state: ReviewState = absent()
    note: Text | None = absent()


class ReviewQuery(PageQuery):
    project: Word | None = Field(default=None, description="The key of a project.")
    state: ReviewState | None = None


@routes.get(
    "/tickets/<ref>/reviews", summary="List a ticket's review requests, oldest first.",
    answer=Review, many=True, query=PageQuery, agent=True,
)  # fmt: skip
def of_ticket(call: Read) -> Listing[Review]:
    ticket = readable_ticket(call, call.args["ref"])
    return reviews.listing(
        call.tx, None, ticket=ticket.key, limit=call.query.limit, cursor=call.query.cursor
    )


@routes.post(
    "/tickets/<ref>/reviews", summary="Ask for a review.", body=NewReview, answer=Review,
    agent=True, location=lambda review: f"/api/reviews/{review.id}",
)  # fmt: skip
def request(call: Write) -> Review:
    return reviews.request(call.tx, writable_ticket(call, call.args["ref"]), call.given)


@routes.get(
    "/reviews", summary="Find review requests, oldest first.", answer=Review, many=True,
    query=ReviewQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[Review]:
    project, ticket = scope(call, call.query.project, None)
    return reviews.listing(
        call.tx, call.grant.projects, project, ticket, call.query.state,
        limit=call.query.limit, cursor=call.query.cursor,
    )  # fmt: skip


@routes.get("/reviews/<id>", summary="Show a review request.", answer=Review, agent=True)
def show(call: Read) -> Review:
    review = reviews.get(call.tx, call.args["id"])
    call.grant.check_read(review.project, review.ticket)
    return review


@routes.patch(
    "/reviews/<id>", summary="Approve, send back, dismiss or reopen a review request.",
    body=ReviewChange, answer=Review, agent=True,
)  # fmt: skip
def patch(call: Write) -> Review:
    review = reviews.get(call.tx, call.args["id"])
    call.grant.check_write(review.project, review.ticket)
    own = review.requested_by == call.grant.actor
    if call.grant.role == "agent" and own and call.given.get("state") in _ANSWERS:
        raise Forbidden("An agent does not answer its own review request; it may dismiss it.")
    return reviews.patch(call.tx, review, call.given, call.revision)
