"""Attempts in the open ticket: what is told of them, their log, their diff, their sessions."""

import pytest

from cortex_cli.board import asks as a
from cortex_cli.board import document
from cortex_cli.board import messages as m
from cortex_cli.board.model import DIFF, LOG
from cortex_cli.board.update import next_tick
from cortex_cli.board.wire import Ticket
from cortex_cli.board.work import Attempt, Instance, LogEntry
from tests.board import samples
from tests.board.samples import event, feed, live, press
from tests.board.samples import tab_lines as lines
from tests.board.test_view import as_text

DIFF_TEXT = """diff --git a/src/a.py b/src/a.py
index 1..2 100644
--- a/src/a.py
+++ b/src/a.py
@@ -1,2 +1,2 @@
 same
-old
+new
diff --git a/b.txt b/b.txt
new file mode 100644
"""


def opened(*attempts, **changes):
    attempts = attempts or (samples.attempt(1, "CTX-1", session="s1"),)
    body = {"attempts": list(attempts), "sessions": [samples.session(1, "CTX-1", attempt="a1")]}
    return press(live(samples.board(**(body | changes))), "enter")[0]


def entries(*numbers):
    return tuple(LogEntry.read(samples.entry(n, f"line {n}")) for n in numbers)


def logged(number, seq):
    return m.Changed(
        1, event("attempt.log", samples.entry(number, f"line {number}"), seq, ticket="CTX-1")
    )


def changed(kind, payload, seq=11):
    return m.Changed(1, event(kind, payload, seq, ticket="CTX-1"))


def test_one_in_the_queue_says_what_it_waits_for():
    queued = samples.attempt(2, "CTX-1", "queued")
    others = [samples.attempt(3, "CTX-2"), samples.attempt(4, "CTX-3", "waiting")]
    text = " ".join(as_text(opened(queued, *others)).replace("│", " ").split())

    waits = "waits for a free place and a runner with opencode; 2 at work in CTX (setting"
    assert waits in text
    assert "waits for a free" not in as_text(opened(samples.attempt(1, "CTX-1")))


def test_an_attempt_is_told_in_full_and_older_ones_in_a_line():
    now = samples.attempt(
        2, "CTX-1", stage="pushing", branch="cortex/CTX-1-x-2", worktree="/w/CTX-1-2",
        git={"branch": "b", "head": "h", "ahead": 2, "behind": 1, "changed": 3}, runner="r-1",
        todos=[{"text": "Read", "status": "completed"}, {"text": "Write", "status": "pending"}],
        pr={"state": "open", "url": "https://x/pull/7", "number": 7}, profile="careful", batch="b1",
    )  # fmt: skip
    before = samples.attempt(1, "CTX-1", "failed", reason="exit code 1")
    model = opened(before, now, batches=[samples.batch(1)])
    server = Instance.read(samples.instance(2, "CTX-1"))
    ticket, attempts = Ticket.read(samples.ticket(1)), tuple(map(Attempt.read, (before, now)))
    model, _ = feed(model, m.DetailLoaded(ticket, (), (), (), attempts, (server,)))

    for line in (
        "● running pushing  #2  opencode (careful)  on r-1  3 min",
        "branch      cortex/CTX-1-x-2",
        "git         3 files not committed, 2 commits ahead, 1 behind",
        "PR          open #7  https://x/pull/7",
        "server      ● running  connected  http://127.0.0.1:9",
        "batch       Nightly",
        "todos       ✓ Read",
        "            ○ Write",
        "✗ failed  #1  opencode  3 min  exit code 1",
    ):
        assert line in lines(model), line


def test_a_question_is_told_whole_on_the_ticket_and_in_its_session():
    asked = samples.permission(1, "CTX-1", detail="all of it\nto the end", free_text=True)
    model = opened(permissions=[asked])

    for found in (model, press(model, "]", "]", "]")[0]):
        assert "  to the end" in lines(found)
        assert "  a answers: Allow once · Reject · your own words" in lines(found)


@pytest.mark.parametrize(
    ("kind", "payload", "line"),
    [
        ("attempt.progress", {"stage": "pushing", "progress": "half"}, "progress    half"),
        ("attempt.todos", {"todos": [{"text": "T", "status": "in_progress"}]}, "todos       ▸ T"),
        (
            "attempt.pr",
            {"state": "merged", "url": None, "number": None},
            "PR          merged",
        ),
        (
            "git.status",
            {"branch": "b", "head": "h", "ahead": 0, "behind": 0, "changed": 1},
            "git         1 file not committed, 0 commits ahead",
        ),
    ],
)
def test_a_part_that_changes_changes_the_open_ticket(kind, payload, line):
    part = payload | {"attempt": "a1", "revision": 2, "updated_at": samples.AT}

    model, _ = feed(opened(), changed(kind, part))

    assert line in lines(model)


