"""What is remembered of a directory's project: a hint, never a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex_cli import remembered

URL = "http://127.0.0.1:4747"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path)}


def test_a_directory_and_what_lies_in_it_belong_to_the_project(environ: dict[str, str]) -> None:
    remembered.note(URL, Path("/src/one"), "ONE", environ)
    remembered.note(URL, Path("/src/one/inner"), "INNER", environ)
    assert remembered.recall(URL, Path("/src/one/docs"), environ) == "ONE"
    assert remembered.recall(URL, Path("/src/one/inner/x"), environ) == "INNER"
    assert remembered.recall(URL, Path("/src"), environ) is None
    assert remembered.recall("http://other", Path("/src/one"), environ) is None


def test_it_forgets(environ: dict[str, str]) -> None:
    remembered.note(URL, Path("/src/one"), "ONE", environ)
    remembered.note(URL, Path("/src/one"), None, environ)
    assert remembered.recall(URL, Path("/src/one"), environ) is None


@pytest.mark.parametrize("content", ["", "[]", '{"http://127.0.0.1:4747 /src": 1}', "\x00"])
def test_damage_is_as_good_as_nothing(environ: dict[str, str], content: str) -> None:
    file = Path(environ["XDG_CACHE_HOME"], "cortex", "projects.json")
    file.parent.mkdir()
    file.write_text(content)
    assert remembered.recall(URL, Path("/src"), environ) is None
    remembered.note(URL, Path("/src"), "S", environ)
    assert remembered.recall(URL, Path("/src"), environ) == "S"


def test_a_cache_that_cannot_be_written_is_no_failure() -> None:
    remembered.note(URL, Path("/src"), "S", {"XDG_CACHE_HOME": "/dev/null/none"})


def test_the_oldest_are_dropped(environ: dict[str, str]) -> None:
    for number in range(250):
        remembered.note(URL, Path(f"/src/{number}"), "S", environ)
    assert remembered.recall(URL, Path("/src/0"), environ) is None
    assert remembered.recall(URL, Path("/src/249"), environ) == "S"
