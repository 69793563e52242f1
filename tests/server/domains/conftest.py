"""A project with two tickets in it, and what the log says happened since."""

import pytest

from cortex_server.domains import tickets
from cortex_server.events.objects import Project, Ticket
from cortex_server.store import Store
from tests.support.stores import Do, Happened


@pytest.fixture
def ticket(do: Do, project: Project) -> Ticket:
    made: Ticket = do(tickets.create, project, {"title": "Build it"})
    return made


@pytest.fixture
def other_ticket(do: Do, project: Project, ticket: Ticket) -> Ticket:
    made: Ticket = do(tickets.create, project, {"title": "Build that"})
    return made


@pytest.fixture
def happened(store: Store, ticket: Ticket, other_ticket: Ticket) -> Happened:
    """What happened since the project and its two tickets were made."""
    return Happened(store)
