"""The open ticket: what it shows, how conversations grow, and how it scrolls."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cortex_cli.board import document, threads
from cortex_cli.board import messages as m
from cortex_cli.board.model import Thread
from cortex_cli.board.wire import Comment, Message, Review, Session, Ticket
from tests.board import samples
from tests.board.samples import event, feed, live, press
from tests.board.samples import tab_lines as shown


def opened(tab=False, *messages):
    """CTX-3 with its session, and that session's messages when `tab`."""
    model, _ = press(live(), "l", "enter")
    model, _ = feed(model, loaded())
    if tab:
        model, _ = press(model, "]")
        model, _ = feed(model, m.ThreadLoaded("s1", tuple(Message.read(item) for item in messages)))
    return model


def loaded(comments=(), sessions=None):
    sessions = [samples.session(1, "CTX-3")] if sessions is None else sessions
    return m.DetailLoaded(
        Ticket.read(samples.ticket(3, "progress", body="The body")),
        tuple(Comment.read(comment) for comment in comments),
        (Review.read(samples.review(1, "CTX-3", "approved")),),
        tuple(Session.read(session) for session in sessions),
    )


def streaming(text, number=1, **changes):
    return samples.message(
        number, "s1", samples.part(text, "streaming"), status="streaming", ticket="CTX-3", **changes
    )


def delta(offset, text, message="m1", part=0):
    return m.Grown("CTX-3", "s1", message, part, offset, text)


def texts(model):
    return [part.text for message in model.detail.threads["s1"].messages for part in message.parts]


def changed(kind, payload, seq=11):
    return m.Changed(1, event(kind, payload, seq))


# --- opening and closing


def test_opening_fetches_the_ticket_and_follows_what_agents_write_on_it():
    model, effects = press(live(), "enter")

    assert effects == [m.LoadDetail("CTX-1"), m.FollowDeltas("CTX", "CTX-1")]
    assert "… comments and sessions are on their way" in shown(model)


def test_closing_stops_following_and_keeps_the_selection():
    model, effects = press(opened(), "esc")

    assert effects == [m.FollowDeltas("", "")]
    assert model.detail is None
    assert model.ticket.key == "CTX-3"


def test_everything_about_a_ticket_is_shown():
    model, _ = feed(opened(), loaded([samples.comment(1, "CTX-3", "A word", type="blocker")]))

    lines = shown(model)

    for text in ("The body", "✓ approved", "● working Session 1", "opencode  3 min ago  blocker"):
        assert any(text in line for line in lines), text


def test_events_that_come_during_the_fetch_win():
    model, _ = press(live(), "l", "enter")
    model, _ = feed(
        model,
        changed("comment.added", samples.comment(2, "CTX-3", "new")),
        changed("comment.deleted", {"id": "c1", "ticket": "CTX-3"}, 12),
        loaded([samples.comment(1, "CTX-3", "gone")]),
    )

    assert set(model.detail.comments) == {"c2"}


def test_what_was_deleted_while_offline_goes_with_the_next_fetch():
    model, _ = feed(opened(), loaded([samples.comment(1, "CTX-3")]))
    model, effects = feed(model, m.Snapshot(1, samples.board()))
    assert m.LoadDetail("CTX-3") in effects

    model, _ = feed(model, loaded())
    assert model.detail.comments == {}


def test_the_open_ticket_changes_live_and_closes_when_it_is_deleted():
    changes = {"title": "Better", "revision": 2}
    model, _ = feed(opened(), changed("ticket.updated", samples.ticket(3, "progress", **changes)))
    assert model.detail.ticket.title == "Better"

    model, effects = feed(model, changed("ticket.deleted", {"id": "t003", "key": "CTX-3"}, 12))
    assert model.detail is None
    assert m.FollowDeltas("", "") in effects
    assert "CTX-3 was deleted by opencode" in model.toasts[-1].text


def test_an_archived_ticket_stays_open_but_cannot_be_moved():
    model, _ = feed(
        opened(),
        changed("ticket.updated", samples.ticket(3, "progress", archived=True, revision=2)),
    )
    assert "status      In progress (archived)" in shown(model)

    model, effects = press(model, "m")
    assert effects == []
    assert "archived" in model.toasts[-1].text


def test_a_failed_fetch_is_said_and_r_tries_again():
    model, _ = press(live(), "enter")
    model, _ = feed(model, m.LoadFailed("CTX-1", "timeout."))
    assert "✗ timeout.  r tries again." in shown(model)

    assert m.LoadDetail("CTX-1") in press(model, "r")[1]


# --- sessions as tabs


def test_sessions_are_a_tree_whatever_their_parents_say():
    sessions = [
        samples.session(1, "CTX-3", parent_id="s2"),
        samples.session(2, "CTX-3", parent_id="s1"),
        samples.session(3, "CTX-3", parent_id="nobody"),
        samples.session(4, "CTX-3", parent_id="s3"),
    ]
    model, _ = press(live(), "l", "enter")
    model, _ = feed(model, loaded(sessions=sessions))

    found = [(session.id, depth) for session, depth in document.tree(model.detail)]

    assert found == [("s3", 0), ("s4", 1), ("s1", 0), ("s2", 1)]


def test_brackets_go_round_the_tabs_and_fetch_each_once():
    model = opened()

    model, effects = press(model, "]")
    assert model.detail.tab == "s1"
    assert effects == [m.LoadThread("s1")]
    model, effects = press(model, "]", "[")
    assert model.detail.tab == "s1"
    assert effects == []


# --- deltas


