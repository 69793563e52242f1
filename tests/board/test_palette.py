"""The palette: what it finds, in which order, and where it goes."""

import pytest

from cortex_cli.board import keys, palette
from cortex_cli.board import messages as m
from cortex_cli.board.model import Model, Palette
from cortex_cli.board.settings import Settings
from cortex_cli.board.view import view
from tests.board import samples
from tests.board.samples import feed, live, press, selected

PROJECTS = (("CTX", "Cortex"), ("OPS", "Operations"))


def typing(text: str, model: Model | None = None) -> Model:
    return press(press(model or live(), ":")[0], *text)[0]


def found(text: str, model: Model | None = None) -> list[str]:
    return [entry.name for entry in palette.entries(model or live(), text)]


def drawn(model: Model, width: int, height: int) -> list[str]:
    return ["".join(span.text for span in row) for row in view(model, width, height)]


def test_without_a_word_it_lists_every_action_of_the_screen_below():
    names = {f"action {b.action}" for b in keys.TABLE if "board" in b.scopes} - {"action palette"}

    assert {name for name in found("") if name.startswith("action")} == names


def test_what_is_not_available_comes_last_and_says_why():
    listed = palette.entries(live(), "")
    first = next(i for i, entry in enumerate(listed) if entry.refusal)

    assert all(entry.refusal for entry in listed[first:])
    undo = next(entry for entry in listed if entry.value == "undo")
    assert undo.refusal.startswith("There is no")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("open", "action open"),
        ("OPEN", "action open"),
        ("comm", "action comment"),
        ("needs-me", "action needs-me"),
        ("project switch", "action projects"),
        ("clipb", None),
        ("fltr", "action filter"),
        ("review", "column review"),
        ("12", None),
        ("4", "ticket t004"),
        ("ctx-4", "ticket t004"),
        ("OPS-4", None),
        ("operat", "project OPS"),
    ],
)
def test_the_best_match_comes_first(text, name):
    model = feed(live(), m.ProjectsLoaded(PROJECTS))[0]
    if text == "review":
        text = "go review"

    assert (found(text, model) or [None])[0] == name


def test_tickets_whose_number_begins_so_follow_the_one_that_has_it():
    model = live(samples.board(tickets=[samples.ticket(n) for n in (12, 1, 123, 2)], reviews=[],
                               sessions=[]))  # fmt: skip

    assert found("1", model)[:3] == ["ticket t001", "ticket t012", "ticket t123"]


def test_enter_does_what_the_key_does():
    assert press(typing("filter"), "enter")[0] == press(live(), "/")[0]
    assert press(typing("quit"), "enter")[1] == [m.Quit()]


def test_what_is_not_available_says_why_and_the_palette_stays():
    model, effects = press(typing("undo"), "enter")

    assert model.toasts[-1].text.startswith("There is no")
    assert model.scope == "palette"
    assert not [effect for effect in effects if not isinstance(effect, m.LoadProjects)]


def test_what_nothing_is_called_changes_nothing():
    model, effects = press(typing("xyzzy"), "enter")

    assert "xyzzy" in model.toasts[-1].text
    assert (model.scope, effects) == ("palette", [])


def test_the_selection_moves_and_goes_back_to_the_best_with_another_text():
    model = typing("move")
    listed = found("move")
    for key in ("down", "ctrl-n", "tab"):
        model, _ = press(model, key)
    model, _ = press(model, "ctrl-p", "backtab")
    assert palette.selected(model.overlay, palette.entries(live(), "move")) == 1
    assert f"action {palette.entries(live(), 'move')[1].value}" == listed[1]

    model, _ = press(model, "down", "-")  # another entry of both lists
    assert palette.selected(model.overlay, palette.entries(live(), "move-")) == 0


def test_the_selection_stays_within_the_list():
    model = press(typing("open"), "up", "pgup")[0]
    assert palette.selected(model.overlay, palette.entries(live(), "open")) == 0
    last = len(palette.entries(live(), "")) - 1
    model = press(typing(""), *["pgdn"] * 20)[0]
    assert palette.selected(model.overlay, palette.entries(live(), "")) == last


@pytest.mark.parametrize("scope", ["board", "detail", "dashboard", "needs", "events"])
def test_from_every_screen_it_goes_to_a_ticket_a_column_and_a_project(scope):
    opened = {"board": (), "detail": ("enter",), "dashboard": ("d",), "needs": ("A",),
              "events": ("v",)}[scope]  # fmt: skip
    below, _ = press(feed(live(), m.ProjectsLoaded(PROJECTS))[0], *opened)
    assert below.screen == scope

    ticket, effects = press(typing("ctx-4", below), "enter")
    assert (ticket.screen, selected(ticket)) == ("detail", "CTX-4")
    assert m.LoadDetail("CTX-4") in effects
    assert selected(press(ticket, "esc")[0]) == "CTX-4"  # Esc finds it on the board

    column, _ = press(typing("go review", below), "enter")
    assert (column.screen, column.focus, selected(column)) == ("board", "review", "CTX-5")

    project, effects = press(typing("ops", below), "enter")
    assert (project.screen, project.project) == ("board", "OPS")
    assert [e.project for e in effects if isinstance(e, m.Follow)] == ["OPS"]


def test_leaving_it_changes_nothing():
    assert press(typing("quit"), "esc")[0] == live()


def test_it_asks_for_the_projects_only_where_somebody_answers():
    assert m.LoadProjects() in press(live(), ":")[1]
    assert press(Model(project="CTX"), ":")[1] == []


def test_it_shows_the_keys_that_are_in_effect():
    changed = Settings(keys=(("board", "filter", ("f2",)),))
    model = feed(Model(project="CTX", settings=changed, now=samples.NOW), m.Connected(1, False),
                 m.Snapshot(1, samples.board()))[0]  # fmt: skip

    assert palette.entries(model, "filter")[0].keys == "F2"


@pytest.mark.parametrize(
    ("width", "height", "where"), [(120, 30, 2), (40, 12, 2), (40, 8, 0), (20, 5, 0), (19, 4, 0)]
)
def test_what_was_typed_and_what_it_finds_are_shown_at_every_size(width, height, where):
    rows = drawn(typing("comm", live(width=width, height=height)), width, height)

    assert ":" in rows[where]
    assert "comm" in rows[where]
    below = rows[where + 1] if where or height >= 5 else rows[where]
    assert "Comment o"[: 19 - 8] in below or "Comment" in below


@pytest.mark.parametrize("ascii_only", [False, True], ids=["unicode", "ascii"])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (24, 9), (23, 9), (60, 6), (300, 90)])
def test_a_long_hostile_line_stays_in_its_box(size, ascii_only):
    width, height = size
    hostile = "日\u202e\x1b[2J" * 40
    shown = Palette("palette", "Do", hostile, len(hostile) // 2)
    model = live(width=width, height=height)
    rows = view(Model(**{**vars(model), "overlay": shown, "ascii_only": ascii_only}), width, height)

    assert len(rows) == height
    assert not [c for row in rows for span in row for c in span.text if not c.isprintable()]
