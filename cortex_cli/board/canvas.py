"""The screen before it is painted: the one place where text meets columns and rows.

Roles name what a span means, never its colour; the terminal decides how each one looks.
"""

from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

from cortex_cli.board import text as texts

PLAIN = ""
DIM = "dim"
STRONG = "strong"
ACCENT = "accent"  # keys, the focused frame
GOOD = "good"
WARN = "warn"
BAD = "bad"
INFO = "info"
SELECTED = "selected"
OVER = "over"  # more than a limit allows
CURSOR = "cursor"
ROLES = (PLAIN, DIM, STRONG, ACCENT, GOOD, WARN, BAD, INFO, SELECTED, OVER, CURSOR)


class Span(NamedTuple):
    """Clean text in one role."""

    text: str
    role: str = PLAIN


Line = tuple[Span, ...]
Row = tuple[Span, ...]  # a line that fills the screen's width exactly


def line_width(line: Line) -> int:
    return sum(texts.width(span.text) for span in line)


class Canvas:
    """Rows that text is put into, kept in layers, each written from left to right.

    Most of a screen is written in that order, which only appends to the first layer. `rows` puts
    them over each other; of a wide character that is cut in two a space is left.
    """

    def __init__(self, width: int, height: int, ascii_only: bool = False) -> None:
        self.width = max(0, width)
        self.height = max(0, height)
        self._ascii_only = ascii_only
        self._layers: list[list[list[_Piece]]] = [[[]] for _ in range(self.height)]

    def put(self, y: int, x: int, text: str, role: str = PLAIN, cells: int | None = None) -> int:
        """Draw `text` from (y, x), cut to `cells` and the screen. Returns the column after it."""
        room = self.width - x if cells is None else min(cells, self.width - x)
        if room <= 0:
            return x
        return self._write(y, x, texts.clip(texts.clean(text), room), role)

    def put_line(
        self, y: int, x: int, line: Line, cells: int | None = None, role: str | None = None
    ) -> int:
        """Draw spans one after another within `cells`; `role` overrides theirs."""
        end = self.width if cells is None else min(self.width, x + cells)
        for text, own in fitted(line, end - x):
            x = self._write(y, x, text, own if role is None else role)
        return x

    def put_row(self, y: int, x: int, row: Row, cells: int) -> None:
        """Draw what is known to be clean and `cells` wide, such as `boxed` makes, on the screen."""
        if not 0 <= y < self.height or x < 0 or x + cells > self.width:
            return
        if self._ascii_only:
            row = tuple(Span(texts.to_ascii(text), role) for text, role in row)
        self._add(y, _Piece(x, x + cells, row))

    def fill(self, y: int, x: int, cells: int, char: str = " ", role: str = PLAIN) -> None:
        """Fill `cells` of one row with a narrow character."""
        cells = min(cells, self.width - x)
        if cells > 0:
            self._write(y, x, char * cells, role)

    def frame(self, y: int, x: int, width: int, height: int, role: str = DIM) -> None:
        """A rounded box of that outer size; its inside is cleared."""
        if width < 2 or height < 2 or x + width > self.width:
            return
        bar = "─" * (width - 2)
        side, inside = Span("│", role), Span(" " * (width - 2))
        self._write(y, x, f"╭{bar}╮", role)
        for line in range(y + 1, y + height - 1):
            self.put_row(line, x, (side, inside, side), width)
        self._write(y + height - 1, x, f"╰{bar}╯", role)

    def _write(self, y: int, x: int, shown: str, role: str) -> int:
        """Put clean text that fits into the row. Returns the column after it."""
        if not 0 <= y < self.height or x < 0 or not shown:
            return x
        if self._ascii_only:
            shown = texts.to_ascii(shown)
        end = x + texts.width(shown)
        self._add(y, _Piece(x, end, (Span(shown, role),)))
        return end

    def _add(self, y: int, piece: "_Piece") -> None:
        layers = self._layers[y]
        if layers[-1] and piece.x < layers[-1][-1].end:
            layers.append([piece])
        else:
            layers[-1].append(piece)

    def rows(self) -> tuple[Row, ...]:
        """The rows as spans; every row is exactly as wide as the screen."""
        return tuple(_row(reduce(_covered, layers), self.width) for layers in self._layers)


class _Piece(NamedTuple):
    """What was written in the columns from `x` up to `end`."""

    x: int
    end: int
    row: Row


def _covered(below: list[_Piece], above: list[_Piece]) -> list[_Piece]:
    """One layer of two; in both the pieces are in order."""
    found: list[_Piece] = []
    rest = iter(below)
    under = next(rest, None)
    for piece in above:
        while under and under.x < piece.end:
            if under.x < piece.x:
                found.append(_part(under, under.x, piece.x))
            if under.end > piece.end:
                under = _part(under, piece.end, under.end)
                break
            under = next(rest, None)
        found.append(piece)
    return [*found, *((under,) if under else ()), *rest]


def _row(pieces: list[_Piece], width: int) -> Row:
    """All the pieces, with spaces where nothing was written."""
    spans: list[Span] = []
    x = 0
    for piece in pieces:
        if piece.x > x:
            spans.append(Span(" " * (piece.x - x)))
        spans.extend(piece.row)
        x = piece.end
    if x < width:
        spans.append(Span(" " * (width - x)))
    return joined(spans)


def boxed(line: Line, cells: int, role: str | None = None) -> Row:
    """A line cleaned, and cut or filled to exactly `cells`; `role` overrides those of its spans."""
    spans = fitted(line, cells)
    if role is not None:
        spans = tuple(Span(text, role) for text, _ in spans)
    return joined((*spans, Span(" " * (cells - line_width(spans)), role or PLAIN)))


def fitted(line: Line, cells: int) -> Line:
    """A line cleaned, and cut to `cells`: an ellipsis ends it where something is missing."""
    spans: list[Span] = []
    for text, role in line:
        if cells <= 0:
            break
        clean = texts.clean(text)
        shown = texts.clip(clean, cells)
        spans.append(Span(shown, role))
        if shown is not clean:
            break  # it ends in an ellipsis: nothing may follow
        cells -= texts.width(shown)
    return tuple(spans)


def _part(piece: _Piece, first: int, last: int) -> _Piece:
    """What of it is in the columns from `first` up to `last`."""
    if first <= piece.x and piece.end <= last:
        return piece
    found: list[Span] = []
    x = piece.x
    for span in piece.row:
        begin, x = x, x + texts.width(span.text)
        if x > first and begin < last:
            text = _columns(span.text, max(0, first - begin), min(x, last) - begin)
            found.append(Span(text, span.role))
    return _Piece(max(first, piece.x), min(last, piece.end), tuple(found))


def _columns(text: str, first: int, last: int) -> str:
    """The columns of clean text from `first` up to `last`; a space is left of a halved character.

    Combining marks stay with their base.
    """
    if texts.is_narrow(text):
        return text[first:last]
    out: list[str] = []
    x = 0
    for char in text:
        size = texts.cell_width(char)
        if size == 0:
            if first < x <= last and out[-1] != " ":
                out.append(char)
            continue
        whole = x >= first and x + size <= last
        out.append(char if whole else " " * (min(x + size, last) - max(x, first)))
        x += size
    return "".join(out)


def joined(spans: Iterable[Span]) -> Row:
    """The same with neighbours of one role made one."""
    found: list[Span] = []
    for span in spans:
        if found and found[-1].role == span.role:
            found[-1] = Span(found[-1].text + span.text, span.role)
        elif span.text:
            found.append(span)
    return tuple(found)
