"""What needs me: one list, whose cursor stays on a thing, answered in place."""

import pytest

from cortex_cli.board import doing, needs
from cortex_cli.board import messages as m
from cortex_cli.board import text as texts
from cortex_cli.board.asks import (
    Answer,
    Asked,
    AskedLoaded,
    AskRefused,
    LoadAsked,
    ResolveReview,
    RetryAttempt,
    Say,
    StopAttempt,
)
from cortex_cli.board.wire import Review
from cortex_cli.board.work import Attempt, Permission
from tests.board import samples
from tests.board.samples import event, feed, press
from tests.board.test_dashboard import overview, shown
from tests.board.test_view import as_text, assert_sound

EARLIER, LATER = "2026-01-26T15:50:01Z", "2026-01-26T15:55:01Z"


def body(**changes):
    """A question, a permission, a turn, a review and a failure, each on a ticket of its own."""
    idle = samples.session(2, "CTX-2", "idle", attempt="a2")
    return samples.board(
        sessions=[samples.session(1, "CTX-1", "awaiting_input", attempt="a1"), idle],
        attempts=[
            samples.attempt(1, "CTX-1", "waiting", session="s1"),
            samples.attempt(2, "CTX-2", "waiting", session="s2", agent="claude"),
            samples.attempt(4, "CTX-4", "failed", reason="exit code 1"),
        ],
        permissions=[
            samples.permission(1, "CTX-1"),
            samples.permission(3, "CTX-3", kind="question", title="Which one?", created_at=EARLIER,
                               detail="Which one?\nThe first is older.", session="s9",
                               options=[], free_text=True),
        ],
        reviews=[samples.review(1, "CTX-5", summary="Look at it")],
    ) | changes  # fmt: skip


def listed(model):
    return [need.name for need in needs.waiting(model)]


def opened(width=120, height=30, **changes):
    return press(samples.live(body(**changes), width, height), "A")[0]


def cursor(model):
    return model.pane.selected


def test_it_is_one_list_the_most_urgent_first_and_of_a_kind_the_oldest():
    model = opened()

    assert listed(model) == ["question q3", "permission q1", "turn a2", "review r1", "failed a4"]
    text = as_text(model).splitlines()
    for row, words in enumerate(
        (
            "◆ question   CTX-3  Stream the events", "◆ permission CTX-1  Write the parser",
            "◆ your turn  CTX-2", "◇ review     CTX-5  Fix the lease",
            "✗ failed     CTX-4  Draw the board",
        ), 1,
    ):  # fmt: skip
        assert words in text[row]
    assert "opencode  Run rm?" in text[2]
    asked = ("Which one?", "Run rm?", "It waits for", "Look at it")
    before = [text[row].partition(words)[0] for row, words in enumerate(asked, 1)]
    assert len({texts.width(part) for part in before}) == 1
    assert text[2].rstrip().endswith("3 min")
    assert "claude    It waits for what you say next." in text[3]
    assert "what needs you  5" in text[0]


def test_the_count_is_in_every_header_and_small_sizes():
    model = samples.live(body())
    for width, height in ((200, 60), (120, 36), (80, 24), (40, 12), (80, 8), (40, 6)):
        resized, _ = feed(model, m.Resized(width, height))
        assert "◆ 5 need you" in as_text(resized).splitlines()[0], (width, height)
    assert "◆5 " in as_text(feed(model, m.Resized(19, 4))[0])
    assert "◆ 5 need you" in as_text(press(model, "enter")[0]).splitlines()[0]
    quiet = samples.live(samples.board(sessions=[], reviews=[]))
    assert "need" not in as_text(quiet).splitlines()[0]


def test_the_count_is_not_worked_out_again_for_a_frame():
    model = samples.live(body())
    before = needs.waiting(model)
    later, _ = feed(model, m.Tick(samples.NOW + 2), m.Resized(90, 30), m.Key("j"))
    assert needs.waiting(later) is before

    moved = event("comment.added", samples.comment(1, "CTX-1"), 11)
    assert needs.waiting(feed(later, m.Changed(1, moved))[0]) is before


