"""What happens meanwhile: answers, events and keys in every order lose nothing and move nothing."""

import dataclasses

from cortex_cli.board import changes as ch
from cortex_cli.board import messages as m
from cortex_cli.board import threads
from cortex_cli.board.apply import MOST_ATTEMPTS
from cortex_cli.board.asks import Answer, RetryAttempt
from cortex_cli.board.connection import MOST_HEARD
from cortex_cli.board.prompts import MAX_DRAFTS
from cortex_cli.board.status import status
from cortex_cli.board.update import next_tick
from cortex_cli.board.wire import Ticket
from tests.board import samples
from tests.board.samples import NOW, feed, live, press, selected
from tests.board.test_everything import CTX, OPS, opened, state, ticket
from tests.board.test_everything import event as of_all
from tests.board.test_history import done
from tests.board.test_logs import screen, talking
from tests.board.test_marks import answered, changed, sent
from tests.board.test_view import as_text

OTHER = samples.board(
    epoch="e1",
    seq=5,
    project=samples.project(id="p2", key="OPS", name="Operations"),
    tickets=[samples.ticket(7, key="OPS-7", id="o7", project="OPS")],
    sessions=[],
    reviews=[],
)


def elsewhere(model):
    """The model after another project was chosen and came."""
    model = dataclasses.replace(model, projects=(("CTX", "Cortex"), ("OPS", "Operations")))
    model, _ = press(model, "p", "j", "enter")
    assert model.project == "OPS"
    stream = model.stream
    return feed(model, m.Connected(stream, False), m.Snapshot(stream, OTHER))[0]


def at_server(number, status, revision, **more):
    return Ticket.read(samples.ticket(number, status, revision=revision, **more))


# --- another project while something is under way


def test_a_card_that_was_moved_on_is_sent_on_from_another_project():
    model, effects = press(live(), "L", "L")
    assert effects == [m.Move("t001", "progress", None, 1)]

    model, effects = feed(elsewhere(model), m.Moved(at_server(1, "progress", 2)))

    assert effects == [m.Move("t001", "review", None, 2)]
    model, _ = feed(model, m.Moved(at_server(1, "review", 3)))
    assert model.pending == ()


def test_what_was_refused_is_said_with_its_card_wherever_the_user_is():
    model, _ = press(live(), "L")
    model, _ = feed(elsewhere(model), m.MoveRefused("t001", "Limit 3."))
    assert model.toasts[-1].text == "CTX-1 was not moved: Limit 3."
    assert model.pending == ()

    model, effects = press(live(), " ", " ", "L")
    refusal = ch.RowRefused("t002", "it is gone", None)
    model, _ = feed(elsewhere(model), answered(effects[0], refusal))
    assert "CTX-2 (it is gone)" in model.toasts[-1].text
    assert (model.pending, model.works) == ((), ())


def test_an_answer_that_comes_before_the_next_board_ends_the_move():
    model, _ = press(dataclasses.replace(live(), projects=(("OPS", "o"),)), "L", "p", "enter")
    assert model.board is None

    model, _ = feed(model, m.Moved(at_server(1, "progress", 2)))

    assert model.pending == ()


def test_only_what_is_on_this_board_is_undone_and_the_other_is_kept():
    model = elsewhere(done(live(), "L"))

    model, effects = press(model, "z")
    assert (effects, model.toasts[-1].text) == ([], "Nothing to undo on this board.")
    model, effects = press(model, "L")
    moved = Ticket.read(OTHER["tickets"][0] | {"status": "progress", "revision": 2})
    model, effects = press(feed(model, m.Moved(moved))[0], "z")
    assert [effect.ticket_id for effect in effects] == ["o7"]
    assert [part.key for entry in model.undo for part in entry.parts] == ["CTX-1"]


def test_a_text_that_was_left_is_there_again_after_another_project():
    model, _ = press(live(), "c", *"Hello", "esc")

    model, _ = press(elsewhere(model), "c")

    assert model.overlay.text == "Hello"


def test_of_very_many_texts_the_oldest_go():
    model = live()
    for number in range(MAX_DRAFTS + 5):
        model = dataclasses.replace(model, drafts={**model.drafts, f"say s{number}": "x"})
    model, _ = press(model, "c", "x", "esc", "c", "backspace", "esc")
    assert len(model.drafts) == MAX_DRAFTS - 1, "an empty one is none"
    assert "say s5" not in model.drafts


