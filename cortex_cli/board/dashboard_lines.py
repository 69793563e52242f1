"""The dashboard as lines: projects, what needs a person, who works, and on what runners."""

from collections.abc import Iterator, Mapping
from typing import Any

from cortex_cli.board import doing
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import (
    ACCENT,
    DIM,
    GOOD,
    INFO,
    STRONG,
    WARN,
    Line,
    Span,
    line_width,
)
from cortex_cli.board.lines import aged, heading
from cortex_cli.board.needs import KINDS
from cortex_cli.board.reading import Json, text, whole
from cortex_cli.board.reading import texts as names
from cortex_cli.board.value import Value

STATES = ("running", "waiting", "queued", "failed", "lost")
RUNNERS = {"online": ("●", GOOD), "offline": ("○", WARN)}


class Entry(Value):
    """Something that can be selected. project: "" for what has no board; ticket: "" for none."""

    name: str
    project: str
    ticket: str


class Row(Value):
    """A line, and the entry that it belongs to; "" for none."""

    line: Line
    entry: str


def items(body: Json, name: str) -> list[Json]:
    """A list of objects in the overview; what is none is left out."""
    found = body.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def entries(body: Json) -> tuple[Entry, ...]:
    """What can be selected, from top to bottom."""
    found = [
        Entry(f"p {text(p, 'project')}", text(p, "project"), "") for p in items(body, "projects")
    ]
    for kind in ("needs", "attempts"):
        found += [
            Entry(f"{kind} {text(i, 'id')}", text(i, "project"), text(i, "ticket"))
            for i in items(body, kind)
        ]
    found += [Entry(f"r {text(r, 'id')}", "", "") for r in items(body, "runners")]
    return tuple(found)


def rows(body: Json, now: float, cells: int) -> tuple[Row, ...]:
    """The whole document, each line at most `cells` wide or to be cut."""
    found: list[Row] = []
    sections = (
        ("Projects", "projects", _projects),
        ("Needs a person", "needs", _needs),
        ("Agents at work", "attempts", _attempts),
        ("Runners", "runners", _runners),
    )
    for title, name, draw in sections:
        listed = items(body, name)
        many = max(len(listed), whole(totals_of(body), "needs")) if name == "needs" else len(listed)
        head = [*heading(f"{title} {many}", cells)]
        found += [Row(line, "") for line in (head if found else head[1:])]
        nothing = [Row((Span(line, DIM),), "") for line in texts.wrap(_NOTHING[name], cells)]
        found += draw(listed, now, cells) if listed else nothing
    return tuple(found)


_NOTHING = {
    "projects": "No project yet: `cortex project create` makes one.",
    "needs": "Nobody waits for you.",
    "attempts": "No attempt is at work, and none waits to be.",
    "runners": "No runner has ever been here: `cortex runner` starts one.",
}


# --- projects


def _projects(listed: list[Json], now: float, cells: int) -> Iterator[Row]:
    keys = max(texts.width(texts.clean(text(p, "project"))) for p in listed)
    drawn = [(_name(p, keys), _columns(p), _work(p), _throughput(p)) for p in listed]
    widths = [max(line_width(parts[i]) for parts in drawn) for i in range(4)]
    whole_line = sum(widths) + 6 <= cells
    for project, parts in zip(listed, drawn, strict=True):
        entry = f"p {text(project, 'project')}"
        if whole_line:
            yield Row(_table(parts, widths), entry)
            continue
        yield Row(_table((parts[0], parts[2]), widths[:1]), entry)
        indent = Span(" " * (keys + 2))
        yield Row((indent, *parts[1], Span("  "), *parts[3]), entry)


def _table(parts: tuple[Line, ...], widths: list[int]) -> Line:
    """Parts side by side, each but the last filled to its width."""
    spans: list[Span] = []
    for number, part in enumerate(parts):
        spans += part
        if number < len(parts) - 1:
            spans.append(Span(" " * (max(0, widths[number] - line_width(part)) + 2)))
    return tuple(spans)


def _name(project: Json, keys: int) -> Line:
    key, name = texts.clean(text(project, "project")), texts.clean(text(project, "name"))
    shown = texts.clip(name, 24) if name.casefold() != key.casefold() else ""
    return (Span(texts.pad(key, keys), STRONG), Span(f"  {shown}"))


def _columns(project: Json) -> Line:
    counts = project.get("columns")
    known = counts if isinstance(counts, Mapping) else {}
    pieces = [f"{texts.clean(str(name))} {whole(known, name)}" for name in known]
    return (Span("  ".join(pieces), DIM),)


