"""Projects and teams: columns and what happens to their cards, keys, cascades."""

import pytest
from sqlalchemy import func, select

from cortex_server import auth
from cortex_server.db import schema
from cortex_server.domains import (
    comments,
    labels,
    projects,
    reviews,
    sessions,
    settings,
    teams,
    tickets,
    tokens,
)
from cortex_server.errors import Conflict, Invalid, Malformed, NotFound, OutdatedRevision

COLUMNS = [{"name": "todo"}, {"name": "done", "title": "Finished", "wip_limit": 3}]


def test_a_new_project_has_defaults_and_is_told_as_it_can_be_read(do, see, happened):
    project = do(projects.create, {"key": "CTX", "name": "Cortex"})
    fresh = see(projects.get, "ctx").json_dict()
    event = happened.one()
    assert event["type"] == "project.created"
    assert (event["project"], event["ticket"], event["seq"]) == ("CTX", None, 1)
    assert event["payload"] == fresh == project.json_dict()
    assert [c["name"] for c in fresh["columns"]] == ["backlog", "progress", "review", "done"]
    assert (fresh["team"], fresh["repo_path"], fresh["default_branch"]) == (None, None, "main")
    assert fresh["revision"] == 1


def test_columns_are_kept_with_titles_of_their_own_or_their_names(do, see):
    do(projects.create, {"key": "CTX", "name": "x", "columns": COLUMNS})
    assert see(projects.get, "CTX").json_dict()["columns"] == [
        {"name": "todo", "title": "todo", "wip_limit": None},
        {"name": "done", "title": "Finished", "wip_limit": 3},
    ]


@pytest.mark.parametrize("key", ["CTX", "ctx", "Ctx"])
def test_a_key_is_taken_in_any_case(do, project, key):
    with pytest.raises(Conflict) as raised:
        do(projects.create, {"key": key, "name": "x"})
    assert raised.value.code == "already_exists"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"columns": [{"name": "a"}, {"name": "a"}]}, "columns"),
        ({"team": "nowhere"}, "team"),
    ],
)
def test_what_a_project_is_made_of_is_checked(do, fields, field):
    with pytest.raises(Invalid) as raised:
        do(projects.create, {"key": "CTX", "name": "x", **fields})
    assert raised.value.extra["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("field", "value"), [("name", "New"), ("repo_path", "/src"), ("default_branch", "trunk")]
)
def test_a_changed_field_is_one_project_updated(do, see, project, happened, field, value):
    updated = do(projects.patch, project, {field: value}, 1)
    event = happened.one()
    assert event["type"] == "project.updated"
    assert event["payload"] == updated.json_dict() == see(projects.get, "CTX").json_dict()
    assert (event["payload"][field], updated.revision) == (value, 2)


@pytest.mark.parametrize(
    "changes",
    [{}, {"name": "Cortex"}, {"team": None}, {"columns": list(projects.DEFAULT_COLUMNS)}],
)
def test_a_patch_that_changes_nothing_emits_nothing(do, see, project, happened, changes):
    assert do(projects.patch, project, changes, 1) == project
    assert happened() == []
    assert see(projects.get, "CTX").revision == 1


def test_an_outdated_revision_is_refused(do, project):
    current = do(projects.patch, project, {"name": "New"}, None)
    for verb, arguments in ((projects.patch, ({"name": "x"},)), (projects.delete, ())):
        with pytest.raises(OutdatedRevision) as raised:
            do(verb, current, *arguments, 1)
        assert raised.value.extra["current"] == current.json_dict()


def keep(*names):
    return [c for c in projects.DEFAULT_COLUMNS if c["name"] in names]


def test_a_column_with_cards_goes_only_when_another_takes_them(do, see, project, happened):
    do(tickets.create, project, {"title": "x", "status": "review"})
    happened()
    with pytest.raises(Conflict) as raised:
        do(projects.patch, project, {"columns": keep("backlog", "done")}, None)
    assert raised.value.code == "column_in_use"
    changes = {"columns": keep("backlog", "done"), "move_tickets_to": "review"}
    with pytest.raises(Invalid):
        do(projects.patch, project, changes, None)
    assert happened() == []
    assert see(projects.get, "CTX") == project


def test_an_empty_column_goes_without_a_word(do, project, happened):
    updated = do(projects.patch, project, {"columns": keep("backlog", "done")}, None)
    assert happened.types() == ["project.updated"]
    assert [column.name for column in updated.columns] == ["backlog", "done"]


