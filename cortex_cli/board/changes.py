"""What the board changes on tickets, what comes of it, and what can be undone: values.

A field goes by its name on the wire, which is that of the attribute of `wire.Ticket`; `position`
is a place in a column, counted from 0, None for its end.
"""

from collections.abc import Mapping
from typing import Any

from cortex_cli.board.value import Value
from cortex_cli.board.wire import Comment, Ticket


class Row(Value):
    """The change of one ticket. fields: what it becomes. back: the same fields, as they were.

    expect: what has to be true of the ticket for the change to be meant, at whatever revision.
    """

    project: str
    ticket_id: str
    key: str
    revision: int
    fields: Mapping[str, Any]
    back: Mapping[str, Any]
    expect: Mapping[str, Any]


class Part(Value):
    """What was done to one ticket. back: what undoes it. then: what it made true; as long as that
    holds, nobody has changed it since."""

    ticket_id: str
    key: str
    revision: int
    back: Mapping[str, Any]
    then: Mapping[str, Any]


class Entry(Value):
    """Something that is undone as one."""

    parts: tuple[Part, ...]


class Kept(Value):
    """A draft that was not stored. job: what it is for; its `path` is where it is."""

    job: "Job"
    why: str


class Job(Value):
    """What a text is written for. kind: ticket, new, or the kind of a prompt.

    target: the id of a ticket, a column, or what the prompt is about. name: a key, for people.
    start: what the text began as. ticket: as it was then. path: of a draft that goes on.
    over: what others changed since may be overwritten, the user was told. project: of a new one.
    """

    kind: str
    target: str
    name: str
    start: str
    ticket: Ticket | None = None
    path: str = ""
    over: bool = False
    project: str = ""

    @property
    def draft(self) -> str:
        """The name of the draft: there is one of each."""
        return f"{self.kind} {self.target}" if self.kind == "ticket" else self.kind


class Work(Value):
    """A change that is on its way. way: do, undo or redo. parts: what of it is done already.

    entry: what is being undone or redone. job: of a text that it comes from.
    """

    number: int
    way: str
    rows: tuple[Row, ...]
    parts: tuple[Part, ...] = ()
    entry: Entry | None = None
    job: Job | None = None


class Echo(Value):
    """A ticket or a comment that is shown before the server has it. known: the ids of those that
    look the same and are not it. until: when to stop showing it, once it was answered."""

    number: int
    ticket: Ticket | None
    comment: Comment | None
    known: frozenset[str]
    job: Job | None = None
    until: float = 0.0


NO_FIELDS: Mapping[str, Any] = {}


# --- effects


class Create(Value):
    """number: of its echo. fields: what else is known of it, by the wire's names."""

    project: str
    title: str
    status: str
    number: int = 0
    fields: Mapping[str, Any] = NO_FIELDS


class AddComment(Value):
    ticket: str
    body: str
    number: int = 0


class Alter(Value):
    """Change tickets: all of them, or those that the server does not refuse."""

    number: int
    rows: tuple[Row, ...]


class Delete(Value):
    number: int
    rows: tuple[Row, ...]


class EditText(Value):
    """Let the user write. look: False takes the draft as it is."""

    job: Job
    look: bool = True


class Discard(Value):
    """Remove a draft that is stored elsewhere now."""

    path: str


# --- messages


class Created(Value):
    """number: of its echo."""

    ticket: Ticket
    number: int = 0


class Commented(Value):
    comment: Comment
    number: int = 0


class Refused(Value):
    """A create or a comment failed. The draft is given back to the prompt that it came from."""

    prompt: str
    draft: str
    why: str
    number: int = 0


class RowRefused(Value):
    """current: the ticket as the server has it, when that is why. again: the same may work another
    time."""

    ticket_id: str
    why: str
    current: Ticket | None
    again: bool = False


class Altered(Value):
    number: int
    tickets: tuple[Ticket, ...]
    refused: tuple[RowRefused, ...]


class Deleted(Value):
    number: int
    ids: tuple[str, ...]
    refused: tuple[RowRefused, ...]


class Written(Value):
    """job: with the path of the draft. unchanged: it is what the editor opened."""

    job: Job
    text: str
    unchanged: bool


class NotWritten(Value):
    """There is no text. job: with the path of the draft, "" where none is worth keeping."""

    job: Job
    why: str
