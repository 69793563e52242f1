"""Tickets: what each change stores, which events it causes, in which order, and what it refuses."""

import gevent
import pytest

from cortex_server.domains import (
    label_rows,
    labels,
    projects,
    settings,
    tickets,
)
from cortex_server.domains.tickets import TicketFilter
from cortex_server.errors import Conflict, Invalid, NotFound, OutdatedRevision
from tests.support.stores import ALICE

EXTRA = ("changed", "label")


def of(ticket):
    return ticket.json_dict()


def bare(event):
    """The ticket in a payload, without what the event adds to it."""
    return {name: value for name, value in event["payload"].items() if name not in EXTRA}


def test_a_new_ticket_has_defaults_and_is_told_as_it_can_be_read(make, fresh, clock, happened):
    ticket = make("Build it")
    assert of(ticket) == {
        "id": ticket.id, "key": "CTX-1", "project": "CTX", "number": 1, "title": "Build it",
        "body": "", "type": "work", "status": "backlog", "rank": ticket.rank, "priority": "none",
        "labels": [], "assignee": None, "due": None, "references": [], "depends_on": [],
        "archived": False, "revision": 1, "created_at": "2026-01-26T15:53:01.717454Z",
        "updated_at": "2026-01-26T15:53:01.717454Z",
    }  # fmt: skip
    event = happened.one()
    assert event["type"] == "ticket.created"
    assert (event["project"], event["ticket"], event["seq"]) == ("CTX", "CTX-1", 2)
    assert event["actor"] == {"kind": "user", "name": "alice"}
    assert event["payload"] == of(ticket) == of(fresh("CTX-1"))


def test_a_new_ticket_keeps_every_field(make, fresh, ticket):
    fields = {
        "body": "# é\r\n\u2028", "type": "debug", "status": "review", "priority": "urgent",
        "labels": ["b", "a"], "assignee": "bob", "due": "2026-02-01", "references": ["x", "y"],
        "depends_on": [ticket.key.lower()],
    }  # fmt: skip
    made = make("T", **fields)
    expected = fields | {"labels": ["a", "b"], "depends_on": [ticket.key]}
    assert {name: of(fresh(made.key))[name] for name in fields} == expected


def test_type_and_priority_default_to_the_projects_settings(make, do):
    do(settings.patch, "CTX", {"default_type": "chore", "default_priority": "low"}, None)
    assert (make().type, make().priority) == ("chore", "low")
    assert make(type="debug", priority="high").type == "debug"


def test_unknown_labels_are_created_first_known_ones_are_found_in_any_case(make, do, happened):
    make(labels=["Red", "blue"])
    happened()
    second = make(labels=["RED", "green", "red"])
    created, ticket = happened()
    assert created["type"] == "label.created"
    assert created["payload"]["name"] == "green"
    assert created["ticket"] is None
    assert ticket["type"] == "ticket.created"
    assert second.labels == ["Red", "green"]


def test_numbers_count_up_and_are_never_used_twice(make, do):
    first, second = make(), make()
    do(tickets.delete, second, None)
    assert (first.key, make().key) == ("CTX-1", "CTX-3")


def test_a_failed_creation_uses_no_number(make, do, project):
    with pytest.raises(Invalid):
        make(status="nowhere")

    def fail_after(tx):
        tickets.create(tx, project, {"title": "x"})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do(fail_after)
    assert make().key == "CTX-1"


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"status": "nowhere"}, "status"), ({"depends_on": ["CTX-99"]}, "depends_on")],
)
def test_what_a_new_ticket_refers_to_must_be_there(make, fields, field):
    with pytest.raises(Invalid) as raised:
        make(**fields)
    assert raised.value.extra["errors"][0]["field"] == field


def test_an_id_is_taken_once(make):
    one = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert make(id=one).id == one
    with pytest.raises(Conflict) as raised:
        make(id=one)
    assert raised.value.code == "already_exists"


def test_a_ticket_is_found_by_key_in_any_case_and_by_id(ticket, fresh):
    for ref in ("ctx-1", "CTX-1", ticket.id, ticket.id.upper()):
        assert fresh(ref) == ticket
    for ref in ("CTX-2", "CTX", "", "01890a5d-ac96-774b-bcce-b302099a8057"):
        with pytest.raises(NotFound):
            fresh(ref)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "New"), ("body", "New"), ("type", "chore"), ("priority", "high"),
        ("assignee", "bob"), ("due", "2026-02-01"), ("references", ["a", "b"]), ("archived", True),
    ],
)  # fmt: skip
def test_a_changed_field_is_one_ticket_updated(ticket, patch, fresh, clock, happened, field, value):
    clock.advance(60)
    before = of(ticket)[field]
    updated = patch(ticket, **{field: value})
    event = happened.one()
    assert event["type"] == "ticket.updated"
    assert event["payload"]["changed"] == {field: {"from": before, "to": value}}
    assert bare(event) == of(updated) == of(fresh(ticket.key))
    assert updated.revision == 2
    assert updated.updated_at > updated.created_at == ticket.created_at


