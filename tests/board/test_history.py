"""Undo and redo: what was done is undone as one, as long as nobody changed it since."""

from dataclasses import replace

from cortex_cli.board import changes as ch
from cortex_cli.board import history
from cortex_cli.board import messages as m
from cortex_cli.board.wire import Ticket
from tests.board import samples
from tests.board.samples import event, feed, live, press
from tests.board.test_marks import answered, changed, keys, sent
from tests.board.test_view import as_text


def done(model, *names):
    """The model after keys whose one change the server makes."""
    model, effects = press(model, *names)
    [effect] = effects
    if isinstance(effect, m.Move):
        number = int(effect.ticket_id[1:])
        made = samples.ticket(number, effect.status, revision=effect.revision + 1)
        return feed(model, m.Moved(Ticket.read(made)))[0]
    return feed(model, answered(effect))[0]


def test_several_cards_are_moved_back_to_their_places_as_one():
    model = done(live(), " ", " ", "L")
    assert model.toasts[-1].text == "2 cards in In progress; z undoes it"

    model, effects = press(model, "z")

    assert sent(effects) == [
        ("CTX-1", {"status": "backlog", "position": 0}, 2),
        ("CTX-2", {"status": "backlog", "position": 1}, 2),
    ]
    assert keys(model, 0) == ["CTX-1", "CTX-2"]
    model, _ = feed(model, answered(effects[0]))
    assert model.toasts[-1].text == "Undone: 2 cards back in Backlog"

    model, effects = press(model, "Z")
    assert [fields["status"] for _, fields, _ in sent(effects)] == ["progress", "progress"]
    model, _ = feed(model, answered(effects[0]))
    assert model.toasts[-1].text == "Redone: 2 cards in In progress"
    assert (len(model.undo), len(model.redo)) == (1, 0)


def test_a_single_move_is_undone_and_redone():
    model = done(live(), "L")

    model = done(model, "z")
    assert model.toasts[-1].text == "Undone: CTX-1 back in Backlog"
    model = done(model, "Z")
    assert model.toasts[-1].text == "Redone: CTX-1 in In progress"


def test_something_new_ends_what_could_be_redone():
    model = done(done(done(live(), "L"), "z"), "j", "L")

    model, effects = press(model, "Z")

    assert effects == []
    assert model.toasts[-1].text == "There is nothing to redo."
    assert as_text(model).splitlines()[-1].startswith(" –")


def test_of_several_only_what_nobody_touched_is_undone_and_the_other_is_named():
    model = done(live(), " ", " ", "L")
    model, _ = feed(model, changed("ticket.moved", samples.ticket(2, "done", revision=5)))

    model, effects = press(model, "z")

    assert effects == [m.Move("t001", "backlog", 0, 2)]
    assert model.toasts[-1].bad
    assert model.toasts[-1].text == "CTX-2 was changed by somebody else since: not undone"


def test_a_card_that_somebody_put_elsewhere_in_its_column_stays_there():
    model = done(live(), " ", " ", "L")
    elsewhere = samples.ticket(2, "progress", rank="a0", revision=5)

    model, effects = press(feed(model, changed("ticket.moved", elsewhere))[0], "z")

    assert effects == [m.Move("t001", "backlog", 0, 2)]


def test_what_changed_while_the_undo_travelled_is_not_overwritten():
    model = done(live(), " ", " ", "L")
    model, effects = press(model, "z")
    theirs = Ticket.read(samples.ticket(2, "done", revision=9))
    moved = samples.ticket(1, "progress", rank="zt001", title="Renamed", revision=9)
    renamed = Ticket.read(moved)

    model, more = feed(model, ch.Altered(effects[0].number, (), (
        ch.RowRefused("t001", "changed", renamed), ch.RowRefused("t002", "changed", theirs)
    )))  # fmt: skip

    assert sent(more) == [("CTX-1", {"status": "backlog", "position": 0}, 9)]
    assert "CTX-2 (changed)" in model.toasts[-1].text


