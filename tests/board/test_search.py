"""Search in the open ticket: what it finds, where it goes, and that it stays while text comes."""

import pytest

from cortex_cli.board import asks as a
from cortex_cli.board import document, search
from cortex_cli.board import messages as m
from cortex_cli.board.blocks import Block, Paragraph, over
from cortex_cli.board.canvas import CURSOR, SELECTED
from cortex_cli.board.model import Search
from cortex_cli.board.sheets import Sheet
from cortex_cli.board.wire import Message
from cortex_cli.board.work import LogEntry
from tests.board import samples
from tests.board.samples import event, feed, live, press
from tests.board.test_view import as_text


def entry(number, text="line {}", **changes):
    return LogEntry.read(samples.entry(number, text.format(number), **changes))


def with_log(*texts, first=1, height=16):
    """The log tab of an attempt that said so, on a screen with eleven rows for it."""
    body = {"attempts": [samples.attempt(1, "CTX-1")], "sessions": []}
    model, _ = press(live(samples.board(**body), height=height), "enter", "]")
    found = tuple(entry(first + number, text) for number, text in enumerate(texts))
    return feed(model, a.LogLoaded("a1", found))[0]


def logged(number, text, seq):
    payload = samples.entry(number, text)
    return m.Changed(1, event("attempt.log", payload, seq, ticket="CTX-1"))


def edge(model):
    """The lower edge of the document."""
    return as_text(model).splitlines()[-2]


def marked(model):
    """(text, role) of the hits on the screen."""
    lines = document.window(model, model.detail).lines
    return [
        (span.text, span.role)
        for line in lines for span in line if span.role in (SELECTED, CURSOR)
    ]  # fmt: skip


def top_line(model):
    line = document.window(model, model.detail).lines[0]
    return "".join(span.text for span in line)


FIFTY = ["needle {}" if number % 10 == 0 else "line {}" for number in range(1, 51)]


# --- typing


def test_hits_are_marked_as_typed_and_the_first_is_gone_to():
    model, _ = press(with_log(*FIFTY), "g", "/", "n", "e", "e")

    assert marked(model)[0] == ("nee", CURSOR)
    assert "1/5" in edge(model)
    assert model.scope == "prompt"

    model, _ = press(model, "d", "x")
    assert marked(model) == []
    assert "no hit" in edge(model)
    assert top_line(press(model, "backspace")[0]) != top_line(model)


@pytest.mark.parametrize(
    ("needle", "found"), [("error", 3), ("Error", 1), ("ERROR", 1), ("[e.r", 0), ("(x", 1)]
)
def test_small_letters_find_any_case_and_nothing_is_a_pattern(needle, found):
    model = with_log("an error", "An Error", "ERROR", "f(x) [error]"[:5])

    model, _ = press(model, "/", *needle)

    assert edge(model).count(f"1/{found}" if found else "no hit") == 1


def test_escape_while_typing_goes_back_to_where_the_reader_was():
    before = press(with_log(*FIFTY), "g", "ctrl-d")[0]

    model, _ = press(before, "/", *"needle 50")
    assert top_line(model) != top_line(before)
    model, _ = press(model, "esc")

    assert top_line(model) == top_line(before)
    assert model.detail.search is None


def test_escape_while_typing_follows_the_tail_again_where_it_did():
    model, _ = press(with_log(*FIFTY), "/", *"needle 10")
    assert not document.window(model, model.detail).follows

    assert document.window(*opened(press(model, "esc")[0])).follows


def opened(model):
    return model, model.detail


def test_escape_clears_the_search_before_it_leaves_the_ticket():
    model, _ = press(with_log(*FIFTY), "/", *"needle", "enter")
    assert marked(model)

    model, _ = press(model, "esc")
    assert marked(model) == []
    assert model.detail is not None
    assert press(model, "esc")[0].detail is None


def test_an_empty_search_is_none():
    model, _ = press(with_log(*FIFTY), "/", "enter")

    assert model.detail.search is None


# --- going from hit to hit


def test_n_and_capital_n_go_around_the_end():
    model, _ = press(with_log(*FIFTY), "g", "/", *"needle", "enter")
    seen = [edge(model)]
    for _ in range(5):
        model, _ = press(model, "n")
        seen.append(edge(model))

    for number, said in enumerate(["1/5", "2/5", "3/5", "4/5", "5/5", "wrapped  1/5"]):
        assert said in seen[number]
    model, _ = press(model, "N")
    assert "wrapped  5/5" in edge(model)
    assert "4/5" in edge(press(model, "N")[0])
    assert "wrapped" not in edge(press(model, "N")[0])


def test_several_hits_in_a_line_are_gone_to_one_by_one():
    model, _ = press(with_log("aXbXc", "X"), "/", "X", "enter")

    found = []
    for _ in range(3):
        found.append([text for text, role in marked(model)].count("X"))
        assert [role for _, role in marked(model)].count(CURSOR) == 1
        model, _ = press(model, "n")
    assert found == [3, 3, 3]
    assert "wrapped  1/3" in edge(model)


