"""All projects in one board: one stream, of everything that the token may read.

Its `state` is the list of projects; their boards are fetched, several at a time. Each project is
proven complete by its own `seq`, as a board alone is: a hole holds back and fetches only that one.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from cortex_cli.board import connection, detail, doing, moves, polling, prompts
from cortex_cli.board import text as texts
from cortex_cli.board.apply import Change, apply
from cortex_cli.board.cached import Forget
from cortex_cli.board.merged import Merged, fold
from cortex_cli.board.messages import (
    Beat,
    BoardFailed,
    Changed,
    Connected,
    Effect,
    LoadBoard,
    LoadProjects,
    ProjectsLoaded,
    Snapshot,
)
from cortex_cli.board.model import Everything, Menu, Model, Prompt
from cortex_cli.board.moves import Step
from cortex_cli.board.reading import BadObject, each
from cortex_cli.board.wire import Board, Project

T = TypeVar("T")

AGAIN_S = 5.0  # after which a board that could not be fetched is fetched again

Held = tuple[Change, ...]


# --- to all projects, and back to one


def toggle(model: Model) -> Step:
    """`P`: show all projects in one board, or one again."""
    if model.everything is None:
        return show(model)
    project = model.project or (model.project_of(model.ticket) if model.ticket else "")
    if project:
        return leave(model, project)
    return prompts.project_menu(model)


def show(model: Model) -> Step:
    """Follow all projects. What is known of one is shown until its board came."""
    board = None if model.cached else model.board
    parts = {fold(board.project.key): board} if board else {}
    keys = {key: part.project.key for key, part in parts.items()}
    return connection.follow(
        replace(
            model,
            everything=Everything(keys, dict.fromkeys(keys, ())),
            board=Merged.of_parts(parts),
            cached=False,
        ),
        model.project,
    )


def beginning(model: Model) -> Model:
    """A board that begins with all projects, before any is known."""
    return replace(model, everything=Everything(), board=Merged.of_parts({}))


def leave(model: Model, project: str) -> Step:
    """Follow one project again; what is known of it is shown until its state comes."""
    board = _merged(model).parts.get(fold(project))
    effects: tuple[Effect, ...] = ()
    if model.detail and model.detail.ticket.id not in (board.tickets if board else {}):
        model, effects = detail.close(model)
    model = replace(model, everything=None, board=board, expected=model.selected)
    model, more = connection.follow(model, project)
    return model, (*effects, *more)


def new_ticket(model: Model) -> Step:
    """Ask which project a new ticket is for; that of the selected one is offered first."""
    ticket, keys = model.ticket, _of(model).keys
    here = fold(model.project_of(ticket)) if ticket else fold(model.project)
    at = list(keys).index(here) if here in keys else 0
    items = tuple((written, described(model, written)) for written in keys.values())
    return replace(model, overlay=Menu("new", "New ticket in which project?", items, at)), ()


def new_chosen(model: Model, _: Menu, project: str) -> Step:
    """Ask for the title of a new ticket of a project, in the focused column where it has that."""
    part = _merged(model).parts.get(fold(project))
    columns = part.project.columns if part else ()
    if not columns:
        return moves.toast(model, f"The board of {project} is still on its way."), ()
    column = next((column for column in columns if column.name == model.focus), columns[0])
    label = f"New ticket in {project}, {column.title}"
    model = prompts.open_line(model, "title", label, column.name)
    assert isinstance(model.overlay, Prompt)
    return replace(model, overlay=replace(model.overlay, project=project)), ()


def described(model: Model, project: str) -> str:
    """A project with what is known of it: "CTX  Cortex  12 tickets, 2 need you"."""
    part = _merged(model).parts.get(fold(project))
    if part is None:
        return project
    maybe = (part.attempts_of, part.sessions_of, part.asked_of, part.reviewed)
    keys = {key for keys in maybe for key in keys}
    found = (ticket for ticket in part.tickets.values() if ticket.key in keys)
    needs = sum(doing.needs_me(model, ticket) for ticket in found)
    total = len(part.tickets)
    need = f", {needs} need{'s' if needs == 1 else ''} you" if needs else ""
    return f"{project}  {part.project.name}  {total} ticket{'' if total == 1 else 's'}{need}"


# --- what comes


def update(model: Model, message: Connected | Snapshot | Changed | Beat | BoardFailed) -> Step:
    match message:
        case Connected(resumed=True):
            # What was asked for before may have failed. A project may have gone with the right to
            # read it, and nobody was told.
            model, effects = _fetch_waiting(model)
            return model, (*effects, LoadProjects())
        case Connected():
            return model, ()
        case Snapshot(fetched=True):
            return _fetched(model, message)
        case Snapshot():
            return _state(model, message)
        case Changed():
            return changed(model, message.change)
        case Beat():
            return _beat(model, message)
        case BoardFailed():
            return _failed(model, message)


def _state(model: Model, snapshot: Snapshot) -> Step:
    """What projects there are. Their boards may have changed unheard, so all are fetched."""
    try:
        projects = each(snapshot.body, "projects", Project.read)
    except BadObject:
        return moves.toast(model, "The server sent projects that cannot be read.", bad=True), ()
    keys = {fold(project.key): project.key for project in projects}
    board = _merged(model).only(keys)
    model = replace(
        model,
        board=board,
        gone="",
        everything=Everything(keys),
        projects=tuple((project.key, project.name) for project in projects),
    )
    return _wait(replace(model, heard=connection.still_heard(model)), dict.fromkeys(keys, ()))


def _fetched(model: Model, snapshot: Snapshot) -> Step:
    """A project's board, and what was held back until it came."""
    try:
        board = Board.read(snapshot.body)
    except BadObject:
        return moves.toast(model, "The server sent a board that cannot be read.", bad=True), ()
    key, all_of_it, merged = fold(board.project.key), _of(model), _merged(model)
    held, known = all_of_it.waiting.get(key), merged.parts.get(key)
    if held is None:
        return model, ()  # its project left meanwhile
    if known and known.epoch == board.epoch and board.seq < known.seq:
        return model, ()  # fetched before events that came since: a later answer is on its way
    model = replace(
        model,
        board=merged.with_part(key, board),
        everything=all_of_it.but(waiting=_without(all_of_it.waiting, key)),
    )
    if not _of(model).waiting:
        model = polling.arrived(model)
    effects: tuple[Effect, ...] = ()
    if model.detail and fold(model.project_of(model.detail.ticket)) == key:
        model, effects = detail.reload(model)
    for change in held:
        model, more = changed(model, change)
        effects += more
    return model, effects


