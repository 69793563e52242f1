"""The objects of the wire, as far as the board shows them, read from JSON.

Readers are lenient about what they do not need: a missing or mistyped field becomes its empty
value. Only an object without an id is refused, with BadObject.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

Json = Mapping[str, Any]
T = TypeVar("T")

PRIORITIES = ("none", "low", "medium", "high", "urgent")
# The state of a ticket is that of the session that most needs a person.
SESSION_ORDER = ("awaiting_input", "error", "working", "starting", "idle", "ended")


class BadObject(ValueError):
    """What came is not the object it should be."""


def _text(data: Json, name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _optional(data: Json, name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None


def _whole(data: Json, name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _texts(data: Json, name: str) -> tuple[str, ...]:
    value = data.get(name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _id(data: object) -> str:
    if not isinstance(data, Mapping) or not isinstance(data.get("id"), str) or not data["id"]:
        raise BadObject("an object without an id")
    return str(data["id"])


def _actor(data: Json, name: str) -> str:
    actor = data.get(name)
    return _text(actor, "name") if isinstance(actor, Mapping) else ""


def _each(data: Json, name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
    value = data.get(name)
    return tuple(read(item) for item in value) if isinstance(value, list) else ()


@dataclass(frozen=True)
class Column:
    """A ticket status, in board order."""

    name: str
    title: str
    wip_limit: int | None

    @staticmethod
    def read(data: Any) -> "Column":
        if not isinstance(data, Mapping) or not _text(data, "name"):
            raise BadObject("a column without a name")
        limit = _whole(data, "wip_limit")
        return Column(
            _text(data, "name"), _text(data, "title") or _text(data, "name"), limit or None
        )


@dataclass(frozen=True)
class Project:
    id: str
    key: str
    name: str
    columns: tuple[Column, ...]
    revision: int

    @staticmethod
    def read(data: Any) -> "Project":
        return Project(
            _id(data),
            _text(data, "key"),
            _text(data, "name"),
            _each(data, "columns", Column.read),
            _whole(data, "revision"),
        )


@dataclass(frozen=True)
class Label:
    id: str
    name: str
    color: str | None
    priority: int
    revision: int

    @staticmethod
    def read(data: Any) -> "Label":
        return Label(
            _id(data),
            _text(data, "name"),
            _optional(data, "color"),
            _whole(data, "priority"),
            _whole(data, "revision"),
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
            _id(data),
            _text(data, "key"),
            _text(data, "title"),
            _text(data, "body"),
            _text(data, "type"),
            _text(data, "status"),
            _text(data, "rank"),
            _text(data, "priority") or "none",
            _texts(data, "labels"),
            _optional(data, "assignee"),
            _optional(data, "due"),
            _texts(data, "references"),
            _texts(data, "depends_on"),
            data.get("archived") is True,
            _whole(data, "revision"),
            _text(data, "created_at"),
            _text(data, "updated_at"),
        )

    @cached_property
    def searchable(self) -> str:
        """What a filter looks through, in lower case."""
        marks = [f"#{label}" for label in self.labels] + (
            [f"@{self.assignee}"] if self.assignee else []
        )
        return " ".join([self.key, self.title, self.type, self.priority, *marks]).casefold()


@dataclass(frozen=True)
class Comment:
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
            _id(data),
            _text(data, "ticket"),
            _actor(data, "author"),
            _text(data, "type"),
            _text(data, "body"),
            _whole(data, "revision"),
            _text(data, "created_at"),
        )


@dataclass(frozen=True)
class Review:
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
            _id(data),
            _text(data, "ticket"),
            _optional(data, "branch"),
            _optional(data, "commit"),
            _text(data, "summary"),
            _text(data, "state"),
            _optional(data, "note"),
            _actor(data, "requested_by"),
            _actor(data, "resolved_by"),
            _whole(data, "revision"),
            _text(data, "created_at"),
        )

    @property
    def open(self) -> bool:
        return self.state == "requested"


@dataclass(frozen=True)
class Session:
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
    started_by: str
    revision: int
    created_at: str
    updated_at: str

    @staticmethod
    def read(data: Any) -> "Session":
        return Session(
            _id(data),
            _text(data, "ticket"),
            _optional(data, "parent_id"),
            _text(data, "title") or "Untitled",
            _optional(data, "agent"),
            _optional(data, "model"),
            _text(data, "status"),
            _optional(data, "tool"),
            _optional(data, "work"),
            _optional(data, "outcome"),
            _actor(data, "started_by"),
            _whole(data, "revision"),
            _text(data, "created_at"),
            _text(data, "updated_at"),
        )

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
    input: str  # JSON text; empty when there is none
    status: str

    @staticmethod
    def read(data: Any) -> "Part":
        if not isinstance(data, Mapping):
            raise BadObject("a part that is no object")
        return Part(
            _text(data, "type"),
            _text(data, "text"),
            _optional(data, "tool"),
            _json_text(data.get("input")),
            _text(data, "status"),
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

    @staticmethod
    def read(data: Any) -> "Message":
        return Message(
            _id(data),
            _text(data, "session"),
            _text(data, "role"),
            _each(data, "parts", Part.read),
            _text(data, "status"),
            _whole(data, "number"),
            _whole(data, "revision"),
        )


def _json_text(value: Any) -> str:
    if value is None:
        return ""
    import json

    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


@dataclass(frozen=True)
class Board:
    """One project's board as of `seq`. Tickets are those that are not archived, by id."""

    epoch: str
    head: int
    seq: int
    project: Project
    labels: Mapping[str, Label]
    tickets: Mapping[str, Ticket]
    sessions: Mapping[str, Session]
    reviews: Mapping[str, Review]

    @staticmethod
    def read(data: Any) -> "Board":
        """The body of GET /api/projects/KEY/board, or of a `state` frame. Raises BadObject."""
        if not isinstance(data, Mapping):
            raise BadObject("a board that is no object")
        tickets = _each(data, "tickets", Ticket.read)
        sessions = _each(data, "sessions", Session.read)
        reviews = _each(data, "reviews", Review.read)
        return Board(
            _text(data, "epoch"),
            _whole(data, "head"),
            _whole(data, "seq"),
            Project.read(data.get("project")),
            {label.id: label for label in _each(data, "labels", Label.read)},
            {ticket.id: ticket for ticket in tickets if not ticket.archived},
            {session.id: session for session in sessions if session.status != "ended"},
            {review.id: review for review in reviews if review.open},
        )

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
