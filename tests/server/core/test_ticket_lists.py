"""Lists of tickets: filters, words, pages."""

import pytest

from cortex_server.domains import projects, ticket_rows, tickets
from cortex_server.domains.tickets import TicketFilter


@pytest.fixture
def several(do, make):
    other = do(projects.create, {"key": "ZED", "name": "z"})
    make("apple pie", body="Über ÄPFEL 100%", labels=["Red"], assignee="bob", priority="high")
    make("pear", type="debug", status="done", labels=["green"])
    make("old apple", archived=True)
    do(tickets.create, other, {"title": "zed apple", "labels": ["red"]})


def test_tickets_are_listed_by_what_is_asked(several, see):
    for wanted, expected in (
        ({}, ["CTX-1", "CTX-2", "ZED-1"]),
        ({"archived": "any"}, ["CTX-1", "CTX-2", "CTX-3", "ZED-1"]),
        ({"archived": "true"}, ["CTX-3"]),
        ({"project": "CTX"}, ["CTX-1", "CTX-2"]),
        ({"readable": frozenset({"ZED"})}, ["ZED-1"]),
        ({"readable": frozenset()}, []),
        ({"readable": frozenset({"ZED"}), "project": "CTX"}, []),
        ({"label": "RED"}, ["CTX-1", "ZED-1"]),
        ({"label": "none"}, []),
        ({"status": "done"}, ["CTX-2"]),
        ({"type": "debug"}, ["CTX-2"]),
        ({"priority": "high"}, ["CTX-1"]),
        ({"assignee": "bob"}, ["CTX-1"]),
        ({"q": "APPLE"}, ["CTX-1", "ZED-1"]),
        ({"q": "apple pie"}, ["CTX-1"]),
        ({"q": "zed-1"}, ["ZED-1"]),
        ({"q": "100%"}, ["CTX-1"]),
        ({"q": "%"}, ["CTX-1"]),
        ({"q": "_"}, []),
        ({"q": "Über"}, ["CTX-1"]),
        ({"q": "ÄPFEL"}, ["CTX-1"]),
        ({"q": "  "}, ["CTX-1", "CTX-2", "ZED-1"]),
        ({"q": "apple", "archived": "any", "project": "CTX"}, ["CTX-1", "CTX-3"]),
    ):
        listing = see(tickets.listing, TicketFilter(**wanted), 100, None)
        assert [ticket.key for ticket in listing.items] == expected, wanted
        assert listing.next_cursor is None


def test_pages_of_tickets_go_on_where_the_last_one_ended(several, do, see):
    keys, cursor = [], None
    for _ in range(3):
        page = see(tickets.listing, TicketFilter(archived="any"), 2, cursor)
        keys += [ticket.key for ticket in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert keys == ["CTX-1", "CTX-2", "CTX-3", "ZED-1"]


def test_more_tickets_than_one_query_takes_have_their_labels(make, see, monkeypatch):
    monkeypatch.setattr(ticket_rows, "_CHUNK", 2)
    first = make("0")
    for number in range(6):
        make(labels=[f"l{number % 3}", "all"], depends_on=[first.key])
    found = see(tickets.listing, TicketFilter(), 10, None).items
    assert [t.labels for t in found] == [[]] + [["all", "l0"], ["all", "l1"], ["all", "l2"]] * 2
    assert [t.depends_on for t in found] == [[]] + [[first.key]] * 6
