"""The branches of a batch come together one by one, and nothing of the user is touched."""

from pathlib import Path

import pytest

from cortex_cli.runner import merging, publish
from cortex_cli.runner.git_errors import NotPossible
from cortex_cli.runner.merging import Conflict, Empty, Merged
from tests.support.repositories import Place, soon


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def branch(place: Place, name: str, files: dict[str, str], start: str = "main") -> str:
    place.git("checkout", "--quiet", "-b", name, start)
    for path, text in files.items():
        place.write(path, text)
    commit = place.commit(name) if files else place.git("rev-parse", "HEAD")
    place.git("checkout", "--quiet", "main")
    return commit


def prepared(place: Place, batch: str = "b1") -> merging.Batch:
    return merging.prepare(place.repository(), batch, default_branch="main", deadline=soon())


def merged(place: Place, names: list[str], batch="b1", on_conflict="skip", **options):
    return merging.merge(
        place.repository(),
        prepared(place, batch),
        names,
        on_conflict=on_conflict,
        deadline=soon(),
        **options,
    )


def everything(place: Place) -> tuple[str, ...]:
    """What a user could see of the own checkout."""
    return (
        place.git("status", "--porcelain", "--branch"),
        place.git("rev-parse", "HEAD", "main"),
        place.git("worktree", "list"),
        place.git("stash", "list"),
    )


def test_branches_are_merged_one_by_one_and_a_conflict_is_named(place):
    first = branch(place, "a", {"a": "a\n", "README.md": "one\nA\nthree\n"})
    branch(place, "clash", {"README.md": "one\nB\nthree\n", "sub/new ö": "x\n"})
    last = branch(place, "c", {"c": "c\n"})
    branch(place, "empty", {})
    place.write("README.md", "the user is at work\n")
    before = everything(place)
    names = ["a", "clash", "empty", "missing", "c"]
    steps = list(merged(place, names, titles={"a": "Title\x1b\nof a"}))
    tips = place.git("log", "--first-parent", "--format=%H", "cortex/batch-b1").split()
    assert steps == [
        Merged("a", tips[1]),
        Conflict("clash", ("README.md",)),
        Empty("empty"),
        Empty("missing", missing=True),
        Merged("c", tips[0]),
    ]
    assert place.git("log", "-1", "--format=%P", tips[1]).split()[1] == first
    assert place.git("log", "-1", "--format=%P", tips[0]).split() == [tips[1], last]
    assert place.git("log", "-1", "--format=%B%an", tips[1]) == "Merge a\n\nTitle of a\nUma User"
    files = place.git("ls-tree", "-r", "--name-only", "cortex/batch-b1").split("\n")
    assert files == ["README.md", "a", "c"]
    assert everything(place) == before


def test_a_conflict_ends_the_merging_when_asked(place):
    branch(place, "a", {"README.md": "A\n"})
    branch(place, "clash", {"README.md": "B\n"})
    branch(place, "c", {"c": "c\n"})
    steps = list(merged(place, ["a", "clash", "c"], on_conflict="fail"))
    assert [type(step) for step in steps] == [Merged, Conflict]


def test_a_merging_that_was_killed_goes_on_without_merging_twice(place):
    for name in "abc":
        branch(place, name, {name: "x\n"})
    begun = merged(place, ["a", "b", "c"])
    done = [next(begun), next(begun)]
    begun.close()  # killed here
    place.commit("The default branch moves on")
    place.git("push", "--quiet")
    steps = list(merged(place, ["a", "b", "c"]))
    assert steps[:2] == [Merged(d.branch, d.commit, again=True) for d in done]
    assert steps[2] == Merged("c", place.git("rev-parse", "cortex/batch-b1"))
    assert place.git("rev-list", "--count", "--merges", "cortex/batch-b1") == "3"
    assert [s.again for s in merged(place, ["a", "b", "c"])] == [True, True, True]


def test_a_branch_that_another_one_brought_along_counts_as_merged(place):
    branch(place, "a", {"a": "x\n"})
    branch(place, "b", {"b": "x\n"}, start="a")
    steps = list(merged(place, ["b", "a"]))
    assert steps == [Merged("b", steps[0].commit), Merged("a", steps[0].commit, again=True)]


def test_a_branch_without_a_common_commit_is_a_conflict(place):
    place.git("checkout", "--quiet", "--orphan", "alone")
    place.commit("Alone")
    place.git("checkout", "--quiet", "main")
    [step] = merged(place, ["alone"])
    assert step == Conflict("alone", (), "it shares no commit with the batch's branch")


def test_the_users_own_merge_driver_is_used(place):
    place.git("config", "--global", "merge.join.driver", "cat %B >> %A")
    place.write(".gitattributes", "README.md merge=join\n")
    place.commit("Attributes")
    place.git("push", "--quiet")
    branch(place, "a", {"README.md": "A\n"})
    branch(place, "b", {"README.md": "B\n"})
    assert [type(s) for s in merged(place, ["a", "b"])] == [Merged, Merged]
    assert place.git("show", "cortex/batch-b1:README.md") == "A\nB"


def test_a_branch_of_that_name_that_is_not_ours_is_left_alone(place):
    place.git("branch", "cortex/batch-b1")
    with pytest.raises(NotPossible, match="made by somebody else"):
        prepared(place)
    place.git("branch", "-D", "cortex/batch-b1")
    begun = prepared(place, "b2")
    place.commit("The default branch moves on")
    place.git("push", "--quiet")
    assert prepared(place, "b2") == begun
    place.git("checkout", "--quiet", "cortex/batch-b2")
    with pytest.raises(NotPossible, match="is checked out"):
        prepared(place, "b2")


def test_the_merged_branch_is_pushed(place):
    branch(place, "a", {"a": "a\n"})
    [step] = merged(place, ["a"])
    pushed = publish.push(place.repository(), prepared(place).branch, deadline=soon())
    assert pushed.sha == step.commit
    assert place.git("rev-parse", "cortex/batch-b1", cwd=place.remote) == step.commit
