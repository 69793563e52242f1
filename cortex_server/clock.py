"""Time, passed in so that tests can pass their own."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})",
    re.ASCII | re.I,
)


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, UTC. For people and for stored times, never for ordering."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow. For every deadline."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def iso(moment: datetime) -> str:
    """UTC, ISO 8601, always six fractional digits and `Z`, so that text sorts as time does."""
    # not strftime: it writes the year 999 with three digits
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{text}Z"


def parse_iso(text: str) -> datetime:
    """Read an RFC 3339 time; digits past the microsecond are cut.

    Raises ValueError when `text` is anything else or has no offset.
    """
    match = _RFC3339.fullmatch(text)
    if not match:
        raise ValueError("must be a time like 2026-01-26T15:53:01.717454Z")
    date, clock, fraction, offset = match.groups()
    offset = "+00:00" if offset in "Zz" else offset
    moment = datetime.fromisoformat(f"{date}T{clock}.{(fraction or '0')[:6]:0<6}{offset}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time from the year 1 to the year 9999 in UTC") from None


def later(text: str, seconds: float) -> str:
    """The time `seconds` after an `iso` text, as `iso` text."""
    return iso(parse_iso(text) + timedelta(seconds=seconds))
