"""Follows what became of finished attempts' branches: merged or closed, as `gh` or git tells."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cortex_cli import sdk
from cortex_cli.runner import pull_requests, remotes
from cortex_cli.runner.errors import RunnerError
from cortex_cli.runner.git import Repository
from cortex_cli.runner.programs import within
from cortex_cli.runner.pull_requests import PullRequest
from cortex_cli.runner.workshop import Workshop

EVERY_S = 60.0
_ONE_S = 60.0
_AT_ONCE = 20
_FORGOTTEN_AFTER = timedelta(days=30)

Attempt = Mapping[str, Any]


class Pulls:
    """The attempts of one runner that succeeded and whose work is not known to be merged."""

    def __init__(self, shop: Workshop, runner: str) -> None:
        self._shop = shop
        self._runner = runner
        self._open: dict[str, Attempt] = {}
        self._asked = False
        self._lock = threading.Lock()

    def add(self, attempt: str) -> None:
        """Follow one more. Raises CortexError."""
        self._consider(self._shop.client.get(sdk.url_path("api", "attempts", attempt)))

    def ask_again(self) -> None:
        """Ask the server for all of them with the next look."""
        self._asked = False

    def look(self, over: threading.Event) -> None:
        """Look at all of them once. Raises CortexError when the server cannot be asked."""
        if not self._asked:
            query = {"runner": self._runner, "status": "succeeded"}
            for attempt in self._shop.client.paginate("/api/attempts", query, limit=500):
                self._consider(attempt)
            self._asked = True
        attempts = self._next()
        projects = {str(attempt["project"]) for attempt in attempts}
        for key in sorted(projects):
            project = self._shop.client.get(sdk.url_path("api", "projects", key))
            try:
                repository = self._shop.repositories.open(project)
            except RunnerError:
                continue  # it was moved away; it may come back
            for attempt in attempts:
                if over.is_set():
                    return
                if attempt["project"] == key:
                    self._follow(repository, project, attempt)

    def _next(self) -> list[Attempt]:
        """Return those whose turn it is: each costs a question to the remote."""
        with self._lock:
            turn = list(self._open.items())[:_AT_ONCE]
            for key, attempt in turn:  # the next time the others come first
                del self._open[key]
                self._open[key] = attempt
            return [attempt for _, attempt in turn]

    def _consider(self, attempt: Attempt) -> None:
        state = (attempt.get("pr") or {}).get("state", "open")
        oldest = (datetime.now(UTC) - _FORGOTTEN_AFTER).isoformat()
        ended = str(attempt.get("ended_at") or "")
        wanted = attempt["status"] == "succeeded" and attempt.get("branch") and state == "open"
        with self._lock:
            if wanted and ended >= oldest:
                self._open[str(attempt["id"])] = attempt
            else:
                self._open.pop(str(attempt["id"]), None)

    def _follow(self, repository: Repository, project: Mapping[str, Any], attempt: Attempt) -> None:
        try:
            deadline = within(_ONE_S)
            remote = remotes.find(repository, deadline=deadline)
            found = pull_requests.follow(
                repository,
                remote=remote,
                branch=str(attempt["branch"]),
                base=str(attempt["base"] or ""),
                into=str(project.get("default_branch") or "main"),
                known=_known(attempt),
                deadline=deadline,
            )
        except RunnerError:
            return  # the repository cannot be asked now
        if found is None or found == _known(attempt):
            return
        path = sdk.url_path("api", "attempts", str(attempt["id"]), "pr")
        body = {"generation": attempt["generation"], **found.wire()}
        try:
            self._consider(self._shop.client.put(path, body))
        except sdk.Refused as error:
            if not error.retryable:
                with self._lock:
                    self._open.pop(str(attempt["id"]), None)
            return
        if found.state != "open":
            about = {"attempt": attempt["id"], "ticket": attempt["ticket"]}
            self._shop.tell("attempt.pr", {**about, "state": found.state, "url": found.url})


def _known(attempt: Attempt) -> PullRequest | None:
    pr = attempt.get("pr")
    if pr is None:
        return None
    return PullRequest(pr["state"], pr["url"], pr["number"], attempt.get("compare_url"))
