"""Attempts as lines: in the open ticket, their log and what they changed."""

from collections.abc import Iterator
from functools import lru_cache

from cortex_cli.board import doing
from cortex_cli.board import text as texts
from cortex_cli.board.canvas import (
    BAD,
    DIM,
    GOOD,
    INFO,
    PLAIN,
    STRONG,
    WARN,
    Line,
    Span,
    line_width,
)
from cortex_cli.board.lines import EMPTY, field, heading, indented
from cortex_cli.board.model import Detail, Model
from cortex_cli.board.wire import Ticket
from cortex_cli.board.work import Attempt, Instance, LogEntry, Permission, Todo

TODOS = {
    "completed": ("✓", DIM),
    "in_progress": ("▸", GOOD),
    "cancelled": ("-", DIM),
}
PULL_REQUESTS = {"open": WARN, "merged": GOOD, "closed": DIM}
LOG_ROLES = {"tool": INFO, "error": BAD, "system": WARN}


# --- questions


def questions(model: Model, ticket: Ticket, cells: int, session: str = "") -> Iterator[Line]:
    """What agents ask on a ticket, the whole of it; only of one session when it is named."""
    found = [
        asked
        for asked in doing.open_questions(model, ticket)
        if not session or asked.session == session
    ]
    if not found:
        return
    yield from heading(f"Waiting for your answer {len(found)}", cells)
    for asked in found:
        yield from _question(model, asked, cells)


def _question(model: Model, asked: Permission, cells: int) -> Iterator[Line]:
    age = doing.age_of(model, doing.seconds(asked.created_at))
    yield (
        Span(f"◆ {asked.kind}", WARN),
        Span(f"  {doing.who_asks(model, asked)} asks, {age}", DIM),
    )
    yield from indented(asked.title, cells, STRONG)
    if asked.detail.strip():
        yield from indented(asked.detail, cells)
    offered = [option.label for option in asked.options]
    offered += ["your own words"] if asked.free_text else []
    yield from indented(f"a answers: {' · '.join(offered)}", cells, DIM)


# --- attempts


def attempts(model: Model, detail: Detail, cells: int) -> Iterator[Line]:
    """The newest one in full, the others in a line each."""
    found = sorted(detail.attempts.values(), key=lambda attempt: -attempt.number)
    if not found:
        return
    yield from heading(f"Attempts {len(found)}", cells)
    yield from _attempt(model, detail, found[0], cells)
    for attempt in found[1:]:
        at = doing.age_of(model, doing.sign_of_life(model, attempt))
        reason = f"  {attempt.reason}" if attempt.reason else ""
        state = doing.attempt_state(model, attempt)
        yield (state, Span(f"  #{attempt.number}  {attempt.agent}  {at}{reason}", DIM))


def _attempt(model: Model, detail: Detail, attempt: Attempt, cells: int) -> Iterator[Line]:
    stage = attempt.stage.replace("_", " ") if attempt.active else ""
    if doing.waits_for_prompt(model, attempt):
        stage = f"{doing.YOUR_TURN}: i"
    profile = f" ({attempt.profile})" if attempt.profile else ""
    runner = f"  on {attempt.runner}" if attempt.runner else ""
    age = doing.age_of(model, doing.sign_of_life(model, attempt))
    yield (
        doing.attempt_state(model, attempt),
        Span(f" {stage}" if stage else "", INFO),
        Span(f"  #{attempt.number}  {attempt.agent}{profile}{runner}  {age}", DIM),
    )
    yield from field("reason", (Span(attempt.reason, BAD if not attempt.active else WARN),), cells)
    yield from field("progress", (Span(attempt.progress, INFO),), cells)
    yield from field("branch", (Span(attempt.branch, INFO),), cells)
    yield from field("git", (Span(_git(attempt)),), cells)
    yield from _pull_request(attempt, cells)
    for instance in detail.instances.values():
        if instance.attempt == attempt.id:
            yield from _instance(instance, cells)
    batch = model.board.batches.get(attempt.batch) if model.board else None
    yield from field("batch", (Span((batch.name or batch.id) if batch else attempt.batch),), cells)
    yield from field("worktree", (Span(attempt.worktree, DIM),), cells)
    for number, todo in enumerate(attempt.todos):
        yield from _todo(todo, "todos" if number == 0 else "", cells)


def _git(attempt: Attempt) -> str:
    git = attempt.git
    if git is None:
        return ""
    files = f"{git.changed} file{'' if git.changed == 1 else 's'} changed"
    commits = f"{git.ahead} commit{'' if git.ahead == 1 else 's'} ahead"
    return f"{files}, {commits}" + (f", {git.behind} behind" if git.behind else "")


