"""The screens of every scene as text, as people last approved them: CORTEX_TEST_APPROVE=1 does.

A file is what the screen says, and below it how it looks: a letter for each cell that is not plain.
"""

import curses
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from cortex_cli.board import canvas
from cortex_cli.board import text as texts
from cortex_cli.board.messages import Resized
from cortex_cli.board.terminal import MONOCHROME
from cortex_cli.board.view import view
from tests.board.samples import feed
from tests.board.scenes import BOARD_SCENES
from tests.board.test_view import assert_sound
from tests.board.ticket_scenes import TICKET_SCENES

SCREENS = Path(__file__).parent / "screens"
APPROVE = os.environ.get("CORTEX_TEST_APPROVE") == "1"
SCENES = BOARD_SCENES | TICKET_SCENES

ROLES = {
    canvas.PLAIN: " ", canvas.STRONG: "t", canvas.DIM: "d", canvas.ACCENT: "a", canvas.GOOD: "g",
    canvas.WARN: "w", canvas.BAD: "b", canvas.INFO: "i", canvas.SELECTED: "S", canvas.OVER: "O",
    canvas.CURSOR: "C",
}  # fmt: skip
MEANING = "t strong, d dim, a accent, g good, w warn, b bad, i info, S selected, O over, C cursor"
# Monochrome, in the attributes that ncurses is given.
ATTRIBUTES = {
    curses.A_NORMAL: " ", curses.A_DIM: "d", curses.A_BOLD: "t", curses.A_REVERSE: "R",
    curses.A_REVERSE | curses.A_BOLD: "X", curses.A_REVERSE | curses.A_UNDERLINE: "U",
}  # fmt: skip
ATTRIBUTES_MEANING = "t bold, d dim, R reverse, X bold reverse, U underlined reverse"
FILLED = "SOCRXU"  # what is seen where there is no character, too

LARGE, WIDE, USUAL, SMALL, SHORT, LINE = (
    (200, 60), (120, 36), (80, 24), (40, 12), (80, 8), (20, 5)
)  # fmt: skip
MORE = {
    LARGE: ("board", "busy", "ticket-rich", "dashboard", "everything", "needs", "help", "texts"),
    WIDE: (
        "board", "busy", "busy-done", "agents", "states", "texts", "over", "marks", "filtered",
        "cached", "saving", "menu", "answer-multiple", "palette", "help", "dashboard",
        "dashboard-many", "everything", "needs", "needs-review", "events", "events-payload",
        "attempt", "ticket-rich", "ticket-rich-2", "conversation-children", "log-search", "diff",
    ),
    SHORT: ("busy", "over", "ticket-rich", "menu", "help", "needs", "events", "dashboard"),
    LINE: (
        "board", "busy", "texts", "menu", "help", "prompt-new", "palette", "ticket-rich",
        "dashboard", "needs", "events", "unreachable", "offline", "answer",
    ),
    (19, 4): ("board", "busy", "prompt-new", "palette", "dashboard", "needs", "events"),
    (1, 1): ("board",),
}  # fmt: skip
NOT_SMALL = ("help-own-keys", "ticket-help", "own-keys", "texts-3", "busy-end", "sorted")
ASCII = (
    "board", "busy", "agents", "states", "texts", "marks", "dashboard", "everything", "needs",
    "events", "ticket-rich", "ticket-rich-2", "conversation", "conversation-children", "log",
    "diff", "answer-multiple", "palette", "help",
)  # fmt: skip
MONO = (
    "board", "busy", "states", "over", "marks", "menu", "answer-multiple", "prompt-new", "palette",
    "dashboard", "needs", "events", "ticket-search", "conversation-children", "log-search", "diff",
)  # fmt: skip
REAL = ("board", "menu", "help")  # drawn on a real terminal, too, in all modes


def cases() -> Iterator[tuple[str, int, int, str]]:
    """(scene, width, height, mode), each once."""
    found = [(scene, USUAL, mode) for mode in ("ascii", "mono") for scene in REAL]
    found += [(scene, USUAL, "") for scene in SCENES]
    found += [(scene, SMALL, "") for scene in SCENES if scene not in NOT_SMALL]
    found += [(scene, size, "") for size, named in MORE.items() for scene in named]
    found += [(scene, USUAL, "ascii") for scene in ASCII]
    found += [(scene, USUAL, "mono") for scene in MONO]
    found += [
        (scene, size, mode)
        for scene in REAL for mode in ("", "ascii", "mono") for size in (LARGE, SMALL, LINE)
    ]  # fmt: skip
    for scene, (width, height), mode in dict.fromkeys(found):
        yield scene, width, height, mode


CASES = list(cases())


@cache
def model_of(scene):
    return SCENES[scene]()


def model_at(model, width, height, mode=""):
    """The model once its screen has got that size."""
    model, _ = feed(replace(model, ascii_only=mode == "ascii"), Resized(width, height))
    return model


def drawn(model, mode=""):
    """The screen as text, and below it a letter for each cell that is not plain."""
    rows = view(model, model.width, model.height)
    lines = ["".join(span.text for span in row).rstrip() for row in rows]
    meaning = ATTRIBUTES_MEANING if mode == "mono" else MEANING
    styles = ["".join(_letters(span, mode) for span in row).rstrip() for row in rows]
    return "\n".join([*lines, f"--- {meaning}", *styles]) + "\n"


def _letters(span, mode):
    letter = ATTRIBUTES[MONOCHROME[span.role]] if mode == "mono" else ROLES[span.role]
    if letter in FILLED:
        return letter * texts.width(span.text)
    return "".join((" " if char == " " else letter) * texts.cell_width(char) for char in span.text)


def name_of(scene, width, height, mode):
    return f"{scene}-{width}x{height}{'-' + mode if mode else ''}.txt"


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    """The events pane shows the hour of the place."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("scene", "width", "height", "mode"), CASES)
def test_the_screen_is_as_approved(scene, width, height, mode):
    found = drawn(model_at(model_of(scene), width, height, mode), mode)
    golden = SCREENS / name_of(scene, width, height, mode)

    if APPROVE:
        SCREENS.mkdir(exist_ok=True)
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("size", "scenes"),
    [((1, 1), SCENES), ((2, 2), SCENES), ((19, 4), SCENES), ((500, 200), MORE[LARGE])],
    ids=("1x1", "2x2", "19x4", "500x200"),
)
def test_every_scene_is_sound_at_extreme_sizes(size, scenes):
    for scene in scenes:
        assert_sound(model_at(model_of(scene), *size), *size)


def test_there_is_a_screen_for_each_case_and_no_other():
    names = {name_of(*case) for case in CASES}
    stored = {path.name for path in SCREENS.iterdir()}
    if APPROVE:
        for name in stored - names:
            (SCREENS / name).unlink()
        return

    assert stored == names
    assert len(names) >= 200
