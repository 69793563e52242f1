"""Tells what an agent does to its worktree while it works: status, commits, the difference."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cortex_cli.runner import observe
from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.git import Repository
from cortex_cli.runner.programs import within

if TYPE_CHECKING:
    from cortex_cli.runner.report import HttpReport

EVERY_S = 3.0
_ONE_LOOK_S = 30.0
_DIFF_EVERY = 5  # looks: files that were changed may change again, and the status tells nothing


class Watcher:
    """Looks at a worktree every few seconds, and whenever it is asked to; tells only news.

    base: the commit that the branch began from; upstream: the reference to compare with.
    """

    def __init__(
        self, worktree: Repository, report: HttpReport, *, base: str, upstream: str
    ) -> None:
        self._worktree = worktree
        self._report = report
        self._base = base
        self._upstream = upstream
        self._status: observe.Status | None = None
        self._commits: set[str] = set()
        self._diff: observe.Diff | None = None
        self._looks = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._problem: str | None = None

    def start(self, every_s: float = EVERY_S) -> None:
        """Look from time to time, until `stop`."""

        def run() -> None:
            while not self._over.wait(every_s):
                self.look()

        self._thread = threading.Thread(target=run, name="watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more by itself."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_ONE_LOOK_S)

    @property
    def commits(self) -> int:
        """How many commits were told."""
        return len(self._commits)

    def look(self) -> None:
        """Tell what is new. What git cannot tell now is told once, in the log."""
        with self._lock:
            try:
                self._look(within(_ONE_LOOK_S))
                self._problem = None
            except (RunnerError, OSError) as error:  # an agent may have moved its worktree away
                if str(error) != self._problem:
                    self._problem = str(error)
                    self._report.log("error", f"The worktree cannot be looked at: {error}")

    def _look(self, deadline: float) -> None:
        status = observe.status(self._worktree, against=self._upstream, deadline=deadline)
        news = status != self._status
        if news:
            self._tell_commits(deadline)
            self._status = status
            self._report.git_status(status.wire())
        self._looks += 1
        if news or (status.files and self._looks % _DIFF_EVERY == 0):
            diff = observe.diff(self._worktree, base=self._base, deadline=deadline)
            if diff != self._diff and (diff.text or self._diff):
                self._diff = diff
                self._report.diff(diff.wire())

    def _tell_commits(self, deadline: float) -> None:
        while fresh := observe.commits(
            self._worktree,
            base=self._base,
            reported=self._commits,
            exclude=[self._upstream],
            deadline=deadline,
        ):
            self._report.commits([commit.wire() for commit in fresh])
            self._commits.update(commit.sha for commit in fresh)