def test_the_cursor_stays_on_its_thing_whatever_comes_and_goes():
    model, _ = press(opened(), "j", "j")
    assert cursor(model) == "turn a2"
    older = samples.permission(8, "CTX-4", created_at=EARLIER)
    model, _ = feed(model, m.Changed(1, event("permission.asked", older, 11)))
    assert (cursor(model), samples.selected(model)) == ("turn a2", "CTX-2")

    running = samples.attempt(2, "CTX-2", session="s2", revision=2)
    model, _ = feed(model, m.Changed(1, event("attempt.status", running, 12)))
    assert cursor(model) == "review r1", "it left: the one that is in its place"

    answered = samples.permission(8, "CTX-4", "answered", revision=2)
    model, _ = feed(model, m.Changed(1, event("permission.replied", answered, 13)))
    assert cursor(model) == "review r1"


def test_answering_in_place_goes_on_to_the_next():
    model, _ = press(opened(), "j", "a")
    assert model.overlay.about == "Run rm?\nrm -r build"
    model, effects = press(model, "enter")
    assert effects == [Answer("q1", ("once",), "")]
    assert (model.scope, cursor(model)) == ("needs", "turn a2")

    model, effects = press(model, "a", *"go", "enter")
    assert effects == [Say("s2", "go")]
    model, effects = press(model, "j", "a", "enter")
    assert effects == [ResolveReview("r1", "approved", "")]
    assert cursor(model) == "failed a4"

    model, _ = feed(model, AskRefused("q1", "Not answered: no."))
    assert "permission q1" in listed(model), "refused: it waits again"


def test_words_answer_a_question_without_options_and_the_title_is_said_once():
    model, _ = press(opened(), "a")
    assert model.overlay.about == "Which one?\nThe first is older."
    model, effects = press(model, *"B", "enter")
    assert effects == [Answer("q3", (), "B")]


@pytest.mark.parametrize(
    ("title", "detail", "about"),
    [
        ("bash: rm -r x", "rm -r x\nrm *", "bash: rm -r x\nrm *"),
        ("bash: rm -r x", "rm -r x", "bash: rm -r x"),
        ("Do all of …", "Do all of\nthis?", "Do all of\nthis?"),
        ("Run it?", "make\nall", "Run it?\nmake\nall"),
        ("", "only this", "only this"),
        ("Only this", "", "Only this"),
    ],
)
def test_a_detail_that_repeats_the_title_says_it_once(title, detail, about):
    asked = Permission.read(samples.permission(1, "CTX-1", title=title, detail=detail))
    assert asked.about == about


def test_a_failure_is_tried_again_by_its_key_or_from_its_menu():
    model, effects = press(opened(), "G", "R")
    assert effects == [RetryAttempt("a4", "CTX-4")]
    assert "failed a4" not in listed(model)
    back, _ = feed(model, AskRefused("CTX-4", "Not tried again: no."))
    assert "failed a4" in listed(back)

    menu, _ = press(opened(), "G", "a")
    assert [text for _, text in menu.overlay.items] == ["Try again", "Open the ticket"]
    assert press(menu, "1")[1] == [RetryAttempt("a4", "CTX-4")]
    assert press(menu, "2")[0].detail.ticket.key == "CTX-4"


def test_a_failure_is_put_aside_here_and_stays_what_it_is():
    model, effects = press(opened(), "G", "u")
    assert effects == []
    assert "failed a4" not in listed(model)
    assert "put aside" in model.toasts[-1].text
    assert "✗ failed" in as_text(press(model, "esc")[0]), "its card"
    assert listed(press(model, "U")[0])[-1] == "failed a4"

    shown_cards, _ = press(model, "esc", "F")
    assert "t004" not in [t.id for column in shown_cards.columns for t in column.tickets]
    again = samples.attempt(5, "CTX-4", "failed")
    model, _ = feed(model, m.Changed(1, event("attempt.status", again, 11)))
    assert "failed a5" in listed(model), "another one is another failure"
    refused, _ = press(model, "g", "u")
    assert "waits for it" in refused.toasts[-1].text


def test_it_is_stopped_said_to_and_copied_from_the_list():
    model, effects = press(opened(), "j", "j", "y")
    assert effects == [m.Copy("CTX-2")]
    model, effects = press(model, "x", "enter")
    assert effects == [StopAttempt("a2")]
    model, _ = press(opened(), "j", "j", "i")
    assert (model.overlay.kind, model.overlay.target) == ("say", "s2")
    refused, _ = press(opened(), "G", "i")
    assert "tries again" in refused.toasts[-1].text


