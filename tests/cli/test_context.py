"""Which project and which ticket a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from cortex_cli.commands.up import key_for
from cortex_cli.context import App, holding, ticket_project
from cortex_cli.failures import Missing


class Known(App):
    """An App that knows its projects."""

    def __init__(self, *projects: dict[str, Any], environ: dict[str, str] | None = None) -> None:
        super().__init__(environ=environ or {})
        self._known = list(projects)

    def projects(self) -> list[dict[str, Any]]:
        return self._known


def a_project(key: str, path: Path | None = None) -> dict[str, Any]:
    return {"key": key, "repo_path": str(path) if path else None}


def test_option_then_environment_then_ticket() -> None:
    app = Known(environ={"CORTEX_PROJECT": "ENV", "CORTEX_TICKET": "TIC-3"})
    assert app.project() == "ENV"
    app.project_option = "OPTION"
    assert app.project() == "OPTION"
    assert Known(environ={"CORTEX_TICKET": "TIC-3"}).project() == "TIC"


def test_the_directory_decides_the_longest_path_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "outer" / "inner"
    (inner / "src").mkdir(parents=True)
    projects = [
        a_project("OUTER", tmp_path / "outer"),
        a_project("INNER", inner),
        a_project("SIBLING", tmp_path / "out"),
        a_project("NOWHERE"),
    ]
    monkeypatch.chdir(inner / "src")
    assert Known(*projects).project() == "INNER"
    monkeypatch.chdir(tmp_path / "outer")
    assert Known(*projects).project() == "OUTER"
    assert holding(projects, tmp_path) is None


def test_a_link_to_a_repository_is_the_repository(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found = holding([a_project("R", tmp_path / "link")], tmp_path / "real")
    assert found is not None
    assert found["key"] == "R"


def test_the_only_one_is_meant_and_several_are_named() -> None:
    assert Known(a_project("ONE")).project() == "ONE"
    with pytest.raises(click.UsageError, match=r"There are ONE, TWO\..*--project"):
        Known(a_project("TWO"), a_project("ONE")).project()
    with pytest.raises(Missing, match="cortex project create"):
        Known().project()


def test_a_ticket_is_a_key_a_number_or_the_environments() -> None:
    app = Known(a_project("CTX"), environ={"CORTEX_TICKET": "CTX-9"})
    assert app.ticket("CTX-1") == "CTX-1"
    assert app.ticket("12") == "CTX-12"
    assert app.ticket(None) == "CTX-9"
    with pytest.raises(click.UsageError, match="CORTEX_TICKET"):
        Known().ticket(None)


@pytest.mark.parametrize(
    ("key", "project"),
    [
        ("CTX-12", "CTX"),
        ("A-B_c-1", "A-B_c"),
        ("CTX", None),
        ("CTX-0", None),
        ("ab0c1234-1234-1234-1234-123456789012", None),
    ],
)
def test_the_project_of_a_ticket(key: str, project: str | None) -> None:
    assert ticket_project(key) == project


@pytest.mark.parametrize(
    ("directory", "key"),
    [
        ("cortex", "CORTEX"),
        ("my project!", "MY-PROJECT"),
        ("2048-game", "GAME"),
        ("a-very-long-name", "A-VERY-LON"),
        ("日本", "BOARD"),
        ("", "BOARD"),
    ],
)
def test_the_key_of_a_new_project_comes_from_its_directory(directory: str, key: str) -> None:
    assert key_for(directory) == key
