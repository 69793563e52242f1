"""What an agent leaves where it can write, and tells, neither hangs a runner nor leads it away."""

import json
import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from cortex_cli import sdk
from cortex_cli.runner import environment, observe, orphans, plain_files, programs, worktrees
from cortex_cli.runner.git_errors import NotPossible, TimedOut
from cortex_cli.runner.journal import Journal
from cortex_cli.runner.opencode.client import _payloads
from cortex_cli.runner.outbox import Outbox
from cortex_cli.runner.protocol import Listener, Misspoken
from cortex_cli.runner.redaction import Redactor
from cortex_cli.runner.report import HttpReport
from cortex_cli.runner.worktrees import Worktree
from tests.support.repositories import Place, soon
from tests.support.server import free_port, wait_for

PATIENCE_S = 10.0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def made(place: Place) -> Worktree:
    return place.worktree(place.repository())


def in_time(work):
    """The result of `work`; fails when it does not come: who reads a pipe waits for ever."""
    found = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert found, "it hangs, or failed"
    return found[0]


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_link(path: Path) -> None:
    path.symlink_to(path.parent / "HEAD")


def a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


def too_much(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize("plant", [a_pipe, a_link, too_much])
def test_what_is_planted_among_the_worktrees_is_passed_over(place, made, plant):
    evil = place.repository().common_dir / "worktrees" / "evil"
    evil.mkdir()
    (evil / "HEAD").write_text(f"{made.path}/.git\n")
    plant(evil / "gitdir")
    found = in_time(place.repository().worktrees)
    assert [where for _, where in found] == [made.path]


@pytest.mark.parametrize("plant", [a_pipe, too_much])
def test_a_worktree_whose_link_is_something_else_is_not_listed(place, made, plant):
    (made.path / ".git").unlink()
    plant(made.path / ".git")
    assert in_time(lambda: worktrees.repositories(place.root, deadline=soon())) == []


@pytest.mark.parametrize(
    "where", ["worktree/.gitattributes", "worktree/nested/.git/HEAD", "common/info/exclude"]
)
def test_a_pipe_at_which_git_hangs_is_named(place, made, where):
    worktree = place.repository().at(made.path)
    top, _, name = where.partition("/")
    (made.path / "new").mkdir()
    a_pipe(made.path / "new" / "pipe")  # git reads no such file
    for of_a_repository in ("objects", "refs"):
        (made.path / "nested" / ".git" / of_a_repository).mkdir(parents=True)
    pipe = (made.path if top == "worktree" else worktree.common_dir) / name
    pipe.unlink(missing_ok=True)
    a_pipe(pipe)
    with pytest.raises(TimedOut) as late:
        observe.status(worktree, against=made.base, deadline=programs.within(0.5))
    assert f" {pipe} is a named pipe" in str(late.value)
    pipe.unlink()
    observe.status(worktree, against=made.base, deadline=soon())


def test_the_index_is_copied_only_when_it_is_an_ordinary_file(place, made):
    worktree = place.repository().at(made.path)
    index = worktree.git_dir / "index"
    index.rename(index.with_name("HEAD.index"))
    index.symlink_to(index.with_name("HEAD.index"))
    with pytest.raises(OSError, match="symbolic links"):
        observe.diff(worktree, base=made.base, deadline=soon())


def test_a_file_is_read_up_to_its_limit(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert plain_files.text(file, 5) == "12345"
    with pytest.raises(OSError, match="Larger than 4 bytes"):
        plain_files.read(file, 4)


def test_a_link_in_the_place_of_a_private_home_is_removed_and_not_followed(tmp_path):
    outside = tmp_path / "outside" / "kept"
    outside.mkdir(parents=True, mode=0o755)
    home = tmp_path / "home"
    home.symlink_to(outside.parent)
    environment.discard(home)
    assert not os.path.lexists(home)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755


@pytest.fixture
def outbox():
    """One whose server is away."""
    client = sdk.CortexClient(f"http://127.0.0.1:{free_port()}", "none", timeout=1, retries=0)
    made = Outbox(client, "x", over=print, complain=print, waiting_max=200_000)
    yield made
    made.abandon()
    client.close()


@pytest.fixture
def report(outbox):
    attempt = {"id": "a-1", "generation": 1, "ticket": "CTX-1"}
    return HttpReport(outbox, Redactor(), attempt=attempt, session="s-1")


def test_what_is_nested_too_deeply_is_refused_and_the_program_goes_on(report):
    listener = Listener(report)
    part = b'{"text": "x", "input": ' + b"[" * 800 + b"]" * 800 + b"}"
    with pytest.raises(Misspoken, match="nested too deeply"):
        listener.hear(b'{"type": "message", "id": "m", "parts": [' + part + b"]}")
    listener.hear(b'{"type": "message", "id": "m", "text": "x"}')


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "session", "id": "x" * 201},
        {"type": "message", "id": "x" * 201, "text": "y"},
        {"type": "delta", "message": "x" * 201, "text": "y"},
        {"type": "ask", "id": "x" * 201, "title": "?", "free_text": True},
        {"type": "ask", "id": "q", "title": "?", "options": ["x" * 201]},
    ],
)
def test_what_a_program_names_is_kept_and_therefore_short(report, fields):
    with pytest.raises(Misspoken, match="at most 200 characters"):
        Listener(report).hear(json.dumps(fields).encode())