def test_cards_of_removed_columns_move_in_order_to_the_end_of_the_target(
    do, see, project, happened
):
    def card(status, **fields):
        return do(tickets.create, project, {"title": "x", "status": status, **fields}).key

    there = card("done")
    second = card("review")
    first = card("review", position=0)
    hidden = card("review", archived=True)
    other = card("progress")
    happened()
    changes = {"columns": keep("backlog", "done"), "move_tickets_to": "done"}
    do(projects.patch, project, changes, None)
    events = happened()
    assert [(e["type"], e["ticket"]) for e in events] == [
        ("ticket.moved", other), ("ticket.moved", first), ("ticket.moved", second),
        ("ticket.moved", hidden), ("project.updated", None),
    ]  # fmt: skip
    for event in events[:-1]:
        fresh = see(tickets.get, event["ticket"]).json_dict()
        assert {k: v for k, v in event["payload"].items() if k != "changed"} == fresh
        assert fresh["revision"] == 2
    shown = [there, other, first, second]
    assert [see(tickets.placed, see(tickets.get, key)).position for key in shown] == [0, 1, 2, 3]


def test_deleting_a_project_is_one_event_and_leaves_nothing(store, do, see, project, happened):
    ticket = do(tickets.create, project, {"title": "x", "labels": ["red"]})
    do(tickets.create, project, {"title": "y", "depends_on": [ticket.key]})
    do(comments.add, ticket, {"body": "x"})
    do(reviews.request, ticket, {"summary": "x"})
    do(sessions.start, ticket, {})
    do(settings.patch, "CTX", {"default_type": "chore"}, None)
    happened()
    do(projects.delete, project, 1)
    event = happened.one()
    assert (event["type"], event["project"]) == ("project.deleted", "CTX")
    assert event["payload"] == {"id": project.id, "key": "CTX"}
    with pytest.raises(NotFound):
        see(projects.get, "CTX")
    with store.read() as tx:
        for name in ("tickets", "labels", "comments", "reviews", "sessions", "messages",
                     "ticket_labels", "ticket_dependencies", "settings"):  # fmt: skip
            table = schema.metadata.tables[name]
            assert tx.conn.scalar(select(func.count()).select_from(table)) == 0, name


def test_a_token_of_a_deleted_project_does_not_open_a_later_one_of_that_key(do, see, project):
    made = do(tokens.create, {"name": "ci", "role": "read", "projects": [project.key]})
    do(projects.delete, project, None)
    do(projects.create, {"key": project.key, "name": "Another"})
    assert see(auth.grant_for, made.secret).projects == frozenset()


def test_projects_are_listed_by_key_in_pages_as_far_as_they_may_be_read(do, see):
    for key in ("C", "A", "B"):
        do(projects.create, {"key": key, "name": key})
    first = see(projects.listing, None, 2, None)
    assert [p.key for p in first.items] == ["A", "B"]
    second = see(projects.listing, None, 2, first.next_cursor)
    assert [p.key for p in second.items] == ["C"]
    assert second.next_cursor is None
    some = see(projects.listing, frozenset({"B", "C", "gone"}), 9, None)
    assert [p.key for p in some.items] == ["B", "C"]


@pytest.mark.parametrize("cursor", ["", "x", "W10", "WyJhIiwgMV0", "e30", "=", "é"])
def test_a_cursor_that_is_not_ours_is_malformed(see, cursor):
    with pytest.raises(Malformed):
        see(projects.listing, None, 2, cursor)


# teams


@pytest.fixture
def team(do):
    return do(teams.create, {"key": "Core", "name": "The core"})


def test_a_new_team_is_told_as_it_can_be_read(do, see, happened):
    team = do(teams.create, {"key": "Core", "name": "x", "color": "red"})
    event = happened.one()
    assert (event["type"], event["project"], event["seq"]) == ("team.created", None, None)
    assert event["payload"] == team.json_dict() == see(teams.get, "CORE").json_dict()
    with pytest.raises(Conflict):
        do(teams.create, {"key": "core", "name": "x"})


def test_a_changed_team_is_told_and_an_unchanged_one_is_not(do, see, team, happened):
    updated = do(teams.patch, team, {"name": "New"}, 1)
    event = happened.one()
    assert event["type"] == "team.updated"
    assert event["payload"] == updated.json_dict() == see(teams.get, "Core").json_dict()
    assert do(teams.patch, updated, {"name": "New", "color": None}, 2) == updated
    assert happened() == []
    with pytest.raises(OutdatedRevision):
        do(teams.patch, updated, {"name": "x"}, 1)


def test_a_projects_team_is_written_as_the_team_is(do, team):
    assert do(projects.create, {"key": "A", "name": "a", "team": "CORE"}).team == "Core"


