"""The tabs of an attempt: its log, which follows its end, and what it changed.

Of a long log a part is held, as large as memory allows. Older entries are fetched page by page
when the reader comes near to them, and what lies far from the reader is let go.
"""

from dataclasses import replace

from cortex_cli.board import document, doing, reader
from cortex_cli.board.apply import Change
from cortex_cli.board.asks import DiffLoaded, LoadDiff, LoadLog, LogLoaded
from cortex_cli.board.messages import Effect
from cortex_cli.board.model import DIFF, LOG, Detail, Diff, Log, Model
from cortex_cli.board.moves import Step
from cortex_cli.board.work import Attempt, LogEntry

KEPT_BYTES = 16_000_000
DIFF_AFTER_S = 2.0  # a runner tells first that something changed, and then what


def follow(model: Model) -> Step:
    """See to it that the open tab is that of the attempt that is shown; fetch what it lacks."""
    detail = model.detail
    attempt = doing.shown_attempt(model, detail) if detail else None
    if detail is None or attempt is None:
        return model, ()
    if detail.tab == LOG and (detail.log is None or detail.log.attempt != attempt.id):
        return _shown(model, replace(detail, log=Log(attempt.id))), (LoadLog(attempt.id, 0),)
    if detail.tab == DIFF and (detail.diff is None or detail.diff.attempt != attempt.id):
        return _shown(model, replace(detail, diff=Diff(attempt.id))), (LoadDiff(attempt.id),)
    return model, ()


# --- which attempt


def attempts(detail: Detail) -> list[Attempt]:
    """All that are known, the oldest first."""
    return sorted(detail.attempts.values(), key=lambda attempt: attempt.number)


def choose(model: Model, by: int) -> Step:
    """Show log and diff of another attempt; the newest is followed when there is a newer one."""
    detail = model.detail
    shown = doing.shown_attempt(model, detail) if detail else None
    if detail is None or shown is None:
        return model, ()
    found = attempts(detail)
    at = next((i for i, attempt in enumerate(found) if attempt.id == shown.id), 0) + by
    if not 0 <= at < len(found):
        return model, ()
    chosen = "" if at == len(found) - 1 else found[at].id
    detail = replace(
        detail,
        attempt=chosen,
        places={tab: place for tab, place in detail.places.items() if tab not in (LOG, DIFF)},
        paused={tab: mark for tab, mark in detail.paused.items() if tab != LOG},
        search=detail.search.but(hit=None, wrapped=False) if detail.search else None,
    )
    return follow(_shown(model, detail))


# --- answers


def reload(detail: Detail) -> tuple[Detail, tuple[Effect, ...]]:
    """Fetch again what may have changed: of a log what follows, for what was said stays said."""
    effects: tuple[Effect, ...] = ()
    log, diff = detail.log, detail.diff
    if log is not None:
        detail = replace(detail, log=log.but(failed="", fetching=True, older=False))
        effects += (LoadLog(log.attempt, log.entries.last, step=LOG in detail.paused),)
    if diff is not None:
        detail = replace(detail, diff=diff.but(failed="", due=0.0))
        effects += (LoadDiff(diff.attempt),)
    return detail, effects


def loaded(model: Model, answer: LogLoaded | DiffLoaded) -> Step:
    detail = model.detail
    if detail is None:
        return model, ()
    if isinstance(answer, LogLoaded):
        return _log_loaded(model, detail, answer)
    diff = detail.diff
    if diff is None or diff.attempt != answer.attempt:
        return model, ()
    diff = diff.but(
        text=answer.text, at=answer.at, truncated=answer.truncated, loaded=True, failed=""
    )
    return _shown(model, replace(detail, diff=diff)), ()


def _log_loaded(model: Model, detail: Detail, answer: LogLoaded) -> Step:
    log = detail.log
    if log is None or log.attempt != answer.attempt:
        return model, ()
    if answer.before:
        if answer.before != log.entries.first:  # of what was let go meanwhile
            return _shown(model, replace(detail, log=log.but(older=False))), ()
        log = log.but(entries=log.entries.joined(answer.entries), older=False, failed="")
        shown = reader.keep_place(model, _shown(model, replace(detail, log=log)), LOG)
        return more(_trimmed(shown))
    entries = log.entries.joined(answer.entries)
    log = log.but(entries=entries, loaded=True, failed="", fetching=False, cut=answer.more)
    log = log.but(end=max(log.end, entries.last))
    model, effects = _behind(_shown(model, replace(detail, log=log)), log)
    model, others = more(_trimmed(model))
    return model, effects + others


