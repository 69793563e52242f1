"""Projects and their boards."""

from typing import Annotated

from pydantic import Field

from cortex_server.api.answers import Raw
from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    INT_MAX,
    Body,
    ColumnName,
    GitRef,
    Key,
    Name,
    PageQuery,
    Path,
    RevisedBody,
    RevisionQuery,
    absent,
)
from cortex_server.api.rights import readable_project, writable_project
from cortex_server.api.schemas import Board
from cortex_server.domains import projects
from cortex_server.domains.pages import Listing
from cortex_server.events.objects import Project

routes = Routes("projects")


class NewColumn(Body):
    name: ColumnName
    title: Name = absent()
    wip_limit: Annotated[int, Field(ge=1, le=INT_MAX)] | None = absent()


Columns = Annotated[list[NewColumn], Field(min_length=1, max_length=50)]


class NewProject(Body):
    key: Key
    name: Name
    team: Key | None = absent()
    repo_path: Path | None = absent()
    default_branch: GitRef = absent()
    columns: Columns = absent()


class ProjectChange(RevisedBody):
    """move_tickets_to: the column that takes the tickets of columns that go."""

    name: Name = absent()
    team: Key | None = absent()
    repo_path: Path | None = absent()
    default_branch: GitRef = absent()
    columns: Columns = absent()
    move_tickets_to: ColumnName | None = absent()


@routes.get("/projects", summary="List the projects.", answer=Project, many=True, query=PageQuery)
def listing(call: Read) -> Listing[Project]:
    return projects.listing(call.tx, call.grant.projects, call.query.limit, call.query.cursor)


@routes.post(
    "/projects", summary="Create a project.", body=NewProject, answer=Project, access="wide",
    location=lambda project: f"/api/projects/{project.key}",
)  # fmt: skip
def create(call: Write) -> Project:
    return projects.create(call.tx, call.given)


@routes.get("/projects/<key>", summary="Show a project.", answer=Project)
def show(call: Read) -> Project:
    return readable_project(call, call.args["key"])


@routes.patch(
    "/projects/<key>", summary="Change a project's fields or columns.", body=ProjectChange,
    answer=Project,
)  # fmt: skip
def patch(call: Write) -> Project:
    project = writable_project(call, call.args["key"])
    return projects.patch(call.tx, project, call.given, call.revision)


@routes.delete(
    "/projects/<key>", summary="Delete a project with all that is in it.", query=RevisionQuery,
    access="wide",
)  # fmt: skip
def delete(call: Write) -> None:
    projects.delete(call.tx, writable_project(call, call.args["key"]), call.revision)


@routes.get(
    "/projects/<key>/board", answer=Board,
    summary="Show the whole board at one moment: what the stream's `state` frame carries.",
)  # fmt: skip
def board(call: Read) -> Raw:
    project = readable_project(call, call.args["key"])
    snapshot = call.services.snapshots.board(project.key)
    return Raw(snapshot.body, etag=snapshot.tag)
