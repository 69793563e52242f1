"""Batches: several tickets run together."""

from typing import Annotated, Literal

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    INT_MAX,
    Body,
    GitRef,
    Line,
    Name,
    OneLine,
    PageQuery,
    Path,
    RevisedBody,
    TicketRef,
    Title,
    Word,
    absent,
)
from cortex_server.api.rights import readable_project, scope, writable_project
from cortex_server.domains import batch_merges, batches
from cortex_server.domains.pages import Listing
from cortex_server.errors import Invalid
from cortex_server.events.work import Batch, BatchMode, BatchStatus, BatchTicket, OnConflict

TICKETS_MAX = 200
FILES_MAX = 1000

routes = Routes("batches")

Tickets = Annotated[list[TicketRef], Field(min_length=1, max_length=TICKETS_MAX)]
Prompt = Annotated[str, Field(min_length=1, max_length=65_536)]
Limit = Annotated[int, Field(ge=1, le=1000)]
Generation = Annotated[int, Field(ge=0, le=INT_MAX)]
Commit = Annotated[str, Field(min_length=1, max_length=64)]
Url = Annotated[str, Field(min_length=1, max_length=2000)]


class BatchOptions(Body):
    """What a batch may say of how it is run."""

    name: Annotated[Title, OneLine] = absent()
    mode: BatchMode = absent()
    limit: Limit | None = absent()
    stop_on_failure: bool = absent()
    on_conflict: OnConflict = absent()
    merge: bool = absent()
    agent: Name
    profile: Name | None = absent()
    prompt: Prompt | None = absent()


class NewBatch(BatchOptions):
    """limit: attempts at a time, null for the project's · start: at once, unless it is false."""

    tickets: Tickets
    start: bool = absent()


class BatchQuery(PageQuery):
    project: Word | None = Field(default=None, description="The key of a project.")
    status: BatchStatus | None = Field(default=None, description="Only batches in this status.")


class Merge(Body):
    """commit: of the merge · files: those in conflict."""

    generation: Generation
    ticket: TicketRef
    result: Literal["merged", "conflict", "empty"]
    commit: Commit | None = absent()
    files: Annotated[list[Path], Field(max_length=FILES_MAX)] = absent()


class Finish(Body):
    generation: Generation
    status: Literal["completed", "failed"]
    branch: GitRef | None = absent()
    commit: Commit | None = absent()
    pr_url: Url | None = absent()
    compare_url: Url | None = absent()
    reason: Line | None = absent()


@routes.post(
    "/projects/<key>/batches", summary="Run several tickets together.", body=NewBatch,
    answer=Batch, location=lambda batch: f"/api/batches/{batch.id}",
)  # fmt: skip
def create(call: Write) -> Batch:
    return batches.create(call.tx, writable_project(call, call.args["key"]), call.given)


@routes.get(
    "/projects/<key>/batches", summary="List a project's batches, oldest first.", answer=Batch,
    many=True, query=PageQuery,
)  # fmt: skip
def of_project(call: Read) -> Listing[Batch]:
    project = readable_project(call, call.args["key"])
    return batches.listing(
        call.tx, None, project.key, limit=call.query.limit, cursor=call.query.cursor
    )


@routes.get(
    "/batches", summary="Find batches, oldest first.", answer=Batch, many=True, query=BatchQuery
)
def listing(call: Read) -> Listing[Batch]:
    project, _ = scope(call, call.query.project, None)
    return batches.listing(
        call.tx, call.grant.projects, project, call.query.status, limit=call.query.limit,
        cursor=call.query.cursor,
    )  # fmt: skip


@routes.get("/batches/<id>", summary="Show a batch.", answer=Batch)
def show(call: Read) -> Batch:
    return _readable(call)


@routes.get(
    "/batches/<id>/tickets/<ref>", summary="Show how a ticket of a batch goes.", answer=BatchTicket
)
def show_ticket(call: Read) -> BatchTicket:
    return batches.get_ticket(_readable(call), call.args["ref"])


@routes.post(
    "/batches/<id>/start", status=200, summary="Start a batch that was held.", body=RevisedBody,
    body_optional=True, answer=Batch,
)  # fmt: skip
def start(call: Write) -> Batch:
    return batches.start(call.tx, _writable(call), call.revision)


@routes.post(
    "/batches/<id>/cancel", status=200, body=RevisedBody, body_optional=True, answer=Batch,
    summary="Give a batch up: its attempts are stopped, the others do not begin.",
)  # fmt: skip
def cancel(call: Write) -> Batch:
    return batches.cancel(call.tx, _writable(call), call.revision)


@routes.post(
    "/batches/<id>/merge", status=200, access="runner", body=Merge, answer=Batch,
    summary="Tell, as its runner, what became of a ticket's branch.",
)  # fmt: skip
def merge(call: Write) -> Batch:
    batch, body = _readable(call), call.body
    if (body.result == "merged") != (body.commit is not None):
        raise Invalid.field("commit", "goes with the result merged, and only with it")
    return batch_merges.report(
        call.tx, batch.id, body.generation, body.ticket, body.result, body.commit,
        call.given.get("files", []),
    )  # fmt: skip


@routes.post(
    "/batches/<id>/finish", status=200, access="runner", body=Finish, answer=Batch,
    summary="Tell, as its runner, that the branches of a batch are merged, or why not.",
)  # fmt: skip
def finish(call: Write) -> Batch:
    said = {name: v for name, v in call.given.items() if name not in ("generation", "status")}
    batch, body = _readable(call), call.body
    return batch_merges.finish(call.tx, batch.id, body.generation, body.status, said)


def _readable(call: Read | Write) -> Batch:
    batch = batches.get(call.tx, call.args["id"])
    call.grant.check_read(batch.project)
    return batch


def _writable(call: Write) -> Batch:
    batch = _readable(call)
    call.grant.check_write(batch.project)
    return batch
