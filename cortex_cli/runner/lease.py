"""How long a claim is surely ours, by a clock of this machine that also counts its sleep."""

from __future__ import annotations

import threading
import time

from cortex_cli.runner import guardian

now = guardian.now

_MARGIN = 0.1  # of a lease: what clocks differ by, and the time that killing takes
_LEAST_MARGIN_S = 0.5


def margin_s(lease_s: float) -> float:
    """Return how long before the lease's end everything of ours must be dead."""
    return min(max(_MARGIN * lease_s, _LEAST_MARGIN_S), lease_s / 4)


class Lease:
    """Ours until `until` (see `now`), and only later while it is renewed."""

    def __init__(self, since: float, lease_s: float) -> None:
        """since: when the request was sent whose answer gave the lease, so never too late."""
        self._lock = threading.Lock()
        self._until = since + lease_s - margin_s(lease_s)

    def renew(self, since: float, lease_s: float) -> None:
        """Take a renewal that was confirmed; an answer that comes late shortens nothing."""
        with self._lock:
            self._until = max(self._until, since + lease_s - margin_s(lease_s))

    @property
    def left_s(self) -> float:
        """Seconds that are left; negative when it is over."""
        with self._lock:
            return self._until - now()

    @property
    def over(self) -> bool:
        return self.left_s <= 0

    @property
    def deadline(self) -> float:
        """When it ends, by time.monotonic()."""
        return time.monotonic() + self.left_s
