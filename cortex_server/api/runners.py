"""Runners: what they say of themselves, what they claim, and what they are to do."""

from typing import Annotated, Any, Literal

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    Generation,
    Key,
    Line,
    PageQuery,
    Reported,
    ShortName,
    Uuid,
    absent,
)
from cortex_server.domains import batch_merges, claims, commands, project_rows, runners
from cortex_server.domains.pages import Listing
from cortex_server.errors import Invalid, NotFound
from cortex_server.events.objects import Project, Session, Ticket, Wire
from cortex_server.events.work import Attempt, Batch, Command, Profile, Runner

routes = Routes("runners")
Capability = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Offer(Body):
    """An agent that a runner can run, and how."""

    name: ShortName
    adapter: ShortName
    capabilities: Annotated[list[Capability], Field(max_length=50)]


class Registration(Body):
    """id: that the runner of this name was given before · parallel: attempts at a time ·
    projects: the only ones that it serves; without it all that its token may write."""

    id: Uuid | None = absent()
    name: ShortName
    host: Reported
    version: Reported
    parallel: Annotated[int, Field(ge=1, le=1000)]
    projects: Annotated[list[Key], Field(min_length=1, max_length=1000)] | None = absent()
    agents: Annotated[list[Offer], Field(max_length=100)]


class Claimed(Body):
    id: Uuid
    generation: Generation


class Heartbeat(Body):
    """Every claim that the runner still holds."""

    attempts: Annotated[list[Claimed], Field(max_length=1000)] = absent()
    batches: Annotated[list[Claimed], Field(max_length=1000)] = absent()


class Beaten(Wire):
    """lease_s: how long the renewed leases last · renewed, lost: ids; what is lost must end at
    once · commands: how many wait."""

    lease_s: float
    renewed: list[str]
    lost: list[str]
    commands: int


class AttemptClaim(Wire):
    """token: good for this attempt until it ends, and shown nowhere else · session: its root."""

    kind: Literal["attempt"]
    attempt: Attempt
    ticket: Ticket
    project: Project
    profile: Profile | None
    settings: dict[str, Any]
    token: str
    session: Session


class BatchClaim(Wire):
    """attempts: those whose branches are to be merged, in order."""

    kind: Literal["batch"]
    batch: Batch
    project: Project
    attempts: list[Attempt]
    settings: dict[str, Any]


class ClaimAnswer(Wire):
    """claim: null when there is nothing to do."""

    claim: AttemptClaim | BatchClaim | None
    lease_s: float


class Acknowledgement(Body):
    """error: why it could not be done."""

    error: Line | None = absent()


@routes.post(
    "/runners", status=200, body=Registration, answer=Runner, access="runner",
    summary="Say that a runner is there, and what it offers; one that comes back keeps its id.",
)  # fmt: skip
def register(call: Write) -> Runner:
    fields = call.given
    names = [offer["name"] for offer in fields["agents"]]
    if len(set(names)) != len(names):
        raise Invalid.field("agents", "each name may stand only once")
    fields["projects"] = _projects(call, fields.get("projects"))
    lease_s, readable = call.services.config.lease_s, call.grant.projects
    return runners.register(call.tx, fields, lease_s, readable)


@routes.get(
    "/runners", summary="List the runners by name.", answer=Runner, many=True, query=PageQuery
)
def listing(call: Read) -> Listing[Runner]:
    return runners.listing(call.tx, call.grant.projects, call.query.limit, call.query.cursor)


@routes.get("/runners/<id>", summary="Show a runner.", answer=Runner)
def show(call: Read) -> Runner:
    runner = runners.get(call.tx, call.args["id"])
    if not runners.reaches(runner, call.grant.projects):
        raise NotFound(f"There is no runner {runner.id} that this token may read.")
    return runner


@routes.post(
    "/runners/<id>/heartbeat", status=200, body=Heartbeat, body_optional=True, answer=Beaten,
    access="runner", summary="Renew the leases of what the runner still runs.",
)  # fmt: skip
def heartbeat(call: Write) -> Beaten:
    lease_s = call.services.config.lease_s
    runner = runners.heard_of(call.tx, _own(call), lease_s)
    attempts, batches = (_pairs(call.given.get(name, [])) for name in ("attempts", "batches"))
    renewed = claims.renew(call.tx, runner, attempts, lease_s)
    renewed += batch_merges.renew(call.tx, runner, batches, lease_s)
    lost = [claimed for claimed, _ in attempts + batches if claimed not in renewed]
    waiting = commands.count(call.tx, runner.name)
    return Beaten(lease_s=lease_s, renewed=renewed, lost=lost, commands=waiting)


@routes.post(
    "/runners/<id>/claim", status=200, answer=ClaimAnswer, access="runner", sealed=True,
    summary="Take what is to be done next: a batch to merge, or an attempt.",
)  # fmt: skip
def claim(call: Write) -> ClaimAnswer:
    lease_s, readable = call.services.config.lease_s, call.grant.projects
    runner = runners.heard_of(call.tx, _own(call), lease_s)
    found = batch_merges.claim(call.tx, runner, readable, lease_s)
    if found is None:
        found = claims.claim(call.tx, runner, readable, lease_s)
    return ClaimAnswer.model_validate({"claim": found, "lease_s": lease_s})


@routes.post(
    "/runners/<id>/leave", status=200, answer=Runner, access="runner",
    summary="Say that a runner ends, and with it all that it ran.",
)  # fmt: skip
def leave(call: Write) -> Runner:
    runner = _own(call)
    batch_merges.release(call.tx, runner)
    return runners.leave(call.tx, runner)


@routes.get(
    "/runners/<id>/commands", answer=Command, many=True, access="runner",
    summary="List what the runner is to do and has not acknowledged, oldest first.",
)  # fmt: skip
def waiting(call: Read) -> Listing[Command]:
    return Listing(commands.waiting(call.tx, _own(call).name), None)


@routes.post(
    "/runners/<id>/commands/<cid>/ack", status=200, body=Acknowledgement, body_optional=True,
    answer=Command, access="runner", summary="Say that a command is done, or why it cannot be.",
)  # fmt: skip
def acknowledge(call: Write) -> Command:
    error = call.given.get("error")
    return commands.acknowledge(call.tx, _own(call).name, call.args["cid"], error)


def _own(call: Read | Write) -> Runner:
    """The runner that asks. A token for some projects is good for runners of no others."""
    runner = runners.get(call.tx, call.args["id"])
    if not runners.within(runner.projects, call.grant.projects):
        raise NotFound(f"There is no runner {runner.id} that this token may be.")
    return runner


def _projects(call: Write, keys: list[str] | None) -> list[str] | None:
    """The keys as written, sorted: those named, or those of the token. Raises Invalid."""
    if keys is None:
        return None if call.grant.projects is None else sorted(call.grant.projects)
    found = {key: project_rows.find(call.tx, key) for key in keys}
    for key, project in found.items():
        if project is None or not call.grant.reads_project(project.key):
            raise Invalid.field("projects", f"there is no project {key}")
    return sorted({project.key for project in found.values() if project is not None})


def _pairs(claimed: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(one["id"], one["generation"]) for one in claimed]
