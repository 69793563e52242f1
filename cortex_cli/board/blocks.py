"""What long documents are made of: blocks of clean text, wrapped only when they are looked at.

A block can be searched before it is wrapped: each row knows where in the block's text its own text
begins. What stands before that text (a bullet, a margin) is no part of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from cortex_cli.board import text as texts
from cortex_cli.board.canvas import PLAIN, Line, Span, line_width

T = TypeVar("T")

Mark = tuple[int, int, str]  # (start, end, role) of characters


class Paragraph(NamedTuple):
    """One line of clean text, however long. head: what its first row begins with; the others begin
    with as many blanks. marks: roles of parts of the text, in order; `role` is that of the rest.
    tail: what its last row ends with. What changes by time belongs there: it is no part of the
    text, in which places are counted.
    """

    text: str
    role: str = PLAIN
    head: Line = ()
    marks: tuple[Mark, ...] = ()
    tail: Line = ()


class Row(NamedTuple):
    """One row on the screen. start: where its text begins in its block's. skip: characters of the
    line before that text."""

    line: Line
    start: int
    skip: int


class Searched(ABC):
    """Clean text that remembers how often it holds what was last looked for."""

    __slots__ = ("_counted",)

    def __init__(self) -> None:
        self._counted = ("", 0)

    @property
    @abstractmethod
    def text(self) -> str:
        """What is searched."""

    def count(self, needle: str) -> int:
        """How often it is in the text, in any case where it has no capital letter."""
        before, found = self._counted
        if before != needle:
            if found or not before or not needle.startswith(before):  # else it cannot be there
                found = fold(self.text, needle).count(needle)
            self._counted = (needle, found)
        return found


def fold(text: str, needle: str) -> str:
    """The text to look for `needle` in: of the same length, lower case unless that has capitals."""
    if needle != needle.lower():
        return text
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


class Words(Searched):
    """Text that is only searched: the block that it was taken from takes much more memory."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    @property
    def text(self) -> str:
        return self._text


class Block(Searched):
    """Paragraphs at a width, or lines that are wrapped already. text, rows: made on first use."""

    __slots__ = ("_cells", "_paragraphs", "_rows", "_text")

    def __init__(self, paragraphs: Sequence[Paragraph] = (), cells: int = 1) -> None:
        super().__init__()
        self._paragraphs, self._cells = paragraphs, cells
        self._text: str | None = None
        self._rows: tuple[Row, ...] | None = None

    @classmethod
    def of_lines(cls, lines: Iterable[Line]) -> "Block":
        """Lines as they are, one row each."""
        found = tuple(lines)
        block = cls()
        plain = ["".join(texts.clean(span.text) for span in line) for line in found]
        block._text = "\n".join(plain)
        at, rows = 0, []
        for line, text in zip(found, plain, strict=True):
            rows.append(Row(line, at, 0))
            at += len(text) + 1
        block._rows = tuple(rows)
        return block

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = "\n".join(paragraph.text for paragraph in self._paragraphs)
        return self._text

    @property
    def rows(self) -> tuple[Row, ...]:
        if self._rows is None:
            rows: list[Row] = []
            at = 0
            for paragraph in self._paragraphs:
                rows += wrap(paragraph, self._cells, at)
                at += len(paragraph.text) + 1
            self._rows = tuple(rows)
        return self._rows


def wrap(paragraph: Paragraph, cells: int, at: int = 0) -> list[Row]:
    """A paragraph that begins at `at` in its block, as rows."""
    text, role, head, marks, tail = paragraph
    if texts.width(text) <= max(1, cells - line_width(head) - line_width(tail)):
        skip = sum(len(span.text) for span in head)
        return [Row((*head, *_styled(text, 0, role, marks), *tail), at, skip)]
    return [Row(line, at + start, skip) for line, start, skip in _wrapped(paragraph, cells)]


@lru_cache(maxsize=128)  # of a message that grows, only the last paragraph is another one
def _wrapped(paragraph: Paragraph, cells: int) -> tuple[Row, ...]:
    text, role, head, marks, tail = paragraph
    used = line_width(head)
    rows: list[Row] = []
    margin: Line = (Span(" " * used),) if used else ()
    start = 0
    for number, piece in enumerate(texts.wrap(text, max(1, cells - used - line_width(tail)))):
        start = max(start, text.find(piece, start))  # blanks between two rows are on neither
        before = head if number == 0 else margin
        line = (*before, *_styled(piece, start, role, marks))
        rows.append(Row(line, start, sum(len(span.text) for span in before)))
        start += len(piece)
    rows[-1] = rows[-1]._replace(line=(*rows[-1].line, *tail))
    return tuple(rows)


def _styled(piece: str, start: int, role: str, marks: tuple[Mark, ...]) -> Line:
    return over((Span(piece, role),), 0, start, marks) if marks else (Span(piece, role),)


def over(line: Line, skip: int, start: int, marks: Iterable[Mark]) -> Line:
    """A line with other roles for parts of its text, which begins after `skip` characters and is at
    `start` in what the marks, in order, count in."""
    spans: list[Span] = []
    at = start - skip
    todo = list(marks)
    for span in line:
        end, done = at + len(span.text), at
        for begin, until, role in todo:
            left, right = max(begin, done, start), min(until, end)
            if left < right:
                spans.append(Span(span.text[done - at : left - at], span.role))
                spans.append(Span(span.text[left - at : right - at], role))
                done = right
        spans.append(Span(span.text[done - at :], span.role))
        at = end
    return tuple(span for span in spans if span.text)


def plain_lines(text: str) -> list[str]:
    """Any text as clean lines, not wrapped."""
    if text.isascii() and text.isprintable():
        return [text.rstrip()]
    return [line.rstrip() for line in texts.clean_block(text).split("\n")]


class Kept(Generic[T]):
    """What was made of an object, kept by its identity; the older half goes when there are `size`.

    By identity: comparing a long message with itself costs as much as wrapping it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[tuple[int, Hashable], tuple[Any, T]] = {}

    def get(self, of: Any, how: Hashable, make: Callable[[], T]) -> T:
        """What `make` made of the object in this way, then or now."""
        found = self._held.get((id(of), how))
        if found is not None:
            return found[1]  # it holds the object: no other one can have its id
        if len(self._held) >= self._size:
            for name in list(self._held)[: self._size // 2]:
                del self._held[name]
        made = make()
        self._held[id(of), how] = (of, made)
        return made
