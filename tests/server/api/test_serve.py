"""`python -m cortex_server`: the commands, up to where the server binds."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from cortex_server.__main__ import main
from cortex_server.config import ConfigError


def run(*arguments):
    return CliRunner().invoke(main, arguments, catch_exceptions=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_binding_beyond_loopback_is_refused(host, monkeypatch):
    monkeypatch.setenv("CORTEX_HOST", host)

    result = run("serve")

    assert isinstance(result.exception, ConfigError)
    assert "CORTEX_ALLOW_REMOTE=1" in str(result.exception)


def test_a_refusal_is_one_line_and_no_traceback():
    refused = subprocess.run(
        [sys.executable, "-m", "cortex_server", "serve", "--host", "0.0.0.0"],
        check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip

    assert refused.returncode == 1
    assert refused.stderr.startswith("cortex: Other machines could reach this server at 0.0.0.0.")
    assert len(refused.stderr.splitlines()) == 1


def test_the_pages_of_the_documentation_are_printed():
    assert run("docs", "events").output.startswith("# Events\n")
    assert run("docs", "api").output.startswith("# REST API\n")


def test_a_database_is_made_by_upgrade_and_looked_at_by_the_others():
    missing = run("db", "check")
    assert isinstance(missing.exception, ConfigError)

    assert "was brought from nothing to" in run("db", "upgrade").output
    checked = run("db", "check")
    assert (checked.exit_code, "head 0" in checked.output) == (0, True)
    assert len(run("db", "epoch").output.strip()) == 8
