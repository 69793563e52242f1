"""Runners and attempts by domain functions: `Work(do)`, then `work.runner("r-1")`, and so on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from cortex_server.domains import attempts, claims, leases, runners
from cortex_server.errors import CortexError
from cortex_server.events.objects import Actor, Ticket
from cortex_server.events.work import Attempt, Runner
from cortex_server.store import SYSTEM
from tests.support.stores import Do

LEASE_S = 30.0
BY_RUNNER = Actor(kind="runner", name="runner")


def offer(*agents: str) -> list[dict[str, Any]]:
    takes = ["prompt", "abort"]
    return [{"name": name, "adapter": "command", "capabilities": takes} for name in agents]


@contextmanager
def refused(code: str) -> Iterator[pytest.ExceptionInfo[CortexError]]:
    """Fails unless what is inside is refused with this code."""
    with pytest.raises(CortexError) as caught:
        yield caught
    assert caught.value.code == code


class Work:
    def __init__(self, do: Do) -> None:
        self.do = do

    def runner(self, name: str = "r-1", agents: Sequence[str] = ("shell",), **fields: Any) -> Any:
        """Register a runner that offers these agents."""
        said = {"host": "here", "version": "1", "parallel": 9, "projects": None, **fields}
        said |= {"name": name, "agents": offer(*agents)}
        return self.do(runners.register, said, LEASE_S, actor=BY_RUNNER)

    def start(self, ticket: Ticket, agent: str = "shell", **fields: Any) -> Attempt:
        made: Attempt = self.do(attempts.create, ticket, {"agent": agent, **fields})
        return made

    def claim(self, runner: Runner, readable: Any = None) -> Any:
        """The wire's claim, or None."""
        return self.do(claims.claim, runner, readable, LEASE_S, actor=BY_RUNNER)

    def running(self, ticket: Ticket, runner: Runner | None = None) -> Attempt:
        """An attempt of generation 1 that its runner has begun to work on."""
        runner = runner or self.runner()
        attempt = self.start(ticket)
        assert self.claim(runner)["attempt"].id == attempt.id
        return self.tell(attempt, status="running")

    def tell(self, attempt: Attempt, generation: int = 1, **changes: Any) -> Attempt:
        """What PATCH does."""

        def patch(tx: Any) -> Attempt:
            return attempts.patch(tx, attempts.owned(tx, attempt.id, generation), changes)

        told: Attempt = self.do(patch, actor=BY_RUNNER)
        return told

    def end(self, attempt: Attempt, status: str = "succeeded", **said: Any) -> Attempt:
        ended: Attempt = self.do(attempts.end, attempt.id, 1, status, **said, actor=BY_RUNNER)
        return ended

    def beat(self, runner: Runner, *claimed: Attempt) -> list[str]:
        """The ids that a heartbeat renewed."""

        def beat(tx: Any) -> list[str]:
            heard = runners.heard_of(tx, runner, LEASE_S)
            return claims.renew(tx, heard, [(a.id, a.generation) for a in claimed], LEASE_S)

        renewed: list[str] = self.do(beat, actor=BY_RUNNER)
        return renewed

    def expire(self) -> bool:
        """What the reconciler does when it is due."""
        return bool(self.do(leases.expire, actor=SYSTEM))
