"""`--plain`: the board in words, and a line for each change, as a screen reader gets it."""

import io
import signal
import subprocess
import sys

import pytest

from cortex_cli import plain
from cortex_cli.board import sentences
from cortex_cli.board.apply import apply
from cortex_cli.board.wire import Board
from cortex_cli.sdk import CortexClient, NotFound, Unreachable
from tests.board import samples
from tests.board.fakeserver import FakeServer
from tests.board.samples import NOW, event

HOSTILE = "a\x1b[31m\u202e\nb"


def board(**changes):
    return Board.read(samples.board(**changes))


@pytest.fixture
def fake():
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture
def client(fake):
    with CortexClient(fake.url, "a-token-of-the-tests") as made:
        yield made


# --- the board in words


def test_a_board_is_headings_with_counts_and_a_line_a_ticket():
    assert sentences.board_lines(board(), NOW) == [
        "CTX, Cortex: 5 tickets.",
        "",
        "Backlog: 2 tickets",
        "CTX-1: Write the parser; priority high; labels ui",
        "CTX-2: 日本語 cards 👩‍💻 too; assigned to anna",
        "",
        "In progress: 2 tickets, at most 3",
        "CTX-3: Stream the events; working, opencode, 3 min ago",
        "CTX-4: Draw the board; waiting, opencode, 3 min ago",
        "",
        "Review: 1 ticket",
        "CTX-5: Fix the lease; waits for a review",
        "",
        "Done: 0 tickets",
    ]


def moved(status, **changes):
    return samples.ticket(1, status, revision=2, **changes)


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("ticket.moved", moved("review"), "CTX-1 moved to Review by opencode"),
        ("ticket.moved", moved("backlog"), "CTX-1 moved within Backlog by opencode"),
        ("ticket.created", samples.ticket(9), "CTX-9 created in Backlog by opencode: Ticket 9"),
        ("ticket.updated", moved("backlog", changed={"title": {}, "due": {}}),
         "CTX-1 changed in title, due by opencode: Ticket 1"),
        ("ticket.updated", moved("backlog", archived=True), "CTX-1 archived by opencode"),
        ("ticket.deleted", {"id": "t001", "key": "CTX-1"}, "CTX-1 deleted by opencode"),
        ("comment.added", samples.comment(1, "CTX-1", "Hi\nyou"),
         "CTX-1 commented by opencode: Hi you"),
        ("review.requested", samples.review(1, "CTX-1"),
         "CTX-1 needs you, a review was asked for by opencode: Please look"),
        ("review.resolved", samples.review(1, "CTX-1", "changes_requested"),
         "CTX-1 review changes requested by opencode"),
        ("permission.asked", samples.permission(1, "CTX-1"),
         "CTX-1 needs you, a question was asked by opencode: Run rm?"),
        ("attempt.status", samples.attempt(1, "CTX-1", "failed", reason="no disk"),
         "CTX-1 attempt 1 failed by opencode: no disk"),
        ("session.status", samples.session(1, "CTX-3", "idle"),
         "CTX-3 session idle by opencode: Session 1"),
        ("session.status", samples.session(1, "CTX-3", "working"), ""),
        ("message.added", {"id": "m1", "ticket": "CTX-1"}, ""),
        ("later.invented", {"id": "x"}, ""),
    ],
)  # fmt: skip
def test_a_change_is_one_line(kind, payload, said):
    assert sentences.told(board(), event(kind, payload, 11)) == said


def test_what_was_missed_is_told_by_what_is_another():
    new = board(
        tickets=[
            samples.ticket(1, "done", title="Write the parser"),
            samples.ticket(2, title="Other", rank="zz"),
            samples.ticket(3, "progress", title="Stream the events", rank="zz", revision=9),
            samples.ticket(9),
        ]
    )

    assert set(sentences.differences(board(), new)) == {
        "CTX-1 is in Done now", "CTX-2 changed: Other", "CTX-9 is in Backlog: Ticket 9",
        "CTX-4 is gone", "CTX-5 is gone",
    }  # fmt: skip


