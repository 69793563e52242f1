"""`cortex up`, `down` and `serve` as processes: from nothing to a board, and back."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cortex_cli import local_server
from tests.support.server import Server, wait_for

pytestmark = pytest.mark.e2e

DEADLINE_S = 30.0


class Machine:
    """A user's machine on which nothing runs yet."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.home.mkdir()
        self.repository = directory / "a\nrepo"  # no name for a project, as it is
        (self.repository / ".git").mkdir(parents=True)
        self.server = Server(self.home)  # never started: only its port and its environment
        self.state = self.home / "state" / "cortex"
        self.pid_file = self.state / f"server-{self.server.port}.pid"

    def run(
        self, *words: object, cwd: Path | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cortex_cli", *map(str, words)], cwd=cwd or self.repository,
            env={**self.server.env, **environ}, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip

    def is_up(self) -> bool:
        return local_server.is_ready(self.server.url)

    def pid(self) -> int:
        return int(self.pid_file.read_text().split()[0])


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    assert machine.run("down").returncode == 0


def test_without_a_terminal_it_makes_a_project_prints_the_board_and_leaves_nothing_running(
    machine: Machine,
) -> None:
    ran = machine.run("up")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("A-REPO")
    assert "Made project A-REPO" in ran.stderr
    assert not machine.is_up()
    assert not machine.pid_file.exists()
    again = machine.run("up")
    assert again.returncode == 0
    assert "Made project" not in again.stderr


def test_a_server_in_the_background_is_private_detached_and_stopped_by_down(
    machine: Machine,
) -> None:
    ran = machine.run("up", "--detach")
    assert ran.returncode == 0, ran.stderr
    assert f"goes on in the background at {machine.server.url}" in ran.stderr
    assert machine.is_up()
    pid = machine.pid()
    assert os.getsid(pid) == pid
    for name in os.listdir(f"/proc/{pid}/fd")[:3]:
        assert not os.readlink(f"/proc/{pid}/fd/{name}").startswith("pipe:")
    log = machine.state / f"server-{machine.server.port}.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600

    second = machine.run("up")  # it runs: nothing is started, and nothing stopped
    assert second.returncode == 0
    assert machine.pid() == pid
    assert f"process  {pid}" in machine.run("status").stdout

    down = machine.run("down")
    assert (down.returncode, down.stderr) == (0, "The server has stopped.\n")
    assert not Path(f"/proc/{pid}").exists()
    assert machine.run("down").stderr == "The server is not running.\n"


def test_several_at_once_start_one_server(machine: Machine) -> None:
    words = [sys.executable, "-m", "cortex_cli", "up", "--detach"]
    started = [
        subprocess.Popen(
            words, env=machine.server.env, cwd=machine.repository, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    told = [process.communicate(timeout=DEADLINE_S)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert sum("goes on in the background" in text for text in told) == 1
    assert machine.is_up()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(machine: Machine) -> None:
    ran = machine.run("up", CORTEX_HEARTBEAT_S="soon")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "The end of" in ran.stderr
    assert "CORTEX_HEARTBEAT_S" in ran.stderr
    assert not machine.pid_file.exists()


def test_down_never_stops_a_stranger(machine: Machine) -> None:
    machine.state.mkdir(parents=True)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        for began in ("0", "not a number"):
            machine.pid_file.write_text(f"{stranger.pid}\n{began}\n")
            assert machine.run("down").stderr == "The server is not running.\n"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_down_leaves_a_server_that_up_did_not_start(machine: Machine, server: Server) -> None:
    ran = machine.run("--url", server.url, "down")
    assert ran.returncode == 1
    assert "did not start" in ran.stderr
    assert local_server.is_ready(server.url)


def test_a_repository_cannot_bring_its_own_server(machine: Machine) -> None:
    evil = machine.repository / "cortex_server"
    evil.mkdir()
    (evil / "__init__.py").write_text("")
    (evil / "__main__.py").write_text(f"open({str(machine.home / 'pwned')!r}, 'w')")
    assert machine.run("up", "-d").returncode == 0
    assert not (machine.home / "pwned").exists()


def test_only_a_server_on_this_machine_can_be_started(machine: Machine) -> None:
    ran = machine.run("--url", "http://192.0.2.1:9", "up", CORTEX_TOKEN="x")
    assert ran.returncode == 3


def test_serve_runs_in_the_foreground_with_the_given_port(machine: Machine) -> None:
    words = [sys.executable, "-m", "cortex_cli", "serve", "--port", str(machine.server.port)]
    environ = {k: v for k, v in machine.server.env.items() if k != "CORTEX_PORT"}
    serving = subprocess.Popen(words, env=environ, stderr=subprocess.DEVNULL)
    try:
        wait_for(machine.is_up, "the server is ready")
    finally:
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(DEADLINE_S) == 0


def test_the_demo_without_a_terminal_shows_work_and_is_gone_afterwards(machine: Machine) -> None:
    assert machine.run("up", "-d").returncode == 0
    ran = machine.run("up", "--demo")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("DEMO")
    assert "DEMO-1" in ran.stdout
    projects = json.loads(machine.run("project", "list", "--json").stdout)
    assert [project["key"] for project in projects] == []
    tokens = json.loads(machine.run("token", "list", "--json").stdout)
    assert [token["name"] for token in tokens if not token["revoked_at"]] == ["local"]


def in_a_terminal(machine: Machine, *words: str) -> tuple[int, int]:
    """Start `cortex` on a terminal of its own; return its process id and our end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(machine.repository)
        os.execve(
            sys.executable, [sys.executable, "-m", "cortex_cli", *words],
            {**machine.server.env, "TERM": "xterm-256color"},
        )  # fmt: skip
    return pid, terminal


def read_until(terminal: int, condition: Callable[[bytes], bool]) -> bytes:
    """Read what is drawn until it satisfies, or until the other end is closed."""
    seen = b""
    while not condition(seen):
        try:
            seen += os.read(terminal, 65_536)
        except OSError:
            break
    return seen


def test_on_a_terminal_the_board_is_shown_and_the_server_goes_on(machine: Machine) -> None:
    pid, terminal = in_a_terminal(machine, "up")
    assert b"live" in read_until(terminal, lambda seen: b"live" in seen)
    os.write(terminal, b"q")
    said = read_until(terminal, lambda seen: False)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert b"cortex down" in said
    assert machine.is_up()


def test_a_closed_window_takes_the_demo_with_it(machine: Machine) -> None:
    pid, terminal = in_a_terminal(machine, "up", "--demo")
    read_until(terminal, lambda seen: b"DEMO-1" in seen)
    os.kill(pid, signal.SIGHUP)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 129
    assert json.loads(machine.run("project", "list", "--json").stdout) == []
