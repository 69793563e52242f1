"""Work is committed and pushed; the pull request is opened, or its page is known."""

import json
import shutil
from pathlib import Path

import pytest

from cortex_cli.runner import publish, pull_requests, remotes
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import NotPossible, PushRejected, RemoteFailed
from cortex_cli.runner.pull_requests import PullRequest
from tests.support.repositories import Place, soon


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def committed(place: Place, made, message="CTX-1: t\n"):
    worktree = place.repository().at(made.path)
    return publish.commit(worktree, branch=made.branch, message=message, deadline=soon())


def test_all_that_is_uncommitted_is_committed(place):
    place.write("dir/hostname", "x")
    place.commit("Directory")
    place.git("push", "--quiet")
    made = place.worktree(place.repository())
    place.write("staged", "s", top=made.path)
    place.git("add", "staged", cwd=made.path)
    place.write("new ö\n", "n", top=made.path)
    place.write(":(exclude)x", "n", top=made.path)
    (made.path / "README.md").unlink()
    place.write("README.md/now a directory", "x", top=made.path)
    shutil.rmtree(made.path / "dir")
    (made.path / "dir").symlink_to("/etc")
    done = committed(place, made, publish.message_for("CTX-1", "A title", "# by an agent"))
    assert done.commit == place.git("rev-parse", made.branch)
    assert done.files == 7
    assert place.git("status", "--porcelain", cwd=made.path) == ""
    assert place.git("ls-tree", made.branch, "dir").startswith("120000 blob")
    told = place.git("log", "-1", "--format=%an <%ae>%n%cn%n%B", made.branch).split("\n")
    assert told == ["Uma User <uma@example.org>", "Uma User", "CTX-1: A title", "", "# by an agent"]
    again = committed(place, made)
    assert (again.commit, again.files) == (None, 0)


def test_without_an_identity_the_runner_signs_with_its_own_name(place):
    (place.home / ".gitconfig").write_text("[user]\n\temail = uma@example.org\n")
    made = place.worktree(place.repository())
    place.write("a", "x", top=made.path)
    committed(place, made)
    told = place.git("log", "-1", "--format=%an <%ae> %cn <%ce>", made.branch)
    assert told == "Cortex runner <uma@example.org> Cortex runner <uma@example.org>"


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("short", "CTX-1: short"),
        ("", "CTX-1"),
        ("two\nlines\x1b[31m\u202e", "CTX-1: two lines[31m"),
        ("x" * 100, "CTX-1: " + "x" * 64 + "…"),
    ],
)
def test_a_message_is_one_short_line_whatever_the_title(title, subject):
    assert publish.message_for("CTX-1", title) == subject + "\n"


def test_a_repository_inside_stays_where_it_is(place):
    made = place.worktree(place.repository())
    place.git("init", "--quiet", str(made.path / "inner"), cwd=made.path)
    place.write("inner/f", "x", top=made.path)
    place.write("a", "x", top=made.path)
    done = committed(place, made)
    assert (done.files, done.left) == (1, ("inner/",))
    assert (made.path / "inner" / "f").exists()


def test_a_conflict_or_another_branch_is_not_committed(place):
    made = place.worktree(place.repository())
    place.write("README.md", "mine\n", top=made.path)
    committed(place, made)
    place.write("README.md", "theirs\n")
    place.commit("Theirs")
    with pytest.raises(Exception, match="merge"):
        place.git("merge", "--quiet", "main", cwd=made.path)
    with pytest.raises(NotPossible, match=r"open conflicts: README\.md"):
        committed(place, made)
    place.write("README.md", "both\n", top=made.path)
    place.git("add", "README.md", cwd=made.path)
    done = committed(place, made)  # a merge that was resolved is finished
    assert len(place.git("log", "-1", "--format=%P", str(done.commit)).split()) == 2
    place.git("checkout", "--quiet", "-b", "elsewhere", cwd=made.path)
    with pytest.raises(NotPossible, match="has branch elsewhere checked out"):
        committed(place, made)


def test_a_branch_is_pushed_from_a_remote_with_a_relative_path(place):
    place.git("remote", "set-url", "origin", "../remote.git")
    made = place.worktree(place.repository())
    place.write("a", "x", top=made.path)
    done = committed(place, made)
    worktree = place.repository().at(made.path)
    pushed = publish.push(worktree, made.branch, deadline=soon())
    assert pushed == publish.Pushed("origin", made.branch, done.commit)
    assert place.git("rev-parse", made.branch, cwd=place.remote) == done.commit
    assert place.git("rev-parse", f"origin/{made.branch}") == done.commit


def test_without_a_remote_nothing_is_pushed(tmp_path):
    place = Place(tmp_path, with_remote=False)
    made = place.worktree(place.repository())
    assert publish.push(place.repository(), made.branch, deadline=soon()) is None


