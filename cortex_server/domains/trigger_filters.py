"""Which events a trigger is for: their types, and what their payload has to say."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cortex_server.events import EVENTS

_FAMILY = re.compile(r"([a-z]+)\.\*")
LOGGED = frozenset(name for name, declared in EVENTS.items() if not declared.ephemeral)
_NOTHING = object()


def expand(types: Iterable[str]) -> frozenset[str]:
    """The event types that names like ticket.moved, ticket.* and * stand for.

    Raises ValueError for one that stands for none.
    """
    found: set[str] = set()
    for name in types:
        family = _FAMILY.fullmatch(name)
        if name == "*":
            meant = set(LOGGED)
        elif family:
            meant = {known for known in LOGGED if known.startswith(f"{family[1]}.")}
        else:
            meant = {name} & LOGGED
        if not meant:
            raise ValueError(f"there is no event type {name} in the log")
        found |= meant
    return frozenset(found)


def matches(wanted: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether an event (as on the wire) has all that is wanted.

    wanted: by path into the payload, `changed.status.to`; `actor` and `ticket` are the event's own.
    A list of values: one of them. Of a list in the payload one element is enough. A wanted text
    also stands for a number, true, false or null that is written so.
    """
    payload = event["payload"]
    found = {**payload, "actor": event["actor"], "ticket": event["ticket"]}
    return all(_matches(value, _at(found, path)) for path, value in wanted.items())


def _at(found: Any, path: str) -> Any:
    for step in path.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return _NOTHING
        found = found[step]
    return found


def _matches(wanted: Any, found: Any) -> bool:
    if found is _NOTHING:
        return False
    options = wanted if isinstance(wanted, list) else [wanted]
    values = found if isinstance(found, list) else [found]
    return any(_same(option, value) for option in options for value in values)


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, str) and not isinstance(found, str):
        return wanted == _text(found)
    # True == 1 in Python, and it is not in JSON
    return isinstance(wanted, bool) == isinstance(found, bool) and bool(wanted == found)


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
