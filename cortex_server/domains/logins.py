"""Browser logins: a one-time ticket in a link, exchanged for a cookie: a token of its own."""

from sqlalchemy import delete, insert, select

from cortex_server.clock import later
from cortex_server.db.schema import login_tickets, tokens
from cortex_server.domains import rows
from cortex_server.domains.tokens import insert_token
from cortex_server.errors import Unauthenticated
from cortex_server.ids import new_secret, secret_hash
from cortex_server.store import WriteTx

TICKET_S = 30
COOKIE_S = 30 * 86_400


def make(tx: WriteTx, token_id: str) -> str:
    """Make a ticket for one login with the rights of a token; good once, for 30 seconds."""
    tx.conn.execute(delete(login_tickets).where(login_tickets.c.expires_at <= tx.now))
    secret = new_secret()
    tx.conn.execute(
        insert(login_tickets).values(
            hash=secret_hash(secret), token_id=token_id, expires_at=later(tx.now, TICKET_S)
        )
    )
    return secret


def redeem(tx: WriteTx, secret: str) -> tuple[str, str]:
    """Exchange a ticket for a cookie: its secret, and when it expires.

    The cookie has the rights of the token that made the ticket and dies with it, after 30 days at
    the latest. Raises Unauthenticated when the ticket is unknown, used or too old, or its token
    is no longer good.
    """
    ticket = tx.conn.execute(
        delete(login_tickets)
        .where(login_tickets.c.hash == secret_hash(secret))
        .returning(login_tickets.c.token_id, login_tickets.c.expires_at)
    ).one_or_none()
    if ticket is None or ticket.expires_at <= tx.now:
        raise _refusal()
    maker = tx.conn.execute(select(tokens).where(tokens.c.id == ticket.token_id)).one()
    expired = maker.expires_at is not None and maker.expires_at <= tx.now
    if expired or maker.revoked_at is not None:
        raise _refusal()
    actor = rows.actor(maker, "actor")
    assert actor is not None
    expires_at = min(later(tx.now, COOKIE_S), maker.expires_at or "9")
    cookie = insert_token(
        tx,
        name=maker.name,
        role=maker.role,
        actor=actor,
        projects=maker.projects,
        ticket=maker.ticket,
        # A cookie's own login belongs to the token behind it, so that revoking that ends both.
        parent_id=maker.parent_id or maker.id,
        expires_at=expires_at,
    )
    return cookie.secret, expires_at


def expire(tx: WriteTx) -> None:
    """Forget cookies that are no longer good, and tickets that nobody used."""
    ended = (tokens.c.expires_at <= tx.now) | tokens.c.revoked_at.is_not(None)
    tx.conn.execute(delete(tokens).where(tokens.c.parent_id.is_not(None) & ended))
    tx.conn.execute(delete(login_tickets).where(login_tickets.c.expires_at <= tx.now))


def _refusal() -> Unauthenticated:
    return Unauthenticated(
        "This login link was used already or is older than 30 seconds; "
        "run `cortex open` again for a new one.",
        code="login_expired",
    )
