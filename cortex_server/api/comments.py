"""Comments on tickets."""

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import Body, FilledText, PageQuery, RevisedBody, RevisionQuery, absent
from cortex_server.api.rights import check_own, readable_ticket, writable_ticket
from cortex_server.domains import comments
from cortex_server.domains.pages import Listing
from cortex_server.events.objects import Comment, CommentType

routes = Routes("comments")


class NewComment(Body):
    body: FilledText
    type: CommentType = absent()


class CommentChange(RevisedBody):
    body: FilledText = absent()
    type: CommentType = absent()


@routes.get(
    "/tickets/<ref>/comments", summary="List a ticket's comments, oldest first.", answer=Comment,
    many=True, query=PageQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[Comment]:
    ticket = readable_ticket(call, call.args["ref"])
    return comments.listing(call.tx, ticket.key, call.query.limit, call.query.cursor)


@routes.post(
    "/tickets/<ref>/comments", summary="Comment on a ticket.", body=NewComment, answer=Comment,
    agent=True, location=lambda comment: f"/api/comments/{comment.id}",
)  # fmt: skip
def add(call: Write) -> Comment:
    return comments.add(call.tx, writable_ticket(call, call.args["ref"]), call.given)


@routes.get("/comments/<id>", summary="Show a comment.", answer=Comment, agent=True)
def show(call: Read) -> Comment:
    comment = comments.get(call.tx, call.args["id"])
    call.grant.check_read(comment.project, comment.ticket)
    return comment


@routes.patch(
    "/comments/<id>", summary="Edit a comment; an agent only its own.", body=CommentChange,
    answer=Comment, agent=True,
)  # fmt: skip
def patch(call: Write) -> Comment:
    return comments.patch(call.tx, _writable(call), call.given, call.revision)


@routes.delete(
    "/comments/<id>", summary="Delete a comment; an agent only its own.", query=RevisionQuery,
    agent=True,
)  # fmt: skip
def delete(call: Write) -> None:
    comments.delete(call.tx, _writable(call), call.revision)


def _writable(call: Write) -> Comment:
    comment = comments.get(call.tx, call.args["id"])
    call.grant.check_write(comment.project, comment.ticket)
    check_own(call, comment.author == call.grant.actor, "comments")
    return comment
