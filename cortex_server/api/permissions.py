"""Permissions: questions that agents ask people, and the answers."""

from typing import Annotated

from pydantic import Field

from cortex_server.api.answers import Status
from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    FilledText,
    Line,
    PageQuery,
    Reported,
    Title,
    Word,
    absent,
)
from cortex_server.api.rights import scope
from cortex_server.api.sessions import writable_session
from cortex_server.domains import permissions, questions, sessions
from cortex_server.domains.pages import Listing
from cortex_server.domains.permissions import PermissionFilter
from cortex_server.errors import Forbidden
from cortex_server.events.work import Permission, PermissionKind, PermissionState

routes = Routes("permissions")

OPTIONS_MAX = 50
DETAIL_MAX = 65_536


class NewOption(Body):
    id: Reported
    label: Reported
    description: Line | None = absent()


class NewPermission(Body):
    """external_id: the agent's own name for it; asked again under it, it is asked once."""

    kind: PermissionKind = absent()
    title: Title
    detail: Annotated[str, Field(max_length=DETAIL_MAX)] = absent()
    options: Annotated[list[NewOption], Field(max_length=OPTIONS_MAX)] = absent()
    multiple: bool = absent()
    free_text: bool = absent()
    external_id: Reported | None = absent()


class Reply(Body):
    """choices: the ids of options that are offered · text: where words of one's own are taken."""

    choices: Annotated[list[Reported], Field(max_length=OPTIONS_MAX)] = absent()
    text: FilledText | None = absent()


class PermissionQuery(PageQuery):
    project: Word | None = Field(default=None, description="The key of a project.")
    ticket: Word | None = Field(default=None, description="The key or id of a ticket.")
    state: PermissionState | None = None


@routes.post(
    "/sessions/<id>/permissions", body=NewPermission, answer=Permission, agent=True,
    other_status=200, location=lambda permission: f"/api/permissions/{permission.id}",
    summary="Ask a person: 201, or 200 for what was asked already.",
)  # fmt: skip
def ask(call: Write) -> Status:
    permission, is_new = questions.ask(call.tx, writable_session(call), call.given)
    return Status(permission, 201 if is_new else 200)


@routes.get(
    "/permissions", summary="Find questions, oldest first.", answer=Permission, many=True,
    query=PermissionQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[Permission]:
    project, ticket = scope(call, call.query.project, call.query.ticket)
    wanted = PermissionFilter(call.grant.projects, project, ticket, call.query.state)
    return permissions.listing(call.tx, wanted, limit=call.query.limit, cursor=call.query.cursor)


@routes.get("/permissions/<id>", summary="Show a question.", answer=Permission, agent=True)
def show(call: Read) -> Permission:
    return _readable(call)


@routes.post(
    "/permissions/<id>/reply", status=200, body=Reply, answer=Permission,
    summary="Answer a question; no token of an agent or a runner may.",
)  # fmt: skip
def reply(call: Write) -> Permission:
    permission = _readable(call)
    if call.grant.role == "runner":  # an agent can read its runner's token, in most set-ups
        raise Forbidden("People answer questions: a runner's token does not.")
    call.grant.check_write(permission.project, permission.ticket)
    choices = call.given.get("choices", [])
    return questions.reply(call.tx, permission, choices, call.given.get("text"))


@routes.post(
    "/permissions/<id>/withdraw", status=200, answer=Permission, agent=True,
    summary="Ask a question no more.",
)  # fmt: skip
def withdraw(call: Write) -> Permission:
    permission = _readable(call)
    writable_session(call, sessions.get(call.tx, permission.session))
    return questions.withdraw(call.tx, permission)


def _readable(call: Read | Write) -> Permission:
    permission = permissions.get(call.tx, call.args["id"])
    call.grant.check_read(permission.project, permission.ticket)
    return permission
