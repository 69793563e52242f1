"""What an attempt does to its repository: only news are events, told as they are stored."""

import pytest

from cortex_server.domains import attempt_git, attempts, settings, tickets
from cortex_server.errors import Conflict, NotFound
from tests.support.at_work import RUNNER, claimed

STATUS = {
    "branch": "cortex/CTX-1-build-it-1", "head": "a" * 40, "ahead": 1, "behind": 0,
    "files": [{"path": "a.py", "status": "modified"}], "more": 0,
}  # fmt: skip
URL = "https://forge.example/pull/7"


@pytest.fixture
def attempt(do, ticket, happened):
    made = claimed(do, ticket)
    happened()
    return made


def commit(sha, subject="Fix it"):
    return {
        "sha": sha * 40, "subject": subject, "author": "An Agent", "at": "2026-01-26T15:53:01.0Z",
        "files": 1, "insertions": 2, "deletions": 3,
    }  # fmt: skip


def again(do, attempt):
    return do(attempts.get, attempt.id)


def test_a_status_is_told_when_it_is_another(do, attempt, happened):
    updated = do(attempt_git.status, attempt, STATUS)
    assert updated.git.model_dump() == {
        "branch": STATUS["branch"], "head": STATUS["head"], "ahead": 1, "behind": 0, "changed": 1,
    }  # fmt: skip
    event = happened.one()
    assert event["type"] == "git.status"
    assert event["payload"] == {
        **updated.git.model_dump(), "attempt": attempt.id, "files": STATUS["files"], "more": 0,
        "revision": updated.revision, "updated_at": updated.updated_at,
    }  # fmt: skip
    assert do(attempt_git.status, again(do, attempt), STATUS).revision == updated.revision
    assert happened() == []
    other = [{"path": "b.py", "status": "added"}]
    do(attempt_git.status, again(do, attempt), {**STATUS, "files": other})
    assert happened.types() == ["git.status"], "as many files, but others"


def test_of_many_files_the_first_are_told(do, see, attempt, happened):
    files = [{"path": f"{n}.py", "status": "added"} for n in range(250)]
    do(attempt_git.status, attempt, {**STATUS, "files": files, "more": 10})
    told = happened.one()["payload"]
    assert (len(told["files"]), told["more"], told["changed"]) == (200, 60, 260)
    assert len(see(attempt_git.of_attempt, again(do, attempt)).files) == 200


def test_a_commit_is_told_once(do, see, attempt, happened):
    do(attempt_git.commits, attempt, [commit("a"), commit("b"), commit("a")])
    new = do(attempt_git.commits, attempt, [commit("b"), commit("c")])
    assert [made.sha[0] for made in new] == ["c"]
    events = happened()
    assert [event["payload"]["sha"][0] for event in events] == ["a", "b", "c"]
    stored = see(attempt_git.of_attempt, attempt).commits
    assert [event["payload"] for event in events] == [made.json_dict() for made in stored]


def test_a_push_is_told_and_its_repetition_is_not(do, see, attempt, happened):
    pushed = {"remote": "https://me:secret@forge.example/x", "branch": "b", "sha": "a" * 40}
    do(attempt_git.push, attempt, pushed)
    do(attempt_git.push, attempt, pushed)
    do(attempt_git.push, attempt, {**pushed, "sha": "b" * 40})
    events = happened()
    assert [event["type"] for event in events] == ["git.push", "git.push"]
    assert "secret" not in str(events)
    assert [made.sha[0] for made in see(attempt_git.of_attempt, attempt).pushes] == ["a", "b"]


def test_todos_are_told_when_they_change(do, attempt, happened):
    items = [{"text": "Look", "status": "completed"}, {"text": "Fix", "status": "pending"}]
    done = do(attempt_git.todos, attempt, items)
    do(attempt_git.todos, again(do, attempt), items)
    event = happened.one()
    assert (event["type"], event["payload"]["todos"]) == ("attempt.todos", items)
    assert event["payload"]["revision"] == done.revision == attempt.revision + 1


def test_a_merged_pull_request_moves_the_ticket_also_after_the_end(do, see, attempt, happened):
    opened = {"state": "open", "url": URL, "number": 7, "compare_url": f"{URL}/compare"}
    do(attempt_git.pull_request, attempt, opened)
    do(attempt_git.pull_request, again(do, attempt), {"state": "open", "url": URL})
    first = happened.one()
    assert first["type"] == "attempt.pr"
    assert (first["payload"]["number"], first["payload"]["url"]) == (7, URL)
    do(attempts.end, attempt.id, attempt.generation, "succeeded")
    happened()
    over = do(attempt_git.of_claim, attempt.id, attempt.generation)
    merged = do(attempt_git.pull_request, over, {"state": "merged", "url": URL})
    assert happened.types() == ["attempt.pr", "ticket.moved"]
    assert see(tickets.get, attempt.ticket).status == "done"
    assert merged.pr.model_dump() == {"state": "merged", "url": URL, "number": 7}
    assert merged.compare_url == f"{URL}/compare"
    with pytest.raises(Conflict) as refused:
        do(attempt_git.pull_request, merged, {"state": "open", "url": URL})
    assert refused.value.code == "merged"
    with pytest.raises(Conflict) as refused:
        do(attempt_git.of_claim, attempt.id, attempt.generation + 1)
    assert refused.value.code == "stale_generation"


def test_without_a_pull_request_there_is_the_page_to_open_one(do, attempt, happened):
    page = {"state": "open", "url": None, "compare_url": f"{URL}/compare"}
    told = do(attempt_git.pull_request, attempt, page)
    assert (told.pr, told.compare_url) == (None, f"{URL}/compare")
    do(attempt_git.pull_request, told, page)
    assert happened.types() == ["attempt.status"]


def test_a_merge_without_a_pull_request_counts(do, attempt, happened):
    do(settings.patch, attempt.project, {"merged_moves_to": "review"}, None)
    happened()
    merged = do(attempt_git.pull_request, attempt, {"state": "merged", "url": None})
    assert (merged.pr.state, merged.pr.url) == ("merged", None)
    assert happened.types() == ["attempt.pr", "ticket.moved"]


def test_a_diff_is_kept_and_replaced_without_an_event(do, see, attempt, happened):
    with pytest.raises(NotFound):
        see(attempt_git.diff_of, attempt)
    diff = {"base": "main", "head": "a" * 40, "text": "-a\n+b\n", "truncated": False}
    do(attempt_git.put_diff, attempt, diff, actor=RUNNER)
    do(attempt_git.put_diff, attempt, {**diff, "text": "+é\n" * 200_000}, actor=RUNNER)
    kept = see(attempt_git.diff_of, attempt)
    assert kept.truncated
    size = len(kept.text.encode())
    assert attempt_git.DIFF_MAX - 4 <= size <= attempt_git.DIFF_MAX
    assert kept.text.endswith("é\n")
    assert happened() == []
