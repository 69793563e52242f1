"""The boards of several projects as one: columns of the same name are one column.

Only what an event touched is put together again: a board that did not change keeps what was worked
out from it, and of ten thousand tickets nothing is sorted.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from cortex_cli.board.wire import Board, Column, Project, Session, Ticket
from cortex_cli.board.work import Attempt, Permission

KEY = "all projects"  # of what is not one of them
_DERIVED = ("columns", "sessions_of", "reviewed", "attempts_of", "asked_of")
_MAPPINGS = ("labels", "tickets", "sessions", "reviews", "attempts", "permissions", "batches")


def fold(project: str) -> str:
    """A project's key as `parts` has it: upper and lower case are one key."""
    return project.casefold()


@dataclass(frozen=True)
class Merged(Board):
    """parts: the boards by folded key, in the order of the keys. In a column the cards of each
    project stand together, in that order: a rank means nothing beside those of another project.
    """

    parts: Mapping[str, Board] = field(default_factory=dict)

    @staticmethod
    def of_parts(parts: Mapping[str, Board]) -> "Merged":
        ordered = {key: parts[key] for key in sorted(parts)}
        boards = tuple(ordered.values())
        joined = {name: _joined(boards, name) for name in _MAPPINGS}
        return Merged("", 0, 0, _project(boards), **joined, parts=ordered)

    def with_part(self, key: str, part: Board) -> "Merged":
        """With another state of one of the boards, or one more."""
        known = self.parts.get(key)
        if known is part:
            return self
        if known is None:
            return Merged.of_parts({**self.parts, key: part})
        parts = {**self.parts, key: part}
        boards = tuple(parts.values())
        changed: dict[str, Any] = {
            name: _joined(boards, name)
            for name in _MAPPINGS
            if getattr(part, name) is not getattr(known, name)
        }
        if part.project is not known.project:
            changed["project"] = _project(boards)
        merged = replace(self, **changed, parts=parts)
        for name in _DERIVED:
            kept = name in self.__dict__ and (name != "columns" or "project" not in changed)
            if kept and getattr(part, name) is getattr(known, name):
                merged.__dict__[name] = self.__dict__[name]
        return merged

    def only(self, keys: Mapping[str, object]) -> "Merged":
        """Without the boards of projects that are not among these."""
        kept = {key: part for key, part in self.parts.items() if key in keys}
        return self if len(kept) == len(self.parts) else Merged.of_parts(kept)

    def of(self, key: str) -> Board:
        return self.parts.get(fold(key.rpartition("-")[0]), self)

    def within(self, key: str, change: Callable[[Board], Board]) -> Board:
        project = fold(key.rpartition("-")[0])
        part = self.parts.get(project)
        return self if part is None else self.with_part(project, change(part))

    @property
    def boards(self) -> tuple[Board, ...]:
        return tuple(self.parts.values())

    @cached_property
    def columns(self) -> Mapping[str, tuple[Ticket, ...]]:
        found: dict[str, list[Ticket]] = {column.name: [] for column in self.project.columns}
        for part in self.parts.values():
            for name, tickets in part.columns.items():
                found.setdefault(name, []).extend(tickets)
        return {name: tuple(tickets) for name, tickets in found.items()}

    @cached_property
    def sessions_of(self) -> Mapping[str, tuple[Session, ...]]:
        return _joined(self.boards, "sessions_of")

    @cached_property
    def reviewed(self) -> frozenset[str]:
        return frozenset().union(*(part.reviewed for part in self.parts.values()))

    @cached_property
    def attempts_of(self) -> Mapping[str, tuple[Attempt, ...]]:
        return _joined(self.boards, "attempts_of")

    @cached_property
    def asked_of(self) -> Mapping[str, tuple[Permission, ...]]:
        return _joined(self.boards, "asked_of")


def _joined(boards: tuple[Board, ...], name: str) -> dict[str, Any]:
    """One mapping of those of all boards: no two have a key in common."""
    found: dict[str, Any] = {}
    for board in boards:
        found.update(getattr(board, name))
    return found


def _project(boards: tuple[Board, ...]) -> Project:
    """What stands for all of them, with the columns of all."""
    total = len(boards)
    name = f"{total} project{'' if total == 1 else 's'}"
    return Project("", KEY, name, columns(tuple(board.project for board in boards)), 0)


def columns(projects: tuple[Project, ...]) -> tuple[Column, ...]:
    """The columns of all, in the order that most of them have, each titled as the first has it.

    One that only some have comes behind the column that it follows there. Limits are each
    project's own, so that there is none here.
    """
    titles: dict[str, str] = {}
    for project in projects:
        for column in project.columns:
            titles.setdefault(column.name, column.title)
    orders = Counter(tuple(column.name for column in project.columns) for project in projects)
    placed: list[str] = []
    for order, _ in orders.most_common():  # as many: the first
        at = 0
        for name in order:
            if name not in placed:
                placed.insert(at, name)
            at = placed.index(name) + 1
    return tuple(Column(name, titles[name], None) for name in placed)
