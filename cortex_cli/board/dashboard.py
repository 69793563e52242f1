"""The dashboard: all projects at a glance, followed by a stream of its own while it is shown.

Each overview is the whole of it, so that nothing can be missed, only be late; and late is said.
"""

from dataclasses import replace

from cortex_cli.board import actions, dashboard_lines, polling
from cortex_cli.board import text as texts
from cortex_cli.board.connection import END_REASONS
from cortex_cli.board.messages import (
    Beat,
    BoardFailed,
    Connected,
    Ended,
    FollowDashboard,
    Lost,
    RetryDashboard,
    StreamMessage,
)
from cortex_cli.board.model import Connection, Dashboard, Model
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.overviews import LoadOverview, Overview


def open_it(model: Model) -> Step:
    """Show it over the board, which goes on behind it."""
    number = model.dashboards + 1
    model = replace(model, dashboards=number, dashboard=Dashboard(-number))
    return model, (FollowDashboard(-number),)


def close(model: Model) -> Step:
    return replace(model, dashboard=None), (FollowDashboard(0),)


def update(model: Model, message: StreamMessage) -> Step:
    """One message of its stream; those of one that was left change nothing."""
    shown = model.dashboard
    if shown is None or message.stream != shown.stream:
        return model, ()
    link = shown.connection
    match message:
        case Overview(fetched=True):
            polled = polling.answered(link, model.now)
            if polled is not None:  # else the stream brought a newer one
                shown, link = shown.but(body=message.body), polled
        case BoardFailed():
            link = replace(link, polled=False)
        case Overview():
            shown = shown.but(body=message.body)
            link = Connection("live", as_of=model.now)
        case Beat():
            link = Connection("live", as_of=model.now)
        case Connected():
            link = replace(link, phase="connecting", why="")
        case Lost():
            return _lost(model, shown, message)
        case Ended(reconnect=True):
            link = replace(link, phase="connecting")
        case Ended():
            link = replace(link, phase="over", why=END_REASONS.get(message.reason, message.reason))
    return replace(model, dashboard=shown.but(connection=link)), ()


def _lost(model: Model, shown: Dashboard, lost: Lost) -> Step:
    link, why = shown.connection, texts.clean(lost.why)
    if lost.retry_in is None:
        over = replace(link, phase="over", why=link.why or why)
        return replace(model, dashboard=shown.but(connection=over)), ()
    link = replace(
        link,
        phase="lost",
        attempt=lost.attempt,
        retry_at=model.now + lost.retry_in,
        why=why,
        stalls=polling.stalls(link, lost),
    )
    model = replace(model, dashboard=shown.but(connection=link))
    return _fetch(model) if polling.wanted(link, lost) else (model, ())


def ticked(model: Model) -> Step:
    """Fetch it when it is time again and its stream is not there."""
    due = polling.due_at(model.dashboard.connection) if model.dashboard else 0.0
    return _fetch(model) if due and due <= model.now else (model, ())


def _fetch(model: Model) -> Step:
    shown = model.dashboard
    assert shown is not None
    link = polling.begun(shown.connection, model.now)
    return replace(model, dashboard=shown.but(connection=link)), (LoadOverview(shown.stream),)


def retry(model: Model) -> Step:
    """Connect now when it is lost, else begin anew."""
    shown = model.dashboard
    if shown is None:
        return model, ()
    if shown.connection.phase in ("lost", "connecting"):
        link = replace(shown.connection, phase="connecting")
        model = replace(model, dashboard=shown.but(connection=link))
        model, effects = _fetch(model) if link.poll_at else (model, ())
        return model, (RetryDashboard(), *effects)
    number = model.dashboards + 1
    link = Connection(as_of=shown.connection.as_of)
    shown = shown.but(stream=-number, connection=link)
    return replace(model, dashboards=number, dashboard=shown), (FollowDashboard(-number),)


# --- the cursor


def page(model: Model, pages: int) -> Step:
    return step(model, pages * max(1, model.height // 2))


def step(model: Model, by: int) -> Step:
    shown = model.dashboard
    if shown is None or not shown.body:
        return model, ()
    entries = dashboard_lines.entries(shown.body)
    names = [entry.name for entry in entries]
    if not names:
        return model, ()
    at = names.index(shown.selected) if shown.selected in names else 0
    to = min(max(0, at + by), len(names) - 1)
    return replace(model, dashboard=shown.but(selected=names[to])), ()


def enter(model: Model) -> Step:
    """Go to the selected project's board, and there to the ticket when it is one."""
    shown = model.dashboard
    entries = dashboard_lines.entries(shown.body) if shown and shown.body else ()
    if shown is None or not entries:
        return toast(model, "There is nothing to open yet."), ()
    entry = next((entry for entry in entries if entry.name == shown.selected), entries[0])
    if not entry.project:
        return toast(model, "A runner has no board of its own."), ()
    model, effects = actions.switch(model, entry.project)
    if not entry.ticket:
        return model, effects
    tickets = model.board.tickets.values() if model.board else ()
    held = next((ticket.id for ticket in tickets if ticket.key == entry.ticket), None)
    if held is None:
        return replace(model, expected=entry.ticket), effects  # its board is on its way
    return replace(model, selected=held, filter="", needs_me=False), effects
