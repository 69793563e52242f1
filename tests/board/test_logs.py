"""Long logs, diffs and conversations in the open ticket: pages, places, what is let go."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_cli.board import asks as a
from cortex_cli.board import document, logs
from cortex_cli.board import messages as m
from cortex_cli.board.blocks import Paragraph, plain_lines, wrap
from cortex_cli.board.canvas import Span
from cortex_cli.board.entries import PAGE, Entries
from cortex_cli.board.model import DIFF, LOG
from cortex_cli.board.wire import Comment, Message, Ticket
from cortex_cli.board.work import Attempt, LogEntry
from tests.board import samples
from tests.board.samples import event, feed, live, press, tab_lines
from tests.board.test_view import as_text


def entry(number, text="line {}"):
    return LogEntry.read(samples.entry(number, text.format(number)))


def entries(first, last):
    return tuple(entry(number) for number in range(first, last + 1))


def opened(*attempts, **changes):
    attempts = attempts or (samples.attempt(1, "CTX-1"),)
    body = {"attempts": list(attempts), "sessions": []} | changes
    return press(live(samples.board(**body), height=16), "enter")[0]


def with_log(first, last):
    return feed(press(opened(), "]")[0], a.LogLoaded("a1", entries(first, last)))[0]


def logged(number, seq, attempt="a1"):
    payload = samples.entry(number, f"line {number}", attempt=attempt)
    return m.Changed(1, event("attempt.log", payload, seq, ticket="CTX-1"))


def screen(model):
    lines = document.window(model, model.detail).lines
    return ["".join(span.text for span in line) for line in lines]


def edge(model):
    return as_text(model).splitlines()[-2]


# --- packed entries


def test_entries_are_values_though_their_tail_grows_in_place():
    one = Entries.of(entries(1, 3))
    two = one.append(entry(4)).append(entry(5))
    other = one.append(entry(4)).append(entry(5)).append(entry(6))
    fork = two.append(entry(6, "fork {}"))

    assert [len(one), len(two), len(other), len(fork)] == [3, 5, 6, 6]
    assert "fork 6" in fork.all_pages[-1].text
    assert "fork" not in other.all_pages[-1].text
    assert two.append(entry(6)).append(entry(7)).last == 7
    assert "fork" in fork.all_pages[-1].text


def test_an_append_copies_no_entries():
    found = Entries.of(entries(1, 500))
    page = found.pages[0]
    for number in range(501, 501 + 3 * PAGE):
        found = found.append(entry(number))

    assert found.pages[0] is page
    assert len(found.pages) == 3
    assert (found.first, found.last, len(found)) == (1, 500 + 3 * PAGE, 500 + 3 * PAGE)


def test_what_an_agent_says_is_stored_clean_and_by_its_kind():
    model, _ = feed(
        press(opened(), "]")[0],
        a.LogLoaded("a1", tuple(LogEntry.read(item) for item in (
            samples.entry(1, "\x1b[31mred\x1b[0m tab\nsecond \u202eline"),
            samples.entry(2, "ls -l\ntotal 0", "tool", tool="ba\x07sh"),
            samples.entry(3, "no", "error"),
        ))),
    )  # fmt: skip

    assert tab_lines(model)[2:] == ["red tab", "second line", "▸ ba�sh ls -l", "  total 0", "no"]
    roles = {s.text: s.role for line in document.window(model, model.detail).lines for s in line}
    assert (roles["no"], roles["  "]) == ("bad", "")


# --- older pages


def test_at_the_top_the_page_before_is_fetched_once_and_every_row_stays_where_it_is():
    model, effects = press(with_log(501, 1000), "pgup")
    assert effects == []
    model, effects = press(model, "g", "k")
    assert effects == [a.LoadLog("a1", 0, before=501)]
    assert "… older entries: loading" in screen(model)
    model, _ = press(model, "j", "j", "j")
    before = screen(model)

    model, effects = feed(model, a.LogLoaded("a1", entries(1, 500), before=501))
    assert screen(model) == before
    assert effects == []

    model, _ = press(model, "k")
    assert screen(model)[1:] == before[:-1]
    assert screen(model)[0] == "line 501"
    assert screen(press(model, "g")[0])[1] == "beginning of the log"


def test_rows_that_were_below_the_notice_stay_there_when_their_page_comes():
    model, _ = press(with_log(501, 1000), "g")
    before = screen(model)

    model, effects = feed(model, a.LogLoaded("a1", entries(101, 500), before=501))

    assert screen(model)[2:] == before[2:]
    assert screen(model)[:2] == ["line 499", "line 500"]
    assert effects == []


def test_a_page_that_cannot_be_fetched_is_said_and_asked_for_again():
    model, _ = feed(press(with_log(501, 600), "g")[0], m.LoadFailed(LOG, "timeout."))
    assert "✗ timeout.  r tries again." in screen(model)

    model, effects = press(model, "r")
    assert a.LoadLog("a1", 600, step=True) in effects
    assert a.LoadLog("a1", 0, before=501) in feed(model, a.LogLoaded("a1", ()))[1]


def test_a_page_that_came_too_late_is_left():
    model, _ = press(with_log(501, 600), "g")

    model, _ = feed(model, a.LogLoaded("a1", entries(1, 3), before=900))

    assert model.detail.log.entries.first == 501


# --- what is held


def test_memory_is_bounded_and_what_lies_far_from_the_reader_goes(monkeypatch):
    monkeypatch.setattr(logs, "KEPT_BYTES", 40_000)
    model, _ = press(with_log(2001, 2500), "g")

    for first in (1501, 1001, 501, 1):
        answer = a.LogLoaded("a1", entries(first, first + 499), before=first + 500)
        model, _ = feed(model, answer)
        model, _ = press(model, "g")
    log = model.detail.log
    assert log.entries.first == 1
    assert log.entries.size <= 40_000
    assert log.cut
    assert log.entries.last < 2500

    before = screen(model)
    model, effects = feed(model, logged(2501, 11))
    assert effects == []
    assert screen(model) == before
    assert "↓ 1 new" in edge(model)


def test_what_was_let_go_comes_back_by_scrolling_and_by_going_to_the_end(monkeypatch):
    monkeypatch.setattr(logs, "KEPT_BYTES", 30_000)
    model, _ = press(with_log(1001, 1500), "g")
    for first in (501, 1):
        answer = a.LogLoaded("a1", entries(first, first + 499), before=first + 500)
        model, _ = press(feed(model, answer)[0], "g")
    assert (model.detail.log.cut, model.detail.log.entries.last) == (True, 1000)

    down, effects = press(model, *["pgdn"] * 120)
    assert effects == [a.LoadLog("a1", 1000, step=True)]
    before = screen(down)
    down, _ = feed(down, a.LogLoaded("a1", entries(1001, 1500)))
    assert not down.detail.log.cut
    assert screen(down) == before

    end, effects = press(model, "G")
    assert effects == [a.LoadLog("a1", 0)]
    end, _ = feed(end, a.LogLoaded("a1", entries(1001, 1500)))
    assert screen(end)[-1] == "line 1500"
    assert document.window(end, end.detail).follows


def test_an_entry_told_of_while_the_log_was_on_its_way_is_fetched():
    model, _ = press(opened(), "]")
    model, effects = feed(model, logged(3, 11), a.LogLoaded("a1", entries(1, 2)))

    assert effects == [a.LoadLog("a1", 2)]


def test_reloading_after_a_hole_keeps_the_place():
    model, _ = press(with_log(1, 500), "pgup", "pgup")
    before = screen(model)

    model, effects = feed(model, m.Snapshot(1, samples.board(seq=20, head=20)))
    assert a.LoadLog("a1", 500, step=True) in effects
    model, _ = feed(model, a.LogLoaded("a1", entries(501, 1000), more=True))

    assert screen(model) == before
    assert model.detail.log.cut


# --- which attempt


def three():
    return [samples.attempt(n, "CTX-1", "failed" if n < 3 else "running") for n in (1, 2, 3)]


def test_older_attempts_are_chosen_and_the_tab_says_which():
    model, _ = press(opened(*three()), "]")
    assert "Log · attempt 3/3" in as_text(model)

    model, effects = press(model, "<", "<")
    assert effects == [a.LoadLog("a2", 0), a.LoadLog("a1", 0)]
    assert "Log · attempt 1/3" in as_text(model)
    assert "first attempt" in press(model, "<")[0].toasts[-1].text
    assert "Diff · attempt 1/3" in as_text(press(model, "]")[0])
    assert a.LoadLog("a2", 0) in press(model, ">")[1]


@pytest.mark.parametrize(("keys", "shown"), [(["<"], "a2"), (["<", ">"], "a4"), ([], "a4")])
def test_a_new_attempt_takes_over_unless_another_was_chosen(keys, shown):
    model, _ = press(opened(*three()), "]", *keys)

    started = m.Changed(1, event("attempt.started", samples.attempt(4, "CTX-1"), 11))
    model, _ = feed(model, started)

    assert model.detail.log.attempt == shown


# --- the diff

PATCH = """diff --git a/src/a.py b/src/a.py
index 1..2 100644
--- a/src/a.py
+++ b/src/a.py
@@ -1,2 +1,3 @@
{}
-old
diff --git a/was.txt b/now.txt
similarity index 90%
rename from was.txt
rename to now.txt
diff --git a/x.png b/x.png
Binary files a/x.png and b/x.png differ
""".format("\n".join(f"+new {number}" for number in range(40)))


def with_diff(text=PATCH, cut=False):
    return feed(press(opened(), "]", "]")[0], a.DiffLoaded("a1", text, samples.AT, cut))[0]


def test_a_diff_begins_with_its_files_and_what_became_of_them():
    lines = tab_lines(with_diff())

    for line in (
        "3 files  +40 -1",
        "  +40  -1  src/a.py",
        "   +0  -0  now.txt  renamed from was.txt",
        "   +0  -0  x.png  binary",
        "binary: not shown",
    ):
        assert line in lines, line


def test_braces_go_from_file_to_file_and_the_edge_says_which():
    model, _ = press(with_diff(), "}")
    assert screen(model)[0].startswith("─ src/a.py ─")
    assert "file 1/3" in edge(model)

    model, _ = press(model, "}")
    assert "─ now.txt ─" in "\n".join(screen(model))
    model, _ = press(model, "}")
    assert "file 3/3" in edge(model)
    assert screen(press(model, "{")[0])[0].startswith("─ src/a.py ─")


def test_a_diff_that_is_fetched_again_keeps_the_place_in_its_file():
    model, _ = press(with_diff(), "}", "j", "j")
    before = screen(model)[0]

    added = "diff --git a/0 b/0\n" + "+first\n" * 30
    model, _ = feed(model, a.DiffLoaded("a1", added + PATCH, samples.AT, False))

    assert screen(model)[0] == before == "+new 0"


def test_an_empty_and_a_cut_diff_say_so():
    assert "Nothing has changed." in tab_lines(with_diff("\n"))
    cut = tab_lines(with_diff(cut=True))
    assert "cut: there is more" in cut[2]
    assert cut[-1] == "… and more, which is not shown: the diff was cut"


def test_only_diffs_and_conversations_have_parts():
    assert "Only a diff has files" in press(with_log(1, 2), "}")[0].toasts[-1].text


# --- conversations


def said(first, last):
    found = (samples.message(n, "s1", samples.part(f"word {n}")) for n in range(first, last + 1))
    return tuple(Message.read(message) for message in found)


def talking(first=401, last=500):
    session = samples.session(1, "CTX-1")
    model = press(opened(samples.attempt(1, "CTX-2"), sessions=[session]), "]")[0]
    return feed(model, m.ThreadLoaded("s1", said(first, last)))[0]


def test_a_long_conversation_opens_at_its_end_and_its_beginning_comes_by_scrolling():
    model = talking()
    assert screen(model)[-1] == "word 500"

    model, effects = press(model, "g")
    assert effects == [m.LoadThread("s1", before=401)]
    assert "… older messages: loading" in screen(model)
    before = screen(model)
    model, _ = feed(model, m.ThreadLoaded("s1", said(301, 400), before=401))

    assert screen(model)[2:] == before[2:]
    assert screen(model)[1] == "word 400"


def test_a_message_of_a_page_that_is_not_here_changes_nothing():
    changed = samples.message(7, "s1", samples.part("late"), revision=2, ticket="CTX-1")

    model, _ = feed(talking(), m.Changed(1, event("message.updated", changed, 11)))

    assert len(model.detail.threads["s1"].messages) == 100


def test_braces_go_from_message_to_message():
    model, _ = press(talking(1, 100), "g", "}", "}")
    assert screen(model)[2] == "word 2"
    assert "message 2/100" in edge(model)

    assert screen(press(model, "{")[0])[2] == "word 1"


def test_reloading_a_conversation_fetches_all_that_is_here_of_it():
    assert m.LoadThread("s1", after=400) in press(talking(), "r")[1]


def test_a_tool_says_for_how_long_it_runs_and_how_it_ended():
    def call(status, *more):
        part = samples.part("out", status, type="tool", tool="bash", input={"c": "make"})
        return samples.message(1, "s1", part, *more, status=status, updated_at=samples.AT)

    def told(*parts):
        return tab_lines(
            feed(talking(1, 0), m.ThreadLoaded("s1", (Message.read(call(*parts)),)))[0]
        )

    assert "  ● bash make  running 3 min" in told("streaming")
    assert "  ✓ bash make  done" in told("complete")
    assert "  ✗ bash make  failed" in told("complete", samples.part("no", type="error"))


def test_a_session_that_began_is_new_until_it_is_looked_at_and_says_that_it_asks():
    model = talking()
    child = samples.session(2, "CTX-1", parent_id="s1", title="Look")
    asked = samples.permission(1, "CTX-1", session="s2")
    model, _ = feed(
        model,
        m.Changed(1, event("session.started", child, 11)),
        m.Changed(1, event("permission.asked", asked, 12)),
    )
    assert model.detail.tab == "s1"
    assert "working Look new ◆ answer" in as_text(model)

    model, _ = press(model, "]", "[")
    assert "working Look ◆ answer" in as_text(model)


# --- the ticket

BODY = """# Title
- [x] done
- [ ] open
  - deep `code`
