"""A long document that is never built as a whole: where rows are, and what is at them.

A place in it is (number of a block, row within it). Only the blocks between two places that are
looked at are wrapped, so a frame costs what is on the screen, however long the document is.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from cortex_cli.board.blocks import Block, Row, Searched

Key = Any  # what names a block for as long as it is there: a name, a number, an id
Spot = tuple[int, int]
Place = tuple[Key, int]
Part = tuple[str, Callable[[], Block]]


class Chunk(NamedTuple):
    """Text that is searched at once. first: its first block. starts: where each begins in it."""

    text: Searched
    first: int
    starts: Sequence[int]


class Bulk(Protocol):
    """The blocks that are many."""

    def __len__(self) -> int: ...

    def key(self, index: int) -> Key: ...

    def find(self, key: Key) -> int | None:
        """The block of this key; where it is gone, one near to it."""

    def block(self, index: int) -> Block: ...

    def chunks(self, first: int) -> Iterable[Chunk]:
        """All text. first: the number of the first block in the whole document."""

    def heads(self) -> Sequence[int]:
        """The blocks that { and } go to, in order."""

    def heads_before(self) -> int:
        """How many such there are before, in what is not here."""


class Sheet:
    """A document: some parts, then many blocks, then some parts again.

    The names of parts that change by time begin with a +, which keys of the others do not. what: a
    word for one of the places that { and } go to, "" where there is none.
    """

    def __init__(
        self,
        head: Sequence[Part],
        bulk: Bulk | None = None,
        tail: Sequence[Part] = (),
        what: str = "",
    ) -> None:
        self._head, self._bulk, self._tail, self.what = head, bulk, tail, what
        self._many = len(bulk) if bulk else 0
        self._made: dict[int, Block] = {}

    def __len__(self) -> int:
        return len(self._head) + self._many + len(self._tail)

    @property
    def first(self) -> int:
        """The first of the many blocks."""
        return len(self._head)

    def key(self, index: int) -> Key:
        part = self._part(index)
        if part is not None:
            return part[0]
        assert self._bulk is not None
        return self._bulk.key(index - len(self._head))

    def find(self, key: Key) -> int | None:
        """The block of this key, or one near to where it was; None for one that is not known."""
        for at, parts in ((0, self._head), (len(self) - len(self._tail), self._tail)):
            for number, (name, _) in enumerate(parts):
                if name == key:
                    return at + number
        found = self._bulk.find(key) if self._bulk else None
        return None if found is None else found + len(self._head)

    def block(self, index: int) -> Block:
        part = self._part(index)
        if part is None:
            assert self._bulk is not None
            return self._bulk.block(index - len(self._head))
        if index not in self._made:
            self._made[index] = part[1]()
        return self._made[index]

    def _part(self, index: int) -> Part | None:
        if index < len(self._head):
            return self._head[index]
        index -= len(self._head) + self._many
        return self._tail[index] if index >= 0 else None

    def chunks(self) -> list[Chunk]:
        """All text, in its order."""
        edge = len(self._head) + self._many
        found = [Chunk(self.block(i), i, (0,)) for i in range(len(self._head))]
        if self._bulk:
            found += self._bulk.chunks(self.first)
        return found + [Chunk(self.block(i), i, (0,)) for i in range(edge, len(self))]

    def heads(self) -> list[int]:
        """The blocks that { and } go to."""
        first = self.first
        return [index + first for index in self._bulk.heads()] if self._bulk else []

    def nth_head(self, index: int) -> tuple[int, int] | None:
        """Which of the heads a block belongs to, counted from 1, and how many there are."""
        heads = self.heads()
        if self._bulk is None or not heads:
            return None
        before = self._bulk.heads_before()
        return before + max(1, bisect_right(heads, index)), before + len(heads)

    # --- places that stay when the document changes, or its width

    def place(self, spot: Spot) -> Place:
        """The name of a place: a key, and a character of the block's text or, with a +, a row."""
        index, row = spot
        key, rows = self.key(index), self.block(index).rows
        if _by_row(key) or not rows:
            return key, row
        return key, rows[min(row, len(rows) - 1)].start

    def spot(self, place: Place) -> Spot:
        """Where a named place is now; the beginning when it is gone."""
        key, at = place
        index = self.find(key)
        if index is None:
            return 0, 0
        rows = self.block(index).rows
        if _by_row(key) or not rows:
            return index, min(at, max(0, len(rows) - 1))
        return index, max(0, bisect_right(rows, at, key=lambda row: row.start) - 1)

    # --- rows

    def walk(self, spot: Spot, by: int) -> Spot:
        """The place so many rows further down, or up; at most the first and the last row."""
        index, row = spot
        row += by
        while row < 0 and index > 0:
            index -= 1
            row += len(self.block(index).rows)
        while index < len(self) and row >= (height := len(self.block(index).rows)):
            index, row = index + 1, row - height
        if index >= len(self):
            return self._last()
        return index, max(0, row)

    def _last(self) -> Spot:
        for index in reversed(range(len(self))):
            if self.block(index).rows:
                return index, len(self.block(index).rows) - 1
        return 0, 0

    def bottom(self, rows: int) -> Spot:
        """The first row on a screen of so many that shows the end."""
        return self.walk(self._last(), 1 - max(1, rows))

    def rows(self, spot: Spot, count: int) -> list[tuple[int, Row]]:
        """The rows from a place on, each with the number of its block."""
        index, skip = spot
        found: list[tuple[int, Row]] = []
        while index < len(self) and len(found) < count:
            found += [(index, row) for row in self.block(index).rows[skip:]]
            index, skip = index + 1, 0
        return found[:count]

    def between(self, before: Spot, after: Spot, most: int) -> int:
        """Rows from a place to one after it, counted up to `most`."""
        index, row = before
        count = -row
        while index < after[0] and count < most:
            count += len(self.block(index).rows)
            index += 1
        return min(most, count + after[1]) if index == after[0] else most


def _by_row(key: Key) -> bool:
    """Whether places in a block are rows: its text says how old things are, and so it changes."""
    return isinstance(key, str) and key.startswith("+")


def chunk_of(chunks: Sequence[Chunk], index: int) -> int:
    """The number of the chunk that a block is in."""
    return max(0, bisect_right(chunks, index, key=lambda chunk: chunk.first) - 1)
