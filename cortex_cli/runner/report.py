"""Tells the server what happens in an attempt: the adapter's `Report`, and what the runner adds.

Nothing here waits for the network or raises; the outbox sends in order and repeats until it is
there, for as long as the claim may be ours. Secrets are taken out on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cortex_cli import sdk
from cortex_cli.runner import sendable
from cortex_cli.runner.adapters import Outcome
from cortex_cli.runner.conversation import Conversation
from cortex_cli.runner.outbox import Body, Entry, Join, Outbox, appended, replaced
from cortex_cli.runner.redaction import Redactor

LOG_TEXT_MAX = 16_384  # characters of one entry; a longer text becomes several
_LOG_MAX = 100  # entries of one request
_LOG_EVERY_S = 0.05
_TODOS_MAX = 200
_OPTIONS_MAX = 50
_DETAIL_MAX = 65_536
_REPEAT_S = 5.0
_ENDED = ("stopped", "error")
_COMMITS_MAX = 100
_FILES_MAX = 200


class HttpReport:
    """The report of one attempt. conversation: its sessions, for who routes commands."""

    def __init__(
        self,
        outbox: Outbox,
        redactor: Redactor,
        *,
        attempt: Mapping[str, Any],
        session: str | None,
    ) -> None:
        self._outbox = outbox
        self._redactor = redactor
        self._id = str(attempt["id"])
        self._generation = int(attempt["generation"])
        self._instance: Body | None = None  # as it was told last, while it is there
        self._instance_at = 0.0
        self.conversation = Conversation(
            outbox, redactor, attempt=self._id, ticket=str(attempt["ticket"]), root=session
        )

    # What adapters tell

    def log(self, kind: str, text: str, tool: str | None = None) -> None:
        self._outbox.wait_for_room()
        told = sendable.text(self._redactor.text(text), 64 * sendable.TEXT_MAX)
        for piece in sendable.pieces(told, LOG_TEXT_MAX):
            entry: Body = {"kind": kind, "text": piece}
            if tool:
                entry["tool"] = sendable.line(self._redactor.text(tool), sendable.NAME_MAX)
            self._write(
                "log", "POST", {"entries": [entry]}, lane="log", join=appended("entries", _LOG_MAX),
                adds=True, many="entries", delay_s=_LOG_EVERY_S,
            )  # fmt: skip

    def status(self, waiting: bool) -> None:
        body = {"status": "waiting" if waiting else "running"}
        # It stays behind what was withdrawn before, which ends the waiting on the server.
        lane = f"status {self.conversation.withdrew}"
        self._write(None, "PATCH", body, lane=lane, join=replaced)

    def progress(self, text: str) -> None:
        body = {"progress": self._line(text)}
        self._write(None, "PATCH", body, lane="progress", join=replaced)

    def todos(self, items: Sequence[Mapping[str, str]]) -> None:
        found = [
            {"text": self._line(item.get("text")) or "…", "status": item.get("status", "pending")}
            for item in items[:_TODOS_MAX]
        ]
        self._write("todos", "PUT", {"todos": found}, lane="todos", join=replaced)

    def session(
        self,
        key: str,
        *,
        parent: str | None = None,
        title: str | None = None,
        agent: str | None = None,
        model: str | None = None,
    ) -> None:
        fields = {"title": title, "agent": agent, "model": model}
        self.conversation.session(key, parent, fields)

    def doing(
        self, key: str, status: str, tool: str | None = None, work: str | None = None
    ) -> None:
        self.conversation.doing(key, status, tool, work)

    def session_ended(self, key: str, outcome: str) -> None:
        self.conversation.ended(key, outcome)

    def message(
        self,
        key: str,
        message: str,
        role: str,
        parts: Sequence[Mapping[str, Any]],
        complete: bool,
    ) -> None:
        self.conversation.message(key, message, role, parts, complete)

    def delta(self, key: str, message: str, part: int, offset: int, text: str) -> None:
        self.conversation.delta(key, message, part, offset, text)

    def ask(
        self,
        key: str,
        question: str,
        *,
        kind: str,
        title: str,
        detail: str,
        options: Sequence[Mapping[str, str]],
        multiple: bool = False,
        free_text: bool = False,
    ) -> None:
        self._outbox.wait_for_room()
        body = {
            "kind": kind,
            "title": self._line(title, sendable.TITLE_MAX) or "A question",
            "detail": sendable.text(self._redactor.text(detail), _DETAIL_MAX),
            "options": [self._option(option) for option in options[:_OPTIONS_MAX]],
            "multiple": multiple,
            "free_text": free_text,
        }
        self.conversation.ask(key, question, body)

    def withdrawn(self, question: str) -> None:
        self.conversation.withdrawn(question)

    def instance(
        self,
        status: str,
        url: str | None = None,
        error: str | None = None,
        link: str | None = None,
    ) -> None:
        body = {"status": status, "url": url, "error": self._line(error), "link": link}
        self._instance = body if status not in _ENDED else None
        self._put_instance(body)

    def repeat(self) -> None:
        """Say again how the agent's server is, when that was told and not said for a while.

        The server takes one that nobody speaks of for unhealthy.
        """
        if self._instance is not None and time.monotonic() - self._instance_at >= _REPEAT_S:
            self._put_instance(self._instance)

    def _put_instance(self, body: Body) -> None:
        self._instance_at = time.monotonic()
        self._write("instance", "PUT", body, lane="instance", join=_same_status)

    # What the runner adds

    def stage(self, stage: str, **fields: Any) -> None:
        """Say how far the attempt is; fields: others of the attempt that are news now."""
        self._write(None, "PATCH", {"stage": stage, **fields}, lane="stage")

    def git_status(self, body: Body) -> None:
        files = [{**file, "path": sendable.text(file["path"], 4096)} for file in body["files"]]
        more = body.get("more", 0) + max(len(files) - _FILES_MAX, 0)
        told = {**body, "files": files[:_FILES_MAX], "more": more}
        self._write("git/status", "PUT", told, lane="git status", join=replaced)

    def commits(self, commits: Sequence[Body]) -> None:
        for start in range(0, len(commits), _COMMITS_MAX):
            found = [
                {
                    **commit,
                    "subject": self._line(commit["subject"], sendable.TITLE_MAX) or "(no subject)",
                    "author": self._line(commit["author"], sendable.NAME_MAX) or "?",
                }
                for commit in commits[start : start + _COMMITS_MAX]
            ]
            self._write(
                "git/commits", "POST", {"commits": found}, lane="git", many="commits",
                join=appended("commits", _COMMITS_MAX), adds=True,
            )  # fmt: skip

    def pushed(self, remote: str, branch: str, sha: str) -> None:
        self._write(
            "git/pushes", "POST", {"remote": remote, "branch": branch, "sha": sha}, lane="git"
        )

    def pull_request(self, body: Body) -> None:
        self._write("pr", "PUT", body, lane="git")

    def diff(self, body: Body) -> None:
        """Tell the whole difference: base, head, text, truncated."""
        told = {**body, "text": sendable.text(self._redactor.text(body["text"]))}
        self._write("diff", "PUT", told, lane="diff", join=replaced)

    def end(self, outcome: Outcome, told: Callable[[], None] | None = None) -> None:
        """Say how the attempt ended; nothing can be told of it afterwards. told: when it is in."""
        body: Body = {"status": outcome.status}
        if outcome.reason:
            body["reason"] = self._line(outcome.reason)
        if outcome.exit_code is not None:
            body["exit_code"] = outcome.exit_code
        answered = None if told is None else lambda _answer: told()
        self._write("end", "POST", body, lane="end", answered=answered)

    def _write(
        self,
        below: str | None,
        method: str,
        body: Body,
        *,
        lane: str,
        join: Join | None = None,
        **more: Any,
    ) -> None:
        if method == "PATCH":
            more.setdefault("refused", _outrun)
        segments = ("api", "attempts", self._id, *(below.split("/") if below else ()))
        told = {"generation": self._generation, **body}
        self._outbox.put(Entry(lane, method, sdk.url_path(*segments), told, join, **more))

    def _line(self, value: object, most: int = sendable.LINE_MAX) -> str | None:
        return None if value is None else sendable.line(self._redactor.text(str(value)), most)

    def _option(self, option: Mapping[str, str]) -> Body:
        told: Body = {
            "id": sendable.text(option["id"], sendable.NAME_MAX),
            "label": self._line(option.get("label"), sendable.NAME_MAX) or option["id"],
        }
        if option.get("description"):
            told["description"] = self._line(option["description"])
        return told


def _same_status(old: Body, new: Body) -> Body | None:
    """Join: an instance that was unhealthy for a moment was unhealthy."""
    return new if old["status"] == new["status"] else None


def _outrun(_entry: Entry, error: sdk.Refused) -> bool:
    """Say that a status needs no word that came too late: the attempt is stopping already."""
    return error.code == "refused_transition"
