"""Who wants which events: channels, and the events that are not logged."""

from dataclasses import dataclass

from cortex_server.events import EVENTS, Audience
from cortex_server.log import LoggedEvent


@dataclass(frozen=True)
class Channel:
    """What a subscriber may see and asked to see; equal ones share one entry in the bus.

    project: of a board stream, else None · readable: the project keys of the token, None for all ·
    types: event types, None for all · ticket: a key · deltas: a session id, "*" or None.
    """

    project: str | None = None
    readable: frozenset[str] | None = None
    admin: bool = False
    types: frozenset[str] | None = None
    ticket: str | None = None
    deltas: str | None = None

    def matches(self, event: LoggedEvent) -> bool:
        if self.types is not None and event.type not in self.types:
            return False
        if self.ticket is not None and event.ticket != self.ticket:
            return False
        if event.project:
            return self.reads(event.project)
        return self.admin or EVENTS[event.type].audience is Audience.EVERYONE

    def reads(self, project: str) -> bool:
        if self.project is not None:
            return project == self.project
        return self.readable is None or project in self.readable

    def wants(self, delta: "EphemeralEvent") -> bool:
        if self.deltas not in ("*", delta.session):
            return False
        if self.types is not None and delta.type not in self.types:
            return False
        return self.reads(delta.project) and self.ticket in (None, delta.ticket)

    @property
    def log_projects(self) -> tuple[str, ...] | None:
        """The projects to read from the log, None for all; events of none come along."""
        if self.project is not None:
            return (self.project,)
        return None


@dataclass(frozen=True)
class EphemeralEvent:
    """An event that is not logged and has no id."""

    type: str
    project: str
    ticket: str
    session: str
    frame: bytes
