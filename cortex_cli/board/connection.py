"""The stream as the board sees it: live or not, complete or not, and what each frame changes.

Nothing is silently stale: every state but `live` is said in words, and a hole in the sequence
holds back what follows it until the board was fetched again.
"""

from dataclasses import replace

from cortex_cli.board import detail, journal, keeping, moves, polling
from cortex_cli.board import text as texts
from cortex_cli.board.apply import Change, apply
from cortex_cli.board.messages import (
    Beat,
    BoardFailed,
    Changed,
    Connected,
    Ended,
    Follow,
    LoadBoard,
    Lost,
    Retry,
    Snapshot,
    Stale,
    StreamMessage,
)
from cortex_cli.board.model import Connection, Model
from cortex_cli.board.moves import Step
from cortex_cli.board.overviews import Overview
from cortex_cli.board.reading import BadObject
from cortex_cli.board.wire import Board

END_REASONS = {
    "revoked": "This token was revoked. Get a new one, then start the board again.",
    "expired": "This token has expired. Get a new one, then start the board again.",
    "project_deleted": "This project was deleted. p goes to another one.",
}
MOST_HEARD = 500  # beyond it those that have left the board are forgotten
HELD_EVENTS = 10_000  # while the board is fetched; beyond it everything starts anew


def update(model: Model, message: StreamMessage) -> Step:
    """One message of the stream; those of a stream that was left change nothing."""
    if message.stream != model.stream:
        return model, ()
    model = replace(model, journal=journal.heard(model.journal, message, model.now))
    return keeping.due(*_update(model, message))


def _update(model: Model, message: StreamMessage) -> Step:
    of_boards = Connected | Snapshot | Changed | Beat | BoardFailed
    if model.everything and isinstance(message, of_boards):
        from cortex_cli.board import everything  # one board can do without

        return everything.update(heard(model, message), message)
    match message:
        case Lost():
            return _lost(model, message)
        case Ended():
            return _ended(model, message)
        case BoardFailed():
            return _fetch_failed(model, message)
        case Connected():
            model = heard(model, message)
            # What was asked for before it was lost may have failed, and what is held would wait on.
            waits = message.resumed and model.held is not None
            return model, (LoadBoard(model.project, model.stream),) if waits else ()
        case Stale():
            return replace(model, connection=replace(model.connection, phase="connecting")), ()
        case Snapshot():
            return _snapshot(model, message)
        case Changed():
            return changed(heard(model, message), message.change)
        case Beat():
            return _beat(heard(model, message), message)
        case Overview():
            return model, ()  # the dashboard's: see there


def heard(model: Model, message: StreamMessage) -> Model:
    """What a frame says of the connection, whatever else is in it; an answer says nothing."""
    match message:
        case Connected():
            if model.cached and model.board and model.board.epoch != message.epoch:
                model = replace(model, board=None, cached=False)  # another server, or restored
            link = replace(model.connection, phase="connecting", why="")
            model = replace(model, limited=message.limited, connection=link)
            if message.resumed and model.board and not model.cached and not link.stalls:
                return _heard(model, replace(link, phase="live"))
            return model  # what is shown may have changed meanwhile
        case Snapshot(fetched=False):
            return _live(replace(model, cached=False))
        case Changed() | Beat():
            return _live(model)
    return model


def _heard(model: Model, connection: Connection) -> Model:
    """What is shown is true as of now, unless it is of the last time or something is missing."""
    old = model.cached or model.held is not None
    as_of = model.connection.as_of if old else model.now
    return replace(model, connection=replace(connection, as_of=as_of))


def _live(model: Model) -> Model:
    if model.board is None or model.cached:
        return _heard(model, model.connection)
    return _heard(model, Connection("live"))


def _lost(model: Model, lost: Lost) -> Step:
    why = texts.clean(lost.why)
    link = model.connection
    if lost.retry_in is None:
        why = link.why if link.phase == "over" and link.why else why
        gone = model.gone or ("" if model.board else why)
        model = replace(model, gone=gone, connection=replace(link, phase="over", why=why))
        return keeping.taken_away(model, why) if lost.refused else (model, ())
    retry_at = model.now + lost.retry_in
    stalls = polling.stalls(link, lost)
    link = replace(
        link, phase="lost", attempt=lost.attempt, retry_at=retry_at, why=why, stalls=stalls
    )
    return polling.lost(replace(model, connection=link), lost)


def _ended(model: Model, ended: Ended) -> Step:
    if ended.reconnect:
        return _heard(model, replace(model.connection, phase="connecting")), ()
    why = END_REASONS.get(
        ended.reason, f"The server ended the stream: {texts.clean(ended.reason)}."
    )
    model = _heard(model, replace(model.connection, phase="over", why=why))
    model = moves.toast(model, why, bad=True)
    if ended.reason == "project_deleted":
        return _project_deleted(model, why)
    return keeping.taken_away(model, why) if ended.reason in END_REASONS else (model, ())


