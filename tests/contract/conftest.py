"""The contract holds on both databases: with one process, and with several that share one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import empty_postgres
from tests.support.postgres import server_on
from tests.support.server import Server

KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def _servers(kind: str, directory: Path) -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def make(**settings: Any) -> Server:
            place = directory / f"server-{len(list(directory.iterdir()))}"
            if kind == "sqlite":
                place.mkdir()
                server = Server(place, **settings)
            else:
                server = server_on(stack.enter_context(empty_postgres()), place, **settings)
            stack.callback(server.kill)
            return server.start()

        yield make


@pytest.fixture(params=KINDS)
def make_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Server]]:
    yield from _servers(request.param, tmp_path_factory.mktemp("servers"))


@pytest.fixture(scope="module", params=KINDS)
def shared_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    for make in _servers(request.param, tmp_path_factory.mktemp("shared")):
        yield make()
