"""The dashboard: counts of all projects."""

from typing import Any

from cortex_server.api.endpoint import Read, Routes
from cortex_server.api.schemas import Overview

routes = Routes("dashboard")


@routes.get("/dashboard", summary="Count what is where, in every project.", answer=Overview)
def show(call: Read) -> dict[str, Any]:
    return call.services.snapshots.dashboard(call.grant).body