def test_no_line_carries_what_a_terminal_would_act_on():
    out = io.StringIO()
    lines = plain.Plain(ascii_only=False, out=out)
    created = event("ticket.created", samples.ticket(9, title=HOSTILE), 11)
    lines.news(sentences.told(board(), created))
    for line in sentences.board_lines(apply(board(), created).board, NOW):
        lines.line(line)

    assert all(char.isprintable() or char in "\n\u200d" for char in out.getvalue())


# --- as a program


def start(fake, *options, command="board"):
    return subprocess.Popen(
        [sys.executable, "-m", "cortex_cli", "--project", "CTX", command, "--plain", *options],
        env={"CORTEX_URL": fake.url, "CORTEX_TOKEN": "a-token-of-the-tests", "LC_ALL": "C.UTF-8",
             "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def until(program, wanted):
    """Read lines until one of them ends so; returns it."""
    for line in program.stdout:
        if line.rstrip("\n").endswith(wanted):
            return line
    raise AssertionError(f"no line ends in {wanted!r}: {program.stderr.read()}")


def test_it_prints_the_board_then_what_changes_and_says_when_it_loses_the_server(fake):
    with start(fake, "--ascii") as program:
        until(program, "Done: 0 tickets")
        assert program.stdout.readline() == "\n"
        fake.move(1, "review")
        line = until(program, "CTX-1 moved to Review by opencode")
        assert line[2] == ":"
        assert line.isascii()
        fake.stop()
        until(program, "What follows may be late.")
        fake.start()
        until(program, "Connected again.")
        fake.move(3, "done")
        until(program, "CTX-3 moved to Done by opencode")
        program.send_signal(signal.SIGINT)
        rest, errors = program.communicate(timeout=20)

    assert (program.returncode, rest, errors.strip()) == (130, "", "")


def test_it_ends_with_the_one_who_reads_it(fake):
    with start(fake) as program:
        until(program, "Done: 0 tickets")
        program.stdout.close()
        assert program.wait(20) == 0
        assert program.stderr.read() == ""


def test_once_prints_and_ends(client, capsys):
    assert plain.print_board(client, "CTX", once=True, ascii_only=True) == 0

    shown = capsys.readouterr().out
    assert shown.isascii()
    assert "In progress: 2 tickets, at most 3" in shown.splitlines()


def test_where_there_is_nothing_to_follow_it_fails_at_once(client):
    with CortexClient("http://127.0.0.1:9", "a-token-of-the-tests", timeout=1.0) as silent:
        with pytest.raises(Unreachable):
            plain.print_board(silent, "CTX", once=False, ascii_only=False)
    with pytest.raises(NotFound):
        plain.print_board(client, "NOPE", once=True, ascii_only=False)


def test_the_dashboard_is_sections_and_then_what_became_of_them():
    before = {
        "projects": [{"project": "CTX", "name": "Cortex", "columns": {"backlog": 1}}],
        "needs": [{"kind": "review", "ticket": "CTX-1", "text": "Please look"}],
        "attempts": [], "runners": [{"name": "r-1", "host": "here", "status": "online"}],
    }  # fmt: skip
    after = before | {"needs": [], "runners": [before["runners"][0] | {"status": "offline"}]}
    out = io.StringIO()
    lines = plain.Plain(ascii_only=False, out=out)
    plain._sections(lines, list(sentences.overview_lines(before)))
    assert out.getvalue().splitlines() == [
        "Projects: 1", "CTX, Cortex: backlog 1", "Needs a person: 1", "CTX-1 review: Please look",
        "Agents at work: 0", "Runners: 1", "r-1 on here is online",
    ]  # fmt: skip

    out.truncate(0)
    plain._changes(lines, *(list(sentences.overview_lines(body)) for body in (before, after)))
    assert [line[6:] for line in out.getvalue().lstrip("\0").splitlines()] == [
        "Runners: r-1 on here is offline",
        "Needs a person, no longer: CTX-1 review: Please look",
        "Runners, no longer: r-1 on here is online",
    ]
