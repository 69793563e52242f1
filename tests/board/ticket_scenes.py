"""The open ticket, in all its tabs, as models to be drawn."""

from cortex_cli.board import asks as a
from cortex_cli.board import changes as ch
from cortex_cli.board import messages as m
from cortex_cli.board.model import LOG
from cortex_cli.board.wire import Comment, Message, Review, Session, Ticket
from cortex_cli.board.work import Attempt, Instance, LogEntry
from tests.board import samples, scenes, test_detail
from tests.board.samples import event, feed, live, press

BODY = """# What is wrong

The reader of a *stream* that is **dropped** sees events twice: `after` is exclusive, \
but the client sends the position *before* the last one.

1. Start a server
2. Connect, and kill the connection
   - with `kill -9`
   - with a proxy
- [x] reproduced
- [ ] fixed

> It was always so.

```python
def after(cursor, limit=500):
    return [event for event in log if event.position > cursor][:limit]
```

| way | result |
|-----|--------|
| cut | twice |
| end | once |

See [the wire](https://example.org/wire) and https://example.org/a/very/long/address/that/has/no/end.
"""
DIFF = (
    """diff --git a/src/parser.py b/src/parser.py
index 1..2 100644
--- a/src/parser.py
+++ b/src/parser.py
@@ -1,6 +1,6 @@ def parse(line):
 import re

-old = re.compile("a")
+new = re.compile("ab")
 def parse(line):
-    return old.match(line)
+    return new.match(line)  # a comment that is rather long, so that the line has to be wrapped
diff --git a/docs/new.md b/docs/new.md
new file mode 100644
--- /dev/null
+++ b/docs/new.md
@@ -0,0 +1,32 @@
+# New
"""
    + "".join(f"+Line {n} of a text\n" for n in range(2, 33))
    + """\
diff --git a/logo.png b/logo.png
Binary files a/logo.png and b/logo.png differ
"""
)


def entry(number, text, kind="text", **changes):
    return LogEntry.read(samples.entry(number, text, kind, **changes))


LOGGED = (
    entry(1, "Reading the parser"), entry(2, "ls -l src\ntotal 3", "tool", tool="bash"),
    entry(3, "no such file", "error"), entry(4, "The branch was pushed.", "system"),
    entry(5, "\x1b[31mred\x1b[0m and 日本語 " + "and much more " * 12),
)  # fmt: skip


def detail():
    model, _ = press(live(), "l", "enter")
    return feed(model, test_detail.loaded([samples.comment(1, "CTX-3", "Nearly there.")]))[0]


def commented():
    """The user's own comment is stored, below what is on the screen."""
    model, effects = press(detail(), "c", *"Well done", "enter")
    stored = Comment.read(samples.comment(2, "CTX-3", "Well done"))
    return feed(model, ch.Commented(stored, effects[-1].number))[0]


def rich():
    """A ticket with all that one can have."""
    ticket = samples.ticket(
        1, title="A reader that was dropped sees events twice", body=BODY, priority="urgent",
        labels=["stream", "bug"], assignee="anna", due="2026-02-03", depends_on=["CTX-2", "CTX-5"],
        references=["https://example.org/issues/7", "docs/wire.md"], revision=12,
    )  # fmt: skip
    works = [
        samples.attempt(1, "CTX-1", "failed", reason="exit code 1"),
        samples.attempt(
            2, "CTX-1", stage="executing", progress="writing tests", session="s1", runner="r-1",
            branch="cortex/CTX-1-a-reader-2", worktree="/home/anna/w/CTX-1-2", profile="careful",
            git={"branch": "b", "head": "h", "ahead": 2, "behind": 1, "changed": 3},
            pr={"state": "open", "url": "https://example.org/pull/7", "number": 7},
            todos=[{"text": "Read the log", "status": "completed"},
                   {"text": "Write a test that fails", "status": "in_progress"},
                   {"text": "Fix it", "status": "pending"}],
        ),
    ]  # fmt: skip
    sessions = [
        samples.session(1, "CTX-1", attempt="a2", title="Find the cause", tool="bash"),
        samples.session(2, "CTX-1", parent_id="s1", title="Look at the proxy", model="small"),
        samples.session(3, "CTX-1", "ended", parent_id="s1", title="Read the wire"),
    ]
    asked = [samples.permission(1, "CTX-1", attempt="a2", detail="rm -r build\nmake test")]
    reviews = [
        samples.review(1, "CTX-1", "approved", note="Good.", resolved_by={"name": "anna"}),
        samples.review(2, "CTX-1", summary="Look at the test first"),
    ]
    comments = [
        samples.comment(1, "CTX-1", "It happens **only** after `kill -9`.\n\n- on Linux"),
        samples.comment(2, "CTX-1", "Nothing works without it.", type="blocker"),
    ]
    tickets = [ticket, samples.ticket(2), samples.ticket(5)]
    found = samples.board(tickets=tickets, attempts=works, sessions=sessions, reviews=reviews,
                          permissions=asked)  # fmt: skip
    loaded = m.DetailLoaded(
        Ticket.read(ticket), tuple(map(Comment.read, comments)), tuple(map(Review.read, reviews)),
        tuple(map(Session.read, sessions)), tuple(map(Attempt.read, works)),
        (Instance.read(samples.instance(2, "CTX-1")),),
    )  # fmt: skip
    return feed(press(live(found), "enter")[0], loaded)[0]


