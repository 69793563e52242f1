"""A repository, its files and its configuration run nothing (SECURITY.md, rows 14 to 17)."""

import shutil
from pathlib import Path

import pytest

from cortex_cli.runner import cleaning, merging, observe, publish, remotes
from cortex_cli.runner.git import Repository
from cortex_cli.runner.git_errors import FilterNotRun, GitError, NotARepository, RemoteFailed
from cortex_cli.runner.git_settings import Entry, replaced
from tests.support.repositories import Place, soon


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


class Trap:
    """A program that leaves a file behind when it is run."""

    def __init__(self, place: Place) -> None:
        self.mark = place.directory / "SPRUNG"
        self.program = place.directory / "trap"
        self.program.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.mark}\ncat\nexit 0\n')
        self.program.chmod(0o755)

    def sprung(self) -> str:
        return self.mark.read_text() if self.mark.exists() else ""


@pytest.fixture
def trap(place: Place) -> Trap:
    return Trap(place)


def everything(place: Place, repository: Repository) -> None:
    """Do all that a runner does in a repository, as far as it lets us."""
    made = place.worktree(repository)
    worktree = repository.at(made.path)
    place.write("new.txt", "new\n", top=made.path)
    place.write("README.md", "one\nchanged\n", top=made.path)
    observe.status(worktree, against=made.upstream, deadline=soon())
    observe.diff(worktree, base=made.base, deadline=soon())
    message = publish.message_for("CTX-1", "t")
    publish.commit(worktree, branch=made.branch, message=message, deadline=soon())
    observe.commits(worktree, base=made.base, deadline=soon())
    observe.diff(worktree, base=made.base, deadline=soon())
    publish.push(repository, made.branch, deadline=soon())
    batch = merging.prepare(repository, "b1", default_branch="main", deadline=soon())
    names = ["rival", made.branch]
    list(merging.merge(repository, batch, names, on_conflict="skip", deadline=soon()))
    cleaning.listed(repository, place.root, default_branch="main", deadline=soon())
    heads = {made.branch: repository.commit(made.branch, deadline=soon())}
    [done] = cleaning.clean(
        repository, place.root, default_branch="main", merged_heads=heads, deadline=soon()
    )
    assert done.removed, done.kept


def rival(place: Place) -> None:
    """Make a branch that conflicts with what `everything` writes."""
    place.git("checkout", "--quiet", "-b", "rival")
    place.write("README.md", "one\nrival\nthree\n")
    place.commit("Rival")
    place.git("checkout", "--quiet", "main")


CONFIGURED = [
    "core.fsmonitor",
    "core.pager",
    "core.editor",
    "core.askPass",
    "core.alternateRefsCommand",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "merge.evil.driver",
    "gpg.program",
    "gpg.ssh.program",
    "credential.helper",
    "hook.evil.command",
    "uploadpack.packObjectsHook",
    "gc.recentObjectsHook",
    "sequence.editor",
    "interactive.diffFilter",
    "alias.status",
    "alias.merge-tree",
    "pager.diff",
    "remote.origin.uploadpack",
    "remote.origin.receivepack",
]
SETTINGS = [
    "[commit]\n\tgpgSign = true",
    "[push]\n\tgpgSign = if-asked",
    "[log]\n\tshowSignature = true",
    "[gc]\n\tauto = 1",
    "[color]\n\tui = always",
    '[hook "evil"]\n\tevent = pre-commit',
]


def test_programs_that_the_repository_configures_are_not_run(place, trap):
    place.write(".gitattributes", "* diff=evil merge=evil\n")
    place.commit("Attributes")
    place.git("push", "--quiet")
    rival(place)
    hooks = place.directory / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "pre-push", "reference-transaction"):
        (hooks / name).symlink_to(trap.program)
    lines = [f"[core]\n\thooksPath = {hooks}", *SETTINGS]
    for key in CONFIGURED:  # each has a name of its own, which the mark will tell
        named = place.directory / f"trap {key}"
        named.symlink_to(trap.program)
        section, _, rest = key.partition(".")
        subsection, _, name = rest.rpartition(".")
        head = f'[{section} "{subsection}"]' if subsection else f"[{section}]"
        lines.append(f"{head}\n\t{name} = \"'{named}'\"")
    with (place.top / ".git" / "config").open("a") as config:
        config.write("\n".join(lines) + "\n")
    everything(place, place.repository())
    assert trap.sprung() == ""


