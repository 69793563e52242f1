"""Marked cards: what verbs do to all of them, and what happens when some are refused."""

import pytest

from cortex_cli.board import changes as ch
from cortex_cli.board import messages as m
from cortex_cli.board import verbs
from cortex_cli.board.wire import Ticket
from tests.board import samples
from tests.board.samples import event, feed, live, press, selected
from tests.board.test_view import as_text


def changed(kind, payload, seq=11):
    return m.Changed(1, event(kind, payload, seq))


def answered(effect, *refused, **fields):
    """What the server answers to a change when it makes all of it but what is refused."""
    lost = {one.ticket_id for one in refused}
    tickets = [
        Ticket.read(samples.ticket(
            int(row.key[4:]), revision=row.revision + 1, **{**placed(row), **fields}
        ))
        for row in effect.rows if row.ticket_id not in lost
    ]  # fmt: skip
    return ch.Altered(effect.number, tuple(tickets), refused)


def placed(row):
    """The fields of a row; a card that is moved gets the rank of a last one."""
    rank = {"rank": f"z{row.ticket_id}"} if "status" in row.fields else {}
    return {name: value for name, value in row.fields.items() if name != "position"} | rank


def keys(model, column):
    return [ticket.key for ticket in model.columns[column].tickets]


def sent(effects):
    return [(row.key, dict(row.fields), row.revision) for row in effects[0].rows]


def test_space_marks_and_goes_down_and_the_header_counts():
    model, _ = press(live(), " ", " ")

    assert model.marked == {"t001", "t002"}
    assert selected(model) == "CTX-2"  # the last one
    shown = as_text(model)
    assert "◉ 2 marked" in shown.splitlines()[0]
    assert "◉ CTX-1" in shown
    assert "◉ CTX-2" in shown
    assert "◉ CTX-3" not in shown
    assert press(model, " ")[0].marked == {"t001"}


def test_marks_are_shown_in_ascii_too():
    body = samples.board(tickets=[samples.ticket(1)])
    model, _ = press(live(body), " ")

    model, _ = feed(model, m.Resized(60, 10))
    shown = as_text(ascii_model(model))
    assert "@ CTX-1" in shown
    assert "@ 1 marked" in shown


def ascii_model(model):
    from dataclasses import replace

    return replace(model, ascii_only=True)


def test_escape_clears_the_marks_first_and_then_the_filter():
    model, _ = press(live(), "/", *"ticket", "enter", "esc")
    model, _ = press(live(), " ", "/", *"parser", "enter")

    model, _ = press(model, "esc")
    assert (model.marked, model.filter) == (frozenset(), "parser")
    assert press(model, "esc")[0].filter == ""


def test_a_mark_is_forgotten_when_its_ticket_leaves_the_board():
    model, _ = press(live(), " ", " ")

    model, _ = feed(model, changed("ticket.deleted", {"id": "t001", "key": "CTX-1"}))

    assert model.marked == {"t002"}


def test_marked_cards_that_the_filter_hides_are_told():
    model, _ = press(live(), " ", " ", "/", *"parser", "enter")

    assert "2 marked, 1 hidden" in as_text(model)


def test_all_marked_cards_move_together_in_board_order_and_are_shown_at_once():
    model, _ = press(live(), "j", " ", "k", " ")

    model, effects = press(model, "L")

    assert len(effects) == 1
    assert isinstance(effects[0], ch.Alter)
    assert sent(effects) == [("CTX-1", {"status": "progress"}, 1),
                             ("CTX-2", {"status": "progress"}, 1)]  # fmt: skip
    assert keys(model, 1) == ["CTX-3", "CTX-4", "CTX-1", "CTX-2"]
    assert as_text(model).count("… saving") == 2


def test_each_card_moves_beside_its_own_column_and_those_at_the_edge_stay():
    model, _ = press(live(), " ", "l", "k", " ")

    _, effects = press(model, "H")

    assert effects == [m.Move("t003", "backlog", None, 1)]
    assert press(live(), " ", "H")[0].toasts[-1].text == "All marked cards are in the first column."


def test_the_menu_moves_all_marked_cards():
    model, effects = press(live(), " ", " ", "m", "4")

    assert sent(effects) == [("CTX-1", {"status": "done"}, 1), ("CTX-2", {"status": "done"}, 1)]
    assert keys(model, 3) == ["CTX-1", "CTX-2"]


def test_one_that_is_refused_is_put_back_and_named_and_the_others_stay():
    model, effects = press(live(), " ", " ", "L")
    no = ch.RowRefused("t002", "the column is full", None)

    model, more = feed(model, answered(effects[0], no))

    assert more == []
    assert (keys(model, 0), keys(model, 1)[-1]) == (["CTX-2"], "CTX-1")
    assert "t002" in model.flashes
    assert "✗ put back" in as_text(model)
    assert any("1 of 2 not moved: CTX-2 (the column is full)" in t.text for t in model.toasts)
    assert (model.pending, model.works) == ((), ())


