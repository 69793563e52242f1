"""Agents at work on the board: what cards say of them, and the keys that start, stop and answer."""

from dataclasses import replace

import pytest

from cortex_cli.board import asks as a
from cortex_cli.board import doing
from cortex_cli.board import messages as m
from cortex_cli.board.model import Menu, Prompt
from cortex_cli.board.wire import Review
from cortex_cli.board.work import Attempt, Permission
from tests.board import samples
from tests.board.samples import event, feed, live, press
from tests.board.test_view import as_text

OPENCODE, CLAUDE = a.Choice("opencode", "", True), a.Choice("claude", "careful", False)


def board(*attempts, permissions=(), sessions=(), **changes):
    """CTX-1 is selected on it."""
    lists = {"attempts": list(attempts), "permissions": list(permissions)}
    return live(samples.board(sessions=list(sessions), reviews=[], **lists, **changes))


def said(model):
    return model.toasts[-1].text


def shown(model, key="CTX-1"):
    ticket = next(t for t in model.board.tickets.values() if t.key == key)
    return [(one.state.text, one.agent, one.asked) for one in doing.of_ticket(model, ticket)]


def keys_shown(model):
    return {ticket.key for column in model.columns for ticket in column.tickets}


# --- cards


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", "◌ queued"),
        ("starting", "◌ starting"),
        ("running", "● running"),
        ("waiting", "◆ waiting"),
        ("stopping", "◌ stopping"),
        ("failed", "✗ failed"),
        ("lost", "✗ lost"),
        ("cancelled", "- cancelled"),
        ("succeeded", "✓ succeeded"),
    ],
)
def test_a_card_says_how_its_attempt_is(status, state):
    model = board(samples.attempt(1, "CTX-1", status))

    assert shown(model) == [(state, "opencode", 0)]
    assert state in as_text(model)
    assert as_text(replace(model, ascii_only=True)).isascii()


def test_a_card_says_what_the_agent_does_how_long_ago_and_what_it_asks():
    attempt = samples.attempt(1, "CTX-1", stage="opening_pr")
    assert "opencode opening pr  3 min" in as_text(board(attempt))

    asked = [samples.permission(n, "CTX-1") for n in (1, 2)]
    assert "opencode 2 questions 3 min" in as_text(board(attempt, permissions=asked))


def test_a_session_that_says_nothing_for_long_does_not_look_at_work():
    silent = samples.session(1, "CTX-1", stale=True)
    assert shown(board(sessions=[silent])) == [("○ silent", "opencode", 0)]

    attempt = samples.attempt(1, "CTX-1", session="s1")
    model = board(attempt, sessions=[silent | {"attempt": "a1"}])
    assert shown(model) == [("○ silent", "opencode", 0)]
    assert "running" not in as_text(model)


def test_a_sign_of_life_makes_the_age_young():
    model = board(samples.attempt(1, "CTX-1"))
    assert "3 min" in as_text(model)

    model, _ = feed(model, m.Changed(1, event("attempt.log", samples.entry(1, "x"), 11)))

    assert "3 min" not in as_text(model)
    assert " now " in as_text(model)


def test_the_newest_attempt_counts_and_what_ended_long_ago_is_not_shown():
    failed = samples.attempt(1, "CTX-1", "failed")
    assert shown(board(failed, samples.attempt(2, "CTX-1", "succeeded")))[0][0] == "✓ succeeded"

    old, _ = feed(board(failed), m.Tick(samples.NOW + 90_000))
    assert shown(old) == []


def test_only_what_needs_me_holds_questions_and_what_went_wrong():
    model = board(
        samples.attempt(1, "CTX-1", "failed"),
        samples.attempt(2, "CTX-2", "lost"),
        samples.attempt(3, "CTX-3", "waiting"),
        samples.attempt(4, "CTX-4", "running"),
        samples.attempt(5, "CTX-5", "cancelled"),
        permissions=[samples.permission(1, "CTX-3", attempt="a3")],
    )

    assert keys_shown(press(model, "F")[0]) == {"CTX-1", "CTX-2", "CTX-3"}


def test_an_attempt_whose_turn_was_ended_waits_for_a_prompt_and_needs_me():
    attempt = samples.attempt(1, "CTX-1", "waiting", session="s1", stage="executing")
    model = board(attempt, sessions=[samples.session(1, "CTX-1", "idle", attempt="a1")])

    assert "opencode your turn" in as_text(model)
    assert "◆ waiting your turn: i" in as_text(press(model, "enter")[0])
    assert keys_shown(press(model, "F")[0]) == {"CTX-1"}


