"""The objects on the wire: what REST answers, snapshots and event payloads are made of.

Times are UTC, ISO 8601, with six fractional digits and `Z`. Every field is always present.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Priority = Literal["none", "low", "medium", "high", "urgent"]
TicketType = Literal["work", "debug", "research", "chore"]
CommentType = Literal["comment", "blocker", "done", "review_requested"]
ReviewState = Literal["requested", "approved", "changes_requested", "dismissed"]
SessionStatus = Literal["starting", "working", "idle", "awaiting_input", "error", "ended"]
SessionOutcome = Literal["succeeded", "failed", "cancelled"]
MessageRole = Literal["user", "assistant", "system", "tool"]
MessageStatus = Literal["streaming", "complete"]
PartType = Literal["text", "thinking", "tool", "error"]
ActorKind = Literal["user", "agent", "runner", "system"]
Role = Literal["read", "write", "agent", "runner", "admin"]


class Wire(BaseModel):
    """An object as it goes over the wire: closed and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def json_dict(self) -> dict[str, Any]:
        """The object as JSON types."""
        return self.model_dump(mode="json")


class Actor(Wire):
    """Who did it. Taken from the token, never from a body."""

    kind: ActorKind
    name: str


class Team(Wire):
    id: str
    key: str
    name: str
    color: str | None
    revision: int
    created_at: str
    updated_at: str


class Column(Wire):
    """A ticket status of a project, in board order."""

    name: str
    title: str
    wip_limit: int | None


class Project(Wire):
    id: str
    key: str
    name: str
    team: str | None
    repo_path: str | None
    default_branch: str
    columns: list[Column]
    revision: int
    created_at: str
    updated_at: str


class Label(Wire):
    id: str
    project: str
    name: str
    color: str | None
    priority: int
    revision: int
    created_at: str
    updated_at: str


class Ticket(Wire):
    id: str
    key: str
    project: str
    number: int
    title: str
    body: str
    type: TicketType
    status: str
    rank: str
    priority: Priority
    labels: list[str]
    assignee: str | None
    due: str | None
    references: list[str]
    depends_on: list[str]
    archived: bool
    revision: int
    created_at: str
    updated_at: str


class PlacedTicket(Ticket):
    """A ticket with its place in its column, counted from 0; null while it is archived."""

    position: int | None


class Comment(Wire):
    id: str
    project: str
    ticket: str
    author: Actor
    type: CommentType
    body: str
    revision: int
    created_at: str
    updated_at: str


class Review(Wire):
    id: str
    project: str
    ticket: str
    repo_path: str | None
    branch: str | None
    commit: str | None
    summary: str
    state: ReviewState
    note: str | None
    requested_by: Actor
    resolved_by: Actor | None
    revision: int
    created_at: str
    updated_at: str


class Session(Wire):
    """attempt: that it belongs to · stale: nothing was heard of it for long, whatever it says."""

    id: str
    project: str
    ticket: str
    attempt: str | None
    parent_id: str | None
    title: str
    agent: str | None
    model: str | None
    status: SessionStatus
    tool: str | None
    work: str | None
    outcome: SessionOutcome | None
    stale: bool
    started_by: Actor
    revision: int
    created_at: str
    updated_at: str
    ended_at: str | None


class Part(Wire):
    """One piece of a message; `text` grows by deltas while `status` is streaming."""

    type: PartType
    text: str
    tool: str | None
    input: Any
    status: MessageStatus


class Message(Wire):
    id: str
    project: str
    ticket: str
    session: str
    role: MessageRole
    parts: list[Part]
    status: MessageStatus
    number: int
    revision: int
    created_at: str
    updated_at: str


class Settings(Wire):
    scope: Literal["global", "project"]
    project: str | None
    values: dict[str, Any]
    revision: int


class Token(Wire):
    """A token without its secret, which is only ever shown in the answer that made it."""

    id: str
    name: str
    role: Role
    actor: Actor
    projects: list[str] | None
    ticket: str | None
    attempt: str | None
    expires_at: str | None
    revoked_at: str | None
    created_at: str
    last_used_at: str | None


class NewToken(Token):
    secret: str