def test_the_server_of_an_agent_is_told_as_it_changes():
    model, _ = feed(opened(), changed("opencode.status", samples.instance(1, "CTX-1", "unhealthy")))

    assert "server      ✗ unhealthy  connected  http://127.0.0.1:9" in lines(model)


# --- sessions


def test_a_new_child_opens_a_tab_without_stealing_the_focus():
    model, _ = press(opened(), "]", "]", "]")
    assert model.detail.tab == "s1"

    child = samples.session(2, "CTX-1", parent_id="s1", attempt="a1", title="Look")
    model, effects = feed(model, changed("session.started", child))

    assert model.detail.tab == "s1"
    assert document.tabs(model.detail) == ["", LOG, DIFF, "s1", "s2"]
    assert "└ ● working Look" in as_text(model)
    assert effects == []


# --- the log


def test_the_log_is_fetched_when_it_is_looked_at_and_follows_its_tail():
    model, effects = press(opened(), "]")
    assert effects == [a.LoadLog("a1", 0)]
    assert "… the log is on its way" in lines(model)

    model, _ = feed(model, a.LogLoaded("a1", entries(*range(1, 100))), logged(100, 11))

    window = document.window(model, model.detail)
    assert window.follows
    assert lines(model)[-1] == "line 100"
    assert "↓ 1 new" in as_text(feed(press(model, "k")[0], logged(101, 12))[0])


def test_a_hole_in_the_log_is_fetched_once():
    model, _ = feed(press(opened(), "]")[0], a.LogLoaded("a1", entries(1, 2)))

    model, effects = feed(model, logged(4, 11), logged(5, 12))
    assert effects == [a.LoadLog("a1", 2)]

    model, _ = feed(model, a.LogLoaded("a1", entries(3, 4, 5)), logged(5, 13), logged(6, 14))
    assert lines(model)[2:] == [f"line {n}" for n in range(1, 7)]


def test_what_lies_before_a_hole_that_cannot_be_filled_goes():
    model, _ = feed(press(opened(), "]")[0], a.LogLoaded("a1", entries(1, 2)))

    model, _ = feed(model, a.LogLoaded("a1", entries(7, 8)))

    assert lines(model)[1:] == ["… older entries: 6", "line 7", "line 8"]


def test_a_new_attempt_takes_the_log_over():
    model, _ = feed(press(opened(), "]")[0], a.LogLoaded("a1", entries(1)))

    second = samples.attempt(2, "CTX-1", "queued")
    model, effects = feed(model, changed("attempt.started", second))

    assert effects == [a.LoadLog("a2", 0)]
    assert len(model.detail.log.entries) == 0
    assert len(feed(model, a.LogLoaded("a1", entries(1)))[0].detail.log.entries) == 0


def test_a_log_that_cannot_be_fetched_is_said_and_r_tries_again():
    model, _ = feed(press(opened(), "]")[0], m.LoadFailed(LOG, "timeout."))
    assert "✗ timeout.  r tries again." in lines(model)

    assert a.LoadLog("a1", 0) in press(model, "r")[1]


# --- the diff


def test_a_diff_is_told_file_by_file():
    model, effects = press(opened(), "]", "]")
    assert a.LoadDiff("a1") in effects

    model, _ = feed(model, a.DiffLoaded("a1", DIFF_TEXT, samples.AT, True))

    shown = lines(model)
    assert [line[:12] for line in shown if line.startswith("─")] == ["─ src/a.py ─", "─ b.txt ────"]
    assert "+++ b/src/a.py" not in shown
    assert "new file mode 100644" in shown
    assert shown[-1] == "… and more, which is not shown: the diff was cut"
    roles = {span.text: span.role for line in document.window(model, model.detail).lines
             for span in line}  # fmt: skip
    assert (roles["-old"], roles["+new"], roles["@@ -1,2 +1,2 @@"]) == ("bad", "good", "info")


def test_an_open_diff_is_fetched_again_a_while_after_something_changed():
    model, _ = feed(press(opened(), "]", "]")[0], a.DiffLoaded("a1", "", samples.AT, False))
    part = {"attempt": "a1", "revision": 2, "branch": "b", "head": "h", "changed": 1}

    model, effects = feed(model, changed("git.status", part))
    assert effects == []
    due = model.detail.diff.due
    assert next_tick(model) == due

    assert feed(model, m.Tick(due))[1] == [a.LoadDiff("a1")]
    assert feed(press(model, "[")[0], m.Tick(due))[1] == []


def test_without_an_attempt_there_is_neither_log_nor_diff():
    model = press(live(), "enter")[0]

    assert document.tabs(model.detail) == [""]
    assert "No agent worked on it yet." in press(model, "]")[0].toasts[-1].text
