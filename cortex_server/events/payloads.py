"""Event payloads that are more, or less, than the object itself."""

from typing import Any

from cortex_server.events.objects import Label, Ticket, Wire
from cortex_server.events.work import Change, ChangedFile, Memory, Profile, PrState, Stage, Todo


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


class ChangedProfile(Profile):
    """The profile's new state, or its last one."""

    change: Change


class ChangedMemory(Memory):
    """The new state, or the last one."""

    change: Change


class _OfAttempt(Wire):
    """A part of an attempt's new state; `revision` and `updated_at` are the attempt's."""

    attempt: str
    revision: int
    updated_at: str


class AttemptProgress(_OfAttempt):
    stage: Stage | None
    progress: str | None


class AttemptTodos(_OfAttempt):
    todos: list[Todo]


class AttemptPr(_OfAttempt):
    """url: null where the branch was merged without a pull request."""

    state: PrState
    url: str | None
    number: int | None
    compare_url: str | None


class AttemptGit(_OfAttempt):
    """files: at most the first 200 of those that changed, with `more` others."""

    branch: str | None
    head: str | None
    ahead: int
    behind: int
    changed: int
    files: list[ChangedFile]
    more: int


class AttemptSession(_OfAttempt):
    """A conversation that belongs to an attempt. root: whether the attempt's `session` is it."""

    session: str
    root: bool


class Fired(Wire):
    """cause: {"event", "type"} or {"due"}, a time · result: {"attempt"}, {"batch"} or {"call"}."""

    trigger: str
    name: str
    cause: dict[str, Any]
    result: dict[str, Any]
    error: str | None