def _project_deleted(model: Model, why: str) -> Step:
    """With its board the open ticket goes, too."""
    model, effects = detail.close(model) if model.detail else (model, ())
    model, more = keeping.taken_away(replace(model, board=None, gone=why), why)
    return model, (*effects, *more)


def _snapshot(model: Model, snapshot: Snapshot) -> Step:
    """A whole board replaces what is held; what it already contains is not applied again."""
    try:
        board = Board.read(snapshot.body)
    except BadObject:
        return moves.toast(model, "The server sent a board that cannot be read.", bad=True), ()
    if (
        snapshot.fetched
        and model.board
        and not model.cached
        and model.board.epoch == board.epoch
        and board.seq < model.board.seq
    ):
        return (
            model,
            (),
        )  # fetched before events that came since; what is held still waits for its own
    held = model.held or ()
    if not snapshot.fetched or (model.board and model.board.epoch != board.epoch):
        held = ()  # it is in the board, or of another log
    model = replace(model, board=board, cached=False, held=None, gone="")
    model = replace(model, heard=still_heard(model))
    if not snapshot.fetched:
        model = _live(model)
    model = polling.arrived(model)
    model, effects = detail.reload(model)
    for change in held:
        model, more = changed(model, change)
        effects += more
    return model, effects


def changed(model: Model, change: Change) -> Step:
    """Apply one event, or hold it back while something before it is missing."""
    if model.board is None:
        return model, ()
    if model.held is not None:
        if len(model.held) < HELD_EVENTS:
            return replace(model, held=(*model.held, change)), ()
        return restart(model)
    applied = apply(model.board, replace(change, sparse=True) if model.limited else change)
    if applied.hole:
        return _fetch(model, (replace(change, gap=0),))
    model = sign_of_life(replace(model, board=applied.board), change)
    if applied.deleted:
        return _project_deleted(model, END_REASONS["project_deleted"])
    return detail.changed(model, change)


def sign_of_life(model: Model, change: Change) -> Model:
    """Note when an attempt or a session was last heard of, where its own state does not say."""
    noun = change.type.partition(".")[0]
    of = change.payload.get({"message": "session", "attempt": "attempt"}.get(noun, ""))
    if not isinstance(of, str):
        return model
    if of not in model.heard and len(model.heard) >= MOST_HEARD:
        model = replace(model, heard=still_heard(model))
    return replace(model, heard={**model.heard, of: model.now})


def still_heard(model: Model) -> dict[str, float]:
    """`heard` without what has left the board."""
    board = model.board
    if board is None:
        return {}
    heard = model.heard.items()
    return {id: at for id, at in heard if id in board.sessions or id in board.attempts}


def _beat(model: Model, beat: Beat) -> Step:
    """A heartbeat proves that nothing is missing, or that something is."""
    known = model.board.seq if model.board else None
    if known is None or beat.seq is None or beat.seq <= known or model.held is not None:
        return model, ()
    return _fetch(model, ())


def _fetch(model: Model, held: tuple[Change, ...]) -> Step:
    return replace(model, held=held), (LoadBoard(model.project, model.stream),)


def _fetch_failed(model: Model, failed: BoardFailed) -> Step:
    """Without the board, what was held back has no place: begin a new stream, with its snapshot."""
    polled = polling.failed(model)
    if polled is not None:
        return _project_deleted(polled, texts.clean(failed.why)) if failed.gone else (polled, ())
    model = moves.toast(model, f"The board could not be fetched: {failed.why}", bad=True)
    return restart(model) if model.held is not None else (model, ())


def restart(model: Model) -> Step:
    """Begin a new stream of what is followed."""
    return follow(replace(model, held=None), model.project)


def follow(model: Model, project: str) -> Step:
    """Open the stream of a project under a new number; what the old one still sends is dropped."""
    stream = model.stream + 1
    connection = Connection(as_of=model.connection.as_of)
    model = replace(
        model, project=project, stream=stream, connection=connection, gone="", held=None
    )
    return model, (Follow("" if model.everything else project, stream),)


def retry(model: Model) -> Step:
    """`r`: connect now when lost, begin anew when it was over, else fetch everything again."""
    phase = model.connection.phase
    if phase == "over":
        return restart(model)
    if phase in ("lost", "connecting"):
        connection = replace(model.connection, phase="connecting")
        model = replace(model, connection=connection)
        model, effects = polling.now(model) if connection.poll_at else (model, ())
        return model, (Retry(), *effects)
    if model.everything:
        from cortex_cli.board import everything

        return everything.fetch_again(model)
    effects = (LoadBoard(model.project, model.stream),)
    model = moves.toast(model, "Fetching the board again")
    held = model.held if model.held is not None else ()
    model, more = detail.reload(replace(model, held=held))
    return model, effects + more
