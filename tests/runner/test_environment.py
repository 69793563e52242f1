"""What an agent finds around itself: listed variables, a private home, its own token only."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from cortex_cli.runner.environment import Access, Environment, discard, prepare
from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.group import Group
from tests.support.server import Server

OWNERS = "ctx_the-token-of-the-owner"
RUNNERS = {
    "PATH": f"{os.environ['PATH']}:.::node_modules/.bin",
    "HOME": "/home/owner",
    "XDG_DATA_HOME": "/home/owner/.local/share",
    "LANG": "de_DE.UTF-8",
    "LC_TIME": "C",
    "TZ": "Europe/Berlin",
    "HTTPS_PROXY": "http://proxy:3128",
    "SSL_CERT_FILE": "/etc/ssl/own.pem",
    "CORTEX_TOKEN": OWNERS,
    "CORTEX_DATABASE_URL": "postgresql://u:p@h/d",
    "SSH_AUTH_SOCK": "/run/agent",
    "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
    "MODEL_KEY": "secret-of-the-model",
    "SHORT": "1",
    "COPY_OF_IT": f"Bearer {OWNERS}",
    "LD_PRELOAD": "/evil.so",
}
ACCESS = Access(
    url="http://127.0.0.1:4747",
    token="ctx_the-token-of-the-attempt",
    project="CTX",
    ticket="CTX-12",
    session="s-1",
    attempt="a-1",
)


def prepared(tmp_path: Path, *names: str, agent: str = "opencode") -> Environment:
    return prepare(tmp_path / "homes", ACCESS, agent=agent, names=names, environ=RUNNERS)


def test_only_what_is_listed_passes(tmp_path: Path) -> None:
    values = dict(prepared(tmp_path).values)
    home = tmp_path / "homes" / "a-1"
    path = values.pop("PATH").split(":")
    assert path[0] == str(home / "bin")
    assert path[1:] == [entry for entry in os.environ["PATH"].split(":") if os.path.isabs(entry)]
    assert values == {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "LANG": "de_DE.UTF-8",
        "LC_TIME": "C",
        "TZ": "Europe/Berlin",
        "TERM": "dumb",
        "HTTPS_PROXY": "http://proxy:3128",
        "SSL_CERT_FILE": "/etc/ssl/own.pem",
        "GIT_TERMINAL_PROMPT": "0",
        "CORTEX_URL": "http://127.0.0.1:4747",
        "CORTEX_TOKEN": "ctx_the-token-of-the-attempt",
        "CORTEX_PROJECT": "CTX",
        "CORTEX_TICKET": "CTX-12",
        "CORTEX_SESSION": "s-1",
        "CORTEX_ATTEMPT": "a-1",
    }


def test_a_profile_names_more_but_never_what_is_the_owners(tmp_path: Path) -> None:
    asked = ("MODEL_KEY", "SHORT", "CORTEX_TOKEN", "CORTEX_DATABASE_URL", "HOME", "PATH",
             "XDG_DATA_HOME", "COPY_OF_IT", "NOT_THERE", "A=B")  # fmt: skip
    found = prepared(tmp_path, *asked)
    plain = prepared(tmp_path)
    more = {"MODEL_KEY": "secret-of-the-model", "SHORT": "1"}
    assert found.values == {**plain.values, **more}
    assert found.refused == (
        "COPY_OF_IT", "CORTEX_DATABASE_URL", "CORTEX_TOKEN", "HOME", "PATH", "XDG_DATA_HOME",
    )  # fmt: skip
    assert OWNERS not in repr(found.values.values())


def test_a_withheld_value_passes_under_no_name(tmp_path: Path) -> None:
    found = prepare(
        tmp_path / "homes", ACCESS, agent="x", names=["MODEL_KEY"], environ=RUNNERS,
        withheld=["secret-of-the-model"],
    )  # fmt: skip
    assert "MODEL_KEY" not in found.values


def test_secrets_are_known_for_redaction_and_shown_nowhere(tmp_path: Path) -> None:
    found = prepared(tmp_path, "MODEL_KEY", "SHORT")
    assert found.secrets == (ACCESS.token, "secret-of-the-model")
    for shown in (repr(found), repr(ACCESS)):
        assert ACCESS.token not in shown
        assert "secret-of-the-model" not in shown


def test_the_home_is_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        home = prepared(tmp_path).home
    finally:
        os.umask(old)
    directories = [home.parent, home, *(path for path in home.rglob("*") if path.is_dir())]
    assert len(directories) == 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o700}
    (tmp_path / "homes" / "a-1").chmod(0o755)
    assert stat.S_IMODE(prepared(tmp_path).home.stat().st_mode) == 0o700


@pytest.mark.parametrize("attempt", ["..", "a/b", "", "a\n", "x" * 65])
def test_an_id_never_leads_out_of_the_homes(tmp_path: Path, attempt: str) -> None:
    access = Access("http://x", "t", "CTX", "CTX-1", None, attempt)
    with pytest.raises(RunnerError, match="no id"):
        prepare(tmp_path / "homes", access, agent="x", environ={})
    assert not (tmp_path / "homes").exists()


def test_a_link_in_place_of_a_home_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "homes").mkdir()
    (tmp_path / "homes" / "a-1").symlink_to(elsewhere)
    with pytest.raises(RunnerError, match="cannot be made private"):
        prepared(tmp_path)
    assert list(elsewhere.iterdir()) == []


def test_commits_have_an_author_and_the_repositorys_own_goes_first(tmp_path: Path) -> None:
    agent = 'Open"Code\n[core]\tpager = "evil" \\ <x>'
    environ = dict(prepared(tmp_path, agent=agent).values)
    repository = tmp_path / "repository"

    def git(*arguments: str) -> str:
        argv = ["git", "-C", str(repository), *arguments]
        run = subprocess.run(argv, env=environ, check=True, capture_output=True, text=True)
        return run.stdout.strip()

    repository.mkdir()
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "one")
    author = git("log", "-1", "--format=%an <%ae>")
    assert author == "OpenCode[core]pager = evil  x <opencode-core-pager---evil--x@cortex.invalid>"
    git("config", "user.name", "The Owner")
    git("commit", "-q", "--allow-empty", "-m", "two")
    assert git("log", "-1", "--format=%an") == "The Owner"


def test_a_home_is_discarded_with_what_is_read_only_in_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    home = prepared(tmp_path).home
    (home / "cache" / "modules").mkdir()
    (home / "cache" / "modules" / "file").write_text("x")
    (home / "cache" / "modules").chmod(0o500)
    (home / "link").symlink_to(outside)
    discard(home)
    assert not home.exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500
    discard(home)


@pytest.mark.slow
@pytest.mark.e2e
def test_an_agents_shell_has_a_working_cortex_and_never_the_owners_token(
    shared_server: Server, tmp_path: Path
) -> None:
    # Arrange: the token file lies where the owner's is, for the second call to find
    shared_server.make("/projects", key="env", name="Environment")
    secret = shared_server.make("/tokens", name="agent", role="read")["secret"]
    access = Access(shared_server.url, secret, "env", "env-1", None, "a-2")
    runners = {**os.environ, "CORTEX_TOKEN": shared_server.token}
    found = prepare(tmp_path / "homes", access, agent="sh", environ=runners)
    data = tmp_path / "data" / "cortex"
    data.mkdir(parents=True, mode=0o700)
    (data / "token").write_text(shared_server.token)
    (data / "token").chmod(0o600)

    # Act
    again = f"unset CORTEX_TOKEN; XDG_DATA_HOME={data.parent} cortex project list"
    script = f"command -v cortex; cortex project list; {again}"
    with Group("a-2") as group:
        child = group.popen(["sh", "-c", script], cwd=tmp_path, environ=found.values)
        out, err = child.stdout.read().decode(), child.stderr.read().decode()
        code = child.wait(20)
        child.close()

    # Assert
    assert out.splitlines()[0] == str(found.home / "bin" / "cortex")
    assert out.count("Environment") == 1
    assert "never the token file" in err
    assert code == 4
