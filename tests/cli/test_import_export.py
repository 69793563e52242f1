"""Import and export against a real server: all or none, idempotent, byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cortex
from tests.support.server import Server

REFERENCES = Path(__file__).parent.parent / "data" / "tickets"


@pytest.fixture
def head(here: Server, project: str) -> Callable[[], int]:
    """The position of the newest event, to prove that nothing happened."""
    return lambda: int(here.api("GET", f"/projects/{project}/board").json()["head"])


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """The five documents in a layout, outside of git."""
    directory = tmp_path / "tickets"
    for number, source in enumerate(sorted(REFERENCES.glob("*.md"))):
        column = ("backlog", "progress", "review", "done", "done")[number]
        (directory / column).mkdir(parents=True, exist_ok=True)
        shutil.copy(source, directory / column)
    return directory


def test_the_reference_documents_come_in_and_go_out_unchanged(
    cortex: Cortex, project: str, documents: Path, tmp_path: Path, head: Callable[[], int]
) -> None:
    first = cortex("ticket", "import", documents)
    assert first.code == 0, first.err
    assert first.err == "5 created, 0 updated, 0 unchanged.\n"
    tickets = cortex("ticket", "list", "--json").json
    bodies = {ticket["body"].encode() for ticket in tickets}
    for source in REFERENCES.glob("[!s]*.md"):
        assert source.read_bytes() in bodies
    (fifth,) = [t for t in tickets if t["id"] == "63e9ca04-0f75-424d-a271-7138eabbbaa0"]
    assert (fifth["status"], fifth["type"]) == ("done", "work")
    assert fifth["created_at"] == "2026-01-26T15:53:01.717454Z"
    assert fifth["updated_at"] == "2026-01-26T18:12:50.163297Z"
    assert "debt â€” write" in fifth["body"]

    before = head()
    assert cortex("ticket", "import", documents).err == "0 created, 0 updated, 5 unchanged.\n"
    out = tmp_path / "out"
    assert len(cortex("ticket", "export", "--to", out).out.splitlines()) == 5
    exported = {path: path.read_bytes() for path in out.rglob("*.md")}
    assert cortex("ticket", "import", out).err == "0 created, 0 updated, 5 unchanged.\n"
    cortex("ticket", "export", "--to", out)
    assert {path: path.read_bytes() for path in out.rglob("*.md")} == exported
    assert head() == before


def test_every_field_of_a_file_goes_round(cortex: Cortex, project: str, tmp_path: Path) -> None:
    made = cortex(
        "ticket", "create", "All: of #it", "--body", "---\nnot: matter\n---\n\r\n\ttext",
        "-l", "a, b", "-l", "ä", "--type", "debug", "--priority", "urgent", "--assignee", "yes",
        "--due", "2026-05-01", "--reference", "https://x.test/#y", "--json",
    ).json  # fmt: skip
    cortex("ticket", "archive", made["key"])
    before = cortex("ticket", "show", made["key"], "--json").json
    path = cortex("ticket", "export", made["key"], "--to", tmp_path).out.strip()
    assert path == f"{tmp_path}/backlog/{made['key']}-all-of-it.md"
    cortex("ticket", "delete", made["key"], "--yes")
    assert cortex("ticket", "import", path).code == 0
    (after,) = cortex("ticket", "list", "--all", "--json").json
    counted = ("key", "number", "rank", "revision")
    assert {k: v for k, v in after.items() if k not in counted} == {
        k: v for k, v in before.items() if k not in (*counted, "position")
    }


def test_one_bad_file_stops_all_and_every_bad_one_is_named(
    cortex: Cortex, project: str, tmp_path: Path
) -> None:
    (tmp_path / "good.md").write_text("# Good\n")
    (tmp_path / "bad.md").write_text("---\ntitle: Server: x\n---\n")
    (tmp_path / "worse.md").write_bytes(b"one\n\xff\n")
    ran = cortex("ticket", "import", tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert f"{tmp_path}/bad.md:2: mapping values" in ran.err
    assert f"{tmp_path}/worse.md:2: byte 4" in ran.err
    assert cortex("ticket", "list", "--json").json == []


def test_what_only_the_server_refuses_is_told_by_file_and_line(
    cortex: Cortex, project: str, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_text("# Good\n")
    (tmp_path / "b.md").write_text(f"---\ntitle: T\ntags: [{'x' * 65}]\n---\n")
    ran = cortex("ticket", "import", tmp_path)
    assert ran.code == 1
    assert f"{tmp_path}/b.md:3: " in ran.err
    assert "Nothing was imported." in ran.err
    assert cortex("ticket", "list", "--json").json == []


def test_two_files_of_one_ticket_are_refused(cortex: Cortex, project: str, tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("---\nid: 63e9ca04-0f75-424d-a271-7138eabbbaa1\n---\n")
    ran = cortex("ticket", "import", tmp_path)
    assert ran.code == 1
    assert "same id" in ran.err


def test_a_dry_run_changes_nothing(cortex: Cortex, project: str, documents: Path) -> None:
    ran = cortex("ticket", "import", "--dry-run", documents)
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 5
    assert cortex("ticket", "list", "--json").json == []


def test_an_empty_directory_is_a_failure(cortex: Cortex, project: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert cortex("ticket", "import", tmp_path / "empty").code == 1
    assert cortex("ticket", "import", tmp_path / "none").code == 2


def test_a_ticket_follows_its_file_to_another_column(
    cortex: Cortex, project: str, tmp_path: Path
) -> None:
    cortex("ticket", "create", "T")
    path = Path(cortex("ticket", "export", "--to", tmp_path).out.strip())
    (tmp_path / "done").mkdir()
    path.rename(tmp_path / "done" / path.name)
    assert cortex("ticket", "import", tmp_path).out == f"updated {project}-1\n"
    assert cortex("ticket", "show", "1", "--json").json["status"] == "done"
