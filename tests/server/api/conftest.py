"""A whole application in this process, on a real SQLite file, asked through Flask's client."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cortex_server import logs
from cortex_server.app import create_app
from cortex_server.config import Config

PORT = 4747
URL = f"http://127.0.0.1:{PORT}"


class Api:
    """Requests with a token, as an ordinary client sends them."""

    def __init__(self, app: Flask, token: str) -> None:
        self.app = app
        self.token = token

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client(use_cookies=False)

    def as_token(self, token: str) -> "Api":
        return Api(self.app, token)

    def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        """One request; `path` begins behind /api unless it begins with a dot: `./events`."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        whole = path[1:] if path.startswith(".") else f"/api{path}"
        if json is not None:
            options["json"] = json
        return self.client.open(whole, method=method, base_url=URL, headers=headers, **options)

    def raw(self, method: str, path: str, body: bytes, **headers: str) -> TestResponse:
        """A request with these very bytes as its JSON body."""
        typed = {"Content-Type": "application/json", **headers}
        return self(method, path, data=body, headers=typed)

    @property
    def head(self) -> int:
        """The newest position of the log: it moves with every change that was stored."""
        head: int = self.app.extensions["cortex"].store.published
        return head

    def make(self, path: str, **body: Any) -> Any:
        """POST that must succeed; its JSON."""
        answer = self("POST", path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def token_for(self, **fields: Any) -> "Api":
        """The same application as another token sees it."""
        return self.as_token(self.make("/tokens", name="t", **fields)["secret"])


def make_api(directory: Path, **settings: Any) -> Api:
    """An application whose files are in the directory."""
    logs.configure()
    config = Config(
        data_dir=directory / "data", database_url=f"sqlite:///{directory / 'cortex.db'}", **settings
    )
    app = create_app(config)
    return Api(app, (directory / "data" / "token").read_text().strip())


def dispose(api: Api) -> None:
    api.app.extensions["cortex"].store.engine.dispose()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an application with the project CTX and the ticket CTX-1, made once."""
    directory = tmp_path_factory.mktemp("template")
    made = make_api(directory)
    made.make("/projects", key="CTX", name="Cortex")
    made.make("/projects/CTX/tickets", title="First")
    dispose(made)
    return directory


@pytest.fixture
def start(tmp_path: Path, template: Path) -> Iterator[Callable[..., Api]]:
    """Start applications on one file, one after the other: `start(body_max_bytes=100)`."""
    started: list[Api] = []
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)

    def make(**settings: Any) -> Api:
        if started:
            dispose(started[-1])
        started.append(make_api(tmp_path, **settings))
        return started[-1]

    yield make
    for api in started:
        dispose(api)


@pytest.fixture
def api(start: Callable[..., Api]) -> Api:
    """An application of the test's own, with the project CTX and the ticket CTX-1."""
    return start()


@pytest.fixture(scope="module")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One application for tests of a module that leave CTX-1 and its project as they are."""
    directory = tmp_path_factory.mktemp("shared")
    shutil.copytree(template, directory, dirs_exist_ok=True)
    one = make_api(directory)
    yield one
    dispose(one)


def is_problem(answer: TestResponse, status: int, code: str | None = None) -> bool:
    """Whether an answer is a whole problem document of this status."""
    body = answer.get_json(force=True, silent=True)
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert {"type", "title", "status", "detail", "code"} <= body.keys()
    assert body["status"] == status
    assert "Traceback" not in answer.text
    assert code in (None, body["code"]), answer.text
    return True