def test_one_patch_emits_each_kind_once_in_order_with_the_final_state(
    ticket, make, patch, fresh, happened
):
    patch(ticket, labels=["old", "older", "kept"])
    make(status="done")
    happened()
    updated = patch(
        fresh(ticket.key), title="New", status="done", labels=["kept", "zeta", "alpha"],
        archived=True,
    )  # fmt: skip
    events = happened()
    assert [event["type"] for event in events] == [
        "label.created", "label.created", "ticket.updated", "ticket.unlabeled", "ticket.unlabeled",
        "ticket.labeled", "ticket.labeled", "ticket.moved",
    ]  # fmt: skip
    assert all(bare(event) == of(updated) == of(fresh(ticket.key)) for event in events[2:])
    assert list(events[2]["payload"]["changed"]) == ["title", "archived"]
    assert [event["payload"]["label"]["name"] for event in events[3:7]] == [
        "old", "older", "alpha", "zeta",
    ]  # fmt: skip
    assert events[7]["payload"]["changed"].keys() == {"status", "rank"}
    assert events[7]["payload"]["changed"]["status"] == {"from": "backlog", "to": "done"}
    assert updated.revision == 3


def test_labels_in_a_payload_are_the_whole_label(ticket, patch, see, happened):
    patch(ticket, labels=["red"])
    created, labeled = happened()
    assert labeled["payload"]["label"] == created["payload"]
    assert see(labels.get, created["payload"]["id"]).json_dict() == created["payload"]


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"title": "x"}, {"status": "backlog"}, {"labels": ["RED"]}, {"labels": ["Red", "red"]},
        {"references": []}, {"depends_on": []}, {"archived": False},
        {"title": "x", "body": "", "priority": "none", "assignee": None},
    ],
)  # fmt: skip
def test_a_patch_that_changes_nothing_emits_nothing(make, patch, fresh, happened, changes):
    ticket = make(labels=["Red"])
    happened()
    assert patch(ticket, revision=1, **changes) == ticket
    assert happened() == []
    assert fresh(ticket.key).revision == 1


def test_an_outdated_revision_is_refused_with_the_current_object(ticket, do, patch, fresh):
    current = patch(ticket, title="New")
    attempts = [
        lambda: patch(current, revision=1, title="Other"),
        lambda: do(tickets.move, current, "done", None, 1),
        lambda: do(tickets.delete, current, 1),
        lambda: do(tickets.add_label, current, "x", 1),
        lambda: patch(current, revision=3, title="Other"),
    ]
    for attempt in attempts:
        with pytest.raises(OutdatedRevision) as raised:
            attempt()
        assert raised.value.extra["current"] == of(current)
    assert fresh(ticket.key) == current
    assert patch(current, revision=2, title="Other").revision == 3


def test_adding_and_removing_a_label(ticket, do, see, fresh, happened):
    labeled = do(tickets.add_label, ticket, "Red")
    assert labeled.labels == ["Red"]
    assert do(tickets.add_label, labeled, "RED") == labeled
    bare_again = do(tickets.remove_label, labeled, "red")
    assert happened.types() == ["label.created", "ticket.labeled", "ticket.unlabeled"]
    assert bare_again == fresh(ticket.key)
    assert (bare_again.labels, bare_again.revision) == ([], 3)
    with pytest.raises(NotFound):
        do(tickets.remove_label, bare_again, "red")


def test_a_move_is_one_event_with_the_new_place(make, do, see, fresh, happened):
    first, second, third = make("1"), make("2"), make("3")
    happened()
    moved = do(tickets.move, third, "backlog", 1, 1)
    event = happened.one()
    assert event["type"] == "ticket.moved"
    assert event["payload"]["changed"] == {"rank": {"from": third.rank, "to": moved.rank}}
    assert bare(event) == of(moved) == of(fresh(third.key))
    assert first.rank < moved.rank < second.rank
    assert [see(tickets.placed, fresh(t.key)).position for t in (first, third, second)] == [0, 1, 2]
    assert moved.revision == 2


@pytest.mark.parametrize(("number", "position"), [(1, 0), (2, 1), (3, 2), (3, None), (3, 99)])
def test_a_move_to_where_it_stands_is_nothing(make, do, happened, number, position):
    made = [make() for _ in range(3)]
    happened()
    ticket = made[number - 1]
    assert do(tickets.move, ticket, "backlog", position, 1) == ticket
    assert happened() == []


def test_a_card_stands_where_it_was_moved_whatever_was_before_it(make, do, see):
    keys = [make().key for _ in range(4)]
    for start in range(4):
        for target in (0, 1, 2, 3, 9, None):
            key = keys.pop(start)
            keys.insert(3 if target is None else min(target, 3), key)
            do(tickets.move, see(tickets.get, key), "backlog", target, None)
            found = see(tickets.listing, TicketFilter(), 9, None).items
            assert [t.key for t in sorted(found, key=lambda t: t.rank)] == keys


