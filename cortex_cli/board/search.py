"""Search in the open tab: literal text, in any case until it has a capital letter.

What is counted is remembered by each piece of text, so a key looks only through what changed; what
is not on the screen is never wrapped for it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from cortex_cli.board import document, reader
from cortex_cli.board.blocks import Mark, Row, fold
from cortex_cli.board.canvas import CURSOR, SELECTED
from cortex_cli.board.model import LOG, Detail, Model, Prompt, Search
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.sheets import Chunk, Sheet, Spot, chunk_of

MAX_NEEDLE = 200


def open_it(model: Model) -> Step:
    """Ask what to look for; Esc goes back to where the reader was."""
    detail = model.detail
    if detail is None:
        return model, ()
    at = document.look(model, detail)
    search = Search("", origin=(at.sheet.place(at.top), detail.paused.get(detail.tab)))
    prompt = Prompt("search", "Search", about="")
    return replace(model, detail=replace(detail, search=search), overlay=prompt), ()


def typed(model: Model, text: str) -> Model:
    """The text changed: go to its first hit from where the reader was, or back there."""
    model = _back(model)
    detail = model.detail
    if detail is None or detail.search is None:
        return model
    search = detail.search.but(text=text[:MAX_NEEDLE], hit=None, wrapped=False)
    model = replace(model, detail=replace(detail, search=search))
    return _go(model, 1, inclusive=True) if text else model


def submitted(model: Model) -> Step:
    """Keep the search; of a log or a conversation what is older is fetched for it."""
    detail = model.detail
    if detail is None or detail.search is None:
        return model, ()
    if not detail.search.text:
        return clear(model), ()
    model = replace(model, detail=replace(detail, search=detail.search.but(typing=False)))
    return _older(model)


def abandoned(model: Model) -> Model:
    return clear(_back(model))


def clear(model: Model) -> Model:
    detail = model.detail
    return replace(model, detail=replace(detail, search=None)) if detail else model


def next_hit(model: Model) -> Step:
    return _older(_go(model, 1))


def previous_hit(model: Model) -> Step:
    return _older(_go(model, -1))


def _older(model: Model) -> Step:
    from cortex_cli.board import detail

    return detail.more(model)


def _back(model: Model) -> Model:
    """To where the reader was when the search was opened."""
    detail = model.detail
    if detail is None or detail.search is None or detail.search.origin is None:
        return model
    place, mark = detail.search.origin
    paused = {tab: value for tab, value in detail.paused.items() if tab != detail.tab}
    if mark is not None:
        paused[detail.tab] = mark
    places = {**detail.places, detail.tab: place}
    return replace(model, detail=replace(detail, places=places, paused=paused))


# --- hits


def _go(model: Model, by: int, inclusive: bool = False) -> Model:
    """To the next hit, or the previous one, around the end."""
    detail = model.detail
    search = detail.search if detail else None
    if detail is None or search is None or not search.text:
        return model
    at = document.look(model, detail)
    start = _start(at, search)
    if start is None:
        row = at.sheet.block(at.top[0]).rows[at.top[1] : at.top[1] + 1]
        start, inclusive = (at.top[0], row[0].start if row else 0), by > 0
    found = find(at.sheet, search.text, start, by, inclusive)
    if found is None:
        return model if search.typing else toast(model, f"Not found: {search.text}", bad=True)
    index, offset, wrapped = found
    spot = _spot(at.sheet, index, offset)
    top = at.top
    if not top <= spot < at.sheet.walk(top, at.rows):
        top = min(at.sheet.walk(spot, -(at.rows // 3)), at.bottom)
    model = reader.put(model, detail, at, top, stay=True)
    assert model.detail is not None
    search = search.but(hit=(at.sheet.key(index), offset), wrapped=wrapped)
    return replace(model, detail=replace(model.detail, search=search))


def _start(at: document.Look, search: Search) -> tuple[int, int] | None:
    """(block, character) of the hit that the reader is at."""
    if search.hit is None:
        return None
    index = at.sheet.find(search.hit[0])
    if index is None or at.sheet.key(index) != search.hit[0]:
        return None
    return index, search.hit[1]


def _spot(sheet: Sheet, index: int, offset: int) -> Spot:
    rows = sheet.block(index).rows
    return index, max(0, bisect_right(rows, offset, key=lambda row: row.start) - 1)


def find(
    sheet: Sheet, needle: str, start: tuple[int, int], by: int, inclusive: bool = False
) -> tuple[int, int, bool] | None:
    """(block, character in it, whether it was reached around the end) of the next hit from `start`,
    a block and a character in it. by: 1 forward, -1 backward. inclusive: `start` itself counts."""
    chunks = sheet.chunks()
    if not chunks:
        return None
    first = chunk_of(chunks, start[0])
    here = chunks[first].starts[start[0] - chunks[first].first] + start[1]
    for step in range(len(chunks) + 1):
        number = (first + step * by) % len(chunks)
        chunk = chunks[number]
        if not chunk.text.count(needle):
            continue
        text = fold(chunk.text.text, needle)
        if by > 0:
            begin = (here if inclusive else here + len(needle)) if step == 0 else 0
            found = text.find(needle, begin)
        else:
            found = text.rfind(needle, 0, here if step == 0 else len(text))
        if found >= 0:
            beyond = not 0 <= first + step * by < len(chunks)
            block = bisect_right(chunk.starts, found) - 1
            return chunk.first + block, found - chunk.starts[block], beyond
    return None


def marks(sheet: Sheet, rows: Sequence[tuple[int, Row]], search: Search) -> list[list[Mark]]:
    """The hits in each row that is on the screen, as roles of characters of its block's text."""
    needle, current = search.text, search.hit
    found: list[list[Mark]] = []
    last, hits = -1, []
    for index, row in rows:
        if index != last:
            mine = [row.start for other, row in rows if other == index]
            at = current[1] if current and sheet.key(index) == current[0] else -1
            hits = _hits(sheet.block(index).text, needle, mine[0], mine[-1] + 1000, at)
            last = index
        found.append(hits)
    return found


