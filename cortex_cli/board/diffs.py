"""A diff, file by file: what each line is, and how many lines each file gains and loses."""

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cortex_cli.board import text as texts
from cortex_cli.board.blocks import Block, Kept, Paragraph, Searched, plain_lines
from cortex_cli.board.canvas import ACCENT, BAD, DIM, GOOD, INFO, PLAIN, WARN, Span
from cortex_cli.board.sheets import Chunk, Key

FILE, META, HUNK, ADDED, REMOVED, SAME, NOTE = range(7)
ROLES = (ACCENT, DIM, INFO, GOOD, BAD, PLAIN, WARN)
_MARKS = {"+": ADDED, "-": REMOVED, "@": HUNK, "\\": META}
_NOTES = ("new file", "deleted file", "rename from", "rename to", "copy from", "copy to",
          "old mode", "new mode", "similarity")  # fmt: skip
_blocks: Kept[Block] = Kept(2000)
_parsed: "Kept[Diff]" = Kept(3)


class File(NamedTuple):
    """line: of its heading. note: what happened to it as a whole, "" where only lines changed."""

    name: str
    line: int
    added: int
    removed: int
    note: str


class Diff(Searched):
    """The lines of a diff as one clean text, and its files."""

    __slots__ = ("_kinds", "_text", "files", "starts")

    def __init__(self, source: str) -> None:
        super().__init__()
        lines: list[str] = []
        kinds = bytearray()
        files: list[File] = []
        for kind, line in _lines(source):
            if kind == FILE:
                files.append(File(line, len(lines), 0, 0, ""))
            elif files and kind in (ADDED, REMOVED, NOTE):
                files[-1] = _counted(files[-1], kind, line)
            lines.append(line)
            kinds.append(kind)
        self.files = tuple(files)
        self._kinds = bytes(kinds)
        self._text = "\n".join(lines)
        self.starts = array("L")
        at = 0
        for line in lines:
            self.starts.append(at)
            at += len(line) + 1

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def text(self) -> str:
        return self._text

    def block(self, index: int, cells: int) -> Block:
        return _blocks.get(self, (index, cells), lambda: self._block(index, cells))

    def _block(self, index: int, cells: int) -> Block:
        end = self.starts[index + 1] - 1 if index + 1 < len(self) else len(self._text)
        line, kind = self._text[self.starts[index] : end], self._kinds[index]
        if kind != FILE:
            return Block([Paragraph(line, ROLES[kind])], cells)
        bar = "─" * max(0, cells - texts.width(line) - 3)
        marks = ((len(line), len(line) + 1 + len(bar), DIM),)
        margin = (Span("─ ", DIM),)
        return Block([Paragraph(f"{line} {bar}" if bar else line, ACCENT, margin, marks)], cells)


def parsed(text: str) -> Diff:
    """The diff of a text; of the one that was asked for last, at once."""
    return _parsed.get(text, None, lambda: Diff(text))


def _lines(source: str) -> Iterator[tuple[int, str]]:
    """(kind, clean line) of each line that is shown; in a file's head only what is worth saying."""
    head = False
    if not source.strip():
        return
    for line in source.rstrip("\n").split("\n"):
        if line.startswith("diff --git "):
            head = True
            yield SAME, ""
            yield FILE, texts.clean(name(line))
        elif head and line.startswith(("index ", "--- ", "+++ ")):
            continue  # the heading names the file
        elif head and line.startswith(_NOTES):
            yield NOTE, texts.clean(line)
        elif line.startswith(("Binary files ", "GIT binary patch")) and line[:1] not in "+- ":
            yield NOTE, "binary: not shown" if line[0] == "B" else texts.clean(line)
        else:
            head = head and not line.startswith("@@")
            kind = META if head else _MARKS.get(line[:1], SAME)
            yield kind, " ".join(plain_lines(line))


def _counted(file: File, kind: int, line: str) -> File:
    if kind == ADDED:
        return file._replace(added=file.added + 1)
    if kind == REMOVED:
        return file._replace(removed=file.removed + 1)
    note = _note(line)
    return file._replace(note=note) if note else file


def _note(line: str) -> str:
    for start, note in (("new file", "new"), ("deleted file", "deleted"), ("binary", "binary"),
                        ("GIT binary", "binary")):  # fmt: skip
        if line.startswith(start):
            return note
    was = line.removeprefix("rename from ")
    return f"renamed from {was}" if was != line else ""


def name(source: str) -> str:
    """The name of a file from the line that begins its part: `diff --git a/x b/x`."""
    names = source.removeprefix("diff --git ")
    before, between, after = names.partition(" b/")
    return after if between else before


class Lines:
    """The lines of a diff as blocks of a sheet; a key is a file's name and a line in it."""

    def __init__(self, diff: Diff, cells: int) -> None:
        self._diff, self._cells = diff, cells

    def __len__(self) -> int:
        return len(self._diff)

    def key(self, index: int) -> Key:
        file = next((f for f in reversed(self._diff.files) if f.line <= index), None)
        return (file.name, index - file.line) if file else ("", index)

    def find(self, key: Key) -> int | None:
        """The same line of the same file, as far as it still has so many."""
        if not isinstance(key, tuple) or not len(self):
            return None
        name, line = str(key[0]), int(key[1])
        files = self._diff.files
        for number, file in enumerate(files):
            if file.name == name:
                end = files[number + 1].line if number + 1 < len(files) else len(self)
                return min(file.line + line, end - 1)
        return min(line, len(self) - 1) if not name else None

    def block(self, index: int) -> Block:
        return self._diff.block(index, self._cells)

    def chunks(self, first: int) -> Sequence[Chunk]:
        return (Chunk(self._diff, first, self._diff.starts),) if len(self) else ()

    def heads(self) -> Sequence[int]:
        return [file.line for file in self._diff.files]

    def heads_before(self) -> int:
        return 0
