"""`--plain`: the board or the dashboard as lines, then a line for each change. For screen readers,
logs and pipes: nothing is drawn, coloured or moved."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any, TextIO

from cortex_cli.board import sentences
from cortex_cli.board import text as texts
from cortex_cli.board.apply import Change, apply
from cortex_cli.board.reading import BadObject
from cortex_cli.board.wire import Board
from cortex_cli.sdk import (
    Connected,
    CortexClient,
    End,
    Event,
    EventStream,
    Heartbeat,
    Lost,
    Overview,
    Reset,
    State,
    url_path,
)
from cortex_cli.tail import end_with_the_reader

SECTIONS = ("Projects", "Needs a person", "Agents at work", "Runners")


class Plain:
    """Prints lines: each clean, each at once."""

    def __init__(self, ascii_only: bool, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._ascii_only = ascii_only

    def line(self, text: str) -> None:
        """Raises BrokenPipeError when nobody reads any more."""
        text = texts.clean(text)
        self._out.write((texts.to_ascii(text) if self._ascii_only else text) + "\n")
        self._out.flush()

    def news(self, text: str, at: str = "") -> None:
        """A line with the time of day. at: of the wire; now without."""
        try:
            clock = datetime.fromisoformat(at).astimezone()
        except (ValueError, OverflowError):
            clock = datetime.now().astimezone()
        self.line(f"{clock:%H:%M} {text}")


def print_board(client: CortexClient, project: str, *, once: bool, ascii_only: bool) -> int:
    """Print a board, and what changes on it unless `once`. Returns the exit code.

    Raises the SDK's errors: when there is nothing to print, or never will be again.
    """
    plain = Plain(ascii_only)
    if once:
        body = client.get(url_path("api", "projects", project, "board"))
        for line in sentences.board_lines(Board.read(body), time.time()):
            plain.line(line)
        return 0
    return _Following(client, project, plain).run()


class _Following:
    """A board whose changes are told as they come."""

    def __init__(self, client: CortexClient, project: str, plain: Plain) -> None:
        self._client, self._project, self._plain = client, project, plain
        self._board: Board | None = None
        self._sparse = False

    def run(self) -> int:
        with closing(self._client.events(project=self._project)) as stream:
            for value in _heard(stream, self._plain, lambda: self._board is not None):
                match value:
                    case Connected():
                        self._sparse = value.ticket is not None
                    case State():
                        self._whole(value.body)
                    case Event(snapshot=False):
                        self._event(value)
                    case Heartbeat() if self._board and (value.seq or 0) > self._board.seq:
                        self._fetch()
        return 0

    def _event(self, event: Event) -> None:
        board = self._board
        if board is None:
            return
        change = Change(
            event.type,
            event.payload,
            event.project,
            event.seq,
            event.ticket,
            event.actor.name,
            event.gap,
            sparse=self._sparse,
        )
        applied = apply(board, change)
        if applied.hole:
            self._fetch()
            return
        self._board = applied.board
        new = change.seq is None or change.seq > board.seq
        if new and (told := sentences.told(board, change)):
            self._plain.news(told, event.at)

    def _fetch(self) -> None:
        """Something was missed: what the board is now says what."""
        self._whole(self._client.get(url_path("api", "projects", self._project, "board")))

    def _whole(self, body: dict[str, Any]) -> None:
        try:
            board = Board.read(body)
        except BadObject:
            self._plain.news("The server sent a board that cannot be read.")
            return
        if self._board is None:
            for line in sentences.board_lines(board, time.time()):
                self._plain.line(line)
            self._plain.line("")
        else:
            for line in sentences.differences(self._board, board):
                self._plain.news(line)
        self._board = board


def print_dashboard(client: CortexClient, *, once: bool, ascii_only: bool) -> int:
    """Print all projects at a glance, as `print_board` prints one."""
    plain = Plain(ascii_only)
    if once:
        _sections(plain, list(sentences.overview_lines(client.get("/api/dashboard"))))
        return 0
    shown: list[list[tuple[str, str]]] = []
    with closing(client.dashboard()) as stream:
        for value in _heard(stream, plain, lambda: bool(shown)):
            if not isinstance(value, Overview):
                continue
            found = list(sentences.overview_lines(value.body))
            if shown:
                _changes(plain, shown.pop(), found)
            else:
                _sections(plain, found)
                plain.line("")
            shown.append(found)
    return 0


def _sections(plain: Plain, found: list[tuple[str, str]]) -> None:
    for section in SECTIONS:
        lines = [line for of, line in found if of == section]
        plain.line(f"{section}: {len(lines)}")
        for line in lines:
            plain.line(line)


def _changes(plain: Plain, old: list[tuple[str, str]], new: list[tuple[str, str]]) -> None:
    for section, line in new:
        if (section, line) not in old:
            plain.news(f"{section}: {line}")
    for section, line in old:
        if (section, line) not in new and section != "Projects":
            plain.news(f"{section}, no longer: {line}")


def _heard(stream: EventStream, plain: Plain, began: Callable[[], bool]) -> Iterator[Any]:
    """The values of a stream; that it is lost, and there again, is told.

    Raises CortexError when it is lost before there was anything to show, or for good.
    """
    end_with_the_reader(stream)
    lost = False
    for value in stream:
        match value:
            case Lost() if value.retry_in is None or not began():
                raise value.error
            case Lost():
                if not lost:  # every further attempt would be a line that says nothing new
                    plain.news(f"Connection lost: {value.error} What follows may be late.")
                lost = True
            case End() if value.reconnect:
                plain.news(f"The server ended the stream ({value.reason}); coming back.")
                lost = True
            case Connected() if lost:
                plain.news("Connected again.")
                lost = False
            case Reset():
                plain.news("Some events are missing; what follows is what the board is now.")
        yield value
