"""A server of one's own in the background: what `cortex up` starts and `cortex down` stops.

It runs in a session of its own with its output in a private log file, so that it outlives the
terminal and holds none of its pipes. Beside the log lies its process id.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from cortex_cli import sdk
from cortex_cli.failures import Failed, NoServer
from cortex_cli.paths import state_dir

if TYPE_CHECKING:
    import psutil

READY_S = 20.0
GONE_S = 30.0
_PROBE_S = 0.05
_LONGEST_LOG = 1_048_576
_NAMES = ("cortex_server", "[cortex]")
_SHOWN_LINES = 12
_SHOWN_CHARACTERS = 300  # of a line: a traceback is one line of JSON
_SAME_START_S = 5.0  # the kernel's clock and ours drift apart


def module_argv() -> list[str]:
    """Return the command that runs the server's module, without its arguments.

    -P: the current directory may be a stranger's repository, and is no place to import from.
    """
    return [sys.executable, "-P", "-m", "cortex_server"]


def server_argv() -> list[str]:
    """Return the command of the server, without its options."""
    return [*module_argv(), "serve"]


@dataclass(frozen=True)
class LocalServer:
    """The place of a background server: its address, its log and its pid file."""

    url: str
    host: str
    port: int
    directory: Path

    @classmethod
    def at(cls, url: str, environ: Mapping[str, str]) -> LocalServer:
        """Raises Failed (exit 3) when the address is not one of this machine's loopback."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        local = host in ("localhost", "::1") or host.startswith("127.")
        if parts.scheme != "http" or not local:
            raise NoServer(
                f"Nothing answers at {url}, and only a server on this machine can be started."
            )
        return cls(url, host, parts.port or 80, state_dir(environ))

    @property
    def log(self) -> Path:
        return self.directory / f"server-{self.port}.log"

    @property
    def pid_file(self) -> Path:
        return self.directory / f"server-{self.port}.pid"

    def start(self, environ: Mapping[str, str]) -> bool:
        """Make sure that a server answers; say whether this call started it.

        Raises Failed with the end of the log when it does not become ready.
        """
        if is_ready(self.url):
            return False
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._only_one():
            if is_ready(self.url):  # another `cortex up` was faster
                return False
            with _open_log(self.log) as log:
                begin = log.seek(0, os.SEEK_END)
                server = self._spawn(log.fileno(), environ)
            self._remember(server.pid)
            self._wait_until_ready(server, begin)
        return True

    def _spawn(self, log: int, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        argv = [*server_argv(), "--host", self.host, "--port", str(self.port)]
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=_directory_for(environ),
            env=dict(environ),
        )

    def _wait_until_ready(self, server: subprocess.Popen[bytes], begin: int) -> None:
        deadline = time.monotonic() + READY_S
        while not is_ready(self.url):
            late = time.monotonic() > deadline
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(_PROBE_S)
            if late or server.returncode is not None:
                self._give_up(server, begin)

    def _give_up(self, server: subprocess.Popen[bytes], begin: int) -> None:
        if server.returncode is None:
            server.terminate()
            what = f"was not ready within {READY_S:.0f} s"
        else:
            what = f"ended with {server.returncode}"
        self.pid_file.unlink(missing_ok=True)
        lines = [f"  {line}" for line in _tail(self.log, begin)]
        raise Failed("\n".join([f"The server {what}. The end of {self.log}:", *lines]))

    def stop(self) -> bool:
        """Stop the server that `start` started; return False when there is none.

        Returns when it is gone. Raises Failed when it does not go.
        """
        import psutil

        server = self._process()
        if server is None:
            self.pid_file.unlink(missing_ok=True)
            return False
        try:
            family = [server, *server.children(recursive=True)]
            server.terminate()
            _, alive = psutil.wait_procs(family, timeout=GONE_S)
        except psutil.NoSuchProcess:
            alive = []
        except psutil.AccessDenied:
            raise Failed(f"Process {server.pid} may not be stopped by this user.") from None
        if alive:
            pids = " ".join(str(process.pid) for process in alive)
            raise Failed(f"The server did not end within {GONE_S:.0f} s; it is process {pids}.")
        self.pid_file.unlink(missing_ok=True)
        return True

    def pid(self) -> int | None:
        """Return the process id of the server that `start` started, while it lives."""
        server = self._process()
        return server.pid if server is not None else None

    def _remember(self, pid: int) -> None:
        import psutil  # when needed: it takes its time

        try:
            began = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return  # the wait that follows says why
        self.pid_file.write_text(f"{pid}\n{began}\n", "ascii")

    def _process(self) -> psutil.Process | None:
        """Return our server's process: that id, begun then, and still a Cortex server."""
        import psutil

        try:
            pid, began = self.pid_file.read_text("ascii").split()
            process = psutil.Process(int(pid))
            if abs(process.create_time() - float(began)) > _SAME_START_S:
                return None
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            # gunicorn renames its processes where it can.
            ours = any(name in " ".join(process.cmdline()) for name in _NAMES)
        except (OSError, ValueError, psutil.Error):
            return None
        return process if ours else None

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        """Let one `cortex up` at a time start a server; the kernel frees the lock."""
        lock = os.open(self.directory / f"server-{self.port}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def is_ready(url: str, ca_file: str | None = None) -> bool:
    """Say whether a Cortex server answers there and is ready.

    Raises Failed when something answers that is no Cortex, Untrusted for its certificate.
    """
    with sdk.CortexClient(url, "none", timeout=2.0, ca_file=ca_file, retries=1) as client:
        try:
            answer = client.get("/readyz")
        except sdk.Untrusted:  # something is there
            raise
        except (sdk.Unreachable, sdk.Overloaded, sdk.ServerFault):
            return False
        except sdk.CortexError as error:
            raise Failed(f"What answers at {url} is no Cortex server: {error}") from None
    if not isinstance(answer, dict) or "status" not in answer:
        raise Failed(f"What answers at {url} is no Cortex server.")
    return True


def _directory_for(environ: Mapping[str, str]) -> str | None:
    """Return where the server runs: not here, unless a relative database path needs it."""
    database = environ.get("CORTEX_DATABASE_URL", "")
    relative = database.startswith("sqlite:///") and not database.startswith("sqlite:////")
    return None if relative else "/"


@contextlib.contextmanager
def _open_log(path: Path) -> Iterator[BinaryIO]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "ab") as log:
        os.fchmod(log.fileno(), 0o600)
        if log.tell() > _LONGEST_LOG:
            log.truncate(0)
        yield log


def _tail(path: Path, begin: int) -> list[str]:
    """Return the last lines that were written since `begin`."""
    try:
        with path.open("rb") as log:
            log.seek(begin)
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line[:_SHOWN_CHARACTERS] for line in text.splitlines()[-_SHOWN_LINES:]]
