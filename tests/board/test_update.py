"""What keys, events and answers do to the board."""

from dataclasses import replace

import pytest

from cortex_cli.board import messages as m
from cortex_cli.board.model import Menu, Model, Prompt
from cortex_cli.board.update import update
from cortex_cli.board.wire import Ticket
from tests.board import samples
from tests.board.samples import event, feed, live, press, selected


def changed(kind, payload, seq=11):
    return m.Changed(1, event(kind, payload, seq))


def moved(number, to, revision=2, **changes):
    return samples.ticket(number, to, revision=revision, **changes)


# --- the selection


def test_the_keys_walk_over_columns_and_cards():
    model = live()

    assert selected(model) == "CTX-1"
    assert selected(press(model, "j")[0]) == "CTX-2"
    assert selected(press(model, "G", "k")[0]) == "CTX-1"
    assert selected(press(model, "j", "l")[0]) == "CTX-4"
    assert selected(press(model, "l", "l", "l")[0]) is None
    assert press(model, "l", "l", "l", "l")[0].focus == "done"


def test_a_live_update_never_moves_the_cursor_to_another_ticket():
    model, _ = press(live(), "j")

    model, _ = feed(
        model,
        changed("ticket.created", samples.ticket(9, rank="a000")),
        changed("ticket.moved", moved(2, "done"), 12),
    )

    assert selected(model) == "CTX-2"
    assert model.focus == "done"


def test_when_the_selected_ticket_leaves_its_neighbour_is_selected():
    model, _ = feed(live(), changed("ticket.deleted", {"id": "t001", "key": "CTX-1"}))

    assert selected(model) == "CTX-2"


def test_an_empty_column_keeps_the_focus_and_selects_what_arrives():
    model, _ = press(live(), "l", "l", "l")

    model, _ = feed(model, changed("ticket.created", samples.ticket(9, "done")))

    assert selected(model) == "CTX-9"


def test_resizing_keeps_the_selection():
    model, _ = press(live(), "l", "j")

    for width, height in ((1, 1), (40, 12), (500, 200)):
        model, _ = feed(model, m.Resized(width, height))
        assert selected(model) == "CTX-4"


def test_scrolling_keeps_the_selected_card_on_the_screen():
    body = samples.board(tickets=[samples.ticket(n) for n in range(1, 60)])

    model, _ = press(live(body, 80, 24), *["j"] * 30)
    assert model.tops["backlog"] > 0
    model, _ = press(model, "g")
    assert model.tops["backlog"] == 0


def test_a_click_selects_and_a_double_click_opens():
    model, _ = feed(live(), m.Clicked(2, 35))
    assert selected(model) == "CTX-3"

    model, effects = feed(model, m.Clicked(2, 2, double=True))
    assert model.detail.ticket.key == "CTX-1"
    assert m.LoadDetail("CTX-1") in effects


# --- moves


def test_a_move_is_shown_at_once_and_sent_with_the_revision():
    model, effects = press(live(), "L")

    assert effects == [m.Move("t001", "progress", None, 1)]
    assert [t.key for t in model.columns[1].tickets] == ["CTX-3", "CTX-4", "CTX-1"]
    assert selected(model) == "CTX-1"
    assert model.focus == "progress"


def test_a_refused_move_is_put_back_and_says_why():
    model, _ = press(live(), "L")

    model, effects = feed(model, m.MoveRefused("t001", "the column is full."))

    assert effects == []
    assert model.columns[0].tickets[0].key == "CTX-1"
    assert selected(model) == "CTX-1"
    assert model.toasts[-1].bad
    assert model.toasts[-1].text == "CTX-1 was not moved: the column is full."
    assert "t001" in model.flashes


def test_a_conflict_over_another_field_sends_the_move_again():
    model, _ = press(live(), "L")
    current = Ticket.read(samples.ticket(1, title="Renamed", revision=5))

    model, effects = feed(model, m.MoveRefused("t001", "outdated", current))

    assert effects == [m.Move("t001", "progress", None, 5)]
    assert model.columns[1].tickets[-1].title == "Renamed"


