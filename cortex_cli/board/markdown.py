"""Markdown as paragraphs: just enough of it to read well, and nothing of its text hidden."""

import re
from collections.abc import Iterator
from functools import lru_cache

from cortex_cli.board import text as texts
from cortex_cli.board.blocks import Mark, Paragraph, plain_lines
from cortex_cli.board.canvas import ACCENT, DIM, INFO, PLAIN, STRONG, Line, Span

_ITEM = re.compile(r"( {0,24})(?:[-*+]|(\d{1,4}[.)])) (?:\[([ xX])\] )?(?=\S)")
_HEADING = re.compile(r" {0,3}#{1,6} ")
_RULE = re.compile(r"\|?(?: *:?-+:? *\|)+(?: *:?-+:? *)?")
_INLINE = re.compile(
    r"(?P<code>`[^`]{1,400}`)|(?P<strong>\*\*[^*]{1,400}\*\*)"
    r"|\[(?P<link>[^\]\[]{1,400})\](?P<target>\([^() ]{1,2000}\))"
    r"|(?P<url>https?://[^\s<>)]{1,2000})"
)
_ROLES = {"code": INFO, "strong": STRONG, "link": ACCENT, "target": DIM, "url": ACCENT}
_SPECIAL = frozenset("`*[:")


def paragraphs(text: str, cells: int) -> list[Paragraph]:
    """The text, line by line: headings, lists, tasks, quotes, fences, tables, links."""
    found: list[Paragraph] = []
    table: list[str] = []
    fenced = False
    for line in plain_lines(text.strip("\n")):
        stripped = line.lstrip()
        if not fenced and stripped.startswith("|"):
            table.append(stripped)
            continue
        if table:
            found += _table(table, cells)
            table = []
        if stripped.startswith("```"):
            fenced = not fenced
            found.append(Paragraph(line, DIM))
        elif fenced:
            found.append(Paragraph(line, INFO))
        else:
            found.append(_line(line, stripped))
    return found + _table(table, cells) if table else found


@lru_cache(maxsize=1024)  # of a message that grows, only the last line is another one
def _line(line: str, stripped: str) -> Paragraph:
    if stripped.startswith(">"):
        rest = stripped.lstrip("> ")
        depth = stripped[: len(stripped) - len(rest)].count(">")
        return Paragraph(rest, DIM, (Span("│ " * depth, DIM),))
    if stripped.startswith("#") and _HEADING.match(line):
        return Paragraph(line, STRONG)
    item = _ITEM.match(line)
    if item is None:
        return Paragraph(line, PLAIN, (), tuple(_marks(line)))
    rest = line[item.end() :]
    return Paragraph(rest, PLAIN, _bullet(item), tuple(_marks(rest)))


def _bullet(item: re.Match[str]) -> Line:
    indent, number, task = item.groups()
    if task:
        done = task in "xX"
        return (Span(f"{indent}{'☑' if done else '☐'} ", DIM if done else ACCENT),)
    return (Span(f"{indent}{number or '·'} ", ACCENT),)


def _marks(line: str) -> Iterator[Mark]:
    if _SPECIAL.isdisjoint(line):
        return
    for match in _INLINE.finditer(line):
        for name, role in _ROLES.items():
            if match[name] is not None:
                yield match.start(name), match.end(name), role


def _table(rows: list[str], cells: int) -> list[Paragraph]:
    """Columns under each other where they fit, else the rows as they were written."""
    split = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    count = max(map(len, split))
    ruled = [_RULE.fullmatch(row) is not None for row in rows]
    sizes = [
        max((texts.width(row[i]) for row, rule in zip(split, ruled, strict=True)
             if i < len(row) and not rule), default=0)
        for i in range(count)
    ]  # fmt: skip
    if sum(sizes) + 3 * (count - 1) > cells:
        return [Paragraph(row) for row in rows]
    found = []
    for number, (row, rule) in enumerate(zip(split, ruled, strict=True)):
        if rule:
            found.append(Paragraph("─┼─".join("─" * size for size in sizes), DIM))
            continue
        padded = [texts.pad(row[i] if i < len(row) else "", size) for i, size in enumerate(sizes)]
        role = STRONG if number == 0 and len(rows) > 1 and ruled[1] else PLAIN
        found.append(Paragraph(" │ ".join(padded).rstrip(), role))
    return found