def test_an_undo_that_did_not_reach_the_server_can_be_tried_again():
    model = done(live(), " ", " ", "L")
    model, effects = press(model, "z")

    rows = effects[0].rows
    lost = tuple(ch.RowRefused(row.ticket_id, "no connection", None, True) for row in rows)
    model, _ = feed(model, ch.Altered(effects[0].number, (), lost))

    assert len(model.undo) == 1
    assert keys(model, 1)[-2:] == ["CTX-1", "CTX-2"]
    model, effects = press(model, "z")
    assert len(effects) == 1


def test_nothing_is_undone_while_the_last_change_is_on_its_way():
    model = done(live(), "L")
    model, _ = press(model, "L")

    model, effects = press(model, "z")

    assert effects == []
    assert "still being saved" in model.toasts[-1].text


def test_a_ticket_that_was_made_is_archived_by_undo():
    model, effects = press(live(), "n", *"Fix", "enter")
    made = samples.ticket(9, title="Fix", rank="z")
    model, _ = feed(
        model, changed("ticket.created", made), ch.Created(Ticket.read(made), effects[0].number)
    )  # fmt: skip

    model, effects = press(model, "z")

    assert sent(effects) == [("CTX-9", {"archived": True}, 1)]
    model, _ = feed(model, answered(effects[0]))
    assert model.toasts[-1].text == "Undone: CTX-9 archived"


def test_a_ticket_that_was_made_and_edited_by_others_is_theirs_too():
    model, effects = press(live(), "n", *"Fix", "enter")
    made = samples.ticket(9, title="Fix", rank="z")
    edited = made | {"body": "Much", "revision": 2}
    model, _ = feed(
        model, changed("ticket.created", made), ch.Created(Ticket.read(made), effects[0].number),
        m.Changed(1, event("ticket.updated", edited, 12)),
    )  # fmt: skip

    model, effects = press(model, "z")

    assert effects == []
    assert "somebody else" in model.toasts[-1].text


def test_a_redo_that_did_not_reach_the_server_can_be_tried_again():
    model, effects = press(done(done(live(), "L"), "z"), "Z")
    [move] = effects

    model, _ = feed(model, m.MoveRefused(move.ticket_id, "no connection", again=True))

    assert (len(model.undo), len(model.redo)) == (0, 1)


def test_cards_go_back_from_the_top_whatever_order_they_were_answered_in():
    model, effects = press(live(), " ", " ", "L")
    made = answered(effects[0])
    model, _ = feed(model, made.but(tickets=made.tickets[::-1]))

    assert [fields["position"] for _, fields, _ in sent(press(model, "z")[1])] == [0, 1]


def test_an_undo_goes_out_with_the_newest_revision_and_takes_the_cursor_along():
    model = done(live(), "L")
    renamed = samples.ticket(1, "progress", rank="a001", title="Renamed", revision=7)
    model, _ = press(feed(model, changed("ticket.updated", renamed))[0], "h")
    assert model.selected != "t001"

    model, effects = press(model, "z")

    assert effects == [m.Move("t001", "backlog", 0, 7)]
    assert model.selected == "t001"


def test_what_can_be_undone_and_redone_is_bounded():
    entry = ch.Entry(())
    model = replace(live(), undo=(entry,) * history.DEPTH, redo=(entry,) * history.DEPTH)

    assert len(history.push(model, "do", entry).undo) == history.DEPTH
    assert len(history.push(model, "undo", entry).redo) == history.DEPTH


def test_a_ticket_that_was_made_and_then_put_elsewhere_by_others_is_still_taken_back():
    model, effects = press(live(), "n", *"Fix", "enter")
    made = samples.ticket(9, title="Fix", rank="z")
    model, _ = feed(
        model, changed("ticket.created", made), ch.Created(Ticket.read(made), effects[0].number),
        changed("ticket.moved", made | {"rank": "a0", "revision": 2}, 12),
    )  # fmt: skip

    assert sent(press(model, "z")[1]) == [("CTX-9", {"archived": True}, 2)]