@pytest.mark.parametrize(
    ("status", "session", "asks"),
    [("waiting", "idle", True), ("waiting", "working", False), ("running", "idle", False)],
)
def test_an_attempt_that_goes_on_by_itself_or_asks_needs_no_prompt(status, session, asks):
    attempt = samples.attempt(1, "CTX-1", status, session="s1", stage="executing")
    asked = [samples.permission(1, "CTX-1", attempt="a1")] if asks else []
    sessions = [samples.session(1, "CTX-1", session, attempt="a1")]
    model = board(attempt, sessions=sessions, permissions=asked)

    assert "your turn" not in as_text(model)
    if asks:
        model, _ = press(model, "a", "1")  # it goes on when the agent hears of it
    assert keys_shown(press(model, "F")[0]) == set()


def test_the_cursor_goes_to_what_needs_me():
    model, _ = press(board(samples.attempt(1, "CTX-3", "failed")), "F")

    assert samples.selected(model) == "CTX-3"


def test_a_batch_that_runs_is_named_with_how_far_it_is():
    rows = [samples.batch_ticket("CTX-1", "completed"), samples.batch_ticket("CTX-2", "running")]
    model = live(samples.board(batches=[samples.batch(1, *rows)]))
    assert "▸ Nightly 1/2" in as_text(model)

    failed = samples.batch_ticket("CTX-2", "failed")
    model, _ = feed(model, m.Changed(1, event("batch.ticket.failed", failed, 11)))
    assert "▸ Nightly 2/2" in as_text(model)
    over = samples.batch(1, *rows, status="completed")
    assert "Nightly" not in as_text(
        feed(model, m.Changed(1, event("batch.completed", over, 12)))[0]
    )


def test_the_filter_finds_agents_and_how_they_do():
    model = board(samples.attempt(1, "CTX-1", "failed"), samples.attempt(2, "CTX-2", agent="Codex"))

    assert keys_shown(press(model, "/", *"failed")[0]) == {"CTX-1"}
    assert keys_shown(press(model, "/", *"codex")[0]) == {"CTX-2"}


# --- start


def test_the_only_agent_is_started_at_once_and_shown_before_the_server_agreed():
    model, effects = press(board(), "s")
    assert effects == [a.LoadAgents("CTX", "CTX-1")]

    model, effects = feed(model, a.AgentsLoaded("CTX-1", (OPENCODE,)))
    assert effects == [a.StartAttempt("CTX-1", "opencode", "")]
    assert shown(model)[0][0] == "◌ queued"
    assert said(press(model, "s")[0]) == "An attempt on CTX-1 is being started."

    model, _ = feed(model, a.Asked("CTX-1", Attempt.read(samples.attempt(1, "CTX-1")), ""))
    assert shown(model) == [("● running", "opencode", 0)]


def test_of_several_one_is_chosen_and_one_without_a_runner_says_so():
    model, _ = press(board(), "s")
    model, _ = feed(model, a.AgentsLoaded("CTX-1", (OPENCODE, CLAUDE)))
    assert "careful  claude  no runner has it now" in as_text(model)

    model, effects = press(model, "2")
    assert effects == [a.StartAttempt("CTX-1", "claude", "careful")]
    assert "it waits for a runner" in said(model)


def test_a_second_attempt_beside_one_at_work_is_asked_for_first():
    model, _ = press(board(samples.attempt(1, "CTX-1")), "s")
    model, effects = feed(model, a.AgentsLoaded("CTX-1", (OPENCODE,)))

    assert effects == []
    assert "At work on it already: opencode" in as_text(model)


def test_a_start_that_is_refused_is_taken_back():
    model, _ = press(board(), "s")
    model, _ = feed(model, a.AgentsLoaded("CTX-1", (OPENCODE,)))
    model, _ = feed(model, a.AskRefused("CTX-1", "Nothing was started: no."))

    assert shown(model) == []
    assert said(model) == "Nothing was started: no."


def test_without_any_agent_it_says_how_to_get_one():
    model, _ = press(board(), "s")
    model, effects = feed(model, a.AgentsLoaded("CTX-1", ()))

    assert effects == []
    assert "cortex runner" in said(model)
    assert model.overlay is None


