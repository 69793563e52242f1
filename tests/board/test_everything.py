"""All projects in one board: each proven complete for itself, and everything works there."""

import random
from dataclasses import replace

import pytest

from cortex_cli.board import changes as ch
from cortex_cli.board import connection, moves
from cortex_cli.board import messages as m
from cortex_cli.board.apply import Change
from cortex_cli.board.asks import LoadAgents
from cortex_cli.board.everything import beginning, leave
from cortex_cli.board.merged import Merged, columns, fold
from cortex_cli.board.model import Menu, Model
from cortex_cli.board.status import status
from cortex_cli.board.update import next_tick, start, update
from cortex_cli.board.wire import Board, Project, Ticket
from tests.board import samples
from tests.board.samples import NOW, feed, live, press, selected
from tests.board.test_view import as_text

OPS_COLUMNS = [
    {"name": "backlog", "title": "To do", "wip_limit": None},
    {"name": "blocked", "title": "Blocked", "wip_limit": 1},
    {"name": "done", "title": "Done", "wip_limit": None},
]


def ticket(key: str, status: str = "backlog", **changes: object) -> dict:
    project, _, number = key.rpartition("-")
    made = samples.ticket(int(number), status, project=project, key=key, id=key.lower())
    return made | changes


def body(key: str, *tickets: dict, seq: int = 10, **changes: object) -> dict:
    project = samples.project(id=f"p-{key}", key=key, name=f"The {key}")
    if key == "OPS":
        project["columns"] = OPS_COLUMNS
    return {
        "epoch": "e1", "head": 10, "seq": seq, "project": project, "labels": [],
        "tickets": list(tickets), "sessions": [], "attempts": [], "reviews": [],
        "permissions": [], "batches": [],
    } | changes  # fmt: skip


CTX = body(
    "CTX", *(ticket(f"CTX-{n}", "progress") for n in (1, 2, 3, 4)), ticket("CTX-5", "review")
)
OPS = body("OPS", ticket("OPS-1"), ticket("OPS-2", "blocked"), ticket("OPS-3", "blocked"))


def state(*bodies: dict) -> dict:
    projects = [one["project"] for one in bodies]
    return {"epoch": "e1", "head": 10, "projects": projects, "teams": []}


def opened(*bodies: dict, model: Model | None = None) -> Model:
    """All projects in one board, complete."""
    model, _ = press(model or Model(project="CTX", width=150, height=40, now=NOW), "P")
    stream = model.stream
    model, effects = feed(model, m.Connected(stream, False), m.Snapshot(stream, state(*bodies)))
    asked = [effect.project for effect in effects]
    assert sorted(asked) == sorted(one["project"]["key"] for one in bodies)
    return feed(model, *(m.Snapshot(stream, one, fetched=True) for one in bodies))[0]


def event(kind: str, payload: dict, seq: int, project: str, **changes: object) -> m.Changed:
    of = str(payload.get("ticket") or payload.get("key"))
    return m.Changed(2, Change(kind, payload, project, seq, of, "opencode", **changes))


def shown(model: Model) -> dict[str, list[str]]:
    return {one.column.name: [t.key for t in one.tickets] for one in model.columns}


def at(model: Model, key: str) -> Model:
    """With the cursor on a card."""
    return update(replace(model, expected=key), m.Tick(NOW))[0]


# --- the stream and the boards


def test_all_projects_come_by_one_stream_and_a_board_each():
    model, effects = press(live(), "P")
    assert effects == [m.Follow("", 2)]
    assert len(model.board.tickets) == 5, "what was shown stays until it is fetched"

    model, effects = feed(model, m.Connected(2, False), m.Snapshot(2, state(OPS, CTX)))
    assert effects == [m.LoadBoard("CTX", 2), m.LoadBoard("OPS", 2)]
    assert status(model)[0] == "◌ 0/2 boards"
    model, _ = feed(model, m.Snapshot(2, OPS, fetched=True))
    assert status(model)[0] == "◌ 1/2 boards"
    model, _ = feed(model, m.Snapshot(2, CTX, fetched=True))
    assert status(model)[0] == "● live"
    assert shown(model) == {
        "backlog": ["OPS-1"],
        "blocked": ["OPS-2", "OPS-3"],
        "progress": ["CTX-1", "CTX-2", "CTX-3", "CTX-4"],
        "review": ["CTX-5"],
        "done": [],
    }
    text = as_text(model, 160)
    assert "all projects  2 projects  8 tickets" in text
    assert "Blocked 2! OPS 2/1 " in text, "limits are each project's own"
    assert "In progress 4! CTX 4/3 " in text
    assert "In progress 4! C" in as_text(model, 120), "and the sign is there where it is cut"
    assert "Backlog 1 " in text, "titled as the first has it"


