"""The database's clock. Leases are compared by it: all processes, wherever they are, mean the same.

SQLite's is that of its only process.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from cortex_server.clock import Clock

_NOW = text("SELECT clock_timestamp()")


class DatabaseClock:
    """PostgreSQL's time, as of the last look at it; the machine's own wall clock is not asked.

    own: whose monotonic seconds carry it on in between. Look at it now and then: clocks drift.
    """

    def __init__(self, engine: Engine, own: Clock) -> None:
        self._engine = engine
        self._own = own
        self._seen = (datetime.min.replace(tzinfo=UTC), 0.0)
        self.look()

    def look(self) -> None:
        """Ask the database. Raises what SQLAlchemy raises; the time then goes on as it was."""
        with self._engine.connect() as conn:
            before = self._own.monotonic()
            now: datetime = conn.scalar(_NOW)
            after = self._own.monotonic()
        self._seen = (now.astimezone(UTC), (before + after) / 2)

    def now(self) -> datetime:
        moment, at = self._seen
        return moment + timedelta(seconds=self._own.monotonic() - at)

    def monotonic(self) -> float:
        return self._own.monotonic()
