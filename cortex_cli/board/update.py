"""`update(model, message) -> (model, effects)`: everything that can happen to the board. Pure."""

from dataclasses import replace
from typing import get_args

from cortex_cli.board import (
    actions,
    alerts,
    connection,
    detail,
    keeping,
    keymap,
    layout,
    logs,
    moves,
    pastes,
    polling,
    prompts,
    selection,
    status,
)
from cortex_cli.board import text as texts
from cortex_cli.board.asks import (
    AgentsFailed,
    AgentsLoaded,
    Asked,
    AskedLoaded,
    AskRefused,
    DiffLoaded,
    LogLoaded,
)
from cortex_cli.board.changes import (
    Altered,
    Commented,
    Created,
    Deleted,
    NotWritten,
    Refused,
    Written,
)
from cortex_cli.board.messages import (
    Clicked,
    Copied,
    DetailLoaded,
    Follow,
    FollowDashboard,
    Grown,
    Incoming,
    Key,
    LoadFailed,
    LoadProjects,
    MessageLoaded,
    Moved,
    MoveRefused,
    Pasted,
    ProjectsFailed,
    ProjectsLoaded,
    Resized,
    StreamMessage,
    ThreadLoaded,
    Tick,
)
from cortex_cli.board.model import DIFF, Menu, Model, Prompt
from cortex_cli.board.moves import Step

_STREAM = get_args(StreamMessage)


def start(model: Model) -> Step:
    """What the board does first: follow its project, or find out which there are."""
    if model.dashboard:
        return model, (FollowDashboard(model.dashboard.stream),)
    if model.project or model.everything:
        return model, (Follow("" if model.everything else model.project, model.stream),)
    return replace(model, overlay=Menu("project", "Projects", ())), (LoadProjects(),)


def update(model: Model, message: Incoming) -> Step:
    """The board after a message, and what has to be done because of it."""
    new, effects = keeping.guard(model, _update(model, message))
    if new.overlay is not model.overlay and new.toasts and moves.covers_toasts(model):
        new = moves.shown_again(new)
    new = selection.settle(model, moves.forget_gone(new))
    if new.pane is not None:
        from cortex_cli.board import screens  # the first frame can do without

        new, more = screens.settle(new)
        effects += more
    if new.board is not new.alerts.board or new.alerts.waiting:
        new, more = alerts.after(new)
        effects += more
    return new, effects


def _update(model: Model, message: Incoming) -> Step:
    if isinstance(message, _STREAM):
        return _streamed(model, message)
    match message:
        case Key(name=name):
            return _pressed(model, name)
        case Tick(now=now):
            return _work_due(_ticked(model, now))
        case Resized(width=width, height=height):
            return replace(model, width=max(0, width), height=max(0, height)), ()
        case Clicked():
            return _clicked(model, message)
        case Pasted():
            return pastes.pasted(model, message), ()
        case Copied():
            return pastes.copied(model, message), ()
        case Grown():
            return detail.grown(model, message)
        case Moved():
            return moves.moved(model, message)
        case MoveRefused():
            return moves.refused(model, message)
        case Created() | Refused() | Altered() | Deleted() | Written() | NotWritten():
            return _changed(model, message)
        case _:
            return _answered(model, message)


def _streamed(model: Model, message: StreamMessage) -> Step:
    if message.stream > 0:
        return connection.update(model, message)
    from cortex_cli.board import dashboard  # the first frame can do without

    return dashboard.update(model, message)


def _answered(model: Model, message: Incoming) -> Step:
    match message:
        case AskedLoaded():
            from cortex_cli.board import needs_actions

            return needs_actions.asked_loaded(model, message)
        case Asked() | AskRefused() | AgentsLoaded() | AgentsFailed():
            return _asked(model, message)
        case LogLoaded() | DiffLoaded():
            return logs.loaded(model, message)
        case Commented():
            return detail.commented(_echoed(model, message), message.comment)
        case DetailLoaded():
            return detail.loaded(model, message)
        case ThreadLoaded():
            return detail.thread_loaded(model, message)
        case MessageLoaded():
            return detail.message_loaded(model, message)
        case LoadFailed():
            return detail.failed(model, message)
        case ProjectsLoaded():
            return _projects(model, message)
        case ProjectsFailed():
            return prompts.projects_failed(model, texts.clean(message.why)), ()
        case _:
            return model, ()


def _changed(
    model: Model, answer: Created | Refused | Altered | Deleted | Written | NotWritten
) -> Step:  # fmt: skip
    from cortex_cli.board import echoes, verbs  # the first frame can do without

    match answer:
        case Created():
            return echoes.created(model, answer)
        case Refused():
            return echoes.refused(model, answer)
        case Altered():
            return verbs.altered(model, answer)
        case Deleted():
            return verbs.deleted(model, answer)
    from cortex_cli.board import editing  # with YAML, which nobody else needs

    if isinstance(answer, Written):
        return editing.written(model, answer)
    return editing.not_written(model, answer)


def _echoed(model: Model, answer: Commented) -> Model:
    from cortex_cli.board import echoes

    return echoes.commented(model, answer)


