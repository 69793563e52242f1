"""Instances: the servers of agents that runners keep."""

from typing import Annotated

from pydantic import Field

from cortex_server.api.answers import Status
from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import Body, Generation, Line, PageQuery, Word, absent
from cortex_server.api.rights import owned_attempt, scope
from cortex_server.domains import instances
from cortex_server.domains.pages import Listing
from cortex_server.events.work import Instance, InstanceStatus, Link

routes = Routes("instances")


class InstancePut(Body):
    """How it is now; what is left out is null."""

    generation: Generation
    status: InstanceStatus
    url: Annotated[str, Field(min_length=1, max_length=2000)] | None = absent()
    error: Line | None = absent()
    link: Link | None = absent()


class InstanceQuery(PageQuery):
    project: Word | None = Field(default=None, description="The key of a project.")
    ticket: Word | None = Field(default=None, description="The key or id of a ticket.")


@routes.put(
    "/attempts/<id>/instance", access="runner", body=InstancePut, answer=Instance,
    other_status=201, location=lambda instance: f"/api/instances/{instance.id}",
    summary="Tell how the server of an attempt's agent is, as its runner.",
)  # fmt: skip
def put(call: Write) -> Status:
    instance, is_new = instances.put(call.tx, owned_attempt(call), call.given)
    return Status(instance, 201 if is_new else 200)


@routes.get(
    "/instances", summary="Find the servers of agents, oldest first.", answer=Instance, many=True,
    query=InstanceQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[Instance]:
    project, ticket = scope(call, call.query.project, call.query.ticket)
    return instances.listing(
        call.tx, call.grant.projects, project, ticket,
        limit=call.query.limit, cursor=call.query.cursor,
    )  # fmt: skip


@routes.get("/instances/<id>", summary="Show a server of an agent.", answer=Instance, agent=True)
def show(call: Read) -> Instance:
    instance = instances.get(call.tx, call.args["id"])
    call.grant.check_read(instance.project, instance.ticket)
    return instance
