"""Messages of a session: whole by PUT, growing by deltas."""

from typing import Annotated, Any

from pydantic import Field

from cortex_server.api.answers import Status
from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    INT_MAX,
    Body,
    PageQuery,
    QueryInt,
    Reported,
    RevisedBody,
    Text,
    absent,
)
from cortex_server.api.schemas import Applied, Length, StoredMessages
from cortex_server.api.sessions import readable_session, writable_session
from cortex_server.domains import messages, sessions
from cortex_server.domains.deltas import Piece, append_all
from cortex_server.domains.pages import Listing
from cortex_server.domains.redaction import redacted
from cortex_server.events.objects import Message, MessageRole, MessageStatus, PartType

routes = Routes("messages")
DELTAS_MAX = 5_000
MESSAGES_MAX = 5_000  # in one request, which is one transaction


class NewPart(Body):
    type: PartType
    text: Text
    tool: Reported | None = absent()
    input: Any = absent()
    status: MessageStatus = absent()


class MessagePut(RevisedBody):
    """The whole message, as it is now."""

    role: MessageRole
    parts: Annotated[list[NewPart], Field(max_length=1000)]
    status: MessageStatus = absent()


class NamedMessage(Body):
    """A whole message with the id that its sender gave it."""

    id: Annotated[str, Field(min_length=1, max_length=128)]
    role: MessageRole
    parts: Annotated[list[NewPart], Field(max_length=1000)]
    status: MessageStatus = absent()


class MessageList(Body):
    messages: Annotated[list[NamedMessage], Field(max_length=MESSAGES_MAX)]


class DeltaPost(Body):
    """offset: where the sender believes that the part's text ends, in code points."""

    part: Annotated[int, Field(ge=0, le=INT_MAX)]
    offset: Annotated[int, Field(ge=0, le=INT_MAX)]
    text: Text


class NamedDelta(DeltaPost):
    message: Annotated[str, Field(min_length=1, max_length=128)]


class DeltaList(Body):
    deltas: Annotated[list[NamedDelta], Field(max_length=DELTAS_MAX)]


class MessageQuery(PageQuery):
    """Which messages: those after one, the last ones, or the last ones before one."""

    after: Annotated[QueryInt, Field(ge=0, le=INT_MAX)] = Field(
        default=0, description="The number of the last message that is known."
    )
    tail: Annotated[QueryInt, Field(ge=1, le=500)] | None = Field(
        default=None, description="Only so many, the last ones."
    )
    before: Annotated[QueryInt, Field(ge=1, le=INT_MAX)] | None = Field(
        default=None,
        description="Only the last `tail` (or `limit`) ones before the message with this number.",
    )


@routes.get(
    "/sessions/<id>/messages",
    summary="List a session's messages in their order: from `after`, or their tail.",
    answer=Message, many=True, query=MessageQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[Message]:
    session = readable_session(call)
    query = call.query
    if query.tail is not None or query.before is not None:
        page = messages.tail(call.tx, session.id, query.tail or query.limit, query.before)
    else:
        page = messages.listing(call.tx, session.id, query.limit, query.cursor, query.after)
    return Listing(call.services.live.shown(call.tx, page.items), page.next_cursor)


@routes.get("/sessions/<id>/messages/<mid>", summary="Show a message.", answer=Message, agent=True)
def show(call: Read) -> Message:
    session = readable_session(call)
    message = messages.get(call.tx, session.id, call.args["mid"])
    return call.services.live.shown(call.tx, [message])[0]


@routes.put(
    "/sessions/<id>/messages/<mid>", body=MessagePut, answer=Message, agent=True, other_status=201,
    summary="Store a whole message: 201 the first time, 200 after.",
    location=lambda message: f"/api/sessions/{message.session}/messages/{message.id}",
)  # fmt: skip
def put(call: Write) -> Status:
    session = writable_session(call)
    # what deltas brought must be stored first, or growth would look like a change
    call.services.live.flush(call.tx, session.id, call.args["mid"])
    sessions.heard(call.tx, session.id)
    message, created = messages.put(call.tx, session, call.args["mid"], call.given, call.revision)
    return Status(message, 201 if created else 200)


@routes.post(
    "/sessions/<id>/messages", status=200, body=MessageList, answer=StoredMessages, agent=True,
    summary="Store many whole messages in their order, all of them or none.",
)  # fmt: skip
def put_many(call: Write) -> StoredMessages:
    session = writable_session(call)
    call.services.live.flush(call.tx, session.id)
    sessions.heard(call.tx, session.id)
    return StoredMessages(**vars(messages.put_many(call.tx, session, call.given["messages"])))


@routes.post(
    "/sessions/<id>/messages/<mid>/delta", status=202, body=DeltaPost, answer=Length, agent=True,
    stores=False, summary="Append text to a streaming part; told at once, not durable yet.",
)  # fmt: skip
def delta(call: Read) -> Length:
    session = writable_session(call)
    message = messages.get(call.tx, session.id, call.args["mid"])
    body, text = call.body, redacted(call.body.text)
    length = call.services.live.append(message, body.part, body.offset, text, call.tx.now)
    return Length(length=length)


@routes.post(
    "/sessions/<id>/deltas", status=202, body=DeltaList, answer=Applied, agent=True, stores=False,
    summary="Append many pieces of text in their order; those before a refused one are applied.",
)  # fmt: skip
def deltas(call: Read) -> Applied:
    session = writable_session(call)
    found: dict[str, Message] = {}

    def append(piece: Piece) -> None:
        if piece.message not in found:
            found[piece.message] = messages.get(call.tx, session.id, piece.message)
        message, text = found[piece.message], redacted(piece.text)
        call.services.live.append(message, piece.part, piece.offset, text, call.tx.now)

    pieces = (Piece(d.message, d.part, d.offset, d.text) for d in call.body.deltas)
    return Applied(applied=append_all(pieces, append))
