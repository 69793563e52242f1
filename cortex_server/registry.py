"""The open streams of this process: how many there may be, and ending them."""

from dataclasses import dataclass

from cortex_server import signals
from cortex_server.bus import EndReason, Subscriber
from cortex_server.log import LoggedEvent
from cortex_server.store import Store


@dataclass(eq=False)
class Slot:
    """One open stream."""

    token_id: str
    subscriber: Subscriber


class StreamRegistry:
    """Counts the streams and ends them. `draining`: no new ones, the process is about to go."""

    def __init__(self, store: Store, max_streams: int) -> None:
        self.max_streams = max_streams
        self.draining = False
        self._slots: set[Slot] = set()
        # blinker holds receivers weakly: these live as long as the registry
        revoked = signals.internal(signals.TOKEN_REVOKED)
        revoked.connect(self._on_token_revoked, sender=store)
        signals.event("project.deleted").connect(self._on_project_deleted, sender=store)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def full(self) -> bool:
        return len(self._slots) >= self.max_streams

    def open(self, slot: Slot) -> None:
        """Take a place. Whoever calls it calls `close` in a finally."""
        self._slots.add(slot)

    def close(self, slot: Slot) -> None:
        self._slots.discard(slot)

    def drain(self) -> None:
        """Tell every stream to say goodbye, and refuse new ones."""
        self.draining = True
        self._end(list(self._slots), "drain")

    def _on_token_revoked(self, _sender: object, token_id: str) -> None:
        self._end([slot for slot in self._slots if slot.token_id == token_id], "revoked")

    def _on_project_deleted(self, _sender: object, event: LoggedEvent) -> None:
        gone = [s for s in self._slots if s.subscriber.channel.project == event.project]
        self._end(gone, "project_deleted")

    def _end(self, slots: list[Slot], reason: EndReason) -> None:
        for slot in slots:
            slot.subscriber.end(reason)