def test_it_begins_there_when_asked_to():
    model = beginning(Model(width=120, height=30, now=NOW))
    assert start(model)[1] == (m.Follow("", 1),)
    model, effects = feed(model, m.Connected(1, False), m.Snapshot(1, state()))
    assert effects == []
    assert status(model)[0] == "● live"
    assert "No project yet" in as_text(model)


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([], ""),
        (["abc", "abc", "cba"], "abc"),
        (["axc", "abc", "abc"], "axbc"),
        (["abcz", "abc", "abc", "xabc"], "xabcz"),
    ],
    ids=["none", "most", "between", "ends"],
)
def test_columns_stand_as_most_projects_have_them(orders, expected):
    projects = tuple(
        Project.read(samples.project(columns=[{"name": name, "title": name} for name in order]))
        for order in orders
    )
    assert "".join(column.name for column in columns(projects)) == expected


def test_a_hole_in_one_project_holds_back_and_fetches_only_that_one():
    model = opened(CTX, OPS)
    model, effects = feed(
        model,
        event("ticket.created", ticket("CTX-7"), 12, "CTX"),  # 11 is missing
        event("ticket.created", ticket("CTX-8"), 13, "CTX"),
        event("ticket.created", ticket("OPS-7"), 11, "OPS"),
    )
    assert effects == [m.LoadBoard("CTX", 2)]
    assert status(model)[0] == "◌ 1/2 boards"
    assert shown(model)["backlog"] == ["OPS-1", "OPS-7"]

    fetched = body("CTX", ticket("CTX-6"), ticket("CTX-7"), seq=12)
    model, effects = feed(model, m.Snapshot(2, CTX, fetched=True))
    assert effects == [m.LoadBoard("CTX", 2)], "an answer from before the hole does not fill it"
    model, effects = feed(model, m.Snapshot(2, fetched, fetched=True))
    assert effects == []
    assert shown(model)["backlog"] == ["CTX-6", "CTX-7", "CTX-8", "OPS-1", "OPS-7"]
    assert status(model)[0] == "● live"


def test_a_heartbeat_proves_which_project_misses_something():
    model, effects = feed(
        opened(CTX, OPS),
        event("ticket.created", ticket("CTX-6"), 11, "CTX"),
        m.Beat(2, None, {"CTX": 11, "OPS": 10}),
    )
    assert (effects, status(model)[0]) == ([], "● live")
    model, effects = feed(model, m.Beat(2, None, {"CTX": 11, "OPS": 12, "NEW": 3}))
    assert effects == [m.LoadBoard("NEW", 2), m.LoadBoard("OPS", 2)]
    assert status(model)[0] == "◌ 1/3 boards"
    assert feed(model, m.Beat(2, None, {"CTX": 11, "OPS": 12, "NEW": 3}))[1] == [], "once"


def test_an_answer_from_before_what_is_known_changes_nothing():
    model, effects = feed(
        opened(CTX, OPS),
        event("ticket.created", ticket("CTX-6"), 11, "CTX"),
        event("ticket.created", ticket("CTX-8"), 13, "CTX"),
        m.Snapshot(2, CTX, fetched=True),
    )
    assert effects == [m.LoadBoard("CTX", 2)], "that one is still on its way"
    assert shown(model)["backlog"] == ["CTX-6", "OPS-1"]


def test_projects_come_change_and_go():
    model = opened(CTX)
    new = body("NEW", ticket("NEW-1"), seq=2)
    model, effects = feed(model, event("project.created", new["project"], 1, "NEW"))
    assert effects == [m.LoadBoard("NEW", 2)]
    model, _ = feed(
        model,
        event("ticket.created", ticket("NEW-2"), 3, "NEW"),
        m.Snapshot(2, new, fetched=True),
    )
    assert shown(model)["backlog"] == ["NEW-1", "NEW-2"]

    named = new["project"] | {"name": "Brand", "columns": OPS_COLUMNS, "revision": 2}
    model, _ = feed(model, event("project.updated", named, 4, "NEW"))
    found = shown(press(model, "/", *"brand")[0])
    assert (found["backlog"], found["progress"]) == (["NEW-1", "NEW-2"], [])
    assert "blocked" in found

    model, effects = press(at(model, "NEW-1"), "enter")
    model, effects = feed(model, event("project.deleted", {"id": "p-NEW", "key": "NEW"}, 5, "NEW"))
    assert effects == [m.FollowDeltas("", ""), m.Forget("NEW")]
    assert model.detail is None
    assert shown(model)["backlog"] == []
    assert status(model)[0] == "● live"


