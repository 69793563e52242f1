"""What an agent does in its worktree is read from git: status, commits, difference."""

import os
import subprocess
from pathlib import Path

import pytest

from cortex_cli.runner import observe
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import TimedOut
from cortex_cli.runner.programs import within
from cortex_cli.runner.worktrees import Worktree
from tests.support.repositories import Place, soon


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def made(place: Place) -> Worktree:
    return place.worktree(place.repository())


@pytest.fixture
def worktree(place: Place, made: Worktree) -> Repository:
    return place.repository().at(made.path)


def test_a_fresh_worktree_has_nothing_to_tell(made, worktree):
    seen = observe.status(worktree, against=made.upstream, deadline=soon())
    assert seen.wire() == {
        "branch": made.branch,
        "head": made.base,
        "ahead": 0,
        "behind": 0,
        "files": [],
        "more": 0,
    }
    assert observe.commits(worktree, base=made.base, deadline=soon()) == []
    diff = observe.diff(worktree, base=made.base, deadline=soon())
    assert diff.wire() == {"base": made.base, "head": made.base, "text": "", "truncated": False}


def test_the_status_tells_every_kind_of_change(place, made, worktree):
    for name in ("gone", "old name", "mode", "tab\tand\nline"):
        place.write(name, f"{name} of this file\n" * 5, top=made.path)
    place.commit("Files", top=made.path)
    place.git("rm", "--quiet", "gone", cwd=made.path)
    place.git("mv", "old name", "new name", cwd=made.path)
    place.write("README.md", "other\n", top=made.path)
    place.write("added", "x", top=made.path)
    place.git("add", "added", cwd=made.path)
    (made.path / "mode").chmod(0o755)
    (made.path / "tab\tand\nline").unlink()
    place.write("dir/unknown ö", "x", top=made.path)
    place.write(" ", "x", top=made.path)
    seen = observe.status(worktree, against=made.upstream, deadline=soon())
    assert {file.path: file.status for file in seen.files} == {
        "gone": "deleted",
        "new name": "renamed",
        "README.md": "modified",
        "added": "added",
        "mode": "modified",
        "tab\tand\nline": "deleted",
        "dir/unknown ö": "untracked",
        "' '": "untracked",
    }
    assert (seen.ahead, seen.behind) == (1, 0)


def test_many_files_are_counted_and_few_are_told(place, made, worktree):
    for number in range(12):
        place.write(f"f{number}", "x", top=made.path)
    seen = observe.status(worktree, against=None, deadline=soon(), most=5)
    assert (len(seen.files), seen.more) == (5, 7)


def test_a_conflict_and_a_detached_head_are_told(place, made, worktree):
    place.write("README.md", "mine\n", top=made.path)
    place.commit("Mine", top=made.path)
    place.write("README.md", "theirs\n")
    place.commit("Theirs")
    place.git("checkout", "--quiet", "--detach", cwd=made.path)
    with pytest.raises(Exception, match="merge"):
        place.git("merge", "--quiet", "main", cwd=made.path)
    seen = observe.status(worktree, against="main", deadline=soon())
    assert seen.branch is None
    assert [file.status for file in seen.files] == ["conflicted"]
    assert (seen.ahead, seen.behind) == (1, 1)


def test_looking_changes_nothing_and_meets_no_agent_that_commits(place, made, worktree):
    os.utime(made.path / "README.md", (1, 1))  # git would like to note that it is as it was
    index = worktree.git_dir / "index"
    before = (index.stat().st_ino, index.read_bytes())
    place.write("new", "x\n", top=made.path)
    lock = worktree.git_dir / "index.lock"
    for held in (False, True):
        if held:
            lock.touch()  # the agent's git is at work
        assert observe.status(worktree, against=made.upstream, deadline=soon()).files
        assert "+x" in observe.diff(worktree, base=made.base, deadline=soon()).text
        assert (index.stat().st_ino, index.read_bytes()) == before
    assert lock.exists()


