"""How a stream of events begins: fresh, resumed, or with a cursor that cannot be served."""

import json

import pytest

from cortex_server import log
from cortex_server.domains import projects, teams
from tests.support.in_process import position_of
from tests.support.stores import ALICE


def epoch_of(live):
    return live.services.epoch


def test_a_new_board_stream_says_hello_and_gives_the_state(live):
    project = live.project()
    ticket = live.ticket(project)
    reader = live.open("CTX")

    assert reader.chunks[0].startswith(b"retry: ")
    assert reader.names == ["hello", "state"]
    hello, state = reader.frames
    assert hello.id is None
    assert hello.data["resumed"] is False
    assert hello.data["ticket"] is None
    assert hello.data["epoch"] == epoch_of(live)
    assert hello.data["head"] == state.data["head"] == live.store.published
    assert hello.data["client_id"] == "c1"
    assert state.id == f"{epoch_of(live)}.{state.data['head']}"
    assert state.data["seq"] == 2
    assert [t["key"] for t in state.data["tickets"]] == [ticket.key]


def test_what_follows_the_state_comes_live_and_once(live):
    project = live.project()
    reader = live.open("CTX")
    ticket = live.ticket(project)
    live.retitle(ticket.key, "Two")
    reader.settle()
    assert reader.names == ["hello", "state", "ticket.created", "ticket.updated"]
    assert reader.positions == [2, 3]
    assert [event["seq"] for event in reader.events] == [2, 3]
    assert reader.last.id == f"{epoch_of(live)}.3"
    assert reader.events[1]["payload"]["changed"] == {"title": {"from": "One", "to": "Two"}}


def test_the_firehose_begins_with_the_projects_and_the_teams_that_the_token_reads(live):
    live.do(teams.create, {"key": "T", "name": "Team"})
    live.project("A")
    live.project("B")
    state = live.open(grant=live.grant("read", ["A"])).of("state")[0]
    assert [p["key"] for p in state.data["projects"]] == ["A"]
    assert [t["key"] for t in state.data["teams"]] == ["T"]
    assert state.data.keys() == {"epoch", "head", "projects", "teams"}


def test_a_resumed_stream_has_no_state_and_replays_what_was_missed(live):
    project = live.project()
    ticket = live.ticket(project)
    for title in "abc":
        live.retitle(ticket.key, title)
    reader = live.open("CTX", cursor=(epoch_of(live), 3))
    assert reader.names == ["hello", "ticket.updated", "ticket.updated"]
    assert reader.frames[0].data["resumed"] is True
    assert reader.frames[0].id is None
    assert reader.positions == [4, 5]
    live.retitle(ticket.key, "d")
    assert reader.settle().positions == [4, 5, 6]


def test_a_cursor_resumes_a_stream_of_another_scope(live):
    a, b = live.project("A"), live.project("B")
    live.ticket(a)
    live.ticket(b)
    whole = live.open(cursor=(epoch_of(live), 1))
    assert whole.positions == [2, 3, 4]
    board = live.open("B", cursor=(epoch_of(live), 1))
    assert board.positions == [2, 4]


def test_a_cursor_at_the_head_resumes_and_waits(live):
    live.project()
    reader = live.open("CTX", cursor=(epoch_of(live), live.store.published))
    assert reader.names == ["hello"]
    assert reader.frames[0].data["resumed"] is True


def prune_to(live, keep):
    with live.store.write(ALICE) as tx:
        log.prune(tx.conn, "", keep)


@pytest.mark.parametrize("reason", ["epoch", "expired", "future"])
def test_a_cursor_that_cannot_be_served_gets_a_reset_and_the_state(live, reason):
    project = live.project()
    for _ in range(3):
        live.ticket(project)
    prune_to(live, 2)
    cursor = {
        "epoch": ("00000000", 4), "expired": (epoch_of(live), 1), "future": (epoch_of(live), 5),
    }[reason]  # fmt: skip
    reader = live.open("CTX", cursor=cursor)
    assert reader.names == ["hello", "reset", "state"]
    hello, reset, state = reader.frames
    assert hello.data["resumed"] is False
    assert reset.data == {"reason": reason, "floor": 2, "seq": state.data["seq"]}
    assert hello.id is reset.id is None
    assert position_of(state.id) == 4
    assert live.metric("cortex_stream_resets_total", reason=reason) == 1
    live.ticket(project)
    assert reader.settle().positions == [5]


def test_a_cursor_exactly_at_the_floor_still_resumes(live):
    project = live.project()
    for _ in range(3):
        live.ticket(project)
    prune_to(live, 2)
    assert live.open("CTX", cursor=(epoch_of(live), 2)).positions == [3, 4]


def test_without_a_snapshot_hello_carries_the_id_of_the_head(live):
    project = live.project()
    reader = live.open("CTX", snapshot=False)
    assert reader.names == ["hello"]
    assert reader.frames[0].id == f"{epoch_of(live)}.1"
    assert reader.frames[0].data["resumed"] is False
    live.ticket(project)
    assert reader.settle().positions == [2]


def test_without_a_snapshot_a_resumed_hello_carries_the_clients_own_cursor(live):
    """Not the head: a client cut off before the replay would lose what lies between."""
    project = live.project()
    for _ in range(3):
        live.ticket(project)
    reader = live.open("CTX", snapshot=False, cursor=(epoch_of(live), 2))
    assert reader.frames[0].id == f"{epoch_of(live)}.2"
    assert reader.frames[0].data["resumed"] is True
    assert reader.positions == [3, 4]


