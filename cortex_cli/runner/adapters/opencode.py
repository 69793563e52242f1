"""The adapter for OpenCode: one server for each attempt, followed by its events.

`--agent NAME=opencode:PROGRAM` names the program; without one it is `opencode` of the PATH. A
profile's model is `provider/model`, its args go to the server.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cortex_cli.runner.adapters import Capability, Job, Report
from cortex_cli.runner.errors import AdapterError
from cortex_cli.runner.opencode.run import OpenCodeRun, Timing

if TYPE_CHECKING:
    from cortex_cli.runner.group import Group


class OpenCodeAdapter:
    name = "opencode"

    def __init__(self, timing: Timing | None = None) -> None:
        self._timing = timing or Timing()

    def missing(self, environ: Mapping[str, str], options: Mapping[str, str]) -> str | None:
        try:
            program = _program(options)[0]
        except AdapterError as error:
            return str(error)
        if shutil.which(program, path=environ.get("PATH")) is None:
            return f"{program} is not installed, or not in PATH (npm install -g opencode-ai)."
        return None

    def capabilities(self) -> Sequence[Capability]:
        return ("prompt", "questions", "permissions", "deltas", "children", "todos", "abort")

    def start(self, job: Job, group: Group, report: Report) -> OpenCodeRun:
        return OpenCodeRun(job, group, report, _program(job.options), self._timing)


def _program(options: Mapping[str, str]) -> list[str]:
    """Raises AdapterError for quotes that do not end."""
    try:
        return shlex.split(options.get("command") or "") or ["opencode"]
    except ValueError as error:
        raise AdapterError(f"The command cannot be read: {error}.") from error