def test_each_commit_is_told_once_oldest_first(place, made, worktree):
    place.write("a", "1\n2\n3\n", top=made.path)
    first = place.commit("One\nand\x1emore \x1f", top=made.path)
    place.write("a", "1\n", top=made.path)
    place.write("b", "x\n", top=made.path)
    second = place.commit("Two", top=made.path)
    told = observe.commits(worktree, base=made.base, deadline=soon())
    assert [c.sha for c in told] == [first, second]
    assert (told[0].subject, told[0].author) == ("One and\x1emore \x1f", "Uma User")
    assert (told[0].files, told[0].insertions, told[0].deletions) == (1, 3, 0)
    assert (told[1].files, told[1].insertions, told[1].deletions) == (2, 1, 2)
    assert set(told[0].wire()) == {
        *("sha", "subject", "author", "at", "files", "insertions", "deletions")
    }
    assert told[0].at.endswith(".000Z")
    assert len(told[0].at) == 24
    known = [c.sha for c in told]
    assert observe.commits(worktree, base=made.base, reported=known, deadline=soon()) == []
    place.git("commit", "--quiet", "--amend", "--message", "Three", cwd=made.path)
    [again] = observe.commits(worktree, base=made.base, reported=known, deadline=soon())
    assert again.subject == "Three"


def test_commits_of_an_upstream_that_was_merged_in_are_not_the_attempts(place, made, worktree):
    place.write("theirs", "x\n")
    place.commit("Theirs")
    place.write("mine", "x\n", top=made.path)
    place.commit("Mine", top=made.path)
    place.git("merge", "--quiet", "--no-edit", "main", cwd=made.path)
    told = observe.commits(worktree, base=made.base, exclude=["main", "gone"], deadline=soon())
    assert [c.subject for c in told] == ["Mine", f"Merge branch 'main' into {made.branch}"]


def test_a_commit_of_any_year_has_a_time(place, made, worktree):
    environ = {**place.environ, "GIT_AUTHOR_DATE": "@99999999999 +0000"}
    place.write("a", "x", top=made.path)
    place.git("add", "a", cwd=made.path)
    subprocess.run(["git", "commit", "-qm", "x"], cwd=made.path, env=environ, check=True)
    [told] = observe.commits(worktree, base=made.base, deadline=soon())
    assert len(told.at) == 24


def test_the_difference_holds_committed_changed_and_unknown_files(place, made, worktree):
    place.write("committed", "c\n", top=made.path)
    place.commit("One", top=made.path)
    place.write("README.md", "one\n2\nthree\n", top=made.path)
    place.write("dir/unknown", "u\n", top=made.path)
    place.write("binary", "\0\1\2", top=made.path)
    place.write("huge", "h\n" * 700_000, top=made.path)
    (made.path / "link").symlink_to("/etc/passwd")
    place.git("init", "--quiet", str(made.path / "inner"), cwd=made.path)
    diff = observe.diff(worktree, base=made.base, deadline=soon())
    for line in ("+c", "-two", "+2", "+u", "+/etc/passwd", "Binary files /dev/null and b/binary"):
        assert f"\n{line}" in diff.text
    assert "root:" not in diff.text
    assert "Binary files /dev/null and b/huge differ" in diff.text
    assert not diff.truncated
    assert place.git("status", "--porcelain", cwd=made.path).count("??") == 5  # untouched


def test_a_large_difference_is_cut_at_a_line_and_says_so(place, made, worktree):
    place.write("long", "line of text\n" * 2000, top=made.path)
    diff = observe.diff(worktree, base=made.base, deadline=soon(), limit=1000)
    assert diff.truncated
    assert 900 < len(diff.text) <= 1000
    assert diff.text.endswith("+line of text\n")


def test_the_difference_is_from_where_the_branch_left(place, made, worktree):
    place.write("theirs", "t\n")
    place.commit("Theirs")
    place.write("mine", "m\n", top=made.path)
    diff = observe.diff(worktree, base="main", deadline=soon())
    assert diff.base == made.base
    assert "theirs" not in diff.text


def test_what_takes_too_long_is_ended(place, made, worktree):
    place.git("config", "--global", "filter.slow.clean", "sleep 30; cat")
    place.write(".gitattributes", "* filter=slow\n", top=made.path)
    place.write("README.md", "other\n\n\n\n\n\n\n\n", top=made.path)
    with pytest.raises(TimedOut, match="git diff"):
        worktree.run("diff", "HEAD", deadline=within(0.5))