def test_the_trap_of_these_tests_works(place, trap):
    place.git("config", "core.fsmonitor", str(trap.program))
    place.git("status")
    assert "trap" in trap.sprung()


def test_hooks_of_the_repository_and_of_a_remote_on_this_machine_are_not_run(place, trap):
    rival(place)
    for directory in (place.top / ".git" / "hooks", place.remote / "hooks"):
        directory.mkdir()
        for name in [
            *("post-checkout", "pre-commit", "commit-msg", "post-commit", "post-index-change"),
            *("pre-push", "reference-transaction", "pre-merge-commit", "prepare-commit-msg"),
            *("pre-receive", "update", "post-receive", "post-update", "pre-auto-gc"),
        ]:
            (directory / name).symlink_to(trap.program)
    everything(place, place.repository())
    assert trap.sprung() == ""
    assert "cortex/CTX-1-t-1" in place.git("branch", cwd=place.remote)  # and yet it arrived


@pytest.mark.parametrize("kinds", [("clean", "smudge"), ("process",)])
def test_a_filter_of_the_repository_is_not_run_and_nothing_is_committed_past_it(place, trap, kinds):
    place.write(".gitattributes", "*.secret filter=crypt\n")
    place.write("a.secret", "cipher\n")
    place.commit("Secrets")
    place.git("push", "--quiet")
    for kind in kinds:
        place.git("config", f"filter.crypt.{kind}", str(trap.program))
    place.git("config", "filter.crypt.required", "true")
    repository = place.repository()
    made = place.worktree(repository)
    worktree = repository.at(made.path)
    place.write("b.secret", "in the clear\n", top=made.path)
    (made.path / "a.secret").touch()
    seen = observe.status(worktree, against=None, deadline=soon())
    assert [file.path for file in seen.files] == ["b.secret"]
    observe.diff(worktree, base=made.base, deadline=soon())
    with pytest.raises(FilterNotRun, match=r"b\.secret must pass the filter crypt"):
        publish.commit(worktree, branch=made.branch, message="m", deadline=soon())
    assert worktree.commit("HEAD", deadline=soon()) == made.base
    assert trap.sprung() == ""


def test_a_filter_of_the_users_own_is_run_unless_the_repository_changes_it(place, trap):
    place.git("config", "--global", "filter.big.clean", "tr a-z A-Z")
    place.git("config", "--global", "filter.big.smudge", "cat")
    place.write(".gitattributes", "*.big filter=big\n")
    place.commit("Attributes")
    place.git("push", "--quiet")
    place.git("config", "--local", "filter.big.clean", str(trap.program))
    repository = place.repository()
    made = place.worktree(repository)
    worktree = repository.at(made.path)
    place.write("x.big", "loud\n", top=made.path)
    with pytest.raises(FilterNotRun):
        publish.commit(worktree, branch=made.branch, message="m", deadline=soon())
    place.git("config", "--local", "--unset", "filter.big.clean")
    publish.commit(worktree, branch=made.branch, message="m", deadline=soon())
    assert place.git("show", "HEAD:x.big", cwd=made.path) == "LOUD"
    assert trap.sprung() == ""


