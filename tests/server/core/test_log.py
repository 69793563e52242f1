"""The contract of the event log, on both databases."""

import json

import pytest
from sqlalchemy import text

from cortex_server import log
from cortex_server.domains import projects, teams, tickets
from cortex_server.errors import CursorExpired, Unavailable
from cortex_server.log import Draft, LoggedEvent
from tests.support.stores import ALICE, read_log


def positions(events):
    return [event.position for event in events]


def draft(tx, kind, project, ticket=None, payload="{}"):
    tx.drafts.append(Draft(kind, project, ticket, tx.now, ALICE.kind, ALICE.name, payload))


def write(store, *names, payload="{}"):
    """One transaction with an event for each project named; "" is none."""
    with store.write(ALICE) as tx:
        for name in names:
            draft(tx, "x.y", name, payload=payload)


@pytest.fixture
def two(do):
    do(projects.create, {"key": "A", "name": "a"})
    do(projects.create, {"key": "b", "name": "b"})


def test_positions_and_seqs_are_contiguous_in_commit_order(store, two):
    write(store, "A", "b", "A", "")
    write(store, "b")
    events = read_log(store, 2).events
    assert positions(events) == [3, 4, 5, 6, 7]
    assert [(e.project, e.seq) for e in events] == [
        ("A", 2), ("b", 2), ("A", 3), ("", None), ("b", 3),
    ]  # fmt: skip


def test_a_rollback_leaves_no_hole(store, do, two):
    def fail(tx):
        draft(tx, "x.y", "A")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do(fail)
    write(store, "A")
    (event,) = read_log(store, 2).events
    assert (event.position, event.seq) == (3, 2)


def test_a_failure_while_appending_leaves_no_hole(store, two):
    with pytest.raises(Unavailable):
        write(store, "A", "nowhere")
    write(store, "A")
    (event,) = read_log(store, 2).events
    assert (event.position, event.seq) == (3, 2)


def test_an_event_has_all_that_was_given(store, clock, two):
    with store.write(ALICE) as tx:
        draft(tx, "ticket.created", "A", "A-1", '{"a":"\\u2028"}')
    (event,) = read_log(store, 2).events
    assert (event.type, event.project, event.ticket) == ("ticket.created", "A", "A-1")
    assert event.at == "2026-01-26T15:53:01.717454Z"
    document = json.loads(event.data)
    assert list(document) == ["id", "type", "project", "seq", "ticket", "at", "actor", "payload"]
    assert document["actor"] == {"kind": "user", "name": "alice"}
    assert document["payload"] == {"a": "\u2028"}


def test_a_frame_is_one_line_of_ascii_whatever_is_in_it():
    hard = 'a\r\nb\x85c\u2028d\u2029e\x00f\ud7ff😀"}\n\nevent: end'
    event = LoggedEvent(
        "8f3c", 7, "team.created", "", None, None, "t", "user", hard, log.encode({"x": hard})
    )
    assert event.frame.isascii()
    frame = event.frame.decode()
    assert frame.splitlines() == frame.split("\n")[:-1]
    id_line, event_line, data_line, blank = frame.splitlines()
    assert (id_line, event_line, blank) == ("id: 8f3c.7", "event: team.created", "")
    document = json.loads(data_line.removeprefix("data: "))
    assert document["payload"]["x"] == document["actor"]["name"] == hard
    assert document["project"] is document["seq"] is document["ticket"] is None


def test_pages_follow_each_other_until_the_head(store, two):
    for _ in range(10):
        write(store, "A")
    cursor, seen, pages = 0, [], 0
    while True:
        page = read_log(store, cursor, limit=5)
        seen += positions(page.events)
        cursor, pages = page.cursor, pages + 1
        if page.done:
            break
    assert seen == list(range(1, 13))
    assert cursor == 12
    assert pages == 3


