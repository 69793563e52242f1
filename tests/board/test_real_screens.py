"""The approved screens on a real pseudo-terminal, and that all that is sent is ncurses' own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cortex_cli.board import canvas
from cortex_cli.board import text as texts
from cortex_cli.board.view import view
from tests.board import samples
from tests.board.fakeserver import FakeServer
from tests.board.screen import PROGRAM, Terminal, python
from tests.board.test_screens import (
    LARGE,
    LINE,
    REAL,
    SCREENS,
    SMALL,
    USUAL,
    model_at,
    model_of,
    name_of,
)

pytestmark = pytest.mark.e2e

MODES = {"": {}, "mono": {"NO_COLOR": "1"}, "ascii": {"LC_ALL": "C"}}
KEYS = {"board": "", "menu": "m", "help": "?"}
COLOURS = {
    canvas.ACCENT: "cyan", canvas.GOOD: "green", canvas.WARN: "brown", canvas.BAD: "red",
    canvas.INFO: "cyan", canvas.OVER: "red", canvas.DIM: "808080", canvas.CURSOR: "brown",
}  # fmt: skip
BOLD = (canvas.STRONG, canvas.ACCENT, canvas.WARN, canvas.BAD, canvas.OVER)
REVERSE = (canvas.SELECTED, canvas.OVER, canvas.CURSOR)
SEQUENCE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[()].|\x1b.|[\x00-\x1f]")
OWN = re.compile(rb"\x1b\[\?(?:2004|1000|1006)[hl]")  # beside ncurses: pastes and the mouse

# The description of the terminal, filled in with all the numbers that can stand on such screens.
KNOWN = """
import curses, sys
curses.setupterm(sys.argv[1], 1)
PLAIN = ("smcup rmcup smkx rmkx civis cnorm sgr0 op bold dim rev smso rmso clear home el el1 ed cr "
         "cud1 cuu1 cub1 cuf1 ind ri ht il1 dl1 ich1 dch1 smir rmir smam is2 rs2").split()
NUMBERED = "cub cuf cuu cud hpa vpa ech il dl ich dch indn rin setaf setab".split()
found = [curses.tigetstr(name) for name in PLAIN]
found += [b"\\x1b[39m", b"\\x1b[49m"] * curses.tigetflag("AX")  # each half of op by itself
for name in NUMBERED:
    found += [curses.tparm(curses.tigetstr(name) or b"", n) for n in range(257)]
cup, csr, sgr, rep = (curses.tigetstr(name) or b"" for name in ("cup", "csr", "sgr", "rep"))
found += [curses.tparm(cup, y, x) for y in range(60) for x in range(200)]
found += [curses.tparm(csr, top, last) for last in range(60) for top in range(last)]
found += [curses.tparm(rep, 120, n) for n in range(201)]
found += [curses.tparm(sgr, *(bits >> n & 1 for n in range(9))) for bits in range(512)]
sys.stdout.buffer.write(b"".join(filter(None, found)))
"""


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """It has the board of the scenes, whose ages are what they are there."""
    at = datetime.now(UTC) - timedelta(seconds=185)
    body = json.dumps(samples.board()).replace(samples.AT, f"{at:%Y-%m-%dT%H:%M:%SZ}")
    server = FakeServer(json.loads(body))
    yield server
    server.stop()


def cells(row):
    """(text, role) of each cell of a row; a wide character has one with no text behind it."""
    for span in row:
        for char in span.text:
            yield char, span.role
            if texts.cell_width(char) == 2:
                yield "", span.role


def looks(role, mode):
    """(colour, bold, reverse) that a role is drawn in."""
    colour = "default" if mode == "mono" else COLOURS.get(role, "default")
    return colour, role in BOLD, role in REVERSE


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode or "colour")
def test_the_approved_screens_are_drawn_by_what_ncurses_sends(fake, mode):
    environ = {"TERM": "xterm-256color", **MODES[mode]}
    terminal = Terminal(python(PROGRAM, fake.url), *LARGE, **environ)
    try:
        for size in (LARGE, USUAL, SMALL, LINE, USUAL):
            terminal.resize(*size)
            for scene in REAL:
                terminal.send(KEYS[scene])
                approved = (SCREENS / name_of(scene, *size, mode)).read_text(encoding="utf-8")
                terminal.until(approved.partition("\n--- ")[0].rstrip("\n").__eq__)
                assert_drawn(terminal, model_at(model_of(scene), *size, mode), mode)
                terminal.send("\x1b" if KEYS[scene] else "")
        terminal.send("q")
        assert terminal.ended() == 0
    finally:
        terminal.close()
    assert_known(terminal.raw, environ["TERM"])


def assert_drawn(terminal, model, mode):
    """Every cell looks as its role does; how a space looks matters where it is filled."""
    for y, row in enumerate(view(model, model.width, model.height)):
        for x, (char, role) in enumerate(cells(row)):
            if char.strip() or (char and role in REVERSE):
                assert terminal.look(y, x) == looks(role, mode), (y, x, char, role)


def assert_known(raw, term):
    """Every sequence is in the terminal's description, but those for pastes and the mouse."""
    argv = [sys.executable, "-c", KNOWN, term]
    known = subprocess.run(argv, capture_output=True, check=True).stdout
    sent = {one for one in SEQUENCE.findall(raw) if not OWN.fullmatch(one)}

    assert sent - set(SEQUENCE.findall(known)) == set()
    assert len(sent) > 20