def test_a_conflict_over_the_place_is_the_others_move():
    model, _ = press(live(), "L")
    current = Ticket.read(moved(1, "done"))

    model, effects = feed(model, m.MoveRefused("t001", "somebody moved it.", current))

    assert effects == []
    assert model.columns[3].tickets[0].key == "CTX-1"
    assert model.toasts[-1].bad


def test_a_refusal_with_the_same_revision_is_not_sent_again():
    model, _ = press(live(), "L")

    _, effects = feed(model, m.MoveRefused("t001", "full", Ticket.read(samples.ticket(1))))

    assert effects == []


def test_quick_moves_are_sent_one_after_another():
    model, first = press(live(), "L", "L", "L")
    assert first == [m.Move("t001", "progress", None, 1)]

    model, second = feed(model, m.Moved(Ticket.read(moved(1, "progress"))))
    assert second == [m.Move("t001", "done", None, 2)]

    model, third = feed(model, m.Moved(Ticket.read(moved(1, "done", 3))))
    assert third == []
    assert model.pending == ()
    assert model.columns[3].tickets[0].key == "CTX-1"


def test_moves_within_a_column_count_places_without_the_card():
    _, effects = press(live(), "J")
    assert effects == [m.Move("t001", "backlog", 1, 1)]

    _, effects = press(live(), "j", "K")
    assert effects == [m.Move("t002", "backlog", 0, 1)]


def test_a_filter_hides_cards_but_not_their_places():
    body = samples.board(
        tickets=[samples.ticket(n, title="ui" if n != 2 else "api") for n in (1, 2, 3)]
    )

    _, effects = press(live(body), "/", "u", "i", "enter", "J")

    assert effects == [m.Move("t001", "backlog", 2, 1)]


def test_undo_moves_back_to_the_place_it_had():
    model, _ = press(live(), "L")
    model, _ = feed(model, m.Moved(Ticket.read(moved(1, "progress"))))

    model, effects = press(model, "z")

    assert effects == [m.Move("t001", "backlog", 0, 2)]
    assert model.columns[0].tickets[0].key == "CTX-1"


def test_undo_leaves_alone_what_somebody_else_moved_since():
    model, _ = press(live(), "L")
    model, _ = feed(model, m.Moved(Ticket.read(moved(1, "progress"))))
    model, _ = feed(model, changed("ticket.moved", moved(1, "done", 3)))

    model, effects = press(model, "z")

    assert effects == []
    assert "somebody else" in model.toasts[-1].text


def test_the_menu_moves_by_digit_and_by_enter():
    model, _ = press(live(), "m")
    assert isinstance(model.overlay, Menu)

    assert press(model, "4")[1] == [m.Move("t001", "done", None, 1)]
    assert press(model, "j", "j", "enter")[1] == [m.Move("t001", "review", None, 1)]
    assert press(model, "enter")[1] == []
    assert press(model, "esc")[0].overlay is None


def test_a_move_that_is_impossible_says_so():
    model, effects = press(live(), "H")

    assert effects == []
    assert model.toasts[-1].text == "This is the first column."


def test_an_event_that_overtakes_the_answer_changes_nothing():
    model, _ = press(live(), "L")
    payload = moved(1, "progress", rank="b")

    model, _ = feed(model, changed("ticket.moved", payload), m.Moved(Ticket.read(payload)))

    assert model.pending == ()
    assert [t.key for t in model.columns[1].tickets] == ["CTX-3", "CTX-4", "CTX-1"]


def test_a_ticket_deleted_while_it_moves_is_gone():
    model, _ = press(live(), "L")

    model, _ = feed(model, changed("ticket.deleted", {"id": "t001", "key": "CTX-1"}))
    model, _ = feed(model, m.MoveRefused("t001", "it is gone."))

    assert all(t.id != "t001" for shown in model.columns for t in shown.tickets)
    assert model.pending == ()


