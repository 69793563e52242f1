"""What opens over the board as a screen of its own: the list of what needs a person, the events."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from cortex_cli.board.value import Value

if TYPE_CHECKING:
    from cortex_cli.board.model import Dashboard, Detail
    from cortex_cli.board.wire import Review
    from cortex_cli.board.work import Permission


class Needs(Value):
    """The list of what waits for a person, over what was shown before; of all projects where that
    was the dashboard.

    selected: the name of a `needs.Need`, which was at the place `at` of the list. ticket: the id of
    its ticket, where the board holds it. behind: a ticket that was opened from it is shown over it.
    under: the ticket that was open before. opening: the key of a ticket to be opened once its board
    is there. dashboard: the one to go back to. known: what was fetched of other projects, by id.
    done: what was answered there, by its intent.
    """

    selected: str = ""
    at: int = 0
    ticket: str = ""
    behind: bool = False
    under: "Detail | None" = None
    opening: str = ""
    dashboard: "Dashboard | None" = None
    known: "Mapping[str, Permission | Review]" = MappingProxyType({})
    done: frozenset[str] = frozenset()


class Events(Value):
    """The last events, over what was shown before; behind, under, opening: as of Needs.

    selected: the number of a record, which while following is the newest. last: the newest when
    following was paused. opened: what it says is shown in full, from the line `top` on.
    """

    selected: int = 0
    follows: bool = True
    last: int = 0
    opened: bool = False
    top: int = 0
    filter: str = ""
    ticket: str = ""
    behind: bool = False
    under: "Detail | None" = None
    opening: str = ""
