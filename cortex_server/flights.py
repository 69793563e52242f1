"""Work that many ask for at once and that is done once."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from gevent.event import Event

T = TypeVar("T")


class Flights(Generic[T]):
    """Lets one greenlet do what others ask for in the meantime; all get its result."""

    def __init__(self) -> None:
        self._ends: dict[Hashable, tuple[Event, list[T]]] = {}

    def begun(self, key: Hashable) -> bool:
        return key in self._ends

    def result(self, key: Hashable) -> T | None:
        """What is begun, at its end; None when it failed, or when nothing is begun."""
        if (flight := self._ends.get(key)) is None:
            return None
        end, results = flight
        end.wait()
        return results[0] if results else None

    def share(self, key: Hashable, work: Callable[[], T]) -> T:
        """The result of `work`, done here or by who has begun it. Raises what it raises here.

        Who waits does it itself when the other one failed.
        """
        while (flight := self._ends.get(key)) is not None:
            end, results = flight
            end.wait()
            if results:
                return results[0]
        end, results = self._ends[key] = Event(), []
        try:
            results.append(work())
            return results[0]
        finally:
            del self._ends[key]
            end.set()
