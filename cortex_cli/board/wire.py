"""The objects of the wire, as far as the board shows them, read from JSON as `reading` does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cortex_cli.board.reading import (
    BadObject,
    actor,
    each,
    id_of,
    optional,
    text,
    texts,
    whole,
)
from cortex_cli.board.value import Value
from cortex_cli.board.work import Attempt, Batch, Permission

PRIORITIES = ("none", "low", "medium", "high", "urgent")
# The state of a ticket is that of the session that most needs a person.
SESSION_ORDER = ("awaiting_input", "error", "working", "starting", "idle", "ended")


class Column(Value):
    """A ticket status, in board order."""

    name: str
    title: str
    wip_limit: int | None

    @staticmethod
    def read(data: Any) -> "Column":
        if not isinstance(data, Mapping) or not text(data, "name"):
            raise BadObject("a column without a name")
        limit = whole(data, "wip_limit")
        return Column(text(data, "name"), text(data, "title") or text(data, "name"), limit or None)


class Project(Value):
    id: str
    key: str
    name: str
    columns: tuple[Column, ...]
    revision: int

    @staticmethod
    def read(data: Any) -> "Project":
        return Project(
            id_of(data),
            text(data, "key"),
            text(data, "name"),
            each(data, "columns", Column.read),
            whole(data, "revision"),
        )


class Label(Value):
    id: str
    name: str
    color: str | None
    priority: int
    revision: int

    @staticmethod
    def read(data: Any) -> "Label":
        return Label(
            id_of(data),
            text(data, "name"),
            optional(data, "color"),
            whole(data, "priority"),
            whole(data, "revision"),
        )


@dataclass(frozen=True)
class Ticket:
    id: str
    key: str
    title: str
    body: str
    type: str
    status: str
    rank: str
    priority: str
    labels: tuple[str, ...]
    assignee: str | None
    due: str | None
    references: tuple[str, ...]
    depends_on: tuple[str, ...]
    archived: bool
    revision: int
    created_at: str
    updated_at: str

    @staticmethod
    def read(data: Any) -> "Ticket":
        return Ticket(
            id_of(data),
            text(data, "key"),
            text(data, "title"),
            text(data, "body"),
            text(data, "type"),
            text(data, "status"),
            text(data, "rank"),
            text(data, "priority") or "none",
            texts(data, "labels"),
            optional(data, "assignee"),
            optional(data, "due"),
            texts(data, "references"),
            texts(data, "depends_on"),
            data.get("archived") is True,
            whole(data, "revision"),
            text(data, "created_at"),
            text(data, "updated_at"),
        )

    @cached_property
    def searchable(self) -> str:
        """What a filter looks through, in lower case."""
        marks = [f"#{label}" for label in self.labels] + (
            [f"@{self.assignee}"] if self.assignee else []
        )
        return " ".join([self.key, self.title, self.type, self.priority, *marks]).casefold()


class Comment(Value):
    id: str
    ticket: str
    author: str
    type: str
    body: str
    revision: int
    created_at: str

    @staticmethod
    def read(data: Any) -> "Comment":
        return Comment(
            id_of(data),
            text(data, "ticket"),
            actor(data, "author"),
            text(data, "type"),
            text(data, "body"),
            whole(data, "revision"),
            text(data, "created_at"),
        )


class Review(Value):
    id: str
    ticket: str
    branch: str | None
    commit: str | None
    summary: str
    state: str
    note: str | None
    requested_by: str
    resolved_by: str
    revision: int
    created_at: str

    @staticmethod
    def read(data: Any) -> "Review":
        return Review(
            id_of(data),
            text(data, "ticket"),
            optional(data, "branch"),
            optional(data, "commit"),
            text(data, "summary"),
            text(data, "state"),
            optional(data, "note"),
            actor(data, "requested_by"),
            actor(data, "resolved_by"),
            whole(data, "revision"),
            text(data, "created_at"),
        )

    @property
    def open(self) -> bool:
        return self.state == "requested"


class Session(Value):
    id: str
    ticket: str
    parent_id: str | None
    title: str
    agent: str | None
    model: str | None
    status: str
    tool: str | None
    work: str | None
    outcome: str | None
    attempt: str | None
    stale: bool  # it says that it works, and has said nothing for long
    revision: int
    created_at: str
    updated_at: str

    @staticmethod
    def read(data: Any) -> "Session":
        return Session(
            id_of(data),
            text(data, "ticket"),
            optional(data, "parent_id"),
            text(data, "title") or "Untitled",
            optional(data, "agent"),
            optional(data, "model"),
            text(data, "status"),
            optional(data, "tool"),
            optional(data, "work"),
            optional(data, "outcome"),
            optional(data, "attempt"),
            data.get("stale") is True,
            whole(data, "revision"),
            text(data, "created_at"),
            text(data, "updated_at"),
        )

    @property
    def waits_by_hand(self) -> bool:
        """It waits for a person where it was started: no attempt holds it, which would say so."""
        return self.status == "awaiting_input" and not self.attempt

    @property
    def urgency(self) -> int:
        """0 needs a person most."""
        return (
            SESSION_ORDER.index(self.status) if self.status in SESSION_ORDER else len(SESSION_ORDER)
        )


@dataclass(frozen=True)
class Part:
    type: str
    text: str
    tool: str | None
    input: str  # the only text that was given, else all of it as JSON; "" for nothing
    status: str

    @staticmethod
    def read(data: Any) -> "Part":
        if not isinstance(data, Mapping):
            raise BadObject("a part that is no object")
        return Part(
            text(data, "type"),
            text(data, "text"),
            optional(data, "tool"),
            _json_text(data.get("input")),
            text(data, "status"),
        )


@dataclass(frozen=True)
class Message:
    id: str
    session: str
    role: str
    parts: tuple[Part, ...]
    status: str
    number: int
    revision: int
    updated_at: str = ""

    @staticmethod
    def read(data: Any) -> "Message":
        return Message(
            id_of(data),
            text(data, "session"),
            text(data, "role"),
            each(data, "parts", Part.read),
            text(data, "status"),
            whole(data, "number"),
            whole(data, "revision"),
            text(data, "updated_at"),
        )


def _json_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping) and len(value) == 1:
        [only] = value.values()
        if isinstance(only, str):
            return only
    import json

    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


@dataclass(frozen=True)
class Board:
    """One project's board as of `seq`. Tickets are those that are not archived, by id.

    attempts: those that have not ended, and recent ones. permissions: the open ones.
    """

    epoch: str
    head: int
    seq: int
    project: Project
    labels: Mapping[str, Label]
    tickets: Mapping[str, Ticket]
    sessions: Mapping[str, Session]
    reviews: Mapping[str, Review]
    attempts: Mapping[str, Attempt]
    permissions: Mapping[str, Permission]
    batches: Mapping[str, Batch]

    @staticmethod
    def read(data: Any) -> "Board":
        """The body of GET /api/projects/KEY/board, or of a `state` frame. Raises BadObject."""
        if not isinstance(data, Mapping):
            raise BadObject("a board that is no object")
        tickets = each(data, "tickets", Ticket.read)
        sessions = each(data, "sessions", Session.read)
        reviews = each(data, "reviews", Review.read)
        permissions = each(data, "permissions", Permission.read)
        return Board(
            text(data, "epoch"),
            whole(data, "head"),
            whole(data, "seq"),
            Project.read(data.get("project")),
            {label.id: label for label in each(data, "labels", Label.read)},
            {ticket.id: ticket for ticket in tickets if not ticket.archived},
            {session.id: session for session in sessions if session.status != "ended"},
            {review.id: review for review in reviews if review.open},
            {attempt.id: attempt for attempt in each(data, "attempts", Attempt.read)},
            {permission.id: permission for permission in permissions if permission.open},
            {batch.id: batch for batch in each(data, "batches", Batch.read)},
        )

    def of(self, key: str) -> "Board":
        """The board that a ticket of this key is on, where there are several in one."""
        return self

    def within(self, key: str, change: Callable[["Board"], "Board"]) -> "Board":
        """With a change to the board that a ticket of this key is on."""
        return change(self)

    @property
    def boards(self) -> tuple["Board", ...]:
        """Those that it is made of."""
        return (self,)

    @cached_property
    def limits(self) -> Mapping[str, int | None]:
        """How many tickets each column shall have at most."""
        return {column.name: column.wip_limit for column in self.project.columns}

    @cached_property
    def memo(self) -> dict[str, Any]:
        """Room for what others work out from it, for as long as it does not change."""
        return {}

    @cached_property
    def columns(self) -> Mapping[str, tuple[Ticket, ...]]:
        """The tickets of each column, by rank and id; a status without a column comes last."""
        columns: dict[str, list[Ticket]] = {column.name: [] for column in self.project.columns}
        for ticket in sorted(self.tickets.values(), key=lambda ticket: (ticket.rank, ticket.id)):
            columns.setdefault(ticket.status, []).append(ticket)
        return {name: tuple(tickets) for name, tickets in columns.items()}

    @cached_property
    def sessions_of(self) -> Mapping[str, tuple[Session, ...]]:
        """Live sessions by ticket key, the one that most needs a person first."""
        found: dict[str, list[Session]] = {}
        for session in sorted(
            self.sessions.values(), key=lambda session: (session.urgency, session.id)
        ):
            found.setdefault(session.ticket, []).append(session)
        return {key: tuple(sessions) for key, sessions in found.items()}

    @cached_property
    def reviewed(self) -> frozenset[str]:
        """Keys of the tickets that wait for a review."""
        return frozenset(review.ticket for review in self.reviews.values())

    @cached_property
    def attempts_of(self) -> Mapping[str, tuple[Attempt, ...]]:
        """Attempts by ticket key, the newest first."""
        found: dict[str, list[Attempt]] = {}
        for attempt in sorted(self.attempts.values(), key=lambda attempt: -attempt.number):
            found.setdefault(attempt.ticket, []).append(attempt)
        return {key: tuple(attempts) for key, attempts in found.items()}

    @cached_property
    def asked_of(self) -> Mapping[str, tuple[Permission, ...]]:
        """Open questions by ticket key, the oldest first."""
        found: dict[str, list[Permission]] = {}
        for asked in sorted(self.permissions.values(), key=lambda p: (p.created_at, p.id)):
            found.setdefault(asked.ticket, []).append(asked)
        return {key: tuple(questions) for key, questions in found.items()}
