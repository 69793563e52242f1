"""The screen: right at every size, and harmless whatever the text."""

import time
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_cli.board import asks as a
from cortex_cli.board import canvas, layout, overlays
from cortex_cli.board import messages as m
from cortex_cli.board import text as texts
from cortex_cli.board.model import Model
from cortex_cli.board.view import view
from cortex_cli.board.wire import Board, Message, Ticket
from cortex_cli.board.work import LogEntry
from tests.board import samples
from tests.board.samples import event, feed, live, press
from tests.board.test_detail import loaded, opened, streaming
from tests.board.test_text import NASTY

SIZES = st.tuples(st.integers(1, 130), st.integers(1, 50))


def as_text(model, width=None, height=None):
    rows = view(model, width or model.width, height or model.height)
    return "\n".join("".join(span.text for span in row).rstrip() for row in rows) + "\n"


def assert_sound(model, width, height):
    rows = view(model, width, height)
    assert len(rows) == height
    for row in rows:
        assert canvas.line_width(row) == width
        for span in row:
            assert span.role in canvas.ROLES
            assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn") for c in span.text)
            assert texts.clean(span.text) == span.text or "  " in span.text


# --- anything, at any size

KEYS = st.sampled_from(
    [*"hjklgGHLJKmncyzrFp/?[]f!5xsaRiXd12 ", "enter", "esc", "ctrl-d", "ctrl-u", "pgdn", "pgup",
     "backspace", "ctrl-w", "left", "right", "home", "end", "tab", "日"]
)  # fmt: skip
NUMBERS = st.integers(1, 6)
STATUSES = st.sampled_from(["backlog", "progress", "review", "done", "unknown"])
ATTEMPT_STATUSES = st.sampled_from(
    ["queued", "starting", "running", "waiting", "stopping", "failed", "lost", "succeeded", "odd"]
)
SESSION_STATUSES = st.sampled_from(
    ["starting", "working", "idle", "awaiting_input", "error", "ended"]
)


@st.composite
def tickets(draw):
    return samples.ticket(
        draw(NUMBERS), draw(STATUSES), title=draw(NASTY) or "x", body=draw(NASTY),
        rank=draw(st.sampled_from("abc")), labels=draw(st.lists(NASTY, max_size=2)),
        assignee=draw(st.none() | NASTY), priority=draw(st.sampled_from(["none", "high", "odd"])),
        archived=draw(st.sampled_from([False, False, True])), revision=draw(st.integers(1, 9)),
    )  # fmt: skip


@st.composite
def answers(draw):
    """What an effect brought back."""
    ticket = Ticket.read(draw(tickets()))
    message = Message.read(streaming(draw(NASTY)))
    return draw(
        st.sampled_from(
            [m.Moved(ticket), m.MoveRefused(ticket.id, "no", ticket), loaded(),
             m.MoveRefused(ticket.id, "no"), m.Created(ticket), m.MessageLoaded(message),
             m.ThreadLoaded("s1", (message,)), m.LoadFailed("s1", "x", "m1"),
             m.ProjectsLoaded((("CTX", "C"), ("B", "b"))),
             a.AgentsLoaded(ticket.key, (a.Choice(draw(NASTY), draw(NASTY), False),)),
             a.AgentsLoaded(ticket.key, (a.Choice("x", "", True), a.Choice("y", "z", True))),
             a.AgentsFailed(ticket.key, "no"),
             a.AskRefused(ticket.key, draw(NASTY), ("say s1", "x")),
             a.Asked("q1", None, "done"), a.DiffLoaded("a1", draw(NASTY), samples.AT, True),
             a.LogLoaded("a1", (LogEntry.read(samples.entry(1, draw(NASTY), tool=draw(NASTY))),)),
             m.LoadFailed("+log", "x")]
        )
    )  # fmt: skip


