"""A project's memory, which the tokens of its attempts may read, too."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from cortex_server.api.answers import Status
from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import PageQuery, RevisedBody, RevisionQuery
from cortex_server.domains import memory, projects, settings
from cortex_server.domains.pages import Listing
from cortex_server.errors import Forbidden, Invalid, NotFound
from cortex_server.events.objects import Project
from cortex_server.events.work import Memory

BODY_MAX = 65_536
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_RULE = "must begin with a letter, a digit or _ and have at most 100 letters, digits, ., - or _"

routes = Routes("memory")


def _named(text: str) -> str:
    """A name that could be that of a file, or the beginning of one."""
    if not _NAME.fullmatch(text):
        raise ValueError(_RULE)
    return text


Prefix = Annotated[str, Field(max_length=100), AfterValidator(_named)]


class MemoryPut(RevisedBody):
    body: Annotated[str, Field(max_length=BODY_MAX)]


class MemoryQuery(PageQuery):
    prefix: Prefix | None = Field(default=None, description="Only names that begin so.")


@routes.get(
    "/projects/<key>/memory", summary="List a project's memory by name.", answer=Memory,
    many=True, query=MemoryQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[Memory]:
    project = _readable(call)
    query = call.query
    return memory.listing(call.tx, project, query.prefix, query.limit, query.cursor)


@routes.get(
    "/projects/<key>/memory/<name>", summary="Show one text of the memory.", answer=Memory,
    agent=True,
)  # fmt: skip
def show(call: Read) -> Memory:
    return memory.get(call.tx, _readable(call), call.args["name"])


@routes.put(
    "/projects/<key>/memory/<name>", body=MemoryPut, answer=Memory, agent=True, other_status=201,
    summary="Keep a text under a name: 201 when it is new, 200 when it replaces one.",
    location=lambda kept: f"/api/projects/{kept.project}/memory/{kept.name}",
)  # fmt: skip
def put(call: Write) -> Status:
    project = _writable(call)
    name = call.args["name"]
    if not _NAME.fullmatch(name):
        raise Invalid.field("name", _RULE)
    kept, created = memory.put(call.tx, project, name, call.body.body, call.revision)
    return Status(kept, 201 if created else 200)


@routes.delete(
    "/projects/<key>/memory/<name>", summary="Delete a text of the memory.", query=RevisionQuery,
    agent=True,
)  # fmt: skip
def delete(call: Write) -> None:
    project = _writable(call)
    memory.delete(call.tx, memory.get(call.tx, project, call.args["name"]), call.revision)


def _readable(call: Read | Write) -> Project:
    """The project, also for a token of one ticket in it: its agent is to know the memory."""
    project = projects.get(call.tx, call.args["key"])
    if not call.grant.reads_project(project.key):
        raise NotFound(f"There is no project {project.key} that this token may read.")
    return project


def _writable(call: Write) -> Project:
    project = _readable(call)
    if call.grant.ticket is None:
        call.grant.check_write(project.key)
    elif not settings.project_values(call.tx, project)["agents_write_memory"]:
        raise Forbidden(
            f"Agents do not write the memory of {project.key}; its setting agents_write_memory "
            "allows it."
        )
    return project
