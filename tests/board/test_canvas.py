"""The fast ways draw the same as the plain ones: layers as cells, kept values as new ones."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cortex_cli.board import text as texts
from cortex_cli.board.apply import apply
from cortex_cli.board.canvas import BAD, DIM, PLAIN, Canvas, Span
from cortex_cli.board.model import Model
from cortex_cli.board.selection import settle
from cortex_cli.board.wire import Board
from tests.board import samples

WIDTH = 20
DERIVED = ("columns", "sessions_of", "reviewed", "attempts_of", "asked_of")
WRITES = st.lists(
    st.tuples(st.integers(0, WIDTH), st.text("ab 日…", max_size=9), st.sampled_from((DIM, BAD)))
)


def drawn_by_cells(writes) -> list[tuple[str, str]]:
    """(character, role) of each cell: the right half of a wide character is empty."""
    cells = [(" ", PLAIN)] * WIDTH
    for x, text, role in writes:
        shown = texts.clip(text, WIDTH - x)
        new = [cell for char in shown for cell in as_cells(char, role)]
        for left, right in ((x - 1, x), (x + len(new) - 1, x + len(new))):
            if new and left >= 0 and right < WIDTH and cells[right][0] == "":
                for half in (left, right):
                    cells[half] = (" ", cells[half][1])
        cells[x : x + len(new)] = new
    return cells


def as_cells(char: str, role: str) -> list[tuple[str, str]]:
    return [(char, role), ("", role)][: texts.cell_width(char)]


@given(WRITES)
def test_what_is_written_later_covers_what_was_there(writes):
    canvas = Canvas(WIDTH, 1)
    for x, text, role in writes:
        canvas.put(0, x, text, role)
    cells = []
    for text, role in canvas.rows()[0]:
        for char in text:
            cells += as_cells(char, role)
    assert cells == drawn_by_cells(writes)
    assert canvas.rows() == canvas.rows()


def test_a_row_that_is_ready_covers_what_was_there():
    canvas = Canvas(8, 2)
    canvas.put(0, 0, "日本語日", BAD)
    canvas.put_row(0, 1, (Span("ab", DIM), Span("c")), 3)
    canvas.put_row(0, 6, (Span("too wide"),), 8)
    assert canvas.rows()[0] == (Span(" ", BAD), Span("ab", DIM), Span("c"), Span("語日", BAD))
    assert canvas.rows()[1] == (Span(" " * 8),)


@given(st.text("ab  \n", max_size=60), st.integers(1, 12))
def test_plain_text_is_wrapped_as_any_other(text, cells):
    other = texts.wrap(text.replace("a", "ж"), cells)  # one cell too, and not known to be plain
    assert texts.wrap(text, cells) == [line.replace("ж", "a") for line in other]


EVENTS = [
    samples.event("ticket.updated", samples.ticket(3, "progress", title="New", revision=2), 11),
    samples.event("ticket.updated", samples.ticket(3, "progress", rank="z", revision=2), 11),
    samples.event("ticket.updated", samples.ticket(3, "review", revision=2), 11),
    samples.event("ticket.updated", samples.ticket(3, "progress", archived=True, revision=2), 11),
    samples.event("ticket.created", samples.ticket(9, "done"), 11),
    samples.event("ticket.deleted", {"id": "t004", "key": "CTX-4"}, 11),
    samples.event("session.updated", samples.session(1, "CTX-3", "idle", revision=2), 11),
    samples.event("review.resolved", samples.review(1, "CTX-5", "approved", revision=2), 11),
    samples.event("attempt.started", samples.attempt(1, "CTX-3"), 11),
    samples.event("permission.asked", samples.permission(1, "CTX-3"), 11),
    samples.event("project.updated", samples.project(columns=samples.COLUMNS[:2], revision=2), 11),
    samples.event("comment.added", samples.comment(1, "CTX-3"), 11),
]


def test_what_a_board_keeps_over_an_event_is_what_it_would_work_out():
    for event in EVENTS:
        board = Board.read(samples.board())
        assert all(getattr(board, name) is not None for name in DERIVED)
        after = apply(board, event).board
        kept = {name: getattr(after, name) for name in DERIVED}
        for name in DERIVED:
            after.__dict__.pop(name)
            assert kept[name] == getattr(after, name), (event.type, name)


def test_an_event_that_changes_no_card_sorts_nothing():
    board = Board.read(samples.board())
    columns = board.columns
    after = apply(board, EVENTS[-1]).board
    assert after.columns is columns
    changed = apply(board, EVENTS[0]).board
    assert changed.columns["backlog"] is columns["backlog"]


def test_a_card_that_grows_does_not_push_the_selected_one_off_the_screen():
    """An attempt adds a line to a card, and no column is another one because of it."""
    tickets = [samples.ticket(number) for number in range(1, 9)]
    model: Model = samples.live(samples.board(tickets=tickets, sessions=[], reviews=[]), 60, 20)
    model, _ = samples.press(model, *"jjjjjj")
    board = model.board
    assert board
    for number in range(1, 8):
        started = samples.event(
            "attempt.started", samples.attempt(number, f"CTX-{number}"), board.seq + 1
        )
        board = apply(board, started).board
    grown = settle(model, replace(model, board=board))
    assert grown.columns is model.columns
    assert grown.tops["backlog"] > model.tops["backlog"]
