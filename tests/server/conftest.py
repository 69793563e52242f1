"""A store on each database, and domain functions called on it."""

import pytest

from cortex_server.domains import projects
from cortex_server.events.objects import Project
from cortex_server.store import Store
from tests.support.clocks import ManualClock
from tests.support.databases import empty_engine
from tests.support.stores import Do, doing, seeing


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, clock: ManualClock) -> Store:
    """An empty store; the tests that take it are the contract of both databases."""
    return Store(empty_engine(request.param), clock)


@pytest.fixture
def do(store: Store) -> Do:
    """Call a domain function in a write transaction of its own: do(tickets.create, project, {})."""
    return doing(store)


@pytest.fixture
def see(store: Store) -> Do:
    """Call a domain function in a read transaction."""
    return seeing(store)


@pytest.fixture
def project(do: Do) -> Project:
    made: Project = do(projects.create, {"key": "CTX", "name": "Cortex"})
    return made