def _work(project: Json) -> Line:
    """What agents do in it, and what waits for a person; nothing that there is none of."""
    counted = project.get("attempts")
    known = counted if isinstance(counted, Mapping) else {}
    spans: list[Span] = []
    for status in STATES:
        glyph, word, role = doing.ATTEMPTS[status]
        if number := whole(known, status):
            spans.append(Span(f"{glyph} {number} {word}  ", role))
    # those of attempts are there already; more than those were started without the board
    if (number := _sessions_at_work(project)) > whole(known, "running"):
        spans.append(Span(f"● {number} session{'' if number == 1 else 's'} working  ", GOOD))
    for name, glyph, word in (
        ("open_permissions", "◆", "question"),
        ("open_reviews", "◇", "review"),
    ):
        if number := whole(project, name):
            spans.append(Span(f"{glyph} {number} {word}{'' if number == 1 else 's'}  ", WARN))
    return tuple(spans) or (Span("quiet", DIM),)


def _sessions_at_work(project: Json) -> int:
    counted = project.get("sessions")
    return whole(counted, "working") if isinstance(counted, Mapping) else 0


def _throughput(project: Json) -> Line:
    """What was done in the last day, and in the last seven."""
    done = project.get("throughput")
    known = done if isinstance(done, Mapping) else {}
    day, week = whole(known, "1d"), whole(known, "7d")
    return (Span(f"✓ {day} today, {week} in 7 days", GOOD if day else DIM),)


# --- the others


def _needs(listed: list[Json], now: float, cells: int) -> Iterator[Row]:
    keys = max(texts.width(texts.clean(text(item, "ticket"))) for item in listed)
    for item in listed:
        kind = text(item, "kind")
        _, glyph, word, role = KINDS.get(kind, (0, "◆", kind, WARN))
        said = text(item, "text")
        if kind == "turn":
            said = f"{text(item, 'agent')} waits for what you say next: {said}"
        left = (
            Span(texts.pad(f"{glyph} {word}", 13), role),
            Span(texts.pad(texts.clean(text(item, "ticket")), keys), STRONG),
            Span(f"  {texts.clean(said)}"),
        )
        yield Row(_aged(left, text(item, "at"), now, cells), f"needs {text(item, 'id')}")


def _attempts(listed: list[Json], now: float, cells: int) -> Iterator[Row]:
    keys = max(texts.width(texts.clean(text(item, "ticket"))) for item in listed)
    agents = max(texts.width(texts.clean(text(item, "agent"))) for item in listed)
    for item in listed:
        status = text(item, "status")
        glyph, word, role = doing.ATTEMPTS.get(status, ("?", status, WARN))
        said = text(item, "progress") or text(item, "stage").replace("_", " ")
        left = (
            Span(texts.pad(f"{glyph} {word}", 11), role),
            Span(texts.pad(texts.clean(text(item, "ticket")), keys), STRONG),
            Span(f"  {texts.pad(texts.clean(text(item, 'agent')), agents)}", ACCENT),
            Span(f"  {texts.clean(said)}" if said else "", INFO),
            Span(f"  {texts.clean(text(item, 'title'))}"),
        )
        at = text(item, "started_at") or text(item, "created_at")
        yield Row(_aged(left, at, now, cells), f"attempts {text(item, 'id')}")


def _runners(listed: list[Json], now: float, cells: int) -> Iterator[Row]:
    wide = max(texts.width(texts.clean(text(item, "name"))) for item in listed)
    for item in listed:
        status = text(item, "status")
        glyph, role = RUNNERS.get(status, ("?", WARN))
        offered = ", ".join(texts.clean(name) for name in names(item, "agents")) or "no agents"
        left = (
            Span(texts.pad(f"{glyph} {status}", 11), role),
            Span(texts.pad(texts.clean(text(item, "name")), wide), STRONG),
            Span(f"  {texts.clean(text(item, 'host'))}", DIM),
            Span(f"  {whole(item, 'parallel')} at a time: {offered}"),
        )
        silent = text(item, "seen_at") if status != "online" else ""
        yield Row(_aged(left, silent, now, cells, "seen "), f"r {text(item, 'id')}")


def _aged(left: Line, at: str, now: float, cells: int, prefix: str = "") -> Line:
    """A line with the age of something at its right end."""
    seconds = doing.seconds(at)
    if seconds is None:
        return left
    past = now - seconds
    return aged(left, f"{prefix}{'now' if past < 60 else texts.age(past)}", cells)


def totals_of(body: Json) -> Mapping[str, Any]:
    found = body.get("totals")
    return found if isinstance(found, Mapping) else {}


def totals(body: Json) -> str:
    """All of it in a few words, for a screen that has no room."""
    known = totals_of(body)
    counted = known.get("attempts")
    attempts = counted if isinstance(counted, Mapping) else {}
    return (
        f"{whole(known, 'projects')} projects  {whole(attempts, 'running')} running  "
        f"{whole(known, 'needs')} wait for you"
    )
