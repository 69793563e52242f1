"""Agents at work: attempts, the questions they ask, batches; JSON is read as `reading` does it."""

from typing import Any

from cortex_cli.board.reading import (
    BadObject,
    Json,
    actor,
    each,
    id_of,
    maybe,
    optional,
    text,
    whole,
)
from cortex_cli.board.value import Value

CLAIMED = ("starting", "running", "waiting", "stopping")
ACTIVE = ("queued", *CLAIMED)
RETRIED = ("failed", "cancelled", "lost")
WENT_WRONG = ("failed", "lost")


class Todo(Value):
    text: str
    status: str

    @staticmethod
    def read(data: Any) -> "Todo":
        return Todo(text(data, "text"), text(data, "status"))


class Git(Value):
    """ahead, behind: commits against the base. changed: files that are not committed."""

    branch: str
    head: str
    ahead: int
    behind: int
    changed: int

    @staticmethod
    def read(data: Any) -> "Git":
        return Git(
            text(data, "branch"),
            text(data, "head"),
            whole(data, "ahead"),
            whole(data, "behind"),
            whole(data, "changed"),
        )


class PullRequest(Value):
    """url: "" where a branch was merged without one."""

    state: str
    url: str
    number: int

    @staticmethod
    def read(data: Any) -> "PullRequest":
        return PullRequest(text(data, "state"), text(data, "url"), whole(data, "number"))


class Attempt(Value):
    """One run of an agent on a ticket. session: the root of its conversation."""

    id: str
    ticket: str
    number: int
    agent: str
    profile: str
    status: str
    stage: str
    progress: str
    branch: str
    worktree: str
    session: str
    runner: str
    todos: tuple[Todo, ...]
    git: Git | None
    pr: PullRequest | None
    compare_url: str
    batch: str
    reason: str
    revision: int
    created_at: str
    updated_at: str
    ended_at: str

    @staticmethod
    def read(data: Any) -> "Attempt":
        return Attempt(
            id_of(data),
            text(data, "ticket"),
            whole(data, "number"),
            text(data, "agent"),
            text(data, "profile"),
            text(data, "status"),
            text(data, "stage"),
            text(data, "progress"),
            text(data, "branch"),
            text(data, "worktree"),
            text(data, "session"),
            text(data, "runner"),
            each(data, "todos", Todo.read),
            maybe(data, "git", Git.read),
            maybe(data, "pr", PullRequest.read),
            text(data, "compare_url"),
            text(data, "batch"),
            text(data, "reason"),
            whole(data, "revision"),
            text(data, "created_at"),
            text(data, "updated_at"),
            text(data, "ended_at"),
        )

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def name(self) -> str:
        """As people call it."""
        return f"{self.ticket}/{self.number}"

    def with_part(self, kind: str, data: Json) -> "Attempt":
        """With what an event of this type says of a part of it, and that part's revision."""
        at = {"revision": whole(data, "revision"), "updated_at": text(data, "updated_at")}
        match kind:
            case "attempt.progress":
                return self.but(stage=text(data, "stage"), progress=text(data, "progress"), **at)
            case "attempt.todos":
                return self.but(todos=each(data, "todos", Todo.read), **at)
            case "attempt.pr":
                page = text(data, "compare_url")
                return self.but(pr=PullRequest.read(data), compare_url=page, **at)
            case "attempt.session" if data.get("root") is True:
                return self.but(session=text(data, "session"), **at)
            case "git.status":
                return self.but(git=Git.read(data), **at)
        return self


PARTS = ("attempt.progress", "attempt.todos", "attempt.pr", "attempt.session", "git.status")


class Option(Value):
    id: str
    label: str
    description: str

    @staticmethod
    def read(data: Any) -> "Option":
        return Option(id_of(data), text(data, "label"), text(data, "description"))


class Permission(Value):
    """A question that an agent asks a person. kind: permission or question."""

    id: str
    ticket: str
    attempt: str
    session: str
    kind: str
    title: str
    detail: str
    options: tuple[Option, ...]
    multiple: bool
    free_text: bool
    state: str
    asked_by: str
    revision: int
    created_at: str

    @staticmethod
    def read(data: Any) -> "Permission":
        return Permission(
            id_of(data),
            text(data, "ticket"),
            text(data, "attempt"),
            text(data, "session"),
            text(data, "kind"),
            text(data, "title"),
            text(data, "detail"),
            each(data, "options", Option.read),
            data.get("multiple") is True,
            data.get("free_text") is True,
            text(data, "state"),
            actor(data, "asked_by"),
            whole(data, "revision"),
            text(data, "created_at"),
        )

    @property
    def open(self) -> bool:
        return self.state == "open"

    @property
    def about(self) -> str:
        return about(self.title, self.detail)


def about(title: str, detail: str) -> str:
    """All of what is asked, the title first; what the detail repeats of it is said once."""
    title, detail = title.strip(), detail.strip()
    if " ".join(detail.split()).startswith(" ".join(title.split()).rstrip("…").rstrip()):
        return detail
    first, _, rest = detail.partition("\n")
    return f"{title}\n{rest if title.endswith(first.strip()) else detail}".strip()


class BatchTicket(Value):
    ticket: str
    status: str

    @staticmethod
    def read(data: Any) -> "BatchTicket":
        return BatchTicket(
            text(data, "ticket"),
            text(data, "status"),
        )


class Batch(Value):
    """Several tickets that are run together, in their order."""

    id: str
    name: str
    status: str
    tickets: tuple[BatchTicket, ...]

    @staticmethod
    def read(data: Any) -> "Batch":
        return Batch(
            id_of(data),
            text(data, "name"),
            text(data, "status"),
            each(data, "tickets", BatchTicket.read),
        )

    @property
    def active(self) -> bool:
        return self.status in ("pending", "running", "merging")

    def with_ticket(self, row: BatchTicket) -> "Batch":
        """With another state of one of its tickets."""
        return self.but(tickets=tuple(row if t.ticket == row.ticket else t for t in self.tickets))


class LogEntry(Value):
    """number: counts from 1 within the attempt. kind: text, tool, error or system."""

    attempt: str
    number: int
    kind: str
    text: str
    tool: str | None

    @staticmethod
    def read(data: Any) -> "LogEntry":
        if not isinstance(data, dict):
            raise BadObject("a log entry that is no object")
        return LogEntry(
            text(data, "attempt"),
            whole(data, "number"),
            text(data, "kind"),
            text(data, "text"),
            optional(data, "tool"),
        )


class Instance(Value):
    """A server of an agent that a runner keeps. link: the runner's event connection to it."""

    id: str
    attempt: str
    status: str
    url: str
    error: str
    link: str
    revision: int

    @staticmethod
    def read(data: Any) -> "Instance":
        return Instance(
            id_of(data),
            text(data, "attempt"),
            text(data, "status"),
            text(data, "url"),
            text(data, "error"),
            text(data, "link"),
            whole(data, "revision"),
        )