# --- what a menu was opened for


def test_a_menu_for_marked_cards_moves_no_other_when_they_have_left():
    model, _ = press(live(), " ", " ", "m")
    gone = [samples.ticket(n, archived=True, revision=2) for n in (1, 2)]
    model, _ = feed(model, *(changed("ticket.updated", one, 11 + i) for i, one in enumerate(gone)))

    model, effects = press(model, "4")

    assert effects == []
    assert model.toasts[-1].text == "They have left the board meanwhile."


def test_a_menu_of_one_card_that_left_says_so():
    model, _ = press(live(), "m")
    model, _ = feed(model, changed("ticket.deleted", {"id": "t001", "key": "CTX-1"}))

    model, effects = press(model, "4")

    assert effects == []
    assert model.toasts[-1].text == "It has left the board meanwhile."


def test_a_menu_about_a_failure_never_tries_another_one_again():
    failures = [samples.attempt(n, f"CTX-{n}", "failed") for n in (1, 2)]
    model = press(live(samples.board(attempts=failures, sessions=[], reviews=[])), "A", "a")[0]
    assert model.overlay.target == "a1"
    again = samples.attempt(3, "CTX-1", "queued")
    model, _ = feed(model, changed("attempt.started", again))
    assert model.pane.selected == "failed a2"

    model, effects = press(model, "enter")

    assert not any(isinstance(effect, RetryAttempt) for effect in effects)
    assert "tried again meanwhile" in model.toasts[-1].text


def test_an_option_that_is_asked_no_more_is_not_answered():
    body = samples.board(permissions=[samples.permission(1, "CTX-1")])
    model, _ = press(live(body), "a")
    other = [{"id": "maybe", "label": "Maybe", "description": None}]
    model, _ = feed(
        model,
        changed("permission.asked", samples.permission(1, "CTX-1", options=other, revision=2)),
    )

    model, effects = press(model, "1")

    assert not any(isinstance(effect, Answer) for effect in effects)
    assert model.toasts[-1].text == "It asks something else now: look again."


# --- several changes of one card


def test_cards_moved_on_in_a_bulk_go_on_where_only_something_else_was_changed():
    model, effects = press(live(), " ", " ", "L")
    bulk = effects[0]
    model, effects = press(model, "L")
    assert effects == []
    current = at_server(1, "backlog", 5, title="Renamed")
    model, effects = feed(
        model, answered(bulk, ch.RowRefused("t001", "somebody changed it meanwhile", current))
    )

    assert sorted(sent(effects)) == [
        ("CTX-1", {"status": "review"}, 5),
        ("CTX-2", {"status": "review"}, 2),
    ]


def test_an_undo_that_can_never_be_done_does_not_block_those_before_it():
    model = done(done(live(), "L"), "j", "D", "1")
    assert len(model.undo) == 2
    model, effects = press(model, "z")
    refused = ch.RowRefused(effects[0].rows[0].ticket_id, "it is gone", None)

    model, _ = feed(model, ch.Altered(effects[0].number, (), (refused,)))

    assert len(model.undo) == 1
    model, effects = press(live(), "L")
    model = done(model) if not effects else feed(model, m.Moved(at_server(1, "progress", 2)))[0]
    model, _ = press(model, "z")
    model, _ = feed(model, m.MoveRefused("t001", "No column."))
    assert model.undo == ()


def test_of_a_partly_lost_undo_the_rest_can_be_tried_again():
    model = done(live(), " ", " ", "L")
    model, effects = press(model, "z")
    lost = ch.RowRefused("t002", "no connection", None, again=True)

    model, _ = feed(model, answered(effects[0], lost))

    assert [[part.key for part in entry.parts] for entry in model.undo] == [["CTX-2"]]
    assert [[part.key for part in entry.parts] for entry in model.redo] == [["CTX-1"]]


def test_undo_waits_for_the_ticket_that_is_being_made():
    model, _ = press(done(live(), "L"), "n", *"New", "enter")

    model, effects = press(model, "z")

    assert effects == []
    assert "still being saved" in model.toasts[-1].text


def test_a_draft_of_another_board_goes_to_its_own_project():
    model, effects = press(live(), "e")
    job = effects[0].job.but(path="/drafts/CTX-1.md")
    text = job.start.replace("Write the parser", "Write it")

    _, effects = feed(elsewhere(model), ch.Written(job, text, False))

    assert [row.project for row in effects[0].rows] == ["CTX"]


