"""Settings of the server and of a project."""

from typing import Annotated, Any

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import RevisedBody
from cortex_server.api.rights import readable_project, writable_project
from cortex_server.domains import settings
from cortex_server.events.objects import Settings

routes = Routes("settings")


class SettingsChange(RevisedBody):
    """Only what is named changes; null puts a setting back to its default."""

    values: Annotated[dict[str, Any], Field(max_length=200)]


@routes.get("/settings", summary="Show the server's settings.", answer=Settings, access="admin")
def show(call: Read) -> Settings:
    return settings.get(call.tx, None, call.services.config)


@routes.patch(
    "/settings", summary="Change settings of the server.", body=SettingsChange, answer=Settings,
    access="admin",
)  # fmt: skip
def patch(call: Write) -> Settings:
    values = call.given["values"]
    return settings.patch(call.tx, None, values, call.revision, call.services.config)


@routes.get("/projects/<key>/settings", summary="Show a project's settings.", answer=Settings)
def of_project(call: Read) -> Settings:
    return settings.get(call.tx, readable_project(call, call.args["key"]).key)


@routes.patch(
    "/projects/<key>/settings", summary="Change a project's settings.", body=SettingsChange,
    answer=Settings,
)  # fmt: skip
def patch_project(call: Write) -> Settings:
    project = writable_project(call, call.args["key"])
    return settings.patch(call.tx, project.key, call.given["values"], call.revision)
