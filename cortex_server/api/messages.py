"""Messages of a session: whole by PUT, growing by deltas."""

from typing import Annotated, Any

from pydantic import Field

from cortex_server.api.answers import Status
from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import INT_MAX, Body, Name, PageQuery, RevisedBody, Text, absent
from cortex_server.api.schemas import Length
from cortex_server.api.sessions import readable_session, writable_session
from cortex_server.domains import live, messages
from cortex_server.domains.pages import Listing
from cortex_server.events.objects import Message, MessageRole, MessageStatus, PartType

routes = Routes("messages")


class NewPart(Body):
    type: PartType
    text: Text
    tool: Name | None = absent()
    input: Any = absent()
    status: MessageStatus = absent()


class MessagePut(RevisedBody):
    """The whole message, as it is now."""

    role: MessageRole
    parts: Annotated[list[NewPart], Field(max_length=1000)]
    status: MessageStatus = absent()


class DeltaPost(Body):
    """offset: where the sender believes that the part's text ends, in code points."""

    part: Annotated[int, Field(ge=0, le=INT_MAX)]
    offset: Annotated[int, Field(ge=0, le=INT_MAX)]
    text: Text


@routes.get(
    "/sessions/<id>/messages", summary="List a session's messages in their order.",
    answer=Message, many=True, query=PageQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[Message]:
    session = readable_session(call)
    page = messages.listing(call.tx, session.id, call.query.limit, call.query.cursor)
    return Listing(call.services.live.merge_all(page.items), page.next_cursor)


@routes.get("/sessions/<id>/messages/<mid>", summary="Show a message.", answer=Message, agent=True)
def show(call: Read) -> Message:
    session = readable_session(call)
    return call.services.live.merge(messages.get(call.tx, session.id, call.args["mid"]))


@routes.put(
    "/sessions/<id>/messages/<mid>", body=MessagePut, answer=Message, agent=True, other_status=201,
    summary="Store a whole message: 201 the first time, 200 after.",
    location=lambda message: f"/api/sessions/{message.session}/messages/{message.id}",
)  # fmt: skip
def put(call: Write) -> Status:
    session = writable_session(call)
    # what deltas brought must be stored first, or growth would look like a change
    call.services.live.flush(call.tx, session.id, call.args["mid"])
    message, created = messages.put(call.tx, session, call.args["mid"], call.given, call.revision)
    return Status(message, 201 if created else 200)


@routes.post(
    "/sessions/<id>/messages/<mid>/delta", status=202, body=DeltaPost, answer=Length, agent=True,
    stores=False, summary="Append text to a streaming part; told at once, not durable yet.",
)  # fmt: skip
def delta(call: Read) -> Length:
    session = readable_session(call)
    call.grant.check_write(session.project, session.ticket)
    message = messages.get(call.tx, session.id, call.args["mid"])
    part, offset, text = call.body.part, call.body.offset, call.body.text
    length = call.services.live.append(message, part, offset, text)
    if text:
        event = live.delta_event(message, part, offset, text, call.tx.now)
        call.services.bus.publish_ephemeral(event)
    return Length(length=length)
