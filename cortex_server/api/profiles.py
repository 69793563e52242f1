"""Profiles: named sets of options for an agent, for all projects or for one."""

from typing import Annotated

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    Key,
    Name,
    PageQuery,
    RevisedBody,
    RevisionQuery,
    ShortName,
    Text,
    absent,
)
from cortex_server.api.rights import writable_project
from cortex_server.domains import profiles
from cortex_server.domains.pages import Listing
from cortex_server.events.work import Profile

routes = Routes("profiles")

Variable = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", description="Of the environment.")
]
Argument = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]


class OptionsGiven(Body):
    """env: names of variables of the runner that the agent gets, no values."""

    model: Name | None = absent()
    prompt: Text | None = absent()
    args: Annotated[list[Argument], Field(max_length=100)] = absent()
    env: Annotated[list[Variable], Field(max_length=100)] = absent()


class NewProfile(Body):
    """project: the only one that it is for; without it, it is for all."""

    name: ShortName
    agent: ShortName
    project: Key | None = absent()
    options: OptionsGiven = absent()


class ProfileChange(RevisedBody):
    """Only what is named changes, also of the options; a list is replaced as a whole."""

    name: ShortName = absent()
    agent: ShortName = absent()
    options: OptionsGiven = absent()


@routes.get(
    "/profiles", summary="List the profiles by name.", answer=Profile, many=True, query=PageQuery
)
def listing(call: Read) -> Listing[Profile]:
    return profiles.listing(call.tx, call.grant.projects, call.query.limit, call.query.cursor)


@routes.post(
    "/profiles", summary="Create a profile.", body=NewProfile, answer=Profile,
    location=lambda profile: f"/api/profiles/{profile.name}",
)  # fmt: skip
def create(call: Write) -> Profile:
    given = call.given
    if given.get("project") is None:
        call.grant.check_wide_write()
    else:
        given["project"] = writable_project(call, given["project"]).key
    return profiles.create(call.tx, given)


@routes.get("/profiles/<name>", summary="Show a profile, by name or id.", answer=Profile)
def show(call: Read) -> Profile:
    return _readable(call)


@routes.patch("/profiles/<name>", summary="Change a profile.", body=ProfileChange, answer=Profile)
def patch(call: Write) -> Profile:
    return profiles.patch(call.tx, _writable(call), call.given, call.revision)


@routes.delete("/profiles/<name>", summary="Delete a profile.", query=RevisionQuery)
def delete(call: Write) -> None:
    profiles.delete(call.tx, _writable(call), call.revision)


def _readable(call: Read | Write) -> Profile:
    profile = profiles.get(call.tx, call.args["name"])
    if profile.project is not None:
        call.grant.check_read(profile.project)
    return profile


def _writable(call: Write) -> Profile:
    """One for all projects takes a token for all projects."""
    profile = _readable(call)
    if profile.project is None:
        call.grant.check_wide_write()
    else:
        call.grant.check_write(profile.project)
    return profile
