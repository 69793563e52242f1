"""The tabs of the newest attempt: its log, which follows its tail, and what it changed."""

from dataclasses import replace

from cortex_cli.board import doing
from cortex_cli.board.apply import Change
from cortex_cli.board.asks import DiffLoaded, LoadDiff, LoadLog, LogLoaded
from cortex_cli.board.messages import Effect
from cortex_cli.board.model import DIFF, LOG, Detail, Diff, Log, Model
from cortex_cli.board.moves import Step
from cortex_cli.board.work import LogEntry

KEPT_ENTRIES = 2000
DIFF_AFTER_S = 2.0  # a runner tells first that something changed, and then what


def follow(model: Model) -> Step:
    """See to it that the open tab is that of the newest attempt, and fetch what it lacks."""
    detail = model.detail
    attempt = doing.newest(model, detail.ticket) if detail else None
    if detail is None or attempt is None:
        return model, ()
    if detail.tab == LOG and (detail.log is None or detail.log.attempt != attempt.id):
        return _shown(model, replace(detail, log=Log(attempt.id))), (LoadLog(attempt.id, 0),)
    if detail.tab == DIFF and (detail.diff is None or detail.diff.attempt != attempt.id):
        return _shown(model, replace(detail, diff=Diff(attempt.id))), (LoadDiff(attempt.id),)
    return model, ()


def reload(detail: Detail) -> tuple[Detail, tuple[Effect, ...]]:
    """Fetch again what was fetched."""
    effects: tuple[Effect, ...] = ()
    if detail.log is not None:
        detail = replace(detail, log=detail.log.but(failed="", fetching=True))
        effects += (LoadLog(detail.log.attempt, 0),) if detail.log else ()
    if detail.diff is not None:
        detail = replace(detail, diff=detail.diff.but(failed="", due=0.0))
        effects += (LoadDiff(detail.diff.attempt),) if detail.diff else ()
    return detail, effects


def loaded(model: Model, answer: LogLoaded | DiffLoaded) -> Model:
    detail = model.detail
    if detail is None:
        return model
    log, diff = detail.log, detail.diff
    if isinstance(answer, LogLoaded):
        if log is None or log.attempt != answer.attempt:
            return model
        entries = _joined(log.entries, answer.entries)
        log = log.but(entries=entries, loaded=True, failed="", fetching=False)
        return _shown(model, replace(detail, log=log))
    if diff is None or diff.attempt != answer.attempt:
        return model
    diff = diff.but(
        text=answer.text, at=answer.at, truncated=answer.truncated, loaded=True, failed=""
    )
    return _shown(model, replace(detail, diff=diff))


def failed(model: Model, what: str, why: str) -> Model:
    """what: LOG or DIFF."""
    detail = model.detail
    if detail is not None and what == LOG and detail.log is not None:
        return _shown(model, replace(detail, log=detail.log.but(failed=why, fetching=False)))
    if detail is not None and what == DIFF and detail.diff is not None:
        return _shown(model, replace(detail, diff=detail.diff.but(failed=why)))
    return model


def changed(model: Model, change: Change) -> Step:
    """What an event of an attempt changes in its log and its diff."""
    detail = model.detail
    if detail is None:
        return model, ()
    attempt = change.payload.get("attempt") or change.payload.get("id")
    if change.type == "attempt.log" and detail.log is not None and detail.log.attempt == attempt:
        return _logged(model, detail, detail.log, LogEntry.read(change.payload))
    news = change.type in ("git.status", "git.commit", "attempt.status")
    if news and detail.diff is not None and detail.diff.attempt == attempt:
        diff = detail.diff.but(due=model.now + DIFF_AFTER_S)
        return _shown(model, replace(detail, diff=diff)), ()
    return model, ()


def _logged(model: Model, detail: Detail, log: Log, entry: LogEntry) -> Step:
    """Append an entry; where one is missing before it, what follows the last known is fetched."""
    last = log.entries[-1].number if log.entries else 0
    if not log.loaded or entry.number <= last:
        return model, ()
    if entry.number > last + 1:
        if log.fetching:
            return model, ()
        log = log.but(fetching=True)
        return _shown(model, replace(detail, log=log)), (LoadLog(log.attempt, last),)
    log = log.but(entries=(*log.entries, entry)[-KEPT_ENTRIES:])
    return _shown(model, replace(detail, log=log)), ()


def ticked(model: Model) -> Step:
    """Fetch a diff that is due; it is only looked at while its tab is open."""
    detail = model.detail
    diff = detail.diff if detail else None
    if detail is None or diff is None or detail.tab != DIFF or not 0 < diff.due <= model.now:
        return model, ()
    return _shown(model, replace(detail, diff=diff.but(due=0.0))), (LoadDiff(diff.attempt),)


def _joined(known: tuple[LogEntry, ...], new: tuple[LogEntry, ...]) -> tuple[LogEntry, ...]:
    """Both, without one twice; of what has a hole only what follows it."""
    found = {entry.number: entry for entry in (*known, *new)}
    joined: list[LogEntry] = []
    number = max(found, default=0)
    while number in found and len(joined) < KEPT_ENTRIES:
        joined.append(found[number])
        number -= 1
    return tuple(reversed(joined))


def _shown(model: Model, detail: Detail) -> Model:
    return replace(model, detail=detail)
