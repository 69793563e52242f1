"""One-time tickets of browser logins."""

import pytest
from sqlalchemy import func, select

from cortex_server import auth
from cortex_server.db.schema import login_tickets
from cortex_server.domains import logins, tokens
from cortex_server.errors import Unauthenticated


@pytest.fixture
def token(do, project):
    fields = {"name": "laptop", "role": "write", "projects": ["CTX"]}
    return do(tokens.create, fields)


def test_a_ticket_becomes_a_cookie_with_the_rights_of_its_token(do, see, token):
    secret, expires_at = do(logins.redeem, do(logins.make, token.id))
    mine, cookies = see(auth.grant_for, token.secret), see(auth.grant_for, secret)
    assert (cookies.role, cookies.actor, cookies.projects) == (
        mine.role,
        mine.actor,
        mine.projects,
    )
    assert cookies.token_id != token.id
    assert expires_at == cookies.expires_at == "2026-02-25T15:53:01.717454Z"


def test_a_ticket_is_good_once(do, token):
    ticket = do(logins.make, token.id)
    do(logins.redeem, ticket)
    with pytest.raises(Unauthenticated) as refused:
        do(logins.redeem, ticket)
    assert refused.value.code == "login_expired"


@pytest.mark.parametrize(("age_s", "good"), [(29.9, True), (30, False), (3600, False)])
def test_a_ticket_is_good_for_thirty_seconds(do, token, clock, age_s, good):
    ticket = do(logins.make, token.id)
    clock.advance(age_s)
    if good:
        assert do(logins.redeem, ticket)
    else:
        with pytest.raises(Unauthenticated):
            do(logins.redeem, ticket)


def test_neither_a_guess_nor_a_token_is_a_ticket(do, token):
    for secret in ("", "ctx_guess", token.secret):
        with pytest.raises(Unauthenticated):
            do(logins.redeem, secret)


def test_a_cookie_ends_with_a_token_that_expires_first(do, project):
    made = do(tokens.create, {"name": "short", "role": "read", "expires_in_s": 3600})
    assert do(logins.redeem, do(logins.make, made.id))[1] == made.expires_at


def test_a_ticket_of_a_token_that_ended_meanwhile_is_refused(do, see, token, clock):
    short = do(tokens.create, {"name": "short", "role": "read", "expires_in_s": 10})
    tickets = [do(logins.make, token.id), do(logins.make, short.id)]
    do(tokens.revoke, see(tokens.get, token.id))
    clock.advance(11)
    for ticket in tickets:
        with pytest.raises(Unauthenticated):
            do(logins.redeem, ticket)


def test_a_login_made_with_a_cookie_belongs_to_the_token_behind_it(do, see, token):
    first, _ = do(logins.redeem, do(logins.make, token.id))
    second, _ = do(logins.redeem, do(logins.make, see(auth.grant_for, first).token_id))
    do(tokens.revoke, see(tokens.get, token.id))
    with pytest.raises(Unauthenticated):
        see(auth.grant_for, second)


def test_old_tickets_do_not_pile_up(store, do, token, clock):
    for _ in range(3):
        do(logins.make, token.id)
        clock.advance(31)
    with store.read() as tx:
        assert tx.conn.scalar(select(func.count()).select_from(login_tickets)) == 1


def test_ended_cookies_and_unused_tickets_are_forgotten(store, do, see, token, clock):
    secret, _ = do(logins.redeem, do(logins.make, token.id))
    kept, _ = do(logins.redeem, do(logins.make, token.id))
    do(logins.make, token.id)
    cookie = see(auth.grant_for, secret).token_id
    do(tokens.revoke, see(tokens.get, cookie))
    clock.advance(logins.TICKET_S + 1)
    do(logins.expire)
    with pytest.raises(Unauthenticated, match="unknown"):
        see(auth.grant_for, secret)
    assert see(auth.grant_for, kept)
    with store.read() as tx:
        assert tx.conn.scalar(select(func.count()).select_from(login_tickets)) == 0


def test_the_secret_of_a_ticket_is_not_stored(store, do, token):
    ticket = do(logins.make, token.id)
    with store.read() as tx:
        assert ticket not in str(tx.conn.execute(select(login_tickets)).all())
