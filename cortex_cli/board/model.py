"""All that the board knows and shows, as values. Nothing here does anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_cli.board.apply import Change
from cortex_cli.board.asks import Choice
from cortex_cli.board.changes import Echo, Entry, Kept, Work
from cortex_cli.board.entries import Entries
from cortex_cli.board.journal import Journal
from cortex_cli.board.messages import Grown
from cortex_cli.board.panes import Events, Needs
from cortex_cli.board.settings import Settings
from cortex_cli.board.value import Value
from cortex_cli.board.wire import Board, Column, Comment, Message, Review, Session, Ticket
from cortex_cli.board.work import Attempt, Instance

LOG, DIFF = "+log", "+diff"  # tabs that are no session
MANY_LINES = ("comment", "answer", "note", "say")  # kinds of prompt whose text may have several
WORDS = "\n"  # the entry of a menu that asks for words of one's own: no option has this id
POLLING_AFTER = 8  # failures in a row, after which the stream is tried every 30 s
POLLING_S = 30.0  # and the board is fetched as often


@dataclass(frozen=True)
class Connection:
    """phase: connecting, live, lost (a retry is due at `retry_at`), or over (there will be none).

    as_of: when what is shown was true, in seconds since the epoch; None before the first frame.
    poll_at: when the board is fetched without its stream, 0 for never. polled: the last time that
    worked. stalls: streams are greeted and then bring nothing, so a greeting proves nothing.
    """

    phase: str = "connecting"
    attempt: int = 0
    retry_at: float = 0.0
    as_of: float | None = None
    why: str = ""
    poll_at: float = 0.0
    polled: bool = False
    stalls: bool = False


@dataclass(frozen=True)
class Shown:
    """A column as it is on the screen: moves under way applied, the filter too.

    total: tickets in the column, filtered or not. over: where it is of several projects, those
    that are above their limit: "CTX 4/3 +1".
    """

    column: Column
    tickets: tuple[Ticket, ...]
    total: int
    over: str = ""


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
    key: str
    want: Place
    sent: Place
    origin: Place
    status: str  # what the ticket's status and rank were when the move began:
    rank: str  # the same in a conflict means that somebody changed something else
    revision: int  # that `sent` was asked with
    way: str = "do"  # or undo, redo
    entry: Entry | None = None  # what is undone or redone
    group: int = 0  # the number of the work that it was sent with; 0: by itself


@dataclass(frozen=True)
class Thread:
    """The conversation of a session, by number.

    held: deltas that wait for their message. older: the page before it is on its way.
    """

    messages: tuple[Message, ...] = ()
    loaded: bool = False
    failed: str = ""
    older: bool = False
    held: Mapping[str, tuple[Grown, ...]] = field(default_factory=dict)


class Log(Value):
    """Consecutive entries of an attempt's log, mostly its tail. fetching: an answer is on its way;
    older: that with the page before. end: the number of the newest entry that is known of. cut:
    what follows the entries was let go, and is fetched when it is scrolled to."""

    attempt: str
    entries: Entries = Entries()
    loaded: bool = False
    failed: str = ""
    fetching: bool = True
    older: bool = False
    end: int = 0
    cut: bool = False


class Search(Value):
    """What is looked for in the open ticket. hit: (key of a block, character in it) of the hit that
    the reader is at. wrapped: that was reached around the end. typing: it is not submitted yet.
    origin: the place in the tab, and its mark in `paused`, that Esc goes back to."""

    text: str
    hit: tuple[Any, int] | None = None
    wrapped: bool = False
    typing: bool = True
    origin: tuple[tuple[Any, int], tuple[int, int] | None] | None = None


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
    """The open ticket. Its tabs are the ticket itself, log and diff of an attempt, and its sessions
    in tree order.

    attempt: the id of the one that log and diff show, chosen by hand; "" is the newest. places: by
    tab, the `sheets.Place` of the first row that is shown. A tab in `paused` does not
    follow its end; the value says how far it went when the user scrolled away. unseen: sessions
    that began since the ticket was opened and were not looked at.
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
    attempt: str = ""
    places: Mapping[str, tuple[Any, int]] = field(default_factory=dict)
    paused: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()
    search: Search | None = None


@dataclass(frozen=True)
class Prompt:
    """One line of input. kind: title, comment, filter, search, answer, note or say.

    target: a column, a ticket's key, or the id of what is answered. about: the question, shown
    above the line. project: that a new ticket is for.
    """

    kind: str
    label: str
    text: str = ""
    cursor: int = 0
    target: str = ""
    before: str = ""  # what Esc goes back to (the filter)
    about: str = ""
    project: str = ""


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
class Palette(Prompt):
    """The line that finds an action. chosen: the entry that is selected, by name, of those that
    `chosen_of` finds; with another text it is the first."""

    chosen: str = ""
    chosen_of: str = ""


