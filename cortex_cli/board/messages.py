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
    AskedLoaded,
    AskRefused,
    DiffLoaded,
    LoadAgents,
    LoadAsked,
    LoadDiff,
    LoadLog,
    LogLoaded,
)
from cortex_cli.board.cached import Forget, Keep
from cortex_cli.board.changes import (
    AddComment,
    Alter,
    Altered,
    Commented,
    Create,
    Created,
    Delete,
    Deleted,
    Discard,
    EditText,
    NotWritten,
    Refused,
    Written,
)
from cortex_cli.board.overviews import LoadOverview, Overview
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


class Pasted(Value):
    """Text that was pasted. cut: its end was too long to keep."""

    text: str
    cut: bool = False


class Copied(Value):
    """by: the programs that took the text. sent: the terminal was asked to (OSC 52), and may."""

    text: str
    by: tuple[str, ...]
    sent: bool


class Tick(Value):
    """now: seconds since the epoch."""

    now: float


class Crashed(Value):
    """A thread died of something that nobody expected."""

    error: BaseException


# --- messages: the stream


class Connected(Value):
    """epoch: of the server's log. limited: the stream tells of one ticket only."""

    stream: int
    resumed: bool
    epoch: str = ""
    limited: bool = False


class Snapshot(Value):
    """A whole board: the `state` frame, or (fetched) the answer to LoadBoard."""

    stream: int
    body: Mapping[str, Any]
    fetched: bool = False


class Changed(Value):
    stream: int
    change: Change


class Beat(Value):
    """A heartbeat: seq is that of the last event written before it; seqs: those of all projects."""

    stream: int
    seq: int | None
    seqs: Mapping[str, int] = {}


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
    """retry_in: seconds until the next attempt; None when there will be none.

    silent: the connection was there and brought nothing. refused: this token may not read it, or
    it is gone.
    """

    stream: int
    why: str
    retry_in: float | None
    attempt: int
    silent: bool = False
    refused: bool = False


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
    """gone: there is no such project for this token."""

    stream: int
    why: str
    project: str = ""
    gone: bool = False


class Moved(Value):
    ticket: Ticket


class MoveRefused(Value):
    """current: the ticket as the server has it, when that is why it refused. again: the same may
    work another time."""

    ticket_id: str
    why: str
    current: Ticket | None = None
    again: bool = False


class DetailLoaded(Value):
    ticket: Ticket
    comments: tuple[Comment, ...]
    reviews: tuple[Review, ...]
    sessions: tuple[Session, ...]
    attempts: tuple[Attempt, ...] = ()
    instances: tuple[Instance, ...] = ()


class ThreadLoaded(Value):
    """Messages of a session: those before the one with the number `before`, else to its end."""

    session: str
    messages: tuple[Message, ...]
    before: int = 0


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
    | Pasted
    | Copied
    | Resized
    | Tick
    | Crashed
    | StreamMessage
    | Grown
    | Moved
    | MoveRefused
    | Created
    | Commented
    | Refused
    | Altered
    | Deleted
    | Written
    | NotWritten
    | Asked
    | AskRefused
    | AgentsLoaded
    | AgentsFailed
    | AskedLoaded
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
    """Open the stream of a project, "" for all of them, and close the one before it."""

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


class FollowDashboard(Value):
    """Open the stream of the dashboard; 0 closes it."""

    stream: int


class RetryDashboard(Value):
    """End the wait for the next attempt to connect it."""


class LoadDetail(Value):
    ticket: str


class LoadThread(Value):
    """The end of a conversation; the page before the message with the number `before`; or all that
    follows the one with the number `after`."""

    session: str
    before: int = 0
    after: int | None = None


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


class Notify(Value):
    """Ring, and tell the terminal a sentence, as far as each is wanted. text: clean."""

    text: str
    bell: bool = True
    notify: bool = True


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
    | LoadAsked
    | LoadLog
    | LoadDiff
    | FollowDashboard
    | RetryDashboard
    | LoadOverview
    | Retry
    | LoadBoard
    | LoadProjects
    | Move
    | Create
    | AddComment
    | Alter
    | Delete
    | LoadDetail
    | LoadThread
    | LoadMessage
    | FollowDeltas
    | Keep
    | Forget
)
TerminalEffect = EditText | Discard | Copy | Notify | Redraw | UseMouse | Suspend | Quit
Effect = NetworkEffect | TerminalEffect
