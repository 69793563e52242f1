"""Run `cortex` in this process: as a user would, but in milliseconds."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cortex_cli.main import run
from tests.support.server import Server


@dataclass(frozen=True)
class Result:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cortex = Callable[..., Result]


@pytest.fixture
def cortex(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cortex:
    """Run one command line: `cortex("ticket", "list", stdin="…")`."""

    def invoke(*arguments: object, stdin: str | bytes = b"") -> Result:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "utf-8"))
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return invoke


@pytest.fixture
def use_server(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], Server]:
    """Point the commands of this process at a server."""

    def use(server: Server) -> Server:
        monkeypatch.setenv("CORTEX_URL", server.url)
        monkeypatch.setenv("CORTEX_TOKEN", server.token)
        return server

    return use


@pytest.fixture
def here(use_server: Callable[[Server], Server], shared_server: Server) -> Server:
    """The module's server, which the commands of this process use."""
    return use_server(shared_server)


_numbers: Iterator[int] = iter(range(1, 1_000_000))


@pytest.fixture
def project(here: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new project, which the commands of this process are about."""
    key = f"P{next(_numbers)}"
    here.make("/projects", key=key, name=key)
    monkeypatch.setenv("CORTEX_PROJECT", key)
    return key