def _asked(model: Model, answer: Asked | AskRefused | AgentsLoaded | AgentsFailed) -> Step:
    from cortex_cli.board import agents  # the first frame can do without

    match answer:
        case Asked():
            return agents.done(model, answer), ()
        case AskRefused():
            return agents.refused(model, answer), ()
        case AgentsLoaded():
            return agents.loaded(model, answer)
        case AgentsFailed():
            return agents.failed(model, answer), ()


def _projects(model: Model, answer: ProjectsLoaded) -> Step:
    """The only project there is needs no choice, at the start."""
    if model.everything:
        from cortex_cli.board import everything  # one board can do without

        model, effects = everything.listed(model, answer)
        model, more = prompts.projects_loaded(model, answer)
        return model, (*effects, *more)
    if not model.project and len(answer.projects) == 1:
        model = replace(model, projects=answer.projects, overlay=None)
        return actions.switch(model, answer.projects[0][0])
    return prompts.projects_loaded(replace(model, gone=""), answer)


# --- keys


def _pressed(model: Model, name: str) -> Step:
    scope = model.scope
    if scope == "menu" and name.isdecimal():
        return actions.digit(model, int(name))
    binding = keymap.find(model, name)
    if binding is None and name.startswith("alt-"):
        return _alt(model, name.removeprefix("alt-"))
    if binding is None:
        return (
            (prompts.typed(model, name), ())
            if scope in ("prompt", "palette") and len(name) == 1
            else (model, ())
        )
    refusal = binding.refusal(model)
    if refusal:
        return moves.toast(model, refusal, refusal=True), ()
    return actions.ACTIONS[binding.action](model)


def _alt(model: Model, name: str) -> Step:
    """Alt and a key is also what tmux sends for Esc and a key soon after it; and so it is read.

    Not where text is typed: Alt-b means a word back there, and must not throw the line away.
    """
    if isinstance(model.overlay, Prompt):
        return model, ()
    model, effects = _pressed(model, "esc")
    model, more = _pressed(model, name)
    return model, (*effects, *more)


def _clicked(model: Model, click: Clicked) -> Step:
    if model.scope != "board":
        from cortex_cli.board import clicks

        return clicks.clicked(model, click)
    found = layout.at(model, click.y, click.x)
    if found is None:
        return model, ()
    column, ticket = found
    shown = next(shown for shown in model.columns if shown.column.name == column)
    if ticket is None and shown.tickets:
        ticket = shown.tickets[-1].id
    model = replace(model, focus=column, selected=ticket)
    if click.double and model.ticket:
        return detail.open_ticket(model, model.ticket)
    return model, ()


# --- time


def _ticked(model: Model, now: float) -> Model:
    covered = moves.covers_toasts(model)
    toasts = tuple(t for t in model.toasts if t.until > now or (covered and t.bad))
    flashes = {ticket: until for ticket, until in model.flashes.items() if until > now}
    model = replace(model, now=now)
    if len(toasts) != len(model.toasts):
        model = replace(model, toasts=toasts)
    return replace(model, flashes=flashes) if len(flashes) != len(model.flashes) else model


def _work_due(model: Model) -> Step:
    """What is to be fetched once it is time."""
    model, effects = logs.ticked(model)
    if model.connection.poll_at:
        model, more = polling.ticked(model)
        effects += more
    if model.dashboard and polling.due_at(model.dashboard.connection):
        from cortex_cli.board import dashboard  # the first frame can do without

        model, more = dashboard.ticked(model)
        effects += more
    if model.everything is None or not model.everything.again_at:
        return model, effects
    from cortex_cli.board import everything

    model, more = everything.ticked(model)
    return model, (*effects, *more)


def next_tick(model: Model) -> float | None:
    """When the next text changes by time alone; None while nothing on the screen depends on it."""
    covered = moves.covers_toasts(model)
    due = [toast.until for toast in model.toasts if not (covered and toast.bad)]
    due += list(model.flashes.values())
    due += [echo.until for echo in model.echoes if echo.until > model.now]
    link = model.dashboard.connection if model.dashboard else model.connection
    shows = model.dashboard.body is not None if model.dashboard else model.board is not None
    due += [at for at in (status.next_change(link, model.now, shows),) if at is not None]
    links = {link, model.connection}  # that of what is shown, and that of the board behind it
    due += [at for at in map(polling.due_at, links) if at]
    if model.everything and model.everything.again_at:
        due.append(model.everything.again_at)
    at_work = model.board is not None and (model.board.attempts or model.board.sessions)
    if model.detail or model.dashboard or model.pane or at_work:
        due.append(model.now + 60 - model.now % 60)  # ages
    if model.detail and model.detail.diff and model.detail.diff.due and model.detail.tab == DIFF:
        due.append(model.detail.diff.due)
    if model.detail and detail.has_running_tool(model.detail):
        due.append(model.now + 1)  # for how long
    due += [said for said in (alerts.due(model),) if said is not None]
    return max(min(due), model.now + 0.01) if due else None