def test_a_program_that_only_asks_is_slowed_down_too(report, outbox):
    def ask() -> None:
        listener = Listener(report)
        for number in range(50):
            asked = {"type": "ask", "id": f"q{number}", "title": "?", "free_text": True}
            listener.hear(json.dumps({**asked, "detail": "x" * 50_000}).encode())
            listener.hear(json.dumps({"type": "withdrawn", "id": f"q{number}"}).encode())

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    wait_for(lambda: not outbox.has_room(), "the outbox is full")
    asking.join(0.5)
    assert asking.is_alive()
    outbox.abandon()
    asking.join(PATIENCE_S)
    assert not asking.is_alive()


def test_messages_that_are_never_completed_are_kept_in_a_bounded_number(report):
    for number in range(1_005):
        report.message("main", f"m{number}", "assistant", [{"status": "streaming"}], False)
    assert len(report.conversation._growing) == 1_000


def test_an_event_that_is_nested_too_deeply_is_passed_over_and_others_are_not():
    told = [b"data:" + b"[" * 100_000, b'data:{"payload": {"type": "x"}}']
    assert list(_payloads(told)) == [{"type": "x"}]


@pytest.mark.parametrize("plant", [a_pipe, a_device, too_much])
@pytest.mark.parametrize("name", ["gitdir", "HEAD"])
def test_no_worktree_is_added_while_git_would_read_for_ever(place, plant, name):
    repository = place.repository()
    evil = repository.common_dir / "worktrees" / "evil"
    evil.mkdir(parents=True)
    plant(evil / name)
    with pytest.raises(NotPossible, match=f"worktrees/evil/{name} cannot be read, remove it"):
        place.worktree(repository, deadline=programs.within(PATIENCE_S))
    assert place.git("branch", "--list", "cortex/*") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="limits are given from outside on Linux only")
def test_a_program_cannot_take_all_memory(tmp_path):
    argv = [sys.executable, "-c", "bytearray(5 << 30)"]
    ran = programs.run(argv, cwd=tmp_path, environ={}, deadline=soon())
    assert ran.code == 1
    assert "MemoryError" in ran.err


def test_a_home_that_an_agent_gave_another_name_goes_with_the_next_start(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    journal = Journal(tmp_path / "journal")
    (journal.homes / "a-1.moved" / "cache").mkdir(parents=True)
    (journal.homes / "a-1").symlink_to(outside)
    assert orphans.find(journal, lambda what, about: None) == []
    assert list(journal.homes.iterdir()) == []
    assert outside.exists()
    journal.close()
