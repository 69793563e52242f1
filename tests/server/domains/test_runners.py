"""Runners and what they offer: agents; and the profiles that people make for these."""

import pytest

from cortex_server.domains import agents, attempts, profiles, projects, runners
from tests.support.attempts import BY_RUNNER, LEASE_S, Work, refused


@pytest.fixture
def work(do):
    return Work(do)


def test_a_new_runner_and_its_agents_are_told_as_they_are_stored(work, see, happened):
    runner = work.runner(agents=["shell", "opencode"])
    online, *registered = happened()
    assert (online["type"], online["project"]) == ("runner.online", None)
    assert online["payload"] == see(runners.get, runner.id).json_dict()
    assert [event["payload"]["name"] for event in registered] == ["opencode", "shell"]
    assert registered[0]["payload"] == see(agents.get, "opencode").json_dict()
    assert see(agents.get, "shell").runners == ["r-1"]
    assert [agent.name for agent in see(agents.listing, 9, None).items] == ["opencode", "shell"]


def test_a_runner_that_comes_back_is_the_same_and_says_nothing_new(work, do, see, happened):
    first = work.runner()
    happened()
    assert work.runner().id == first.id
    assert happened() == []
    do(runners.leave, first, actor=BY_RUNNER)
    happened()
    assert (work.runner().id, happened.types()) == (first.id, ["runner.online"])


def test_what_changes_of_a_runner_is_told(work, see, happened):
    work.runner("r-1", ["shell"])
    work.runner("r-2", ["shell"])
    happened()
    work.runner("r-2", ["opencode"], parallel=3)
    assert happened.types() == ["runner.online", "agent.registered", "agent.registered"]
    assert see(agents.get, "shell").runners == ["r-1"]
    work.runner("r-2", ["opencode"], parallel=3)
    assert happened() == []


def test_a_runner_of_some_projects_is_told_in_each_and_in_those_that_it_left(work, do, happened):
    do(projects.create, {"key": "TWO", "name": "Two"})
    happened()
    runner = work.runner(projects=["CTX", "TWO"])
    assert [event["project"] for event in happened()[:2]] == ["CTX", "TWO"]
    work.runner(projects=["TWO"])
    assert [event["project"] for event in happened()] == ["CTX", "TWO"]
    do(runners.leave, runner, actor=BY_RUNNER)
    assert [event["project"] for event in happened()] == ["TWO"]
    do(projects.delete, do(projects.get, "TWO"), None)
    happened()
    work.beat(runner)
    assert happened() == []


def test_the_name_of_a_living_runner_on_another_machine_is_taken(work, clock, happened):
    first = work.runner(host="here")
    with refused("runner_name_taken") as caught:
        work.runner(host="there")
    assert "online on here" in caught.value.detail
    assert work.runner(host="there", id=first.id).id == first.id
    clock.advance(LEASE_S)
    happened()
    other = work.runner(host="elsewhere")
    assert (other.host, happened.types()) == ("elsewhere", ["runner.offline", "runner.online"])
    with refused("not_found"):  # two at a time would take each other's commands
        work.beat(first)


def test_one_that_read_as_offline_is_told_when_it_is_heard_of_again(work, see, clock, happened):
    """Nobody had said that it is offline; whoever read it in between hears that it is not."""
    runner = work.runner()
    happened()
    for comes_back in (lambda: work.beat(runner), work.runner):
        clock.advance(LEASE_S)
        assert see(runners.get, runner.id).status == "offline"
        comes_back()
        assert happened.one()["payload"] == see(runners.get, runner.id).json_dict()
        assert see(runners.get, runner.id).status == "online"


def test_pages_of_runners_go_by_bytes_whatever_language_the_database_speaks(work, see):
    made = [work.runner(name) for name in ("b", "A", "a", "B")]
    found, cursor = [], None
    while len(found) < len(made):
        page = see(runners.listing, None, 1, cursor)
        found += [runner.name for runner in page.items]
        cursor = page.next_cursor
    assert found == ["A", "B", "a", "b"]


def test_who_reads_some_projects_sees_who_serves_them(work, see, project):
    everywhere, here = work.runner("all"), work.runner("here", projects=["CTX"])

    def seen(readable, limit=9, cursor=None):
        return see(runners.listing, readable, limit, cursor)

    assert seen(None).items == [everywhere, here]
    assert seen(frozenset(["CTX"])).items == [everywhere, here]
    assert seen(frozenset(["TWO"])).items == [everywhere]
    page = seen(None, 1)
    assert (page.items, seen(None, 1, page.next_cursor).items) == ([everywhere], [here])


def test_a_runner_that_is_away_for_a_month_is_forgotten(work, do, see, clock, happened):
    runner = work.runner()
    clock.advance(runners.FORGOTTEN_S)
    assert do(runners.forget) == 0  # nobody has said yet that it is offline
    work.expire()
    happened()
    assert do(runners.forget) == 1
    assert happened.types() == ["agent.registered"]
    assert see(agents.get, "shell").runners == []
    with refused("not_found"):
        see(runners.get, runner.id)


def test_a_profile_is_told_as_it_is_stored_and_as_it_was(do, see, happened, project):
    made = do(profiles.create, {"name": "fast", "agent": "shell", "project": "ctx"})
    created = happened.one()
    assert created["payload"] == made.json_dict() | {"change": "created"}
    assert (created["project"], made.options.args) == ("CTX", [])
    changed = do(profiles.patch, made, {"options": {"args": ["-v"], "env": ["HOME"]}}, 1)
    assert happened.one()["payload"] == changed.json_dict() | {"change": "updated"}
    again = do(profiles.patch, changed, {"options": {"model": "m"}}, None)
    assert (again.options.model, again.options.args) == ("m", ["-v"])
    happened()
    do(profiles.patch, again, {"options": {"model": "m"}}, None)
    assert happened() == []
    do(profiles.delete, again, None)
    assert happened.one()["payload"] == again.json_dict() | {"change": "deleted"}
    with refused("not_found"):
        see(profiles.get, "fast")


def test_a_profile_is_found_by_name_and_id_and_its_name_is_unique(do, see):
    made = do(profiles.create, {"name": "fast", "agent": "shell"})
    other = do(profiles.create, {"name": "slow", "agent": "shell"})
    assert see(profiles.find, made.id) == see(profiles.find, "fast") == made
    with refused("already_exists"):
        do(profiles.create, {"name": "fast", "agent": "x"})
    with refused("already_exists"):
        do(profiles.patch, other, {"name": "fast"}, None)


def test_a_profile_that_the_queue_names_stays(work, do, ticket):
    work.runner()
    made = do(profiles.create, {"name": "fast", "agent": "shell"})
    attempt = work.start(ticket, profile="fast")
    for verb, *arguments in ((profiles.delete, made), (profiles.patch, made, {"name": "x"})):
        with refused("profile_used"):
            do(verb, *arguments, None)
    do(attempts.stop, attempt)
    do(profiles.delete, made, None)


def test_profiles_of_other_projects_are_not_listed(do, see, project):
    do(projects.create, {"key": "TWO", "name": "Two"})
    for name, of in (("a", None), ("b", "CTX"), ("c", "TWO")):
        do(profiles.create, {"name": name, "agent": "x", "project": of})

    def names(readable):
        return [profile.name for profile in see(profiles.listing, readable, 9, None).items]

    assert names(None) == ["a", "b", "c"]
    assert names(frozenset(["TWO"])) == ["a", "c"]
    assert names(frozenset()) == ["a"]