def changed(model: Model, change: Change) -> Step:
    """Apply one event to its project's board, or hold it back while something before is missing."""
    if change.project is None:
        return fetch_again(model) if change.gap else (model, ())
    key, all_of_it, merged = fold(change.project), _of(model), _merged(model)
    part, held = merged.parts.get(key), all_of_it.waiting.get(key)
    if held is not None and change.type != "project.deleted":
        if len(held) >= connection.HELD_EVENTS:
            return connection.restart(model)
        return _hold(model, key, (*held, change)), ()
    if part is None or held is not None:
        if change.type == "project.deleted":
            return _gone(model, key)
        return _wait(model, {key: (replace(change, gap=0),)}, {key: change.project})
    applied = apply(part, replace(change, sparse=True) if model.limited else change)
    if applied.hole:
        return _wait(model, {key: (replace(change, gap=0),)})
    if applied.deleted:
        return _gone(model, key)
    model = replace(model, board=merged.with_part(key, applied.board))
    return detail.changed(connection.sign_of_life(model, change), change)


def _beat(model: Model, beat: Beat) -> Step:
    """A heartbeat proves that nothing is missing, or of which projects something is."""
    all_of_it, parts = _of(model), _merged(model).parts
    seqs = {fold(key): (key, seq) for key, seq in beat.seqs.items()}
    behind = {
        key: ()
        for key, (_, seq) in seqs.items()
        if key not in all_of_it.waiting and (key not in parts or parts[key].seq < seq)
    }
    return _wait(model, behind, {key: seqs[key][0] for key in behind})


