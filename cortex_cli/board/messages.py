"""What can happen (messages) and what can be asked for (effects): the board's whole vocabulary.

Messages that come from a stream carry its number, so that one that was left behind by a switch of
project cannot change the board of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortex_cli.board.apply import Change
from cortex_cli.board.wire import Comment, Message, Review, Session, Ticket

# --- messages: the terminal


@dataclass(frozen=True)
class Key:
    """A key by its name in the key table; a printable character is its own name."""

    name: str


@dataclass(frozen=True)
class Clicked:
    y: int
    x: int
    double: bool = False


@dataclass(frozen=True)
class Resized:
    width: int
    height: int


@dataclass(frozen=True)
class Tick:
    """now: seconds since the epoch."""

    now: float


# --- messages: the stream


@dataclass(frozen=True)
class Connected:
    stream: int
    resumed: bool


@dataclass(frozen=True)
class Snapshot:
    """A whole board: the `state` frame, or (fetched) the answer to LoadBoard."""

    stream: int
    body: Mapping[str, Any]
    fetched: bool = False


@dataclass(frozen=True)
class Changed:
    stream: int
    change: Change


@dataclass(frozen=True)
class Beat:
    """A heartbeat: seq is that of the last event written before it."""

    stream: int
    seq: int | None


@dataclass(frozen=True)
class Stale:
    """`reset`: what the board holds cannot be continued; a snapshot follows."""

    stream: int
    reason: str


@dataclass(frozen=True)
class Ended:
    """`end`: the server closed the stream on purpose."""

    stream: int
    reason: str
    reconnect: bool


@dataclass(frozen=True)
class Lost:
    """retry_in: seconds until the next attempt; None when there will be none."""

    stream: int
    why: str
    retry_in: float | None
    attempt: int


@dataclass(frozen=True)
class Grown:
    """Text was appended to a streaming part (`message.delta`). offset: code points."""

    ticket: str
    session: str
    message: str
    part: int
    offset: int
    text: str


# --- messages: answers to effects


@dataclass(frozen=True)
class BoardFailed:
    stream: int
    why: str


@dataclass(frozen=True)
class Moved:
    ticket: Ticket


@dataclass(frozen=True)
class MoveRefused:
    """current: the ticket as the server has it, when that is why it refused."""

    ticket_id: str
    why: str
    current: Ticket | None = None


@dataclass(frozen=True)
class Created:
    ticket: Ticket


@dataclass(frozen=True)
class Commented:
    comment: Comment


@dataclass(frozen=True)
class Refused:
    """A create or a comment failed. The draft is given back to the prompt that it came from."""

    prompt: str
    draft: str
    why: str


@dataclass(frozen=True)
class DetailLoaded:
    ticket: Ticket
    comments: tuple[Comment, ...]
    reviews: tuple[Review, ...]
    sessions: tuple[Session, ...]


@dataclass(frozen=True)
class ThreadLoaded:
    """All messages of a session."""

    session: str
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class MessageLoaded:
    message: Message


@dataclass(frozen=True)
class LoadFailed:
    """Something of the open ticket could not be fetched. what: "ticket" or a session id."""

    what: str
    why: str
    message: str = ""


@dataclass(frozen=True)
class ProjectsLoaded:
    """projects: (key, name) of all that the token may read."""

    projects: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ProjectsFailed:
    why: str


StreamMessage = Connected | Snapshot | Changed | Beat | Stale | Ended | Lost | BoardFailed
Incoming = (
    Key
    | Clicked
    | Resized
    | Tick
    | StreamMessage
    | Grown
    | Moved
    | MoveRefused
    | Created
    | Commented
    | Refused
    | DetailLoaded
    | ThreadLoaded
    | MessageLoaded
    | LoadFailed
    | ProjectsLoaded
    | ProjectsFailed
)


# --- effects: the network


@dataclass(frozen=True)
class Follow:
    """Open the stream of a project and close the one before it."""

    project: str
    stream: int


@dataclass(frozen=True)
class Retry:
    """End the wait for the next attempt."""


@dataclass(frozen=True)
class LoadBoard:
    project: str
    stream: int


@dataclass(frozen=True)
class LoadProjects:
    pass


@dataclass(frozen=True)
class Move:
    """position: place in the target column, counted from 0; None is the end."""

    ticket_id: str
    status: str
    position: int | None
    revision: int


@dataclass(frozen=True)
class Create:
    project: str
    title: str
    status: str


@dataclass(frozen=True)
class AddComment:
    ticket: str
    body: str


@dataclass(frozen=True)
class LoadDetail:
    ticket: str


@dataclass(frozen=True)
class LoadThread:
    session: str


@dataclass(frozen=True)
class LoadMessage:
    session: str
    message: str


@dataclass(frozen=True)
class FollowDeltas:
    """Stream the text that agents write on one ticket; "" stops it."""

    project: str
    ticket: str


# --- effects: the terminal


@dataclass(frozen=True)
class Copy:
    text: str


@dataclass(frozen=True)
class Redraw:
    pass


@dataclass(frozen=True)
class Suspend:
    pass


@dataclass(frozen=True)
class Quit:
    pass


NetworkEffect = (
    Follow
    | Retry
    | LoadBoard
    | LoadProjects
    | Move
    | Create
    | AddComment
    | LoadDetail
    | LoadThread
    | LoadMessage
    | FollowDeltas
)
TerminalEffect = Copy | Redraw | Suspend | Quit
Effect = NetworkEffect | TerminalEffect
