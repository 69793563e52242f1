"""Event payloads that are more, or less, than the object itself."""

from typing import Any

from cortex_server.events.objects import Label, Ticket, Wire


class ChangedTicket(Ticket):
    """The ticket's new state, and what changed: {field: {"from", "to"}}."""

    changed: dict[str, dict[str, Any]]


class LabeledTicket(Ticket):
    """The ticket's new state, and the label that it got or lost."""

    label: Label


class Keyed(Wire):
    """What is left of a deleted team, project or ticket."""

    id: str
    key: str


class DeletedLabel(Wire):
    id: str
    name: str


class DeletedComment(Wire):
    id: str
    ticket: str


class Delta(Wire):
    """Text to append to a part at `offset` (code points); elsewhere: fetch the message."""

    session: str
    message: str
    part: int
    offset: int
    text: str
