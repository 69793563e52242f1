"""The board of the last time: when it is written down, and what holds while it is shown.

It is shown before the server has answered, and never as if it were true: the status says from
when it is, the board is marked, and what would change something waits until it is live.
"""

from dataclasses import replace
from typing import get_args

from cortex_cli.board import moves, selection
from cortex_cli.board.asks import Ask
from cortex_cli.board.cached import Forget, Keep
from cortex_cli.board.changes import AddComment, Alter, Create, Delete, EditText
from cortex_cli.board.messages import Effect, Move
from cortex_cli.board.model import Connection, Model
from cortex_cli.board.moves import Step
from cortex_cli.board.status import not_yet

EVERY_S = 60.0
CHANGES = (Move, Create, AddComment, Alter, Delete, EditText, *get_args(Ask))


def begin(model: Model, kept: Keep) -> Model:
    """Show the board of the last time, as such."""
    connection = Connection(as_of=kept.as_of)
    begun = replace(
        model,
        board=kept.board,
        cached=True,
        connection=connection,
        selected=kept.selected,
        focus=kept.focus,
    )
    return selection.settle(model, begun)


def due(model: Model, effects: tuple[Effect, ...]) -> Step:
    """Write a live board down once a minute, if something changed."""
    if model.board is None or not _is_worth_it(model) or model.connection.phase != "live":
        return model, effects
    stamp = (model.board.epoch, model.board.seq)
    if model.written is None:
        return replace(model, written=(("", 0), model.now)), effects
    known, at = model.written
    if stamp == known or model.now - at < EVERY_S:
        return model, effects
    keep = last(model)
    return replace(model, written=(stamp, model.now)), (*effects, *((keep,) if keep else ()))


def last(model: Model) -> Keep | None:
    """What to write down when the board is left."""
    link = model.connection
    if not model.board or not _is_worth_it(model) or link.phase == "over" or link.as_of is None:
        return None
    return Keep(model.project, model.board, link.as_of, model.selected, model.focus)


def _is_worth_it(model: Model) -> bool:
    """Not what came from there, what is of one ticket only, and several boards in one."""
    partial = model.limited or model.everything is not None
    return model.settings.cache and not model.cached and not partial


def taken_away(model: Model, why: str) -> Step:
    """The server says that this token may not see the project: then not here either."""
    if model.cached:
        model = replace(model, board=None, cached=False, detail=None, gone=why)
    return model, (Forget(model.project),)


def guard(before: Model, step: Step) -> Step:
    """Nothing is changed from a board of the last time, whatever key or menu asked for it."""
    if not before.cached or not any(isinstance(effect, CHANGES) for effect in step[1]):
        return step
    return moves.toast(before, not_yet(before)), ()
