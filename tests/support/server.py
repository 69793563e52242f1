"""A real server for a test: a process of its own, on a free port, in a fresh directory."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import requests

ROOT = Path(__file__).resolve().parent.parent.parent
DEADLINE_S = 20.0
GUNICORN = (str(Path(sys.executable).with_name("gunicorn")), "-c")

T = TypeVar("T")
_CHANCE = random.SystemRandom()  # not what a test may have seeded


def free_port() -> int:
    """A port that nobody has, and no outgoing connection takes: those are given higher ones."""
    while True:
        port = _CHANCE.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(condition: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Wait until `condition` gives something true and return it; fails with `what` otherwise."""
    give_up = time.monotonic() + deadline_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < give_up, f"not within {deadline_s} s: {what}"
        time.sleep(0.01)


# As systemd starts a service that has a socket unit: its listener is descriptor 3.
_ON_A_SOCKET = """
import os, sys
os.dup2({descriptor}, 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "cortex_server", "serve"])
"""


class Server:
    """url, token, env (for programs that talk to it); start, stop, kill and restart it.

    command: what runs it, `cortex serve`'s own by default.
    """

    command: Sequence[str] = (sys.executable, "-m", "cortex_server", "serve")
    host = "127.0.0.1"
    http = "HTTP/1.1"
    inherited: Sequence[int] = ()  # descriptors that its process keeps
    ca_file: str | None = None  # a proxy's, which stands in a server's place

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CORTEX_", "XDG_"))},
            "HOME": str(directory),
            "XDG_DATA_HOME": str(directory / "data"),
            "XDG_CONFIG_HOME": str(directory / "config"),
            "XDG_STATE_HOME": str(directory / "state"),
            "XDG_CACHE_HOME": str(directory / "cache"),
            "CORTEX_PORT": str(self.port),
            "CORTEX_URL": self.url,
            "PYTHONPATH": str(ROOT),
            **{f"CORTEX_{name.upper()}": str(value) for name, value in settings.items()},
        }

    @property
    def token(self) -> str:
        return (self.directory / "data" / "cortex" / "token").read_text().strip()

    @property
    def database(self) -> Path:
        return self.directory / "data" / "cortex" / "cortex.db"

    def connect(self, rcvbuf: int | None = None) -> socket.socket:
        """A connection. rcvbuf: bytes that its kernel takes for a slow reader. Raises OSError."""
        sock = socket.socket()
        if rcvbuf is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.settimeout(DEADLINE_S)
        try:
            sock.connect(("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def listen_on(self, listener: socket.socket) -> None:
        """From the next start on serve on this open socket, which outlives the server."""
        self.inherited = [listener.fileno()]
        self.command = (
            sys.executable, "-c", _ON_A_SOCKET.format(descriptor=listener.fileno())
        )  # fmt: skip

    def start(self, wait: bool = True) -> "Server":
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT,
                env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, pass_fds=self.inherited,
            )  # fmt: skip
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        wait_for(self._is_ready, f"the server is ready; it said: {self.log()}")

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server has exited: {self.log()}"
        try:
            return requests.get(self.url + "/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-4000:] if self.log_path.exists() else ""

    def whole_log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one name, parsed."""
        lines = (line for line in self.whole_log().splitlines() if event in line)
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line.get("event") == event]

    def metrics(self) -> dict[str, float]:
        """/metrics as {"name{label=\"value\"}": number}."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.get(f"{self.url}/metrics", headers=headers, timeout=30)
        assert answer.ok, answer.text
        lines = (line for line in answer.text.splitlines() if line and line[0] != "#")
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def streams(self) -> int:
        """How many streams are open, of any scope."""
        return int(self.total("cortex_streams"))

    def total(self, metric: str) -> float:
        """The sum of a metric over its labels."""
        labelled = metric + "{"
        found = self.metrics().items()
        return sum(v for name, v in found if name == metric or name.startswith(labelled))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the gunicorn master alone."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9 to the master and every worker at once."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """End it as an administrator would, with SIGTERM."""
        if self.process is None or self.process.poll() is not None:
            return
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def restart(self) -> "Server":
        self.stop()
        return self.start()

    def api(self, method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        """One request with the local token; `path` begins behind /api."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return requests.request(
            method, f"{self.url}/api{path}", json=json, headers=headers, timeout=30, **options
        )

    def make(self, path: str, **body: Any) -> Any:
        """POST that must succeed; its JSON."""
        answer = self.api("POST", path, json=body)
        assert answer.ok, answer.text
        return answer.json()

    def worker_pids(self) -> list[int]:
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    @property
    def worker(self) -> int:
        """The pid of the only worker."""
        (pid,) = self.worker_pids()
        return pid

    def memory_kib(self) -> int:
        """The resident memory of the worker, in KiB."""
        status = Path(f"/proc/{self.worker}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1])

    def descriptors(self) -> int:
        """How many files and sockets the worker has open."""
        return len(os.listdir(f"/proc/{self.worker}/fd"))