# --- input


def test_a_new_ticket_is_typed_and_then_selected():
    model, _ = press(live(), "l", "n", *"Fix it")
    assert isinstance(model.overlay, Prompt)

    model, effects = press(model, "enter")
    assert effects == [m.Create("CTX", "Fix it", "progress", number=1)]

    made = samples.ticket(9, "progress")
    model, _ = feed(model, m.Created(Ticket.read(made), 1), changed("ticket.created", made))
    assert selected(model) == "CTX-9"


def test_a_menu_moves_the_ticket_that_it_was_opened_on_or_none():
    model, _ = press(live(), "m")
    model, _ = feed(model, changed("ticket.deleted", {"id": "t001", "key": "CTX-1"}))
    assert selected(model) == "CTX-2"

    assert press(model, "4")[1] == []


def test_what_was_typed_survives_a_refusal():
    model, _ = feed(live(), m.Refused("title", "Fix it", "it is too long."))
    assert "it is too long." in model.toasts[-1].text

    model, _ = press(model, "n")
    assert model.overlay.text == "Fix it"


def test_the_line_is_edited_as_in_a_shell():
    model, _ = press(
        live(), "n", *"one two three", "ctrl-w", "ctrl-a", "delete", "O", "ctrl-e", "x"
    )
    assert model.overlay.text == "One two x"

    model, _ = press(model, "left", "ctrl-u", "ctrl-k", "y", "backspace", "backspace")
    assert model.overlay.text == ""


def test_a_comment_goes_to_the_ticket_it_was_opened_on():
    model, _ = press(live(), "c", *"Hi")
    model, _ = feed(model, changed("ticket.deleted", {"id": "t001", "key": "CTX-1"}))

    assert press(model, "enter")[1] == [m.AddComment("CTX-1", "Hi", number=1)]


def test_a_blank_title_makes_nothing():
    model, effects = press(live(), "n", " ", " ", "enter")

    assert effects == []
    assert model.overlay is None


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("parser", {"CTX-1"}),
        ("!parser", {"CTX-2", "CTX-3", "CTX-4", "CTX-5"}),
        ("#ui", {"CTX-1"}),
        ("@anna", {"CTX-2"}),
        ("working", {"CTX-3"}),
        ("the !board !events", {"CTX-1", "CTX-5"}),
        ("ctx-4", {"CTX-4"}),
        ("!", {"CTX-1", "CTX-2", "CTX-3", "CTX-4", "CTX-5"}),
    ],
)
def test_the_filter_shows(typed, keys):
    model, _ = press(live(), "/", *typed)

    assert {t.key for shown in model.columns for t in shown.tickets} == keys
    assert {t.key for shown in press(model, "esc")[0].columns for t in shown.tickets} >= keys


def test_escape_takes_the_filter_away_and_never_quits():
    model, _ = press(live(), "/", "x", "enter")
    assert model.filter == "x"

    model, effects = press(model, "esc", "esc", "esc")
    assert model.filter == ""
    assert m.Quit() not in effects


def test_only_what_needs_me():
    model, _ = press(live(), "F")

    assert {t.key for shown in model.columns for t in shown.tickets} == {"CTX-4", "CTX-5"}


def test_copy_redraw_suspend_and_quit_are_left_to_the_terminal():
    _, effects = press(live(), "y", "M", "ctrl-l", "ctrl-z", "q")

    assert effects == [
        m.Copy("CTX-1"), m.UseMouse(False), m.Redraw(), m.Suspend(), m.Quit()
    ]  # fmt: skip


def test_a_model_without_a_board_survives_every_key():
    for name in "hjklgGHLJKmnczyrFp/?q":
        update(replace(Model(), project="CTX"), m.Key(name))
