"""The sessions of one server: a tree, and what each of them does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_cli.runner.adapters import Report
from cortex_cli.runner.redaction import Redactor

_LONGEST_WORK = 200


@dataclass
class Session:
    """status: OpenCode's own: idle, busy or retry.

    error: why the turn ended badly. interrupted: a person ended the turn. expecting: when a prompt
    was sent that it has not begun to work on (time.monotonic()). finish: how the newest answer
    ended. newest_…: ids of messages, which grow. tools: those that run, by part, with what they do.
    """

    key: str
    parent: str | None
    agent: str | None = None
    status: str = "idle"
    retry: str | None = None
    error: str | None = None
    interrupted: bool = False
    expecting: float | None = None
    finish: str | None = None
    newest_prompt: str = ""
    newest_answer: str = ""
    tools: dict[str, tuple[str, str]] = field(default_factory=dict)
    echoes: list[str] = field(default_factory=list)  # prompts that the board has already
    described: tuple[Any, ...] | None = None
    did: tuple[Any, ...] | None = None

    @property
    def idle(self) -> bool:
        """Nothing goes on, and no prompt is still to be begun."""
        if self.status != "idle" or self.expecting is not None:
            return False
        over = self.error is not None or self.interrupted
        # A child's prompts are its parent's, which may have been aborted before they were begun.
        return over or self.parent is not None or self.newest_prompt <= self.newest_answer

    def turn_begins(self) -> None:
        self.expecting = self.error = None
        self.interrupted = False


class Sessions:
    """The root and what descends from it; other sessions of the server are nobody's here."""

    def __init__(self, report: Report, redactor: Redactor) -> None:
        self._report = report
        self._redactor = redactor
        self._all: dict[str, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        yield from list(self._all.values())

    def get(self, key: str | None) -> Session | None:
        return None if key is None else self._all.get(key)

    @property
    def root(self) -> Session:
        return next(iter(self._all.values()))

    def begin(self, info: Mapping[str, Any]) -> Session:
        """Take the session of the attempt itself."""
        root = self._all[str(info["id"])] = Session(str(info["id"]), None)
        self._describe(root, info)
        return root

    def learn(self, info: Mapping[str, Any]) -> Session | None:
        """Take what is known of a session; None when it does not descend from ours."""
        session = self._all.get(str(info.get("id")))
        if session is None:
            parent = self._all.get(str(info.get("parentID")))
            if parent is None:
                return None
            session = self._all[str(info["id"])] = Session(str(info["id"]), parent.key)
        self._describe(session, info)
        return session

    def _describe(self, session: Session, info: Mapping[str, Any]) -> None:
        model = info.get("model") or {}
        names = [str(model[key]) for key in ("providerID", "id") if model.get(key)]
        title = self._redactor.text(str(info.get("title") or "")) or None
        described = (title, info.get("agent"), "/".join(names) or None)
        if described != session.described:
            session.described = described
            session.agent = described[1]
            self._report.session(
                session.key,
                parent=session.parent,
                title=described[0],
                agent=described[1],
                model=described[2],
            )

    def tell(self, session: Session, asked: str | None) -> None:
        """Report what a session does, if that changed. asked: what it waits for."""
        running = list(session.tools.values())
        tool, work = running[-1] if running else (None, None)
        did: tuple[str, str | None, str | None]
        if asked is not None:
            did = ("awaiting_input", tool, asked)
        elif session.status == "retry":
            did = ("working", None, session.retry)
        elif not session.idle:
            did = ("working", tool, work)
        elif session.error is not None:
            did = ("error", None, session.error)
        else:
            did = ("idle", None, None)
        if did != session.did:
            session.did = did
            work = None if did[2] is None else self._redactor.text(did[2])[:_LONGEST_WORK]
            self._report.doing(session.key, did[0], did[1], work)

    def end(self, outcome: str) -> None:
        """Report the end of all of them, the root last."""
        for session in reversed(list(self)):
            self._report.session_ended(session.key, outcome)