def _pull_request(attempt: Attempt, cells: int) -> Iterator[Line]:
    pr = attempt.pr
    if pr is None:
        yield from field("compare", (Span(attempt.compare_url, INFO),), cells)
        return
    number = f" #{pr.number}" if pr.number else ""
    state = Span(f"{pr.state}{number}  ", PULL_REQUESTS.get(pr.state, PLAIN))
    yield from field("PR", (state, Span(pr.url, INFO)), cells)


def _instance(instance: Instance, cells: int) -> Iterator[Line]:
    state = doing.instance_state(instance.status)
    link = f"  {instance.link}" if instance.link else ""
    yield from field("server", (state, Span(link, DIM), Span(f"  {instance.url}", INFO)), cells)
    yield from field("", (Span(instance.error, BAD),), cells)


def _todo(todo: Todo, name: str, cells: int) -> Iterator[Line]:
    glyph, role = TODOS.get(todo.status, ("○", PLAIN))
    for number, line in enumerate(texts.wrap(todo.text, max(1, cells - 14))):
        head = Span(texts.pad(name if number == 0 else "", 12), DIM)
        yield (head, Span(f"{glyph} " if number == 0 else "  ", role), Span(line, role))


# --- log and diff


def log(model: Model, detail: Detail, cells: int) -> Iterator[Line]:
    """The log of the newest attempt, from the first entry that is kept."""
    shown, attempt = detail.log, doing.newest(model, detail.ticket)
    if attempt is not None:
        yield from _attempt_head(model, attempt)
    if shown is None:
        return
    if shown.failed:
        yield from (EMPTY, (Span(f"✗ {shown.failed}  r tries again.", BAD),))
    elif not shown.loaded:
        yield from (EMPTY, (Span("… the log is on its way", DIM),))
    elif not shown.entries:
        yield from (EMPTY, (Span("Nothing was logged yet.", DIM),))
    if shown.entries and shown.entries[0].number > 1:
        before = shown.entries[0].number - 1
        yield (Span(f"… {before} before; `cortex attempt log` has them all", DIM),)
    for entry in shown.entries:
        yield from entry_lines(entry, cells)


def _attempt_head(model: Model, attempt: Attempt) -> Iterator[Line]:
    agent = f"  #{attempt.number}  {attempt.agent}"
    reason = f"  {attempt.reason}" if attempt.reason else ""
    yield (doing.attempt_state(model, attempt), Span(agent, DIM), Span(reason, INFO))


@lru_cache(maxsize=4096)
def entry_lines(entry: LogEntry, cells: int) -> tuple[Line, ...]:
    """An entry, wrapped. Cached, for all of a long log is counted at each frame."""
    role = LOG_ROLES.get(entry.kind, PLAIN)
    tool = (Span(f"▸ {texts.clean(entry.tool)} ", INFO),) if entry.tool else ()
    room = max(1, cells - line_width(tool))
    wrapped = texts.wrap(entry.text.rstrip("\n"), room)
    pad = (Span(" " * line_width(tool)),) if tool else ()
    return tuple(
        (*(tool if number == 0 else pad), Span(line, role)) for number, line in enumerate(wrapped)
    )


def diff(model: Model, detail: Detail, cells: int) -> Iterator[Line]:
    """What the newest attempt changed, file by file."""
    shown, attempt = detail.diff, doing.newest(model, detail.ticket)
    if attempt is not None:
        yield from _attempt_head(model, attempt)
    if shown is None:
        return
    if shown.failed:
        yield from (EMPTY, (Span(f"✗ {shown.failed}  r tries again.", BAD),))
        return
    if not shown.loaded:
        yield from (EMPTY, (Span("… the diff is on its way", DIM),))
        return
    if not shown.text.strip():
        yield from (EMPTY, (Span("Nothing has changed.", DIM),))
    yield from diff_lines(shown.text, cells)
    if shown.truncated:
        yield from (EMPTY, (Span("… and more, which is not shown", WARN),))


@lru_cache(maxsize=4)
def diff_lines(text: str, cells: int) -> tuple[Line, ...]:
    """A diff: a heading for each file, then its hunks."""
    lines: list[Line] = []
    in_head = False
    for source in text.rstrip("\n").split("\n"):
        if source.startswith("diff --git "):
            in_head = True
            lines += heading(_file(source), cells)
            continue
        in_head = in_head and not source.startswith("@@")
        if in_head and source.startswith(("index ", "--- ", "+++ ")):
            continue  # the heading names the file
        role = DIM if in_head else {"+": GOOD, "-": BAD, "@": INFO}.get(source[:1], PLAIN)
        lines += [(Span(line, role),) for line in texts.wrap(source, cells)]
    return tuple(lines)


def _file(source: str) -> str:
    """The name of a file from the line that begins its part: `diff --git a/x b/x`."""
    names = source.removeprefix("diff --git ")
    before, between, after = names.partition(" b/")
    return after if between else before