def test_a_project_that_goes_while_its_board_is_fetched_is_not_waited_for():
    model, _ = feed(opened(CTX, OPS), event("ticket.created", ticket("OPS-7"), 13, "OPS"))
    deleted = event("project.deleted", {"id": "p-OPS", "key": "OPS"}, 14, "OPS")
    model, _ = feed(model, deleted, m.Snapshot(2, OPS, fetched=True))
    assert status(model)[0] == "● live"
    assert "blocked" not in shown(model)


def test_what_may_not_be_read_is_left_out_and_a_new_one_of_its_name_is_not():
    model, _ = feed(opened(CTX), event("ticket.created", ticket("OPS-7"), 13, "OPS"))
    left_out, effects = feed(model, m.BoardFailed(2, "Not found.", "OPS", gone=True))
    assert (status(left_out)[0], effects) == ("● live", [m.Forget("OPS")])

    made = event("project.created", OPS["project"], 14, "OPS")
    model, effects = feed(model, made, m.BoardFailed(2, "Not found.", "OPS", gone=True))
    assert effects == [m.Forget("OPS"), m.LoadBoard("OPS", 2)]
    assert status(model)[0] == "◌ 1/2 boards"


def test_a_board_that_could_not_be_fetched_is_fetched_again_after_a_while():
    model, _ = feed(opened(CTX, OPS), event("ticket.created", ticket("OPS-7"), 13, "OPS"))
    model, effects = feed(model, m.BoardFailed(2, "No route.", "OPS"))
    assert effects == []
    assert "No route." in model.toasts[-1].text
    due = model.everything.again_at
    assert next_tick(model) <= due
    assert feed(model, m.Tick(due - 0.1))[1] == []
    model, effects = feed(model, m.Tick(due))
    assert effects == [m.LoadBoard("OPS", 2)]
    assert feed(model, m.Tick(due + 60))[1] == [], "once"


def test_after_a_resumption_it_is_asked_which_projects_came_or_went_unheard():
    model, effects = feed(
        opened(CTX, OPS), m.Lost(2, "reset", 1.0, 1), m.Connected(2, resumed=True)
    )
    assert effects == [m.LoadProjects()]
    assert status(model)[0] == "● live"
    model, effects = feed(model, m.ProjectsLoaded((("CTX", "c"), ("NEW", "n"))))
    assert effects == [m.LoadBoard("NEW", 2), m.LoadBoard("OPS", 2)]
    model, _ = feed(
        model,
        m.BoardFailed(2, "Not found.", "OPS", gone=True),
        m.Snapshot(2, body("NEW"), fetched=True),
    )
    assert list(model.board.parts) == ["ctx", "new"]


def test_without_a_stream_all_boards_are_polled():
    model, effects = feed(opened(CTX, OPS), m.Lost(2, "reset", 12.0, 8))
    assert effects == [m.LoadBoard("CTX", 2), m.LoadBoard("OPS", 2), m.LoadProjects()]
    model, _ = feed(model, m.Snapshot(2, CTX | {"seq": 12}, fetched=True))
    model, _ = feed(model, m.BoardFailed(2, "No route.", "OPS"))
    assert (model.toasts, status(model)[0]) == ((), "○ offline")
    model, effects = feed(model, m.Tick(NOW + 30))
    assert [one.project for one in effects[:-1]] == ["CTX", "OPS"]
    model, _ = feed(
        model,
        m.Snapshot(2, CTX | {"seq": 13}, fetched=True),
        m.Snapshot(2, OPS, fetched=True),
    )
    assert status(model)[0] == "◌ polling every 30 s"
    model, effects = feed(
        model,
        m.Connected(2, resumed=True),
        event("ticket.created", ticket("CTX-6"), 13, "CTX"),
        event("ticket.created", ticket("CTX-7"), 14, "CTX"),
    )
    assert (effects, status(model)[0]) == ([m.LoadProjects()], "● live")
    assert shown(model)["backlog"] == ["CTX-7", "OPS-1"]


