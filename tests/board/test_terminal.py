"""The board on a real pseudo-terminal, with a server that the test steers."""

import base64
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cortex_cli.board import terminal as terminals
from tests.board import samples
from tests.board.fakeserver import FakeServer
from tests.board.screen import PROGRAM, ROOT, Terminal, python

pytestmark = pytest.mark.e2e

# What a terminal that was given back has got: the cursor, the normal screen, normal keys.
HINTS = "F needs me"  # near the end of the last row
RESTORED = (b"\x1b[?1049l", b"\x1b[?1l", b"\x1b[?2004l", b"\x1b[?1000l", b"\x1b[?1006l")


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture
def open_terminal() -> Iterator:
    opened = []

    def open_one(argv, width=120, height=30, **env):
        opened.append(Terminal(argv, width, height, **env))
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close()


@pytest.fixture
def board(fake, open_terminal):
    terminal = open_terminal(python(PROGRAM, fake.url))
    terminal.until(HINTS)
    terminal.until("● live")
    terminal.until("Fix the lease")
    return terminal


def in_column(key, number):
    """A screen of 120 columns on which a card is in that column."""
    return lambda text: any(
        line.find(f" {key} ") // 30 == number for line in text.splitlines() if f" {key} " in line
    )


def assert_restored(terminal):
    assert terminal.modes_now() == terminal.modes
    since = terminal.raw[terminal.raw.rindex(b"\x1b[?1049h") :]
    assert all(sequence in since for sequence in RESTORED)
    for mode in (b"1000", b"1006", b"2004"):  # the mouse and pastes
        assert since.rfind(mode + b"l") > since.rfind(mode + b"h")


# --- live


def test_the_first_frame_shows_the_board(board):
    assert "Write the parser" in board.text
    assert "In progress 2/3" in board.text
    assert board.lines[-1].startswith(" Enter open")
    assert [line for line in board.lines if "CTX-3" in line] == [board.lines[2]]


def test_what_somebody_else_moves_appears_at_once(fake, board):
    fake.move(1, "done")

    board.until("Done 1")
    board.until(in_column("CTX-1", 3))


def test_a_move_is_kept_by_the_server(fake, board):
    board.send("L")

    board.until("In progress 3/3")
    board.until(lambda text: fake.requests and "saving" not in text)
    assert [body for _, _, body in fake.requests] == [{"status": "progress", "revision": 1}]
    assert in_column("CTX-1", 1)(board.settled())


def test_a_refused_move_goes_back_and_says_why(fake, board):
    fake.refuse_moves = {"status": 409, "code": "conflict", "title": "Full", "detail": "Limit 3."}

    board.send("L")

    board.until("CTX-1 was not moved: Limit 3.")
    board.until("✗ put back")
    board.until(in_column("CTX-1", 0))


def test_a_new_ticket_and_a_comment(fake, board):
    board.send("nFix it\r")
    board.until("Fix it")
    board.until("Created CTX-91")

    board.send("g\rcWell done\r")
    board.until("Comments 1")
    board.until("Well done")


def test_what_an_agent_writes_appears_as_it_is_written(fake, board):
    fake.board["sessions"] = [samples.session(1, "CTX-1", title="Parser")]
    fake.messages = [samples.message(1, "s1", samples.part("Hel", "streaming"), status="streaming")]
    board.send("\r")
    board.until("● working Parser")
    board.send("]")
    board.until("Hel")
    board.until(lambda text: "deltas" in fake.streams.values())

    fake.delta({"session": "s1", "message": "m1", "part": 0, "offset": 3, "text": "lo, wor"})
    board.until("Hello, wor")
    fake.messages[0]["parts"][0]["text"] = "Hello, world"
    fake.delta({"session": "s1", "message": "m1", "part": 0, "offset": 12, "text": "!"})
    board.until("Hello, world!")

    board.send("\x1b")
    board.until("In progress 2/3")
    board.until(lambda text: "deltas" not in fake.streams.values() or fake.delta({}))


def test_it_says_that_it_reconnects_and_comes_back_with_what_it_missed(fake, board):
    fake.stop()
    board.until("○ reconnecting in")
    fake.move(1, "review")

    fake.start()
    board.send("r")

    board.until("● live")
    board.until("Review 2")


def test_without_a_server_it_says_so_and_waits(fake, open_terminal):
    fake.stop()
    terminal = open_terminal(python(PROGRAM, fake.url))
    terminal.until("The server cannot be reached.")
    fake.start()
    terminal.send("r")

    terminal.until("● live")