1. one
> said
```
- raw
```
| a | long |
|---|---|
| 1 | 2 |
"""


def test_a_body_is_read_as_markdown():
    model, _ = press(live(samples.board(tickets=[samples.ticket(1, body=BODY)])), "enter")

    lines = tab_lines(model)
    at = lines.index("# Title")
    assert lines[at : at + 12] == [
        "# Title", "☑ done", "☐ open", "  · deep `code`", "1. one", "│ said",
        "```", "- raw", "```", "a │ long", "──┼─────", "1 │ 2",
    ]  # fmt: skip


def test_the_ticket_follows_its_end_when_asked_and_says_what_is_new():
    tickets = [samples.ticket(1, body="x\n" * 60)]
    model, _ = press(live(samples.board(tickets=tickets, attempts=[], sessions=[])), "enter")
    model, _ = feed(model, m.DetailLoaded(Ticket.read(tickets[0]), (), (), ()))

    def comment(number):
        added = samples.comment(number, "CTX-1", f"word {number}")
        return m.Changed(1, event("comment.added", added, 10 + number))

    model, _ = feed(model, comment(1))
    assert "↓ 1 new" in edge(model)

    model, _ = feed(press(model, "f")[0], comment(2))
    assert screen(model)[-1] == "  word 2"
    assert "following" in edge(model)
    assert DIFF in model.detail.paused


# --- places and sizes


def test_another_width_keeps_the_text_at_the_top_and_tells_of_nothing_new():
    words = " ".join(f"w{number}" for number in range(900))
    model = talking(1, 0)
    message = samples.message(1, "s1", samples.part(words))
    model, _ = feed(model, m.ThreadLoaded("s1", (Message.read(message),)))
    model, _ = press(model, *["pgup"] * 2)
    first = screen(model)[0].split()[0]

    for width in (60, 33, 120):
        model, _ = feed(model, m.Resized(width, 16))
        assert first in screen(model)[0].split()
        assert "new" not in edge(model)


def test_a_message_that_is_done_moves_nothing_of_what_is_read_in_it():
    def message(status, **changes):
        words = samples.part("\n".join(f"{n} word" for n in range(60)), status)
        return samples.message(1, "s1", words, status=status, ticket="CTX-1", **changes)

    model, _ = feed(talking(1, 0), m.ThreadLoaded("s1", (Message.read(message("streaming")),)))
    model, _ = press(model, "pgup", "pgup")
    before = screen(model)

    done = m.Changed(1, event("message.updated", message("complete", revision=2), 11))
    assert screen(feed(model, done)[0]) == before


def test_a_search_in_a_log_that_fills_the_memory_still_scrolls_to_older_entries(monkeypatch):
    monkeypatch.setattr(logs, "KEPT_BYTES", 1)
    model, effects = press(with_log(501, 1000), "/", "0", "enter")
    assert effects == []

    assert press(model, *["N"] * 120)[1] == [a.LoadLog("a1", 0, before=501)]


def test_an_age_that_grows_above_moves_nothing():
    tickets = [samples.ticket(1)]
    model, _ = press(live(samples.board(tickets=tickets, attempts=[], sessions=[])), "enter")
    body = "\n".join(f"{number} word" for number in range(60))
    comment = Comment.read(samples.comment(1, "CTX-1", body))
    model, _ = feed(model, m.DetailLoaded(Ticket.read(tickets[0]), (comment,), (), ()))
    model, _ = press(feed(model, m.Tick(samples.NOW + 380))[0], *["pgdn"] * 2)
    before = screen(model)
    assert before[0].endswith(" word")

    model, _ = feed(model, m.Tick(samples.NOW + 460))  # from 9 to 10 minutes

    assert screen(model) == before


def test_ages_that_grow_in_a_list_of_attempts_move_nothing():
    model = opened(*(samples.attempt(n, "CTX-1", "failed") for n in range(1, 60)))
    model, _ = press(feed(model, m.Tick(samples.NOW + 380))[0], *["pgdn"] * 3)

    def numbers(model):
        return [line.split("#")[1].split()[0] for line in screen(model)]

    before = numbers(model)
    model, _ = feed(model, m.Tick(samples.NOW + 460))  # from 9 to 10 minutes

    assert numbers(model) == before


@settings(max_examples=40)
@given(st.text(max_size=60), st.integers(6, 14), st.text(max_size=2))
def test_each_row_of_a_paragraph_knows_where_its_text_is(text, cells, head):
    (text, head) = ("".join(plain_lines(value)) for value in (text, head))
    paragraph = Paragraph(text, "", (Span(head),) if head else (), tail=(Span("!"),))

    rows = wrap(paragraph, cells)
    assert rows[-1].line[-1].text == "!"
    rows[-1] = rows[-1]._replace(line=rows[-1].line[:-1])
    for line, start, skip in rows:
        shown = "".join(span.text for span in line)[skip:]
        assert shown == text[start : start + len(shown)]


# --- meanwhile


def test_a_log_that_is_followed_keeps_its_end_whatever_was_read_before(monkeypatch):
    monkeypatch.setattr(logs, "KEPT_BYTES", 30_000)
    model, _ = press(with_log(1, 500), "g", "G")

    model, _ = feed(model, a.LogLoaded("a1", entries(501, 1500)))

    log = model.detail.log
    assert (log.entries.last, log.cut) == (1500, False)
    assert log.entries.size <= 30_000


def test_another_attempt_is_read_from_its_end():
    model, _ = press(feed(press(opened(*three()), "]")[0],
                          a.LogLoaded("a3", entries(1, 50)))[0], "g", "<")  # fmt: skip
    model, _ = feed(model, a.LogLoaded("a2", entries(1, 50)), a.DiffLoaded("a1", "x", "", False))

    assert screen(model)[-1] == "line 50"
    other, _ = feed(press(model, "]")[0], a.DiffLoaded("a1", PATCH, samples.AT, False))
    assert not other.detail.diff.loaded, "that of another attempt"


def test_what_was_told_of_while_the_end_was_let_go_is_fetched_too(monkeypatch):
    monkeypatch.setattr(logs, "KEPT_BYTES", 30_000)
    model, _ = press(with_log(1001, 1500), "g")
    model, _ = feed(model, a.LogLoaded("a1", entries(501, 1000), before=1001))
    model, _ = press(model, "g")
    model, _ = feed(model, a.LogLoaded("a1", entries(1, 500), before=501), logged(1501, 11))
    model, effects = press(model, "G")
    assert effects == [a.LoadLog("a1", 0)]

    assert feed(model, a.LogLoaded("a1", entries(1001, 1500)))[1] == [a.LoadLog("a1", 1500)]


def test_a_diff_is_fetched_once_when_it_is_due_and_never_by_itself():
    model = with_diff()
    assert feed(model, m.Tick(samples.NOW + 60))[1] == []
    status = samples.attempt(1, "CTX-1", revision=2)
    model, _ = feed(model, m.Changed(1, event("attempt.status", status, 11)))

    model, effects = feed(model, m.Tick(model.detail.diff.due))
    assert effects == [a.LoadDiff("a1")]
    assert feed(model, m.Tick(samples.NOW + 60))[1] == []


def test_an_attempt_that_the_board_knows_before_the_ticket_does_is_shown():
    """The answer to a start comes before its event: the tabs count what they know."""
    attempts = [samples.attempt(1, "CTX-1", "failed"), samples.attempt(2, "CTX-1", "failed")]
    model, _ = press(live(samples.board(attempts=attempts)), "enter")
    loaded = m.DetailLoaded(model.detail.ticket, (), (), (), tuple(map(Attempt.read, attempts)))
    model, _ = feed(model, loaded)
    begun = Attempt.read(samples.attempt(3, "CTX-1", "queued"))

    model, _ = feed(model, a.Asked("CTX-1", begun, ""))

    assert "Log" in as_text(model)