def test_without_a_snapshot_a_reset_goes_on_from_the_head(live):
    project = live.project()
    live.ticket(project)
    reader = live.open("CTX", snapshot=False, cursor=("00000000", 1))
    assert reader.names == ["hello", "reset"]
    hello, reset = reader.frames
    assert hello.id == f"{epoch_of(live)}.2"
    assert reset.data == {"reason": "epoch", "floor": 0, "seq": 2}
    live.ticket(project)
    assert reader.settle().positions == [3]


def test_events_between_the_state_and_the_first_wait_come_once(live):
    """The stream stands at its greeting while the world goes on, then catches up."""
    project = live.project()
    reader = live.open("CTX", slow=True)
    assert reader.names == ["hello"]
    head = reader.last.data["head"]
    for _ in range(5):
        live.ticket(project)
    reader.go_on()
    assert position_of(reader.of("state")[0].id) == head
    live.ticket(project)
    assert reader.settle().positions == list(range(head + 1, head + 7))


@pytest.mark.parametrize("resumed", [True, False])
def test_a_stream_opened_between_a_commit_and_its_publication_gets_it_once(
    live, monkeypatch, resumed
):
    """Its state, or its replay, has the event already when the bus offers it."""
    project = live.project()
    cursor = (epoch_of(live), 1) if resumed else None
    grant = live.grant()
    publish, opened = live.services.bus.publish, []

    def open_first(event):
        opened.append(live.open("CTX", grant=grant, cursor=cursor))
        publish(event)

    monkeypatch.setattr(live.services.bus, "publish", open_first)
    live.ticket(project)
    (reader,) = opened
    expected = [2] if resumed else []
    assert reader.settle().positions == expected
    monkeypatch.undo()
    live.ticket(project)
    assert reader.settle().positions == [*expected, 3]
    assert reader.later(15).last.data["seq"] == 3


def test_the_state_and_the_events_after_it_make_up_the_fresh_board(live):
    from cortex_server.domains import labels, tickets

    project = live.project()
    first = live.ticket(project, labels=["red"])
    second = live.ticket(project)
    reader = live.open("CTX")
    live.do(tickets.move, second, "progress", 0, None)
    live.retitle(first.key, "New")
    third = live.ticket(project, labels=["blue"], depends_on=[first.key])
    live.do(tickets.patch, third, {"archived": True}, None)
    with live.store.write(ALICE) as tx:
        red = labels.get(tx, labels.listing(tx, "CTX", 9, None).items[1].id)
        labels.patch(tx, red, {"name": "crimson"}, None)
    live.ticket(project, position=0)
    with live.store.write(ALICE) as tx:
        tickets.delete(tx, tickets.get(tx, first.key), None)
    reader.settle()

    board = apply(reader.of("state")[0].data, reader.events)
    fresh = json.loads(live.services.snapshots.board("CTX").body)
    assert board == fresh


def apply(board, events):
    """A client's board: the state, and every event applied to it."""
    tickets = {t["key"]: t for t in board["tickets"]}
    labels = {x["id"]: x for x in board["labels"]}
    for event in events:
        noun, verb = event["type"].split(".")
        payload = {k: v for k, v in event["payload"].items() if k not in ("changed", "label")}
        if noun == "ticket":
            tickets[payload["key"]] = payload
            if verb == "deleted" or payload["archived"]:
                del tickets[payload["key"]]
        elif noun == "label":
            labels[payload["id"]] = payload
    columns = [column["name"] for column in board["project"]["columns"]]
    last = events[-1]
    return board | {
        "head": position_of(last["id"]),
        "seq": last["seq"],
        "labels": sorted(labels.values(), key=lambda x: x["name"]),
        "tickets": sorted(
            tickets.values(), key=lambda t: (columns.index(t["status"]), t["rank"], t["id"])
        ),
    }


def test_a_token_of_one_ticket_gets_its_ticket_only(live):
    project = live.project()
    mine, other = live.ticket(project), live.ticket(project)
    reader = live.open("CTX", grant=live.grant("agent", ticket=mine.key))
    assert reader.of("hello")[0].data["ticket"] == mine.key
    assert [t["key"] for t in reader.of("state")[0].data["tickets"]] == [mine.key]
    live.retitle(other.key, "x")
    live.retitle(mine.key, "y")
    live.do(projects.patch, project, {"name": "z"}, None)
    assert [event["ticket"] for event in reader.settle().events] == [mine.key]


def test_a_stream_for_a_project_that_is_gone_by_now_ends(live):
    """Deleted between the check of the request and the first frame."""
    project = live.project()
    live.do(projects.delete, project, None)
    for cursor in (None, (epoch_of(live), 1)):
        reader = live.open("CTX", cursor=cursor)
        assert reader.names == ["end"]
        assert reader.last.data["reason"] == "project_deleted"
        assert reader.last.data["reconnect"] is False


def test_a_stream_for_a_token_that_is_revoked_by_now_ends(live):
    from cortex_server.domains import tokens

    live.project()
    live.grant()
    grant = live.grant()
    with live.store.write(ALICE) as tx:
        tokens.revoke(tx, tokens.get(tx, grant.token_id))
    reader = live.open("CTX", grant=grant)
    assert reader.names == ["end"]
    assert reader.last.data["reason"] == "revoked"
