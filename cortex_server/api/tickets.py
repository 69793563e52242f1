"""Tickets: the cards of a board."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    ColumnName,
    Due,
    LabelName,
    LabelNames,
    Name,
    PageQuery,
    Position,
    References,
    RevisedBody,
    RevisionQuery,
    Text,
    TicketRef,
    TicketRefs,
    Time,
    Title,
    Uuid,
    Word,
    absent,
)
from cortex_server.api.rights import (
    readable_project,
    readable_ticket,
    writable_project,
    writable_ticket,
)
from cortex_server.api.schemas import Imported, Tickets
from cortex_server.domains import bulk, imports, tickets
from cortex_server.domains.pages import Listing
from cortex_server.domains.tickets import TicketFilter
from cortex_server.events.objects import PlacedTicket, Priority, Ticket, TicketType

routes = Routes("tickets")
IMPORT_MAX = 2_000  # they are one transaction, which keeps every other change waiting
BULK_MAX = 500


class NewTicket(Body):
    """position: the place in its column, from 0; without it the end."""

    title: Title
    body: Text = absent()
    type: TicketType = absent()
    status: ColumnName = absent()
    priority: Priority = absent()
    labels: LabelNames = absent()
    assignee: Name | None = absent()
    due: Due | None = absent()
    references: References = absent()
    depends_on: TicketRefs = absent()
    position: Position | None = absent()


class TicketChange(RevisedBody):
    """Only what is named changes; null clears assignee and due."""

    title: Title = absent()
    body: Text = absent()
    type: TicketType = absent()
    status: ColumnName = absent()
    priority: Priority = absent()
    labels: LabelNames = absent()
    assignee: Name | None = absent()
    due: Due | None = absent()
    references: References = absent()
    depends_on: TicketRefs = absent()
    archived: bool = absent()


class NamedChange(TicketChange):
    """ticket: key or id · position: its place in the column, from 0; null is the end."""

    ticket: TicketRef
    position: Position | None = absent()


class NewTickets(Body):
    tickets: Annotated[list[NewTicket], Field(min_length=1, max_length=BULK_MAX)]


class TicketChanges(Body):
    changes: Annotated[list[NamedChange], Field(min_length=1, max_length=BULK_MAX)]


class Move(RevisedBody):
    """position: the place in the target column, from 0; without it the end."""

    status: ColumnName
    position: Position | None = absent()


class LabelGiven(RevisedBody):
    label: LabelName


class ImportedTicket(Body):
    id: Uuid
    title: Title
    body: Text
    type: TicketType = absent()
    status: ColumnName = absent()
    priority: Priority = absent()
    labels: LabelNames = absent()
    assignee: Name | None = absent()
    due: Due | None = absent()
    references: References = absent()
    created_at: Time = absent()
    updated_at: Time = absent()
    archived: bool = absent()


class Import(Body):
    tickets: Annotated[list[ImportedTicket], Field(max_length=IMPORT_MAX)]


def _archived(value: object) -> object:
    return {"0": "false", "1": "true"}.get(value, value) if isinstance(value, str) else value


class TicketQuery(PageQuery):
    status: Word | None = Field(default=None, description="The column.")
    label: Word | None = Field(default=None, description="The name of a label.")
    assignee: Word | None = None
    type: TicketType | None = None
    priority: Priority | None = None
    q: Word | None = Field(
        default=None, description="Words that all occur in the title, the body or the key."
    )
    archived: Annotated[Literal["false", "true", "any"], BeforeValidator(_archived)] = "false"

    def wanted(self) -> TicketFilter:
        names = ("status", "label", "assignee", "type", "priority", "q", "archived")
        return TicketFilter(**{name: getattr(self, name) for name in names})


class TicketSearch(TicketQuery):
    project: Word | None = Field(default=None, description="The key of a project.")


@routes.get(
    "/projects/<key>/tickets", summary="List a project's tickets.", answer=Ticket, many=True,
    query=TicketQuery,
)  # fmt: skip
def of_project(call: Read) -> Listing[Ticket]:
    wanted = replace(call.query.wanted(), project=readable_project(call, call.args["key"]).key)
    return tickets.listing(call.tx, wanted, call.query.limit, call.query.cursor)


@routes.post(
    "/projects/<key>/tickets", summary="Create a ticket.", body=NewTicket, answer=PlacedTicket,
    location=lambda ticket: f"/api/tickets/{ticket.key}",
)  # fmt: skip
def create(call: Write) -> PlacedTicket:
    project = writable_project(call, call.args["key"])
    return tickets.placed(call.tx, tickets.create(call.tx, project, call.given))


@routes.post(
    "/projects/<key>/tickets/bulk", body=NewTickets, answer=Tickets,
    summary="Create several tickets in their order, all of them or none.",
)  # fmt: skip
def create_many(call: Write) -> Tickets:
    project = writable_project(call, call.args["key"])
    return Tickets(items=bulk.create(call.tx, project, call.given["tickets"]))


@routes.patch(
    "/projects/<key>/tickets", body=TicketChanges, answer=Tickets,
    summary="Change or move several tickets in their order, all of them or none.",
)  # fmt: skip
def change_many(call: Write) -> Tickets:
    project = writable_project(call, call.args["key"])
    return Tickets(items=bulk.change(call.tx, project, call.given["changes"]))


@routes.post(
    "/projects/<key>/tickets/import", status=200, body=Import, answer=Imported,
    summary="Create or update tickets by their ids, all of them or none.",
)  # fmt: skip
def import_(call: Write) -> Imported:
    project = writable_project(call, call.args["key"])
    done = imports.import_tickets(call.tx, project, call.given["tickets"])
    return Imported.model_construct(
        created=done.created, updated=done.updated, unchanged=done.unchanged, items=done.items
    )


@routes.get("/tickets", summary="Find tickets.", answer=Ticket, many=True, query=TicketSearch)
def search(call: Read) -> Listing[Ticket]:
    wanted = replace(call.query.wanted(), readable=call.grant.projects)
    if call.query.project is not None:
        wanted = replace(wanted, project=readable_project(call, call.query.project).key)
    return tickets.listing(call.tx, wanted, call.query.limit, call.query.cursor)


@routes.get("/tickets/<ref>", summary="Show a ticket.", answer=PlacedTicket, agent=True)
def show(call: Read) -> PlacedTicket:
    return tickets.placed(call.tx, readable_ticket(call, call.args["ref"]))


@routes.patch(
    "/tickets/<ref>", summary="Change a ticket; archive or restore it.", body=TicketChange,
    answer=PlacedTicket, agent=True,
)  # fmt: skip
def patch(call: Write) -> PlacedTicket:
    ticket = writable_ticket(call, call.args["ref"])
    return tickets.placed(call.tx, tickets.patch(call.tx, ticket, call.given, call.revision))


@routes.delete(
    "/tickets/<ref>", summary="Delete a ticket with all that is on it.", query=RevisionQuery
)
def delete(call: Write) -> None:
    tickets.delete(call.tx, writable_ticket(call, call.args["ref"]), call.revision)


@routes.post(
    "/tickets/<ref>/move", status=200, summary="Put a ticket into a column, at a place.",
    body=Move, answer=PlacedTicket, agent=True,
)  # fmt: skip
def move(call: Write) -> PlacedTicket:
    ticket = writable_ticket(call, call.args["ref"])
    given = call.given
    moved = tickets.move(call.tx, ticket, given["status"], given.get("position"), call.revision)
    return tickets.placed(call.tx, moved)


@routes.post(
    "/tickets/<ref>/labels", status=200, body=LabelGiven, answer=PlacedTicket, agent=True,
    summary="Give a ticket a label, which is created if there is none of that name.",
)  # fmt: skip
def add_label(call: Write) -> PlacedTicket:
    ticket = writable_ticket(call, call.args["ref"])
    labeled = tickets.add_label(call.tx, ticket, call.given["label"], call.revision)
    return tickets.placed(call.tx, labeled)


@routes.delete(
    "/tickets/<ref>/labels/<name>", summary="Take a label from a ticket.", query=RevisionQuery,
    answer=PlacedTicket, agent=True,
)  # fmt: skip
def remove_label(call: Write) -> PlacedTicket:
    ticket = writable_ticket(call, call.args["ref"])
    bare = tickets.remove_label(call.tx, ticket, call.args["name"], call.revision)
    return tickets.placed(call.tx, bare)
