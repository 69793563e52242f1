"""The dashboard: all projects at a glance, followed by a stream of its own while it is shown.

Each overview is the whole of it, so that nothing can be missed, only be late; and late is said.
"""

from dataclasses import replace

from cortex_cli.board import actions, dashboard_lines
from cortex_cli.board import text as texts
from cortex_cli.board.connection import END_REASONS
from cortex_cli.board.messages import (
    Beat,
    Connected,
    Ended,
    FollowDashboard,
    Lost,
    Overview,
    RetryDashboard,
    StreamMessage,
)
from cortex_cli.board.model import Connection, Dashboard, Model
from cortex_cli.board.moves import Step, toast

END = 1_000_000


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
        case Overview():
            shown = shown.but(body=message.body)
            link = Connection("live", as_of=model.now)
        case Beat():
            link = Connection("live", as_of=model.now)
        case Connected():
            link = replace(link, phase="connecting", why="")
        case Lost(retry_in=None):
            link = replace(link, phase="over", why=link.why or texts.clean(message.why))
        case Lost():
            link = replace(
                link,
                phase="lost",
                attempt=message.attempt,
                retry_at=model.now + (message.retry_in or 0.0),
                why=texts.clean(message.why),
            )
        case Ended(reconnect=True):
            link = replace(link, phase="connecting")
        case Ended():
            link = replace(link, phase="over", why=END_REASONS.get(message.reason, message.reason))
    return replace(model, dashboard=shown.but(connection=link)), ()


def retry(model: Model) -> Step:
    """Connect now when it is lost, else begin anew."""
    shown = model.dashboard
    if shown is None:
        return model, ()
    if shown.connection.phase in ("lost", "connecting"):
        link = replace(shown.connection, phase="connecting")
        return replace(model, dashboard=shown.but(connection=link)), (RetryDashboard(),)
    number = model.dashboards + 1
    link = Connection(as_of=shown.connection.as_of)
    shown = shown.but(stream=-number, connection=link)
    return replace(model, dashboards=number, dashboard=shown), (FollowDashboard(-number),)


# --- the cursor


def down(model: Model) -> Step:
    return _step(model, 1)


def up(model: Model) -> Step:
    return _step(model, -1)


def page_down(model: Model) -> Step:
    return _step(model, max(1, model.height // 2))


def page_up(model: Model) -> Step:
    return _step(model, -max(1, model.height // 2))


def first(model: Model) -> Step:
    return _step(model, -END)


def last(model: Model) -> Step:
    return _step(model, END)


def _step(model: Model, by: int) -> Step:
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
