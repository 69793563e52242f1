"""Grants: whose token is good, and what it allows."""

import pytest

from cortex_server.auth import Grant, grant_for, is_living
from cortex_server.domains import projects, tickets, tokens
from cortex_server.errors import Forbidden, NotFound, Unauthenticated
from tests.support.stores import ALICE

A, B = frozenset({"A"}), frozenset({"B"})


def grant(role="write", readable=None, ticket=None):
    return Grant("t", role, ALICE, readable, ticket, None)


@pytest.fixture
def make(do):
    do(tokens.create, {"name": "first", "role": "admin"})
    return lambda **fields: do(tokens.create, {"name": "t", "role": "write", **fields})


def test_a_living_token_gives_what_was_stored(do, see, make, project):
    made = make(projects=["ctx"], expires_in_s=60, role="read")
    assert made.secret not in repr(see(tokens.get, made.id))
    found = see(grant_for, made.secret)
    assert found == Grant(
        made.id, "read", made.actor, frozenset({"CTX"}), None, "2026-01-26T15:54:01.717454Z"
    )
    assert not found.sees_all
    assert see(grant_for, make().secret).sees_all
    assert see(grant_for, make(role="admin").secret).is_admin


@pytest.mark.parametrize("secret", ["", "x", "ctx_" + "A" * 43, "é", "\x00"])
def test_an_unknown_secret_is_refused(see, make, secret):
    make()
    with pytest.raises(Unauthenticated) as raised:
        see(grant_for, secret)
    assert raised.value.code == "token_unknown"


def test_a_revoked_token_is_refused(store, see, make):
    made = make()
    assert see(is_living, made.id)
    with store.write(ALICE) as tx:
        tokens.revoke(tx, tokens.get(tx, made.id))
    with pytest.raises(Unauthenticated) as raised:
        see(grant_for, made.secret)
    assert raised.value.code == "token_revoked"
    assert not see(is_living, made.id)
    assert not see(is_living, "unknown")


def test_a_token_expires_at_its_time(see, make, clock):
    made = make(expires_in_s=60)
    clock.advance(59.999999)
    see(grant_for, made.secret)
    clock.advance(0.000001)
    with pytest.raises(Unauthenticated) as raised:
        see(grant_for, made.secret)
    assert raised.value.code == "token_expired"


def test_a_token_of_a_ticket_reads_its_project_for_that_ticket_alone(do, see, make, project):
    ticket = do(tickets.create, project, {"title": "x"})
    found = see(grant_for, make(role="agent", ticket="ctx-1").secret)
    assert (found.projects, found.ticket) == (frozenset({"CTX"}), ticket.key)
    found.check_write("CTX", ticket.key)
    for other in ("CTX-2", None):
        with pytest.raises(NotFound):
            found.check_read("CTX", other)


def test_a_token_whose_ticket_is_gone_reads_nothing(do, see, make, project):
    ticket = do(tickets.create, project, {"title": "x"})
    made = make(role="agent", ticket=ticket.key)
    do(tickets.delete, ticket, None)
    found = see(grant_for, made.secret)
    assert found.projects == frozenset()
    with pytest.raises(NotFound):
        found.check_read("CTX", ticket.key)


def test_a_token_of_a_deleted_project_does_not_read_the_ticket_of_its_successor(
    do, see, make, project
):
    ticket = do(tickets.create, project, {"title": "x"})
    made = make(role="agent", ticket=ticket.key)
    do(projects.delete, project, None)
    again = do(projects.create, {"key": "CTX", "name": "x"})
    assert do(tickets.create, again, {"title": "x"}).key != ticket.key
    assert see(grant_for, made.secret).projects == frozenset()


ROLES = ("read", "write", "agent", "runner", "admin")


@pytest.mark.parametrize("role", ROLES)
def test_what_each_role_may(role):
    mine = "A-1" if role == "agent" else None
    readable = A if role == "agent" else None
    found = grant(role, readable, mine)
    allowed = {"write": True, "wide": True, "admin": True}
    for name, check in (
        ("write", lambda: found.check_write("A", "A-1")),
        ("wide", found.check_wide_write),
        ("admin", found.check_admin),
    ):
        try:
            check()
        except Forbidden:
            allowed[name] = False
    assert (
        allowed
        == {
            "read": {"write": False, "wide": False, "admin": False},
            "agent": {"write": True, "wide": False, "admin": False},
            "write": {"write": True, "wide": True, "admin": False},
            "runner": {"write": True, "wide": False, "admin": False},
            "admin": {"write": True, "wide": True, "admin": True},
        }[role]
    )


def test_a_token_of_some_projects_makes_no_projects():
    with pytest.raises(Forbidden):
        grant("write", A).check_wide_write()


def test_other_projects_look_as_if_they_were_not_there():
    for check in (grant(readable=A).check_read, grant(readable=A).check_write):
        check("A", "A-1")
        for arguments in (("B",), ("B", "B-1"), ("a",)):
            with pytest.raises(NotFound):
                check(*arguments)


def test_hidden_comes_before_forbidden():
    """A reader must not learn from a 403 that the thing is there."""
    with pytest.raises(NotFound):
        grant("read", A).check_write("B")
    with pytest.raises(Forbidden):
        grant("read", A).check_write("A")
