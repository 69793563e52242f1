"""What follows when an agent succeeded, as the project wants it: commit, push, pull request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cortex_cli.runner import publish, pull_requests
from cortex_cli.runner.adapters import Outcome
from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.git import Repository
from cortex_cli.runner.programs import within
from cortex_cli.runner.report import HttpReport
from cortex_cli.runner.watching import Watcher
from cortex_cli.runner.worktrees import Worktree

_COMMIT_S, _PUSH_S, _PR_S = 120.0, 300.0, 120.0


@dataclass(frozen=True)
class Delivery:
    """stage: tells how far it is."""

    claim: Mapping[str, Any]
    repository: Repository
    worktree: Worktree
    report: HttpReport
    watcher: Watcher
    stage: Callable[..., None]

    def deliver(self, outcome: Outcome, *, check: Callable[[], None], batch: bool) -> Outcome:
        """Make the work last; return how the attempt ended with it.

        check: called between the steps, raises when the claim is lost. batch: the branch is
        brought in with others, so that it gets no pull request of its own.
        """
        settings = self.claim["settings"]
        try:
            if settings.get("commit_uncommitted", True):
                self._commit()
        except RunnerError as error:
            return _failed("The agent succeeded, but its work could not be committed", error)
        finally:
            self.watcher.look()
        check()
        remote = self.worktree.remote
        if remote is None or not settings.get("push", True) or not self._has_commits():
            return outcome
        try:
            self._push(remote)
        except RunnerError as error:
            kept = f"It is on branch {self.worktree.branch} here"
            return _failed(f"The agent succeeded, but its work could not be pushed. {kept}", error)
        check()
        if settings.get("open_pr", True) and not batch:
            self._open_pull_request(remote)
        return outcome

    @property
    def _tree(self) -> Repository:
        return self.repository.at(self.worktree.path)

    def _commit(self) -> None:
        ticket = self.claim["ticket"]
        self.stage("committing")
        done = publish.commit(
            self._tree,
            branch=self.worktree.branch,
            message=publish.message_for(str(ticket["key"]), str(ticket["title"])),
            deadline=within(_COMMIT_S),
        )
        if done.commit is not None:
            files = "1 file" if done.files == 1 else f"{done.files} files"
            self.report.log("system", f"Committed what was uncommitted: {files}.")
        if done.left:
            names = ", ".join(done.left[:5])
            self.report.log("system", f"Not committed, since they are repositories: {names}")

    def _has_commits(self) -> bool:
        deadline = within(_COMMIT_S)
        tip = self._tree.commit(f"refs/heads/{self.worktree.branch}", deadline=deadline)
        return not self._tree.holds(tip, self.worktree.base, deadline=deadline)

    def _push(self, remote: str) -> None:
        self.stage("pushing")
        branch = self.worktree.branch
        pushed = publish.push(self._tree, branch, remote=remote, deadline=within(_PUSH_S))
        if pushed is not None:
            self.report.pushed(pushed.remote, pushed.branch, pushed.sha)

    def _open_pull_request(self, remote: str) -> None:
        """Open it; the work is safe without, so that a failure is told and ends nothing."""
        self.stage("opening_pr")
        ticket, attempt = self.claim["ticket"], self.claim["attempt"]
        try:
            opened = pull_requests.open_one(
                self.repository,
                remote=remote,
                branch=self.worktree.branch,
                into=str(self.claim["project"].get("default_branch") or "main"),
                title=f"{ticket['key']}: {ticket['title']}",
                body=f"Work of {attempt['agent']} on {ticket['key']}.\n",
                deadline=within(_PR_S),
            )
        except RunnerError as error:
            self.report.log("error", f"No pull request could be opened: {error}")
            return
        if opened is None:
            return
        if opened.problem:
            self.report.log("error", f"gh could not open the pull request: {opened.problem}")
        self.report.pull_request(opened.wire())


def _failed(what: str, error: RunnerError) -> Outcome:
    return Outcome("failed", f"{what}: {error}")
