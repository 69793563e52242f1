"""The open streams of this process: how many there may be, and ending them."""

from dataclasses import dataclass
from time import monotonic

import gevent

from cortex_server import signals
from cortex_server.log import LoggedEvent
from cortex_server.store import Store
from cortex_server.subscriber import EndReason, Subscriber

POLL_S = 0.02


@dataclass(eq=False)
class Slot:
    """One open stream.

    until: the position of the deletion that ends it; what happened up to there is told first.
    """

    token_id: str
    subscriber: Subscriber
    until: int | None = None


class StreamRegistry:
    """Counts the streams and ends them.

    draining: no new ones, the process is about to go · suspended: none until the log can be read ·
    endings: how often anything has ended streams of a token or of a project.
    """

    def __init__(self, store: Store, max_streams: int) -> None:
        self.max_streams = max_streams
        self.draining = False
        self.suspended = False
        self.endings = 0
        self._slots: set[Slot] = set()
        # blinker holds receivers weakly: these live as long as the registry
        revoked = signals.internal(signals.TOKEN_REVOKED)
        revoked.connect(self._on_token_revoked, sender=store)
        signals.event("project.deleted").connect(self._on_project_deleted, sender=store)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def full(self) -> bool:
        """Whether there is no place for another stream, or none now."""
        return self.suspended or len(self._slots) >= self.max_streams

    def open(self, slot: Slot) -> None:
        """Take a place. Whoever calls it calls `close` in a finally."""
        self._slots.add(slot)

    def close(self, slot: Slot) -> None:
        self._slots.discard(slot)

    def wait_until_empty(self, timeout_s: float) -> None:
        """Let the streams that were told to end do so."""
        give_up_at = monotonic() + timeout_s
        while self._slots and monotonic() < give_up_at:
            gevent.sleep(POLL_S)

    def drain(self) -> None:
        """Tell every stream to say goodbye, and refuse new ones."""
        self.draining = True
        self._end(list(self._slots), "drain")

    def suspend(self, suspended: bool) -> None:
        """End the streams, which must not call anything current, and refuse new ones; or go on."""
        self.suspended = suspended
        if suspended:
            self._end(list(self._slots), "overload")

    @property
    def tokens(self) -> frozenset[str]:
        """The ids of the tokens that have a stream open."""
        return frozenset(slot.token_id for slot in self._slots)

    def revoked(self, tokens: frozenset[str]) -> None:
        """End the streams of these tokens."""
        self.endings += 1
        self._end([slot for slot in self._slots if slot.token_id in tokens], "revoked")

    def _on_token_revoked(self, _sender: object, token_id: str) -> None:
        self.revoked(frozenset([token_id]))

    def _on_project_deleted(self, _sender: object, event: LoggedEvent) -> None:
        """End its boards; and what else its readers have open, whose rights are read anew then.

        A token forgets a deleted project: another one may get the same key.
        """
        self.endings += 1
        boards, scoped = [], []
        for slot in self._slots:
            channel = slot.subscriber.channel
            if channel.project == event.project:
                boards.append(slot)
            elif channel.project is None and event.project in (channel.readable or ()):
                scoped.append(slot)
        self._end(boards, "project_deleted", event.position)
        self._end(scoped, "lifetime", event.position)

    def _end(self, slots: list[Slot], reason: EndReason, until: int | None = None) -> None:
        """until: as in Slot; a second end, whatever it is for, leaves nothing more to tell."""
        for slot in slots:
            slot.until = until if slot.subscriber.ending is None else None
            slot.subscriber.end(reason)
