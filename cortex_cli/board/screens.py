"""Going to a pane, from it to a ticket, and back: Esc always goes one level back.

A pane covers what was shown before. A ticket that is opened from it covers the pane, and closing
that ticket shows the pane again, as it was left.
"""

from dataclasses import replace

from cortex_cli.board import actions, detail, moves
from cortex_cli.board.messages import FollowDashboard, FollowDeltas
from cortex_cli.board.model import Connection, Model
from cortex_cli.board.moves import Step
from cortex_cli.board.panes import Events, Needs
from cortex_cli.board.wire import Ticket


def show(model: Model, pane: Needs | Events) -> Step:
    """Open a pane over what is shown; one that was open before is left."""
    return replace(model, pane=pane), ()


def leave(model: Model) -> Step:
    """Esc in a pane: show what it covers."""
    return replace(model, pane=None), ()


def open_ticket(model: Model, ticket: Ticket) -> Step:
    """Open a ticket over the pane; what was read in one that is open already is kept."""
    pane = model.pane
    if pane is None:
        return detail.open_ticket(model, ticket)
    under = model.detail
    model = replace(model, pane=pane.but(behind=True, under=under, opening=""))
    if under is not None and under.ticket.id == ticket.id:
        return model, ()
    return detail.open_ticket(model, ticket)


def open_elsewhere(model: Model, project: str, key: str) -> Step:
    """Open a ticket of another project: its board is fetched first. The dashboard waits."""
    pane, dashboard = model.pane, model.dashboard
    model, effects = actions.switch(replace(model, pane=None), project)
    if isinstance(pane, Needs):
        pane = pane.but(behind=True, opening=key, dashboard=dashboard)
    return replace(model, pane=pane, expected=key), effects


def close(model: Model) -> Step:
    """Esc in a ticket, or on the board while one is fetched: back to the pane that it was opened
    from, else to the board."""
    pane = model.pane
    if pane is None or not pane.behind:
        return detail.close(model)
    under, shown = pane.under, model.detail
    model = replace(model, pane=pane.but(behind=False, under=None, opening=""))
    if isinstance(pane, Needs) and pane.dashboard is not None:
        return _to_dashboard(model)
    if under is None:
        return detail.close(model)
    if shown is not None and shown.ticket.id == under.ticket.id:
        return model, ()
    model, effects = detail.reload(replace(model, detail=under))
    followed = FollowDeltas(model.project_of(under.ticket), under.ticket.key)
    return model, (followed, *effects)


def _to_dashboard(model: Model) -> Step:
    """Back to the list over the dashboard, which is followed anew: what it holds is a bit old."""
    pane = model.pane
    assert isinstance(pane, Needs)
    assert pane.dashboard is not None
    number = model.dashboards + 1
    link = Connection(as_of=pane.dashboard.connection.as_of)
    dashboard = pane.dashboard.but(stream=-number, connection=link)
    model, effects = detail.close(model)
    model = replace(model, pane=pane.but(dashboard=None), dashboards=number, dashboard=dashboard)
    return model, (*effects, FollowDashboard(-number))


def settle(model: Model) -> Step:
    """After any change: open the ticket that was waited for; a pane is not behind nothing."""
    pane = model.pane
    if pane is None:
        return model, ()
    if pane.behind and model.detail is None and not pane.opening:
        return replace(model, pane=pane.but(behind=False, under=None)), ()
    if pane.opening and model.board is not None and not model.cached:
        found = next((t for t in model.board.tickets.values() if t.key == pane.opening), None)
        model = replace(model, pane=pane.but(opening=""))
        if found is not None:
            return detail.open_ticket(replace(model, selected=found.id, expected=None), found)
        key = pane.opening
        model, effects = close(replace(model, expected=None))
        return moves.toast(model, f"{key} is archived: it is not on the board", True), effects
    if isinstance(pane, Needs) and pane.dashboard is None:  # else it is of other projects
        from cortex_cli.board import needs

        return needs.settle(model, pane), ()
    return model, ()