def test_a_place_that_was_changed_in_the_editor_is_said():
    model, effects = press(live(), "e")
    job = effects[0].job.but(path="/drafts/CTX-1.md")
    text = job.start.replace("status: backlog", "status: done")

    model, effects = feed(model, ch.Written(job, text, False))
    model, _ = feed(model, answered(effects[0]))

    assert model.toasts[-1].text == "CTX-1 in Done; z undoes it"


def test_what_is_being_made_is_shown_on_its_own_board_only():
    model, _ = press(live(), "n", *"Fix it", "enter")

    assert [t.key for t in elsewhere(model).columns[0].tickets] == ["OPS-7"]


# --- what is said


def test_a_refusal_waits_until_the_line_that_covers_it_is_done():
    model, _ = press(live(), "L", "c")
    model, _ = feed(model, m.MoveRefused("t001", "Limit 3."), m.Tick(NOW + 60))
    assert next_tick(model) > NOW + 60.02

    model, _ = feed(press(model, *"Hi", "enter")[0], m.Tick(NOW + 61))
    assert model.toasts[-1].text == "CTX-1 was not moved: Limit 3."
    assert feed(model, m.Tick(NOW + 70))[0].toasts == ()


def test_a_refusal_is_said_on_the_smallest_screen_beside_the_card():
    model, _ = press(live(width=19, height=4), "L")
    lines = as_text(feed(model, m.MoveRefused("t001", "Limit 3."))[0], 19, 4).splitlines()

    assert lines[0].startswith("● ")
    assert "CTX-1" in lines[0]
    assert lines[1].startswith("CTX-1 was not")


# --- the cursor


def test_a_ticket_that_was_made_does_not_take_the_cursor_from_one_chosen_since():
    model, effects = press(live(), "n", *"Fix it", "enter", "k")
    assert selected(model) == "CTX-2"
    made = samples.ticket(9, title="Fix it", rank="z")

    model, _ = feed(model, ch.Created(Ticket.read(made), effects[0].number))
    assert selected(model) == "CTX-2"
    model, _ = feed(model, changed("ticket.created", made))
    assert selected(model) == "CTX-2"


def test_the_cursor_on_what_is_being_made_goes_over_to_the_real_one():
    model, _ = press(live(), "n", *"Fix it", "enter")

    model, _ = feed(model, changed("ticket.created", samples.ticket(9, title="Fix it", rank="a0")))

    assert selected(model) == "CTX-9"


def test_a_ticket_waited_for_under_a_filter_is_forgotten_when_the_user_goes_on():
    filtered, _ = press(live(), "/", *"parser", "enter")
    model, effects = press(filtered, "n", *"Other", "enter")
    assert selected(model) == "CTX-1"
    made = samples.ticket(9, title="Other", rank="z")
    model, _ = feed(model, changed("ticket.created", made),
                    ch.Created(Ticket.read(made), effects[-1].number))  # fmt: skip
    model, _ = press(model, "l", "h")

    renamed = made | {"title": "The parser too", "revision": 2}
    model, _ = feed(model, changed("ticket.updated", renamed, 12))

    assert len(model.columns[0].tickets) == 2
    assert selected(model) == "CTX-1"


# --- the connection


def test_what_is_held_is_fetched_for_again_after_a_reconnection():
    model, _ = feed(live(), changed("ticket.created", samples.ticket(8), 12))
    model, _ = feed(
        model,
        m.Lost(1, "refused", 30.0, 8),
        m.BoardFailed(1, "refused"),
        m.BoardFailed(1, "refused"),
    )
    assert model.held

    model, effects = feed(model, m.Connected(1, True))

    assert effects == [m.LoadBoard("CTX", 1)]
    found = samples.board(seq=12, tickets=[samples.ticket(n) for n in (1, 7, 8)])
    model, _ = feed(model, m.Snapshot(1, found, True), m.Beat(1, 12))
    assert (model.held, status(model)[0]) == (None, "● live")


def test_polling_goes_by_its_own_clock_whatever_else_fails():
    model, effects = feed(live(), m.Lost(1, "refused", 30.0, 8))
    assert m.LoadBoard("CTX", 1) in effects

    assert feed(model, m.Tick(NOW + 5), m.Lost(1, "refused", 30.0, 9))[1] == []


