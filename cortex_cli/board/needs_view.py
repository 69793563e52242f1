"""The list of what needs a person on the screen, and below it all of what the selected one asks."""

from collections.abc import Iterator

from cortex_cli.board import answers, board_view, doing, layout, needs
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import (
    ACCENT,
    DIM,
    PLAIN,
    SELECTED,
    STRONG,
    WARN,
    Canvas,
    Line,
    Span,
)
from cortex_cli.board.lines import aged
from cortex_cli.board.model import Model
from cortex_cli.board.needs import KINDS, Need
from cortex_cli.board.panes import Needs
from cortex_cli.board.wire import Review

STATE_CELLS = 12
AGENT_CELLS = 14
AGE_CELLS = 7
BELOW_FROM = 20  # rows of the screen, from which on the question is shown in full
NARROW = 30  # cells, below which there is no room for what is asked
WIDE = 80  # cells, from which on the ticket's title and the agent have a place of their own
NOBODY = ("Nobody waits for you.", "Questions, reviews and failures come here by themselves.")


def title(model: Model) -> Line:
    """What it is, and of what; the place, where the list is all that is shown."""
    below = rows(model)[1]
    place = ""
    if not below and model.width >= layout.SINGLE_WIDTH and isinstance(model.pane, Needs):
        place = _place(model, model.pane)
    where = "all projects" if model.dashboard else ""
    if not where:
        where = model.board.project.key if model.board else model.project
    return (
        *board_view.brand(model),
        Span(texts.clean(where), STRONG),
        Span("  what needs you", STRONG),
        Span(f"  {needs.count(model)}", WARN),
        *((Span(f"  {place}", ACCENT),) if place else ()),
    )


def count(model: Model) -> Line:
    """For the headers of all screens: how many wait; nothing where nobody does."""
    total = needs.count(model)
    return (Span(f"  ◆ {total} need{'s' if total == 1 else ''} you", WARN),) if total else ()