def test_a_hit_that_is_wrapped_is_marked_on_both_rows():
    sheet = Sheet([("+a", lambda: Block([Paragraph("one two three four")], 8))])
    rows = sheet.rows((0, 0), 9)

    hits = search.marks(sheet, rows, Search("two three"))

    lines = [search_line(row, found) for (_, row), found in zip(rows, hits, strict=True)]
    assert lines == ["one [two]", "[three]", "four"]


def search_line(row, marks):
    spans = over(row.line, row.skip, row.start, marks)
    return "".join(f"[{s.text}]" if s.role == SELECTED else s.text for s in spans).strip()


def test_a_hit_that_begins_above_the_screen_is_marked_where_it_goes_on():
    sheet = Sheet([("+a", lambda: Block([Paragraph("one two three four")], 8))])
    rows = sheet.rows((0, 1), 9)

    (first, *_) = search.marks(sheet, rows, Search("two three"))

    assert search_line(rows[0][1], first) == "[three]"


def test_a_name_that_grows_in_lower_case_keeps_its_places():
    model, _ = press(with_log("İİİ here", "HERE"), "/", *"here")

    assert [text for text, _ in marked(model)] == ["here", "HERE"]


def test_nothing_to_go_to_is_said():
    assert "/ does" in press(with_log("a"), "n")[0].toasts[-1].text
    assert "Not found: zz" in press(with_log("a"), "/", *"zz", "enter", "n")[0].toasts[-1].text


# --- in every tab


def test_a_conversation_a_diff_and_the_ticket_are_searched_and_each_counts_its_own():
    session = samples.session(1, "CTX-1")
    body = {"attempts": [samples.attempt(1, "CTX-1")], "sessions": [session]}
    model, _ = press(live(samples.board(**body)), "enter", "/", *"parser", "enter")
    assert "1/1" in edge(model)

    model, _ = press(model, "]", "]")
    model, _ = feed(model, a.DiffLoaded("a1", "diff --git a/parser b/parser\n+parser", "", False))
    assert "-/3" in edge(model)  # the list of files, the heading, the line
    assert "1/3" in edge(press(model, "n")[0])

    model, _ = press(model, "]")
    message = samples.message(1, "s1", samples.part("the **parser**"))
    model, _ = feed(model, m.ThreadLoaded("s1", (Message.read(message),)))
    assert ("parser", CURSOR) in marked(press(model, "n")[0])


# --- while text comes


def test_what_comes_does_not_move_the_view_nor_the_hit():
    model, _ = press(with_log(*FIFTY), "g", "/", *"needle", "enter", "n", "n")
    before = document.window(model, model.detail).lines

    model, _ = feed(model, logged(51, "needle 51", 11), logged(52, "x", 12))

    assert document.window(model, model.detail).lines == before
    assert "3/6" in edge(model)
    assert "↓ 2 new" in edge(model)
    assert "needle 51" in as_text(press(model, "N", "N", "N")[0])


def test_a_hit_on_the_last_line_is_stayed_at():
    model, _ = press(with_log(*FIFTY), "/", *"needle 50", "enter")
    before = document.window(model, model.detail).lines

    model, _ = feed(model, logged(51, "x", 11))

    assert document.window(model, model.detail).lines == before
    assert "↓ 1 new" in edge(model)


def test_older_pages_are_fetched_for_a_search_and_a_hit_above_moves_nothing():
    model, effects = press(with_log(*FIFTY, first=501), "/", *"needle", "enter")
    assert a.LoadLog("a1", 0, before=501) in effects
    assert "4/5+" in edge(model)
    before = document.window(model, model.detail).lines

    older = tuple(entry(n, "needle {}" if n <= 5 else "line {}") for n in range(1, 501))
    model, effects = feed(model, a.LogLoaded("a1", older, before=501))

    assert effects == []
    assert document.window(model, model.detail).lines == before
    assert "9/10" in edge(model)
    assert "needle 5" in as_text(press(model, *["N"] * 4)[0])


def test_a_hit_in_a_message_that_grows_is_found():
    session = samples.session(1, "CTX-1")
    model, _ = press(live(samples.board(sessions=[session], attempts=[])), "enter", "]")
    message = samples.message(1, "s1", samples.part("a nee", "streaming"), status="streaming")
    model, _ = feed(model, m.ThreadLoaded("s1", (Message.read(message),)))
    model, _ = press(model, "/", *"needle", "enter")
    assert "no hit" in edge(model)

    model, _ = feed(model, m.Grown("CTX-1", "s1", "m1", 0, 5, "dle"))

    assert ("needle", SELECTED) in marked(model)