def _behind(model: Model, log: Log) -> Step:
    """Fetch what was told of while an answer travelled that does not hold it."""
    if log.cut or log.fetching or log.end <= log.entries.last or model.detail is None:
        return model, ()
    model = _shown(model, replace(model.detail, log=log.but(fetching=True)))
    return model, (LoadLog(log.attempt, log.entries.last, step=_paused(model)),)


def failed(model: Model, what: str, why: str) -> Model:
    """what: LOG or DIFF."""
    detail = model.detail
    if detail is not None and what == LOG and detail.log is not None:
        log = detail.log.but(failed=why, fetching=False, older=False)
        return _shown(model, replace(detail, log=log))
    if detail is not None and what == DIFF and detail.diff is not None:
        return _shown(model, replace(detail, diff=detail.diff.but(failed=why)))
    return model


# --- events


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
    last, end = log.entries.last, max(log.end, entry.number)
    if log.loaded and not log.cut and entry.number == last + 1:
        pages = len(log.entries.pages)
        log = log.but(entries=log.entries.append(entry), end=end)
        model = _shown(model, replace(detail, log=log))
        return (model if len(log.entries.pages) == pages else _trimmed(model)), ()
    log = log.but(end=end)
    model = _shown(model, replace(detail, log=log))
    return _behind(model, log) if log.loaded else (model, ())


def ticked(model: Model) -> Step:
    """Fetch a diff that is due; it is only looked at while its tab is open."""
    detail = model.detail
    diff = detail.diff if detail else None
    if detail is None or diff is None or detail.tab != DIFF or not 0 < diff.due <= model.now:
        return model, ()
    return _shown(model, replace(detail, diff=diff.but(due=0.0))), (LoadDiff(diff.attempt),)


# --- what is held of a long log


def more(model: Model) -> Step:
    """Fetch the page before when the reader is near to it, or searches; the one after as well."""
    detail = model.detail
    log = detail.log if detail else None
    if detail is None or log is None or detail.tab != LOG or not log.loaded or log.failed:
        return model, ()
    effects: tuple[Effect, ...] = ()
    at = document.look(model, detail)
    if log.entries.first > 1 and not log.older and _wants_older(detail, log, at):
        log = log.but(older=True)
        effects += (LoadLog(log.attempt, 0, before=log.entries.first),)
    if log.cut and not log.fetching and at.top >= at.bottom:
        log = log.but(fetching=True)
        effects += (LoadLog(log.attempt, log.entries.last, step=True),)
    return _shown(model, replace(detail, log=log)) if effects else model, effects


def _wants_older(detail: Detail, log: Log, at: document.Look) -> bool:
    searches = detail.search and detail.search.text and not detail.search.typing
    if searches and log.entries.size < KEPT_BYTES * 0.9:
        return True
    return not at.follows and at.sheet.between((0, 0), at.top, at.rows) < at.rows


def to_end(model: Model) -> Step:
    """Fetch the end of the log where it was let go."""
    detail = model.detail
    if detail is None or detail.log is None or detail.tab != LOG or not detail.log.cut:
        return model, ()
    log = Log(detail.log.attempt, end=detail.log.end)
    return _shown(model, replace(detail, log=log)), (LoadLog(log.attempt, 0),)


def _trimmed(model: Model) -> Model:
    """Let go of entries beyond what memory allows: those that are farther from the reader."""
    detail = model.detail
    if detail is None or detail.log is None:
        return model
    log = detail.log
    entries, size, cut = log.entries, log.entries.size, log.cut
    key, _ = detail.places.get(LOG, (None, 0))
    while size > KEPT_BYTES and len(entries.pages) > 1:
        near_end = not _paused(model) or (
            isinstance(key, int) and key - entries.first > entries.last - key
        )
        size -= entries.all_pages[0 if near_end else -1].size
        entries = entries.without(first=near_end)
        cut = cut or not near_end
    if entries is log.entries:
        return model
    log = log.but(entries=entries, cut=cut)
    return _shown(model, replace(detail, log=log))


def _paused(model: Model) -> bool:
    return model.detail is not None and LOG in model.detail.paused


def _shown(model: Model, detail: Detail) -> Model:
    return replace(model, detail=detail)
