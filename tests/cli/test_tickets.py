"""`cortex ticket` against a real server."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cortex
from tests.support.server import Server


def test_a_ticket_is_created_listed_shown_moved_and_deleted(cortex: Cortex, project: str) -> None:
    made = cortex("ticket", "create", "First", "--body", "-", "-l", "api", stdin="From a pipe\n")
    key = f"{project}-1"
    assert (made.code, made.out, made.err) == (0, f"{key}\n", f"{key} is in backlog.\n")

    listed = cortex("ticket", "list")
    assert listed.out.splitlines()[0].split()[:2] == ["KEY", "STATUS"]
    assert listed.out.splitlines()[1].split()[:2] == [key, "backlog"]

    shown = cortex("ticket", "show", "1")
    assert "From a pipe" in shown.out
    assert "api" in shown.out

    moved = cortex("ticket", "move", key, "review", "--json")
    assert moved.json["status"] == "review"
    assert [t["key"] for t in cortex("ticket", "list", "--status", "review", "--json").json] == [
        key
    ]

    assert cortex("ticket", "delete", key).code == 2  # no terminal, no --yes
    assert cortex("ticket", "delete", key, "--yes").code == 0
    gone = cortex("ticket", "show", key)
    assert (gone.code, gone.out) == (5, "")


def test_several_tickets_are_moved_together_or_not_at_all(cortex: Cortex, project: str) -> None:
    for title in ("a", "b", "c"):
        cortex("ticket", "create", title)
    moved = cortex("ticket", "move", "1", f"{project}-3", "review")
    assert (moved.code, moved.err) == (0, f"{project}-1, {project}-3 are in review.\n")
    placed = cortex("ticket", "move", "2", "1", "review", "--position", "0", "--json")
    assert [t["key"] for t in placed.json] == [f"{project}-2", f"{project}-1"]
    refused = cortex("ticket", "move", "1", "99", "done")
    assert refused.code != 0
    assert "99" in refused.err
    assert cortex("ticket", "show", "1", "--json").json["status"] == "review"
    several = cortex("ticket", "move", "1", "2", "done", "--revision", "1")
    assert (several.code, "--revision" in several.err) == (2, True)


def test_a_list_of_a_column_that_does_not_exist_names_those_that_do(
    cortex: Cortex, project: str
) -> None:
    assert cortex("ticket", "list", "--status", "review").code == 0
    wrong = cortex("ticket", "list", "--status", "nah")
    assert (wrong.code, wrong.out) == (1, "")
    assert "backlog, progress, review, done" in wrong.err


def test_lists_are_filtered_and_arrays_in_json(cortex: Cortex, project: str) -> None:
    for title, assignee in (("one", "ann"), ("two", "bob"), ("three", "ann")):
        cortex("ticket", "create", title, "--assignee", assignee)
    cortex("ticket", "archive", "3")
    titles = lambda *options: [  # noqa: E731
        ticket["title"] for ticket in cortex("ticket", "list", "--json", *options).json
    ]
    assert titles() == ["one", "two"]
    assert titles("--assignee", "ann") == ["one"]
    assert titles("-q", "tw") == ["two"]
    assert titles("--archived") == ["three"]
    assert sorted(titles("--all")) == ["one", "three", "two"]
    assert cortex("ticket", "list", "--label", "none-such", "--json").json == []


def test_a_file_and_standard_input_give_the_body(
    cortex: Cortex, project: str, tmp_path: Path
) -> None:
    (tmp_path / "body.md").write_bytes("Zeile\r\nß".encode())
    cortex("ticket", "create", "T", "-F", tmp_path / "body.md")
    assert cortex("ticket", "show", "1", "--json").json["body"] == "Zeile\r\nß"
    cortex("ticket", "edit", "1", "-F", "-", stdin="piped")
    assert cortex("ticket", "show", "1", "--json").json["body"] == "piped"
    refused = cortex("ticket", "edit", "1", "-F", "-", stdin=b"\xff")
    assert (refused.code, "UTF-8" in refused.err) == (1, True)


def test_fields_are_changed_and_cleared_by_options(cortex: Cortex, project: str) -> None:
    cortex("ticket", "create", "T", "-l", "a", "-l", "b", "--due", "2026-05-01", "--reference", "x")
    edited = cortex(
        "ticket", "edit", "1", "--title", "U", "-l", "c", "--due", "", "--reference", "", "--json"
    ).json  # fmt: skip
    assert (edited["title"], edited["labels"]) == ("U", ["c"])
    assert (edited["due"], edited["references"]) == (None, [])
    assert cortex("ticket", "label", "add", "1", "d", "e", "--json").json["labels"] == [
        "c",
        "d",
        "e",
    ]
    assert cortex("ticket", "label", "remove", "1", "c", "--json").json["labels"] == ["d", "e"]


def test_an_outdated_revision_is_a_conflict_and_overwrites_nothing(
    cortex: Cortex, project: str
) -> None:
    cortex("ticket", "create", "T")
    cortex("ticket", "edit", "1", "--title", "theirs")
    for words in (
        ["edit", "1", "--title", "mine"], ["move", "1", "done"], ["archive", "1"],
        ["delete", "1", "--yes"],
    ):  # fmt: skip
        ran = cortex("ticket", *words, "--revision", "1")
        assert ran.code == 6, words
        assert "is at revision 2" in ran.err
    assert cortex("ticket", "show", "1", "--json").json["title"] == "theirs"


def test_refusals_name_the_field(cortex: Cortex, project: str) -> None:
    ran = cortex("ticket", "create", "T", "--due", "tomorrow")
    assert ran.code == 1
    assert "due" in ran.err


def use_editor(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Edit with a Python program; `t` is the text that it changes."""
    read = "import sys; p = sys.argv[1]; t = open(p, newline='').read()"
    program = f"{read}; {code}; open(p, 'w', newline='').write(t)"
    monkeypatch.setenv("VISUAL", shlex.join([sys.executable, "-c", program]))