def test_a_card_of_which_only_something_else_changed_is_sent_again():
    model, effects = press(live(), " ", " ", "L")
    current = Ticket.read(samples.ticket(2, title="Renamed", revision=7))

    model, more = feed(
        model, answered(effects[0], ch.RowRefused("t002", "outdated", current))
    )  # fmt: skip

    assert sent(more) == [("CTX-2", {"status": "progress"}, 7)]
    assert keys(model, 1)[-2:] == ["CTX-1", "CTX-2"]
    model, _ = feed(model, answered(more[0]))
    assert [part.key for part in model.undo[-1].parts] == ["CTX-1", "CTX-2"]  # one thing


def test_cards_that_were_moved_by_others_meanwhile_are_theirs():
    model, effects = press(live(), " ", " ", "L")
    theirs = Ticket.read(samples.ticket(2, "done", revision=7))

    model, more = feed(model, answered(effects[0], ch.RowRefused("t002", "changed", theirs)))

    assert more == []
    assert keys(model, 3) == ["CTX-2"]


def test_cards_moved_twice_are_sent_on_when_the_answer_came():
    model, effects = press(live(), " ", " ", "L", "L")
    assert len(effects) == 1
    assert keys(model, 2) == ["CTX-5", "CTX-1", "CTX-2"]

    model, more = feed(model, answered(effects[0]))

    assert sent(more) == [("CTX-1", {"status": "review"}, 2), ("CTX-2", {"status": "review"}, 2)]
    model, _ = feed(model, answered(more[0]))
    assert len(model.undo) == 1
    assert len(model.undo[0].parts) == 2


def test_an_open_ticket_is_moved_alone_whatever_is_marked():
    model, _ = press(live(), " ", " ", "g", "enter")

    assert press(model, "m", "4")[1] == [m.Move("t001", "done", None, 1)]


# --- the order


@pytest.mark.parametrize(
    ("entry", "word", "expected"),
    [
        ("2", "by priority", ["CTX-3", "CTX-2", "CTX-1"]),
        ("3", "by due date", ["CTX-2", "CTX-1", "CTX-3"]),
        ("4", "by sign of life", ["CTX-2", "CTX-1", "CTX-3"]),
        ("5", "by change", ["CTX-3", "CTX-1", "CTX-2"]),
        ("6", "by title", ["CTX-1", "CTX-3", "CTX-2"]),
    ],
)
def test_the_cards_are_sorted_and_the_header_says_how(entry, word, expected):
    body = samples.board(
        tickets=[
            samples.ticket(1, title="alpha", due="2026-03-01"),
            samples.ticket(2, title="gamma", due="2026-02-01", priority="low"),
            samples.ticket(3, title="Beta", priority="urgent", updated_at="2026-01-27T00:00:00Z"),
        ],
        sessions=[samples.session(1, "CTX-2")], reviews=[],
    )  # fmt: skip

    model, _ = press(live(body), "o", entry)

    assert keys(model, 0) == expected
    assert word in as_text(model).splitlines()[0]
    back, _ = press(model, "o", "1")
    assert keys(back, 0) == ["CTX-1", "CTX-2", "CTX-3"]
    assert word not in as_text(back)


def test_a_place_within_a_sorted_column_cannot_be_chosen():
    model, effects = press(live(), "o", "6", "J")

    assert effects == []
    assert "Sorted by title" in model.toasts[-1].text
    assert "✓" not in as_text(model).splitlines()[-1]


def test_cards_of_several_projects_move_together_where_each_has_that_column():
    from tests.board.test_everything import CTX, OPS, opened

    model, _ = press(opened(CTX, OPS), "g", " ", "l", "l", " ", " ")
    marked = [ticket.key for ticket in verbs.targets(model)]

    model, _ = press(model, "m")
    at = [value for value, _ in model.overlay.items].index("done")
    model, effects = press(model, str(at + 1))

    assert len(marked) == 3
    assert {(row.project, row.key) for row in effects[0].rows} == {
        (key.partition("-")[0], key) for key in marked
    }
    assert {row.project for row in effects[0].rows} == {"CTX", "OPS"}
    model, _ = press(model, "z")
    assert "still being saved" in model.toasts[-1].text


def test_a_change_of_which_the_rest_is_refused_keeps_what_was_done():
    """The second answer names no ticket that was changed: the first one did."""
    model, _ = press(live(), " ", " ", "L")
    work = model.works[0]
    first, second = (model.board.tickets[row.ticket_id] for row in work.rows)
    done = Ticket.read(samples.ticket(1, "progress", id=first.id, revision=2))
    theirs = samples.ticket(2, title="Theirs", id=second.id, revision=2, rank=second.rank)
    changed = Ticket.read(theirs)
    refused = ch.RowRefused(second.id, "somebody changed it meanwhile", changed)
    model, effects = feed(model, ch.Altered(work.number, (done,), (refused,)))
    (again,) = (one for one in effects if isinstance(one, ch.Alter))

    model, _ = feed(model, ch.Altered(again.number, (), (ch.RowRefused(second.id, "no", None),)))

    assert [part.ticket_id for part in model.undo[-1].parts] == [first.id]