def test_an_answer_for_a_menu_that_was_left_starts_nothing():
    model, _ = press(board(), "s", "esc")

    assert feed(model, a.AgentsLoaded("CTX-1", (OPENCODE,)))[1] == []
    assert feed(model, a.AgentsFailed("CTX-1", "no"))[0].overlay is None


# --- stop and retry


def test_what_waits_in_the_queue_is_stopped_at_once():
    model, effects = press(board(samples.attempt(1, "CTX-1", "queued")), "x")

    assert effects == [a.StopAttempt("a1")]
    assert shown(model)[0][0] == "- cancelled"
    assert said(press(model, "x")[0]) == "CTX-1/1 is being stopped already."


def test_stopping_what_works_is_asked_first_and_taken_back_when_it_is_refused():
    model, effects = press(board(samples.attempt(1, "CTX-1")), "x")
    assert effects == []
    assert isinstance(model.overlay, Menu)
    assert press(model, "G", "enter")[1] == []

    model, effects = press(model, "enter")
    assert effects == [a.StopAttempt("a1")]
    assert shown(model)[0][0] == "◌ stopping"

    model, _ = feed(model, a.AskRefused("a1", "Not stopped: no."))
    assert shown(model)[0][0] == "● running"


def test_one_that_ended_while_it_was_asked_is_left_alone():
    model, _ = press(board(samples.attempt(1, "CTX-1")), "x")
    ended = samples.attempt(1, "CTX-1", "succeeded", revision=2)
    model, _ = feed(model, m.Changed(1, event("attempt.status", ended, 11)))

    model, effects = press(model, "enter")

    assert effects == []
    assert said(model) == "It has ended meanwhile."


def test_what_failed_is_tried_again_and_what_did_not_says_why_not():
    model, effects = press(board(samples.attempt(1, "CTX-1", "lost")), "R")
    assert effects == [a.RetryAttempt("a1", "CTX-1")]
    assert shown(model)[0][0] == "◌ queued"

    for status, why in (("running", "is running"), ("succeeded", "succeeded")):
        assert why in said(press(board(samples.attempt(1, "CTX-1", status)), "R")[0])
    assert "s starts one" in said(press(board(), "R")[0])


# --- answer


def test_the_oldest_question_is_answered_first_and_the_rest_is_named():
    asked = [
        samples.permission(1, "CTX-1", title="Second", created_at="2026-01-26T15:54:00Z"),
        samples.permission(2, "CTX-1", title="First"),
    ]
    model, _ = press(board(permissions=asked), "a")
    assert "First" in as_text(model)
    assert "rm -r build" in as_text(model)

    model, effects = press(model, "j", "enter")
    assert effects == [a.Answer("q2", ("no",), "")]
    assert said(model) == "Answered: Reject; 1 more waits: a"

    model, _ = press(model, "a")
    assert "Second" in as_text(model)


def test_a_review_that_waits_longer_than_a_question_comes_first():
    later = samples.permission(1, "CTX-1", created_at="2026-01-26T15:54:00Z")
    model = live(samples.board(reviews=[samples.review(1, "CTX-1")], permissions=[later]))

    assert press(model, "a")[0].overlay.kind == "review"


def test_an_answer_that_is_refused_asks_again():
    model, _ = press(board(permissions=[samples.permission(1, "CTX-1")]), "a", "enter", "F")
    assert keys_shown(model) == set()

    model, _ = feed(model, a.AskRefused("q1", "Not answered: no."))
    assert keys_shown(model) == {"CTX-1"}
    assert press(model, "a")[0].overlay.target == "q1"


def test_several_options_are_marked_and_sent_in_their_order():
    many = samples.permission(1, "CTX-1", multiple=True)
    model, _ = press(board(permissions=[many]), "a")

    assert "● Allow once" in as_text(press(model, " ")[0])
    assert press(model, "j", " ", "k", " ", "enter")[1] == [a.Answer("q1", ("once", "no"), "")]
    assert press(model, "2", "1", "2", "enter")[1] == [a.Answer("q1", ("once",), "")]
    assert press(model, "j", "enter")[1] == [a.Answer("q1", ("no",), "")]