def test_a_reset_fetches_all_boards_anew():
    model, effects = feed(opened(CTX, OPS), m.Stale(2, "epoch"))
    assert status(model)[0] == "◌ connecting"
    again = CTX | {"epoch": "e2", "seq": 3}
    model, effects = feed(model, m.Snapshot(2, state(CTX) | {"epoch": "e2"}))
    assert effects == [m.LoadBoard("CTX", 2)]
    model, _ = feed(model, m.Snapshot(2, again, fetched=True))
    assert model.board.parts["ctx"].seq == 3, "another database counts anew"
    assert status(model)[0] == "● live"


def test_r_fetches_all_and_an_end_is_said():
    model, effects = press(opened(CTX, OPS), "r")
    assert effects == [m.LoadBoard("CTX", 2), m.LoadBoard("OPS", 2), m.LoadProjects()]
    model, _ = feed(model, m.Ended(2, "revoked", False))
    assert status(model)[0] == "✗ ended"
    assert press(model, "r")[1] == [m.Follow("", 3)]


def test_whatever_is_lost_the_boards_become_the_servers():
    """Random changes of six projects, of which some are never heard, and answers at any time."""
    choose = random.Random(5)
    keys = ["AA", "BB", "CC", "DD", "EE", "OPS"]
    bodies = {key: body(key, *(ticket(f"{key}-{n}") for n in range(1, 6))) for key in keys}
    model = opened(*bodies.values())
    waiting: list[m.LoadBoard] = []

    def heard(message: m.Incoming) -> None:
        nonlocal model
        model, effects = update(model, message)
        waiting.extend(effect for effect in effects if isinstance(effect, m.LoadBoard))

    def answer() -> None:
        key = waiting.pop(choose.randrange(len(waiting))).project
        heard(m.Snapshot(2, bodies[key], fetched=True))

    def change(key: str, lost: bool) -> None:
        at, one = choose.randrange(5), bodies[key]
        if at == 0:
            asked = samples.review(one["seq"], f"{key}-1", id=f"r-{key}-{one['seq']}")
            bodies[key] = one | {"reviews": [*one["reviews"], asked], "seq": one["seq"] + 1}
            if not lost:
                heard(event("review.requested", asked, one["seq"] + 1, key))
            return
        tickets = [*one["tickets"]]
        to = choose.choice([column["name"] for column in one["project"]["columns"]])
        tickets[at] = tickets[at] | {"status": to, "revision": tickets[at]["revision"] + 1}
        bodies[key] = one | {"tickets": tickets, "seq": one["seq"] + 1}
        if not lost:
            heard(event("ticket.moved", tickets[at], one["seq"] + 1, key))

    for _ in range(600):
        change(choose.choice(keys), lost=choose.random() < 0.1)
        if waiting and choose.random() < 0.3:
            answer()
        if choose.random() < 0.2:
            assert worked_out(model.board) == worked_out(Merged.of_parts(model.board.parts))
    for key in keys:
        change(key, lost=False)
    while waiting:
        answer()
    assert status(model)[0] == "● live"
    parts = {fold(key): Board.read(one) for key, one in bodies.items()}
    assert model.board.parts == parts
    assert worked_out(model.board) == worked_out(Merged.of_parts(parts))


def worked_out(merged: Merged) -> tuple[object, ...]:
    return merged.columns, merged.reviewed, merged.tickets, merged.reviews, merged.project


def test_an_event_of_one_project_leaves_what_was_worked_out_of_the_others():
    model, _ = press(opened(CTX, OPS), "/", *"ops")
    before = model.board.parts
    assert shown(model)["progress"] == []
    assert shown(model)["blocked"] == ["OPS-2", "OPS-3"]
    model, _ = feed(model, event("ticket.created", ticket("OPS-7"), 11, "OPS"))
    after = model.board.parts
    assert after["ctx"] is before["ctx"]
    assert after["ctx"].memo["passing"] is before["ctx"].memo["passing"]
    assert shown(model)["backlog"] == ["OPS-1", "OPS-7"]


# --- what is done there


