"""A store on each database, a project with a ticket in it, and what the log says happened."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cortex_server import log
from cortex_server.domains import projects, tickets
from cortex_server.events.objects import Actor, Project, Ticket
from cortex_server.store import Store
from tests.support.clocks import ManualClock
from tests.support.databases import empty_engine

ALICE = Actor(kind="user", name="alice")
BOB = Actor(kind="agent", name="bob")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, clock: ManualClock) -> Store:
    return Store(empty_engine(request.param), clock)


@pytest.fixture
def project(store) -> Project:
    with store.write(ALICE) as tx:
        return projects.create(tx, {"key": "CTX", "name": "Cortex"})


@pytest.fixture
def ticket(store, project) -> Ticket:
    with store.write(ALICE) as tx:
        return tickets.create(tx, project, {"title": "Build it"})


@pytest.fixture
def other_ticket(store, project, ticket) -> Ticket:
    with store.write(ALICE) as tx:
        return tickets.create(tx, project, {"title": "Build that"})


class Happened:
    """Called: the events since the last call, after checking that none is missing in between."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cursor = self._head()
        self.seqs: dict[str, int] = {}

    def __call__(self) -> list[dict[str, Any]]:
        with self.store.read() as tx:
            events = log.after(tx.conn, self.cursor).events
        positions = [event.position for event in events]
        assert positions == list(range(self.cursor + 1, self.cursor + 1 + len(events)))
        self.cursor += len(events)
        for event in events:
            if event.project:
                before = self.seqs.get(event.project, (event.seq or 0) - 1)
                assert event.seq == before + 1
                self.seqs[event.project] = event.seq
        return [json.loads(event.data) for event in events]

    def types(self) -> list[str]:
        return [event["type"] for event in self()]

    def one(self) -> dict[str, Any]:
        (event,) = self()
        return event

    def _head(self) -> int:
        with self.store.read() as tx:
            return log.state(tx.conn).head


@pytest.fixture
def happened(store, ticket, other_ticket) -> Happened:
    """What happened since the project and its two tickets were made."""
    return Happened(store)


Do = Callable[..., Any]


@pytest.fixture
def do(store) -> Do:
    """Call a domain function in a write transaction of its own: do(comments.add, ticket, {...})."""

    def call(verb: Do, *arguments: Any, actor: Actor = ALICE, **named: Any) -> Any:
        with store.write(actor) as tx:
            return verb(tx, *arguments, **named)

    return call


@pytest.fixture
def see(store) -> Do:
    """Call a domain function in a read transaction."""

    def call(verb: Do, *arguments: Any, **named: Any) -> Any:
        with store.read() as tx:
            return verb(tx, *arguments, **named)

    return call