@pytest.mark.parametrize(
    "settings",
    [
        {"url.ext::TRAP .insteadOf": "REMOTE"},
        {"remote.origin.url": "ext::TRAP %S"},
        {"remote.origin.url": "ext::TRAP %S", "protocol.ext.allow": "always"},
        {"remote.origin.vcs": "evil"},
        {"remote.origin.url": "ssh://-oProxyCommand=TRAP/x"},
        {"remote.origin.url": "git://127.0.0.1:1/x", "core.gitProxy": "TRAP"},
    ],
    ids=" ".join,
)
def test_a_transport_that_the_repository_names_is_not_run(place, trap, settings):
    place.program("git-remote-evil", f"exec {trap.program}")
    for key, value in settings.items():
        place.git("config", key.replace("TRAP", str(trap.program)), _filled(value, place, trap))
    repository = place.repository()
    with pytest.raises(RemoteFailed):
        remotes.fetch(repository, "origin", "main", deadline=soon())
    with pytest.raises(RemoteFailed):
        remotes.push(repository, "origin", "main", deadline=soon())
    assert trap.sprung() == ""


def _filled(value: str, place: Place, trap: Trap) -> str:
    return value.replace("REMOTE", str(place.remote)).replace("TRAP", str(trap.program))


def test_the_users_ssh_is_used_and_not_the_repositorys(place, trap):
    place.program("ssh", f"echo user >> {place.directory}/ssh; exit 1")
    place.git("config", "remote.origin.url", "git@host.invalid:o/n.git")
    place.git("config", "core.sshCommand", str(trap.program))
    place.git("config", "ssh.variant", "simple")
    with pytest.raises(RemoteFailed):
        remotes.fetch(place.repository(), "origin", "main", deadline=soon())
    assert (place.directory / "ssh").read_text() == "user\n"
    assert trap.sprung() == ""


@pytest.mark.parametrize("key", ["credential.helper", "credential.https://host.invalid.helper"])
def test_credentials_are_asked_of_the_users_helpers_only(place, trap, key):
    asked = place.directory / "asked"
    for name in ("credential.helper", "credential.https://host.invalid.helper"):
        place.git("config", "--global", name, f"!echo {name} >> {asked}; true")
    place.git("config", key, f"!{trap.program}")
    ran = place.repository().run(
        "credential",
        "fill",
        deadline=soon(),
        input=b"protocol=https\nhost=host.invalid\n\n",
        ok=(0, 128),
    )
    assert ran.code == 128  # nobody knew, and nobody was asked at a terminal
    assert set(asked.read_text().split()) == {
        "credential.helper",
        "credential.https://host.invalid.helper",
    }
    assert trap.sprung() == ""


def test_what_includes_name_is_the_repositorys_own(place, trap):
    included = place.write(".git/more", f"[core]\n\tsshCommand = {trap.program}\n")
    place.git("config", "include.path", str(included))
    entries = place.repository().settings(deadline=soon())
    assert ("core.sshcommand", "ssh") in replaced(entries)


def test_what_an_agent_writes_into_the_configuration_meanwhile_is_seen(place, trap):
    repository = place.repository()
    assert replaced(repository.settings(deadline=soon())) == []
    with (place.top / ".git" / "config").open("a") as config:
        config.write(f"[core]\n\tsshCommand = {trap.program}\n")
    assert replaced(repository.settings(deadline=soon())) == [("core.sshcommand", "ssh")]


def test_a_transport_is_allowed_by_the_user_and_never_by_the_repository(place):
    for scope, name in (("local", "evil"), ("global", "codecommit"), ("global", "ext")):
        place.git("config", f"--{scope}", f"protocol.{name}.allow", "always")
    environ = place.repository().environ(deadline=soon())
    assert environ["GIT_ALLOW_PROTOCOL"] == "file:http:https:ssh:codecommit"


def test_configuration_of_one_worktree_counts_as_the_repositorys():
    entries = [Entry("worktree", "core.sshcommand", "evil"), Entry("global", "core.pager", "x")]
    assert replaced(entries) == [("core.sshcommand", "ssh")]