def test_a_card_moves_over_columns_that_its_project_does_not_have():
    model, effects = press(at(opened(CTX, OPS), "OPS-2"), "L")
    assert effects == [m.Move("ops-2", "done", None, 1)]
    _, effects = press(at(opened(CTX, OPS), "OPS-2"), "H")
    assert effects == [m.Move("ops-2", "backlog", None, 1)]

    model, _ = press(at(opened(CTX, OPS), "CTX-5"), "m")
    assert [name for name, _ in model.overlay.items] == ["backlog", "progress", "review", "done"]


def test_a_move_to_a_column_that_its_project_does_not_have_is_refused_with_those_it_has():
    model = opened(CTX, OPS)
    model, effects = moves.to_column(model, model.board.tickets["ops-1"], "review")
    assert effects == ()
    assert model.toasts[-1].text == "OPS has no column Review; it has To do, Blocked, Done."


def test_the_place_in_a_column_counts_the_cards_of_its_own_project():
    bodies = [body(key, *(ticket(f"{key}-{n}") for n in (1, 2, 3))) for key in ("AA", "BB")]
    model = at(opened(*bodies), "BB-1")
    model, effects = press(model, "K")
    assert effects == []
    assert "AA-3 is not of BB" in model.toasts[-1].text

    model, effects = press(model, "J")
    assert effects == [m.Move("bb-1", "backlog", 1, 1)]
    assert shown(model)["backlog"] == ["AA-1", "AA-2", "AA-3", "BB-2", "BB-1", "BB-3"]


def test_the_answer_to_a_move_is_shown_on_its_board():
    model, _ = press(at(opened(body("AA", ticket("AA-1")), OPS), "OPS-1"), "L")
    moved = Board.read(body("OPS", ticket("OPS-1", "blocked", revision=2))).tickets["ops-1"]
    model, _ = feed(model, m.Moved(moved))
    assert model.board.parts["ops"].tickets["ops-1"].status == "blocked"
    assert shown(model)["blocked"] == ["OPS-1", "OPS-2", "OPS-3"]
    assert press(model, "z")[1] == [m.Move("ops-1", "backlog", 0, 2)]


def test_a_new_ticket_is_asked_for_its_project_first():
    model, _ = press(at(opened(CTX, OPS), "OPS-2"), "n")
    assert [text for _, text in model.overlay.items] == [
        "CTX  The CTX  5 tickets",
        "OPS  The OPS  3 tickets",
    ]
    model, effects = press(model, "enter", *"Hi", "enter")
    assert effects == [m.Create("OPS", "Hi", "blocked", number=1)]
    assert shown(model)["blocked"] == ["OPS-2", "OPS-3", "OPS-new"]

    model, effects = press(model, "n", "k", "enter", *"Hi", "enter")
    first = m.Create("CTX", "Hi", "backlog", number=2)
    assert effects == [first], "in its first column, where it has not that one"


def test_an_open_ticket_and_its_agents_are_of_its_project():
    model = at(opened(CTX, OPS), "OPS-2")
    assert m.FollowDeltas("OPS", "OPS-2") in press(model, "enter")[1]
    assert press(model, "s")[1] == [LoadAgents("OPS", "OPS-2")]


def test_what_needs_me_is_found_in_all_projects():
    asked = body("OPS", ticket("OPS-1"), reviews=[samples.review(1, "OPS-1")])
    model, _ = press(opened(CTX, asked), "F")
    assert shown(model)["backlog"] == ["OPS-1"]
    assert shown(model)["progress"] == []
    model, _ = press(model, "p")
    model, _ = feed(model, m.ProjectsLoaded((("CTX", "The CTX"), ("OPS", "The OPS"))))
    assert isinstance(model.overlay, Menu)
    assert model.overlay.items[1][1] == "OPS  The OPS  1 ticket, 1 needs you"


@pytest.mark.parametrize("way", ["P", "p"])
def test_back_to_one_project(way: str):
    model = at(opened(CTX, OPS), "CTX-2")
    model, effects = press(model, way)
    if way == "p":
        model, _ = feed(model, m.ProjectsLoaded((("CTX", "c"), ("OPS", "o"))))
        model, effects = press(model, "g", "enter")
    assert effects == [m.Follow("CTX", 3)]
    assert model.everything is None
    assert model.project == "CTX"
    assert len(model.board.tickets) == 5, "what is known is shown at once"
    assert selected(model) == "CTX-2"
    assert status(model)[0] == "◌ connecting"
    model, _ = feed(model, event("ticket.created", ticket("OPS-9"), 11, "OPS"))
    assert len(model.board.tickets) == 5, "the old stream changes nothing any more"