def test_an_agent_started_by_hand_waits_where_it_runs():
    model = opened(sessions=[samples.session(7, "CTX-2", "awaiting_input", agent="amp")],
                   attempts=[], permissions=[], reviews=[])  # fmt: skip
    assert listed(model) == ["turn s7"]
    model, effects = press(model, "a")
    assert effects == []
    assert "by hand" in model.toasts[-1].text


def test_the_list_the_cards_and_the_bell_agree_on_what_waits():
    answered = [samples.session(1, "CTX-1", "awaiting_input", attempt="a1"),
                samples.session(2, "CTX-2", "awaiting_input")]  # fmt: skip
    model = opened(sessions=answered, attempts=[samples.attempt(1, "CTX-1", session="s1")],
                   permissions=[], reviews=[])  # fmt: skip
    needing = [t.key for t in model.board.tickets.values() if doing.needs_me(model, t)]
    (said,) = model.alerts.parts.values()
    assert listed(model) == ["turn s2"], "the agent of an attempt goes on: it was answered"
    assert needing == ["CTX-2"]
    assert said[1] == {("session", "s2")}


def test_enter_opens_and_escape_comes_back_to_the_list_then_to_where_it_was():
    model, _ = press(samples.live(body()), "enter")
    model, _ = press(model, "A", "j", "j")
    model, effects = press(model, "enter")
    assert effects == [m.LoadDetail("CTX-2"), m.FollowDeltas("CTX", "CTX-2")]
    assert (model.scope, model.ticket.key) == ("detail", "CTX-2")

    model, effects = press(model, "esc")
    assert (model.scope, cursor(model)) == ("needs", "turn a2")
    assert m.FollowDeltas("CTX", "CTX-1") in effects, "the ticket below is followed again"
    model, _ = press(model, "esc")
    assert (model.scope, model.ticket.key) == ("detail", "CTX-1")
    model, _ = press(model, "esc")
    assert (model.scope, model.pane) == ("board", None)


def test_a_ticket_that_is_deleted_while_it_is_read_shows_the_list_again():
    model, _ = press(opened(), "j", "enter")
    model, _ = feed(
        model,
        m.Changed(1, event("ticket.deleted", {"id": "t001", "key": "CTX-1"}, 11, ticket="CTX-1")),
    )
    assert (model.scope, model.detail) == ("needs", None)
    assert "permission q1" not in listed(model)


def test_below_there_is_all_that_the_selected_one_asks_where_there_is_room():
    evil = "rm \x1b[31m-rf\x9b2J \u202e/"
    model = opened(permissions=[samples.permission(1, "CTX-1", detail=f"{evil}\nsecond line")])
    text = as_text(model)
    assert "second line" in text
    assert "· Allow once" in text
    assert not set(text) & set("\x1b\x9b\u202e")
    assert "second line" not in as_text(feed(model, m.Resized(80, 19))[0])
    for size in ((1, 1), (19, 4), (20, 5), (40, 12), (80, 24), (500, 200)):
        assert_sound(model, *size)


def test_nothing_waits():
    model = opened(attempts=[], permissions=[], reviews=[], sessions=[])
    assert "Nobody waits for you." in as_text(model)
    model, effects = press(model, "a", "enter", "R", "x", "i", "y", "u", "j", "G")
    assert effects == []
    assert model.scope == "needs"


# --- all projects


def everywhere(**changes):
    item = {"project": "WEB", "ticket": "WEB-1", "title": "Fix the lease", "agent": "claude",
            "at": samples.AT}  # fmt: skip
    listed = [
        item | {"kind": "permission", "id": "q1", "text": "Run rm?"},
        item | {"kind": "turn", "id": "a8", "ticket": "WEB-2", "text": "x", "session": "s8"},
        item | {"kind": "failed", "id": "a9", "ticket": "WEB-3", "text": "exit code 1"},
    ]
    totals = overview()["totals"] | {"needs": 3}
    return press(shown(overview(needs=listed, totals=totals, **changes)), "A")[0]


def test_from_the_dashboard_it_is_of_all_projects():
    model = everywhere()
    assert listed(model) == ["permission q1", "turn a8", "failed a9"]
    assert "cortex all projects  what needs you  3" in as_text(model)
    assert "◆ permission WEB-1  Fix the lease" in as_text(model)
    assert "◆ 3 need you" in as_text(press(model, "esc")[0]).splitlines()[0]