def test_a_page_that_ends_just_at_the_head_is_followed_by_an_empty_one(store, two):
    first = read_log(store, 0, limit=2)
    assert (positions(first.events), first.cursor, first.done) == ([1, 2], 2, False)
    second = read_log(store, 2, limit=2)
    assert (positions(second.events), second.cursor, second.done) == ([], 2, True)


def test_a_page_is_bounded_in_bytes_by_its_last_event(store, two):
    for _ in range(5):
        write(store, "A", payload=json.dumps("x" * 1000))
    page = read_log(store, 2, max_bytes=2500)
    assert positions(page.events) == [3, 4, 5]
    assert (page.cursor, page.done) == (5, False)
    one = read_log(store, 2, max_bytes=1)
    assert positions(one.events) == [3]


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
def test_the_filter_gives_the_projects_and_the_events_of_none(store, two, limit):
    for names in (("A", "", "b"), ("b", "b", "A"), ("",)):
        write(store, *names)
    wanted = {
        None: list(range(1, 10)), ("A",): [1, 3, 4, 8, 9], ("b",): [2, 4, 5, 6, 7, 9],
        ("A", "b"): list(range(1, 10)), ("other",): [4, 9], (): [4, 9],
    }  # fmt: skip
    for keys, expected in wanted.items():
        cursor, seen = 0, []
        while True:
            page = read_log(store, cursor, keys, limit=limit)
            seen += positions(page.events)
            assert page.cursor >= cursor
            cursor = page.cursor
            if page.done:
                break
        assert seen == expected, keys
        assert cursor == 9


def test_a_filtered_page_that_is_the_last_reaches_the_head(store, two):
    write(store, "b", "b")
    page = read_log(store, 2, ("A",))
    assert (page.events, page.cursor, page.done) == ([], 4, True)


def test_the_filter_takes_the_key_as_written(store, two):
    assert positions(read_log(store, 0, ("a",)).events) == []


def test_a_filtered_page_is_bounded_in_bytes_too(store, two):
    for _ in range(5):
        write(store, "A", "b", payload=json.dumps("x" * 1000))
    page = read_log(store, 2, ("A",), max_bytes=2500)
    assert positions(page.events) == [3, 5, 7]


def test_a_cursor_beyond_the_head_gives_nothing_and_stays(store, two):
    page = read_log(store, 99)
    assert (page.events, page.cursor, page.done) == ([], 99, True)


@pytest.fixture
def aged(store, clock, two):
    """Seven events: two of the first day, then one each following day."""
    for _ in range(5):
        clock.advance(86_400)
        write(store, "A")


def day(number):
    return f"2026-01-{26 + number}T15:53:01.717454Z"


def prune(store, before, keep):
    with store.write(ALICE) as tx:
        return log.prune(tx.conn, before, keep)


def state(store):
    with store.read() as tx:
        return log.state(tx.conn)


@pytest.mark.parametrize(
    ("before", "keep", "floor"),
    [
        (day(0), 100, 0),  # an event as old as the limit stays
        (day(1), 100, 2),
        (day(3), 100, 4),
        ("9", 100, 7),
        (day(0), 3, 4),
        (day(0), 0, 7),
        (day(4), 4, 5),  # whichever is stricter
        (day(2), 1, 6),
    ],
)
def test_pruning_by_age_and_count_raises_the_floor(store, aged, before, keep, floor):
    assert prune(store, before, keep) == floor
    assert (state(store).floor, state(store).head) == (floor, 7)
    kept = read_log(store, floor)
    assert positions(kept.events) == list(range(floor + 1, 8))
    assert kept.cursor == 7


def test_below_the_floor_a_cursor_has_expired(store, aged):
    prune(store, day(0), 3)
    for cursor in (0, 3):
        with pytest.raises(CursorExpired):
            read_log(store, cursor)
    assert positions(read_log(store, 4).events) == [5, 6, 7]


def test_the_floor_never_falls_and_the_count_goes_on(store, aged):
    prune(store, "9", 0)
    assert prune(store, day(0), 100) == 7
    write(store, "A", "b")
    events = read_log(store, 7).events
    assert [(e.position, e.seq) for e in events] == [(8, 7), (9, 2)]


