"""The open ticket as a document: which tabs it has, and what of the open one is on the screen."""

from dataclasses import dataclass
from typing import NamedTuple

from cortex_cli.board import layout
from cortex_cli.board.blocks import Row, over
from cortex_cli.board.canvas import Line
from cortex_cli.board.model import DIFF, LOG, Detail, Model
from cortex_cli.board.sheets import Sheet, Spot
from cortex_cli.board.wire import Session


class Look(NamedTuple):
    """The open tab and the part of it that is looked at, which is not built yet. bottom: the top
    with which its end is on the screen."""

    sheet: Sheet
    top: Spot
    bottom: Spot
    rows: int
    follows: bool


@dataclass(frozen=True)
class Window:
    """What is on the screen of the open tab. share: how much of it is above, 0 to 100; None where
    all of it fits. new: lines, entries or comments that came since the user scrolled away. place:
    where in it that is ("file 2/7"). found: what a search found ("3/17"), "" without one."""

    lines: list[Line]
    share: int | None
    follows: bool
    new: int = 0
    place: str = ""
    found: str = ""


def tree(detail: Detail) -> list[tuple[Session, int]]:
    """The sessions, oldest first, children after their parent, each with its depth."""
    children: dict[str | None, list[Session]] = {}
    for session in sorted(detail.sessions.values(), key=lambda s: (s.created_at, s.id)):
        parent = session.parent_id if session.parent_id in detail.sessions else None
        children.setdefault(parent, []).append(session)
    found: list[tuple[Session, int]] = []
    seen: set[str] = set()

    def visit(session: Session, depth: int) -> None:
        if session.id not in seen and depth < 20:
            seen.add(session.id)
            found.append((session, depth))
            for child in children.get(session.id, []):
                visit(child, depth + 1)

    for session in children.get(None, []):
        visit(session, 0)
    for session in detail.sessions.values():  # parents in a circle, or nested too deep: still shown
        visit(session, 0)
    return found


def tabs(detail: Detail) -> list[str]:
    """The ids of the tabs: the ticket, log and diff once there was an attempt, the sessions."""
    of_attempt = [LOG, DIFF] if detail.attempts else []
    return ["", *of_attempt, *(session.id for session, _ in tree(detail))]


def body(model: Model) -> tuple[int, int, int]:
    """(first row, rows, cells) of the document on the screen."""
    kind = layout.shape(model)
    if kind == "line":
        return 0, 1, max(1, model.width)
    if kind == "list":
        return 1, model.height - 2, model.width
    return 3, model.height - 5, model.width - 4


def sheet(model: Model, detail: Detail) -> Sheet:
    """The open tab; what it is made of is imported by the first ticket that is opened."""
    cells = max(1, body(model)[2])
    session = detail.sessions.get(detail.tab)
    if session:
        from cortex_cli.board import session_lines

        return session_lines.sheet(model, detail, session, cells)
    if detail.tab in (LOG, DIFF):
        from cortex_cli.board import attempt_lines

        show = attempt_lines.log if detail.tab == LOG else attempt_lines.diff
        return show(model, detail, cells)
    from cortex_cli.board import ticket_lines

    return ticket_lines.sheet(model, detail, cells)


def look(model: Model, detail: Detail) -> Look:
    """Where the reader is in the open tab."""
    rows = max(1, body(model)[1])
    found = sheet(model, detail)
    bottom = found.bottom(rows)
    follows = detail.tab not in detail.paused
    place = detail.places.get(detail.tab)
    top = bottom
    if not follows:
        top = min(found.spot(place), bottom) if place else (0, 0)
    return Look(found, top, bottom, rows, follows)


def window(model: Model, detail: Detail) -> Window:
    """What of the open tab is visible, with the hits of a search."""
    at = look(model, detail)
    rows = at.sheet.rows(at.top, at.rows)
    lines = [row.line for _, row in rows]
    found = ""
    if detail.search and detail.search.text:
        from cortex_cli.board import search

        lines = [
            over(row.line, row.skip, row.start, marks) if marks else row.line
            for (_, row), marks in zip(
                rows, search.marks(at.sheet, rows, detail.search), strict=True
            )
        ]
        found = search.told(at.sheet, detail)
    share = None if at.bottom == (0, 0) else _share(at)
    return Window(lines, share, at.follows, _new(model, detail, at), _place(at, rows), found)


def _share(at: Look) -> int:
    def passed(spot: Spot) -> float:
        return spot[0] + spot[1] / max(1, len(at.sheet.block(spot[0]).rows))

    return int(100 * passed(at.top) / passed(at.bottom))


def _place(at: Look, rows: list[tuple[int, Row]]) -> str:
    """Which of the places of { and } is at the top; at the very end, the last that is seen."""
    if not at.sheet.what or not rows:
        return ""
    found = at.sheet.nth_head(rows[-1][0] if at.top == at.bottom else at.top[0])
    return f"{at.sheet.what} {found[0]}/{found[1]}" if found else ""


def mark(model: Model, detail: Detail) -> tuple[int, int]:
    """How far the open tab goes now: compared with a later one it tells what is new."""
    if detail.tab == LOG and detail.log:
        return detail.log.end, 0
    thread = detail.threads.get(detail.tab)
    if thread and thread.messages:
        found = sheet(model, detail)
        last = found.find(thread.messages[-1].id)
        return thread.messages[-1].number, len(found.block(last).text) if last is not None else 0
    return (0, 0) if detail.tab else (len(detail.comments), 0)


def _new(model: Model, detail: Detail, at: Look) -> int:
    if at.follows or detail.tab == DIFF:
        return 0
    number, length = detail.paused[detail.tab]
    thread = detail.threads.get(detail.tab)
    if thread is None:
        return max(0, mark(model, detail)[0] - number)
    lines = 0
    for offset, message in enumerate(reversed(thread.messages)):
        if message.number < number:
            break
        rows = at.sheet.block(at.sheet.first + len(thread.messages) - 1 - offset).rows
        known = length if message.number == number else -1
        lines += sum(row.start > known for row in rows)
    return lines
