"""What `watch` does with each value of a stream, and where its cursor is then."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cortex_cli import event_words, sdk, tail
from cortex_cli.failures import Failed

HELLO = sdk.Connected("e", 5, 0, "client", "2026-01-26T15:53:01.000000Z", 15.0, False, "0.1.0")
RESUMED = sdk.Connected("e", 5, 0, "client", HELLO.server_time, 15.0, True, "0.1.0")


def event(position: int, kind: str = "ticket.moved", **payload: Any) -> sdk.Event:
    at = "2026-01-26T15:53:01.717454Z"
    sent = {"id": f"e.{position}", "type": kind, "ticket": "CTX-1", "payload": payload}
    return sdk.Event(
        id=f"e.{position}", type=kind, project="CTX", seq=position, ticket="CTX-1", at=at,
        actor=sdk.Actor("agent", "opencode"), payload=payload, raw=json.dumps(sent),
        snapshot=False, gap=0,
    )  # fmt: skip


class Played(sdk.EventStream):
    """A stream that plays values."""

    def __init__(self, values: Iterable[sdk.Value]) -> None:
        self._values = iter(values)

    def __iter__(self) -> Iterator[sdk.Value]:
        return self._values

    def __next__(self) -> sdk.Value:
        return next(self._values)


def follow(
    *values: sdk.Value, cursor: Path | None = None, count: int | None = None,
    started_at: str = "e.5", emit: tail.Emit = tail.json_line,
) -> int:  # fmt: skip
    file = tail.CursorFile(cursor) if cursor else None
    return tail.Tail(emit, file, count).follow(Played(values), started_at)


def test_every_event_is_one_line_of_its_own_json(capsys: pytest.CaptureFixture[str]) -> None:
    heartbeat = sdk.Heartbeat("e.6", "", 6, 6)
    assert follow(HELLO, event(6), heartbeat, event(7, "comment.added", body="a\nb")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["id"] for line in lines] == ["e.6", "e.7"]
    assert lines[1]["payload"] == {"body": "a\nb"}


def test_count_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert follow(HELLO, event(6), event(7), event(8), count=2) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_lost_stream_is_told_on_stderr_and_the_last_loss_is_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = sdk.Unreachable("Cannot reach Cortex\x1b[2J.")
    code = follow(sdk.Lost(error, 1.5, 1, 8), HELLO, sdk.Lost(error, None, 8, 8))
    captured = capsys.readouterr()
    assert code == 3
    assert captured.out == ""
    assert "Cannot reach Cortex. Trying again in 1.5 s (1/8)." in captured.err


def test_missing_events_are_announced_in_the_data_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cursor"
    follow(HELLO, sdk.Reset("expired", 3, None), cursor=file, started_at="e.1")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"type": "reset", "reason": "expired", "floor": 3}
    assert "events are missing" in captured.err
    assert file.read_text() == "e.5\n"


def test_the_cursor_is_stored_from_the_start_and_moves_with_events_and_heartbeats(
    tmp_path: Path,
) -> None:
    file = tmp_path / "cursor"
    follow(RESUMED, cursor=file, started_at="e.4")
    assert file.read_text() == "e.4\n"
    follow(event(6), cursor=file)
    assert file.read_text() == "e.6\n"
    follow(sdk.Heartbeat("e.9", "", 9, None), cursor=file)
    assert file.read_text() == "e.9\n"
    assert [path.name for path in tmp_path.iterdir()] == ["cursor"]


def test_a_cursor_that_cannot_be_served_moves_only_after_that_was_told(tmp_path: Path) -> None:
    file = tmp_path / "cursor"
    follow(HELLO, cursor=file, started_at="e.1")
    assert not file.exists()


def test_an_event_that_could_not_be_written_leaves_the_cursor_before_it(tmp_path: Path) -> None:
    file = tmp_path / "cursor"

    def emit(item: tail.Item) -> None:
        if isinstance(item, sdk.Event) and item.id == "e.7":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        follow(HELLO, event(6), event(7), cursor=file, emit=emit)
    assert file.read_text() == "e.6\n"


@pytest.mark.parametrize("content", ["", "\n", "a b", "\x1b[2J", "é"])
def test_a_damaged_cursor_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "cursor"
    file.write_text(content)
    with pytest.raises(Failed, match="cursor"):
        tail.CursorFile(file).read()


def test_a_command_gets_the_event_and_its_failure_keeps_the_cursor(tmp_path: Path) -> None:
    file, log = tmp_path / "cursor", tmp_path / "log"
    code = (
        "import os, sys, json; e = json.load(sys.stdin); v = os.environ;"
        f"open({str(log)!r}, 'a').write(' '.join([e['id'], v['CORTEX_EVENT_ID'],"
        "v['CORTEX_EVENT_TYPE'], v['CORTEX_EVENT_TICKET'], v['CORTEX_EVENT_ACTOR_NAME']]) + '\\n');"
        "sys.exit(e['id'] == 'e.7')"
    )
    emit = tail.command_runner([sys.executable, "-c", code], {})
    with pytest.raises(Failed, match=r"ended with 1 on e\.7"):
        follow(HELLO, event(6), event(7), event(8), cursor=file, emit=emit)
    assert file.read_text() == "e.6\n"
    assert log.read_text().splitlines() == [
        "e.6 e.6 ticket.moved CTX-1 opencode",
        "e.7 e.7 ticket.moved CTX-1 opencode",
    ]


def test_a_command_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(Failed, match="cannot be started"):
        tail.command_runner(["/no/such/program"], {})(event(1))


def test_a_command_may_leave_its_input_unread() -> None:
    tail.command_runner(["true"], {})(event(1, body="x" * 1_000_000))


def test_frames_are_as_they_came(capsys: pytest.CaptureFixture[str]) -> None:
    sent = event(6)
    tail.raw_frame(sent)
    assert capsys.readouterr().out == f"id: e.6\nevent: ticket.moved\ndata: {sent.raw}\n\n"


def test_readable_lines_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tail.readable_line(event(6, "comment.added", body="\x1b]0;x\x07evil\n\x9b2J"))
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert "evil" in shown
    assert "\x1b" not in shown
    assert "e.6" in shown


@pytest.mark.parametrize(
    ("kind", "payload", "text"),
    [
        ("ticket.moved", {"changed": {"status": {"from": "a", "to": "b"}}}, "a → b"),
        ("ticket.updated", {"changed": {"title": {}}, "title": "T"}, "title: T"),
        ("ticket.created", {"title": "T"}, "T"),
        ("session.status", {"status": "working", "tool": "edit", "work": "it"}, "working edit it"),
        ("session.ended", {"status": "ended", "outcome": "failed"}, "failed"),
        ("message.created", {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}, "user: a b"),
        ("review.requested", {"summary": "S"}, "S"),
        ("label.created", {"name": "bug"}, "bug"),
        ("attempt.status", {"status": "failed", "agent": "sh", "reason": "R"}, "sh failed R"),
        ("attempt.log", {"kind": "text", "text": "T"}, "T"),
        ("ticket.moved", {"changed": {"status": "odd"}, "title": "T"}, "T"),
        ("never.seen", {"x": 1}, '{"x": 1}'),
        ("ticket.moved", {"changed": None, "parts": 1}, '{"changed": null, "parts": 1}'),
    ],
)  # fmt: skip
def test_what_happened_in_a_few_words(kind: str, payload: dict[str, Any], text: str) -> None:
    assert event_words.summary(kind, payload) == text
