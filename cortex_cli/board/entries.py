"""A log in little memory: entries packed page by page, and a short tail that grows in place."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import islice
from sys import getsizeof

from cortex_cli.board import text as texts
from cortex_cli.board.blocks import Block, Kept, Paragraph, Searched, plain_lines
from cortex_cli.board.canvas import BAD, INFO, PLAIN, WARN, Span
from cortex_cli.board.work import LogEntry

PAGE = 128  # entries of the tail that are packed together
KINDS = ("text", "tool", "error", "system")
ROLES = (PLAIN, INFO, BAD, WARN)
_blocks: Kept[Block] = Kept(300)  # more than are on a screen: they take more memory than their text


class Page(Searched):
    """Consecutive entries as one clean text. starts: where each one begins in it."""

    __slots__ = ("_kinds", "_text", "_tools", "first", "starts")

    def __init__(self, entries: Iterable[LogEntry]) -> None:
        super().__init__()
        self.starts = array("L")
        self._tools = array("H")  # characters of the name of a tool, which the text begins with
        self.first, at = 0, 0
        kinds, found = bytearray(), []
        for entry in entries:
            self.first = self.first or entry.number
            tool = texts.clean(entry.tool)[:200] if entry.tool else ""
            lines = plain_lines(entry.text.rstrip("\n"))
            text = "\n".join([f"{tool} {lines[0]}", *lines[1:]] if tool else lines)
            self.starts.append(at)
            self._tools.append(len(tool))
            kinds.append(KINDS.index(entry.kind) if entry.kind in KINDS else 0)
            found.append(text)
            at += len(text) + 1
        self._kinds = bytes(kinds)
        self._text = "\n".join(found)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def text(self) -> str:
        return self._text

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return getsizeof(self._text) + len(self) * 11 + 400

    def block(self, index: int, cells: int) -> Block:
        return _blocks.get(self, (index, cells), lambda: self._block(index, cells))

    def _block(self, index: int, cells: int) -> Block:
        end = self.starts[index + 1] - 1 if index + 1 < len(self) else len(self._text)
        text, role = self._text[self.starts[index] : end], ROLES[self._kinds[index]]
        tool = self._tools[index]
        first, *rest = text.split("\n")
        if not tool:
            return Block([Paragraph(line, role) for line in (first, *rest)], cells)
        margin = (Span("  "),)
        named = Paragraph(first, role, (Span("▸ ", INFO),), ((0, tool, INFO),))
        return Block([named, *(Paragraph(line, role, margin) for line in rest)], cells)


class Entries:
    """Consecutive entries of a log, oldest first. A value: what adds to it returns another.

    The tail is a list that the next value goes on with: `append` copies nothing.
    """

    __slots__ = ("_count", "_open", "_tail", "pages")

    def __init__(
        self, pages: tuple[Page, ...] = (), tail: list[LogEntry] | None = None, count: int = 0
    ) -> None:
        self.pages = pages
        self._tail = [] if tail is None else tail
        self._count = count
        self._open: Page | None = None

    @classmethod
    def of(cls, entries: Sequence[LogEntry]) -> "Entries":
        return cls((Page(entries),) if entries else ())

    @property
    def all_pages(self) -> tuple[Page, ...]:
        """All entries, packed."""
        if not self._count:
            return self.pages
        if self._open is None:
            self._open = Page(islice(self._tail, self._count))
        return (*self.pages, self._open)

    def __len__(self) -> int:
        return self.last - self.first + 1 if self.last else 0

    @property
    def first(self) -> int:
        """The number of the first one; 0 when there is none."""
        if self.pages:
            return self.pages[0].first
        return self._tail[0].number if self._count else 0

    @property
    def last(self) -> int:
        if self._count:
            return self._tail[self._count - 1].number
        return self.pages[-1].first + len(self.pages[-1]) - 1 if self.pages else 0

    @property
    def size(self) -> int:
        """Bytes in memory, but for the tail."""
        return sum(page.size for page in self.pages)

    def append(self, entry: LogEntry) -> "Entries":
        """With the entry that follows the last one."""
        tail, count = self._tail, self._count
        if count >= PAGE:
            return Entries(self.all_pages, [entry], 1)
        if len(tail) != count:  # another value went on from this one
            tail = tail[:count]
        tail.append(entry)
        return Entries(self.pages, tail, count + 1)

    def joined(self, entries: Sequence[LogEntry]) -> "Entries":
        """With others before or after them; only the others where there is a hole between."""
        if not entries or not self.last:
            return Entries.of(entries) if entries else self
        before = [entry for entry in entries if entry.number < self.first]
        after = [entry for entry in entries if entry.number > self.last]
        if entries[0].number > self.last + 1 or entries[-1].number < self.first - 1:
            return Entries.of(entries)
        pages = self.all_pages
        pages = (Page(before), *pages) if before else pages
        return Entries((*pages, Page(after)) if after else pages)

    def without(self, first: bool) -> "Entries":
        """Without the first page, or the last."""
        pages = self.all_pages
        return Entries(pages[1:] if first else pages[:-1])

    def at(self, index: int) -> tuple[Page, int]:
        """The page of an entry counted from 0, and its place there."""
        pages = self.all_pages
        number = self.first + index
        found = pages[bisect_right(pages, number, key=lambda page: page.first) - 1]
        return found, number - found.first