def test_a_long_log_is_pruned_in_slices(store, aged):
    with store.write(ALICE) as tx:
        assert log.prune(tx.conn, "9", 0, most=5) == 5
    with store.write(ALICE) as tx:
        assert log.prune(tx.conn, "9", 0, most=5) == 7


def test_an_event_of_a_wrong_clock_takes_no_newer_ones_along(store, clock, aged):
    """A machine that starts in 1970 for a moment must not cost the log of yesterday."""
    clock.advance(-56 * 365 * 86_400)
    write(store, "A")
    assert prune(store, day(1), 100) == 2


def test_pruning_an_empty_log_is_nothing(store):
    assert prune(store, "9", 0) == 0


def test_seq_of_a_project_that_never_was_is_zero(store, two):
    with store.read() as tx:
        assert [log.seq_of(tx.conn, key) for key in ("A", "a", "B", "zz")] == [1, 1, 1, 0]


def test_the_seq_of_a_deleted_project_goes_on_under_the_same_key(store, do, two):
    gone = projects.get
    with store.write(ALICE) as tx:
        projects.delete(tx, gone(tx, "A"), None)
    do(projects.create, {"key": "a", "name": "again"})
    events = read_log(store, 2).events
    assert [(e.type, e.project, e.seq) for e in events] == [
        ("project.deleted", "A", 2), ("project.created", "a", 3),
    ]  # fmt: skip


def test_the_same_holds_within_one_commit(store, do, two):
    with store.write(ALICE) as tx:
        draft(tx, "x.y", "b")
        projects.delete(tx, projects.get(tx, "b"), None)
        projects.create(tx, {"key": "B", "name": "again"})
        draft(tx, "x.y", "B")
    seqs = [(e.project, e.seq) for e in read_log(store, 2).events]
    assert seqs == [("b", 2), ("b", 3), ("B", 4), ("B", 5)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("8f3c.1042", ("8f3c", 1042)), ("8f3c.0", ("8f3c", 0)), ("a.000007", ("a", 7)),
        ("8f3c", None), ("8f3c.", None), (".5", None), ("8f3c.-1", None), ("8f3c.1.5", None),
        ("8f3c.1_0", None), ("8f3c.١", None), ("8f3c.+1", None), ("8f 3c.1", None), ("", None),
        ("8f3c.1\n", None), ("8f3c." + "9" * 19, None), ("e" * 65 + ".1", None),
    ],
)  # fmt: skip
def test_a_cursor_is_an_epoch_and_a_position(given, expected):
    assert log.parse_cursor(given) == expected


@pytest.mark.parametrize(
    ("cursor", "fault"),
    [
        (("e", 3), None), (("e", 10), None), (("e", 2), "expired"), (("e", 11), "future"),
        (("f", 5), "epoch"), (("f", 0), "epoch"), (("f", 99), "epoch"),
    ],
)  # fmt: skip
def test_why_a_cursor_cannot_be_served(cursor, fault):
    assert log.fault(cursor, log.LogState("e", 10, 3)) == fault


def test_a_filtered_page_is_found_by_the_index(sqlite_store):
    """Neither sorts the payloads nor looks at other projects' events."""
    with sqlite_store.read() as tx:
        query = log._query(5, ("A",), 500).compile(
            tx.conn.engine, compile_kwargs={"literal_binds": True}
        )
        plan = [row[-1] for row in tx.conn.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
    assert not [step for step in plan if step.startswith("SCAN events")], plan
    assert not [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step], plan


def test_reading_the_log_changes_nothing_for_later_statements_of_the_transaction(store, two):
    """It reads row by row, which on PostgreSQL no writing statement could do."""
    with store.write(ALICE) as tx:
        assert len(log.after(tx.conn, 0).events) == 2
        teams.create(tx, {"key": "T", "name": "t"})
        project = projects.get(tx, "A")
        tickets.create(tx, project, {"title": "x"})
    assert state(store).head == 4
