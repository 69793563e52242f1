"""Which process does what is to be done once for all of them: one at a time, on PostgreSQL.

An advisory lock of a connection of its own: the database frees it when that process ends, however
it ends, and the next one that asks has it.
"""

from typing import Any

import gevent
import structlog

from cortex_server.db import postgres

ANSWER_S = 3.0  # a database that takes longer does not make anybody the leader
_log = structlog.get_logger(__name__)


class Leadership:
    """The office, as one process sees it."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: Any = None
        self._answered = True
        self.held = False

    def mine(self) -> bool:
        """Whether this process leads, asked of the database now; takes the office when it is free.

        Ask before each thing that is to be done once. Never raises.
        """
        before = self.held
        try:
            with gevent.Timeout(ANSWER_S):
                self.held = self._ask()
            self._answered = True
        except (Exception, gevent.Timeout) as error:
            self.resign()
            if self._answered:  # once, not each time while the database is away
                _log.warning("leadership_unknown", error=str(error))
            self._answered = False
        if self.held != before:
            _log.info("leadership_taken" if self.held else "leadership_lost")
        return self.held

    def resign(self) -> None:
        """Leave the office to another one."""
        connection, self._connection, self.held = self._connection, None, False
        if connection is not None:
            connection.close()

    def _ask(self) -> bool:
        if self._connection is None:
            self._connection = postgres.connect(self._database_url)
        if self.held:
            self._connection.execute("SELECT 1")  # the lock lives as long as the session
            return True
        statement = "SELECT pg_try_advisory_lock(%s)"
        return bool(self._connection.execute(statement, (postgres.LEADING,)).fetchone()[0])