def test_deleting_a_team_frees_its_projects_first(do, see, team, happened):
    for key in ("B", "A", "C"):
        do(projects.create, {"key": key, "name": key, "team": None if key == "C" else "core"})
    happened()
    with pytest.raises(OutdatedRevision):
        do(teams.delete, team, 2)
    do(teams.delete, team, 1)
    events = happened()
    assert [(e["type"], e["project"]) for e in events] == [
        ("project.updated", "A"), ("project.updated", "B"), ("team.deleted", None),
    ]  # fmt: skip
    assert events[0]["payload"] == see(projects.get, "A").json_dict()
    assert events[0]["payload"]["team"] is None
    assert events[2]["payload"] == {"id": team.id, "key": "Core"}
    with pytest.raises(NotFound):
        see(teams.get, "Core")


def test_teams_are_listed_by_key_in_pages(do, see):
    for key in ("C", "A", "B"):
        do(teams.create, {"key": key, "name": key})
    first = see(teams.listing, 2, None)
    second = see(teams.listing, 2, first.next_cursor)
    assert [t.key for t in (*first.items, *second.items)] == ["A", "B", "C"]


# labels


@pytest.fixture
def label(do, project):
    return do(labels.create, "CTX", {"name": "Red", "color": "#f00", "priority": 2})


def test_a_new_label_is_told_as_it_can_be_read(do, see, project, happened):
    label = do(labels.create, "CTX", {"name": "Red"})
    event = happened.one()
    assert (event["type"], event["project"]) == ("label.created", "CTX")
    assert event["payload"] == label.json_dict() == see(labels.get, label.id).json_dict()
    assert (label.color, label.priority, label.revision) == (None, 0, 1)


@pytest.mark.parametrize("name", ["Red", "red", "RED"])
def test_a_labels_name_is_taken_in_any_case(do, label, name):
    with pytest.raises(Conflict):
        do(labels.create, "CTX", {"name": name})
    other = do(projects.create, {"key": "B", "name": "b"})
    assert do(labels.create, other.key, {"name": name}).name == name


def test_a_changed_label_is_one_event_and_an_unchanged_one_none(do, see, label, happened):
    updated = do(labels.patch, label, {"color": None, "priority": 5}, 1)
    event = happened.one()
    assert event["type"] == "label.updated"
    assert event["payload"] == updated.json_dict() == see(labels.get, label.id).json_dict()
    assert do(labels.patch, updated, {"name": "Red", "priority": 5}, 2) == updated
    assert happened() == []


@pytest.mark.parametrize("name", ["Crimson", "RED"])
def test_a_renamed_label_shows_on_its_tickets_by_number(do, see, project, label, happened, name):
    made = [do(tickets.create, project, {"title": "x", "labels": ["red"]}) for _ in range(11)]
    do(tickets.create, project, {"title": "without"})
    happened()
    do(labels.patch, label, {"name": name}, None)
    first, *rest = happened()
    assert first["type"] == "label.updated"
    assert [(e["type"], e["ticket"]) for e in rest] == [("ticket.updated", t.key) for t in made]
    for event in rest:
        assert event["payload"]["changed"] == {"labels": {"from": ["Red"], "to": [name]}}
        fresh = see(tickets.get, event["ticket"]).json_dict()
        assert {k: v for k, v in event["payload"].items() if k != "changed"} == fresh
        assert fresh["revision"] == 2


def test_a_label_is_not_renamed_to_anothers_name(do, label, happened):
    do(labels.create, "CTX", {"name": "Blue"})
    happened()
    with pytest.raises(Conflict):
        do(labels.patch, label, {"name": "BLUE"}, None)
    assert happened() == []


def test_a_deleted_label_leaves_its_tickets_first(do, see, project, label, happened):
    made = [do(tickets.create, project, {"title": "x", "labels": ["red"]}) for _ in range(2)]
    happened()
    do(labels.delete, label, 1)
    events = happened()
    assert [(e["type"], e["ticket"]) for e in events] == [
        ("ticket.unlabeled", made[0].key), ("ticket.unlabeled", made[1].key),
        ("label.deleted", None),
    ]  # fmt: skip
    assert events[0]["payload"]["label"] == label.json_dict()
    assert events[0]["payload"]["labels"] == see(tickets.get, made[0].key).labels == []
    assert events[2]["payload"] == {"id": label.id, "name": "Red"}
    with pytest.raises(NotFound):
        see(labels.get, label.id)


def test_labels_are_listed_by_name_in_pages(do, see, project):
    for name in ("b", "C", "a"):
        do(labels.create, "CTX", {"name": name})
    first = see(labels.listing, "CTX", 2, None)
    second = see(labels.listing, "CTX", 2, first.next_cursor)
    assert [x.name for x in (*first.items, *second.items)] == ["a", "b", "C"]
    assert second.next_cursor is None
