"""Attempts as lines: in the open ticket, their log and what they changed."""

from collections.abc import Iterator, Sequence
from functools import partial

from cortex_cli.board import diffs, doing
from cortex_cli.board import text as texts
from cortex_cli.board.blocks import Block
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
)
from cortex_cli.board.entries import Entries
from cortex_cli.board.lines import EMPTY, field, heading, indented
from cortex_cli.board.model import Detail, Model
from cortex_cli.board.sheets import Chunk, Key, Sheet
from cortex_cli.board.wire import Ticket
from cortex_cli.board.work import Attempt, Instance, Permission, Todo

TODOS = {
    "completed": ("✓", DIM),
    "in_progress": ("▸", GOOD),
    "cancelled": ("-", DIM),
}
PULL_REQUESTS = {"open": WARN, "merged": GOOD, "closed": DIM}
CUT = "… and more, which is not shown: the diff was cut"


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
    title, _, rest = asked.about.partition("\n")
    yield from indented(title, cells, STRONG)
    if rest.strip():
        yield from indented(rest, cells)
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
    yield from field("waits", (Span(_queue(model, attempt)),), cells)
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


def _queue(model: Model, attempt: Attempt) -> str:
    """What one in the queue waits for; how many may be at work only the server knows."""
    if attempt.status != "queued" or model.board is None:
        return ""
    project = attempt.ticket.rpartition("-")[0]
    busy = sum(
        other.active and other.status != "queued" and other.ticket.rpartition("-")[0] == project
        for other in model.board.attempts.values()
    )
    return (
        f"for a free place and a runner with {attempt.agent}; "
        f"{busy} at work in {project} (setting attempts_parallel)"
    )


def _git(attempt: Attempt) -> str:
    git = attempt.git
    if git is None:
        return ""
    files = f"{git.changed} file{'' if git.changed == 1 else 's'} not committed"
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


def log(model: Model, detail: Detail, cells: int) -> Sheet:
    """The log of the attempt that is shown, as far as it is here."""
    shown = detail.log
    head = partial(Block.of_lines, _log_head(model, detail))
    return Sheet([("+head", head)], LogLines(shown.entries, cells) if shown else None)


def _log_head(model: Model, detail: Detail) -> Iterator[Line]:
    shown, attempt = detail.log, doing.shown_attempt(model, detail)
    if attempt is not None:
        yield _attempt_head(model, attempt)
    if shown is None:
        return
    if shown.failed:
        yield from (EMPTY, (Span(f"✗ {shown.failed}  r tries again.", BAD),))
    elif not shown.loaded:
        yield from (EMPTY, (Span("… the log is on its way", DIM),))
    elif not len(shown.entries):
        yield from (EMPTY, (Span("Nothing was logged yet.", DIM),))
    elif shown.entries.first > 1:
        before = f"… older entries: {'loading' if shown.older else shown.entries.first - 1}"
        yield (Span(before, DIM),)
    else:
        yield (Span("beginning of the log", DIM),)


def _attempt_head(model: Model, attempt: Attempt) -> Line:
    agent = f"  #{attempt.number}  {attempt.agent}"
    reason = f"  {attempt.reason}" if attempt.reason else ""
    return (doing.attempt_state(model, attempt), Span(agent, DIM), Span(reason, INFO))


class LogLines:
    """The entries of a log as the many blocks of a sheet, by their numbers."""

    def __init__(self, entries: Entries, cells: int) -> None:
        self._entries, self._cells = entries, cells

    def __len__(self) -> int:
        return len(self._entries)

    def key(self, index: int) -> Key:
        return self._entries.first + index

    def find(self, key: Key) -> int | None:
        if not isinstance(key, int) or not len(self):
            return None
        return min(max(0, key - self._entries.first), len(self) - 1)

    def block(self, index: int) -> Block:
        page, at = self._entries.at(index)
        return page.block(at, self._cells)

    def chunks(self, first: int) -> Sequence[Chunk]:
        first -= self._entries.first
        return [Chunk(page, first + page.first, page.starts) for page in self._entries.all_pages]

    def heads(self) -> Sequence[int]:
        return ()

    def heads_before(self) -> int:
        return 0


def diff(model: Model, detail: Detail, cells: int) -> Sheet:
    """What the attempt that is shown changed: the files, then their lines."""
    shown = detail.diff
    if shown is None or not shown.loaded or shown.failed:
        return Sheet([("+head", partial(Block.of_lines, _diff_head(model, detail, cells)))])
    found = diffs.parsed(shown.text)
    cut = [EMPTY, (Span(CUT, WARN),)]
    tail = [("+end", partial(Block.of_lines, cut))] if shown.truncated else []
    head = partial(Block.of_lines, _diff_head(model, detail, cells))
    return Sheet([("+head", head)], diffs.Lines(found, cells), tail, "file")


def _diff_head(model: Model, detail: Detail, cells: int) -> Iterator[Line]:
    shown, attempt = detail.diff, doing.shown_attempt(model, detail)
    if attempt is not None:
        yield _attempt_head(model, attempt)
    if shown is None:
        return
    if shown.failed:
        yield from (EMPTY, (Span(f"✗ {shown.failed}  r tries again.", BAD),))
    elif not shown.loaded:
        yield from (EMPTY, (Span("… the diff is on its way", DIM),))
    elif not shown.text.strip():
        yield from (EMPTY, (Span("Nothing has changed.", DIM),))
    else:
        yield from _files(diffs.parsed(shown.text), shown.truncated, cells)


def _files(found: diffs.Diff, truncated: bool, cells: int) -> Iterator[Line]:
    """The files with how many lines each gained and lost."""
    files = found.files
    added, removed = sum(file.added for file in files), sum(file.removed for file in files)
    count = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    cut = (Span("  cut: there is more", WARN),) if truncated else ()
    yield EMPTY
    yield (Span(count, STRONG), Span(f"  +{added}", GOOD), Span(f" -{removed}", BAD), *cut)
    digits = max((len(str(max(f.added, f.removed))) for f in files), default=1) + 1
    for file in files:
        note = texts.clip(texts.clean(file.note), max(8, cells // 3))
        room = max(8, cells - 2 * digits - 5 - (texts.width(note) + 2 if note else 0))
        yield (
            Span(f"  {'+' + str(file.added):>{digits}}", GOOD if file.added else DIM),
            Span(f" {'-' + str(file.removed):>{digits}}", BAD if file.removed else DIM),
            Span(f"  {texts.clip(file.name, room)}"),
            Span(f"  {note}" if note else "", WARN),
        )
