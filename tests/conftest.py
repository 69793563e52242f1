"""Fixtures for every folder: no test sees the developer's own settings, and a real server."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start programs or are slow come first: no worker is left with one at the end."""
    marks = ("e2e", "browser", "slow")
    early = {item.path for item in items if any(map(item.get_closest_marker, marks))}
    items.sort(key=lambda item: item.path not in early)


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CORTEX_")]:
        if not name.startswith("CORTEX_TEST_"):
            monkeypatch.delenv(name)
    for kind in ("DATA", "CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers with settings: `make_server(heartbeat_s=1)`; all are ended with the test."""
    servers: list[Server] = []

    def make(**settings: Any) -> Server:
        directory = tmp_path / f"server-{len(servers)}"
        directory.mkdir()
        servers.append(Server(directory, **settings))
        return servers[-1].start()

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """A fresh server with default settings."""
    return make_server()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module; use a project of your own in it."""
    running = Server(tmp_path_factory.mktemp("shared")).start()
    yield running
    running.kill()  # a clean end takes over a second, and has tests of its own