def rows(model: Model) -> tuple[int, int]:
    """Rows of the list, and of what is shown below it."""
    body = max(0, model.height - 2)
    if model.height < BELOW_FROM:
        return body, 0
    listed = min(max(3, len(needs.waiting(model))), body // 2)
    return listed, body - listed


def top(model: Model, pane: Needs) -> int:
    """The first entry on the screen, so that the selected one is there."""
    listed = rows(model)[0]
    return layout.centred(pane.at, len(needs.waiting(model)), listed)


def _place(model: Model, pane: Needs) -> str:
    """Which entries are on the screen, where not all are."""
    return layout.place(top(model, pane), len(needs.waiting(model)), rows(model)[0])


def draw(canvas: Canvas, model: Model, pane: Needs) -> None:
    """Between the header and the hints."""
    found = needs.waiting(model)
    if not found:
        known = model.dashboard.body if model.dashboard else model.board
        board_view.notice(canvas, NOBODY if known is not None else board_view.waiting(model))
        return
    listed, below = rows(model)
    first = top(model, pane)
    keys = max(texts.width(texts.clean(need.ticket)) for need in found)
    names = max(texts.width(_agent(need)) for need in found)
    # in the rule below, or in the header, where there is one with room
    place = "" if below or canvas.width >= layout.SINGLE_WIDTH else _place(model, pane)
    for offset, need in enumerate(found[first : first + listed]):
        chosen = need.name == pane.selected
        if chosen:
            canvas.fill(1 + offset, 0, canvas.width, role=SELECTED)
        line = _line(model, need, keys, names, canvas.width - 2)
        last = place if offset == listed - 1 else ""
        room = canvas.width - 2 - (len(last) + 1 if last else 0)
        canvas.put_line(1 + offset, 1, line, room, SELECTED if chosen else None)
        canvas.put(1 + offset, canvas.width - 1 - len(last), last, ACCENT)
    selected = needs.selected(model)
    if below and selected is not None:
        _draw_all(canvas, model, selected, 1 + listed, below)
        place = _place(model, pane)
        place = f" {place} " if place else ""
        canvas.put(1 + listed, canvas.width - len(place) - 2, place, ACCENT)


def _agent(need: Need) -> str:
    return texts.clip(texts.clean(need.agent), AGENT_CELLS)


def _line(model: Model, need: Need, keys: int, names: int, cells: int) -> Line:
    """State, ticket and what is asked; agent and title where there is room; the age at the end.

    keys, names: cells of the widest ticket key and agent, so that all lines have the same columns.
    """
    _, glyph, word, role = KINDS[need.kind]
    age = doing.age_of(model, need.at or None)
    if cells < NARROW:  # the glyph, and which ticket, come before the word
        line = (Span(f"{glyph} ", role), Span(f"{texts.clean(need.ticket)} ", STRONG), Span(word))
        return aged(line, age, cells)
    spans = [
        Span(texts.pad(f"{glyph} {word}", STATE_CELLS) + " ", role),
        Span(texts.pad(texts.clean(need.ticket), keys) + "  ", STRONG),
    ]
    asked = Span(texts.clean(need.asked), PLAIN)
    if cells < WIDE - 2:
        spans.append(asked)
    else:
        wide = max(0, (cells - AGE_CELLS - STATE_CELLS - keys - 5) // 3)
        spans.append(Span(texts.pad(texts.clean(need.title), wide) + "  ", DIM))
        spans += [Span(texts.pad(_agent(need), names) + "  ", ACCENT), asked]
    return aged(tuple(spans), age, cells)


# --- all of it


def _draw_all(canvas: Canvas, model: Model, need: Need, y: int, rows: int) -> None:
    canvas.fill(y, 0, canvas.width, "─", DIM)
    canvas.put(y, 2, f" {texts.clean(need.ticket)} {texts.clean(need.title)} ", STRONG,
               canvas.width - 4)  # fmt: skip
    lines = list(_all(model, need, max(1, canvas.width - 2)))
    if len(lines) > rows - 1:
        lines = [*lines[: rows - 2], (Span("… Enter opens all of it", WARN),)]
    for offset, line in enumerate(lines):
        canvas.put_line(y + 1 + offset, 1, line, canvas.width - 2)


def _all(model: Model, need: Need, cells: int) -> Iterator[Line]:
    _, glyph, word, role = KINDS[need.kind]
    verb = {needs.REVIEW: "asks for a review", needs.TURN: "waits for you"}.get(need.kind, "asks")
    said = f"{need.agent} {need.kind if need.went_wrong else verb}".strip()
    yield (Span(f"{glyph} {word}", role), Span(f"  {said}", DIM))
    thing = answers.known(model, need.id)
    if thing is None:
        yield from _wrapped(need.asked, cells)
        yield from _about_attempt(model, need, cells)
        return
    if isinstance(thing, Review):
        yield from _wrapped(thing.summary, cells)
        of = [f"branch {thing.branch}" if thing.branch else "", thing.commit or ""]
        yield from _wrapped("  ".join(filter(None, of)), cells, DIM)
        return
    yield from _wrapped(thing.about, cells)
    for option in thing.options:
        more = f": {option.description}" if option.description else ""
        yield from _wrapped(f"· {option.label}{more}", cells, ACCENT)
    if thing.free_text:
        yield from _wrapped("· in your own words", cells, ACCENT)


def _about_attempt(model: Model, need: Need, cells: int) -> Iterator[Line]:
    """Where the work of a failed or waiting attempt is."""
    attempt = model.board.attempts.get(need.id) if model.board else None
    if attempt is None:
        return
    where = (("branch", attempt.branch), ("worktree", attempt.worktree), ("runner", attempt.runner))
    of = "  ".join(f"{name} {value}" for name, value in where if value)
    yield from _wrapped(f"{attempt.name}  {of}".strip(), cells, DIM)


def _wrapped(text: str, cells: int, role: str = PLAIN) -> Iterator[Line]:
    for line in texts.wrap(text.strip("\n"), cells) if text.strip() else ():
        yield (Span(line, role),)
