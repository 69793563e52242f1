"""Attempts whose OpenCode is a recording (see opencode_replay)."""

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_cli.runner.adapters import Job
from cortex_cli.runner.adapters.opencode import OpenCodeAdapter
from cortex_cli.runner.group import Group
from cortex_cli.runner.opencode.run import OpenCodeRun, Timing
from tests.support.told import Told

RECORDING = Path(__file__).parent.parent / "data/agents/opencode_events.jsonl"
PROGRAM = Path(__file__).parent / "opencode_replay.py"
QUICK = Timing(
    start_s=20, settle_s=0.05, begin_s=20, health_every_s=0.05, health_timeout_s=2, unhealthy_s=20
)


@dataclass
class Attempt:
    run: OpenCodeRun
    told: Told
    group: Group
    sent: Path

    def requests(self) -> list[tuple[str, Any]]:
        """The POSTs that the server got, with their bodies."""
        return [tuple(json.loads(line)) for line in self.sent.read_text().splitlines()]

    def asked(self) -> str:
        """Wait until a person is asked, and return the question's id."""
        return str(
            self.told.until(lambda told: next((c.key for c in told.calls if c.name == "ask"), None))
        )


class Replays:
    """Starts attempts; `close` ends all of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._attempts: list[Attempt] = []

    def start(
        self,
        scenario: str,
        *options: str,
        timing: Timing = QUICK,
        secrets: tuple[str, ...] = (),
        program: str | None = None,
        model: str | None = None,
    ) -> Attempt:
        number = len(self._attempts)
        sent = self._directory / f"requests-{number}"
        sent.touch()
        argv = [sys.executable, str(PROGRAM), "--recording", str(RECORDING)]
        argv += ["--scenario", scenario, "--requests", str(sent), *options]
        job = Job(
            attempt={"id": f"replay-{os.getpid()}-{self._directory.name}-{number}"},
            ticket={"title": "A ticket"},
            profile={"options": {"model": model}} if model else None,
            worktree=self._directory,
            environ={"PATH": os.environ["PATH"], "HOME": str(self._directory)},
            prompt="do the work",
            options={"command": program or shlex.join(argv)},
            secrets=secrets,
        )
        told, group = Told(), Group(job.attempt["id"])
        run = OpenCodeAdapter(timing).start(job, group, told)
        self._attempts.append(Attempt(run, told, group, sent))
        return self._attempts[-1]

    def close(self) -> None:
        for attempt in self._attempts:
            attempt.group.stop(grace_s=0.5)
            attempt.run.wait()
