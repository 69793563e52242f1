"""Sessions: conversations with agents."""

from typing import Literal

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    Flag,
    Line,
    Name,
    PageQuery,
    RevisedBody,
    Title,
    Uuid,
    Word,
    absent,
)
from cortex_server.api.rights import readable_ticket, scope, writable_ticket
from cortex_server.domains import sessions
from cortex_server.domains.pages import Listing
from cortex_server.events.objects import Session, SessionOutcome

routes = Routes("sessions")

OpenStatus = Literal["starting", "working", "idle", "awaiting_input", "error"]


class NewSession(Body):
    """id: a UUID that the agent gave it. parent_id: a session of the same ticket."""

    id: Uuid = absent()
    title: Title | None = absent()
    agent: Name | None = absent()
    model: Name | None = absent()
    parent_id: Uuid | None = absent()
    status: OpenStatus = absent()


class SessionChange(RevisedBody):
    """Only what is named changes; null clears. It ends by POST …/end."""

    status: OpenStatus = absent()
    tool: Line | None = absent()
    work: Line | None = absent()
    title: Title | None = absent()
    agent: Name | None = absent()
    model: Name | None = absent()
    parent_id: Uuid | None = absent()


class SessionEnd(RevisedBody):
    outcome: SessionOutcome | None = absent()


class SessionQuery(PageQuery):
    project: Word | None = Field(default=None, description="The key of a project.")
    ticket: Word | None = Field(default=None, description="The key or id of a ticket.")
    active: Flag | None = Field(
        default=None, description="Only those that have not ended, or have."
    )


@routes.get(
    "/tickets/<ref>/sessions", summary="List a ticket's sessions, oldest first.", answer=Session,
    many=True, query=PageQuery, agent=True,
)  # fmt: skip
def of_ticket(call: Read) -> Listing[Session]:
    ticket = readable_ticket(call, call.args["ref"])
    return sessions.listing(
        call.tx, None, ticket=ticket.key, limit=call.query.limit, cursor=call.query.cursor
    )


@routes.post(
    "/tickets/<ref>/sessions", summary="Start a session on a ticket.", body=NewSession,
    body_optional=True, answer=Session, agent=True,
    location=lambda session: f"/api/sessions/{session.id}",
)  # fmt: skip
def start(call: Write) -> Session:
    return sessions.start(call.tx, writable_ticket(call, call.args["ref"]), call.given)


@routes.get(
    "/sessions", summary="Find sessions, oldest first.", answer=Session, many=True,
    query=SessionQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[Session]:
    project, ticket = scope(call, call.query.project, call.query.ticket)
    return sessions.listing(
        call.tx, call.grant.projects, project, ticket, call.query.active,
        limit=call.query.limit, cursor=call.query.cursor,
    )  # fmt: skip


@routes.get("/sessions/<id>", summary="Show a session.", answer=Session, agent=True)
def show(call: Read) -> Session:
    return readable_session(call)


@routes.patch(
    "/sessions/<id>", summary="Tell what a session does, or describe it.", body=SessionChange,
    answer=Session, agent=True,
)  # fmt: skip
def patch(call: Write) -> Session:
    return sessions.patch(call.tx, writable_session(call), call.given, call.revision)


@routes.post(
    "/sessions/<id>/end", status=200, summary="End a session; its children go on.",
    body=SessionEnd, body_optional=True, answer=Session, agent=True,
)  # fmt: skip
def end(call: Write) -> Session:
    session = writable_session(call)
    call.services.live.flush(call.tx, session.id)  # what deltas brought is part of its messages
    return sessions.end(call.tx, session, call.given.get("outcome"), call.revision)


def readable_session(call: Read | Write) -> Session:
    session = sessions.get(call.tx, call.args["id"])
    call.grant.check_read(session.project, session.ticket)
    return session


def writable_session(call: Write) -> Session:
    session = readable_session(call)
    call.grant.check_write(session.project, session.ticket)
    return session
