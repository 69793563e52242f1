"""Clocks that stand still until a test moves them, or looks at them."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    def __init__(self) -> None:
        self._now = datetime(2026, 1, 26, 15, 53, 1, 717454, tzinfo=UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def set_back(self, seconds: float) -> None:
        """As an administrator may, or a time server: time goes on all the same."""
        self._now -= timedelta(seconds=seconds)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class Running:
    """A manual clock that also goes on by a step each time that somebody asks how late it is."""

    def __init__(self, clock: ManualClock, step_s: float = 0.01) -> None:
        self._clock, self._step_s = clock, step_s

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        self._clock.advance(self._step_s)
        return self._clock.monotonic()