def test_hooks_of_every_remote_on_this_machine_stay_off(place):
    second = place.directory / "second.git"
    place.git("init", "--quiet", "--bare", str(second))
    mark = place.directory / "mark"
    hook = place.write("hooks/post-receive", f"#!/bin/sh\ntouch {mark}\n", top=second)
    hook.chmod(0o755)
    place.git("config", "remote.origin.pushurl", "https://127.0.0.1:1/o/n.git")
    place.git("config", "--add", "remote.origin.pushurl", str(second))
    made = place.worktree(place.repository())
    with pytest.raises(RemoteFailed):  # of the first one; the second one is reached
        remotes.push(place.repository(), "origin", made.branch, deadline=soon())
    place.git("config", "--unset-all", "remote.origin.pushurl")
    place.git("config", "url.file://.insteadOf", "near:")
    place.git("config", "remote.origin.pushurl", f"near:{second}")
    remotes.push(place.repository(), "origin", made.branch, deadline=soon())
    assert place.git("rev-parse", made.branch, cwd=second) == made.base
    assert not mark.exists()


def test_what_others_pushed_is_never_overwritten(place):
    made = place.worktree(place.repository())
    place.git("checkout", "--quiet", "-b", "theirs")
    theirs = place.commit("Theirs")
    place.git("push", "--quiet", "origin", f"theirs:refs/heads/{made.branch}")
    place.write("a", "x", top=made.path)
    committed(place, made)
    with pytest.raises(PushRejected):
        publish.push(place.repository(), made.branch, deadline=soon())
    assert place.git("rev-parse", made.branch, cwd=place.remote) == theirs


def test_a_push_is_tried_again(place, monkeypatch):
    monkeypatch.setattr(publish, "_FIRST_PAUSE_S", 0.01)
    made = place.worktree(place.repository())
    tries = place.directory / "tries"
    place.git("remote", "set-url", "origin", "git@host.invalid:o/n.git")
    place.program(
        "ssh",
        f"echo x >> {tries}; test $(wc -l < {tries}) -ge 3 || exit 255\n"
        f"exec git receive-pack {place.remote}",
    )
    assert publish.push(place.repository(), made.branch, deadline=soon()) is not None
    assert tries.read_text() == "x\nx\nx\n"
    tries.write_text("")
    place.program("ssh", f"echo 'Permission denied' >&2; echo x >> {tries}; exit 255")
    with pytest.raises(RemoteFailed, match="Could not read from remote"):
        publish.push(place.repository(), made.branch, deadline=soon())
    assert tries.read_text() == "x\n" * 4


def test_large_files_are_sent_before_their_branch(place):
    sent = place.directory / "sent"
    place.program("git-lfs", f'echo "$@" >> {sent}')
    made = place.worktree(place.repository())
    (place.top / ".git" / "lfs").mkdir()
    publish.push(place.repository(), made.branch, deadline=soon())
    assert not sent.exists()  # the user has not configured it
    place.git("config", "--global", "filter.lfs.process", "git-lfs filter-process")
    publish.push(place.repository(), made.branch, deadline=soon())
    assert sent.read_text() == f"push origin {made.branch}\n"


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://github.com/o/n.git", "https://github.com/o/n/compare/main...cortex/x?expand=1"),
        ("git@github.com:o/n.git", "https://github.com/o/n/compare/main...cortex/x?expand=1"),
        ("ssh://git@github.com:22/o/n", "https://github.com/o/n/compare/main...cortex/x?expand=1"),
        ("https://u:t@github.ac.me/o/n/", "https://github.ac.me/o/n/compare/main...cortex/x?expand=1"),
        (
            "git@gitlab.com:g/sub/n.git",
            "https://gitlab.com/g/sub/n/-/merge_requests/new?merge_request%5Bsource_branch%5D=cortex%2Fx&merge_request%5Btarget_branch%5D=main",
        ),
        (
            "https://me@bitbucket.org/o/n.git",
            "https://bitbucket.org/o/n/pull-requests/new?source=cortex%2Fx&dest=main",
        ),
        ("https://codeberg.org/o/n", "https://codeberg.org/o/n/compare/main...cortex/x"),
        ("http://gitea.lan:3000/o/n.git", "http://gitea.lan:3000/o/n/compare/main...cortex/x"),
        ("ssh://git@gitea.lan:2222/o/n.git", "https://gitea.lan/o/n/compare/main...cortex/x"),
        ("/srv/git/n.git", None),
        ("file:///srv/github.com/o/n.git", None),
        ("../n.git", None),
        ("https://example.org/o/n.git", None),
        ("https://github.com/", None),
        ("https://github.com/o/../n", None),
        ("git@github.com:o/\x1b[31mn.git", None),
        ("github-work:o/n", None),
        ("https://github.com:99999999/o/n", None),
        ("ext::sh -c github.com/o/n", None),
    ],
)  # fmt: skip
def test_the_page_of_a_pull_request_is_known_from_the_remotes_url(url, page):
    found = remotes.forge(url)
    assert (found.compare_url("main", "cortex/x") if found else None) == page


GH = """
echo "$@" >> {calls}
case "$1 $2" in
"auth status") exit {auth} ;;
"pr view") test -f {state} || {{ echo "no pull requests found for branch" >&2; exit 1; }}
  printf '{{"number":7,"url":"https://github.com/o/n/pull/7","state":"%s","headRefOid":"{head}"}}' \
    "$(cat {state})" ;;
"pr create") cat > {body}; pwd > {cwd}; {create} ;;
esac
"""


