"""Worktrees are made beside each other, told truly, and never cleaned with work in them."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from cortex_cli.runner import branches, cleaning, worktrees
from cortex_cli.runner.git_errors import GitError, NoSuchRevision, NotPossible
from cortex_cli.runner.programs import within
from tests.support.repositories import Place, soon


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


EVIL_TITLES = [
    "Fix the login page",
    "$(id)",
    "a;id | x && y > z",
    "-evil --upload-pack=x",
    "../../etc/passwd",
    "x.lock",
    "@{-1}",
    "HEAD",
    "..",
    "",
    "   ",
    "tab\tnew\nline\x1b[31m\x00",
    "ünïcödé Straße",
    "日本語だけ",
    "🔥" * 50,
    "\u202eright to left",
    "x" * 5000,
    "word " * 500,
    "a" + "-" * 300 + "b",
    "\ud800 lone",
]


@pytest.mark.parametrize("title", EVIL_TITLES, ids=range(len(EVIL_TITLES)))
def test_any_title_makes_a_branch_name_that_is_only_that(title):
    name = branches.name_for("CTX-12", title, 3)
    assert name.startswith("cortex/CTX-12-")
    assert name.endswith("-3")
    assert len(name) <= 64
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-/CTX")
    assert "--" not in name
    assert branches.is_branch_name(name)


def test_git_takes_every_name(place):
    for title in EVIL_TITLES:
        name = branches.name_for("CTX-12", title, 3)
        assert place.git("check-ref-format", "--branch", name) == name


def test_names_say_what_they_are_about():
    assert (
        branches.name_for("CTX-12", "Fix the Login-Page!", 1)
        == "cortex/CTX-12-fix-the-login-page-1"
    )
    assert branches.name_for("CTX-12", "日本", 1) == "cortex/CTX-12-1"
    assert branches.name_for("CTX-12", "Straße ünd", 2) == "cortex/CTX-12-strae-und-2"
    cut = branches.name_for("CTX-1", "one two three four five six seven eight nine ten", 1)
    assert cut == "cortex/CTX-1-one-two-three-four-five-six-seven-eight-1"


@pytest.mark.parametrize("key", ["", "-x", "a/b", "a b", "$(id)", "a" * 65, "../x", "x.lock"])
def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(ValueError):
        branches.name_for(key, "t", 1)
    with pytest.raises(ValueError):
        branches.batch_name(key)


@pytest.mark.parametrize(
    "name", ["-x", "a..b", "a b", "a~1", "x@{1}", "HEAD", "@", "", "a.lock", "/a", "a/", "a\\b"]
)
def test_what_git_would_read_as_something_else_is_no_branch_name(name):
    assert not branches.is_branch_name(name)


def test_a_worktree_begins_at_the_remotes_default_branch(place):
    other = place.directory / "other"
    place.git("clone", "--quiet", str(place.remote), str(other), cwd=place.directory)
    theirs = place.commit("Theirs", top=other)
    place.git("push", "--quiet", cwd=other)
    ours = place.commit("Not pushed")
    made = place.worktree(place.repository(), title="Short title")
    assert made.path == place.root / "p" / "CTX-1-1"
    assert made.branch == "cortex/CTX-1-short-title-1"
    assert (made.base, made.upstream) == (theirs, "refs/remotes/origin/main")
    assert place.git("rev-parse", "HEAD", cwd=made.path) == theirs
    assert place.git("rev-parse", "main") == ours  # the user's own branch stays where it was


def test_without_the_network_it_begins_at_what_was_seen_last(place):
    place.remote.rename(place.directory / "away")
    seen = place.git("rev-parse", "origin/main")
    place.commit("Local")
    assert place.worktree(place.repository()).base == seen


def test_without_a_remote_it_begins_at_the_local_branch(tmp_path):
    place = Place(tmp_path, with_remote=False)
    made = place.worktree(place.repository(), default_branch=None)
    assert (made.base, made.upstream) == (place.git("rev-parse", "main"), "refs/heads/main")
    assert made.remote is None


def test_a_base_is_a_branch_a_tag_or_a_commit(place):
    first = place.git("rev-parse", "HEAD")
    place.git("tag", "v1")
    place.git("checkout", "--quiet", "-b", "feature")
    later = place.commit("Later")
    repository = place.repository()
    bases = [
        place.worktree(repository, number=number, base=base).base
        for number, base in enumerate(["v1", first, first[:10], "feature", "origin/main"])
    ]
    assert bases == [first, first, first, later, first]
    with pytest.raises(NoSuchRevision, match="nothing-such"):
        place.worktree(repository, base="nothing-such")


def test_a_branch_asked_for_by_name_counts_with_what_is_not_pushed_yet(place):
    ours = place.commit("Not pushed")
    assert place.worktree(place.repository(), base="main").base == ours


def test_a_repository_without_a_commit_says_what_to_do(tmp_path):
    place = Place(tmp_path, with_remote=False)
    empty = place.directory / "empty"
    place.git("init", "--quiet", str(empty), cwd=place.directory)
    place.top = empty
    with pytest.raises(NoSuchRevision, match="Make a first commit"):
        place.worktree(place.repository())


def test_what_is_there_already_is_kept_and_the_new_one_gets_a_further_number(place):
    repository = place.repository()
    first = place.worktree(repository)
    place.write("work.txt", "x", top=first.path)
    second = place.worktree(repository)
    assert (second.path.name, second.branch) == ("CTX-1-1-2", "cortex/CTX-1-t-1-2")
    assert (first.path / "work.txt").read_text() == "x"


def test_a_project_directory_that_is_a_link_is_refused(place):
    elsewhere = place.directory / "elsewhere"
    elsewhere.mkdir()
    place.root.mkdir()
    (place.root / "p").symlink_to(elsewhere)
    with pytest.raises(NotPossible, match="is a link"):
        place.worktree(place.repository())
    assert list(elsewhere.iterdir()) == []
    for project in ("..", "a/b", "", ".git"):
        with pytest.raises(NotPossible):
            place.worktree(place.repository(), project=project)


def test_what_fails_half_way_leaves_nothing_behind(place):
    place.git("config", "--global", "filter.slow.smudge", "sleep 30")
    place.git("config", "--global", "filter.slow.clean", "cat")
    place.write(".gitattributes", "* filter=slow\n")
    place.commit("Slow")
    place.git("push", "--quiet")
    with pytest.raises(GitError):
        place.worktree(place.repository(), deadline=within(0.7))
    assert list((place.root / "p").iterdir()) == []
    assert place.git("branch", "--list", "cortex/*") == ""
    assert place.git("worktree", "list", "--porcelain").count("worktree ") == 1


def test_several_at_once_do_not_meet(place):
    repository = place.repository()
    made, failed = [], []

    def work(number: int) -> None:
        try:
            made.append(place.worktree(repository, number=number % 4))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len({(m.path, m.branch) for m in made}) == 8
    assert {place.git("status", "--porcelain", cwd=m.path) for m in made} == {""}


def test_a_lock_of_another_git_is_waited_for(place):
    lock = place.top / ".git" / "refs" / "heads" / "cortex" / "CTX-1-t-1.lock"
    lock.parent.mkdir()
    lock.touch()
    timer = threading.Timer(0.3, lock.unlink)
    timer.start()
    made = place.worktree(place.repository())
    timer.join()
    assert made.branch == "cortex/CTX-1-t-1"


def listed(place: Place, **options):
    options = {"default_branch": "main", "deadline": soon(), **options}
    return {w.path.name: w for w in cleaning.listed(place.repository(), place.root, **options)}


def clean(place: Place, **options):
    options = {"default_branch": "main", "deadline": soon(), **options}
    done = cleaning.clean(place.repository(), place.root, **options)
    return {c.path.name: c for c in done}


def test_the_list_tells_what_each_holds(place):
    repository = place.repository()
    one, two, three = (place.worktree(repository, number=n) for n in (1, 2, 3))
    place.write("big", "x" * 100_000, top=one.path)
    place.commit("Work", top=two.path)
    place.git("worktree", "add", "--quiet", str(place.directory / "users"), "-b", "users")
    seen = listed(place, active=[three.path])
    assert sorted(seen) == ["CTX-1-1", "CTX-1-2", "CTX-1-3"]  # not the user's own
    assert seen["CTX-1-1"].dirty == ("untracked: big",)
    assert seen["CTX-1-1"].size > 100_000
    assert seen["CTX-1-1"].project == "p"
    assert (seen["CTX-1-2"].merged, seen["CTX-1-2"].dirty) == (False, ())
    assert seen["CTX-1-2"].branch == two.branch
    assert seen["CTX-1-2"].age_s < 60
    assert (seen["CTX-1-3"].merged, seen["CTX-1-3"].owned) == (True, True)
    assert [
        r.path for r in worktrees.repositories(place.root, deadline=soon(), environ=place.environ)
    ] == [place.top]


def merged(place: Place, number: int = 1, *, squash: bool = False) -> worktrees.Worktree:
    made = place.worktree(place.repository(), number=number)
    place.write(f"done-{number}.txt", "done\n", top=made.path)
    place.commit("Done", top=made.path)
    if squash:
        place.git("merge", "--quiet", "--squash", made.branch)
        place.commit("Squashed")
    else:
        place.git("merge", "--quiet", "--no-edit", "--no-ff", made.branch)
    return made


def test_cleaning_removes_what_is_merged_and_says_why_it_keeps_the_rest(place):
    done = merged(place)
    open_one = place.worktree(place.repository(), number=2)
    place.commit("Open", top=open_one.path)
    owned = merged(place, 3)
    would = clean(place, dry_run=True, active=[owned.path])
    assert done.path.exists()
    told = clean(place, active=[owned.path])
    assert {name: c.removed for name, c in would.items()} == {
        name: c.removed for name, c in told.items()
    }
    assert told["CTX-1-1"].branch_deleted
    assert told["CTX-1-2"].kept == ("its commits are not merged",)
    assert told["CTX-1-3"].kept == ("an attempt still works there",)
    assert not done.path.exists()
    assert open_one.path.exists()
    assert owned.path.exists()
    assert place.git("branch", "--list", done.branch) == ""
    assert place.git("branch", "--list", open_one.branch) != ""


def test_a_squashed_pull_request_counts_and_its_branch_stays(place):
    done = merged(place, squash=True)
    assert clean(place)["CTX-1-1"].kept == ("its commits are not merged",)
    head = place.git("rev-parse", done.branch)
    place.commit("After the merge", top=done.path)
    assert clean(place, merged_heads={done.branch: head})["CTX-1-1"].kept
    place.git("reset", "--quiet", "--hard", head, cwd=done.path)
    told = clean(place, merged_heads={done.branch: head})["CTX-1-1"]
    assert (told.removed, told.branch_deleted) == (True, False)
    assert place.git("rev-parse", done.branch) == head


def untracked(place, made):
    place.write("notes.txt", "x", top=made.path)


def changed(place, made):
    place.write("README.md", "x", top=made.path)


def staged_only(place, made):
    path = place.write("staged.txt", "x", top=made.path)
    place.git("add", "staged.txt", cwd=made.path)
    path.unlink()


def assumed_unchanged(place, made):
    place.git("update-index", "--assume-unchanged", "README.md", cwd=made.path)
    place.write("README.md", "hidden", top=made.path)


def skipped(place, made):
    place.git("update-index", "--skip-worktree", "README.md", cwd=made.path)
    place.write("README.md", "hidden", top=made.path)


def not_shown(place, made):
    place.git("config", "status.showUntrackedFiles", "no")
    place.write("notes.txt", "x", top=made.path)


def nested(place, made):
    place.git("init", "--quiet", str(made.path / "inner"), cwd=made.path)
    place.write("inner/f", "x", top=made.path)


def merging(place, made):
    (place.top / ".git/worktrees/CTX-1-1/MERGE_HEAD").write_text("x")


def locked(place, made):
    place.git("worktree", "lock", str(made.path))


def detached(place, made):
    place.git("checkout", "--quiet", "--detach", cwd=made.path)
    place.commit("On no branch", top=made.path)


@pytest.mark.parametrize(
    "spoil",
    [
        *(untracked, changed, staged_only, assumed_unchanged, skipped, not_shown),
        *(nested, merging, locked, detached),
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_a_worktree_that_holds_more_than_was_merged_is_kept(place, spoil):
    made = merged(place)
    spoil(place, made)
    told = clean(place)["CTX-1-1"]
    assert not told.removed
    assert told.kept
    assert made.path.exists()


def submodule(place: Place) -> None:
    place.git("init", "--quiet", str(place.top / "sub"))
    place.commit("In sub", top=place.top / "sub")
    place.write(".gitmodules", '[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n')
    place.commit("Sub")
    place.git("push", "--quiet")


def test_a_worktree_of_a_project_with_submodules_is_cleaned_unless_they_hold_something(place):
    submodule(place)
    empty, filled = merged(place), merged(place, 2)
    place.git("clone", "--quiet", str(place.top / "sub"), str(filled.path / "sub"))
    told = clean(place)
    assert (told["CTX-1-1"].removed, told["CTX-1-2"].removed) == (True, False)
    assert not empty.path.exists()
    assert (filled.path / "sub" / ".git").exists()


def test_ignored_files_go_with_their_worktree(place):
    place.write(".gitignore", "build/\n")
    place.commit("Ignore")
    place.git("push", "--quiet")
    made = merged(place)
    place.write("build/out.o", "x", top=made.path)
    assert clean(place)["CTX-1-1"].removed


def test_what_is_left_of_a_vanished_worktree_is_forgotten_and_nothing_else(place):
    made = place.worktree(place.repository())
    place.commit("Work", top=made.path)
    users = place.directory / "users"
    place.git("worktree", "add", "--quiet", str(users), "-b", "users")
    os.rename(made.path, place.directory / "a")
    os.rename(users, place.directory / "b")
    assert listed(place)["CTX-1-1"].gone
    assert clean(place, dry_run=True)["CTX-1-1"].removed
    away = (place.root / "p").rename(place.directory / "unmounted")
    assert "disk may be missing" in clean(place)["CTX-1-1"].kept[0]
    away.rename(place.root / "p")
    assert clean(place)["CTX-1-1"].removed
    told = place.git("worktree", "list", "--porcelain")
    assert "CTX-1-1" not in told
    assert "users" in told
    assert place.git("log", "-1", "--format=%s", made.branch) == "Work"


def test_the_place_of_a_vanished_worktree_can_be_taken_again(place):
    repository = place.repository()
    first = place.worktree(repository)
    shutil.rmtree(first.path)
    place.git("update-ref", "-d", f"refs/heads/{first.branch}")
    again = place.worktree(repository)
    assert again == first
    assert (again.path / "README.md").exists()
