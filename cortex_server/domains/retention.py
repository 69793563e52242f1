"""What is left of attempts that are long over: the attempt itself stays, its bulk goes."""

from sqlalchemy import delete, select

from cortex_server.clock import later, parse_iso
from cortex_server.db.schema import tokens
from cortex_server.db.work import attempt_log, attempts
from cortex_server.domains.attempt_states import ACTIVE
from cortex_server.store import WriteTx

TOKENS_KEPT_S = 86_400
AT_ONCE = 20  # attempts of one transaction


def drop_logs(tx: WriteTx, oldest: str) -> int:
    """Delete the logs of attempts that began before `oldest` and are over; the first AT_ONCE.

    Returns of how many. Ids begin with the time, so the old ones are first in the index.
    """
    log = attempt_log.c.attempt
    at_work = select(attempts.c.id).where(attempts.c.status.in_(ACTIVE))
    old = select(log).where(log < _first_id(oldest), log.not_in(at_work)).distinct().limit(AT_ONCE)
    found = tx.conn.scalars(old).all()
    if found:
        tx.conn.execute(delete(attempt_log).where(log.in_(found)))
    return len(found)


def drop_tokens(tx: WriteTx) -> int:
    """Delete the tokens of attempts that have ended a day ago. Returns how many."""
    over = tokens.c.attempt.is_not(None) & (tokens.c.revoked_at <= later(tx.now, -TOKENS_KEPT_S))
    return tx.conn.execute(delete(tokens).where(over)).rowcount


def _first_id(moment: str) -> str:
    """What every id sorts behind that was made from then on."""
    stamp = f"{int(parse_iso(moment).timestamp() * 1000):012x}"
    return f"{stamp[:8]}-{stamp[8:]}"