class GitHub:
    """A fake `gh`: an external program, that keeps the state of one pull request in a file."""

    def __init__(self, place: Place, *, auth: int = 0, create: str | None = None) -> None:
        self.place = place
        self.files = {
            name: place.directory / f"gh-{name}" for name in ("calls", "state", "body", "cwd")
        }
        create = create or f"echo OPEN > {self.files['state']}; echo https://github.com/o/n/pull/7"
        head = "a" * 40
        place.program("gh", GH.format(auth=auth, create=create, head=head, **self.files))
        place.git("remote", "set-url", "origin", "git@github.com:o/n.git")

    def read(self, name: str) -> str:
        return self.files[name].read_text() if self.files[name].exists() else ""

    def set(self, state: str) -> None:
        self.files["state"].write_text(state)

    def open(self, **options):
        options = {"title": "-evil\ntitle", "body": "Body\n", **options}
        return pull_requests.open_one(
            self.place.repository(),
            remote="origin",
            branch="cortex/x",
            into="main",
            deadline=soon(),
            **options,
        )


PAGE = "https://github.com/o/n/compare/main...cortex/x?expand=1"


def test_a_pull_request_is_opened_with_gh(place):
    hub = GitHub(place)
    opened = hub.open()
    assert opened.wire() == {
        "state": "open",
        "url": "https://github.com/o/n/pull/7",
        "number": 7,
        "compare_url": PAGE,
    }
    assert hub.read("body") == "Body\n"
    assert hub.read("cwd") == "/\n"  # not in the repository, whose git it would ask
    created = [line for line in hub.read("calls").splitlines() if line.startswith("pr create")]
    options = "--head=cortex/x --base=main --title=-evil title --body-file=-"
    assert created == [f"pr create --repo=github.com/o/n {options}"]
    hub.open()  # once more: the one that is open is found
    assert hub.read("calls").count("pr create") == 1


def test_without_gh_or_a_login_there_is_the_page(place):
    page = {"state": "open", "url": None, "compare_url": PAGE}
    hub = GitHub(place, auth=1)
    assert hub.open().wire() == page
    assert "pr create" not in hub.read("calls")
    (place.bin / "gh").unlink()
    assert hub.open().wire() == page
    place.git("remote", "set-url", "origin", str(place.remote))
    assert hub.open() is None


@pytest.mark.parametrize("name", ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"])
def test_a_token_goes_to_the_host_that_it_is_for_and_not_to_the_remotes(place, name):
    place.program("gh", f'echo "$2 ${{{name}:-none}}" >> {place.directory}/told; exit 1')
    base = {**place.environ, name: "sesame", "GH_HOST": "github.example.org"}
    repository = Repository.open(place.top, deadline=soon(), environ=base)
    for host in ("github.evil.example", "github.example.org"):
        forge = remotes.forge(f"https://{host}/o/n.git")
        assert not pull_requests.logged_in(repository, forge, deadline=soon())
    told = (place.directory / "told").read_text().splitlines()
    assert told == ["status none", "status sesame"]


def test_what_gh_refuses_is_told_beside_the_page(place):
    opened = GitHub(place, create="printf 'No commits\\033[31m\\nbetween' >&2; exit 1").open()
    assert opened.wire() == {"state": "open", "url": None, "compare_url": PAGE}
    assert opened.problem == "No commits[31m between"


def followed(place: Place, made, known: PullRequest | None = None, remote="origin"):
    return pull_requests.follow(
        place.repository(),
        remote=remote,
        branch=made.branch,
        base=made.base,
        into="main",
        known=known,
        deadline=soon(),
    )


def test_a_pull_request_is_followed_with_gh(place):
    made = place.worktree(place.repository())
    hub = GitHub(place)
    place.program("ssh", "exit 255")
    assert followed(place, made) is None
    known = PullRequest("open", "https://github.com/o/n/pull/7", 7, PAGE)
    for said, state in (("OPEN", "open"), ("CLOSED", "closed"), ("MERGED", "merged")):
        hub.set(said)
        seen = followed(place, made, known)
        assert (seen.state, seen.compare_url, seen.head) == (state, PAGE, "a" * 40)
    hub.set("{")
    assert followed(place, made, known) == known
    assert json.dumps(known.wire())


def test_without_gh_a_merge_is_seen_in_the_remotes_default_branch(place):
    made = place.worktree(place.repository())
    known = PullRequest("open", compare_url=PAGE)
    assert followed(place, made, known) == known  # no commit of its own is no merge
    place.write("a", "x", top=made.path)
    committed(place, made)
    publish.push(place.repository(), made.branch, deadline=soon())
    assert followed(place, made, known) == known
    other = place.directory / "other"
    place.git("clone", "--quiet", str(place.remote), str(other), cwd=place.directory)
    place.git("merge", "--quiet", "--no-ff", "--no-edit", f"origin/{made.branch}", cwd=other)
    place.git("push", "--quiet", cwd=other)
    assert followed(place, made, known).state == "merged"
    assert followed(place, made).wire() == {"state": "merged", "url": None}
