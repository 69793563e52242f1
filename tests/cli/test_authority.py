"""CORTEX_CA_FILE: a server behind a proxy whose certificate a private authority signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex_cli.context import App
from cortex_cli.sdk import Connected
from tests.cli.conftest import Cortex
from tests.support.server import Server, free_port
from tests.support.tls import Authority, TlsProxy
from tests.support.workplace import RunnerProcess, Workplace


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """In place of the one that answers only under its own port."""
    port = free_port()
    running = Server(tmp_path_factory.mktemp("shared"), allowed_hosts=f"127.0.0.1:{port}")
    yield running.start()
    running.kill()


@pytest.fixture(scope="module")
def proxy(shared_server: Server, authority: Authority) -> Iterator[TlsProxy]:
    port = int(shared_server.env["CORTEX_ALLOWED_HOSTS"].rpartition(":")[2])
    with TlsProxy(authority, port, shared_server.port) as running:
        yield running


@pytest.fixture(autouse=True)
def behind(here: Server, proxy: TlsProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_URL", proxy.url)


def test_calls_and_streams_trust_who_is_named(
    cortex: Cortex, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(authority.ca.parent)
    monkeypatch.setenv("CORTEX_CA_FILE", authority.ca.name)
    assert cortex("project", "create", "TLS").code == 0
    assert cortex("up", "--detach").code == 0  # it is there already
    with App().connect() as client, client.events(retries=0) as stream:
        monkeypatch.chdir("/")  # the directory of before is still meant
        assert isinstance(next(stream), Connected)


@pytest.mark.parametrize(
    "words", [("project", "list"), ("up", "--detach"), ("runner", "--agent", "a=command:true")],
    ids=" ".join,
)  # fmt: skip
def test_without_it_the_server_gets_no_token_and_the_setting_is_named(
    cortex: Cortex, proxy: TlsProxy, words: tuple[str, ...]
) -> None:
    before = proxy.trusted
    ran = cortex(*words)
    assert ran.code == 3
    assert proxy.trusted == before
    assert f"Cannot reach Cortex at {proxy.url}: its certificate is refused" in ran.err
    assert "CORTEX_CA_FILE" in ran.err
    assert "cortex serve" not in ran.err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nothing.pem", "no such file"),
        ("empty.pem", "BEGIN CERTIFICATE"),
        ("leaf.key", "BEGIN CERTIFICATE"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    cortex: Cortex, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    (authority.ca.parent / "empty.pem").touch()
    path = authority.ca.parent / name
    monkeypatch.setenv("CORTEX_CA_FILE", str(path))
    ran = cortex("project", "list")
    assert ran.code == 2
    assert f"(CORTEX_CA_FILE) {path} " in ran.err
    assert told in ran.err


@pytest.mark.e2e
def test_a_runner_and_the_cortex_of_its_agents_trust_it_as_well(
    shared_server: Server, proxy: TlsProxy, authority: Authority, tmp_path: Path
) -> None:
    place = Workplace(shared_server, tmp_path, key="RUN")
    place.server.env["CORTEX_CA_FILE"] = str(authority.ca)
    try:
        agent = place.agent("talks", 'cortex comment add "said over $CORTEX_URL"')
        runner = RunnerProcess(place, "tls", [agent], "--project", "run", url=proxy.url)
        try:
            attempt = place.attempt("talks")
            place.wait_for_status(attempt, "succeeded")
        finally:
            runner.kill()
    finally:
        del place.server.env["CORTEX_CA_FILE"]
    comments = place.server.api("GET", f"/tickets/{attempt['ticket']}/comments").json()["items"]
    assert f"said over {proxy.url}" in [comment["body"] for comment in comments]
