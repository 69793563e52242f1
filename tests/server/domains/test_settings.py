"""Settings: declared, checked, and complete with their defaults."""

import pytest

from cortex_server.config import Config
from cortex_server.domains import projects, settings
from cortex_server.errors import Invalid, NotFound, OutdatedRevision

PROJECT_DEFAULTS = {
    "default_type": "work",
    "default_priority": "none",
    "done_column": None,
    "attempts_parallel": 4,
    "started_moves_to": "progress",
    "succeeded_moves_to": "review",
    "merged_moves_to": "done",
    "commit_uncommitted": True,
    "push": True,
    "open_pr": True,
    "session_silent_s": 300,
    "agents_write_memory": False,
}


def test_nothing_set_means_the_defaults(see, project):
    found = see(settings.get, "ctx")
    assert found.json_dict() == {
        "scope": "project",
        "project": "CTX",
        "values": PROJECT_DEFAULTS,
        "revision": 1,
    }
    server = see(settings.get, None)
    assert (server.scope, server.project, server.revision) == ("global", None, 1)
    assert server.values == {"log_retention_days": 90.0, "log_retention_events": 10_000_000}


def test_the_servers_defaults_come_from_its_configuration(do, see, tmp_path):
    config = Config(data_dir=tmp_path, log_retention_days=7.0)
    assert see(settings.get, None, config).values["log_retention_days"] == 7.0
    do(settings.patch, None, {"log_retention_events": 500}, None, config)
    assert see(settings.global_values, config) == {
        "log_retention_days": 7.0,
        "log_retention_events": 500,
    }


def test_a_change_is_told_as_a_get_shows_it(do, see, project, happened):
    changed = do(settings.patch, "CTX", {"default_priority": "high", "done_column": "review"}, 1)
    assert changed.revision == 2
    assert changed.values == PROJECT_DEFAULTS | {
        "default_priority": "high",
        "done_column": "review",
    }
    event = happened.one()
    assert (event["type"], event["project"]) == ("settings.updated", "CTX")
    assert event["payload"] == see(settings.get, "CTX").json_dict() == changed.json_dict()


def test_a_change_of_the_server_belongs_to_no_project(do, happened):
    do(settings.patch, None, {"log_retention_days": 30}, None)
    event = happened.one()
    assert (event["project"], event["seq"]) == (None, None)
    assert event["payload"]["values"]["log_retention_days"] == 30


def test_null_goes_back_to_the_default(do, see, happened, project):
    do(settings.patch, "CTX", {"default_type": "debug"}, None)
    back = do(settings.patch, "CTX", {"default_type": None}, None)
    assert (back.values, back.revision) == (PROJECT_DEFAULTS, 3)
    assert do(settings.patch, "CTX", {"default_type": None, "done_column": None}, None) == back
    assert do(settings.patch, "CTX", {}, None) == back
    assert happened.types() == ["settings.updated", "settings.updated"]


@pytest.mark.parametrize(
    ("scope", "values"),
    [
        ("CTX", {"colour": "red"}),
        ("CTX", {"log_retention_days": 3}),
        ("CTX", {"default_type": "chess"}),
        ("CTX", {"default_priority": 1}),
        ("CTX", {"done_column": "nowhere"}),
        ("CTX", {"done_column": 3}),
        (None, {"default_type": "work"}),
        (None, {"log_retention_days": 0}),
        (None, {"log_retention_days": "7"}),
        (None, {"log_retention_days": float("nan")}),
        (None, {"log_retention_events": True}),
        (None, {"log_retention_events": 1.5}),
    ],
)
def test_what_is_not_declared_or_does_not_fit_is_refused(do, project, happened, scope, values):
    with pytest.raises(Invalid) as refused:
        do(settings.patch, scope, values, None)
    (error,) = refused.value.extra["errors"]
    assert error["field"] == f"values.{next(iter(values))}"
    assert happened() == []


def test_every_refused_value_is_named(do, project):
    with pytest.raises(Invalid) as refused:
        do(settings.patch, "CTX", {"a": 1, "default_type": "work", "b": 2}, None)
    assert [e["field"] for e in refused.value.extra["errors"]] == ["values.a", "values.b"]


def test_a_change_of_an_older_revision_is_refused(do, project):
    do(settings.patch, "CTX", {"default_type": "debug"}, 1)
    with pytest.raises(OutdatedRevision):
        do(settings.patch, "CTX", {"default_type": "chore"}, 1)


def test_a_done_column_that_was_removed_is_the_last_one_again(do, see, project):
    do(settings.patch, "CTX", {"done_column": "review"}, None)
    assert see(settings.project_values, see(projects.get, "CTX"))["done_column"] == "review"
    columns = [{"name": "todo"}, {"name": "shipped"}]
    do(projects.patch, project, {"columns": columns, "move_tickets_to": "todo"}, None)
    assert see(settings.get, "CTX").values["done_column"] is None
    assert see(settings.project_values, see(projects.get, "CTX"))["done_column"] == "shipped"


def test_settings_of_a_project_that_is_not_there_are_not_found(do, see):
    with pytest.raises(NotFound):
        see(settings.get, "NOPE")
    with pytest.raises(NotFound):
        do(settings.patch, "NOPE", {}, None)


def test_every_setting_says_what_it_means():
    assert len({known.name for known in settings.KNOWN}) == len(settings.KNOWN)
    for known in settings.KNOWN:
        assert known.meaning.endswith(".")
        assert known.default is None or known.check(known.default) is None
