"""All that the board knows and shows, as values. Nothing here does anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_cli.board.apply import Change
from cortex_cli.board.asks import Choice
from cortex_cli.board.messages import Grown
from cortex_cli.board.value import Value
from cortex_cli.board.wire import Board, Column, Comment, Message, Review, Session, Ticket
from cortex_cli.board.work import Attempt, Instance, LogEntry

LOG, DIFF = "+log", "+diff"  # tabs that are no session
WORDS = "\n"  # the entry of a menu that asks for words of one's own: no option has this id
POLLING_AFTER = 8  # failures in a row, after which the stream is tried every 30 s


@dataclass(frozen=True)
class Connection:
    """phase: connecting, live, lost (a retry is due at `retry_at`), or over (there will be none).

    as_of: when the last frame came, in seconds since the epoch; None before the first.
    """

    phase: str = "connecting"
    attempt: int = 0
    retry_at: float = 0.0
    as_of: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Shown:
    """A column as it is on the screen: moves under way applied, the filter too.

    total: tickets in the column, filtered or not.
    """

    column: Column
    tickets: tuple[Ticket, ...]
    total: int


@dataclass(frozen=True)
class Place:
    """position: counted from 0; None is the end."""

    status: str
    position: int | None


@dataclass(frozen=True)
class Pending:
    """A move that is shown before the server agreed. At most one a ticket is under way: further
    ones change `want`, which is sent when the answer to `sent` came."""

    ticket_id: str
    want: Place
    sent: Place
    origin: Place
    status: str  # what the ticket's status and rank were when the move began:
    rank: str  # the same in a conflict means that somebody changed something else
    revision: int  # that `sent` was asked with
    undoing: bool = False


@dataclass(frozen=True)
class Undo:
    """A move that the server made. It can be undone while the ticket is where it was put."""

    ticket_id: str
    key: str
    back: Place
    status: str
    rank: str


@dataclass(frozen=True)
class Thread:
    """The conversation of a session, by number. held: deltas that wait for their message."""

    messages: tuple[Message, ...] = ()
    loaded: bool = False
    failed: str = ""
    held: Mapping[str, tuple[Grown, ...]] = field(default_factory=dict)


class Log(Value):
    """The tail of an attempt's log. fetching: an answer is on its way."""

    attempt: str
    entries: tuple[LogEntry, ...] = ()
    loaded: bool = False
    failed: str = ""
    fetching: bool = True


class Diff(Value):
    """What an attempt changed. due: when to fetch it again, 0 for not."""

    attempt: str
    text: str = ""
    at: str = ""
    truncated: bool = False
    loaded: bool = False
    failed: str = ""
    due: float = 0.0


@dataclass(frozen=True)
class Detail:
    """The open ticket. Its tabs are the ticket itself, log and diff of the newest attempt, and its
    sessions in tree order.

    top: the first line shown, kept per tab. A tab in `paused` does not follow its tail; the value
    is the number of lines there were when the user scrolled away.
    """

    ticket: Ticket
    loaded: bool = False
    failed: str = ""
    comments: Mapping[str, Comment] = field(default_factory=dict)
    reviews: Mapping[str, Review] = field(default_factory=dict)
    sessions: Mapping[str, Session] = field(default_factory=dict)
    threads: Mapping[str, Thread] = field(default_factory=dict)
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    instances: Mapping[str, Instance] = field(default_factory=dict)
    log: Log | None = None
    diff: Diff | None = None
    fresh: frozenset[str] = (
        frozenset()
    )  # ids that events brought since the last fetch was asked for
    gone: frozenset[str] = frozenset()  # ids that events deleted since then
    tab: str = ""  # a session id, LOG or DIFF; "" is the ticket
    tops: Mapping[str, int] = field(default_factory=dict)
    paused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompt:
    """One line of input. kind: title, comment, filter, answer, note or say.

    target: a column, a ticket's key, or the id of what is answered. about: the question, shown
    above the line.
    """

    kind: str
    label: str
    text: str = ""
    cursor: int = 0
    target: str = ""
    before: str = ""  # what Esc goes back to (the filter)
    about: str = ""


@dataclass(frozen=True)
class Menu:
    """A list to choose from. kind: move, project, start, stop, answer or review.

    items: (value, text). target: what it is about, a ticket's key or an id. about: a text above
    the entries. marked: the values that are chosen already, where `multiple` may be.
    """

    kind: str
    title: str
    items: tuple[tuple[str, str], ...]
    index: int = 0
    target: str = ""
    about: str = ""
    multiple: bool = False
    marked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Help:
    top: int = 0


@dataclass(frozen=True)
class Toast:
    text: str
    until: float
    bad: bool = False


class Dashboard(Value):
    """All projects at a glance. stream: a number of its own, below 0.

    body: the server's overview. selected: the name of a `dashboard_lines.Entry`.
    """

    stream: int
    connection: Connection = Connection()
    body: Mapping[str, Any] | None = None
    selected: str = ""


@dataclass(frozen=True)
class Model:
    """project: the key that is followed. stream: the number of its stream.

    selected: the id of a ticket, never a row. focus: the name of the column it is in, which can be
    empty. tops: the first card shown of each column. held: events that came after a hole; they wait
    for the board to be fetched. expected: a ticket's id or key, to be selected once it is there.
    intents: what was asked for and is shown already: of an attempt its next status, of a question
    or review "answered", of a ticket's key "queued". heard: by attempt or session, when an event
    last told of it.
    """

    project: str = ""
    url: str = ""
    stream: int = 1
    now: float = 0.0
    width: int = 80
    height: int = 24
    ascii_only: bool = False
    mouse: bool = True
    connection: Connection = Connection()
    board: Board | None = None
    gone: str = ""  # why there is no board to show
    held: tuple[Change, ...] | None = None
    columns: tuple[Shown, ...] = ()
    focus: str = ""
    selected: str | None = None
    expected: str | None = None
    tops: Mapping[str, int] = field(default_factory=dict)
    filter: str = ""
    needs_me: bool = False
    pending: tuple[Pending, ...] = ()
    undo: tuple[Undo, ...] = ()
    flashes: Mapping[str, float] = field(
        default_factory=dict
    )  # rolled back: until when it is marked
    detail: Detail | None = None
    overlay: Prompt | Menu | Help | None = None
    drafts: Mapping[str, str] = field(default_factory=dict)  # by kind of prompt
    toasts: tuple[Toast, ...] = ()
    projects: tuple[tuple[str, str], ...] = ()
    intents: Mapping[str, str] = field(default_factory=dict)
    heard: Mapping[str, float] = field(default_factory=dict)
    agents: tuple[Choice, ...] | None = None
    dashboard: Dashboard | None = None
    dashboards: int = 0  # how many there were: each has a number of its own

    @property
    def scope(self) -> str:
        """Whose keys are in effect: board, detail, dashboard, menu, help or prompt."""
        for kind, name in ((Prompt, "prompt"), (Menu, "menu"), (Help, "help")):
            if isinstance(self.overlay, kind):
                return name
        if self.dashboard:
            return "dashboard"
        return "detail" if self.detail else "board"

    @property
    def shown(self) -> Shown | None:
        """The focused column."""
        return next((shown for shown in self.columns if shown.column.name == self.focus), None)

    @property
    def ticket(self) -> Ticket | None:
        """The ticket that keys act on: the open one, else the selected one."""
        if self.dashboard:
            return None
        if self.detail:
            return self.detail.ticket
        return self.board.tickets.get(self.selected) if self.board and self.selected else None