@dataclass(frozen=True)
class Help:
    top: int = 0


@dataclass(frozen=True)
class Toast:
    text: str
    until: float
    bad: bool = False
    refusal: bool = False  # why a key does nothing now


class Alerts(Value):
    """parts: by the id of a project, its board as it was compared last and what needed a person.

    waiting: what has not been said yet. said_at: when something was said last. What needs a person
    is named as `alerts` does.
    """

    board: Board | None = None
    parts: Mapping[str, tuple[Board, frozenset[tuple[str, str]]]] = {}
    waiting: tuple[tuple[str, str], ...] = ()
    said_at: float = 0.0


class Everything(Value):
    """The boards of all projects in one, which is `merged.Merged`. Keys of projects are folded.

    keys: each as it is written. waiting: of those whose board is being fetched, what is held back
    until it came. again_at: when those that failed are fetched once more, 0 for never.
    """

    keys: Mapping[str, str] = {}
    waiting: Mapping[str, tuple[Change, ...]] = {}
    failed: frozenset[str] = frozenset()
    again_at: float = 0.0


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
    """project: the key that is followed, or was before `everything` was. stream: the number of its
    stream.

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
    settings: Settings = field(default_factory=Settings)
    connection: Connection = Connection()
    board: Board | None = None
    cached: bool = False  # it is that of the last time, shown until the server has answered
    written: tuple[tuple[str, int], float] | None = None  # what was written down last, and when
    limited: bool = False  # the stream tells of one ticket only
    everything: Everything | None = None
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
    undo: tuple[Entry, ...] = ()
    redo: tuple[Entry, ...] = ()
    marked: frozenset[str] = frozenset()
    sort: str = "rank"  # a key of `sorting.SORTS`
    works: tuple[Work, ...] = ()
    echoes: tuple[Echo, ...] = ()
    changes: int = 0  # how many works and echoes there were: each has a number of its own
    kept: Mapping[str, Kept] = field(default_factory=dict)  # texts from the editor, by draft
    flashes: Mapping[str, float] = field(default_factory=dict)  # rolled back: marked until then
    detail: Detail | None = None
    overlay: Prompt | Menu | Help | None = None
    drafts: Mapping[str, str] = field(default_factory=dict)  # by kind of prompt
    toasts: tuple[Toast, ...] = ()
    projects: tuple[tuple[str, str], ...] = ()
    intents: Mapping[str, str] = field(default_factory=dict)
    heard: Mapping[str, float] = field(default_factory=dict)
    agents: tuple[Choice, ...] | None = None
    dashboard: Dashboard | None = None
    alerts: Alerts = field(default_factory=Alerts)
    dashboards: int = 0  # how many there were: each has a number of its own
    pane: Needs | Events | None = None
    journal: Journal = field(default_factory=Journal)
    hidden: frozenset[str] = frozenset()  # failed attempts that were put aside here

    @property
    def scope(self) -> str:
        """Whose keys are in effect: one of keys.SCOPES."""
        for kind, name in (
            (Palette, "palette"),
            (Prompt, "prompt"),
            (Menu, "menu"),
            (Help, "help"),
        ):
            if isinstance(self.overlay, kind):
                return name
        return self.screen

    @property
    def screen(self) -> str:
        """The scope of what is shown, whatever is open over it: one of keys.SCREENS."""
        if self.pane is not None and not self.pane.behind:
            return "needs" if isinstance(self.pane, Needs) else "events"
        if self.dashboard:
            return "dashboard"
        return "detail" if self.detail else "board"

    def project_of(self, ticket: Ticket) -> str:
        """The key of the project that a ticket belongs to."""
        return ticket.key.rpartition("-")[0] if self.everything else self.project

    @property
    def shown(self) -> Shown | None:
        """The focused column."""
        return next((shown for shown in self.columns if shown.column.name == self.focus), None)

    @property
    def ticket(self) -> Ticket | None:
        """The ticket that keys act on: the open one, else the selected one."""
        if self.pane is not None and not self.pane.behind:
            return self.board.tickets.get(self.pane.ticket) if self.board else None
        if self.dashboard:
            return None
        if self.detail:
            return self.detail.ticket
        return self.board.tickets.get(self.selected) if self.board and self.selected else None