def drafts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "state").rglob("*.md"))


def test_editing_sends_only_what_differs(
    cortex: Cortex, project: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = "bell\x07 and\r\ntabs\t"
    cortex("ticket", "create", "Old", "--body", body, "-l", "a")
    use_editor(monkeypatch, "t = t.replace('title: Old', 'title: New').replace('- a', '- b')")
    ran = cortex("ticket", "edit", "1", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["title"], ran.json["labels"], ran.json["body"]) == ("New", ["b"], body)
    assert drafts(tmp_path) == []


def test_an_edit_that_changes_nothing_is_none(
    cortex: Cortex, project: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cortex("ticket", "create", "T", "--body", "x")
    use_editor(monkeypatch, "pass")
    ran = cortex("ticket", "edit", "1")
    assert (ran.code, ran.err) == (0, "Nothing was changed.\n")
    assert cortex("ticket", "show", "1", "--json").json["revision"] == 1
    assert drafts(tmp_path) == []


def test_a_conflict_while_editing_keeps_the_draft_and_tells_where(
    cortex: Cortex, here: Server, project: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cortex("ticket", "create", "T", "--body", "x")
    meanwhile = (
        "import subprocess; subprocess.run([sys.executable, '-m', 'cortex_cli', 'ticket', 'edit',"
        f" '{project}-1', '--title', 'theirs'], check=True)"
    )
    use_editor(monkeypatch, f"{meanwhile}; t = t + 'mine'")
    ran = cortex("ticket", "edit", "1")
    assert ran.code == 6
    (draft,) = drafts(tmp_path)
    assert str(draft) in ran.err
    assert draft.read_text().endswith("xmine")
    assert cortex("ticket", "show", "1", "--json").json["title"] == "theirs"


def test_a_draft_that_is_no_ticket_is_kept(
    cortex: Cortex, project: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cortex("ticket", "create", "T")
    use_editor(monkeypatch, "t = t.replace('type: work', 'type: story')")
    ran = cortex("ticket", "edit", "1")
    assert ran.code == 1
    assert "line 3" in ran.err
    assert str(drafts(tmp_path)[0]) in ran.err


def test_a_ticket_is_written_in_the_editor(
    cortex: Cortex, project: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_editor(monkeypatch, "t = t.replace(\"title: ''\", 'title: Written') + 'Body'")
    ran = cortex("ticket", "create", "--edit", "--json")
    assert (ran.json["title"], ran.json["body"]) == ("Written", "Body")
    use_editor(monkeypatch, "pass")
    assert cortex("ticket", "create", "--edit").code == 1
    assert drafts(tmp_path) == []


def test_an_agent_sees_its_own_ticket_only(
    cortex: Cortex, here: Server, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cortex("ticket", "create", "Mine")
    cortex("ticket", "create", "Not mine")
    secret = cortex(
        "token", "create", "a", "--role", "agent", "--ticket", f"{project}-1",
    ).out.strip()  # fmt: skip
    monkeypatch.setenv("CORTEX_TICKET", f"{project}-1")
    monkeypatch.setenv("CORTEX_TOKEN", secret)
    assert cortex("ticket", "move", "progress").code == 0
    assert cortex("comment", "add", "On it").code == 0
    session = cortex("session", "start", "--title", "Work").out.strip()
    assert cortex("session", "status", "working", "--tool", "edit").code == 0
    assert cortex("session", "say", "Hello").code == 0
    assert cortex("session", "show", "--json").json["id"] == session
    assert cortex("review", "request", "Look").code == 0
    assert cortex("session", "end", "--outcome", "succeeded").code == 0
    assert cortex("ticket", "edit", f"{project}-2", "--title", "x").code in (4, 5)
    monkeypatch.delenv("CORTEX_TOKEN")
    assert cortex("ticket", "show").code == 4  # never the owner's token file
