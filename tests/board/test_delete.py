"""Taking tickets away: archived with a way back, or deleted once their name was typed."""

from dataclasses import replace

from cortex_cli.board import changes as ch
from cortex_cli.board import messages as m
from cortex_cli.board.model import Prompt
from cortex_cli.board.wire import Ticket
from tests.board import samples
from tests.board.samples import event, feed, live, press
from tests.board.test_marks import answered, keys, sent
from tests.board.test_view import as_text


def typed(model, text):
    return press(model, *text, "enter")


def test_archiving_needs_no_question_for_it_can_be_undone():
    model, effects = press(live(), "D", "1")

    assert sent(effects) == [("CTX-1", {"archived": True}, 1)]
    assert "… saving" in as_text(model)
    model, _ = feed(model, answered(effects[0]))
    assert keys(model, 0) == ["CTX-2"]
    assert model.toasts[-1].text == "CTX-1 archived; z undoes it"


def test_an_archived_card_comes_back_by_undo_and_goes_by_redo():
    model, effects = press(live(), "D", "1")
    model, _ = feed(model, answered(effects[0]))

    model, effects = press(model, "z")
    assert sent(effects) == [("CTX-1", {"archived": False}, 2)]
    back = samples.ticket(1, revision=3)
    model, _ = feed(
        model, answered(effects[0]), m.Changed(1, event("ticket.updated", back, 11))
    )  # fmt: skip
    assert keys(model, 0) == ["CTX-1", "CTX-2"]
    assert model.ticket.key == "CTX-1"
    assert model.toasts[-1].text == "Undone: CTX-1 restored"

    _, effects = press(model, "Z")
    assert sent(effects) == [("CTX-1", {"archived": True}, 3)]


def test_deleting_asks_for_the_key_and_says_that_there_is_no_way_back():
    model, effects = press(live(), "D", "2")

    assert effects == []
    assert isinstance(model.overlay, Prompt)
    shown = as_text(model)
    assert "cannot be brought back" in shown
    assert "To archive instead" in shown
    model, effects = typed(model, "CTX-1")
    assert [type(effect) for effect in effects] == [ch.Delete]
    assert [(row.ticket_id, row.revision) for row in effects[0].rows] == [("t001", 1)]


def test_a_wrong_name_deletes_nothing_and_keeps_the_prompt():
    model, _ = press(live(), "D", "2")

    model, effects = typed(model, "CTX-2")

    assert effects == []
    assert isinstance(model.overlay, Prompt)
    assert model.overlay.text == "CTX-2"
    assert "CTX-2 is not CTX-1: nothing was deleted." in as_text(model)
    assert typed(press(model, "backspace")[0], "1")[1]  # it can be put right
    assert typed(press(model, "ctrl-u")[0], "")[1] == []


def test_what_was_typed_is_not_there_the_next_time():
    model, _ = press(live(), "D", "2", *"CTX-1", "esc", "D", "2")

    assert model.overlay.text == ""


def test_several_are_deleted_by_their_number():
    model, _ = press(live(), " ", " ", "D", "2")
    assert "CTX-1, CTX-2" in as_text(model)

    assert typed(model, "CTX-1")[1] == []
    _, effects = typed(press(model, "ctrl-u")[0], "delete 2")

    assert [row.key for row in effects[0].rows] == ["CTX-1", "CTX-2"]


def test_what_is_deleted_leaves_the_board_and_what_is_refused_stays_and_says_why():
    model, _ = press(live(), " ", " ", "D", "2")
    model, effects = typed(model, "delete 2")
    why = "Ticket CTX-2 is claimed by runner r-1; stop its attempt first"

    model, _ = feed(
        model, ch.Deleted(effects[0].number, ("t001",), (ch.RowRefused("t002", why, None),))
    )  # fmt: skip

    assert keys(model, 0) == ["CTX-2"]
    assert model.marked == {"t002"}
    assert model.toasts[-1].text == f"1 of 2 not deleted: CTX-2 ({why})."
    assert model.toasts[-2].text == "Deleted CTX-1"
    assert "saving" not in as_text(model)


def test_an_open_archived_ticket_can_be_restored():
    model, _ = press(live(), "enter")
    archived = Ticket.read(samples.ticket(1, archived=True, revision=4))
    model = replace(model, detail=replace(model.detail, ticket=archived))

    _, effects = press(model, "D", "1")

    assert sent(effects) == [("CTX-1", {"archived": False}, 4)]


def test_the_question_stays_about_its_ticket_when_that_leaves_the_board():
    model, _ = press(live(), "D")
    gone = m.Changed(1, event("ticket.deleted", {"id": "t001", "key": "CTX-1"}, 11))

    model, effects = press(feed(model, gone)[0], "1")

    assert effects == []
    assert model.toasts[-1].text == "It has left the board meanwhile."
