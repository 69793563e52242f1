"""`cortex watch` as a process, against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cortex_cli import sdk
from tests.cli.conftest import Cortex
from tests.support.server import Server, free_port

pytestmark = pytest.mark.e2e

DEADLINE_S = 20.0
Watch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def watch(here: Server, tmp_path: Path) -> Iterator[Watch]:
    """Start `cortex watch`; returns when it is connected."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, connected: bool = True, **options: Any) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "cortex_cli", "watch", *map(str, arguments)]
        process = subprocess.Popen(
            words, text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            **{"stdout": subprocess.PIPE, "cwd": tmp_path, **options},
        )  # fmt: skip
        started.append(process)
        assert process.stderr is not None
        while connected and not process.stderr.readline().startswith("connected"):
            assert process.poll() is None
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def lines(process: subprocess.Popen[str], count: int) -> list[Any]:
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, out, err


def test_events_are_json_lines_the_moment_they_happen(
    watch: Watch, cortex: Cortex, project: str
) -> None:
    process = watch()
    cortex("ticket", "create", "Té\x1b[2J")
    cortex("ticket", "move", "1", "done")
    created, moved = lines(process, 2)
    assert created["type"] == "ticket.created"
    assert created["payload"]["title"] == "Té\x1b[2J"
    assert (moved["type"], moved["ticket"]) == ("ticket.moved", f"{project}-1")
    process.send_signal(signal.SIGINT)
    code, out, err = end(process)
    assert (code, out) == (130, "")
    assert "Traceback" not in err


def test_types_ticket_and_count_choose(watch: Watch, cortex: Cortex, project: str) -> None:
    cortex("ticket", "create", "One")
    cortex("ticket", "create", "Two")
    process = watch("--types", "comment.*,ticket.moved", "--ticket", "2", "--count", "2")
    cortex("ticket", "move", "1", "done")
    cortex("ticket", "edit", "2", "--title", "x")
    cortex("ticket", "move", "2", "done")
    cortex("comment", "add", f"{project}-2", "Hi")
    code, out, _ = end(process)
    assert code == 0
    assert [json.loads(line)["type"] for line in out.splitlines()] == [
        "ticket.moved",
        "comment.added",
    ]


def test_since_goes_back_and_a_cursor_file_misses_and_repeats_nothing(
    watch: Watch, cortex: Cortex, project: str, tmp_path: Path
) -> None:
    file = tmp_path / "cursor"
    for title in "abcdef":
        cortex("ticket", "create", title)
    titles: list[str] = []
    for start in ("0", "now", "now"):
        process = watch("--since", start, "--since-file", file, "--count", 2)
        _, out, _ = end(process)
        events = [json.loads(line) for line in out.splitlines()]
        titles += [event["payload"].get("title", event["type"]) for event in events]
        assert file.read_text().strip() == events[-1]["id"]
    assert titles == ["project.created", *"abcde"]


def test_killed_in_the_middle_it_goes_on_where_it_was(
    watch: Watch, cortex: Cortex, project: str, tmp_path: Path
) -> None:
    file = tmp_path / "cursor"
    process = watch("--since-file", file)
    cortex("ticket", "create", "first")
    lines(process, 1)
    process.kill()
    process.wait()
    cortex("ticket", "create", "meanwhile")
    again = watch("--since-file", file, "--types", "ticket.created")
    cortex("ticket", "create", "last")
    titles = [event["payload"]["title"] for event in lines(again, 2)]
    # The line was out before the cursor: a kill between the two repeats it.
    assert titles in (["meanwhile", "last"], ["first", "meanwhile"])


def test_a_command_that_fails_gets_the_event_again(
    watch: Watch, cortex: Cortex, project: str, tmp_path: Path
) -> None:
    file, log = tmp_path / "cursor", tmp_path / "log"
    fail_once = (
        f"import sys, json, os; e = json.load(sys.stdin); f = {str(log)!r};"
        "seen = os.path.exists(f); open(f, 'a').write(e['payload']['title'] + ' ');"
        "sys.exit(not seen)"
    )
    words = ("--since-file", file, "--exec", f'{sys.executable} -c "{fail_once}"', "--count", 2)
    process = watch(*words)
    cortex("ticket", "create", "one")
    code, out, err = end(process)
    assert (code, out) == (1, "")
    assert "ended with 1" in err
    cortex("ticket", "create", "two")
    assert end(watch(*words))[0] == 0
    assert log.read_text() == "one one two "


def test_a_reader_who_leaves_ends_it_quietly_also_while_nothing_happens(
    watch: Watch, project: str
) -> None:
    reader, writer = os.pipe()
    process = watch(stdout=writer)
    os.close(writer)
    os.close(reader)
    code, _, err = end(process)
    assert (code, err) == (0, "")


def test_messages_stream_only_when_asked_for(watch: Watch, cortex: Cortex, project: str) -> None:
    cortex("ticket", "create", "T")
    session = cortex("session", "start", f"{project}-1").out.strip()
    process = watch("--deltas", "--types", "message.*", "--count", 3)
    path = f"/sessions/{session}/messages/0190b0a0-0000-7000-8000-000000000001"
    client = sdk.CortexClient(os.environ["CORTEX_URL"], os.environ["CORTEX_TOKEN"])
    part = {"type": "text", "text": "", "status": "streaming"}
    message = {"role": "assistant", "parts": [part], "status": "streaming"}
    client.put(f"/api{path}", message)
    client.post(f"/api{path}/delta", {"part": 0, "offset": 0, "text": "Hello"})
    kinds = [event["type"] for event in lines(process, 2)]
    part |= {"text": "Hello", "status": "complete"}
    client.put(f"/api{path}", {**message, "status": "complete"})
    client.close()
    kinds += [event["type"] for event in lines(process, 1)]
    assert kinds == ["message.created", "message.delta", "message.updated"]


def test_it_lives_through_a_restart_of_the_server(
    make_server: Callable[..., Server], use_server: Callable[[Server], Server],
    watch: Watch, cortex: Cortex,
) -> None:  # fmt: skip
    server = use_server(make_server())
    cortex("project", "create", "R")
    process = watch("-p", "R", "--count", 2)
    cortex("ticket", "create", "before")
    lines(process, 1)
    server.restart()
    cortex("ticket", "create", "after")
    code, out, err = end(process)
    assert code == 0
    assert json.loads(out)["payload"]["title"] == "after"
    assert "connected again" in err


def test_without_a_server_it_gives_up_with_3(watch: Watch) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    scopes = (["--all"], ["-p", "X"], ["--since", "e.1", "-p", "X"])
    for process in [watch("--url", url, "--retries", 1, *w, connected=False) for w in scopes]:
        code, out, err = end(process)
        assert (code, out) == (3, "")
        assert "cortex up" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [(["-p", "none-such"], 5), (["--since", "x"], 1), (["--since-file", "/proc/none"], 1)],
)
def test_what_cannot_be_watched_is_refused_at_once(
    watch: Watch, project: str, words: list[str], code: int
) -> None:
    assert end(watch(*words, connected=False))[0] == code
