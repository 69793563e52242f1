"""What documents are made of: headings, named values, indented text."""

from collections.abc import Iterator

from cortex_cli.board import text as texts
from cortex_cli.board.canvas import ACCENT, DIM, PLAIN, Line, Span, boxed, line_width

EMPTY: Line = ()
NAME_CELLS = 12


def heading(title: str, cells: int) -> Iterator[Line]:
    yield EMPTY
    name = texts.clip(texts.clean(title), max(1, cells - 3))
    bar = "─" * max(0, cells - texts.width(name) - 3)
    yield (Span("─ ", DIM), Span(name, ACCENT), Span(f" {bar}", DIM))


def field(name: str, value: Line, cells: int) -> Iterator[Line]:
    """A name and what it is; nothing where there is nothing to say. Long values are wrapped."""
    if not any(span.text for span in value):
        return
    head = Span(texts.pad(name, NAME_CELLS), DIM)
    room = max(1, cells - NAME_CELLS)
    if len(value) > 1 and line_width(value) <= room:
        yield (head, *value)
        return
    text = " ".join(span.text.strip() for span in value if span.text.strip())
    for number, line in enumerate(texts.wrap(text, room)):
        yield (head if number == 0 else Span(" " * NAME_CELLS), Span(line, value[0].role))


def aged(line: Line, age: str, cells: int) -> Line:
    """A line with the age of something at its right end, before which it is cut."""
    if not age:
        return line
    return (*boxed(line, max(0, cells - len(age) - 1)), Span(" "), Span(age, DIM))


def indented(text: str, cells: int, role: str = PLAIN) -> Iterator[Line]:
    for line in texts.wrap(text.strip("\n"), max(1, cells - 2)):
        yield (Span("  "), Span(line, role))
