"""The mouse on the screens that are lists: a click selects, a second one opens."""

from dataclasses import replace

from cortex_cli.board import (
    dashboard,
    dashboard_view,
    events_pane,
    events_view,
    journal,
    needs,
    needs_actions,
    needs_view,
)
from cortex_cli.board.messages import Clicked
from cortex_cli.board.model import Model
from cortex_cli.board.moves import Step
from cortex_cli.board.panes import Events, Needs


def clicked(model: Model, click: Clicked) -> Step:
    match model.scope:
        case "dashboard":
            return _on_dashboard(model, click)
        case "needs" if isinstance(model.pane, Needs):
            return _on_needs(model, model.pane, click)
        case "events" if isinstance(model.pane, Events):
            return _on_events(model, model.pane, click)
    return model, ()


def _on_dashboard(model: Model, click: Clicked) -> Step:
    entry = dashboard_view.at(model, click.y)
    if model.dashboard is None or not entry:
        return model, ()
    model = replace(model, dashboard=model.dashboard.but(selected=entry))
    return dashboard.enter(model) if click.double else (model, ())


def _on_needs(model: Model, pane: Needs, click: Clicked) -> Step:
    row = click.y - 1
    at = needs_view.top(model, pane) + row
    if not 0 <= row < needs_view.rows(model)[0] or at >= len(needs.waiting(model)):
        return model, ()
    model = needs.select(model, pane, at)
    if not click.double:
        return model, ()
    return (model, ()) if needs_actions.no_open(model) else needs_actions.open(model)


def _on_events(model: Model, pane: Events, click: Clicked) -> Step:
    shown = journal.matching(model.journal, pane.filter)
    listed = events_view.rows(model, pane)[0]
    at = events_view.top(shown, pane, listed) + click.y - 1
    if not 1 <= click.y <= listed or at >= len(shown):
        return model, ()
    last = model.journal.total if pane.follows else pane.last
    pane = pane.but(selected=shown[at].number, follows=False, last=last, top=0)
    model = replace(model, pane=pane)
    return events_pane.open(model) if click.double else (model, ())
