"""What follows when an attempt has ended, whichever way.

Who keeps something for an attempt says here what becomes of it; so `attempts` needs to know none
of them, and they may use it. All of it is part of the transaction that ends the attempt.
"""

from collections.abc import Callable

from cortex_server.events.work import Attempt
from cortex_server.store import WriteTx

Ended = Callable[[WriteTx, Attempt], None]

_CLOSING: list[Ended] = []
_GOING_ON: list[Ended] = []


def closing(call: Ended) -> Ended:
    """Declare what closes a thing of the attempt: its conversations, questions, instance."""
    _CLOSING.append(call)
    return call


def going_on(call: Ended) -> Ended:
    """Declare what the end sets off elsewhere; all that is to close is closed by then.

    It may start and stop other attempts, whose ends come here in their turn.
    """
    _GOING_ON.append(call)
    return call


def attempt_ended(tx: WriteTx, attempt: Attempt) -> None:
    """Do all of it. attempt: with its final status; its lease, token and commands are gone."""
    for call in (*_CLOSING, *_GOING_ON):
        call(tx, attempt)
