"""Events on the board: afterwards it is what the server would answer for that head."""

import pytest

from cortex_cli.board.apply import apply, put_ticket
from cortex_cli.board.wire import Board, Ticket
from tests.board import samples
from tests.board.samples import event

START = samples.board()


def after(*changes, body=None):
    held = Board.read(body or START)
    for change in changes:
        applied = apply(held, change)
        assert not applied.hole
        held = applied.board
    return held


def expected(seq=11, **changes):
    return Board.read(samples.board(**changes) | {"seq": seq})


def tickets(*changed, without=()):
    by_id = {t["id"]: t for t in START["tickets"]} | {t["id"]: t for t in changed}
    return [t for t in by_id.values() if t["id"] not in without]


NEW = samples.ticket(9, "done")
EDITED = samples.ticket(1, title="Other", revision=2)
MOVED = samples.ticket(1, "done", rank="z", revision=2)
ARCHIVED = samples.ticket(1, archived=True, revision=2)
LABELED = samples.ticket(2, labels=["ui"], revision=2)
RENAMED = samples.project(
    name="Other", columns=[{"name": "backlog", "title": "Ideas", "wip_limit": 1}], revision=2
)
DONE_SESSION = samples.session(1, "CTX-3", "ended", outcome="succeeded", revision=2)
NEW_LABEL = samples.label(2, "api")

ASKED, RUNNING = samples.permission(1, "CTX-4"), samples.attempt(1, "CTX-4", session="s2")
SECOND, FAILED = samples.attempt(2, "CTX-1"), RUNNING | {"status": "failed"}
WORKING = {
    "attempts": [RUNNING], "permissions": [ASKED],
    "batches": [samples.batch(1, samples.batch_ticket("CTX-4"), samples.batch_ticket("CTX-1"))],
}  # fmt: skip
PART = {"attempt": "a1", "revision": 2, "updated_at": "2026-01-26T15:54:00Z"}
LATER = {"revision": 2, "updated_at": "2026-01-26T15:54:00Z"}
TODO, GIT = (
    {"text": "T", "status": "pending"},
    {"branch": "b", "head": "h", "ahead": 1, "behind": 0},
)
WORK_CASES = {
    "attempt.started": (SECOND, {"attempts": [RUNNING, SECOND]}),
    "attempt.status": (FAILED, {"attempts": [FAILED]}),
    "attempt.progress": (
        PART | {"stage": "pushing", "progress": "half"},
        {"attempts": [RUNNING | LATER | {"stage": "pushing", "progress": "half"}]},
    ),
    "attempt.todos": (
        PART | {"todos": [TODO]}, {"attempts": [RUNNING | LATER | {"todos": [TODO]}]}
    ),
    "attempt.pr": (
        PART | {"state": "open", "url": "u", "number": 1, "compare_url": "c"},
        {
            "attempts": [
                RUNNING
                | LATER
                | {"pr": {"state": "open", "url": "u", "number": 1}, "compare_url": "c"}
            ]
        },
    ),
    "git.status": (
        PART | GIT | {"changed": 3, "files": [], "more": 0},
        {"attempts": [RUNNING | LATER | {"git": GIT | {"changed": 3}}]},
    ),
    "attempt.session": (
        PART | {"session": "s9", "root": True},
        {"attempts": [RUNNING | LATER | {"session": "s9"}]},
    ),
    "attempt.log": (samples.entry(1, "x"), {}),
    "git.commit": ({"attempt": "a1", "sha": "s"}, {}),
    "git.push": ({"attempt": "a1", "sha": "s"}, {}),
    "opencode.status": (samples.instance(1, "CTX-4"), {}),
    "permission.asked": (
        samples.permission(2, "CTX-1"),
        {"permissions": [ASKED, samples.permission(2, "CTX-1")]},
    ),
    "permission.replied": (ASKED | {"state": "answered", "revision": 2}, {"permissions": []}),
    "batch.created": (samples.batch(2), {"batches": [*WORKING["batches"], samples.batch(2)]}),
    "batch.merging": (
        samples.batch(1, status="merging"), {"batches": [samples.batch(1, status="merging")]}
    ),
    "batch.ticket.failed": (
        samples.batch_ticket("CTX-1", "failed", error="no", files=["a"]),
        {"batches": [samples.batch(
            1, samples.batch_ticket("CTX-4"),
            samples.batch_ticket("CTX-1", "failed", error="no", files=["a"]),
        )]},
    ),
    "ticket.deleted": (
        {"id": "t004", "key": "CTX-4"},
        {
            "tickets": tickets(without=["t004"]), "sessions": [START["sessions"][0]],
            "attempts": [], "permissions": [],
        },
    ),
}  # fmt: skip

