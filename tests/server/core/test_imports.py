"""Importing tickets: all or none, and the second time nothing."""

import pytest

from cortex_server.domains import projects, tickets
from cortex_server.domains.imports import import_tickets
from cortex_server.domains.tickets import TicketFilter
from cortex_server.errors import Invalid

A, B, C = (f"01890a5d-ac96-774b-bcce-b302099a805{n}" for n in "123")


def row(ticket_id, title="x", **fields):
    return {"id": ticket_id, "title": title, "body": "", **fields}


FULL = row(
    A, "Full", body="text", type="debug", status="done", priority="high", labels=["b", "a"],
    assignee="bob", due="2026-03-01", references=["r"], archived=True,
    created_at="2020-01-01T00:00:00.000000Z", updated_at="2021-01-01T00:00:00.000000Z",
)  # fmt: skip


def test_new_rows_become_tickets_with_all_that_they_say(do, see, project, happened):
    result = do(import_tickets, project, [FULL, row(B)])
    assert (result.created, result.updated, result.unchanged) == (["CTX-1", "CTX-2"], [], [])
    assert [item.id for item in result.items] == [A, B]
    fresh = see(tickets.get, A)
    expected = {**FULL, "labels": ["a", "b"]}
    assert {name: fresh.json_dict()[name] for name in FULL} == expected
    assert happened.types() == ["label.created"] * 2 + ["ticket.created"] * 2


def test_importing_twice_changes_nothing_and_emits_nothing(do, see, clock, project, happened):
    rows = [FULL, row(B)]
    do(import_tickets, project, rows)
    before = see(tickets.listing, TicketFilter(archived="any"), 9, None)
    happened()
    clock.advance(1000)
    result = do(import_tickets, project, rows)
    assert (result.created, result.updated) == ([], [])
    assert result.unchanged == ["CTX-1", "CTX-2"]
    assert happened() == []
    assert see(tickets.listing, TicketFilter(archived="any"), 9, None) == before
    assert result.items == list(before.items)


def test_a_changed_row_updates_its_ticket_and_keeps_the_time_it_says(do, see, project, happened):
    do(import_tickets, project, [FULL, row(B)])
    happened()
    changed = {
        **FULL, "title": "New", "labels": ["a"], "updated_at": "2022-01-01T00:00:00.000000Z",
    }  # fmt: skip
    result = do(import_tickets, project, [changed, row(B)])
    assert (result.updated, result.unchanged) == (["CTX-1"], ["CTX-2"])
    events = happened()
    assert [event["type"] for event in events] == ["ticket.updated", "ticket.unlabeled"]
    fresh = see(tickets.get, A)
    assert fresh.updated_at == "2022-01-01T00:00:00.000000Z"
    assert all(event["payload"]["updated_at"] == fresh.updated_at for event in events)
    assert (fresh.title, fresh.revision) == ("New", 2)


def test_what_a_row_does_not_say_is_left_as_it_is(do, see, project):
    do(import_tickets, project, [FULL])
    do(import_tickets, project, [{"id": A, "title": "New", "body": "text"}])
    fresh = see(tickets.get, A)
    assert (fresh.title, fresh.labels, fresh.assignee, fresh.archived) == (
        "New", ["a", "b"], "bob", True,
    )  # fmt: skip


@pytest.mark.parametrize("bad_first", [True, False])
def test_one_bad_row_stores_none_and_every_bad_row_is_named(do, see, project, happened, bad_first):
    bad = [row(B, status="nowhere"), row(C, status="elsewhere")]
    rows = [*bad, row(A, labels=["new"])] if bad_first else [row(A, labels=["new"]), *bad]
    with pytest.raises(Invalid) as raised:
        do(import_tickets, project, rows)
    start = 0 if bad_first else 1
    assert [error["field"] for error in raised.value.extra["errors"]] == [
        f"tickets.{start}.status", f"tickets.{start + 1}.status",
    ]  # fmt: skip
    assert happened() == []
    assert see(tickets.listing, TicketFilter(archived="any"), 9, None).items == []
    assert do(tickets.create, project, {"title": "x"}).key == "CTX-1"


def test_an_id_stands_once_in_an_import(do, project, happened):
    with pytest.raises(Invalid) as raised:
        do(import_tickets, project, [row(A), row(B), row(A)])
    (error,) = raised.value.extra["errors"]
    assert error == {"field": "tickets.2.id", "message": "stands twice in this import"}
    assert happened() == []


def test_a_ticket_of_another_project_is_not_taken_over(do, see, project):
    other = do(projects.create, {"key": "B", "name": "b"})
    theirs = do(tickets.create, other, {"title": "theirs", "id": A})
    with pytest.raises(Invalid) as raised:
        do(import_tickets, project, [row(A, "mine")])
    assert raised.value.extra["errors"][0]["field"] == "tickets.0.id"
    assert see(tickets.get, A) == theirs


def test_an_import_of_nothing_is_nothing(do, project, happened):
    result = do(import_tickets, project, [])
    assert result.items == []
    assert happened() == []


def test_an_archived_row_takes_no_place_from_the_cards(do, see, project):
    first = do(tickets.create, project, {"title": "1", "status": "done"})
    do(import_tickets, project, [FULL])
    second = do(tickets.create, project, {"title": "2", "status": "done"})
    assert [see(tickets.placed, t).position for t in (first, second)] == [0, 1]
    do(tickets.patch, see(tickets.get, A), {"archived": False}, None)
    assert see(tickets.placed, see(tickets.get, A)).position == 1
