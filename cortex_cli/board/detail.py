"""The open ticket: opening it, what events change in it, its tabs and its scrolling.

Its logged events come by the board's own stream, which misses none. Only the text that agents are
writing right now comes by a second stream, of this ticket alone and while it is open
(FollowDeltas): so a board with forty busy agents costs its reader nothing. The two streams need no
order between them, because a delta says where it belongs.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from cortex_cli.board import document, logs, reader, threads
from cortex_cli.board.apply import Change
from cortex_cli.board.messages import (
    DetailLoaded,
    Effect,
    FollowDeltas,
    Grown,
    LoadDetail,
    LoadFailed,
    LoadMessage,
    LoadThread,
    MessageLoaded,
    ThreadLoaded,
)
from cortex_cli.board.model import DIFF, LOG, Detail, Model, Thread
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.reading import BadObject
from cortex_cli.board.wire import Comment, Message, Review, Session, Ticket
from cortex_cli.board.work import PARTS, Attempt, Instance

ALL_READ = 1_000_000_000  # comments: none is new while they are on their way

T = TypeVar("T", Comment, Review, Session, Attempt, Instance)


def open_ticket(model: Model, ticket: Ticket) -> Step:
    """Show a ticket with what the board knows of it, and ask for the rest."""
    board = model.board
    detail = Detail(
        ticket,
        sessions={s.id: s for s in board.sessions.values() if s.ticket == ticket.key}
        if board
        else {},
        reviews={r.id: r for r in board.reviews.values() if r.ticket == ticket.key}
        if board
        else {},
        attempts={a.id: a for a in board.attempts_of.get(ticket.key, ())} if board else {},
        paused={"": (ALL_READ, 0), DIFF: (0, 0)},
    )
    effects: tuple[Effect, ...] = (
        LoadDetail(ticket.key),
        FollowDeltas(model.project_of(ticket), ticket.key),
    )
    return replace(model, detail=detail), effects


def close(model: Model) -> Step:
    return replace(model, detail=None), (FollowDeltas("", ""),)


def reload(model: Model) -> Step:
    """Fetch again what is open: after something may have been missed, or failed."""
    detail = model.detail
    if detail is None:
        return model, ()
    effects: tuple[Effect, ...] = (LoadDetail(detail.ticket.key),)
    effects += tuple(
        LoadThread(session, after=thread.messages[0].number - 1 if thread.messages else None)
        for session, thread in detail.threads.items()
    )
    unfailed = {id: replace(t, failed="", older=False) for id, t in detail.threads.items()}
    detail = replace(detail, failed="", threads=unfailed, fresh=frozenset(), gone=frozenset())
    detail, more = logs.reload(detail)
    return replace(model, detail=detail), effects + more


# --- answers


def loaded(model: Model, answer: DetailLoaded) -> Step:
    detail = model.detail
    if detail is None or detail.ticket.id != answer.ticket.id:
        return model, ()
    newer = answer.ticket if answer.ticket.revision >= detail.ticket.revision else detail.ticket
    first = not detail.loaded
    detail = replace(
        detail,
        ticket=newer,
        loaded=True,
        failed="",
        comments=_fetched(detail, detail.comments, answer.comments),
        reviews=_fetched(detail, detail.reviews, answer.reviews),
        sessions=_fetched(detail, detail.sessions, answer.sessions),
        attempts=_fetched(detail, detail.attempts, answer.attempts),
        instances=_fetched(detail, detail.instances, answer.instances),
    )
    if first and "" in detail.paused:
        detail = replace(detail, paused={**detail.paused, "": (len(detail.comments), 0)})
    return logs.follow(replace(model, detail=detail))


def _fetched(detail: Detail, held: Mapping[str, T], items: tuple[T, ...]) -> dict[str, T]:
    """What was fetched, and what events brought or took while the answer travelled."""
    fetched = {item.id: item for item in items if item.id not in detail.gone}
    for item in held.values():
        known = fetched.get(item.id)
        if (known is None and item.id in detail.fresh) or (
            known is not None and known.revision < item.revision
        ):
            fetched[item.id] = item
    return fetched


def _with(held: Mapping[str, T], item: T) -> Mapping[str, T]:
    known = held.get(item.id)
    return held if known is not None and known.revision > item.revision else {**held, item.id: item}


def failed(model: Model, answer: LoadFailed) -> Step:
    detail = model.detail
    if detail is None:
        return model, ()
    if answer.what == detail.ticket.key:
        return replace(model, detail=replace(detail, failed=answer.why)), ()
    if answer.what in (LOG, DIFF):
        return logs.failed(model, answer.what, answer.why), ()
    if answer.what in detail.threads:
        thread = detail.threads[answer.what]
        if answer.message:
            return _with_thread(model, answer.what, threads.give_up(thread, answer.message)), ()
        thread = replace(thread, failed=answer.why, older=False)
        return _with_thread(model, answer.what, thread), ()
    return model, ()


def thread_loaded(model: Model, answer: ThreadLoaded) -> Step:
    if model.detail is None or answer.session not in model.detail.threads:
        return model, ()
    known = model.detail.threads[answer.session]
    if answer.before and (not known.messages or known.messages[0].number != answer.before):
        return _with_thread(model, answer.session, replace(known, older=False)), ()
    after = _with_thread(model, answer.session, threads.load(known, answer.messages))
    return more(reader.keep_place(model, after, answer.session))


def message_loaded(model: Model, answer: MessageLoaded) -> Step:
    return _put_message(model, answer.message), ()


# --- events


def changed(model: Model, change: Change) -> Step:
    """What one logged event changes in the open ticket; events of other tickets change nothing."""
    detail = model.detail
    if detail is None:
        return model, ()
    try:
        return _changed(model, detail, change)
    except BadObject:
        return reload(model)


def _changed(model: Model, detail: Detail, change: Change) -> Step:
    noun, _, verb = change.type.partition(".")
    if noun == "ticket" and change.payload.get("id") == detail.ticket.id:
        return _ticket_changed(model, detail, change, verb)
    if detail.ticket.key not in (change.ticket, change.payload.get("ticket")):
        return model, ()
    if noun in ("attempt", "git", "opencode"):
        return _work_changed(model, detail, change)
    if noun == "comment" and verb == "deleted":
        gone = str(change.payload.get("id"))
        comments = {id: comment for id, comment in detail.comments.items() if id != gone}
        return replace(
            model, detail=replace(detail, comments=comments, gone=detail.gone | {gone})
        ), ()
    if noun == "comment":
        return _put_comment(model, detail, Comment.read(change.payload)), ()
    if noun == "review":
        review = Review.read(change.payload)
        detail = replace(
            detail, reviews=_with(detail.reviews, review), fresh=detail.fresh | {review.id}
        )
    elif noun == "session":
        session = Session.read(change.payload)
        new = frozenset() if session.id in detail.sessions else frozenset({session.id})
        detail = replace(
            detail,
            sessions=_with(detail.sessions, session),
            fresh=detail.fresh | {session.id},
            unseen=detail.unseen | new,
        )
    elif noun == "message":
        return _put_message(model, Message.read(change.payload)), ()
    return replace(model, detail=detail), ()


def _work_changed(model: Model, detail: Detail, change: Change) -> Step:
    """What an event tells of an attempt, or of its agent's server."""
    payload = change.payload
    if change.type == "opencode.status":
        instance = Instance.read(payload)
        held, fresh = _with(detail.instances, instance), detail.fresh | {instance.id}
        return replace(model, detail=replace(detail, instances=held, fresh=fresh)), ()
    attempt = detail.attempts.get(str(payload.get("attempt")))
    if change.type in ("attempt.started", "attempt.status"):
        attempt = Attempt.read(payload)
    elif change.type in PARTS and attempt is not None:
        attempt = attempt.with_part(change.type, payload)
    if attempt is not None:
        attempts = _with(detail.attempts, attempt)
        detail = replace(detail, attempts=attempts, fresh=detail.fresh | {attempt.id})
    model, effects = logs.changed(replace(model, detail=detail), change)
    model, more = logs.follow(model)
    return model, effects + more


