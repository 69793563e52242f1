"""The screens of every scene as text, as people last approved them: CORTEX_TEST_APPROVE=1 does."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cortex_cli.board import asks as a
from cortex_cli.board import messages as m
from cortex_cli.board.selection import settle
from cortex_cli.board.work import LogEntry
from tests.board import samples
from tests.board.samples import feed, live, press
from tests.board.test_dashboard import overview
from tests.board.test_detail import loaded, opened, streaming
from tests.board.test_view import as_text

SCREENS = Path(__file__).parent / "screens"


def detail():
    return feed(opened(), loaded([samples.comment(1, "CTX-3", "Nearly there.")]))[0]


def conversation():
    return opened(
        True,
        samples.message(1, "s1", samples.part("Fix the stream, please."), role="user"),
        samples.message(
            2, "s1", samples.part("Where is it?", type="thinking"),
            samples.part("ok\n3 passed", type="tool", tool="bash", input={"command": "pytest"}),
            samples.part("boom", type="error"),
        ),
        streaming("# Done\n\nIt *streams* now.", 3),
    )  # fmt: skip


def agents():
    """A card for each state."""
    works = [
        samples.attempt(1, "CTX-3", "running", stage="executing", progress="writing tests",
                        session="s1", branch="cortex/CTX-3-stream-1", runner="r-1",
                        git={"branch": "b", "head": "h", "ahead": 2, "behind": 0, "changed": 3},
                        todos=[{"text": "Read", "status": "completed"},
                               {"text": "Write", "status": "in_progress"},
                               {"text": "Test", "status": "pending"}]),
        samples.attempt(2, "CTX-4", "waiting", session="s2"),
        samples.attempt(3, "CTX-1", "failed", reason="exit code 1"),
        samples.attempt(4, "CTX-2", "queued", agent="claude"),
        samples.attempt(5, "CTX-5", "succeeded"),
    ]  # fmt: skip
    sessions = [
        samples.session(1, "CTX-3", attempt="a1"),
        samples.session(2, "CTX-4", "awaiting_input", attempt="a2"),
        samples.session(3, "CTX-5", stale=True),
    ]
    asks = {"title": "Run a command?", "detail": "rm -r build && make", "attempt": "a2"}
    asked = [samples.permission(n, "CTX-4", session="s2", **asks) for n in (1, 2)]
    return live(samples.board(attempts=works, sessions=sessions, permissions=asked))


def attempt():
    return press(agents(), "l", "enter")[0]


def dashboard():
    return feed(press(live(), "d")[0], m.Overview(-1, overview()))[0]


LOGGED = tuple(
    LogEntry.read(samples.entry(*entry))
    for entry in (
        (1, "Reading the parser"), (2, "ls -l src\ntotal 3", "tool"), (3, "no such file", "error"),
        (4, "The branch was pushed.", "system"),
    )
)  # fmt: skip
DIFF = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-old\n+new\n"
CHOICES = (a.Choice("opencode", "", True), a.Choice("claude", "careful", False))
SCENES = {
    "board": live,
    "detail": detail,
    "conversation": conversation,
    "menu": lambda: press(live(), "m")[0],
    "help": lambda: press(live(), "?")[0],
    "prompt": lambda: press(live(), "n", *"Fix it")[0],
    "agents": agents,
    "attempt": attempt,
    "log": lambda: feed(press(attempt(), "]")[0], a.LogLoaded("a1", LOGGED))[0],
    "diff": lambda: feed(press(attempt(), "]", "]")[0], a.DiffLoaded("a1", DIFF, "", False))[0],
    "question": lambda: press(agents(), "l", "j", "a")[0],
    "start": lambda: feed(press(live(), "s")[0], a.AgentsLoaded("CTX-1", CHOICES))[0],
    "dashboard": dashboard,
    "offline": lambda: feed(live(), m.Lost(1, "x", 30.0, 9), m.Tick(samples.NOW + 125))[0],
}
CASES = [("board", w, h, False) for w, h in ((200, 60), (80, 24), (40, 12), (20, 5))] + [
    ("board", 80, 24, True),
    *((scene, 80, 24, False) for scene in SCENES if scene != "board"),
    *((scene, 120, 36, False) for scene in ("agents", "attempt", "dashboard")),
    *((scene, 80, 24, True) for scene in ("agents", "dashboard")),
    *((scene, 40, 12, False) for scene in ("agents", "question", "dashboard")),
    *((scene, 40, 12, False) for scene in ("detail", "conversation", "menu")),
]


@pytest.mark.parametrize(("scene", "width", "height", "ascii_only"), CASES)
def test_the_screen_is_as_approved(scene, width, height, ascii_only):
    model = SCENES[scene]()
    model = settle(model, model_at(model, width, height, ascii_only))
    name = f"{scene}-{width}x{height}{'-ascii' if ascii_only else ''}.txt"

    drawn = as_text(model)

    if os.environ.get("CORTEX_TEST_APPROVE") == "1":
        SCREENS.mkdir(exist_ok=True)
        (SCREENS / name).write_text(drawn, encoding="utf-8")
    assert drawn == (SCREENS / name).read_text(encoding="utf-8")


def model_at(model, width, height, ascii_only):
    return replace(model, width=width, height=height, ascii_only=ascii_only)
