"""`cortex worktree` over real worktrees of a real repository, and a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cortex
from tests.support.repositories import Place
from tests.support.runner_side import RunnerSide
from tests.support.server import Server

ESCAPE = "\x1b[31m"


@pytest.fixture
def place(here: Server, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A repository; the commands of this process look for worktrees below its `root`."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Place(tmp_path)
    here.api("PATCH", f"/projects/{project}", json={"repo_path": str(made.top)})
    return made


def worktree(place: Place, project: str, number: int) -> Path:
    path = place.root / project / f"{project}-{number}-1"
    branch = f"cortex/{project}-{number}-title-1"
    place.git("worktree", "add", "--quiet", "-b", branch, str(path), "main")
    return path


def test_worktrees_are_listed_with_what_is_in_them(
    cortex: Cortex, place: Place, project: str
) -> None:
    clean, dirty = worktree(place, project, 1), worktree(place, project, 2)
    (dirty / f"new{ESCAPE}.txt").write_text("x" * 5000)
    other = worktree(place, f"{project}B", 1)
    words = ("worktree", "list", "--worktrees", place.root)
    ran = cortex(*words)
    rows = dict(line.split(None, 1) for line in ran.out.splitlines()[1:])
    assert rows.keys() == {str(clean), str(dirty), str(other)}
    assert "merged" in rows[str(clean)]
    assert "untracked: new.txt" in rows[str(dirty)]
    assert ESCAPE not in ran.out + ran.err
    assert "3 worktrees" in ran.err
    sizes = {w["path"]: w["size"] for w in cortex(*words, "--json").json}
    assert sizes[str(dirty)] > sizes[str(clean)] > 0
    only = cortex(*words, "-p", f"{project}b", "--json").json
    assert [w["path"] for w in only] == [str(other)]
    assert cortex("worktree", "list").err == "There are no worktrees.\n"


def test_clean_removes_what_is_merged_and_nothing_else(
    cortex: Cortex, place: Place, project: str
) -> None:
    merged, dirty, other = (
        worktree(place, key, n) for key, n in ((project, 1), (project, 2), (f"{project}B", 1))
    )
    (dirty / "new.txt").write_text("mine")
    words = ("worktree", "clean", "--worktrees", place.root)
    assert f"would remove {merged}" in cortex(*words, "--dry-run").out
    assert merged.exists()
    assert cortex(*words, "-p", "nothing-of-it").err == "Nothing there.\n"
    ran = cortex(*words, "-p", project)
    assert ran.code == 0
    assert f"kept {dirty}: untracked: new.txt" in ran.out
    assert (merged.exists(), dirty.exists(), other.exists()) == (False, True, True)
    assert cortex(*words, dirty).code == 1
    assert cortex(*words, place.top).code == 1
    assert (dirty / "new.txt").read_text() == "mine"
    assert cortex(*words, other, "--json").json[0]["removed"] is True
    assert not other.exists()


def test_a_living_attempts_worktree_is_kept(
    cortex: Cortex, place: Place, here: Server, project: str
) -> None:
    path = worktree(place, project, 1)
    cortex("ticket", "create", "T")
    runner = RunnerSide(here, project)
    cortex("attempt", "start", "1", "--agent", "shell")
    job = runner.work(worktree=str(path), branch=f"cortex/{project}-1-title-1")
    words = ("worktree", "clean", "--worktrees", place.root)
    assert cortex(*words, path).code == 1
    assert "in use" in cortex("worktree", "list", "--worktrees", place.root).out
    assert path.exists()
    job.end()
    assert cortex(*words, path).code == 0
    assert not path.exists()


def test_without_a_server_nothing_is_removed(
    cortex: Cortex, place: Place, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = worktree(place, project, 1)
    monkeypatch.setenv("CORTEX_URL", "http://127.0.0.1:9")
    assert cortex("worktree", "clean", "--worktrees", place.root).code == 3
    ran = cortex("worktree", "list", "--worktrees", place.root)
    assert ran.code == 0
    assert str(path) in ran.out
    assert "is not known" in ran.err
    assert path.exists()
