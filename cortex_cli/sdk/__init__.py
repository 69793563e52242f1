"""Talk to a Cortex server: requests, and streams of values that come back by themselves.

    from cortex_cli.sdk import CortexClient, Event, Lost, discover

    found = discover()
    with CortexClient(found.url, found.token, ca_file=found.ca_file) as client:
        client.post("/api/projects/cortex/tickets", {"title": "Try it"})
        with client.events(project="cortex") as stream:
            for value in stream:
                match value:
                    case Event(): print(value.type, value.ticket)
                    case Lost(): print("lost:", value.error)

Importing this is cheap: each name is imported with its first use, requests with the first call.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .discover import DEFAULT_URL, Endpoint, ca_file, discover, server_url, token_path, url_path

if TYPE_CHECKING:
    from .client import CortexClient
    from .cursor import Cursor
    from .errors import (
        BadAddress,
        BadAuthorities,
        Conflict,
        CortexError,
        EventTooLarge,
        Invalid,
        NotAllowed,
        NotFound,
        NoToken,
        Overloaded,
        Problem,
        Redirected,
        Refused,
        ServerFault,
        StreamError,
        Unreachable,
        Untrusted,
    )
    from .stream import EventStream
    from .values import (
        Actor,
        Connected,
        Delta,
        End,
        Event,
        Heartbeat,
        Lost,
        Overview,
        Reset,
        State,
        Value,
    )

__all__ = [
    "DEFAULT_URL",
    "Actor",
    "BadAddress",
    "BadAuthorities",
    "Conflict",
    "Connected",
    "CortexClient",
    "CortexError",
    "Cursor",
    "Delta",
    "End",
    "Endpoint",
    "Event",
    "EventStream",
    "EventTooLarge",
    "Heartbeat",
    "Invalid",
    "Lost",
    "NoToken",
    "NotAllowed",
    "NotFound",
    "Overloaded",
    "Overview",
    "Problem",
    "Redirected",
    "Refused",
    "Reset",
    "ServerFault",
    "State",
    "StreamError",
    "Unreachable",
    "Untrusted",
    "Value",
    "ca_file",
    "discover",
    "server_url",
    "token_path",
    "url_path",
]

_HOMES = {
    name: module
    for module, names in {
        "client": ("CortexClient",),
        "cursor": ("Cursor",),
        "stream": ("EventStream",),
        "values": (
            "Actor", "Connected", "Delta", "End", "Event", "Heartbeat", "Lost", "Overview",
            "Reset", "State", "Value",
        ),
    }.items()
    for name in names
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a name with its first use: most commands need few of them."""
    if name not in __all__:
        raise AttributeError(f"{__name__} has no {name}")
    found = getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)
    globals()[name] = found
    return found