@st.composite
def changes(draw):
    """An event, as likely as not with the payload of another type."""
    key = f"CTX-{draw(NUMBERS)}"
    payload = draw(
        st.one_of(
            tickets(),
            st.builds(samples.session, NUMBERS, st.just(key), SESSION_STATUSES, title=NASTY),
            st.just(samples.review(draw(NUMBERS), key)),
            st.builds(
                samples.attempt,
                NUMBERS,
                st.just(key),
                ATTEMPT_STATUSES,
                agent=NASTY,
                reason=NASTY,
                session=st.sampled_from(["s1", None]),
                branch=NASTY,
                progress=NASTY,
            ),
            st.builds(
                samples.permission,
                NUMBERS,
                st.just(key),
                title=NASTY,
                detail=NASTY,
                multiple=st.booleans(),
                free_text=st.booleans(),
                options=st.sampled_from([[], [{"id": "x", "label": "y", "description": "z"}]]),
            ),
            st.builds(samples.entry, NUMBERS, NASTY),
            st.builds(samples.instance, NUMBERS, st.just(key), NASTY, url=NASTY, error=NASTY),
            st.just({"attempt": "a1", "revision": 9, "todos": [{"text": draw(NASTY)}]}),
            st.just(samples.message(1, "s1", samples.part(draw(NASTY)), ticket=key)),
            st.just({"id": f"t00{draw(NUMBERS)}", "key": key}),
        )
    )
    names = [
        "ticket.updated",
        "ticket.deleted",
        "session.status",
        "review.requested",
        "message.updated",
        "attempt.status",
        "attempt.status",
        "attempt.todos",
        "attempt.log",
        "permission.asked",
        "permission.asked",
        "opencode.status",
        "batch.created",
    ]
    return m.Changed(1, event(draw(st.sampled_from(names)), payload, None, ticket=key))


@st.composite
def incoming(draw):
    """A message of any kind, as likely as not to fit what is on the board."""
    kinds = ["key"] * 6 + ["event"] * 4 + ["answer", "stream", "size", "delta"]
    match draw(st.sampled_from(kinds)):
        case "key":
            return m.Key(draw(KEYS))
        case "size":
            return m.Resized(*draw(SIZES))
        case "delta":
            key = f"CTX-{draw(NUMBERS)}"
            return m.Grown(key, "s1", "m1", 0, draw(st.integers(0, 9)), draw(NASTY))
        case "answer":
            return draw(answers())
        case "stream":
            return draw(
                st.sampled_from(
                    [m.Snapshot(1, samples.board()), m.Lost(1, "x", 5.0, 3),
                     m.Lost(1, "x", None, 1), m.Connected(1, True), m.Stale(1, "epoch"),
                     m.Beat(1, 99), m.Tick(samples.NOW + 99), m.Ended(1, "revoked", False),
                     m.BoardFailed(1, "x"), m.Overview(-1, {"projects": [{"project": "CTX"}]}),
                     m.Lost(-1, "x", 5.0, 9)]
                )
            )  # fmt: skip
        case _:
            return draw(changes())


@settings(max_examples=150, deadline=None)
@given(st.lists(incoming(), max_size=40), SIZES)
def test_whatever_happens_the_screen_is_sound_and_the_selection_on_a_ticket(messages, size):
    model = live()
    for message in messages:
        model, _ = feed(model, message)
        assert_selected(model)
    assert_sound(model, *size)
    assert_sound(model, model.width, model.height)


def assert_selected(model):
    """A ticket is selected exactly when the focused column shows one, and it is in that column."""
    shown = model.shown
    if shown is None or not shown.tickets:
        assert model.selected is None
    else:
        assert model.selected in {ticket.id for ticket in shown.tickets}


@settings(max_examples=100, deadline=None)
@given(st.lists(tickets(), max_size=6, unique_by=lambda t: t["id"]), SIZES, st.booleans())
def test_any_text_is_drawn_within_the_screen(found, size, ascii_only):
    model = Model(project="CTX", ascii_only=ascii_only, now=samples.NOW)
    model, _ = feed(model, m.Snapshot(1, samples.board(tickets=found)))

    assert_sound(model, *size)
    if ascii_only:
        assert as_text(model, *size).isascii()


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (500, 1), (2, 2), (19, 5), (20, 4), (500, 200)])
@pytest.mark.parametrize("keys", [[], ["?"], ["m"], ["n", "x"], ["enter"], ["enter", "]"], ["p"]])
def test_extreme_sizes(size, keys):
    model, _ = press(live(), "l", *keys)

    assert_sound(model, *size)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(0, 59), st.integers(0, 59), SIZES)
def test_the_selected_card_is_always_wholly_on_the_screen(count, down, up, size):
    body = samples.board(tickets=[samples.ticket(n) for n in range(1, count + 1)])
    model, _ = feed(live(body), m.Resized(*size))
    model, _ = press(model, *["j"] * down, *["k"] * up)

    rows = layout.body(model)[1]
    box = next(iter(layout.boxes(model)), None)
    if box is None:
        return
    number = layout.selected_index(model)
    top = model.tops["backlog"]
    before = sum(layout.card_height(model, box, n) for n in range(top, number))
    assert number >= top
    assert before + min(rows, layout.card_height(model, box, number)) <= rows


