"""The other boards on a terminal, with as many tickets, in the order of their columns."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from scripts.bench_suite.install import Home
from scripts.bench_suite.program import Unavailable
from scripts.bench_suite.rows.boards import TICKETS, Board

TITLE = "Ticket {}: make the retry loop back off"
TEXT = "What to do, and how one sees that it is done. " * 4
KANBAN_COLUMNS = 3  # those that a new board of kanban-tui shows
BACKLOG_COLUMNS = ("To Do", "In Progress", "Done")
BACKLOG_TASK = """---
id: TASK-{number}
title: '{title}'
status: {status}
assignee: []
created_date: '2026-01-01 12:00'
labels: []
dependencies: []
ordinal: {number}000
---

## Description

<!-- SECTION:DESCRIPTION:BEGIN -->
{text}
<!-- SECTION:DESCRIPTION:END -->
"""


@contextmanager
def start(name: str, home: Home) -> Iterator[Board]:
    """The peer with its tickets. Raises Unavailable when it cannot be had here."""
    directory = home.run_directory(name)
    try:
        yield BOARDS[name](directory, home)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _kanban_tui(directory: Path, home: Home) -> Board:
    """Its tickets are put into its database, since its command makes one in half a second."""
    program = str(home.program("kanban-tui", "ktui"))
    env = {
        "HOME": str(directory),
        "XDG_DATA_HOME": str(directory / "data"),
        "XDG_CONFIG_HOME": str(directory / "config"),
    }
    _run([program, "board", "create", "Bench"], env, directory)
    database = next(directory.glob("data/**/*.db"), None)
    if database is None:
        raise Unavailable("kanban-tui made no database")
    insert = (
        "insert into tasks(title, column, description, creation_date, position)"
        " values (?, ?, ?, ?, ?)"
    )
    rows = (
        (TITLE.format(number), 1 + number % KANBAN_COLUMNS, TEXT, "2026-01-01T12:00:00", number)
        for number in range(1, TICKETS + 1)
    )
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.executemany(insert, rows)
    except sqlite3.Error as error:
        raise Unavailable(f"kanban-tui has another database: {error}") from None
    # It draws in steps, which are far apart with so many tickets: few keys, and long pauses. It
    # reads its database when it starts: no change that is made elsewhere is ever shown.
    return Board(
        [program], [program, "--help"], _has_tickets, _has_tickets, env, directory,
        pause_s=0.5, presses=20,
    )  # fmt: skip


def _backlog_md(directory: Path, home: Home) -> Board:
    program = str(home.node("backlog.md") / "node_modules/.bin/backlog")
    env = {"HOME": str(directory)}
    defaults = ["--no-git", "--agent-instructions", "none", "--check-branches", "false"]
    _run([program, "init", "Bench", "--defaults", *defaults], env, directory)
    tasks = directory / "backlog/tasks"
    if not tasks.is_dir():
        raise Unavailable("backlog.md made no directory for tasks")

    def write(number: int, title: str) -> None:
        status = BACKLOG_COLUMNS[number % len(BACKLOG_COLUMNS)]
        content = BACKLOG_TASK.format(number=number, title=title, status=status, text=TEXT)
        (tasks / f"task-{number} - Ticket-{number}.md").write_text(content, encoding="utf-8")

    def change(number: int) -> str:
        title = f"Change {number:06d}"
        write(3, title)  # the first of the first column
        return title

    for number in range(1, TICKETS + 1):
        write(number, TITLE.format(number))
    return Board(
        [program, "board"], [program, "--help"], _has_tickets, _has_tickets, env, directory,
        change, pause_s=0.1,
    )  # fmt: skip


def _has_tickets(text: str) -> bool:
    return "Ticket" in text


def _run(command: list[str], env: dict[str, str], directory: Path) -> None:
    env = {**os.environ, **env}
    done = subprocess.run(
        command, check=False, cwd=directory, env=env, capture_output=True, text=True
    )
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-300:]}")


BOARDS: dict[str, Callable[[Path, Home], Board]] = {
    "kanban-tui": _kanban_tui,
    "Backlog.md": _backlog_md,
}
