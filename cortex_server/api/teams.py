"""Teams."""

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    Color,
    Key,
    Name,
    PageQuery,
    RevisedBody,
    RevisionQuery,
    absent,
)
from cortex_server.domains import teams
from cortex_server.domains.pages import Listing
from cortex_server.events.objects import Team

routes = Routes("teams")


class NewTeam(Body):
    key: Key
    name: Name
    color: Color | None = absent()


class TeamChange(RevisedBody):
    name: Name = absent()
    color: Color | None = absent()


@routes.get("/teams", summary="List the teams.", answer=Team, many=True, query=PageQuery)
def listing(call: Read) -> Listing[Team]:
    return teams.listing(call.tx, call.query.limit, call.query.cursor)


@routes.post(
    "/teams", summary="Create a team.", body=NewTeam, answer=Team, access="wide",
    location=lambda team: f"/api/teams/{team.key}",
)  # fmt: skip
def create(call: Write) -> Team:
    return teams.create(call.tx, call.given)


@routes.get("/teams/<key>", summary="Show a team.", answer=Team)
def show(call: Read) -> Team:
    return teams.get(call.tx, call.args["key"])


@routes.patch(
    "/teams/<key>", summary="Change a team's name or color.", body=TeamChange, answer=Team,
    access="wide",
)  # fmt: skip
def patch(call: Write) -> Team:
    return teams.patch(call.tx, teams.get(call.tx, call.args["key"]), call.given, call.revision)


@routes.delete(
    "/teams/<key>", summary="Delete a team; its projects stay.", query=RevisionQuery, access="wide"
)
def delete(call: Write) -> None:
    teams.delete(call.tx, teams.get(call.tx, call.args["key"]), call.revision)
