"""How long a stream waits before it connects again."""

from __future__ import annotations

from collections.abc import Callable

from .errors import CortexError, Refused
from .values import Lost

BASE_S = 1.5
CEILING_S = 12.0
PATIENCE = 8  # attempts in a row, after which a stream that never gives up slows down
SLOW_S = 30.0

_LONGEST_BASE_S = 300.0
_SHORT_LIFE_S = 1.0


class Backoff:
    """Doubles from the server's `retry:` to 12 s, with full jitter; a stream that flows starts it
    over.

    base_s: the server's `retry:`, 1.5 s until it is heard.
    retries: attempts in a row before it gives up; None for never, then it slows down to 30 s.
    """

    def __init__(self, retries: int | None, rand: Callable[[], float]) -> None:
        self._retries = retries
        self._rand = rand
        self.base_s = BASE_S
        self._failures = 0
        self._short_lives = 0

    def hear(self, retry_ms: int | None) -> None:
        """Take the base from the server's `retry:`."""
        if retry_ms is not None:
            self.base_s = min(retry_ms / 1000, _LONGEST_BASE_S)

    def flows(self) -> None:
        """Forget the failures: more than a greeting came, which some proxies pass on alone."""
        self._failures = 0

    def failed(self, error: CortexError) -> Lost:
        """Count a failure and say what follows it."""
        self._failures += 1
        spent = self._retries is not None and self._failures > self._retries
        if spent or not error.retryable:
            return Lost(error, None, self._failures - 1, self._retries)
        delay = self._delay()
        if isinstance(error, Refused) and error.retry_after is not None:
            delay = max(delay, error.retry_after)
        return Lost(error, delay, self._failures, self._retries)

    def ended(self, asked_s: float | None, lived_s: float) -> float:
        """Return the wait after an orderly end, which is no failure.

        A server that ends every stream at once is not called in a tight loop: from the second
        short life on the wait grows as after failures.
        """
        wait = self.base_s if asked_s is None else min(asked_s, _LONGEST_BASE_S)
        if lived_s >= _SHORT_LIFE_S:
            self._short_lives = 0
            return wait
        self._short_lives += 1
        if self._short_lives == 1:
            return wait
        return max(wait, self._doubled(self._short_lives - 1) * self._rand())

    def _delay(self) -> float:
        if self._retries is None and self._failures > PATIENCE:
            # A poll has a period that people can rely on, and is spread only a little.
            return SLOW_S * (0.9 + 0.1 * self._rand())
        return self._doubled(self._failures) * self._rand()

    def _doubled(self, times: int) -> float:
        grown = self.base_s * 2.0 ** min(times - 1, 16)
        return min(grown, max(CEILING_S, self.base_s))