# --- meanwhile


def test_a_gap_before_an_event_of_no_project_fetches_all():
    lost = m.Changed(2, Change("runner.online", {"id": "r1"}, None, None, None, "r", gap=2))

    effects = feed(opened(CTX, OPS), lost)[1]

    assert effects == [m.LoadBoard("CTX", 2), m.LoadBoard("OPS", 2), m.LoadProjects()]


def test_what_waits_is_bounded_and_beyond_it_everything_begins_anew(monkeypatch):
    monkeypatch.setattr(connection, "HELD_EVENTS", 2)
    found = [event("ticket.created", ticket(f"OPS-{n}"), n, "OPS") for n in (13, 14, 15)]

    assert feed(opened(CTX, OPS), *found)[1] == [m.LoadBoard("OPS", 2), m.Follow("", 3)]


def test_a_stream_of_one_ticket_has_holes_that_mean_nothing():
    model, _ = feed(opened(CTX, OPS), m.Connected(2, True, limited=True))

    model, effects = feed(model, event("ticket.created", ticket("OPS-9"), 19, "OPS"))

    assert effects == []
    assert "ops-9" in model.board.tickets


def test_a_board_that_comes_reloads_only_a_ticket_of_its_own():
    model, _ = press(at(opened(CTX, OPS), "CTX-1"), "enter")
    model, _ = feed(model, event("ticket.created", ticket("OPS-9"), 13, "OPS"))
    later = OPS | {"seq": 13}

    assert feed(model, m.Snapshot(2, later, fetched=True))[1] == []


def test_polled_boards_are_as_of_now_when_all_have_come():
    model, _ = feed(opened(CTX, OPS), m.Lost(2, "reset", 12.0, 8))
    model, _ = feed(model, m.Snapshot(2, CTX, fetched=True))
    assert not model.connection.polled
    assert feed(model, m.Snapshot(2, OPS, fetched=True))[0].connection.polled


def test_boards_that_could_not_be_fetched_are_fetched_again_together():
    model, _ = feed(
        opened(CTX, OPS),
        event("ticket.created", ticket("OPS-9"), 13, "OPS"),
        event("ticket.created", ticket("CTX-9"), 13, "CTX"),
        m.BoardFailed(2, "No route.", "OPS"),
    )
    due = model.everything.again_at
    model, _ = feed(model, m.Tick(NOW + 3), m.BoardFailed(2, "No route.", "CTX"))
    assert model.everything.again_at == due

    assert feed(model, m.Tick(due))[1] == [m.LoadBoard("CTX", 2), m.LoadBoard("OPS", 2)]


def test_a_list_that_does_not_know_a_new_project_yet_takes_nothing_from_it():
    model, _ = feed(opened(CTX), event("ticket.created", ticket("NEW-2"), 2, "NEW"))

    model, effects = feed(model, m.ProjectsLoaded((("CTX", "c"),)))
    assert effects == []
    model, _ = feed(model, m.Snapshot(2, body("NEW", seq=1), fetched=True))

    assert "new-2" in model.board.tickets


def test_a_ticket_that_is_open_stays_open_on_the_board_of_its_project():
    model = at(opened(CTX, OPS), "OPS-1")
    model, _ = press(model, "enter")

    model, effects = leave(model, "OPS")

    assert model.detail
    assert effects == (m.Follow("OPS", 3),)


def test_what_was_done_on_several_boards_is_undone_where_all_are_shown():
    model = opened(CTX, OPS)
    model, effects = press(replace(model, marked=frozenset({"ctx-5", "ops-1"})), "m", "5")
    [alter] = effects
    answered = [Ticket.read(ticket(row.key, "done", rank="z", revision=2)) for row in alter.rows]
    model, _ = feed(model, ch.Altered(alter.number, tuple(answered), ()))
    assert len(model.undo[-1].parts) == 2

    alone, effects = press(leave(model, "OPS")[0], "z")
    assert (effects, len(alone.undo)) == ([], 1)
    [again] = press(model, "z")[1]
    assert sorted((row.project, row.key) for row in again.rows) == [
        ("CTX", "CTX-5"), ("OPS", "OPS-1"),
    ]  # fmt: skip
