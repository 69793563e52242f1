"""What is asked of the cache of boards, as values."""

from cortex_cli.board.value import Value
from cortex_cli.board.wire import Board


class Keep(Value):
    """Write the board down for the next start. as_of: when it was true, seconds since the epoch.

    selected, focus: the ticket's id and the column that the next start begins with.
    """

    project: str
    board: Board
    as_of: float
    selected: str | None = None
    focus: str = ""


class Forget(Value):
    """Take away what was written down of a project that may not be seen any more."""

    project: str
