"""Attempts: started and stopped by people, carried on by runners."""

from typing import Annotated, Literal

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    Flag,
    Generation,
    GitRef,
    Line,
    PageQuery,
    Path,
    ShortName,
    SmallInt,
    Text,
    Uuid,
    Word,
    absent,
)
from cortex_server.api.rights import (
    owned_attempt,
    readable_attempt,
    readable_ticket,
    scope,
    writable_ticket,
)
from cortex_server.domains import attempts, batches
from cortex_server.domains.pages import Listing
from cortex_server.events.work import Attempt, AttemptOutcome, AttemptStatus, Stage

routes = Routes("attempts")


class NewAttempt(Body):
    """profile: name or id · prompt: what to say beside the ticket · base: a branch or commit;
    without it the project's default branch."""

    agent: ShortName
    profile: Annotated[str, Field(min_length=1, max_length=64)] | None = absent()
    prompt: Text | None = absent()
    base: GitRef | None = absent()


class AttemptChange(Body):
    """generation: of the claim. Only what is named changes; null clears."""

    generation: Generation
    status: Literal["starting", "running", "waiting"] = absent()
    stage: Stage | None = absent()
    progress: Line | None = absent()
    branch: GitRef | None = absent()
    worktree: Path | None = absent()
    base: GitRef | None = absent()
    session: Uuid | None = absent()


class AttemptEnd(Body):
    """generation: of the claim · reason: one line, for people."""

    generation: Generation
    status: AttemptOutcome
    reason: Line | None = absent()
    exit_code: SmallInt | None = absent()


class AttemptQuery(PageQuery):
    project: Word | None = Field(default=None, description="The key of a project.")
    ticket: Word | None = Field(default=None, description="The key or id of a ticket.")
    status: AttemptStatus | None = None
    active: Flag | None = Field(
        default=None, description="Only those in the queue or at work, or those that have ended."
    )
    runner: Word | None = Field(default=None, description="The name of a runner.")
    batch: Word | None = Field(default=None, description="The id of a batch.")


@routes.post(
    "/tickets/<ref>/attempts", summary="Let an agent work on a ticket; a runner takes it up.",
    body=NewAttempt, answer=Attempt, location=lambda attempt: f"/api/attempts/{attempt.id}",
)  # fmt: skip
def start(call: Write) -> Attempt:
    return attempts.create(call.tx, writable_ticket(call, call.args["ref"]), call.given)


@routes.get(
    "/tickets/<ref>/attempts", summary="List a ticket's attempts, oldest first.", answer=Attempt,
    many=True, query=PageQuery, agent=True,
)  # fmt: skip
def of_ticket(call: Read) -> Listing[Attempt]:
    wanted = {"ticket": readable_ticket(call, call.args["ref"]).key, "id": call.grant.attempt}
    return attempts.listing(call.tx, None, wanted, limit=call.query.limit, cursor=call.query.cursor)


@routes.get(
    "/attempts", summary="Find attempts, oldest first.", answer=Attempt, many=True,
    query=AttemptQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[Attempt]:
    project, ticket = scope(call, call.query.project, call.query.ticket)
    wanted = {name: getattr(call.query, name) for name in ("status", "active", "runner", "batch")}
    wanted |= {"project": project, "ticket": ticket, "id": call.grant.attempt}
    return attempts.listing(
        call.tx, call.grant.projects, wanted, limit=call.query.limit, cursor=call.query.cursor
    )


@routes.get("/attempts/<id>", summary="Show an attempt.", answer=Attempt, agent=True)
def show(call: Read) -> Attempt:
    return readable_attempt(call)


@routes.post(
    "/attempts/<id>/stop", status=200, answer=Attempt,
    summary="Have an attempt stopped. Its status says when all of its processes are dead.",
)  # fmt: skip
def stop(call: Write) -> Attempt:
    return attempts.stop(call.tx, _writable(call))


@routes.post(
    "/attempts/<id>/retry", answer=Attempt,
    summary="Start another attempt like one that failed, was cancelled or lost.",
    location=lambda attempt: f"/api/attempts/{attempt.id}",
)  # fmt: skip
def retry(call: Write) -> Attempt:
    return batches.retry(call.tx, _writable(call))


@routes.patch(
    "/attempts/<id>", summary="Tell, as its runner, how an attempt goes on.", body=AttemptChange,
    answer=Attempt, access="runner",
)  # fmt: skip
def patch(call: Write) -> Attempt:
    changes = {name: value for name, value in call.given.items() if name != "generation"}
    return attempts.patch(call.tx, owned_attempt(call), changes)


@routes.post(
    "/attempts/<id>/end", status=200, body=AttemptEnd, answer=Attempt, access="runner",
    summary="Tell, as its runner, how an attempt ended; all of its processes are dead.",
)  # fmt: skip
def end(call: Write) -> Attempt:
    attempt, said = readable_attempt(call), call.body
    return attempts.end(
        call.tx, attempt.id, said.generation, said.status,
        call.given.get("reason"), call.given.get("exit_code"),
    )  # fmt: skip


def _writable(call: Write) -> Attempt:
    attempt = readable_attempt(call)
    call.grant.check_write(attempt.project, attempt.ticket)
    return attempt
