"""Memory: what a project's agents are to know."""

import pytest

from cortex_server.domains import memory
from cortex_server.errors import Conflict, NotFound, OutdatedRevision
from tests.support.stores import BOB


def test_a_text_is_kept_replaced_and_deleted_and_each_is_told(do, see, project, happened):
    made, created = do(memory.put, project, "style.md", "# Tabs", None)
    assert (created, made.body, made.revision, made.author.name) == (True, "# Tabs", 1, "alice")
    replaced, created = do(memory.put, project, "style.md", "# Spaces", 1, actor=BOB)
    assert (created, replaced.revision, replaced.author) == (False, 2, BOB)
    assert see(memory.get, project, "style.md") == replaced
    do(memory.delete, replaced, 2)
    assert see(memory.find, project, "style.md") is None
    told = happened()
    assert [event["type"] for event in told] == ["memory.changed"] * 3
    assert [event["payload"]["change"] for event in told] == ["created", "updated", "deleted"]
    assert told[1]["payload"] == {**replaced.json_dict(), "change": "updated"}


def test_the_same_text_again_is_no_change(do, project, happened):
    do(memory.put, project, "a", "x", None)
    happened()
    assert do(memory.put, project, "a", "x", None)[0].revision == 1
    assert happened() == []


def test_a_text_is_only_replaced_at_the_revision_that_is_named(do, see, project):
    made, _ = do(memory.put, project, "a", "x", None)
    with pytest.raises(OutdatedRevision):
        do(memory.put, project, "a", "y", 2)
    with pytest.raises(OutdatedRevision):
        do(memory.delete, made, 7)
    with pytest.raises(NotFound):
        do(memory.put, project, "b", "y", 1)
    assert see(memory.get, project, "a").body == "x"


def test_the_list_is_by_name_and_can_be_narrowed_to_a_beginning(do, see, project):
    for name in ("b", "api-two", "API", "api_x", "api-one"):
        do(memory.put, project, name, "x", None)

    def names(prefix=None, limit=10, cursor=None):
        page = see(memory.listing, project, prefix, limit, cursor)
        return [item.name for item in page.items], page.next_cursor

    assert names()[0] == ["API", "api-one", "api-two", "api_x", "b"]
    assert names("api")[0] == ["api-one", "api-two", "api_x"]
    first, cursor = names("api-", 1)
    assert (first, names("api-", 1, cursor)[0]) == (["api-one"], ["api-two"])


def test_a_project_keeps_only_so_many(do, project, monkeypatch):
    monkeypatch.setattr(memory, "MOST", 2)
    for name in ("a", "b"):
        do(memory.put, project, name, "x", None)
    with pytest.raises(Conflict) as refused:
        do(memory.put, project, "c", "x", None)
    assert refused.value.code == "memory_full"
    do(memory.put, project, "a", "y", None)