def test_an_end_for_good_is_said(fake, board):
    fake.end("revoked")

    board.until("✗ ended")
    board.until("This token was revoked")


# --- the terminal is given back


def test_a_signal_that_comes_with_a_message_is_not_lost(fake, open_terminal, tmp_path):
    """Both wake the loop by one pipe; the signal comes right before that is emptied."""
    between = """
import os, signal, sys
from cortex_cli.board.inbox import Inbox
take = Inbox.take
def take_with_a_signal(inbox, limit):
    if os.path.exists(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGTERM)
    return take(inbox, limit)
Inbox.take = take_with_a_signal
"""
    terminal = open_terminal(python(between + PROGRAM, fake.url, str(tmp_path / "now")))
    terminal.until("● live")
    terminal.settled()
    (tmp_path / "now").touch()
    since = time.monotonic()
    fake.move(1, "done")

    assert terminal.ended() == 143
    assert time.monotonic() - since < 5  # an age that changes would wake it in the end


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("\x03", 130), ("\x1c", 131)])
def test_after_quitting_the_terminal_is_as_it_was(fake, board, key, code):
    board.send(key)

    assert board.ended() == code
    assert_restored(board)
    fake.move(1, "done")  # a stream that was left is noticed when it is written to


def test_a_change_that_is_under_way_is_made_before_the_board_is_left(fake, board):
    fake.answers.clear()
    board.send("Lq")
    board.until("Saving what you changed")
    fake.answers.set()

    assert board.ended() == 0
    assert [body["status"] for _, _, body in fake.requests] == ["progress"]
    assert_restored(board)


@pytest.mark.parametrize(
    "crash",
    [
        "loop.next_tick = lambda model: 1 / 0",
        "loop.next_tick = lambda model: threading.Thread(target=lambda: 1 / 0).start()",
    ],
    ids=["drawing", "thread"],
)
def test_after_a_crash_the_terminal_is_as_it_was_and_the_traceback_can_be_read(
    fake, open_terminal, crash
):
    crash = f"import sys, threading\nfrom cortex_cli.board import loop\n{crash}\n{PROGRAM}"
    terminal = open_terminal(python(crash, fake.url))

    assert terminal.ended() == 1
    assert_restored(terminal)
    assert "ZeroDivisionError" in terminal.text
    assert "Please report it" in terminal.text
    assert b"ZeroDivisionError" not in terminal.raw[: terminal.raw.rindex(b"\x1b[?1049l")]


def test_what_others_write_comes_after_the_board(fake, open_terminal):
    noise = """
import sys
from cortex_cli.board import loop
tick = loop.next_tick
def next_tick(model):
    sys.stderr.write("a warning \\x1b[2J\\n")
    return tick(model)
loop.next_tick = next_tick
"""
    terminal = open_terminal(python(noise + PROGRAM, fake.url))
    terminal.until("● live")
    terminal.send("q")

    assert terminal.ended() == 0
    shown, _, after = terminal.raw.rpartition(b"\x1b[?1049l")
    assert b"a warning" not in shown
    assert b"a warning" in after
    assert b"\x1b[2J" not in after


def test_leaving_waits_for_nothing(fake, open_terminal):
    """A server that accepts and never answers does not hold the board."""
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        terminal = open_terminal(python(PROGRAM, f"http://127.0.0.1:{silent.getsockname()[1]}"))
        terminal.until("◌ connecting")
        terminal.send("q")
        assert terminal.ended() == 0


# --- sizes, colours, and what reaches the terminal


def test_foreign_control_sequences_never_reach_the_terminal(fake, board):
    evil = "\x1b]0;pwned\x07 \x1b[2J \x9b31m \u202egnp \x00\x08 end"
    fake.publish("ticket.updated", samples.ticket(1, title=evil, revision=2) | {"changed": {}})
    board.until("end")

    for foreign in (b"pwned", b"\x1b[2J", b"\xe2\x80\xae", b"\x00", b"\x9b"):
        assert foreign not in board.raw.replace(b"\x1b[H\x1b[2J", b"")


def test_a_small_change_sends_few_bytes(fake, board):
    board.settled()
    before = len(board.raw)

    fake.publish("session.status", samples.session(1, "CTX-3", "error", revision=2))

    board.until("✗ error")
    board.settled()
    assert len(board.raw) - before <= 300


