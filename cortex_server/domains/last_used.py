"""When each token was last used, to the minute, without a write for each request."""

from sqlalchemy import update

from cortex_server.clock import later
from cortex_server.db.schema import tokens
from cortex_server.store import WriteTx

INTERVAL_S = 60


class LastUsed:
    """Collects in memory; the reconciler flushes it. Losing a minute of it is no harm."""

    def __init__(self) -> None:
        self._due: dict[str, str] = {}  # token id: until when its stored time is good enough
        self._pending: dict[str, str] = {}

    def note(self, token_id: str, now: str) -> None:
        """Remember that a token was used. Cheap: two look-ups."""
        if now >= self._due.get(token_id, ""):
            self._pending[token_id] = now

    def dirty(self) -> bool:
        return bool(self._pending)

    def flush(self, tx: WriteTx) -> None:
        """Store what was collected; no event. A token is stored at most once a minute."""
        pending, self._pending = self._pending, {}
        for token_id, at in pending.items():
            # another process may have stored a later use
            earlier = tokens.c.last_used_at.is_(None) | (tokens.c.last_used_at < at)
            changed = update(tokens).where(tokens.c.id == token_id, earlier)
            tx.conn.execute(changed.values(last_used_at=at))
        fresh = {token_id: later(at, INTERVAL_S) for token_id, at in pending.items()}
        kept = {token_id: due for token_id, due in self._due.items() if due > tx.now}
        self._due = kept | fresh
