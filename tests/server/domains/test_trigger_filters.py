"""Which events a trigger is for."""

import pytest

from cortex_server.domains.trigger_filters import LOGGED, expand, matches

EVENT = {
    "type": "ticket.moved", "ticket": "CTX-1", "actor": {"kind": "agent", "name": "bob"},
    "payload": {
        "status": "review", "labels": ["bug", "ui"], "number": 3, "archived": False,
        "assignee": None, "changed": {"status": {"from": "progress", "to": "review"}},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"status": "review"},
        {"status": ["done", "review"]},
        {"labels": "bug"},
        {"labels": ["x", "ui"]},
        {"changed.status.to": "review"},
        {"number": 3},
        {"number": "3"},
        {"archived": False},
        {"archived": "false"},
        {"assignee": None},
        {"assignee": "null"},
        {"actor.kind": "agent", "ticket": "CTX-1"},
    ],
)
def test_an_event_that_has_it_all(wanted):
    assert matches(wanted, EVENT)


@pytest.mark.parametrize(
    "wanted",
    [
        {"status": "done"},
        {"status": "review", "number": 4},
        {"labels": "b"},
        {"labels": []},
        {"number": True},
        {"archived": 0},
        {"missing": None},
        {"status.to": "review"},
        {"changed.status": "review"},
        {"actor.kind": "user"},
    ],
)
def test_an_event_that_lacks_something(wanted):
    assert not matches(wanted, EVENT)


def test_names_and_families_of_types():
    assert expand(["ticket.moved", "review.*"]) == {
        "ticket.moved", "review.requested", "review.resolved",
    }  # fmt: skip
    assert expand(["*"]) == LOGGED


@pytest.mark.parametrize("name", ["ticket.flew", "nothing.*", "message.delta", "ticket", "tick*"])
def test_a_name_that_stands_for_nothing_is_refused(name):
    with pytest.raises(ValueError, match="no event type"):
        expand(["ticket.moved", name])
