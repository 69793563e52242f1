"""The dashboard: what it says, how it says that it is late, and where it leads."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_cli.board import messages as m
from cortex_cli.board import once
from cortex_cli.board.model import Dashboard, Model
from cortex_cli.board.update import next_tick, start
from cortex_cli.board.view import view
from tests.board import samples
from tests.board.samples import feed, live, press
from tests.board.test_text import NASTY
from tests.board.test_view import SIZES, as_text, assert_sound


def counts(key, name, **changes):
    return {
        "project": key, "name": name, "columns": {"backlog": 3, "progress": 1, "done": 9},
        "sessions": {}, "open_reviews": 0, "open_permissions": 0, "throughput": {"1d": 0, "7d": 4},
        "attempts": {"queued": 0, "running": 0, "waiting": 0, "failed": 0, "lost": 0},
    } | changes  # fmt: skip


def overview(**changes):
    busy = {"queued": 2, "running": 1, "waiting": 1, "failed": 1, "lost": 0}
    attempt = {
        "project": "CTX", "id": "a1", "ticket": "CTX-3", "number": 1, "title": "Stream the events",
        "agent": "opencode", "status": "running", "stage": "executing", "progress": None,
        "runner": "r-1", "batch": None, "created_at": samples.AT, "started_at": samples.AT,
    }  # fmt: skip
    need = {"project": "CTX", "ticket": "CTX-4", "at": samples.AT}
    runner = {"id": "x1", "name": "r-1", "host": "here", "status": "online", "parallel": 2,
              "agents": ["opencode"], "seen_at": samples.AT}  # fmt: skip
    return {
        "epoch": "e1", "head": 1, "at": samples.AT,
        "projects": [
            counts("CTX", "Cortex", attempts=busy, open_permissions=1, open_reviews=2,
                   throughput={"1d": 2, "7d": 5}),
            counts("WEB", "Website"),
        ],
        "totals": {"projects": 2, "attempts": busy, "open_permissions": 1, "open_reviews": 2},
        "attempts": [attempt, attempt | {"id": "a2", "ticket": "CTX-4", "status": "waiting"}],
        "needs": [
            need | {"kind": "permission", "id": "q1", "text": "Run rm -r build?"},
            need | {"kind": "failed", "id": "a9", "ticket": "WEB-1", "project": "WEB",
                    "text": "exit code 1"},
        ],
        "runners": [runner, runner | {"id": "x2", "name": "r-2", "status": "offline"}],
    } | changes  # fmt: skip


def shown(body=None, width=120, height=30):
    """`cortex dashboard`, connected."""
    model = Model(width=width, height=height, now=samples.NOW, dashboard=Dashboard(stream=-1),
                  dashboards=1)  # fmt: skip
    return feed(model, m.Connected(-1, False), m.Overview(-1, body or overview()))[0]


def test_it_follows_its_own_stream_and_nothing_else():
    model = Model(dashboard=Dashboard(stream=-1))

    assert start(model)[1] == (m.FollowDashboard(-1),)


def test_everything_is_on_it():
    text = as_text(shown())

    for found in (
        "CTX  Cortex", "backlog 3  progress 1  done 9", "● 1 running", "◆ 1 waiting", "◌ 2 queued",
        "✗ 1 failed", "◆ 1 question", "◇ 2 reviews", "✓ 2 today, 5 in 7 days", "quiet",
        "◆ permission CTX-4", "Run rm -r build?", "✗ failed     WEB-1",
        "● running  CTX-3  opencode",
        "● online   r-1  here  2 at a time: opencode", "○ offline  r-2", "seen 3 min", "● live",
    ):  # fmt: skip
        assert found in text, found


def test_sessions_that_no_attempt_started_are_no_quiet_project():
    projects = [
        counts("CTX", "Cortex", sessions={"working": 2}),
        counts("WEB", "Website", sessions={"working": 1}, attempts={"running": 1}),
    ]
    text = as_text(shown(overview(projects=projects)))

    assert "● 2 sessions working" in text
    assert "quiet" not in text
    assert "1 session working" not in text, "an attempt's session is told by its attempt"


def test_an_empty_server_says_how_to_begin():
    text = as_text(shown(overview(projects=[], needs=[], attempts=[], runners=[])))

    for found in ("cortex project create", "Nobody waits for you", "cortex runner"):
        assert found in text


def test_what_is_late_is_said_with_its_age():
    model, _ = feed(shown(), m.Lost(-1, "x", 6.0, 3), m.Tick(samples.NOW + 5))
    assert "as of 5 s ago" in as_text(model)
    assert "○ reconnecting in 1 s (3/8)" in as_text(model)

    model, _ = feed(model, m.Lost(-1, "x", 30.0, 9), m.Tick(samples.NOW + 125))
    assert "○ offline, as of 2 min ago" in as_text(model)

    assert "as of" not in as_text(feed(model, m.Overview(-1, overview()))[0])


def test_the_age_of_what_is_late_grows_by_the_second_then_by_the_minute():
    model, _ = feed(shown(), m.Ended(-1, "drain", True))
    assert next_tick(model) == samples.NOW + 1

    model, _ = feed(model, m.Tick(samples.NOW + 65))
    assert next_tick(model) <= samples.NOW + 120


def test_before_the_first_overview_it_says_that_it_connects_or_cannot():
    model = Model(width=80, height=24, now=samples.NOW, dashboard=Dashboard(stream=-1))
    assert "Connecting" in as_text(model)

    assert "cannot be reached" in as_text(feed(model, m.Lost(-1, "refused", 5.0, 1))[0])


def test_it_opens_over_the_board_and_closes_to_it():
    model, effects = press(live(), "d")
    assert effects == [m.FollowDashboard(-1)]
    assert model.scope == "dashboard"

    model, _ = feed(model, m.Changed(1, samples.event("ticket.created", samples.ticket(9), 11)))
    model, effects = press(model, "esc")
    assert effects == [m.FollowDashboard(0)]
    assert model.dashboard is None
    assert "t009" in model.board.tickets


def test_messages_of_one_that_was_left_change_nothing():
    model, _ = press(live(), "d", "esc", "d")
    assert model.dashboard.stream == -2

    assert feed(model, m.Overview(-1, overview()))[0].dashboard.body is None


def test_enter_goes_to_the_project():
    model, effects = press(shown(), "j", "enter")

    assert effects == [m.FollowDashboard(0), m.Follow("WEB", 2)]
    assert (model.project, model.dashboard) == ("WEB", None)


def test_enter_on_what_needs_a_person_goes_to_its_ticket():
    model, _ = press(shown(), "j", "j", "enter")
    model, _ = feed(model, m.Snapshot(model.stream, samples.board()))
    assert samples.selected(model) == "CTX-4"

    hidden, _ = press(live(), "/", *"parser", "enter", "d")
    model, _ = feed(hidden, m.Overview(-1, overview()))
    model, effects = press(model, "j", "j", "enter")
    assert effects == [m.FollowDashboard(0)]
    assert samples.selected(model) == "CTX-4"


def test_a_runner_has_no_board():
    model, effects = press(shown(), "G", "enter")

    assert effects == []
    assert "no board" in model.toasts[-1].text


def test_without_a_board_behind_it_escape_says_where_to_go_and_never_quits():
    model, effects = press(shown(), "esc")

    assert effects == []
    assert "Enter opens" in model.toasts[-1].text


def test_the_cursor_stays_on_its_entry_while_others_come_and_go():
    model, _ = press(shown(), "j")
    more = overview(projects=[counts("AAA", "First"), *overview()["projects"]])

    model, _ = feed(model, m.Overview(-1, more))

    assert press(model, "enter")[0].project == "WEB"


def test_the_selected_entry_is_on_the_screen():
    many = overview(projects=[counts(f"P{n}", f"Project {n}") for n in range(60)])
    model, _ = press(shown(many, 80, 24), "pgdn", "pgdn", "j")

    assert any(span.role == "selected" for row in view(model, 80, 24) for span in row)
    assert "1-" not in as_text(model).splitlines()[-2]


def test_r_connects_now_or_anew():
    lost, _ = feed(shown(), m.Lost(-1, "x", 6.0, 3))
    assert press(lost, "r")[1] == [m.RetryDashboard()]

    over, _ = feed(shown(), m.Ended(-1, "revoked", False))
    assert "✗ ended" in as_text(over)
    model, effects = press(over, "r")
    assert effects == [m.FollowDashboard(-2)]
    assert model.dashboard.body is not None


@pytest.mark.parametrize("size", [(1, 1), (20, 4), (20, 5), (40, 12), (500, 200)])
def test_it_fits_every_screen(size):
    assert_sound(shown(), *size)
    assert_sound(Model(dashboard=Dashboard(stream=-1)), *size)


JUNK = st.recursive(
    st.none() | st.integers(-9, 99) | NASTY,
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(["project", "id", "kind", "text", "at", "agents", "columns", "attempts",
                         "status", "ticket", "throughput", "name"]), inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {}, optional={name: JUNK | st.lists(JUNK, max_size=2) for name in overview()}
    ),
    SIZES,
)
def test_whatever_the_server_says_the_screen_is_sound(body, size):
    model, _ = press(shown(body), "j", "G", "k")

    assert_sound(model, *size)


def test_it_is_printed_once_and_as_json():
    class Client:
        def get(self, path):
            return {"/api/dashboard": overview()}[path]

    out = io.StringIO()
    once.print_dashboard(Client(), as_json=True, out=out)
    assert json.loads(out.getvalue()) == {"version": 1, "dashboard": overview()}

    for width in (40, 120):
        text = once.overview(overview(), width, samples.NOW)
        assert "Projects 2" in text.splitlines()[0]
        assert max(map(len, text.splitlines())) <= width
    assert once.overview(overview(), 80, samples.NOW, ascii_only=True).isascii()