def _failed(model: Model, failed: BoardFailed) -> Step:
    """A project that may not be read, or is gone, is left out; another is fetched again later."""
    key, all_of_it = fold(failed.project), _of(model)
    held = all_of_it.waiting.get(key)
    if held is None:
        return model, ()
    if failed.gone:
        model, effects = _gone(model, key)
        new = next((i for i, one in enumerate(held) if one.type == "project.created"), None)
        if new is None:
            return model, effects
        # Another one with its key, made while the answer travelled: the board has what made it.
        model, more = _wait(model, {key: held[new + 1 :]}, {key: failed.project})
        return model, (*effects, *more)
    polled = polling.failed(model)
    if polled is not None:
        return polled, ()
    again_at = all_of_it.again_at or model.now + AGAIN_S
    all_of_it = all_of_it.but(failed=all_of_it.failed | {key}, again_at=again_at)
    why = texts.clean(failed.why)
    model = moves.toast(model, f"The board of {failed.project} could not be fetched: {why}", True)
    return replace(model, everything=all_of_it), ()


def listed(model: Model, answer: ProjectsLoaded) -> Step:
    """What projects there are now: of those that came or went unheard the boards are asked for."""
    keys, known = {fold(key): key for key, _ in answer.projects}, _of(model).keys
    differ = {key: () for key in keys.keys() ^ known.keys() if key not in _of(model).waiting}
    return _wait(model, differ, {**keys, **known})


def ticked(model: Model) -> Step:
    """Fetch again what could not be fetched, once it is time."""
    all_of_it = model.everything
    if all_of_it is None or not all_of_it.again_at or model.now < all_of_it.again_at:
        return model, ()
    return _fetch_waiting(model, only=all_of_it.failed)


def fetch_again(model: Model) -> Step:
    """Fetch all boards, and look what projects there are."""
    return fetch_all(moves.toast(model, "Fetching all boards again"))


def fetch_all(model: Model) -> Step:
    all_of_it = _of(model)
    model, effects = _wait(model, {key: all_of_it.waiting.get(key, ()) for key in all_of_it.keys})
    return model, (*effects, LoadProjects())


# --- which boards are waited for


def _wait(model: Model, held: Mapping[str, Held], keys: Mapping[str, str] | None = None) -> Step:
    """Fetch the boards of these projects."""
    all_of_it = _of(model)
    known = {**all_of_it.keys, **{key: (keys or {})[key] for key in held.keys() - all_of_it.keys}}
    waiting = {**all_of_it.waiting, **held}
    effects = tuple(LoadBoard(known[key], model.stream) for key in sorted(held))
    return replace(model, everything=all_of_it.but(keys=known, waiting=waiting)), effects


def _fetch_waiting(model: Model, only: frozenset[str] | None = None) -> Step:
    all_of_it = _of(model)
    model = replace(model, everything=all_of_it.but(failed=frozenset(), again_at=0.0))
    still = {key: held for key, held in all_of_it.waiting.items() if only is None or key in only}
    return _wait(model, still)


def _hold(model: Model, key: str, held: Held) -> Model:
    all_of_it = _of(model)
    return replace(model, everything=all_of_it.but(waiting={**all_of_it.waiting, key: held}))


def _gone(model: Model, key: str) -> Step:
    """Leave a project out; an open ticket of it closes."""
    all_of_it = _of(model)
    keys, failed = _without(all_of_it.keys, key), all_of_it.failed - {key}
    waiting = _without(all_of_it.waiting, key)
    effects: tuple[Effect, ...] = ()
    if model.detail and fold(model.project_of(model.detail.ticket)) == key:
        name = all_of_it.keys.get(key, key)
        model, effects = detail.close(moves.toast(model, f"{name} was deleted", bad=True))
    everything = all_of_it.but(keys=keys, waiting=waiting, failed=failed)
    model = replace(model, everything=everything, board=_merged(model).only(keys))
    return model, (*effects, Forget(all_of_it.keys.get(key, key)))


def _without(mapping: Mapping[str, T], key: str) -> dict[str, T]:
    return {name: value for name, value in mapping.items() if name != key}


def _of(model: Model) -> Everything:
    assert model.everything is not None
    return model.everything


def _merged(model: Model) -> Merged:
    assert isinstance(model.board, Merged)
    return model.board
