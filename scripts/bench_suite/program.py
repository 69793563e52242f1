"""A program under measurement: started on its core, watched, ended with all that it started."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from scripts.bench_suite import machine

READY_S = 30.0
STOP_S = 10.0


class Unavailable(Exception):
    """This target or row cannot be measured here; the message says why."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One process group on the given cores; its output goes to `log`."""

    def __init__(
        self,
        command: Iterable[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        on: Set[int] | None = None,
    ) -> None:
        self.log = log
        cores = machine.cores()[0] if on is None else on
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                cwd=log.parent,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509
            )

    @property
    def pids(self) -> list[int]:
        return machine.family(self.process.pid)

    def wait_for_port(self, port: int) -> None:
        """Wait until it accepts. Raises Unavailable with its last words when it does not."""
        give_up = time.monotonic() + READY_S
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Unavailable(f"did not start: {self.last_words()}")

    def last_words(self) -> str:
        return " ".join(self.log.read_text(errors="replace")[-400:].split())

    def cpu_s(self) -> float:
        return sum(machine.cpu_s(pid) for pid in self.pids)

    def memory_kib(self) -> int:
        return sum(machine.memory_kib(pid) for pid in self.pids)

    def stop(self) -> None:
        """SIGTERM, and after a while SIGKILL to whatever is left of its group."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
