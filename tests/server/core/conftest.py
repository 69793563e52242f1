"""A ticket, what the log says happened, and streams without a server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from cortex_server.config import Config
from cortex_server.domains import projects, tickets
from cortex_server.events.objects import Project, Ticket
from cortex_server.store import Store
from tests.support.clocks import ManualClock
from tests.support.databases import empty_engine
from tests.support.in_process import InProcess, Reader
from tests.support.stores import ALICE, Do, Happened, doing


@pytest.fixture
def sqlite_store(clock: ManualClock) -> Store:
    return Store(empty_engine("sqlite"), clock)


@pytest.fixture
def ticket(do: Do, project: Project) -> Ticket:
    made: Ticket = do(tickets.create, project, {"title": "One"})
    return made


@pytest.fixture
def make(do: Do, project: Project) -> Do:
    """Create a ticket with these fields."""

    def call(title: str = "x", **fields: Any) -> Any:
        return do(tickets.create, project, {"title": title, **fields})

    return call


@pytest.fixture
def patch(do: Do) -> Do:
    """Change a ticket: patch(ticket, title="New")."""

    def call(ticket: Ticket, revision: int | None = None, **changes: Any) -> Any:
        return do(tickets.patch, ticket, changes, revision)

    return call


@pytest.fixture
def fresh(see: Do) -> Do:
    """The ticket as anybody would read it now."""
    return lambda ref: see(tickets.get, ref)


@pytest.fixture
def happened(store: Store) -> Happened:
    """What happened since the first use, which is when the test names it: put it last."""
    return Happened(store)


class Live(InProcess):
    """Services on SQLite; `do` writes to them."""

    def __init__(self, store: Store, clock: ManualClock, config: Config) -> None:
        super().__init__(store, clock, config)
        self.do = doing(store)

    def project(self, key: str = "CTX") -> Project:
        made: Project = self.do(projects.create, {"key": key, "name": key})
        return made

    def ticket(self, project: Project, title: str = "One", **fields: Any) -> Ticket:
        made: Ticket = self.do(tickets.create, project, {"title": title, **fields})
        return made

    def left_behind(self, project: Project, count: int, **asked: Any) -> Reader:
        """A reader that has stopped reading, and what it missed: this many new tickets."""
        reader = self.open(project.key, **asked)
        reader.pause()
        for _ in range(count):
            self.ticket(project)
            reader.settle()
        return reader

    def retitle(self, key: str, title: str) -> Ticket:
        with self.store.write(ALICE) as tx:
            return tickets.patch(tx, tickets.get(tx, key), {"title": title}, None)


@pytest.fixture
def straight() -> bool:
    """Whether streams that wait are written to in the round itself; modules try both."""
    return False


@pytest.fixture
def make_live(clock: ManualClock, tmp_path: Path, straight: bool) -> Iterator[Callable[..., Live]]:
    """Services with settings: make_live(queue_size=4); their streams are closed with the test."""
    made: list[Live] = []

    def make(**settings: Any) -> Live:
        engine: Engine = empty_engine("sqlite")
        config = Config(data_dir=tmp_path, database_url=str(engine.url), **settings)
        made.append(Live(Store(engine, clock), clock, config))
        made[-1].straight = straight
        return made[-1]

    yield make
    for live in made:
        live.close()


@pytest.fixture
def live(make_live: Callable[..., Live]) -> Live:
    return make_live()