def commented(model: Model, comment: Comment) -> Step:
    """Our own comment was stored: show it, and say so; it is often below what is on the screen."""
    model = toast(model, f"Commented on {comment.ticket}")
    if model.detail is None or model.detail.ticket.key != comment.ticket:
        return model, ()
    return _put_comment(model, model.detail, comment), ()


def _put_comment(model: Model, detail: Detail, comment: Comment) -> Model:
    if comment.id in detail.gone:
        return model
    comments = _with(detail.comments, comment)
    return replace(
        model, detail=replace(detail, comments=comments, fresh=detail.fresh | {comment.id})
    )


def _ticket_changed(model: Model, detail: Detail, change: Change, verb: str) -> Step:
    if verb == "deleted":
        by = f" by {change.actor}" if change.actor else ""
        return close(toast(model, f"{detail.ticket.key} was deleted{by}", bad=True))
    ticket = Ticket.read(change.payload)
    if ticket.revision < detail.ticket.revision:
        return model, ()
    return replace(model, detail=replace(detail, ticket=ticket)), ()


def _put_message(model: Model, message: Message) -> Model:
    """Put a message into its thread; one that nobody looked at yet is fetched when it is."""
    if model.detail is None or message.session not in model.detail.threads:
        return model
    thread = threads.put(model.detail.threads[message.session], message)
    if message.session not in model.detail.paused:
        thread = threads.trimmed(thread)
    return _with_thread(model, message.session, thread)