def test_it_answers_what_is_on_no_board_here():
    model, effects = press(everywhere(), "a")
    assert effects == [LoadAsked("q1", False)]
    asked = Permission.read(samples.permission(1, "WEB-1"))
    model, _ = feed(model, AskedLoaded(asked))
    assert model.overlay.title == "claude asks on WEB-1"
    model, effects = press(model, "2")
    assert effects == [Answer("q1", ("no",), "")]
    assert cursor(model) == "turn a8"
    answered = Permission.read(samples.permission(1, "WEB-1", "answered"))
    model, _ = feed(model, Asked("q1", answered, ""))
    assert listed(model) == ["turn a8", "failed a9"], "before the next overview says so"

    model, effects = press(model, "i", *"go", "enter")
    assert effects == [Say("s8", "go")]
    model, effects = press(model, "G", "R")
    assert effects == [RetryAttempt("a9", "WEB-3")]
    queued = Attempt.read(samples.attempt(10, "WEB-3", "queued"))
    assert listed(feed(model, Asked("WEB-3", queued, ""))[0]) == ["turn a8"]


def test_a_review_elsewhere_that_was_answered_meanwhile_is_said_so():
    model, _ = press(everywhere(), "a")
    gone = Review.read(samples.review(1, "WEB-1", "approved"))
    model, _ = feed(model, AskedLoaded(gone))
    assert model.overlay is None
    assert "meanwhile" in model.toasts[-1].text


def test_enter_goes_to_the_ticket_of_another_project_and_escape_back_to_the_list():
    model, effects = press(everywhere(), "j", "enter")
    assert effects == [m.FollowDashboard(0), m.Follow("WEB", 2)]
    web = samples.board(tickets=[samples.ticket(2) | {"key": "WEB-2"}],
                        project=samples.project(key="WEB"))  # fmt: skip
    model, effects = feed(model, m.Connected(2, False), m.Snapshot(2, web))
    assert m.LoadDetail("WEB-2") in effects
    assert (model.scope, model.ticket.key) == ("detail", "WEB-2")

    model, effects = press(model, "esc")
    assert effects == [m.FollowDeltas("", ""), m.FollowDashboard(-2)]
    assert (model.scope, cursor(model)) == ("needs", "turn a8")
    assert press(model, "esc")[0].scope == "dashboard"


def test_escape_while_its_board_is_fetched_comes_back_too():
    model, _ = press(everywhere(), "j", "enter")
    assert "Connecting" in as_text(model)
    model, effects = press(model, "esc")
    assert model.scope == "needs"
    assert m.FollowDashboard(-2) in effects


def test_a_ticket_that_is_not_on_its_board_is_said_so():
    model, _ = press(everywhere(), "j", "enter")
    model, _ = feed(model, m.Connected(2, False), m.Snapshot(2, samples.board()))
    assert model.scope == "needs"
    assert "WEB-2 is archived" in model.toasts[-1].text


def test_what_the_overview_says_is_not_trusted():
    junk = [None, 3, {"kind": 1, "id": "x", "at": "never", "ticket": "\x1b[2J"}, {"id": ""}]
    model = press(shown(overview(needs=junk, totals=None)), "A")[0]
    assert_sound(model, 120, 30)
    assert len(listed(model)) == 1


# --- the mouse


def test_a_click_selects_and_a_second_one_opens():
    model, effects = feed(opened(), m.Clicked(3, 5))
    assert (cursor(model), effects) == ("turn a2", [])
    model, _ = feed(model, m.Clicked(3, 5, True))
    assert (model.scope, model.ticket.key) == ("detail", "CTX-2")
    assert feed(opened(), m.Clicked(12, 5, True))[0].scope == "needs"


def test_on_the_dashboard_too():
    model = shown()
    row = next(
        y for y, line in enumerate(as_text(model).splitlines()) if "✗ failed     WEB" in line
    )
    model, effects = feed(model, m.Clicked(row, 4))
    assert (model.dashboard.selected, effects) == ("needs a9", [])
    assert feed(model, m.Clicked(row - 2, 4, True))[0].dashboard is not None, "a heading"
    model, _ = feed(model, m.Clicked(row, 4, True))
    assert model.project == "WEB"
