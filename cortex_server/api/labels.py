"""Labels of a project."""

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    Body,
    Color,
    LabelName,
    PageQuery,
    RevisedBody,
    RevisionQuery,
    SmallInt,
    absent,
)
from cortex_server.api.rights import readable_project, writable_project
from cortex_server.domains import labels
from cortex_server.domains.pages import Listing
from cortex_server.events.objects import Label

routes = Routes("labels")


class NewLabel(Body):
    name: LabelName
    color: Color | None = absent()
    priority: SmallInt = absent()


class LabelChange(RevisedBody):
    name: LabelName = absent()
    color: Color | None = absent()
    priority: SmallInt = absent()


@routes.get(
    "/projects/<key>/labels", summary="List a project's labels.", answer=Label, many=True,
    query=PageQuery,
)  # fmt: skip
def listing(call: Read) -> Listing[Label]:
    project = readable_project(call, call.args["key"])
    return labels.listing(call.tx, project.key, call.query.limit, call.query.cursor)


@routes.post(
    "/projects/<key>/labels", summary="Create a label.", body=NewLabel, answer=Label,
    location=lambda label: f"/api/labels/{label.id}",
)  # fmt: skip
def create(call: Write) -> Label:
    return labels.create(call.tx, writable_project(call, call.args["key"]).key, call.given)


@routes.get("/labels/<id>", summary="Show a label.", answer=Label)
def show(call: Read) -> Label:
    label = labels.get(call.tx, call.args["id"])
    call.grant.check_read(label.project)
    return label


@routes.patch(
    "/labels/<id>", summary="Change a label; its new name shows on every ticket.",
    body=LabelChange, answer=Label,
)  # fmt: skip
def patch(call: Write) -> Label:
    return labels.patch(call.tx, _writable(call), call.given, call.revision)


@routes.delete("/labels/<id>", summary="Delete a label; tickets lose it.", query=RevisionQuery)
def delete(call: Write) -> None:
    labels.delete(call.tx, _writable(call), call.revision)


def _writable(call: Write) -> Label:
    label = labels.get(call.tx, call.args["id"])
    call.grant.check_write(label.project)
    return label
