"""A grid of cells: the one place where text meets columns and rows.

Roles name what a span means, never its colour; the terminal decides how each one looks.
"""

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
    """Cells that text is put into. A wide character holds two: itself and an empty one."""

    def __init__(self, width: int, height: int, ascii_only: bool = False) -> None:
        self.width = max(0, width)
        self.height = max(0, height)
        self._ascii_only = ascii_only
        self._cells = [[" "] * self.width for _ in range(self.height)]
        self._roles = [[PLAIN] * self.width for _ in range(self.height)]

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
        for span in line:
            if x >= end:
                break
            text = texts.clean(span.text)
            shown = texts.clip(text, end - x)
            x = self._write(y, x, shown, span.role if role is None else role)
            if shown is not text:
                break  # it ends in an ellipsis: nothing may follow
        return x

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
        inside = " " * (width - 2)
        self._write(y, x, f"╭{bar}╮", role)
        for line in range(y + 1, y + height - 1):
            self._write(line, x, "│", role)
            self._write(line, x + 1, inside, PLAIN)
            self._write(line, x + width - 1, "│", role)
        self._write(y + height - 1, x, f"╰{bar}╯", role)

    def _write(self, y: int, x: int, shown: str, role: str) -> int:
        """Put clean text that fits into the row into its cells. Returns the column after it."""
        if not 0 <= y < self.height or x < 0 or not shown:
            return x
        if self._ascii_only:
            shown = texts.to_ascii(shown)
        row, size = self._cells[y], texts.width(shown)
        end = x + size
        if row[x] == "" and x > 0:
            row[x - 1] = " "  # the left half of a wide character that is cut in two
        if end < self.width and row[end] == "":
            row[end] = " "
        row[x:end] = shown if len(shown) == size else _split(shown)
        self._roles[y][x:end] = [role] * size
        return end

    def rows(self) -> tuple[Row, ...]:
        """The rows as spans; every row is exactly as wide as the screen."""
        return tuple(
            _row(cells, roles) for cells, roles in zip(self._cells, self._roles, strict=True)
        )


def _split(shown: str) -> list[str]:
    """Clean text as cells: marks join their base, a wide character is followed by an empty cell."""
    cells: list[str] = []
    for char in shown:
        size = texts.cell_width(char)
        if size == 0:
            at = -2 if len(cells) > 1 and cells[-1] == "" else -1
            cells[at] += char
        else:
            cells.append(char)
            if size == 2:
                cells.append("")
    return cells


def _row(cells: list[str], roles: list[str]) -> Row:
    if not cells:
        return ()
    first = roles[0]
    if roles.count(first) == len(roles):
        return (Span("".join(cells), first),)
    spans: list[Span] = []
    start = 0
    for index, role in enumerate(roles):
        if role != first:
            spans.append(Span("".join(cells[start:index]), first))
            start, first = index, role
    spans.append(Span("".join(cells[start:]), first))
    return tuple(spans)