def test_a_move_to_a_column_that_is_not_there_is_refused(ticket, do, happened):
    with pytest.raises(Invalid, match="backlog, progress, review, done"):
        do(tickets.move, ticket, "nowhere", 0, None)
    assert happened() == []


def test_a_patch_of_the_status_goes_to_the_end(make, patch, see, fresh):
    make(status="done")
    ticket = make()
    patch(ticket, status="done")
    assert see(tickets.placed, fresh(ticket.key)).position == 1


def test_an_archived_ticket_has_no_position_and_comes_back_to_its_place(make, patch, see, fresh):
    first, second, third = make(), make(), make()
    patch(second, archived=True)
    assert see(tickets.placed, fresh(second.key)).position is None
    assert see(tickets.placed, fresh(third.key)).position == 1
    make(position=1)
    patch(fresh(second.key), archived=False)
    ranks = sorted((fresh(t.key).rank, t.key) for t in (first, second, third))
    assert [key for _, key in ranks] == [first.key, second.key, third.key]


def test_deleting_frees_those_that_depend_on_it_first(make, do, fresh, happened):
    gone, other = make("gone"), make("other")
    needs_both = make(depends_on=[gone.key, other.key])
    needs_it = make(depends_on=[gone.id])
    happened()
    do(tickets.delete, gone, 1)
    events = happened()
    assert [(e["type"], e["ticket"]) for e in events] == [
        ("ticket.updated", needs_both.key), ("ticket.updated", needs_it.key),
        ("ticket.deleted", gone.key),
    ]  # fmt: skip
    assert events[0]["payload"]["changed"] == {
        "depends_on": {"from": [gone.key, other.key], "to": [other.key]}
    }
    assert bare(events[0]) == of(fresh(needs_both.key))
    assert events[2]["payload"] == {"id": gone.id, "key": gone.key}
    with pytest.raises(NotFound):
        fresh(gone.key)


def test_a_deleted_ticket_takes_its_labels_and_what_it_needs_along(make, do, see, happened):
    base = make()
    ticket = make(labels=["red"], depends_on=[base.key])
    happened()
    do(tickets.delete, ticket, None)
    assert happened.types() == ["ticket.deleted"]
    label = see(label_rows.named, "CTX", "red")
    assert see(labels.carriers, label) == []
    do(tickets.delete, base, None)
    assert happened.types() == ["ticket.deleted"]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_circle_of_dependencies_is_refused(make, patch, fresh, happened, length):
    chain = [make()]
    for _ in range(length - 1):
        chain.append(make(depends_on=[chain[-1].key]))
    happened()
    with pytest.raises(Invalid, match="depend on itself"):
        patch(chain[0], depends_on=[chain[-1].key])
    assert happened() == []
    assert fresh(chain[0].key).depends_on == []


def test_dependencies_that_meet_again_are_no_circle(make, patch, fresh):
    base = make()
    left, right = make(depends_on=[base.key]), make(depends_on=[base.key])
    top = make(depends_on=[left.key, right.key])
    assert fresh(top.key).depends_on == [left.key, right.key]
    with pytest.raises(Invalid):
        patch(base, depends_on=[top.key])


def test_dependencies_stay_in_the_project(do, make):
    other = do(projects.create, {"key": "B", "name": "b"})
    elsewhere = do(tickets.create, other, {"title": "x"})
    with pytest.raises(Invalid, match="in project CTX"):
        make(depends_on=[elsewhere.key])


def test_dependencies_are_replaced_and_told(make, patch, happened):
    a, b, c = make(), make(), make()
    ticket = make(depends_on=[a.key, b.key])
    happened()
    updated = patch(ticket, depends_on=[c.id, b.key, b.id])
    assert updated.depends_on == [b.key, c.key]
    assert happened.types() == ["ticket.updated"]
    patch(updated, depends_on=[c.key.lower(), b.key])
    assert happened() == []


def test_others_read_on_while_a_long_change_goes_on(store, make, project):
    for _ in range(10):
        make()
    seen = []

    def reader():
        while True:
            with store.read() as tx:
                seen.append(len(tickets.listing(tx, TicketFilter(status="done"), 20, None).items))
            gevent.sleep(0)

    greenlet = gevent.spawn(reader)
    gevent.sleep(0)
    with store.write(ALICE) as tx:
        columns = [{"name": "done"}]
        projects.patch(tx, project, {"columns": columns, "move_tickets_to": "done"}, None)
        during = list(seen)
    greenlet.kill()
    assert len(during) > 5
    assert set(during) == {0}
    assert set(seen) <= {0, 10}, "nobody sees half of a transaction"
