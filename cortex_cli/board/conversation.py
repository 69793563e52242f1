"""A conversation as blocks: a message each, wrapped when it is looked at."""

from collections.abc import Iterator, Sequence

from cortex_cli.board import doing, markdown, threads
from cortex_cli.board import text as texts
from cortex_cli.board.blocks import Block, Kept, Paragraph, Searched, Words, plain_lines
from cortex_cli.board.canvas import ACCENT, BAD, DIM, GOOD, INFO, STRONG, Span
from cortex_cli.board.model import Model
from cortex_cli.board.sheets import Chunk, Key
from cortex_cli.board.wire import Message, Part

TOOL_LINES = 40  # of one tool's output; the end of it matters most
INPUT_CHARACTERS = 400
_blocks: Kept[Block] = Kept(600)
_texts: Kept[Searched] = Kept(10_000)
_growing: Kept[Block] = Kept(8)  # each piece of text makes another message of it: few are kept
_chunks: Kept[list[Chunk]] = Kept(4)
_EMPTY = Paragraph("")
_MARGIN = (Span("  "),)


class Messages:
    """The messages of a thread as the many blocks of a sheet, by their ids."""

    def __init__(self, model: Model, messages: tuple[Message, ...], cells: int) -> None:
        self._model, self._messages, self._cells = model, messages, cells

    def __len__(self) -> int:
        return len(self._messages)

    def key(self, index: int) -> Key:
        return self._messages[index].id

    def find(self, key: Key) -> int | None:
        count = len(self._messages)
        return next((i for i in reversed(range(count)) if self._messages[i].id == key), None)

    def block(self, index: int) -> Block:
        message = self._messages[index]
        cells = self._cells
        if message.status != "streaming":
            return _blocks.get(message, cells, lambda: Block(paragraphs(message, cells), cells))
        age = _age(self._model, message)
        return _growing.get(
            message, (cells, age), lambda: Block(paragraphs(message, cells, age), cells)
        )

    def chunks(self, first: int) -> Sequence[Chunk]:
        def make() -> list[Chunk]:
            return [Chunk(self._text(i), first + i, (0,)) for i in range(len(self))]

        if any(message.status == "streaming" for message in self._messages[-1:]):
            return make()
        return _chunks.get(self._messages, (first, self._cells), make)

    def _text(self, index: int) -> Searched:
        message, cells = self._messages[index], self._cells
        if message.status == "streaming":
            return self.block(index)
        return _texts.get(
            message, cells, lambda: Words(Block(paragraphs(message, cells), cells).text)
        )

    def heads(self) -> Sequence[int]:
        return range(len(self._messages))

    def heads_before(self) -> int:
        return self._messages[0].number - 1 if self._messages else 0


def _age(model: Model, message: Message) -> str:
    """How long its tool runs, by when it was told; "" where none does."""
    told = doing.seconds(message.updated_at) if threads.running(message) else None
    return "" if told is None else texts.age(model.now - told)


def paragraphs(message: Message, cells: int, age: str = "") -> list[Paragraph]:
    """A message: who speaks, and its parts. age: of a tool that runs."""
    role = ACCENT if message.role == "user" else STRONG
    head, writing = message.role or "message", message.status == "streaming"
    tail = (Span("  writing", GOOD),) if writing else ()
    found = [_EMPTY, Paragraph(texts.clean(head), role, tail=tail)]
    parts = message.parts
    for number, part in enumerate(parts):
        after = parts[number + 1] if number + 1 < len(parts) else None
        found += _part(part, cells, age, after is not None and after.type == "error")
    return found


def _part(part: Part, cells: int, age: str, failed: bool) -> Iterator[Paragraph]:
    if part.type == "thinking":
        yield Paragraph("thinking", DIM, _MARGIN)
        for line in plain_lines(part.text.strip("\n")):
            yield Paragraph(line, DIM, _MARGIN)
    elif part.type == "tool":
        yield from _tool(part, cells, age, failed)
    elif part.type == "error":
        for number, line in enumerate(plain_lines(part.text.strip("\n"))):
            yield Paragraph(f"✗ {line}" if number == 0 else line, BAD, _MARGIN)
    else:
        yield from markdown.paragraphs(part.text, cells)


def _tool(part: Part, cells: int, age: str, failed: bool) -> Iterator[Paragraph]:
    """A call: its name, the beginning of its input, how it goes, and the end of what it said."""
    if part.status == "streaming":
        glyph, word, role = "●", f"running {age}".rstrip(), GOOD
    else:
        glyph, word, role = ("✗", "failed", BAD) if failed else ("✓", "done", GOOD)
    name = texts.clean(part.tool or "tool")
    given = texts.clean(part.input[:INPUT_CHARACTERS])
    room = max(1, cells - 6 - texts.width(name) - texts.width(word))
    called = f"{name} {texts.clip(given, room)}".rstrip()
    tail = (Span(f"  {word}", role),)
    yield Paragraph(called, INFO, (Span(f"  {glyph} ", role),), tail=tail)
    lines = plain_lines(part.text.strip("\n")) if part.text.strip() else []
    if len(lines) > TOOL_LINES:
        yield Paragraph(f"… {len(lines) - TOOL_LINES} lines before", DIM, _MARGIN)
    for line in lines[-TOOL_LINES:]:
        yield Paragraph(line, DIM, _MARGIN)
