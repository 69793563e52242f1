"""Live, reconnecting, catching up, over: what the stream does to the board, and what it says."""

import pytest

from cortex_cli.board import messages as m
from cortex_cli.board.model import Model
from cortex_cli.board.status import status
from cortex_cli.board.update import next_tick, start, update
from tests.board import samples
from tests.board.samples import NOW, event, feed, live, press


def changed(kind, payload, seq=11):
    return m.Changed(1, event(kind, payload, seq))


def test_a_board_begins_by_following_its_project():
    assert start(Model(project="CTX"))[1] == (m.Follow("CTX", 1),)


def test_the_only_project_needs_no_choice():
    model, effects = start(Model())
    assert effects == (m.LoadProjects(),)

    model, effects = update(model, m.ProjectsLoaded((("CTX", "Cortex"),)))
    assert effects == (m.Follow("CTX", 2),)
    assert model.overlay is None


def test_several_projects_are_asked_for():
    model, _ = update(start(Model())[0], m.ProjectsLoaded((("A", "a"), ("B", "b"))))

    model, effects = press(model, "j", "enter")

    assert effects == [m.Follow("B", 2)]


def test_projects_that_cannot_be_fetched_leave_a_reason_and_a_way():
    model, _ = update(start(Model())[0], m.ProjectsFailed("This token is unknown."))

    assert model.gone == "This token is unknown."
    assert model.overlay is None
    assert status(model)[0] == "○ no project"
    assert press(model, "r")[1] == [m.LoadProjects()]


def test_switching_the_project_drops_what_the_old_stream_still_says():
    model, _ = press(live(), "p")
    model, _ = feed(model, m.ProjectsLoaded((("CTX", "Cortex"), ("B", "b"))))
    model, effects = press(model, "j", "enter")
    assert effects == [m.Follow("B", 2)]

    model, _ = feed(
        model, changed("ticket.created", samples.ticket(9)), m.Snapshot(1, samples.board())
    )
    assert model.board is None
    assert model.project == "B"


def lost(model, attempt=3, retry_in=6.0):
    return feed(model, m.Lost(1, "connection refused", retry_in, attempt))[0]


def test_the_status_line_says_how_it_is():
    model = Model(project="CTX", now=NOW)
    assert status(model)[0] == "◌ connecting"
    assert status(live())[0] == "● live"
    assert status(lost(live()))[0] == "○ reconnecting in 6 s (3/8)"
    waited, _ = feed(lost(live()), m.Tick(NOW + 2.5))
    assert status(waited)[0] == "○ reconnecting in 4 s (3/8) · as of 2 s ago"
    due, _ = feed(waited, m.Tick(NOW + 7))
    assert status(due)[0] == "◌ connecting (3/8) · as of 7 s ago"
    offline, _ = feed(lost(live(), 8, 30.0), m.Tick(NOW + 125))
    assert status(offline)[0] == "○ offline, as of 2 min ago"


def test_it_is_live_again_only_with_what_it_missed():
    model, _ = feed(lost(live()), m.Connected(1, resumed=False))
    assert status(model)[0] != "● live"

    model, _ = feed(model, m.Snapshot(1, samples.board()))
    assert status(model)[0] == "● live"

    model, _ = feed(lost(live()), m.Connected(1, resumed=True))
    assert status(model)[0] == "● live"


def test_r_ends_the_wait():
    model, effects = press(lost(live()), "r")

    assert effects == [m.Retry()]
    assert status(model)[0].startswith("◌ connecting")


def test_a_reset_shows_connecting_until_the_state_that_replaces_the_board():
    model, _ = feed(live(), m.Stale(1, "epoch"))
    assert status(model)[0] == "◌ connecting"

    model, _ = feed(model, m.Snapshot(1, samples.board(epoch="e2", seq=3, tickets=[])))
    assert model.board.tickets == {}
    assert model.board.seq == 3