def test_one_option_only_cannot_be_marked():
    model, _ = press(board(permissions=[samples.permission(1, "CTX-1")]), "a", " ")

    assert said(model) == "Only one can be chosen: Enter."


def test_a_question_in_free_text_is_a_line_and_its_text_survives_a_refusal():
    model, _ = press(
        board(permissions=[samples.permission(1, "CTX-1", options=[], free_text=True)]), "a"
    )
    assert isinstance(model.overlay, Prompt)
    assert "rm -r build" in as_text(model)
    assert press(model, " ", "enter")[1] == []

    model, effects = press(model, *"Use make", "enter")
    assert effects == [a.Answer("q1", (), "Use make")]
    model, _ = feed(model, a.AskRefused("q1", "Not answered: no.", ("answer q1", "Use make")))
    assert press(model, "a")[0].overlay.text == "Use make"


def test_options_and_words_are_offered_together():
    model, _ = press(board(permissions=[samples.permission(1, "CTX-1", free_text=True)]), "a", "3")

    assert isinstance(model.overlay, Prompt)
    assert press(model, *"Hm", "enter")[1] == [a.Answer("q1", (), "Hm")]


@pytest.mark.parametrize(("key", "state"), [("1", "approved"), ("3", "dismissed")])
def test_a_review_is_answered(key, state):
    model = live(samples.board(reviews=[samples.review(1, "CTX-1")]))
    model, effects = press(model, "a", key)

    assert effects == [a.ResolveReview("r1", state, "")]
    assert "◇ review" not in as_text(model)
    done = Review.read(samples.review(1, "CTX-1", state, revision=2))
    assert feed(model, a.Asked("r1", done, ""))[0].board.reviews == {}


def test_changes_are_asked_for_with_a_note():
    model = live(samples.board(reviews=[samples.review(1, "CTX-1")]))
    model, _ = press(model, "a", "2")

    assert press(model, "enter")[1] == [a.ResolveReview("r1", "changes_requested", "")]
    assert press(model, *"More", "enter")[1] == [a.ResolveReview("r1", "changes_requested", "More")]


def test_a_question_that_was_answered_elsewhere_is_not_answered_twice():
    model, _ = press(board(permissions=[samples.permission(1, "CTX-1")]), "a")
    gone = samples.permission(1, "CTX-1", "answered", revision=2)
    model, _ = feed(model, m.Changed(1, event("permission.replied", gone, 11)))

    model, effects = press(model, "enter")

    assert effects == []
    assert "answered meanwhile" in said(model)


def test_an_answer_for_the_board_that_was_left_changes_nothing_on_this_one():
    other = Attempt.read(samples.attempt(1, "WEB-1"))

    assert feed(board(), a.Asked("WEB-1", other, ""))[0].board.attempts == {}


def test_what_the_server_answered_is_shown_before_its_event_comes():
    model, _ = press(board(permissions=[samples.permission(1, "CTX-1")]), "a", "enter")
    done = Permission.read(samples.permission(1, "CTX-1", "answered", revision=2))

    model, _ = feed(model, a.Asked("q1", done, ""))

    assert model.board.permissions == {}
    assert model.intents == {}


# --- talk


def talking(**session):
    found = samples.session(1, "CTX-1", **({"attempt": "a1"} | session))
    return press(board(samples.attempt(1, "CTX-1", session="s1"), sessions=[found]), "enter")[0]


def test_words_go_to_the_session_of_the_attempt_and_a_turn_is_ended():
    assert press(talking(), "i", *"Hi", "enter")[1] == [a.Say("s1", "Hi")]
    assert press(talking(), "X")[1] == [a.Abort("s1")]


def test_what_was_not_said_is_not_said_to_another():
    model, _ = feed(talking(), a.AskRefused("", "Not said: no.", ("say s1", "Hi")))

    assert press(model, "i")[0].overlay.text == "Hi"
    assert "say s2" not in model.drafts


def test_nobody_is_told_who_would_not_hear():
    by_hand, _ = press(talking(attempt=None), "]", "]", "]")
    assert "started by hand" in said(press(by_hand, "i")[0])
    assert press(by_hand, "X")[1] == []

    ended = samples.session(1, "CTX-1", "ended", attempt="a1", revision=2)
    model, _ = press(talking(), "]", "]", "]")
    model, _ = feed(model, m.Changed(1, event("session.ended", ended, 11)))
    assert "has ended" in said(press(model, "i")[0])
