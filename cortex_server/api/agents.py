"""Agents: what runners offer."""

from cortex_server.api.endpoint import Read, Routes
from cortex_server.api.fields import PageQuery
from cortex_server.domains import agents
from cortex_server.domains.pages import Listing
from cortex_server.events.work import Agent

routes = Routes("agents")


@routes.get(
    "/agents", summary="List the agents that runners have offered, by name.", answer=Agent,
    many=True, query=PageQuery,
)  # fmt: skip
def listing(call: Read) -> Listing[Agent]:
    return agents.listing(call.tx, call.query.limit, call.query.cursor)


@routes.get("/agents/<name>", summary="Show an agent.", answer=Agent)
def show(call: Read) -> Agent:
    return agents.get(call.tx, call.args["name"])