@pytest.mark.parametrize(
    ("reason", "said"),
    [("revoked", "revoked"), ("expired", "expired"), ("project_deleted", "deleted")],
)
def test_an_end_for_good_is_said_clearly(reason, said):
    model, _ = feed(live(), m.Ended(1, reason, False), m.Lost(1, "ended", None, 1))

    assert said in model.toasts[-1].text
    assert status(model)[0] == "✗ ended"
    assert said in model.connection.why
    assert press(model, "r")[1] == [m.Follow("CTX", 2)]


def test_an_end_that_comes_back_is_no_failure():
    model, _ = feed(live(), m.Ended(1, "lifetime", True))

    assert status(model)[0] == "◌ connecting"
    assert model.toasts == ()


def test_a_hole_holds_back_what_follows_until_the_board_was_fetched():
    model, effects = feed(live(), changed("ticket.created", samples.ticket(8), 12))
    assert effects == [m.LoadBoard("CTX", 1)]
    assert status(model)[0] == "◌ catching up"

    model, effects = feed(model, changed("ticket.created", samples.ticket(9), 13))
    assert effects == []
    fetched = samples.board(seq=12, tickets=[samples.ticket(7), samples.ticket(8)])
    model, _ = feed(model, m.Snapshot(1, fetched, fetched=True))

    assert set(model.board.tickets) == {"t007", "t008", "t009"}
    assert model.board.seq == 13
    assert status(model)[0] == "● live"


def test_a_stream_of_one_ticket_only_has_holes_that_mean_nothing():
    model, _ = feed(live(), m.Connected(1, True, "e1", limited=True))
    later = [samples.ticket(1, "done", revision=2), samples.ticket(1, "review", revision=3)]
    model, effects = feed(
        model, *(changed("ticket.moved", t, seq) for t, seq in zip(later, (15, 40), strict=True))
    )

    assert not effects
    assert model.board.tickets["t001"].status == "review"
    assert status(model)[0] == "● live"


def test_a_heartbeat_ahead_of_the_board_proves_a_hole():
    assert feed(live(), m.Beat(1, 10))[1] == []
    assert feed(live(), m.Beat(1, None))[1] == []
    assert feed(live(), m.Beat(1, 11))[1] == [m.LoadBoard("CTX", 1)]


def test_a_board_that_cannot_be_fetched_begins_a_new_stream():
    model, _ = feed(live(), changed("ticket.created", samples.ticket(8), 12))

    model, effects = feed(model, m.BoardFailed(1, "timeout"))

    assert effects == [m.Follow("CTX", 2)]
    assert model.held is None


def test_an_old_fetch_never_puts_the_board_back():
    model, _ = feed(live(), changed("ticket.created", samples.ticket(9)))

    model, _ = feed(model, m.Snapshot(1, samples.board(), fetched=True))

    assert "t009" in model.board.tickets


def test_the_deleted_project_leaves_no_board():
    model, _ = feed(live(), changed("project.deleted", {"id": "p1", "key": "CTX"}))

    assert model.board is None
    assert model.columns == ()
    assert "deleted" in model.gone


# --- time


def test_nothing_is_drawn_again_while_no_text_depends_on_the_time():
    assert next_tick(live(samples.board(sessions=[]))) is None


def test_ages_are_drawn_again_once_a_minute_while_somebody_works():
    assert next_tick(live()) == NOW + 60 - NOW % 60


def test_the_next_tick_is_when_the_countdown_changes():
    assert next_tick(lost(live(), retry_in=5.5)) == pytest.approx(NOW + 0.5)
    model, _ = feed(lost(live(), retry_in=5.5), m.Tick(NOW + 0.5))
    assert next_tick(model) == pytest.approx(NOW + 1.5)


def test_a_toast_goes_after_a_while():
    model, _ = press(live(), "M")
    assert next_tick(model) == model.toasts[0].until

    model, _ = feed(model, m.Tick(model.toasts[0].until))
    assert model.toasts == ()