def attempt():
    return press(scenes.agents(), "l", "enter")[0]


# --- conversations


def conversation():
    return test_detail.opened(
        True,
        samples.message(1, "s1", samples.part("Fix the stream, please."), role="user"),
        samples.message(
            2, "s1", samples.part("Where is it?", type="thinking"),
            samples.part("ok\n3 passed", type="tool", tool="bash", input={"command": "pytest"}),
            samples.part("boom", type="error"),
        ),
        test_detail.streaming("# Done\n\nIt *streams* now.", 3),
    )  # fmt: skip


def tool():
    """A tool that runs, after one that said a lot."""

    def call(output, command, status="complete"):
        return samples.part(output, status, type="tool", tool="bash", input={"command": command})

    return test_detail.opened(
        True,
        samples.message(1, "s1", samples.part("Run all tests. " * 12), role="user"),
        samples.message(2, "s1", samples.part("I look at them first, then run them."),
                        call("\n".join(f"tests/test_{n}.py" for n in range(40)), "ls tests"),
                        call("12 passed", "scripts/test --all", "streaming"),
                        status="streaming"),
    )  # fmt: skip


def paused():
    """The user reads further up while more comes."""
    model, _ = press(tool(), "g", "j")
    more = samples.message(3, "s1", samples.part("All pass."), ticket="CTX-3")
    return feed(model, m.Changed(1, event("message.created", more, 11)))[0]


def children():
    """Sessions that an agent began, one of them new and one that asks."""
    model = press(rich(), "]", "]", "]")[0]
    said = samples.message(1, "s1", samples.part("I ask another one to look."), ticket="CTX-1")
    model, _ = feed(model, m.ThreadLoaded("s1", (Message.read(said),)))
    child = samples.session(4, "CTX-1", parent_id="s2", attempt="a2", title="Try the fix")
    return feed(model, m.Changed(1, event("session.started", child, 11)))[0]


# --- log and diff


def log(*more):
    return feed(press(attempt(), "]")[0], a.LogLoaded("a1", LOGGED + more))[0]


def long_log(first=1):
    lines = tuple(
        entry(n, f"line {n}" + (": a needle" if n % 9 == 0 else "")) for n in range(first, 120)
    )
    return feed(press(attempt(), "]")[0], a.LogLoaded("a1", lines))[0]


def log_paused():
    model, _ = press(long_log(), "pgup")
    news = [samples.entry(n, f"line {n}") for n in (120, 121, 122)]
    return feed(model, *(
        m.Changed(1, event("attempt.log", one, 11 + n, ticket="CTX-3"))
        for n, one in enumerate(news)
    ))[0]  # fmt: skip


def diff(text=DIFF, cut=False):
    return feed(press(attempt(), "]", "]")[0], a.DiffLoaded("a1", text, samples.AT, cut))[0]


TICKET_SCENES = {
    "ticket": detail,
    "ticket-loading": lambda: press(live(), "l", "enter")[0],
    "ticket-failed": lambda: feed(
        press(live(), "l", "enter")[0], m.LoadFailed("CTX-3", "The server took too long.")
    )[0],
    "ticket-rich": rich,
    "ticket-rich-2": lambda: press(rich(), "pgdn")[0],
    "ticket-rich-end": lambda: press(rich(), "G")[0],
    "ticket-search": lambda: press(rich(), "/", *"stream", "enter", "n")[0],
    "ticket-comment": lambda: press(detail(), "c", *"Well done", "enter", "G")[0],
    "ticket-commented": commented,
    "ticket-texts": lambda: press(scenes.texts(), "l", "l", "enter")[0],
    "ticket-move": lambda: press(rich(), "m")[0],
    "ticket-answer": lambda: press(rich(), "a")[0],
    "ticket-say": lambda: press(rich(), "i", *"Try the other one")[0],
    "ticket-help": lambda: press(rich(), "?")[0],
    "ticket-gone": lambda: feed(
        detail(), m.Changed(1, event("ticket.deleted", {"id": "t003", "key": "CTX-3"}, 11))
    )[0],
    "attempt": attempt,
    "conversation": conversation,
    "conversation-tool": tool,
    "conversation-paused": paused,
    "conversation-children": children,
    "conversation-empty": lambda: test_detail.opened(True),
    "log": log,
    "log-paused": log_paused,
    "log-search": lambda: press(long_log(), "/", *"needle", "enter", "n")[0],
    "log-searching": lambda: press(long_log(), "/", *"need")[0],
    "log-no-hit": lambda: press(long_log(), "/", *"nowhere", "enter")[0],
    "log-older": lambda: press(long_log(60), "g")[0],
    "log-failed": lambda: feed(press(attempt(), "]")[0], m.LoadFailed(LOG, "timeout."))[0],
    "diff": diff,
    "diff-file": lambda: press(diff(), "g", "}", "}")[0],
    "diff-search": lambda: press(diff(), "/", *"match", "enter")[0],
    "diff-empty": lambda: diff(""),
    "diff-cut": lambda: diff(DIFF, True),
}
