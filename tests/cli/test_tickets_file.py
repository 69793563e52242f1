"""Ticket files: what is read, what is refused where, and that nothing is lost on the way."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_cli import tickets_file
from cortex_cli.tickets_file import BadTicketFile, parse, render

REFERENCES = Path(__file__).parent.parent / "data" / "tickets"


def fields(text: str | bytes, name: str = "name") -> dict[str, Any]:
    return parse(text if isinstance(text, bytes) else text.encode(), name).fields


def refusal(text: str | bytes) -> str:
    with pytest.raises(BadTicketFile) as caught:
        fields(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("event-broker-and-reconcile-loop", "Event broker and SSE endpoint (part 1 of 2: backend)"),
        ("event-catalogue", "Real-Time Events (SSE)"),
        (
            "opencode-instances-and-message-streaming",
            "Task 008: SSE Integration - Real-time Message Streaming",
        ),
        ("real-time-module-board-and-dashboard", "Real-time Module (SSE)"),
    ],
)
def test_plain_markdown_is_all_body_and_its_first_heading_the_title(name: str, title: str) -> None:
    content = (REFERENCES / f"{name}.md").read_bytes()
    found = parse(content, name)
    assert found.fields["title"] == title
    assert found.fields["body"].encode() == content
    assert set(found.fields) == {"title", "body"}


def test_the_document_with_front_matter_keeps_its_id_its_times_and_every_byte_of_its_body() -> None:
    content = (REFERENCES / "sse-event-system-for-real-time-tui.md").read_bytes()
    found = fields(content)
    assert found["id"] == "63e9ca04-0f75-424d-a271-7138eabbbaa0"
    assert found["title"] == "SSE Event System for Real-Time TUI Updates"
    assert found["type"] == "work"  # an empty one
    assert found["created_at"] == "2026-01-26T15:53:01.717454Z"
    assert found["updated_at"] == "2026-01-26T18:12:50.163297Z"
    assert content.endswith(found["body"].encode())
    assert "debt â€” write" in found["body"]  # garbled when it was written, and kept so


def test_a_rule_later_in_the_file_is_no_front_matter() -> None:
    text = "\n---\ntitle: No\n---\nText\n"
    assert fields(text) == {"title": "name", "body": text}


def test_a_byte_order_mark_is_dropped_and_front_matter_found_behind_it() -> None:
    assert fields(b"\xef\xbb\xbf---\ntitle: T\n---\nB") == {"title": "T", "body": "B"}


def test_line_ends_of_windows_are_read_and_kept_in_the_body() -> None:
    found = fields("---\r\ntitle: T\r\ntags: [a]\r\n---\r\none\r\ntwo\r\n")
    assert found == {"title": "T", "labels": ["a"], "body": "one\r\ntwo\r\n"}


def test_values_are_taken_as_written_not_as_yaml_reads_them() -> None:
    found = fields("---\ntitle: 1.10\nassignee: yes\nreferences: [2026-01-26, 0x10]\n---\n")
    assert found["title"] == "1.10"
    assert found["assignee"] == "yes"
    assert found["references"] == ["2026-01-26", "0x10"]


def test_a_key_that_is_absent_is_not_sent_and_an_empty_one_clears() -> None:
    found = fields("---\ntitle: T\ntags:\nassignee: ''\ndue: ~\npriority:\nreferences: []\n---\n")
    assert found == {
        "title": "T", "labels": [], "assignee": None, "due": None, "priority": "none",
        "references": [], "body": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2026-01-26T15:53:01.717454Z", "2026-01-26T15:53:01.717454Z"),
        ("2026-01-26 16:53:01 +01:00", "2026-01-26T15:53:01.000000Z"),
        ("2026-01-26", "2026-01-26T00:00:00.000000Z"),
        ("'2026-01-26T15:53'", "2026-01-26T15:53:00.000000Z"),
    ],
)
def test_times_become_utc(written: str, stored: str) -> None:
    assert fields(f"---\ntitle: T\ncreated: {written}\n---\n")["created_at"] == stored


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("---\nid: 1\n---\n", 2, "UUID"),
        ("---\ntitle: Server: x\n---\n", 2, "mapping values are not allowed"),
        ("---\n\n# a\ntype: story\n---\n", 4, "type must be one of"),
        ("---\ntitle: T\npriority: 1\n---\n", 3, "priority must be one of"),
        ("---\ntitle: T\ntags: [a\n---\n", 4, "expected ',' or ']'"),
        ("---\ntitle: [a]\n---\n", 2, "single value"),
        ("---\ntags:\n- a\n- [b]\n---\n", 4, "single value"),
        ("---\ntitle: T\ntitle: U\n---\n", 3, "twice"),
        ("---\n- a\n---\n", 2, "key: value"),
        ("---\n? [a]\n: b\n---\n", 2, "key must be a word"),
        ("---\ntitle: T\n\n", 1, "never closed"),
        ("---\ntitle: T\ndue: 2026-02-30\n---\n", 3, "due must be a date"),
        ("---\ntitle: T\ncreated: soon\n---\n", 3, "created must be a time"),
        ("---\ncreated: 0001-01-01T00:00:00+14:00\n---\n", 2, "created must be a time"),
        ("---\narchived: maybe\n---\n", 2, "true or false"),
        ("---\ntitle: a\x07b\n---\n", 2, "YAML does not allow"),
        ("---\ntitle: !!python/object:os.system x\nid: y\n---\n", 3, "UUID"),
        ("---\n" + "[" * 60_000 + "\n---\n", 1, "cannot be read as YAML"),
        ("---\n" + "#" * 70_000 + "\n---\n", 1, "longer than"),
        (f"---\ntitle: {'x' * 501}\n---\n", 2, "501 characters"),
        ("x" * 1_048_577, 1, "1048576 is the most"),
        (b"one\ntwo\xff\n", 2, "byte 7 is not UTF-8"),
        ("one\n\ntw\0o\n", 3, "NUL"),
    ],
)
def test_what_cannot_be_a_ticket_is_refused_with_its_line(
    text: str | bytes, line: int, reason: str
) -> None:
    told = refusal(text)
    assert told.startswith(f"line {line}: ")
    assert reason in told


def test_unknown_keys_are_named_and_not_sent() -> None:
    found = parse(b"---\ntitle: T\nstatus: done\ncolour: red\n---\n", "name")
    assert found.unknown == ("status", "colour")
    assert found.fields == {"title": "T", "body": ""}


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ("# One\n", "One"),
        ("text\n\n## Two ##\n", "Two"),
        ("```sh\n# no heading\n```\n# Yes\n", "Yes"),
        ("~~~\n# no\n```\n# no\n~~~\n# Yes\n", "Yes"),
        ("Under\n=====\n", "Under"),
        ("#\n#No\n    # code\n\n# Yes", "Yes"),
        ("# a \t b\n", "a b"),
        ("text only", "name"),
        ("", "name"),
        ("# " + "x" * 600, "x" * 500),
    ],
)
def test_the_title_of_plain_markdown(body: str, title: str) -> None:
    assert fields(body)["title"] == title


# Everything that the server stores: no NUL and no lone surrogates.
text = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60)
words = text.filter(lambda value: value.strip() == value and value != "")
times = st.datetimes(timezones=st.just(UTC)).map(
    lambda at: at.isoformat(timespec="microseconds").replace("+00:00", "Z")
)
tickets = st.fixed_dictionaries(
    {
        "id": st.uuids().map(str),
        "title": text.filter(lambda value: value.strip() != ""),
        "body": text,
        "type": st.sampled_from(tickets_file.TYPES),
        "priority": st.sampled_from(tickets_file.PRIORITIES),
        "labels": st.lists(words, max_size=3, unique=True).map(sorted),
        "assignee": st.none() | words,
        "due": st.none() | st.dates().map(lambda day: day.isoformat()),
        "references": st.lists(words, max_size=3),
        "archived": st.booleans(),
        "created_at": times,
        "updated_at": times,
    }
)


@settings(max_examples=40, deadline=None)
@given(tickets)
def test_a_ticket_survives_the_way_through_a_file(ticket: dict[str, Any]) -> None:
    content = render(ticket)
    unset = {"priority": "none", "labels": [], "assignee": None, "due": None, "references": []}
    found = {**unset, "archived": False, **fields(content)}
    assert found == ticket
    assert render({**ticket, **fields(content)}) == content


@settings(max_examples=40, deadline=None)
@given(tickets)
def test_other_programs_can_read_the_front_matter(ticket: dict[str, Any]) -> None:
    _, header, body = render(ticket).decode().split("---\n", 2)
    loaded = yaml.safe_load(header)
    assert loaded["id"] == ticket["id"]
    assert isinstance(loaded["created"], datetime)
    assert body.endswith(ticket["body"]) or "---\n" in ticket["body"] + header


@settings(max_examples=40, deadline=None)
@given(tickets)
def test_a_draft_that_is_not_edited_changes_nothing(ticket: dict[str, Any]) -> None:
    draft = tickets_file.render_draft(ticket)
    found = fields(draft)
    assert found["title"] == ticket["title"]
    assert found["labels"] == ticket["labels"]
    assert found["assignee"] == ticket["assignee"]
    assert found["body"] == ticket["body"]


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"---\n", b"---\ntitle: T\n"]))
def test_any_bytes_are_a_ticket_or_are_refused(content: bytes, head: bytes) -> None:
    try:
        found = fields(head + content)
    except BadTicketFile:
        return
    assert found["title"]


def test_an_id_in_another_form_is_the_same_id() -> None:
    plain = uuid.UUID("63e9ca04-0f75-424d-a271-7138eabbbaa0")
    for form in (plain.urn, plain.hex.upper(), f"'{{{plain}}}'"):
        assert fields(f"---\ntitle: T\nid: {form}\n---\n")["id"] == str(plain)
