"""`update(model, message) -> (model, effects)`: everything that can happen to the board. Pure."""

import math
from dataclasses import replace
from typing import get_args

from cortex_cli.board import (
    actions,
    connection,
    detail,
    keys,
    layout,
    logs,
    moves,
    prompts,
    selection,
)
from cortex_cli.board import text as texts
from cortex_cli.board.asks import (
    AgentsFailed,
    AgentsLoaded,
    Asked,
    AskRefused,
    DiffLoaded,
    LogLoaded,
)
from cortex_cli.board.messages import (
    Clicked,
    Commented,
    Created,
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
    ProjectsFailed,
    ProjectsLoaded,
    Refused,
    Resized,
    StreamMessage,
    ThreadLoaded,
    Tick,
)
from cortex_cli.board.model import DIFF, POLLING_AFTER, Menu, Model
from cortex_cli.board.moves import Step

_STREAM = get_args(StreamMessage)


def start(model: Model) -> Step:
    """What the board does first: follow its project, or find out which there are."""
    if model.dashboard:
        return model, (FollowDashboard(model.dashboard.stream),)
    if model.project:
        return model, (Follow(model.project, model.stream),)
    return replace(model, overlay=Menu("project", "Projects", ())), (LoadProjects(),)


def update(model: Model, message: Incoming) -> Step:
    """The board after a message, and what has to be done because of it."""
    new, effects = _update(model, message)
    return selection.settle(model, moves.forget_gone(new)), effects


def _update(model: Model, message: Incoming) -> Step:
    if isinstance(message, _STREAM):
        return _streamed(model, message)
    match message:
        case Key(name=name):
            return _pressed(model, name)
        case Tick(now=now):
            return logs.ticked(_ticked(model, now))
        case Resized(width=width, height=height):
            return replace(model, width=max(0, width), height=max(0, height)), ()
        case Clicked():
            return _clicked(model, message)
        case Grown():
            return detail.grown(model, message)
        case Moved():
            return moves.moved(model, message)
        case MoveRefused():
            return moves.refused(model, message)
        case Created():
            model = moves.toast(model, f"Created {message.ticket.key}")
            return replace(model, expected=message.ticket.id), ()
        case _:
            return _answered(model, message)


def _streamed(model: Model, message: StreamMessage) -> Step:
    if message.stream > 0:
        return connection.update(model, message)
    from cortex_cli.board import dashboard  # the first frame can do without

    return dashboard.update(model, message)


def _answered(model: Model, message: Incoming) -> Step:
    match message:
        case Asked() | AskRefused() | AgentsLoaded() | AgentsFailed():
            return _asked(model, message)
        case LogLoaded() | DiffLoaded():
            return logs.loaded(model, message), ()
        case Commented():
            return detail.commented(model, message.comment)
        case Refused():
            return prompts.refused(model, message)
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
    if not model.project and len(answer.projects) == 1:
        model = replace(model, projects=answer.projects, overlay=None)
        return actions.switch(model, answer.projects[0][0])
    return prompts.projects_loaded(replace(model, gone=""), answer)


# --- keys


def _pressed(model: Model, name: str) -> Step:
    scope = model.scope
    if scope == "menu" and name.isdecimal():
        return actions.digit(model, int(name))
    binding = keys.find(scope, name)
    if binding is None:
        return (
            (prompts.typed(model, name), ())
            if scope == "prompt" and len(name) == 1
            else (model, ())
        )
    refusal = binding.refusal(model)
    if refusal:
        return moves.toast(model, refusal), ()
    return actions.ACTIONS[binding.action](model)


def _clicked(model: Model, click: Clicked) -> Step:
    if model.scope != "board":
        return model, ()
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
    toasts = tuple(toast for toast in model.toasts if toast.until > now)
    flashes = {ticket: until for ticket, until in model.flashes.items() if until > now}
    model = replace(model, now=now)
    if len(toasts) != len(model.toasts):
        model = replace(model, toasts=toasts)
    return replace(model, flashes=flashes) if len(flashes) != len(model.flashes) else model


def next_tick(model: Model) -> float | None:
    """When the next text changes by time alone; None while nothing on the screen depends on it."""
    due = [toast.until for toast in model.toasts] + list(model.flashes.values())
    link = model.dashboard.connection if model.dashboard else model.connection
    if link.phase == "lost" and link.retry_at > model.now:
        due.append(link.retry_at - math.ceil(link.retry_at - model.now) + 1)
    late = link.attempt >= POLLING_AFTER or (model.dashboard and link.phase != "live")
    if late and link.as_of is not None:
        past = model.now - link.as_of
        due.append(model.now + (1 if past < 60 else 60 - past % 60))
    at_work = model.board is not None and (model.board.attempts or model.board.sessions)
    if model.detail or model.dashboard or at_work:
        due.append(model.now + 60 - model.now % 60)  # ages
    if model.detail and model.detail.diff and model.detail.diff.due and model.detail.tab == DIFF:
        due.append(model.detail.diff.due)
    return max(min(due), model.now + 0.01) if due else None