def test_variables_that_steer_git_are_not_passed_on(place, trap):
    repository = Repository.open(
        place.top,
        deadline=soon(),
        environ={
            **place.environ,
            "GIT_EXTERNAL_DIFF": str(trap.program),
            "GIT_INDEX_FILE": "/nowhere/index",
            "GIT_DIR": "/nowhere",
            "GIT_CONFIG_PARAMETERS": "'core.fsmonitor=x'",
        },
    )
    environ = repository.environ(deadline=soon())
    assert environ["GIT_DIR"] == str(place.top / ".git")
    assert {"GIT_EXTERNAL_DIFF", "GIT_INDEX_FILE", "GIT_CONFIG_PARAMETERS"}.isdisjoint(environ)
    assert "CORTEX_TOKEN" not in environ
    place.write("README.md", "changed\n")
    assert "changed" in repository.text("diff", "HEAD", deadline=soon())
    assert trap.sprung() == ""


def test_a_submodule_is_not_looked_into(place, trap):
    place.git("init", "--quiet", str(place.top / "sub"))
    place.write("sub/f", "x\n")
    place.commit("In sub", top=place.top / "sub")
    place.write(".gitmodules", '[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n\tignore = none\n')
    place.commit("Sub")
    sub = place.top / "sub"
    for key in ("core.fsmonitor", "filter.evil.clean"):
        place.git("config", key, str(trap.program), cwd=sub)
    place.write("sub/.git/info/attributes", "* filter=evil\n")
    place.write("sub/f", "y\n")
    repository = place.repository()
    assert observe.status(repository, against=None, deadline=soon()).files == ()
    observe.diff(repository, base="HEAD~1", deadline=soon())
    publish.commit(repository, branch="main", message="m", deadline=soon())
    assert trap.sprung() == ""


def test_a_worktree_cannot_lead_to_another_repository(place, tmp_path):
    (tmp_path / "other").mkdir()
    other = Place(tmp_path / "other", with_remote=False)
    repository = place.repository()
    made = place.worktree(repository)
    (made.path / ".git").write_text(f"gitdir: {other.top}/.git\n")
    place.git("config", "core.worktree", str(other.top))
    before = other.git("rev-parse", "HEAD")
    place.write("mine.txt", "x\n", top=made.path)
    worktree = repository.at(made.path)
    done = publish.commit(worktree, branch=made.branch, message="m", deadline=soon())
    assert done.commit == place.git("rev-parse", made.branch)
    assert other.git("rev-parse", "HEAD") == before
    moved = made.path.rename(made.path.with_name("moved"))
    made.path.symlink_to(moved)
    with pytest.raises(NotARepository):
        repository.at(made.path)


def test_a_directory_inside_a_repository_is_not_taken_for_it(place):
    (place.top / "inner").mkdir()
    with pytest.raises(NotARepository, match="not the top of a git repository"):
        Repository.open(place.top / "inner", deadline=soon(), environ=place.environ)


@pytest.mark.parametrize("name", ["--upload-pack=TRAP", "-evil", "$(TRAP)", "a;TRAP", "--output=x"])
def test_a_revision_is_never_an_option_or_a_command(place, trap, name):
    name = name.replace("TRAP", str(trap.program))
    repository = place.repository()
    assert repository.find(name, deadline=soon()) is None
    with pytest.raises(GitError):
        place.worktree(repository, base=name)
    assert trap.sprung() == ""
    assert place.git("branch", "--list", "cortex/*") == ""


def test_every_git_is_told_on_its_command_line_what_not_to_run(place):
    recorded = place.directory / "argv"
    real = shutil.which("git")
    place.program("git", f'echo "$*" >> {recorded}\nexec {real} "$@"')
    repository = place.repository()
    everything(place, repository)
    wanted = "-c core.fsmonitor=false -c core.hooksPath=/dev/null -c protocol.ext.allow=never "
    ours = [line for line in recorded.read_text().splitlines() if line != "version"]
    assert len(ours) > 20
    assert all(line.startswith(wanted) for line in ours)
    environ = repository.environ(deadline=soon())
    assert environ["GIT_TERMINAL_PROMPT"] == "0"
    assert environ["GIT_ASKPASS"] == ""