def grown(model: Model, delta: Grown) -> Step:
    """Append what an agent just wrote; a hole fetches the message."""
    detail = model.detail
    if (
        detail is None
        or delta.session not in detail.threads
        or not detail.threads[delta.session].loaded
    ):
        return model, ()
    thread, hole = threads.grow(detail.threads[delta.session], delta)
    effects: tuple[Effect, ...] = (LoadMessage(delta.session, delta.message),) if hole else ()
    return _with_thread(model, delta.session, thread), effects


def _with_thread(model: Model, session: str, thread: Thread) -> Model:
    assert model.detail is not None
    return replace(
        model, detail=replace(model.detail, threads={**model.detail.threads, session: thread})
    )


# --- tabs and scrolling


def step_tab(model: Model, by: int) -> Step:
    """Go to the next tab, around the end; its messages are fetched the first time."""
    detail = model.detail
    if detail is None:
        return model, ()
    names = document.tabs(detail)
    at = names.index(detail.tab) if detail.tab in names else 0
    tab = names[(at + by) % len(names)]
    search = detail.search.but(hit=None, wrapped=False, origin=None) if detail.search else None
    detail = replace(detail, tab=tab, unseen=detail.unseen - {tab}, search=search)
    if tab not in detail.sessions or tab in detail.threads:
        model, effects = logs.follow(replace(model, detail=detail))
        model, others = more(model)
        return model, effects + others
    detail = replace(detail, threads={**detail.threads, tab: Thread()})
    return replace(model, detail=detail), (LoadThread(tab),)


def scroll(model: Model, by: int) -> Step:
    """Scroll by lines; near the beginning of what is here the page before it is fetched."""
    return more(reader.scroll(model, by))


def scroll_to(model: Model, end: bool) -> Step:
    """To the end, and follow it; or to the beginning of what is here."""
    if not end:
        return more(reader.first(model))
    return logs.to_end(reader.last(model))


def part(model: Model, by: int) -> Step:
    """To the next or previous file of a diff, message of a conversation."""
    return more(reader.part(model, by))


def more(model: Model) -> Step:
    """Fetch the page before what is here of the open tab, when the reader needs it."""
    detail = model.detail
    thread = detail.threads.get(detail.tab) if detail else None
    if detail is None or thread is None:
        return logs.more(model)
    if not thread.loaded or thread.older or thread.failed or not thread.messages:
        return model, ()
    number = thread.messages[0].number
    at = document.look(model, detail)
    near = not at.follows and at.sheet.between((0, 0), at.top, at.rows) < at.rows
    searches = bool(detail.search and detail.search.text and not detail.search.typing)
    if number <= 1 or not (near or searches):
        return model, ()
    return _with_thread(model, detail.tab, replace(thread, older=True)), (
        LoadThread(detail.tab, before=number),
    )


def has_running_tool(detail: Detail) -> bool:
    """Whether the open tab ends in a tool that runs, with how long it does."""
    thread = detail.threads.get(detail.tab)
    return thread is not None and any(map(threads.running, thread.messages[-1:]))


def leave(model: Model) -> Step:
    """One level back: out of the search first."""
    if model.detail and model.detail.search:
        from cortex_cli.board import search

        return search.clear(model), ()
    if model.pane is not None:
        from cortex_cli.board import screens

        return screens.close(model)
    return close(model)


def page(model: Model) -> int:
    """Lines that a page holds."""
    return reader.page(model)
