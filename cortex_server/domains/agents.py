"""Agents: the programs that can work, as runners have offered them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select

from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import agents, runners
from cortex_server.domains import pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import bump, differences
from cortex_server.errors import NotFound
from cortex_server.events.work import Agent
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

_BY_NAME = Statement(select(agents).where(agents.c.name == bindparam("name")))
_OFFERS = Statement(select(runners.c.name, runners.c.agents).order_by(runners.c.name))


def get(tx: ReadTx, name: str) -> Agent:
    agent = find(tx, name)
    if agent is None:
        raise NotFound(f"There is no agent {name}; `cortex agent list` shows them.")
    return agent


def find(tx: ReadTx, name: str) -> Agent | None:
    row = _BY_NAME.one_or_none(tx.conn, name=name)
    return None if row is None else _agent(row, _offers(tx))


def names(tx: ReadTx) -> list[str]:
    """The names of all, sorted."""
    return list(tx.conn.scalars(select(agents.c.name).order_by(agents.c.name)))


def listing(tx: ReadTx, limit: int, cursor: str | None) -> Listing[Agent]:
    """Agents by name."""
    query = select(agents).order_by(agents.c.name).limit(limit + 1)
    if after := pages.decode(cursor, str):
        query = query.where(agents.c.name > after[0])
    rows = tx.conn.execute(query).all()
    offers = _offers(tx)
    return pages.page(
        rows, limit, lambda row: _agent(row, offers), lambda row: pages.encode(row.name)
    )


def offered(tx: WriteTx, offers: Sequence[dict[str, Any]], before: Sequence[Agent]) -> None:
    """Note what a runner offers: each a name, an adapter and capabilities.

    The runner's own row is written already. before: the agents that it or its earlier offer
    names, as they were before that. Emits agent.registered for each that is new or changed.
    """
    fields = {offer["name"]: offer for offer in offers}
    known = {agent.name: agent for agent in before}
    for name in sorted(fields.keys() | known.keys()):
        wanted = {key: value for key, value in fields.get(name, {}).items() if key != "name"}
        agent = known.get(name)
        if agent is None:
            _insert(tx, name, wanted)
        elif (changed := differences(agent, wanted)) or agent.runners != _offers(tx).get(name, []):
            bump(tx, agents, agent.id, agent, changed)
        else:
            continue
        tx.emit("agent.registered", get(tx, name))


def of_names(tx: ReadTx, wanted: Sequence[str]) -> list[Agent]:
    """Those of these agents that are known."""
    found = (find(tx, name) for name in sorted(set(wanted)))
    return [agent for agent in found if agent is not None]


def _insert(tx: WriteTx, name: str, fields: dict[str, Any]) -> None:
    stamps = {"revision": 1, "created_at": tx.now, "updated_at": tx.now}
    insertion(agents).run(tx.conn, id=new_id(), name=name, **fields, **stamps)


def _offers(tx: ReadTx) -> dict[str, list[str]]:
    """The names of the runners that offer each agent, there or not; sorted."""
    found: dict[str, list[str]] = {}
    for row in _OFFERS.all(tx.conn):
        for agent in row.agents:
            found.setdefault(agent, []).append(row.name)
    return found


def _agent(row: Any, offers: dict[str, list[str]]) -> Agent:
    return Agent.model_validate({**row._asdict(), "runners": offers.get(row.name, [])})
