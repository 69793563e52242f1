"""Brings the branches of a batch together: each ticket's result is told, then one pull request."""

from __future__ import annotations

import threading
import traceback
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortex_cli import sdk
from cortex_cli.runner import merging, publish, pull_requests, remotes, sendable
from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.git import Repository
from cortex_cli.runner.jobs import Lost
from cortex_cli.runner.journal import Record
from cortex_cli.runner.lease import Lease
from cortex_cli.runner.outbox import may_pass
from cortex_cli.runner.programs import within
from cortex_cli.runner.workshop import Workshop

_PREPARE_S, _MERGE_S, _PUSH_S, _PR_S = 60.0, 600.0, 300.0, 120.0
_AGAIN_S = 0.5


class MergeJob:
    """Merges one claimed batch in a thread of its own. Every method is for every thread."""

    kind = "batch"
    worktree: Path | None = None  # merges are made without one

    def __init__(self, shop: Workshop, claim: Mapping[str, Any], lease: Lease) -> None:
        self._shop = shop
        self._claim = claim
        self._batch: Mapping[str, Any] = claim["batch"]
        self.id = str(self._batch["id"])
        self.generation = int(self._batch["generation"])
        self.name = str(self._batch["name"])
        self.lease = lease
        self.done = threading.Event()
        self._gone = threading.Event()
        self._why = ""

    def start(self) -> None:
        """Begin. The journal knows no process of it: git ends with this one, or soon after."""
        threading.Thread(target=self._live, name=f"batch {self.id}", daemon=True).start()

    def renewed(self, since: float, lease_s: float) -> None:
        self.lease.renew(since, lease_s)

    def lose(self, why: str) -> None:
        """Give it up: another one may have it, and goes on where this one stopped."""
        self._why = self._why or why
        self._gone.set()

    missed = lose

    def tick(self) -> None:
        """Nothing has to be said now and then."""

    def stop(self, why: str = "", grace_s: float | None = None) -> None:
        """Stop after the step that is being made; whoever claims the batch next goes on."""
        self.lose(why or "it was stopped")

    def obey(self, command: Mapping[str, Any]) -> None:
        raise RunnerError(f"A batch that is merged takes no {command['kind']}.")

    def _live(self) -> None:
        self._tell("batch.start")
        try:
            self._finish(self._result())
        except Lost as error:
            self._tell("batch.lost", reason=str(error))
        except Exception:  # a bug of ours must not leave a batch without an end
            self._tell("error", text=traceback.format_exc())
        finally:
            self._shop.journal.forget(self.id)
            self.done.set()

    def _result(self) -> dict[str, Any]:
        project = str(self._batch["project"])
        try:
            self._shop.journal.write(Record(self.id, self.generation, "batch", "", project, ""))
            return self._merge_all()
        except (RunnerError, OSError) as error:
            return {"status": "failed", "reason": sendable.line(error) or "It failed."}

    def _merge_all(self) -> dict[str, Any]:
        project = self._claim["project"]
        repository = self._shop.repositories.open(project)
        batch = merging.prepare(
            repository,
            self.id,
            default_branch=project.get("default_branch"),
            deadline=within(_PREPARE_S),
        )
        if not self._merge(repository, batch):
            return {"status": "failed", "reason": "A branch is in conflict."}
        tip = repository.commit(f"refs/heads/{batch.branch}", deadline=within(_PREPARE_S))
        done: dict[str, Any] = {"status": "completed", "branch": batch.branch, "commit": tip}
        if batch.remote is None or tip == batch.base:
            return done
        return {**done, **self._publish(repository, batch)}

    def _merge(self, repository: Repository, batch: merging.Batch) -> bool:
        """Merge one after the other and tell each; False when a conflict has ended it."""
        attempts = [attempt for attempt in self._claim["attempts"] if attempt.get("branch")]
        by_branch = {str(attempt["branch"]): attempt for attempt in attempts}
        for branch in by_branch:
            self._bring_here(repository, batch, branch)
        steps = merging.merge(
            repository,
            batch,
            list(by_branch),
            on_conflict=self._batch["on_conflict"],
            titles=self._titles(),
            deadline=within(_MERGE_S),
        )
        for step in steps:
            ticket = str(by_branch[step.branch]["ticket"])
            if isinstance(step, merging.Empty) and step.missing:
                runner = by_branch[step.branch]["runner"]
                raise RunnerError(
                    f"{step.branch} of {ticket} is neither here nor at the remote: runner {runner}"
                    " made it elsewhere, and it was not pushed."
                )
            told = self._write("merge", {"ticket": ticket, **_wire(step)})
            self._tell("batch.merge", ticket=ticket, **_wire(step))
            if told.get("status") != "merging":
                return False
        return True

    def _bring_here(self, repository: Repository, batch: merging.Batch, branch: str) -> None:
        """Fetch a branch that another machine's runner has pushed."""
        deadline = within(_PREPARE_S)
        local = f"refs/heads/{branch}"
        if batch.remote is None or repository.find(local, deadline=deadline) is not None:
            return
        commit = remotes.fetched(repository, batch.remote, branch, deadline=deadline)
        if commit is not None:
            zeros = repository.zeros(deadline=deadline)
            repository.set_ref([(local, commit, zeros)], reason="cortex: fetch", deadline=deadline)

    def _titles(self) -> dict[str, str]:
        titles = {row["ticket"]: row["title"] for row in self._batch["tickets"]}
        return {
            str(attempt["branch"]): f"{attempt['ticket']}: {titles.get(attempt['ticket'], '')}"
            for attempt in self._claim["attempts"]
        }

    def _publish(self, repository: Repository, batch: merging.Batch) -> dict[str, Any]:
        """Push the branch and open its pull request; return what `finish` tells of that."""
        settings, project = self._claim["settings"], self._claim["project"]
        if not settings.get("push", True):
            return {}
        self._check()
        publish.push(repository, batch.branch, remote=batch.remote, deadline=within(_PUSH_S))
        if not settings.get("open_pr", True) or batch.remote is None:
            return {}
        self._check()
        lines = [f"- {line}" for line in self._titles().values()]
        opened = pull_requests.open_one(
            repository,
            remote=batch.remote,
            branch=batch.branch,
            into=str(project.get("default_branch") or "main"),
            title=self.name,
            body="\n".join(["The tickets of a batch:", "", *lines, ""]),
            deadline=within(_PR_S),
        )
        if opened is None:
            return {}
        if opened.problem:
            self._tell("error", text=f"gh could not open the pull request: {opened.problem}")
        found = {"pr_url": opened.url, "compare_url": opened.compare_url}
        return {name: value for name, value in found.items() if value}

    def _finish(self, result: dict[str, Any]) -> None:
        self._write("finish", result)
        self._tell("batch.end", **result)

    def _write(self, what: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Tell the server until it has it. Raises Lost, and RunnerError for a refusal."""
        path = sdk.url_path("api", "batches", self.id, what)
        key = str(uuid.uuid4())
        while True:
            self._check()
            try:
                told = {"generation": self.generation, **body}
                answer = self._shop.client.post(path, told, idempotency_key=key)
            except sdk.CortexError as error:
                if may_pass(error):
                    self._gone.wait(_AGAIN_S)
                    continue
                if isinstance(error, sdk.Conflict):
                    raise Lost(str(error)) from None
                raise RunnerError(str(error)) from None
            return answer if isinstance(answer, Mapping) else {}

    def _check(self) -> None:
        if self._gone.is_set() or self.lease.over:
            raise Lost(self._why or "the lease ran out")

    def _tell(self, what: str, **fields: Any) -> None:
        self._shop.tell(what, {"batch": self.id, "name": self.name, **fields})


def _wire(step: merging.Step) -> dict[str, Any]:
    match step:
        case merging.Merged():
            return {"result": "merged", "commit": step.commit}
        case merging.Conflict():
            return {"result": "conflict", "files": list(step.files)}
        case merging.Empty():
            return {"result": "empty"}
