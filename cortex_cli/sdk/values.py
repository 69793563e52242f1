"""The values that a stream yields.

Texts in them come from people and agents: sanitise them before they reach a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .errors import CortexError


@dataclass(frozen=True, slots=True)
class Connected:
    """The server greeted; `resumed` says that the stream goes on after our cursor.

    ticket: the only one that the stream tells of, asked for or by the token; None for no limit.
    """

    epoch: str
    head: int
    floor: int
    client_id: str
    server_time: str
    heartbeat_s: float
    resumed: bool
    version: str
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """What the reader holds is stale: a State follows, or none when it asked for none."""

    reason: str
    floor: int | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class State:
    """Everything as of `head`; the events that follow apply on top of it."""

    id: str
    head: int
    seq: int | None
    body: dict[str, Any]

    @property
    def projects(self) -> list[Any] | None:
        """Return the list of projects of a firehose; None for a board."""
        found = self.body.get("projects")
        return found if isinstance(found, list) and "project" not in self.body else None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it; `kind` is user, agent, runner or system."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change.

    id: None for an attempt's status that was sent ahead of the state (`snapshot`).
    raw: the JSON text as it was sent.
    gap: how many events of this project are missing before this one (known only on an
        unfiltered board stream), or 1 for an event whose JSON cannot be read. Where it is not
        0, fetch the board again.
    """

    id: str | None
    type: str
    project: str | None
    seq: int | None
    ticket: str | None
    at: str
    actor: Actor
    payload: dict[str, Any]
    raw: str
    snapshot: bool = False
    gap: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a message that is being written; not logged, may be lost."""

    type: str
    project: str | None
    ticket: str | None
    at: str
    payload: dict[str, Any]
    raw: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The dashboard's figures as of now."""

    body: dict[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The stream lives; everything up to `id` was considered.

    seqs: on a stream of all projects, the seq of each there, by key.
    """

    id: str | None
    at: str
    head: int | None
    seq: int | None
    seqs: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """The server ended the stream in order; with `reconnect` the stream comes back by itself."""

    reason: str
    reconnect: bool
    reconnect_in_s: float


@dataclass(frozen=True, slots=True)
class Lost:
    """The stream broke.

    retry_in: seconds until the next attempt; None when the stream gave up and ends.
    attempt: number of that attempt since the last greeting, from 1; how many were made when
        the stream gave up.
    of: how many are allowed; None for no limit.
    """

    error: CortexError
    retry_in: float | None
    attempt: int
    of: int | None

    @property
    def final(self) -> bool:
        return self.retry_in is None


Value: TypeAlias = Connected | Reset | State | Event | Delta | Overview | Heartbeat | End | Lost
