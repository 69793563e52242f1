"""What can happen (messages) and what can be asked for (effects): the board's whole vocabulary.

Messages that come from a stream carry its number, so that one that was left behind by a switch of
project cannot change the board of another.
"""

from collections.abc import Mapping
from typing import Any

from cortex_cli.board.apply import Change
from cortex_cli.board.asks import (
    AgentsFailed,
    AgentsLoaded,
    Ask,
    Asked,
    AskRefused,
    DiffLoaded,
    LoadAgents,
    LoadDiff,
    LoadLog,
    LogLoaded,
)
from cortex_cli.board.value import Value
from cortex_cli.board.wire import Comment, Message, Review, Session, Ticket
from cortex_cli.board.work import Attempt, Instance

# --- messages: the terminal


class Key(Value):
    """A key by its name in the key table; a printable character is its own name."""

    name: str


class Clicked(Value):
    y: int
    x: int
    double: bool = False


class Resized(Value):
    width: int
    height: int


class Tick(Value):
    """now: seconds since the epoch."""

    now: float


# --- messages: the stream


class Connected(Value):
    stream: int
    resumed: bool


class Snapshot(Value):
    """A whole board: the `state` frame, or (fetched) the answer to LoadBoard."""

    stream: int
    body: Mapping[str, Any]
    fetched: bool = False


class Changed(Value):
    stream: int
    change: Change


class Beat(Value):
    """A heartbeat: seq is that of the last event written before it."""

    stream: int
    seq: int | None


class Stale(Value):
    """`reset`: what the board holds cannot be continued; a snapshot follows."""

    stream: int
    reason: str


class Ended(Value):
    """`end`: the server closed the stream on purpose."""

    stream: int
    reason: str
    reconnect: bool


class Lost(Value):
    """retry_in: seconds until the next attempt; None when there will be none."""

    stream: int
    why: str
    retry_in: float | None
    attempt: int


class Grown(Value):
    """Text was appended to a streaming part (`message.delta`). offset: code points."""

    ticket: str
    session: str
    message: str
    part: int
    offset: int
    text: str


# --- messages: answers to effects


class BoardFailed(Value):
    stream: int
    why: str


class Moved(Value):
    ticket: Ticket


class MoveRefused(Value):
    """current: the ticket as the server has it, when that is why it refused."""

    ticket_id: str
    why: str
    current: Ticket | None = None


class Created(Value):
    ticket: Ticket


class Commented(Value):
    comment: Comment


class Refused(Value):
    """A create or a comment failed. The draft is given back to the prompt that it came from."""

    prompt: str
    draft: str
    why: str


class DetailLoaded(Value):
    ticket: Ticket
    comments: tuple[Comment, ...]
    reviews: tuple[Review, ...]
    sessions: tuple[Session, ...]
    attempts: tuple[Attempt, ...] = ()
    instances: tuple[Instance, ...] = ()


class Overview(Value):
    """The dashboard as of now."""

    stream: int
    body: Mapping[str, Any]


class ThreadLoaded(Value):
    """All messages of a session."""

    session: str
    messages: tuple[Message, ...]


class MessageLoaded(Value):
    message: Message


class LoadFailed(Value):
    """Something of the open ticket could not be fetched. what: its key, a session id, or LOG or
    DIFF."""

    what: str
    why: str
    message: str = ""


class ProjectsLoaded(Value):
    """projects: (key, name) of all that the token may read."""

    projects: tuple[tuple[str, str], ...]


class ProjectsFailed(Value):
    why: str


StreamMessage = (
    Connected | Snapshot | Changed | Beat | Stale | Ended | Lost | BoardFailed | Overview
)
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
    | Asked
    | AskRefused
    | AgentsLoaded
    | AgentsFailed
    | LogLoaded
    | DiffLoaded
    | DetailLoaded
    | ThreadLoaded
    | MessageLoaded
    | LoadFailed
    | ProjectsLoaded
    | ProjectsFailed
)


# --- effects: the network


class Follow(Value):
    """Open the stream of a project and close the one before it."""

    project: str
    stream: int


class Retry(Value):
    """End the wait for the next attempt."""


class LoadBoard(Value):
    project: str
    stream: int


class LoadProjects(Value):
    pass


class Move(Value):
    """position: place in the target column, counted from 0; None is the end."""

    ticket_id: str
    status: str
    position: int | None
    revision: int


class Create(Value):
    project: str
    title: str
    status: str


class AddComment(Value):
    ticket: str
    body: str


class FollowDashboard(Value):
    """Open the stream of the dashboard; 0 closes it."""

    stream: int


class RetryDashboard(Value):
    """End the wait for the next attempt to connect it."""


class LoadDetail(Value):
    ticket: str


class LoadThread(Value):
    session: str


class LoadMessage(Value):
    session: str
    message: str


class FollowDeltas(Value):
    """Stream the text that agents write on one ticket; "" stops it."""

    project: str
    ticket: str


# --- effects: the terminal


class Copy(Value):
    text: str


class Redraw(Value):
    pass


class UseMouse(Value):
    """Off leaves the mouse to the terminal, which then selects text with it."""

    on: bool


class Suspend(Value):
    pass


class Quit(Value):
    pass


NetworkEffect = (
    Follow
    | Ask
    | LoadAgents
    | LoadLog
    | LoadDiff
    | FollowDashboard
    | RetryDashboard
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
TerminalEffect = Copy | Redraw | UseMouse | Suspend | Quit
Effect = NetworkEffect | TerminalEffect
