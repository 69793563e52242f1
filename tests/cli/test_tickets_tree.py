"""Directories of ticket files: what is found, where it belongs, and where exports go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cortex_cli import tickets_file, tickets_tree

COLUMNS = ("backlog", "progress", "review", "done")
TICKET: dict[str, Any] = {
    "id": "63e9ca04-0f75-424d-a271-7138eabbbaa0", "key": "CTX-12", "number": 12, "title": "A title",
    "body": "Body\n", "type": "work", "status": "backlog", "priority": "none", "labels": [],
    "assignee": None, "due": None, "references": [], "archived": False,
    "created_at": "2026-01-26T15:53:01.717454Z", "updated_at": "2026-01-26T15:53:01.717454Z",
}  # fmt: skip


def put(path: Path, text: str = "# T\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(*paths: Path) -> list[str]:
    return [source.path.name for source in tickets_tree.find(paths)]


def only(path: Path) -> tickets_tree.Source:
    (source,) = tickets_tree.find([path])
    return source


def test_a_directory_gives_its_markdown_files_in_a_persons_order(tmp_path: Path) -> None:
    for name in ("CTX-10.md", "CTX-2.md", "b.markdown", "c.txt", ".hidden.md", ".git/x.md"):
        put(tmp_path / name)
    assert found(tmp_path) == ["CTX-2.md", "CTX-10.md", "b.markdown"]


def test_a_file_that_is_named_twice_is_found_once(tmp_path: Path) -> None:
    file = put(tmp_path / "a.md")
    assert found(file, tmp_path, file) == ["a.md"]


def test_links_below_a_directory_are_not_followed(tmp_path: Path) -> None:
    secret = put(tmp_path / "secret" / "key.md", "secret")
    inside = tmp_path / "repository"
    inside.mkdir()
    (inside / "a.md").symlink_to(secret)
    (inside / "directory").symlink_to(secret.parent)
    assert found(inside) == []


def test_a_named_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tickets_file.BadTicketFile, match="not a file"):
        tickets_tree.Source(Path("/dev/null"), Path("/dev")).read()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("review/a.md", "review"),
        ("tickets/done/deep/a.md", "done"),
        ("done/backlog/a.md", "backlog"),
        ("other/a.md", None),
        ("a.md", None),
    ],
)
def test_the_innermost_directory_named_like_a_column_is_the_status(
    tmp_path: Path, path: str, status: str | None
) -> None:
    # The outer directory does not count: it is only where the clone lies.
    top = tmp_path / "done" / "clone"
    (top / ".git").mkdir(parents=True)
    file = put(top / path)
    assert only(file).status(COLUMNS) == status
    sources = {source.path: source for source in tickets_tree.find([top])}
    assert sources[file].status(COLUMNS) == status


def test_outside_of_git_the_named_directory_still_gives_the_status(tmp_path: Path) -> None:
    file = put(tmp_path / "review" / "tickets" / "progress" / "a.md")
    assert only(file.parent).status(COLUMNS) == "progress"
    assert only(file).status(COLUMNS) == "progress"
    assert only(put(tmp_path / "done" / "notes" / "b.md")).status(COLUMNS) is None


def test_the_id_of_a_file_without_one_depends_on_project_and_place_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for clone in ("one", "two"):
        (tmp_path / clone / ".git").mkdir(parents=True)
        put(tmp_path / clone / "docs" / "a.md")
    monkeypatch.chdir(tmp_path / "one" / "docs")
    identities = {
        only(Path("a.md")).identity("CTX"),
        only(Path("../docs")).identity("ctx"),
        only(tmp_path / "two" / "docs" / "a.md").identity("CTX"),
    }
    assert len(identities) == 1
    assert only(Path("a.md")).identity("OTHER") not in identities
    assert only(put(tmp_path / "one" / "b.md")).identity("CTX") not in identities


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("A title", "CTX-12-a-title.md"),
        ("  Größe: 5 × 4?! ", "CTX-12-groe-5-4.md"),
        ("../../etc/passwd", "CTX-12-etc-passwd.md"),
        ("日本語", "CTX-12.md"),
        ("x" * 200, f"CTX-12-{'x' * 60}.md"),
    ],
)
def test_a_file_is_named_after_key_and_title(title: str, name: str) -> None:
    assert tickets_tree.place_of({**TICKET, "title": title}) == Path("backlog", name)


@pytest.mark.parametrize("change", [{"status": "../up"}, {"status": ""}, {"key": "../../x"}])
def test_a_server_cannot_choose_where_files_go(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be a file"):
        tickets_tree.place_of({**TICKET, **change})


def test_writing_twice_gives_the_same_bytes_and_does_not_touch_the_file(tmp_path: Path) -> None:
    path = tickets_tree.write(tmp_path, TICKET)
    before = (path.read_bytes(), path.stat().st_ino)
    assert tickets_tree.write(tmp_path, TICKET) == path
    assert (path.read_bytes(), path.stat().st_ino) == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_ticket_that_moved_leaves_no_second_file(tmp_path: Path) -> None:
    tickets_tree.write(tmp_path, TICKET)
    strangers = put(tmp_path / "backlog" / "CTX-12-not-ours.md")
    moved = tickets_tree.write(tmp_path, {**TICKET, "status": "done", "title": "Another"})
    files = sorted(path for path in tmp_path.rglob("*.md"))
    assert files == [strangers, moved]


def test_a_link_in_the_layout_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    export = tmp_path / "export"
    export.mkdir()
    (export / "backlog").symlink_to(outside)
    with pytest.raises(ValueError, match="symbolic link"):
        tickets_tree.write(export, TICKET)
    assert list(outside.iterdir()) == []


def test_a_file_that_is_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    target = put(tmp_path / "target.md", "keep me")
    place = tmp_path / tickets_tree.place_of(TICKET)
    place.parent.mkdir()
    place.symlink_to(target)
    tickets_tree.write(tmp_path, TICKET)
    assert target.read_text() == "keep me"
    assert not place.is_symlink()
