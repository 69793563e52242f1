"""Sessions: conversations with agents."""

from typing import Literal

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    FilledText,
    Flag,
    Line,
    PageQuery,
    Reported,
    RevisedBody,
    Title,
    Uuid,
    Word,
    absent,
)
from cortex_server.api.rights import readable_ticket, scope, writable_ticket
from cortex_server.domains import conversations, sessions
from cortex_server.domains.pages import Listing
from cortex_server.errors import Forbidden
from cortex_server.events.objects import Message, Session, SessionOutcome

routes = Routes("sessions")

OpenStatus = Literal["starting", "working", "idle", "awaiting_input", "error"]


class NewSession(Body):
    """id: a UUID that the agent gave it · attempt, parent_id: one, and a session, of the ticket.

    With the token of an attempt it belongs to that one.
    """

    id: Uuid = absent()
    attempt: Uuid | None = absent()
    title: Title | None = absent()
    agent: Reported | None = absent()
    model: Reported | None = absent()
    parent_id: Uuid | None = absent()
    status: OpenStatus = absent()


class SessionChange(RevisedBody):
    """Only what is named changes; null clears. It ends by POST …/end."""

    status: OpenStatus = absent()
    tool: Line | None = absent()
    work: Line | None = absent()
    title: Title | None = absent()
    agent: Reported | None = absent()
    model: Reported | None = absent()
    parent_id: Uuid | None = absent()


class SessionEnd(RevisedBody):
    outcome: SessionOutcome | None = absent()


class Prompt(Body):
    text: FilledText


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
    ticket, fields = writable_ticket(call, call.args["ref"]), call.given
    if (own := call.grant.attempt) is not None:
        if fields.get("attempt") not in (None, own):
            raise Forbidden(f"This token is for attempt {own} and its sessions only.")
        fields["attempt"] = own
    return conversations.start(call.tx, ticket, fields)


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
    outcome = call.given.get("outcome")
    return conversations.end(call.tx, writable_session(call), outcome, call.revision)


@routes.post(
    "/sessions/<id>/prompt", body=Prompt, answer=Message, agent=True,
    summary="Say something to the agent of a session that a runner holds.",
    location=lambda message: f"/api/sessions/{message.session}/messages/{message.id}",
)  # fmt: skip
def prompt(call: Write) -> Message:
    return conversations.prompt(call.tx, writable_session(call), call.body.text)


@routes.post(
    "/sessions/<id>/abort", status=202, answer=Session, agent=True,
    summary="Have the agent of a session end its turn; the attempt goes on.",
)  # fmt: skip
def abort(call: Write) -> Session:
    session = writable_session(call)
    conversations.abort(call.tx, session)
    return session


def readable_session(call: Read | Write) -> Session:
    session = sessions.get(call.tx, call.args["id"])
    call.grant.check_read(session.project, session.ticket)
    return session


def writable_session(call: Read | Write, session: Session | None = None) -> Session:
    """session: by default the one that the address names.

    The token of an attempt changes that one's sessions only. Raises NotFound, Forbidden.
    """
    session = session or readable_session(call)
    call.grant.check_write(session.project, session.ticket)
    if call.grant.attempt not in (None, session.attempt):
        raise Forbidden(f"This token is for attempt {call.grant.attempt} and its sessions only.")
    return session
