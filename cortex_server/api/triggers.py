"""Triggers of a project. Whoever may not change it does not read them: an address of a call is
often a secret by itself."""

from typing import Annotated, Literal

from pydantic import Field

from cortex_server.api.batches import BatchOptions, Prompt
from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    ColumnName,
    GitRef,
    LabelName,
    Name,
    PageQuery,
    RevisedBody,
    RevisionQuery,
    TicketRef,
    absent,
)
from cortex_server.api.rights import readable_project, readable_ticket, writable_project
from cortex_server.domains import firing, trigger_calls, triggers
from cortex_server.domains.firing import Cause
from cortex_server.domains.pages import Listing
from cortex_server.errors import Conflict
from cortex_server.events.objects import Priority, TicketType
from cortex_server.events.payloads import Fired
from cortex_server.events.work import NewTrigger, Trigger, TriggerCall

FILTERS_MAX = 20

routes = Routes("triggers")

TypeName = Annotated[str, Field(min_length=1, max_length=100)]
FieldPath = Annotated[str, Field(min_length=1, max_length=200)]
Plain = str | int | bool | None
Url = Annotated[str, Field(min_length=1, max_length=2000)]
Secret = Annotated[str, Field(min_length=16, max_length=200)]


class OnEvents(Body):
    """types: names like ticket.moved, ticket.* or * · filter: what the payload has to say, by
    path: a value, or a list of which one has to be there."""

    types: Annotated[list[TypeName], Field(min_length=1, max_length=100)]
    filter: Annotated[dict[FieldPath, Plain | list[Plain]], Field(max_length=FILTERS_MAX)] = (
        absent()
    )


class OnInterval(Body):
    every_s: Annotated[int, Field(ge=1, le=31_536_000)]


class OnTimes(Body):
    """cron: minute, hour, day of the month, month, day of the week; in UTC."""

    cron: Annotated[str, Field(min_length=1, max_length=200)]


class StartAttempt(Body):
    """ticket: instead of the event's own."""

    kind: Literal["attempt"]
    agent: Name
    profile: Name | None = absent()
    prompt: Prompt | None = absent()
    base: GitRef | None = absent()
    ticket: TicketRef | None = absent()


class TicketsOf(Body):
    """Which tickets, beside that nobody works on them."""

    status: ColumnName = absent()
    label: LabelName = absent()
    assignee: Name = absent()
    type: TicketType = absent()
    priority: Priority = absent()
    q: Annotated[str, Field(min_length=1, max_length=200)] = absent()


class RunBatch(BatchOptions):
    """most: so many tickets at most, the oldest ones."""

    kind: Literal["batch"]
    tickets: TicketsOf
    most: Annotated[int, Field(ge=1, le=200)] = absent()


class CallUrl(Body):
    kind: Literal["call"]
    url: Url


On = OnEvents | OnInterval | OnTimes
Action = Annotated[StartAttempt | RunBatch | CallUrl, Field(discriminator="kind")]


class NewTriggerBody(Body):
    """secret: what calls are signed with; one is made when there is none."""

    name: Name
    on: On
    action: Action
    enabled: bool = absent()
    secret: Secret = absent()


class TriggerChange(RevisedBody):
    """Only what is named changes."""

    name: Name = absent()
    on: On = absent()
    action: Action = absent()
    enabled: bool = absent()
    secret: Secret = absent()


class TriggerTest(Body):
    """ticket: to start an attempt on, where the trigger names none."""

    ticket: TicketRef | None = absent()


@routes.get(
    "/projects/<key>/triggers", summary="List a project's triggers, oldest first.", answer=Trigger,
    many=True, query=PageQuery, access="write",
)  # fmt: skip
def listing(call: Read) -> Listing[Trigger]:
    project = readable_project(call, call.args["key"])
    return triggers.listing(call.tx, project.key, call.query.limit, call.query.cursor)


@routes.post(
    "/projects/<key>/triggers", body=NewTriggerBody, answer=NewTrigger, sealed=True,
    summary="Create a trigger; the secret of a call is shown this once.",
    location=lambda trigger: f"/api/triggers/{trigger.id}",
)  # fmt: skip
def create(call: Write) -> NewTrigger:
    return triggers.create(call.tx, writable_project(call, call.args["key"]), call.given)


@routes.get("/triggers/<id>", summary="Show a trigger.", answer=Trigger, access="write")
def show(call: Read) -> Trigger:
    return _writable(call)


@routes.patch(
    "/triggers/<id>", summary="Change a trigger; another `on` counts from now.",
    body=TriggerChange, answer=Trigger,
)  # fmt: skip
def patch(call: Write) -> Trigger:
    return triggers.patch(call.tx, _writable(call), call.given, call.revision)


@routes.delete(
    "/triggers/<id>", summary="Delete a trigger; what it started goes on.", query=RevisionQuery
)
def delete(call: Write) -> None:
    triggers.delete(call.tx, _writable(call), call.revision)


@routes.post(
    "/triggers/<id>/test", status=200, summary="Fire a trigger once, now.", body=TriggerTest,
    body_optional=True, answer=Fired,
)  # fmt: skip
def test(call: Write) -> Fired:
    trigger = _writable(call)
    if (held := firing.held_back(call.tx, trigger)) is not None:
        raise Conflict(held, code="rate_limited")
    ref = call.given.get("ticket")
    ticket = None if ref is None else readable_ticket(call, ref).key
    return firing.fire(call.tx, trigger, Cause(ticket=ticket), [])


@routes.get(
    "/triggers/<id>/calls", summary="List a trigger's calls, newest first.", answer=TriggerCall,
    many=True, query=PageQuery, access="write",
)  # fmt: skip
def calls(call: Read) -> Listing[TriggerCall]:
    trigger = _writable(call)
    return trigger_calls.listing(call.tx, trigger.id, call.query.limit, call.query.cursor)


def _writable(call: Read | Write) -> Trigger:
    trigger = triggers.get(call.tx, call.args["id"])
    call.grant.check_write(trigger.project)
    return trigger
