"""An attempt that a runner has claimed and works on, and what that runner is to do."""

from typing import Any

from cortex_server.domains import commands
from cortex_server.events.objects import Ticket
from cortex_server.events.work import Attempt
from tests.support.attempts import BY_RUNNER, LEASE_S, Work
from tests.support.stores import Do

RUNNER = BY_RUNNER
__all__ = ["LEASE_S", "RUNNER", "claimed", "waiting_commands"]


def claimed(do: Do, ticket: Ticket) -> Attempt:
    """A running attempt on the ticket that runner r-1 holds; its session is the claim's."""
    return Work(do).running(ticket)


def waiting_commands(see: Do) -> list[dict[str, Any]]:
    """What that runner is to do: kind, attempt and payload of each."""
    found = see(commands.waiting, "r-1")
    return [command.model_dump(include={"kind", "attempt", "payload"}) for command in found]
