"""The orders that the cards of a column can be shown in."""

from collections.abc import Callable, Iterable
from typing import Any

from cortex_cli.board import doing
from cortex_cli.board.model import Model
from cortex_cli.board.value import Value
from cortex_cli.board.wire import PRIORITIES, Ticket


class Sort(Value):
    """word: in the header. menu: its entry. key: what goes first is less; rank decides the rest."""

    word: str
    menu: str
    key: Callable[[Model, Ticket], Any]


def _priority(model: Model, ticket: Ticket) -> int:
    return -PRIORITIES.index(ticket.priority) if ticket.priority in PRIORITIES else 1


def _due(model: Model, ticket: Ticket) -> tuple[bool, str]:
    return ticket.due is None, ticket.due or ""


def _seen(model: Model, ticket: Ticket) -> float:
    seen = [one.seen for one in doing.of_ticket(model, ticket) if one.seen]
    return -max(seen, default=0.0)


def _updated(model: Model, ticket: Ticket) -> float:
    return -(doing.seconds(ticket.updated_at) or 0.0)


SORTS = {
    "rank": Sort("", "their place on the board", lambda model, ticket: 0),
    "priority": Sort("by priority", "priority, the highest first", _priority),
    "due": Sort("by due date", "due date, the next first", _due),
    "seen": Sort("by sign of life", "last sign of life of an agent, the latest first", _seen),
    "updated": Sort("by change", "last change, the latest first", _updated),
    "title": Sort("by title", "title", lambda model, ticket: ticket.title.casefold()),
}


def ordered(model: Model, tickets: Iterable[Ticket]) -> list[Ticket]:
    """The cards in the order that is chosen; those that are equal keep theirs."""
    key = SORTS[model.sort].key
    return sorted(tickets, key=lambda ticket: key(model, ticket))