# --- layout


def test_the_whole_board_from_100_columns_on():
    assert [box.index for box in layout.boxes(live(width=100))] == [0, 1, 2, 3]


def test_fewer_columns_with_counts_below_100():
    model, _ = press(live(width=80), "l", "l", "l")

    assert [box.index for box in layout.boxes(model)] == [1, 2, 3]
    assert "Backlog 2 · In progress 2/3 · Review 1 · Done 0" in as_text(model)


def test_one_column_with_its_place_below_60():
    model, _ = press(live(width=59), "l")

    assert "2/4 In progress 2/3" in as_text(model)
    assert "Backlog" not in as_text(model)


def test_a_list_below_12_rows():
    lines = as_text(live(width=120, height=11)).splitlines()

    assert lines[0].startswith(" 1/4 Backlog 2")
    assert lines[1].startswith(" CTX-1 Write the parser")


def test_one_line_below_20x5():
    assert as_text(live(width=19, height=4)).splitlines()[0] == "● ◆2 CTX-1 Write t…"


def roles(model, role):
    return [span.text for row in view(model, model.width, model.height) for span in row
            if span.role == role]  # fmt: skip


def test_a_column_over_its_limit_is_marked():
    many = [samples.ticket(n, "progress") for n in range(1, 6)]

    assert "5/3" in roles(live(samples.board(tickets=many)), canvas.OVER)


def test_a_state_is_a_glyph_and_a_word():
    shown = as_text(live())

    for state in ("● working", "◆ waiting", "◇ review", "↑ high"):
        assert state in shown


def test_a_card_that_was_put_back_is_marked():
    model, _ = press(live(), "L")
    assert "… saving" in as_text(model)

    model, _ = feed(model, m.MoveRefused("t001", "no"))
    assert "✗ put back" in as_text(model)


def test_an_empty_board_says_what_to_do():
    shown = as_text(live(samples.board(tickets=[], sessions=[], reviews=[])))

    assert "n makes one here" in shown
    assert "cortex ticket import FILE" in shown


def test_a_toast_never_covers_the_selected_card():
    model, _ = press(live(height=12), "G", "M")
    shown = as_text(model).splitlines()

    assert "Mouse off" in shown[-1]
    assert any("CTX-2" in line for line in shown[:-1])


def test_the_typed_text_keeps_its_cursor_on_the_screen():
    model, _ = press(live(width=40, height=12), "n", *"x" * 100)

    assert roles(model, canvas.SELECTED)[-1] == " "


@pytest.mark.parametrize("letter", ["x", "日", "é"])
def test_a_long_text_is_drawn_at_once_whatever_its_letters(letter):
    text = letter * 10_000
    model, _ = press(live(width=80), "n")
    prompt = replace(model.overlay, text=text, cursor=len(text))
    began = time.process_time()
    line = overlays.typed(prompt, 60)
    spent = time.process_time() - began

    assert canvas.line_width(line) <= 60
    assert [span.role for span in line if span.text] == [canvas.DIM, canvas.PLAIN, canvas.SELECTED]
    assert spent < 1.0, "it took four seconds, a character at a time"


def test_what_is_new_below_is_said():
    model = opened(True, samples.message(1, "s1", samples.part("line\n" * 60)))
    assert "following" in as_text(model)

    model, _ = press(model, "k")
    more = samples.message(2, "s1", samples.part("more"), ticket="CTX-3")
    model, _ = feed(model, m.Changed(1, event("message.created", more, 11)))
    assert "↓ 3 new" in as_text(model)


def test_drawing_a_thousand_tickets_looks_only_at_those_on_the_screen(monkeypatch):
    body = samples.board(tickets=[samples.ticket(n) for n in range(1000)])
    model, _ = press(live(body), "G")
    drawn = []
    monkeypatch.setattr(
        "cortex_cli.board.cards.top_line", lambda *args: drawn.append(args) or (canvas.Span("x"),)
    )

    view(model, model.width, model.height)

    assert 0 < len(drawn) < 30


def test_the_board_of_a_state_is_the_board_of_a_fetch():
    assert live().board == Board.read(samples.board())