def test_nothing_is_written_while_nothing_changes(fake, board):
    board.settled()
    before = len(board.raw)

    fake.publish("comment.added", samples.comment(1, "CTX-1"))
    board.settled(0.5)

    assert len(board.raw) == before


def test_copy_speaks_to_the_terminals_clipboard(board):
    board.send("y")

    board.until("Copied CTX-1")
    assert b"\x1b]52;c;" + base64.b64encode(b"CTX-1") + b"\x07" in board.raw


def test_a_person_is_called_by_bell_and_notification(fake, board):
    fake.publish(
        "permission.asked", samples.permission(1, "CTX-3", title="Run\x1b]0;x\x07 a command?")
    )

    board.until("1 question")
    assert b"\x1b]9;CTX-3 opencode asks: Run a command?\x07\x07" in board.raw


@pytest.mark.parametrize(
    ("environ", "sent"),
    [
        ({"TERM": "xterm"}, "\x1b]9;x\x07"),
        ({"TERM": "screen", "TMUX": "/tmux"}, "\x1bPtmux;\x1b\x1b]9;x\x07\x1b\\"),
        ({"TERM": "screen.xterm"}, "\x1bP\x1b]9;x\x07\x1b\\"),
    ],
    ids=["alone", "tmux", "screen"],
)
def test_what_is_for_the_terminal_around_is_wrapped(environ, sent):
    assert terminals.Terminal(environ)._wrapped("\x1b]9;x\x07") == sent


def test_a_paste_is_text_and_never_keys(fake, board):
    assert b"\x1b[?2004h" in board.raw
    board.send("\x1b[200~qD\r\x1b[201~")
    board.until("it did nothing")

    board.send("c\x1b[200~first q\rsecond\x1b[201~\r")
    board.until(lambda text: fake.requests)
    assert fake.requests[-1][2] == {"body": "first q\nsecond"}


def test_escape_is_quick_and_foreign_sequences_are_no_keys(board):
    board.send("\x13n\x1b[99;9q\x1b]0;q\x07x")
    board.until("New ticket in Backlog: x")
    board.settled()
    since = time.monotonic()
    board.send("\x1b")

    while "New ticket" in board.text:
        board.read()
    assert time.monotonic() - since < 0.3  # it is 0.025: the machine may be busy; curses takes 1.0


def test_the_mouse_selects_and_opens_until_it_is_turned_off(board):
    def click(y, x):
        if b"1006" in board.raw:  # depends on the age of the terminal's description
            board.send(f"\x1b[<0;{x};{y}M\x1b[<0;{x};{y}m")
        else:
            place = chr(32 + x) + chr(32 + y)
            board.send(f"\x1b[M {place}\x1b[M#{place}")

    click(3, 35)
    click(3, 35)
    board.until("● working Session 1")
    board.send("M")
    board.until("Mouse off")
    board.settled()
    assert b"1000h" in board.raw
    assert b"1000l" in board.raw


@pytest.mark.parametrize(
    "env",
    [
        {"TERM": "nobody-knows-this"},
        {"TERM": "xterm"},
        {"TERM": "vt100"},
        {"TERM": "linux"},
        {"NO_COLOR": "1"},
        {"LC_ALL": "xx_XX.bad"},
    ],
    ids=lambda env: "=".join(*env.items()),
)
def test_the_board_is_shown_with(fake, open_terminal, env):
    terminal = open_terminal(python(PROGRAM, fake.url), **env)

    terminal.until("live")
    terminal.until("Write the parser")
    coloured = re.search(rb"\x1b\[[\d;]*3[1-6]m", terminal.settled() and terminal.raw)
    assert bool(coloured) == (env.get("TERM") != "vt100" and "NO_COLOR" not in env)


def test_a_locale_without_utf_8_gets_ascii(fake, open_terminal):
    terminal = open_terminal(python(PROGRAM, fake.url), LC_ALL="C")

    terminal.until("* live")
    assert terminal.text.isascii()


def test_a_terminal_that_cannot_place_a_cursor_gets_a_printed_board(fake, open_terminal):
    terminal = open_terminal(python(PROGRAM, fake.url), TERM="dumb")

    assert terminal.ended() == 0
    assert b"Write the parser" in terminal.raw
    assert b"\x1b" not in terminal.raw


def test_without_a_terminal_it_prints_once(fake):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, fake.url],
        capture_output=True, text=True, cwd=ROOT, timeout=30, check=True,
    )  # fmt: skip

    assert "CTX  Cortex  5 tickets" in done.stdout
    assert "Write the parser" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
