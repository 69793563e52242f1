"""The stream as the board sees it: live or not, complete or not, and what each frame changes.

Nothing is silently stale: every state but `live` is said in words, and a hole in the sequence
holds back what follows it until the board was fetched again.
"""

from dataclasses import replace

from cortex_cli.board import detail, moves
from cortex_cli.board import text as texts
from cortex_cli.board.apply import Change, apply
from cortex_cli.board.messages import (
    Beat,
    BoardFailed,
    Changed,
    Connected,
    Effect,
    Ended,
    Follow,
    LoadBoard,
    Lost,
    Overview,
    Retry,
    Snapshot,
    Stale,
    StreamMessage,
)
from cortex_cli.board.model import POLLING_AFTER, Connection, Model
from cortex_cli.board.moves import Step
from cortex_cli.board.reading import BadObject
from cortex_cli.board.wire import Board

END_REASONS = {
    "revoked": "This token was revoked. Get a new one, then start the board again.",
    "expired": "This token has expired. Get a new one, then start the board again.",
    "project_deleted": "This project was deleted. p goes to another one.",
}
HELD_EVENTS = 10_000  # while the board is fetched; beyond it everything starts anew


def update(model: Model, message: StreamMessage) -> Step:
    """One message of the stream; those of a stream that was left change nothing."""
    if message.stream != model.stream:
        return model, ()
    match message:
        case Lost():
            return _lost(model, message), ()
        case Ended():
            return _ended(model, message), ()
        case BoardFailed():
            return _fetch_failed(model, message)
        case Connected(resumed=resumed):
            phase = "live" if resumed and model.board else "connecting"
            return _heard(model, replace(model.connection, phase=phase, why="")), ()
        case Stale():
            return _heard(model, replace(model.connection, phase="connecting")), ()
        case Snapshot():
            return _snapshot(model, message)
        case Changed():
            return changed(_live(model), message.change)
        case Beat():
            return _beat(_live(model), message)
        case Overview():
            return model, ()  # the dashboard's: see there


def _heard(model: Model, connection: Connection) -> Model:
    return replace(model, connection=replace(connection, as_of=model.now))


def _live(model: Model) -> Model:
    if model.board is None:
        return _heard(model, model.connection)
    return _heard(model, Connection("live"))


def _lost(model: Model, lost: Lost) -> Model:
    why = texts.clean(lost.why)
    connection = model.connection
    if lost.retry_in is None:
        why = connection.why if connection.phase == "over" and connection.why else why
        gone = model.gone or ("" if model.board else why)
        return replace(model, gone=gone, connection=replace(connection, phase="over", why=why))
    retry_at = model.now + lost.retry_in
    return replace(
        model,
        connection=replace(
            connection, phase="lost", attempt=lost.attempt, retry_at=retry_at, why=why
        ),
    )


def _ended(model: Model, ended: Ended) -> Model:
    if ended.reconnect:
        return _heard(model, replace(model.connection, phase="connecting"))
    why = END_REASONS.get(
        ended.reason, f"The server ended the stream: {texts.clean(ended.reason)}."
    )
    model = _heard(model, replace(model.connection, phase="over", why=why))
    if ended.reason == "project_deleted":
        model = replace(model, board=None, gone=why)
    return moves.toast(model, why, bad=True)


def _snapshot(model: Model, snapshot: Snapshot) -> Step:
    """A whole board replaces what is held; what it already contains is not applied again."""
    try:
        board = Board.read(snapshot.body)
    except BadObject:
        return moves.toast(model, "The server sent a board that cannot be read.", bad=True), ()
    if (
        snapshot.fetched
        and model.board
        and model.board.epoch == board.epoch
        and board.seq < model.board.seq
    ):
        return (
            model,
            (),
        )  # fetched before events that came since; what is held still waits for its own
    held = model.held or ()
    known = {
        id: at for id, at in model.heard.items() if id in board.sessions or id in board.attempts
    }
    model = replace(model, board=board, held=None, gone="", heard=known)
    if not snapshot.fetched:
        held = ()
        model = _live(model)
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
        return _restart(model)
    applied = apply(model.board, change)
    if applied.hole:
        return _fetch(model, (replace(change, gap=0),))
    model = _sign_of_life(replace(model, board=applied.board), change)
    if applied.deleted:
        why = END_REASONS["project_deleted"]
        return replace(model, board=None, gone=why), ()
    return detail.changed(model, change)


def _sign_of_life(model: Model, change: Change) -> Model:
    """Note when an attempt or a session was last heard of, where its own state does not say."""
    noun = change.type.partition(".")[0]
    of = change.payload.get({"message": "session", "attempt": "attempt"}.get(noun, ""))
    if not isinstance(of, str):
        return model
    return replace(model, heard={**model.heard, of: model.now})


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
    model = moves.toast(model, f"The board could not be fetched: {failed.why}", bad=True)
    return _restart(model) if model.held is not None else (model, ())


def _restart(model: Model) -> Step:
    return follow(replace(model, held=None), model.project)


def follow(model: Model, project: str) -> Step:
    """Open the stream of a project under a new number; what the old one still sends is dropped."""
    stream = model.stream + 1
    connection = Connection(as_of=model.connection.as_of)
    model = replace(
        model, project=project, stream=stream, connection=connection, gone="", held=None
    )
    return model, (Follow(project, stream),)


def retry(model: Model) -> Step:
    """`r`: connect now when lost, begin anew when it was over, else fetch everything again."""
    phase = model.connection.phase
    if phase == "over":
        return follow(model, model.project)
    if phase in ("lost", "connecting"):
        connection = replace(model.connection, phase="connecting")
        return replace(model, connection=connection), (Retry(),)
    effects: tuple[Effect, ...] = (LoadBoard(model.project, model.stream),)
    model = moves.toast(model, "Fetching the board again")
    held = model.held if model.held is not None else ()
    model, more = detail.reload(replace(model, held=held))
    return model, effects + more


def status(model: Model) -> tuple[str, str]:
    """(text, role) of the connection, for the header: never wrong about being live."""
    if model.dashboard:
        return words(model.dashboard.connection, model.now)
    if not model.project:
        return "○ no project", "dim"
    if model.connection.phase == "live" and model.held is not None:
        return "◌ catching up", "info"
    return words(model.connection, model.now)


def words(connection: Connection, now: float) -> tuple[str, str]:
    """How a connection is, in a few words and their role."""
    if connection.phase == "over":
        return "✗ ended", "bad"
    if connection.phase == "live":
        return "● live", "good"
    attempt = (
        f" ({connection.attempt}/{POLLING_AFTER})" if 0 < connection.attempt < POLLING_AFTER else ""
    )
    if connection.attempt >= POLLING_AFTER:
        return f"○ offline{_as_of(connection, now)}", "bad"
    wait = connection.retry_at - now
    if connection.phase == "lost" and wait > 0:
        return f"○ reconnecting in {max(1, int(wait + 0.999))} s{attempt}", "warn"
    return f"◌ connecting{attempt}", "info"


def _as_of(connection: Connection, now: float) -> str:
    if connection.as_of is None:
        return ""
    return f", as of {texts.age(max(1.0, now - connection.as_of))} ago"
