"""What a runner that was killed has left: processes are ended, worktrees kept, both told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_cli import sdk
from cortex_cli.runner import environment, group, observe
from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.git import Repository
from cortex_cli.runner.journal import Journal, Record
from cortex_cli.runner.programs import within

_LOOK_S = 10.0
_LATE_S = 300.0
_AGAIN_S = 1.0


@dataclass(frozen=True)
class Orphan:
    """An attempt of a runner that is dead. ended: how many processes; left: what could not be."""

    record: Record
    ended: int
    left: int
    uncommitted: int

    @property
    def reason(self) -> str:
        """What to say of it, in one line."""
        said = ["The runner was killed"]
        if self.ended:
            what = "1 process" if self.ended == 1 else f"{self.ended} processes"
            said.append(f"{what} of the agent went on and were ended by the next one")
        if self.left:
            said.append(f"{self.left} could not be ended")
        if self.record.worktree:
            files = (
                "1 uncommitted file"
                if self.uncommitted == 1
                else f"{self.uncommitted} uncommitted files"
            )
            held = f" with {files}" if self.uncommitted else ""
            said.append(f"its worktree is kept{held}: {self.record.worktree}")
        return "; ".join(said) + "."


def find(journal: Journal, tell: Callable[[str, Mapping[str, Any]], None]) -> list[Orphan]:
    """End what the journal's attempts have left running, and their private homes. No network."""
    found = []
    for record in journal.records():
        if record.kind != "attempt":
            journal.forget(record.id)
            continue
        swept = group.sweep(record.id)
        environment.discard(journal.homes / record.id)
        orphan = Orphan(record, len(swept.ended), len(swept.left), _uncommitted(record))
        about = {"attempt": record.id, "ticket": record.ticket, "reason": orphan.reason}
        tell("orphan", about)
        found.append(orphan)
    for left in journal.homes.iterdir():  # under a name that an agent gave it, say
        environment.discard(left)
    return found


def report(client: sdk.CortexClient, journal: Journal, orphan: Orphan) -> None:
    """Say on the board how it ended, where the claim is still ours. Raises CortexError."""
    record = orphan.record
    _end(client, record.id, record.generation, orphan.reason)
    if not orphan.left:
        journal.forget(record.id)


def end_late(client: sdk.CortexClient, attempt: str, generation: int, reason: str) -> None:
    """Say that an attempt is over whose lease ran out here, when the server can be reached again.

    It may have renewed the lease by a heartbeat that was long on its way: then nobody but the
    runner knows that there is no owner any more. Gives up after some minutes.
    """
    give_up = time.monotonic() + _LATE_S
    while time.monotonic() < give_up:
        try:
            _end(client, attempt, generation, reason)
            return
        except sdk.CortexError as error:
            if not error.retryable:
                return
        time.sleep(_AGAIN_S)


def _end(client: sdk.CortexClient, attempt: str, generation: int, reason: str) -> None:
    path = sdk.url_path("api", "attempts", attempt)
    told = {"generation": generation}
    entry = {"kind": "system", "text": reason}
    try:
        client.post(f"{path}/log", {**told, "entries": [entry]})
        client.post(f"{path}/end", {**told, "status": "failed", "reason": reason})
    except (sdk.Conflict, sdk.NotFound):
        pass  # the server has said that it is lost, or another claim has it


def _uncommitted(record: Record) -> int:
    if not record.worktree or not record.repository:
        return 0
    try:
        deadline = within(_LOOK_S)
        repository = Repository.open(Path(record.repository), deadline=deadline)
        tree = repository.at(Path(record.worktree))
        status = observe.status(tree, against=None, deadline=deadline)
    except (RunnerError, OSError):
        return 0
    return len(status.files) + status.more