def test_deltas_are_appended_where_they_belong():
    model = opened(True, streaming("Hel"))

    model, effects = feed(model, delta(3, "lo"), delta(5, " there"))

    assert texts(model) == ["Hello there"]
    assert effects == []


def test_a_delta_that_is_known_already_adds_only_what_is_new():
    model = opened(True, streaming("Hello"))

    model, effects = feed(model, delta(3, "lo"), delta(3, "lo!"))

    assert texts(model) == ["Hello!"]
    assert effects == []


def test_a_hole_fetches_the_message_once_and_then_what_came_meanwhile_follows():
    model = opened(True, streaming("He"))

    model, effects = feed(model, delta(4, "o"), delta(5, "!"))
    assert effects == [m.LoadMessage("s1", "m1")]
    assert texts(model) == ["He"]

    model, effects = feed(model, m.MessageLoaded(Message.read(streaming("Hell"))))
    assert texts(model) == ["Hello!"]
    assert effects == []


def test_a_delta_for_an_unknown_message_fetches_it():
    _, effects = feed(opened(True), delta(0, "Hi", message="m9"))

    assert effects == [m.LoadMessage("s1", "m9")]


def test_a_failed_fetch_lets_the_next_delta_ask_again():
    model, _ = feed(opened(True), delta(5, "Hi"), m.LoadFailed("s1", "timeout", "m1"))

    assert feed(model, delta(7, "!"))[1] == [m.LoadMessage("s1", "m1")]


def test_the_final_message_is_the_truth():
    model = opened(True, streaming("Draft that gr"))
    final = samples.message(1, "s1", samples.part("Final"), ticket="CTX-3", revision=2)

    model, _ = feed(model, delta(13, "ew"), changed("message.updated", final))
    assert texts(model) == ["Final"]

    model, effects = feed(model, delta(15, "late"))
    assert texts(model) == ["Final"]
    assert effects == [m.LoadMessage("s1", "m1")]  # a hole as far as the board can know


def test_a_fetched_message_never_shortens_what_was_streamed_since():
    model, _ = feed(opened(True, streaming("ab")), delta(2, "cd"))

    model, _ = feed(model, m.ThreadLoaded("s1", (Message.read(streaming("abc")),)))

    assert texts(model) == ["abcd"]


def test_deltas_of_sessions_that_nobody_reads_are_dropped():
    model, effects = feed(opened(), delta(0, "Hi"))

    assert effects == []
    assert model.detail.threads == {}


@given(st.text(min_size=1, max_size=40), st.lists(st.integers(0, 40), max_size=12), st.randoms())
def test_deltas_in_any_order_with_any_loss_end_at_the_text(text, cuts, random):
    """Overlapping, repeated and lost deltas, fetched where there is a hole: never a wrong text."""
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    deltas = [delta(a, text[a:b]) for a, b in pairwise(edges)]
    sent = [item for item in deltas if random.random() < 0.8]
    thread = threads.load(Thread(), (Message.read(streaming("")),))

    stored = 0
    for item in sent:
        stored = item.offset + len(item.text)
        thread, hole = threads.grow(thread, item)
        assert text.startswith(thread.messages[0].parts[0].text)
        if hole:
            thread = threads.put(thread, Message.read(streaming(text[:stored])))

    assert thread.messages[0].parts[0].text == text[:stored]


# --- scrolling


def long_thread(lines=100):
    return opened(True, samples.message(1, "s1", samples.part("\n".join(map(str, range(lines))))))


def test_a_conversation_follows_its_tail():
    at = document.look(long_thread(), long_thread().detail)

    assert at.follows
    assert at.top == at.bottom > (0, 0)


def test_scrolling_up_pauses_it_and_counts_what_is_new():
    model, _ = press(long_thread(), "k", "k")
    top = document.look(model, model.detail).top

    model, _ = feed(
        model,
        changed("message.created", samples.message(2, "s1", samples.part("x"), ticket="CTX-3")),
    )

    window = document.window(model, model.detail)
    assert document.look(model, model.detail).top == top
    assert (window.follows, window.new) == (False, 3)


def test_the_end_follows_again():
    for keys in (["G"], ["f"], ["j", "j"], ["pgdn"]):
        model, _ = press(long_thread(), "k", "k", *keys)
        assert document.window(model, model.detail).follows, keys


def test_f_says_when_it_already_follows():
    model, _ = press(long_thread(), "f")

    assert model.toasts[-1].text == "It already follows its tail."


def test_the_ticket_itself_begins_at_its_top_and_keeps_its_place_per_tab():
    model, _ = press(live(height=14), "l", "enter")
    model, _ = feed(model, loaded([samples.comment(n, "CTX-3", "x\n" * 20) for n in range(3)]))

    model, _ = press(model, "ctrl-d", "]", "[")

    at = document.look(model, model.detail)
    key, row = model.detail.places[""]
    assert at.top == at.sheet.spot((key, row)) > (0, 0)


def test_long_tool_output_shows_its_end():
    output = samples.part("\n".join(map(str, range(100))), type="tool", tool="bash", input={"a": 1})
    lines = shown(opened(True, samples.message(1, "s1", output)))

    assert '  ✓ bash {"a": 1}  done' in lines
    assert "  … 60 lines before" in lines
    assert lines[-1] == "  99"


def test_the_wrapped_message_is_reused_while_it_does_not_change():
    model = long_thread()
    blocks = {
        id(document.sheet(replace(model, now=model.now + n), model.detail).block(1))
        for n in range(3)
    }

    assert len(blocks) == 1
