"""The other nouns against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cortex
from tests.support.server import Server


def test_projects(cortex: Cortex, here: Server, tmp_path: Path) -> None:
    made = cortex(
        "project", "create", "Web", "--repo", tmp_path, "--json",
        "--column", "todo", "--column", "doing:At it:2",
    ).json  # fmt: skip
    assert made["repo_path"] == str(tmp_path)
    assert made["columns"] == [
        {"name": "todo", "title": "Todo", "wip_limit": None},
        {"name": "doing", "title": "At it", "wip_limit": 2},
    ]
    assert "Web" in cortex("project", "list").out
    assert "at most 2" in cortex("project", "show", "web").out
    assert cortex("project", "create", "WEB").code == 6
    assert cortex("project", "edit", "Web", "--name", "Site", "--json").json["name"] == "Site"
    assert cortex("project", "edit", "Web").code == 2
    assert cortex("project", "delete", "Web").code == 2
    assert cortex("project", "delete", "Web", "--yes").code == 0
    assert cortex("project", "show", "Web").code == 5


def test_the_directory_chooses_the_project(
    cortex: Cortex, here: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "repository" / "src"
    inside.mkdir(parents=True)
    cortex("project", "create", "Here", "--repo", inside.parent)
    cortex("project", "create", "Elsewhere")
    monkeypatch.chdir(inside)
    assert cortex("ticket", "create", "T").out == "Here-1\n"
    monkeypatch.chdir(tmp_path)
    ran = cortex("ticket", "create", "T")
    assert ran.code == 2
    assert "Elsewhere, Here" in ran.err
    assert cortex("ticket", "create", "T", "-p", "elsewhere").out == "Elsewhere-1\n"


def test_teams(cortex: Cortex, here: Server, project: str) -> None:
    assert cortex("team", "create", "core", "--color", "#3366cc").out == "core\n"
    assert cortex("project", "edit", project, "--team", "core", "--json").json["team"] == "core"
    assert cortex("team", "edit", "core", "--name", "Core", "--json").json["name"] == "Core"
    assert "Core" in cortex("team", "list").out
    assert cortex("team", "show", "core", "--json").json["color"] == "#3366cc"
    assert cortex("team", "delete", "core", "--yes").code == 0
    assert cortex("project", "show", project, "--json").json["team"] is None


def test_labels_go_by_name(cortex: Cortex, project: str) -> None:
    assert cortex("label", "create", "bug", "--color", "#ff0000").code == 0
    cortex("ticket", "create", "T", "-l", "bug")
    assert cortex("label", "edit", "BUG", "--name", "defect", "--json").json["name"] == "defect"
    assert cortex("ticket", "show", "1", "--json").json["labels"] == ["defect"]
    assert cortex("label", "show", "bug").code == 5
    assert cortex("label", "list", "--json").json[0]["color"] == "#ff0000"
    assert cortex("label", "delete", "defect", "--yes").code == 0
    assert cortex("label", "list", "--json").json == []


def test_comments(cortex: Cortex, project: str) -> None:
    cortex("ticket", "create", "T")
    key = f"{project}-1"
    first = cortex("comment", "add", key, "Text", "--type", "blocker").out.strip()
    cortex("comment", "add", key, "-", stdin="piped\n")
    assert [c["body"] for c in cortex("comment", "list", key, "--json").json] == ["Text", "piped\n"]
    assert "blocker" in cortex("comment", "show", first).out
    assert cortex("comment", "edit", first, "--body", "New", "--json").json["body"] == "New"
    assert cortex("comment", "delete", first, "--yes").code == 0
    assert "piped" in cortex("ticket", "show", key, "--comments").out


def test_reviews_are_answered_by_id_or_ticket(cortex: Cortex, project: str) -> None:
    cortex("ticket", "create", "T")
    key = f"{project}-1"
    first = cortex("review", "request", key, "Look", "--branch", "b").out.strip()
    assert cortex("review", "approve", key, "-m", "Fine", "--json").json["state"] == "approved"
    assert cortex("review", "approve", key).code == 2  # none is open
    second = cortex("review", "request", key, "Again").out.strip()
    cortex("review", "changes", second, "-m", "Not yet")
    assert "changes_requested" in cortex("review", "list", key).out
    listed = cortex("review", "list", "--state", "approved", "--json").json
    assert [review["id"] for review in listed] == [first]
    assert "Look" in cortex("review", "show", first).out


def test_sessions(cortex: Cortex, project: str) -> None:
    cortex("ticket", "create", "T")
    key = f"{project}-1"
    parent = cortex("session", "start", key, "--agent", "opencode").out.strip()
    child = cortex("session", "start", key, "--parent", parent, "--json").json
    assert (child["parent_id"], child["title"]) == (parent, "Untitled")
    cortex("session", "status", parent, "awaiting_input", "--work", "Which one?")
    assert cortex("session", "status", parent).out == "awaiting_input: Which one?\n"
    cortex("session", "say", parent, "-", "--role", "user", stdin="The\nfirst.")
    cortex("session", "say", parent, "\x1b[31mRed")
    assert cortex("session", "messages", parent).out == "user\nThe\nfirst.\n\nassistant\nRed\n\n"
    assert cortex("session", "edit", parent, "--title", "New", "--json").json["title"] == "New"
    ended = cortex("session", "end", parent, "--outcome", "failed", "--json").json
    assert (ended["status"], ended["outcome"]) == ("ended", "failed")
    active = cortex("session", "list", key, "--active", "--json").json
    assert [session["id"] for session in active] == [child["id"]]


def test_settings_are_json_where_they_can_be(cortex: Cortex, project: str) -> None:
    assert cortex("settings", "get", "--json").json["values"] is not None
    assert cortex("settings", "list").out == cortex("settings", "show").out != ""
    assert cortex("settings", "get", "none-such").code == 5


def test_tokens_show_their_secret_once(
    cortex: Cortex, here: Server, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cortex("token", "create", "reader", "--role", "read", "-p", project, "--expires", "1h")
    secret = made.out.strip()
    assert len(secret) >= 43
    listed = cortex("token", "list", "--json")
    (token,) = [t for t in listed.json if t["name"] == "reader"]
    assert (token["projects"], secret in listed.out) == ([project], False)
    owner = here.token
    monkeypatch.setenv("CORTEX_TOKEN", secret)
    assert cortex("ticket", "list").code == 0
    assert cortex("ticket", "create", "T").code == 4
    monkeypatch.setenv("CORTEX_TOKEN", owner)
    assert cortex("token", "revoke", token["id"], "--yes").code == 0
    monkeypatch.setenv("CORTEX_TOKEN", secret)
    ran = cortex("ticket", "list")
    assert ran.code == 4
    assert secret not in ran.err


def test_status_says_where_and_who(cortex: Cortex, here: Server, project: str) -> None:
    ran = cortex("status")
    assert ran.code == 0
    assert here.url in ran.out
    assert project in ran.out
    assert cortex("status", "--json").json["ready"]["status"] == "ready"


def test_open_prints_an_address_that_works_once(cortex: Cortex, here: Server) -> None:
    address = cortex("open").out.strip()
    assert address.startswith(f"{here.url}/login?ticket=")
    assert here.token not in address


def test_the_board_is_printed_without_a_terminal(cortex: Cortex, project: str) -> None:
    cortex("ticket", "create", "On the board")
    assert "On the board" in cortex("board").out
    assert cortex("board", "--json").json["board"]["project"]["key"] == project
    assert cortex("board", "-p", "none-such").code == 5


def test_the_dashboard_is_printed_without_a_terminal(cortex: Cortex, project: str) -> None:
    cortex("ticket", "create", "On the board")
    assert f" {project} " in cortex("dashboard").out.replace("\n", " \n ")
    assert "Nobody waits for you." in cortex("dashboard", "--once").out
    assert cortex("dashboard", "--ascii").out.isascii()
    shown = cortex("dashboard", "--json").json
    assert shown["version"] == 1
    assert project in {found["project"] for found in shown["dashboard"]["projects"]}
