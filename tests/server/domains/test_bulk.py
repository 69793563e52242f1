"""Several tickets in one change: all or none, each as the single change would do it."""

import pytest

from cortex_server.domains import bulk, projects, tickets
from cortex_server.errors import Invalid, OutdatedRevision


def test_several_are_created_in_their_order(do, see, project, happened):
    made = do(bulk.create, project, [{"title": "a", "labels": ["x"]}, {"title": "b"}])
    assert [t.title for t in made] == ["a", "b"]
    assert [t.number for t in made] == [3, 4]
    assert made == [see(tickets.get, t.key) for t in made]
    assert happened.types() == ["label.created", "ticket.created", "ticket.created"]


def test_what_is_wrong_is_named_by_its_place_and_nothing_is_stored(do, see, project, happened):
    rows = [
        {"title": "a"},
        {"title": "b", "status": "nowhere"},
        {"title": "c", "depends_on": ["CTX-99"]},
    ]
    with pytest.raises(Invalid) as raised:
        do(bulk.create, project, rows)
    fields = [error["field"] for error in raised.value.extra["errors"]]
    assert fields == ["tickets.1.status", "tickets.2.depends_on"]
    assert see(tickets.find, "CTX-3") is None
    assert happened() == []
    assert do(tickets.create, project, {"title": "next"}).number == 3


def test_several_are_moved_and_changed_at_once(do, see, project, ticket, other_ticket, happened):
    changed = do(
        bulk.change, project,
        [
            {"ticket": ticket.key.lower(), "status": "done", "position": None},
            {"ticket": other_ticket.id, "status": "done", "position": 0, "priority": "high"},
        ],
    )  # fmt: skip
    assert [t.key for t in changed] == [ticket.key, other_ticket.key]
    assert [t.status for t in changed] == ["done", "done"]
    first, second = (see(tickets.get, t.key) for t in changed)
    assert second.rank < first.rank
    assert second.priority == "high"
    assert happened.types() == ["ticket.moved", "ticket.moved", "ticket.updated"]


def test_an_outdated_revision_refuses_them_all(do, see, project, ticket, other_ticket, happened):
    rows = [
        {"ticket": ticket.key, "status": "done"},
        {"ticket": other_ticket.key, "status": "done", "position": 0, "revision": 7},
    ]
    with pytest.raises(OutdatedRevision, match=other_ticket.key):
        do(bulk.change, project, rows)
    assert see(tickets.get, ticket.key) == ticket
    assert happened() == []


def test_a_ticket_of_another_project_is_refused(do, see, project, ticket, happened):
    other = do(projects.create, {"key": "ELSE", "name": "x"})
    happened()
    with pytest.raises(Invalid) as raised:
        do(bulk.change, other, [{"ticket": ticket.key, "status": "done"}])
    assert raised.value.extra["errors"][0]["field"] == "changes.0.ticket"
    assert happened() == []
