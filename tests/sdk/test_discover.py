"""Where the server and the token come from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cortex_cli.sdk import DEFAULT_URL, BadAddress, NoToken, discover, token_path
from tests.support import needs


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "cortex" / "token"
    path.parent.mkdir(mode=0o700)
    path.write_text("from-file\n")
    path.chmod(0o600)
    return path


def test_the_token_file_is_used_without_a_variable(token_file: Path, tmp_path: Path) -> None:
    found = discover({"XDG_DATA_HOME": str(tmp_path)})
    assert (found.url, found.token, found.source) == (DEFAULT_URL, "from-file", str(token_file))
    assert found.warnings == ()


def test_the_variable_goes_before_the_file(token_file: Path, tmp_path: Path) -> None:
    environ = {"XDG_DATA_HOME": str(tmp_path), "CORTEX_TOKEN": "from-env", "CORTEX_TICKET": "CTX-1"}
    found = discover({**environ, "CORTEX_URL": "http://localhost:1/"})
    assert (found.url, found.token, found.source) == (
        "http://localhost:1",
        "from-env",
        "CORTEX_TOKEN",
    )


@pytest.mark.parametrize("token", [None, "", "  "])
def test_an_agent_never_falls_back_to_the_token_file(token_file, tmp_path, token) -> None:
    environ = {"XDG_DATA_HOME": str(tmp_path), "CORTEX_TICKET": "CTX-1"}
    if token is not None:
        environ["CORTEX_TOKEN"] = token
    with pytest.raises(NoToken, match="never the token file") as caught:
        discover(environ)
    assert caught.value.exit_code == 4


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoToken, match="cortex serve"):
        discover({"XDG_DATA_HOME": str(tmp_path)})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_warned_about(token_file, tmp_path, mode) -> None:
    token_file.chmod(mode)
    (warning,) = discover({"XDG_DATA_HOME": str(tmp_path)}).warnings
    assert "chmod 600" in warning
    assert "from-file" not in warning


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_used(token_file, tmp_path, mode) -> None:
    token_file.chmod(mode)
    with pytest.raises(NoToken, match="chmod 600"):
        discover({"XDG_DATA_HOME": str(tmp_path)})


def test_a_file_of_another_user_is_not_used(token_file: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        needs.missing("only root can give a file away")
    os.chown(token_file, 12345, 12345)
    with pytest.raises(NoToken):
        discover({"XDG_DATA_HOME": str(tmp_path)})


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe", b"x" * 5000])
def test_a_file_without_a_token_is_not_used(token_file, tmp_path, content) -> None:
    token_file.write_bytes(content)
    with pytest.raises(NoToken) as caught:
        discover({"XDG_DATA_HOME": str(tmp_path)})
    assert "two words" not in str(caught.value)


def test_a_directory_in_place_of_the_file_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "cortex" / "token").mkdir(parents=True)
    with pytest.raises(NoToken, match="cannot be read"):
        discover({"XDG_DATA_HOME": str(tmp_path)})


def test_the_token_is_not_in_the_repr(token_file: Path, tmp_path: Path) -> None:
    assert "from-file" not in repr(discover({"XDG_DATA_HOME": str(tmp_path)}))


def test_the_default_place_is_the_users_data_directory() -> None:
    assert token_path({}).parts[-2:] == ("cortex", "token")
    assert token_path({"XDG_DATA_HOME": ""}) == token_path({})


def test_a_server_with_a_data_directory_of_its_own_puts_the_token_there(tmp_path: Path) -> None:
    environ = {"CORTEX_DATA_DIR": str(tmp_path), "XDG_DATA_HOME": "/elsewhere"}
    assert token_path(environ) == tmp_path / "token"


@pytest.mark.parametrize(
    "environ,url",
    [
        ({}, "http://127.0.0.1:4747"),
        ({"CORTEX_PORT": "5000"}, "http://127.0.0.1:5000"),
        ({"CORTEX_PORT": "0"}, "http://127.0.0.1:4747"),
        ({"CORTEX_PORT": "x@evil"}, "http://127.0.0.1:4747"),
        ({"CORTEX_PORT": "5000", "CORTEX_URL": "https://c.example"}, "https://c.example"),
    ],
)
def test_the_server_is_here_at_its_own_port_unless_named(environ, url) -> None:
    assert discover({"CORTEX_TOKEN": "t", **environ}).url == url


def test_a_bad_address_is_refused() -> None:
    with pytest.raises(BadAddress, match="CORTEX_URL"):
        discover({"CORTEX_URL": "localhost:4747", "CORTEX_TOKEN": "t"})


@pytest.mark.parametrize(
    "url,warned",
    [
        ("http://127.0.0.1:4747", False),
        ("http://[::1]:4747", False),
        ("http://localhost", False),
        ("https://cortex.example", False),
        ("http://cortex.example", True),
        ("http://10.0.0.1", True),
    ],
)
def test_a_token_in_plain_text_on_a_network_is_warned_about(url: str, warned: bool) -> None:
    found = discover({"CORTEX_URL": url, "CORTEX_TOKEN": "t"})
    assert bool(found.warnings) is warned