def test_a_board_that_filled_a_hole_is_no_polling():
    model, _ = feed(
        live(),
        changed("ticket.created", samples.ticket(8), 12),
        m.Lost(1, "refused", 6.0, 1),
        m.Snapshot(1, samples.board(seq=12), True),
    )

    assert status(model)[0] == "○ reconnecting in 6 s (1/8)"


def test_all_boards_that_were_polled_in_vain_are_fetched_after_a_reconnection():
    model, _ = feed(
        opened(CTX, OPS),
        m.Lost(2, "reset", 12.0, 8),
        m.BoardFailed(2, "No route.", "CTX"),
        m.BoardFailed(2, "No route.", "OPS"),
    )

    model, effects = feed(model, m.Connected(2, resumed=True))

    assert effects == [m.LoadBoard("CTX", 2), m.LoadBoard("OPS", 2), m.LoadProjects()]
    model, _ = feed(
        model, m.Snapshot(2, CTX, fetched=True), m.Snapshot(2, OPS, fetched=True),
        of_all("ticket.created", ticket("OPS-9"), 11, "OPS"),
    )  # fmt: skip
    assert status(model)[0] == "● live"
    assert "ops-9" in model.board.tickets


def test_what_was_held_of_one_log_is_not_put_into_another():
    model, _ = feed(live(), changed("ticket.created", samples.ticket(8), 12))
    restored = samples.board(epoch="e2", seq=11, tickets=[])

    model, _ = feed(model, m.Snapshot(1, restored, True))

    assert (model.board.tickets, model.held) == ({}, None)


def test_events_of_a_new_log_wait_for_the_boards_of_all_projects():
    model, _ = feed(opened(OPS), m.Stale(2, "epoch"), m.Snapshot(2, state(OPS)))
    model, _ = feed(
        model,
        of_all("ticket.created", ticket("OPS-9"), 4, "OPS"),
        m.Snapshot(2, OPS | {"epoch": "e2", "seq": 3}, fetched=True),
    )

    assert "ops-9" in model.board.tickets


def test_a_deleted_project_closes_the_ticket_that_was_open_and_says_why():
    model, effects = feed(press(live(), "enter")[0], m.Ended(1, "project_deleted", False))

    assert model.detail is None
    assert m.FollowDeltas("", "") in effects
    assert "deleted" in press(model, "n")[0].toasts[-1].text


def test_an_alert_that_was_due_does_not_keep_a_board_without_a_project_awake():
    body = samples.permission(1, "CTX-1")
    model, _ = feed(live(), changed("permission.asked", body),
                    changed("permission.asked", body | {"id": "q2"}, 12))  # fmt: skip
    assert model.alerts.waiting

    model, _ = feed(model, m.Ended(1, "project_deleted", False), m.Tick(NOW + 60))

    assert next_tick(model) is None or next_tick(model) > NOW + 60.02


# --- a week of use


def test_what_was_heard_of_is_bounded():
    model = live()
    for number in range(MOST_HEARD + 50):
        payload = {"id": f"m{number}", "session": f"gone{number}", "ticket": "CTX-3"}
        model, _ = feed(model, changed("message.created", payload, 11 + number))
    model, _ = feed(model, changed("message.created", {"id": "m", "session": "s1"}, 1000))

    assert len(model.heard) <= MOST_HEARD


def test_attempts_that_ended_long_ago_leave_a_board_that_lives_long():
    old = [samples.attempt(n, "CTX-1", "failed", revision=2) for n in range(1, MOST_ATTEMPTS)]
    model = live(samples.board(attempts=[*old, samples.attempt(900, "CTX-2")]))
    later = "2026-01-27T15:53:02Z"
    late = samples.attempt(901, "CTX-3", "failed", updated_at=later, ended_at=later)

    model, _ = feed(model, changed("attempt.started", late))

    assert sorted(model.board.attempts) == ["a900", "a901"]


def test_a_conversation_that_is_followed_keeps_its_end_and_the_rest_comes_by_scrolling(monkeypatch):
    monkeypatch.setattr(threads, "MOST_MESSAGES", 50)
    last = samples.message(100, "s1", samples.part("The last"))

    model, _ = feed(talking(1, 99), changed("message.created", last))

    assert len(model.detail.threads["s1"].messages) == 50
    assert screen(model)[-1] == "The last"
    assert press(model, "g")[1] == [m.LoadThread("s1", before=51)]
    paused, _ = feed(press(talking(1, 99), "k")[0], changed("message.created", last))
    assert len(paused.detail.threads["s1"].messages) == 100