CASES = {
    "project.created": (samples.project(), {}),
    "project.updated": (RENAMED, {"project": RENAMED}),
    "label.created": (NEW_LABEL, {"labels": [samples.label(1, "ui"), NEW_LABEL]}),
    "label.updated": (
        samples.label(1, "UI", revision=2),
        {"labels": [samples.label(1, "UI", revision=2)]},
    ),
    "label.deleted": ({"id": "l1", "name": "ui"}, {"labels": []}),
    "ticket.created": (NEW, {"tickets": tickets(NEW)}),
    "ticket.updated": (
        EDITED | {"changed": {"title": {"from": "Write the parser", "to": "Other"}}},
        {"tickets": tickets(EDITED)},
    ),
    "ticket.moved": (
        MOVED | {"changed": {"status": {"from": "backlog", "to": "done"}}},
        {"tickets": tickets(MOVED)},
    ),
    "ticket.labeled": (LABELED | {"label": samples.label(1, "ui")}, {"tickets": tickets(LABELED)}),
    "ticket.unlabeled": (
        EDITED | {"label": samples.label(1, "ui")},
        {"tickets": tickets(EDITED)},
    ),
    "ticket.deleted": (
        {"id": "t003", "key": "CTX-3"},
        {
            "tickets": tickets(without=["t003"]),
            "sessions": [samples.session(2, "CTX-4", "awaiting_input")],
        },
    ),
    "session.started": (
        samples.session(3, "CTX-1"),
        {"sessions": [*START["sessions"], samples.session(3, "CTX-1")]},
    ),
    "session.updated": (
        samples.session(1, "CTX-3", title="T", revision=2),
        {"sessions": [samples.session(1, "CTX-3", title="T", revision=2), START["sessions"][1]]},
    ),
    "session.status": (
        samples.session(1, "CTX-3", "error", revision=2),
        {"sessions": [samples.session(1, "CTX-3", "error", revision=2), START["sessions"][1]]},
    ),
    "session.ended": (DONE_SESSION, {"sessions": [START["sessions"][1]]}),
    "review.requested": (
        samples.review(2, "CTX-1"),
        {"reviews": [*START["reviews"], samples.review(2, "CTX-1")]},
    ),
    "review.resolved": (samples.review(1, "CTX-5", "approved", revision=2), {"reviews": []}),
    "comment.added": (samples.comment(1, "CTX-1"), {}),
    "comment.updated": (samples.comment(1, "CTX-1"), {}),
    "comment.deleted": ({"id": "c1", "ticket": "CTX-1"}, {}),
    "message.created": (samples.message(1, "s1"), {}),
    "message.updated": (samples.message(1, "s1"), {}),
    "settings.updated": ({"scope": "project", "project": "CTX", "values": {}, "revision": 2}, {}),
    "nobody.knows_this": ({"anything": 1}, {}),
}


@pytest.mark.parametrize("kind", CASES)
def test_the_board_after(kind):
    payload, changes = CASES[kind]

    assert after(event(kind, payload, 11)) == expected(**changes)


@pytest.mark.parametrize("kind", WORK_CASES)
def test_agents_at_work_on_the_board_after(kind):
    payload, changes = WORK_CASES[kind]
    body = samples.board(**WORKING)

    once = after(event(kind, payload, 11), body=body)

    assert once == expected(**(WORKING | changes))
    assert apply(once, event(kind, payload, None)).board == once


def test_an_older_part_of_an_attempt_changes_nothing():
    body = samples.board(attempts=[RUNNING | {"revision": 5, "stage": "done"}])
    older = PART | {"stage": "pushing", "progress": None}

    assert after(event("attempt.progress", older, 11), body=body).attempts["a1"].stage == "done"


def test_a_part_of_an_attempt_that_is_no_longer_shown_is_no_hole():
    assert after(event("attempt.pr", PART | {"state": "merged"}, 11)).attempts == {}


@pytest.mark.parametrize("kind", CASES)
def test_an_event_that_comes_again_changes_nothing(kind):
    once = after(event(kind, CASES[kind][0], 11))

    assert apply(once, event(kind, CASES[kind][0], 11)).board == once


def test_archiving_takes_a_ticket_off_the_board_and_restoring_brings_it_back():
    gone = after(event("ticket.updated", ARCHIVED, 11))
    back = after(
        event("ticket.updated", ARCHIVED, 11),
        event("ticket.updated", ARCHIVED | {"archived": False, "revision": 3}, 12),
    )

    assert "t001" not in gone.tickets
    assert "t001" in back.tickets


def test_deleting_the_project_is_told():
    applied = apply(Board.read(START), event("project.deleted", {"id": "p1", "key": "CTX"}, 11))

    assert applied.deleted


def test_events_of_the_server_and_of_other_projects_change_nothing():
    start = Board.read(START)

    for change in (
        event("team.created", {"id": "x", "key": "T"}, None, project=None),
        event("settings.updated", {"scope": "global"}, None, project=None),
        event("ticket.created", samples.ticket(99), 11, project="OTHER"),
    ):
        assert apply(start, change).board == start


def test_cards_are_ordered_by_column_rank_and_id():
    body = samples.board(
        tickets=[samples.ticket(n, rank=rank) for n, rank in ((1, "b"), (2, "a"), (3, "b"))]
    )

    assert [t.id for t in Board.read(body).columns["backlog"]] == ["t002", "t001", "t003"]


@pytest.mark.parametrize(
    "change",
    [
        event("ticket.created", NEW, 12),
        event("ticket.created", NEW, 11, gap=3),
        event("ticket.created", {"title": "no id"}, 11),
        event("ticket.deleted", {"key": "CTX-1"}, 11),
    ],
    ids=["a hole", "a known gap", "unreadable", "unreadable deletion"],
)
def test_what_cannot_be_applied_asks_for_the_board(change):
    applied = apply(Board.read(START), change)

    assert applied.hole
    assert applied.board == Board.read(START)


def test_an_answer_never_brings_back_what_left_or_was_newer():
    start = after(event("ticket.updated", EDITED, 11))

    assert put_ticket(start, Ticket.read(samples.ticket(1, title="Older"))) is start
    assert put_ticket(start, Ticket.read(NEW)) is start


@pytest.mark.parametrize("junk", [None, [], {}, {"project": 1}, {"project": {"id": "p"}}])
def test_junk_is_refused_or_read_as_empty(junk):
    try:
        assert Board.read(junk).tickets == {}
    except ValueError:
        pass