def _hits(text: str, needle: str, first: int, end: int, current: int) -> list[Mark]:
    """Hits in a part of a text; one that begins before it is found as well."""
    begin = max(0, first - len(needle) + 1)
    piece = fold(text[begin : end + len(needle)], needle)
    hits: list[Mark] = []
    at = piece.find(needle)
    while at >= 0:
        role = CURSOR if begin + at == current else SELECTED
        hits.append((begin + at, begin + at + len(needle), role))
        at = piece.find(needle, at + len(needle))
    return hits


def told(sheet: Sheet, detail: Detail) -> str:
    """How many hits there are and which of them is the reader's: "3/17"."""
    search = detail.search
    if search is None:
        return ""
    needle, chunks = search.text, sheet.chunks()
    total = sum(chunk.text.count(needle) for chunk in chunks)
    if not total:
        return "no hit" + _unread(detail)
    number = _number(sheet, chunks, search)
    wrapped = "wrapped  " if search.wrapped else ""
    return f"{wrapped}{number or '-'}/{total}{_unread(detail)}"


def _number(sheet: Sheet, chunks: Sequence[Chunk], search: Search) -> int:
    index = sheet.find(search.hit[0]) if search.hit else None
    if search.hit is None or index is None or sheet.key(index) != search.hit[0]:
        return 0
    at = chunk_of(chunks, index)
    chunk = chunks[at]
    before = chunk.text.text[: chunk.starts[index - chunk.first] + search.hit[1]]
    earlier = sum(other.text.count(search.text) for other in chunks[:at])
    return earlier + fold(before, search.text).count(search.text) + 1


def _unread(detail: Detail) -> str:
    """Whether there is older text that is not here, and so was not searched."""
    thread = detail.threads.get(detail.tab)
    older = thread.messages[0].number > 1 if thread and thread.messages else False
    if detail.tab == LOG and detail.log:
        older = detail.log.entries.first > 1 or detail.log.cut
    return "+" if older else ""
