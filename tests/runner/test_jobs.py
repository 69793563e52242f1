"""One attempt from its claim to its end: real server, real repository, real programs."""

import itertools
import json

import pytest
import requests

from tests.support.server import wait_for
from tests.support.workplace import RunnerThread, Workplace, alive, git

# What each agent does, as a shell script in its worktree.
AGENTS = {
    "writes": 'echo working; printf "%s" "$CORTEX_TOKEN" > token; echo new > new.txt',
    "commits": (
        'echo one > one.txt; git add .; git commit -q -m "One of them"\n'
        "while [ ! -e go ]; do sleep 0.05; done; echo two > two.txt"
    ),
    "fails": "echo half > half.txt; echo it broke >&2; exit 3",
    "escapes": "trap '' TERM; setsid sleep 600 & echo $! > child.pid; echo $$ > own.pid; wait",
    "asks": (
        """echo '{"type":"ask","id":"q","title":"Which?","options":["red","blue"]}' >&3\n"""
        "read -r answer <&4; echo \"$answer\" > answer.json"
    ),
    "listens": (
        """echo '{"type":"hello","accepts":["prompt","abort"]}' >&3\n"""
        "echo '{\"type\":\"session\",\"id\":\"main\",\"title\":\"Ready\"}' >&3\n"
        "read -r one <&4; echo \"$one\" > one.json; read -r two <&4; echo \"$two\" > two.json"
    ),
    "looks": 'env > env.txt; cat "$CORTEX_PROMPT_FILE" > prompt.txt',
    "leaves": "setsid sleep 600 >/dev/null 2>&1 & echo $! > child.pid",
    "changes": 'echo "$CORTEX_TICKET" > shared.txt',
    "idles": "echo nothing to do",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(shared_server, tmp_path_factory):
    place = Workplace(shared_server, tmp_path_factory.mktemp("place"))
    values = {"attempts_parallel": 100}
    shared_server.api("PATCH", f"/projects/{place.key}/settings", json={"values": values})
    return place


@pytest.fixture(scope="module")
def crew(place):
    crew = RunnerThread(place, "crew", [place.agent(*agent) for agent in AGENTS.items()])
    yield crew
    crew.stop()
    assert crew.said("error") == []


@pytest.fixture
def settings(place):
    """Change settings of the project for one test."""

    def change(**values):
        path = f"/projects/{place.key}/settings"
        assert place.server.api("PATCH", path, json={"values": values}).ok
        changed.update(dict.fromkeys(values))

    changed = {}
    yield change
    if changed:
        change(**changed)


@pytest.fixture
def run(place, crew):
    """Run an agent to its end, on a ticket of its own; the attempt, and where it worked."""

    def run(agent, *wanted, **fields):
        attempt = place.attempt(agent, place.ticket(f"{agent} it"), **fields)
        return place.wait_for_status(attempt, *(wanted or ("succeeded",)))

    return run


def worktree_of(place, attempt):
    found = place.wait_for_status(attempt, "starting", "running", "waiting")
    wait_for(lambda: place.find(attempt)["worktree"], f"a worktree; {found}")
    return place.worktrees / place.key / place.find(attempt)["worktree"].rpartition("/")[2]


def written(path):
    """What is in a file, as soon as there is a whole line."""
    return wait_for(
        lambda: path.exists() and path.read_text().endswith("\n") and path.read_text(), path
    )


def test_an_attempt_that_succeeds_is_committed_and_pushed(place, run):
    attempt = run("writes")
    assert (attempt["stage"], attempt["exit_code"], attempt["reason"]) == ("done", 0, None)
    branch = f"cortex/{attempt['ticket']}-writes-it-1"
    assert attempt["branch"] == branch
    assert attempt["base"] == git(place.repository, "rev-parse", "main")
    tip = git(place.remote, "rev-parse", branch)
    assert git(place.remote, "show", f"{branch}:new.txt") == "new"
    assert attempt["git"] == {"branch": branch, "head": tip, "ahead": 1, "behind": 0, "changed": 0}
    told = place.server.api("GET", f"/attempts/{attempt['id']}/git").json()
    assert [(commit["sha"], commit["files"]) for commit in told["commits"]] == [(tip, 2)]
    assert [(push["remote"], push["sha"]) for push in told["pushes"]] == [("origin", tip)]
    diff = place.server.api("GET", f"/attempts/{attempt['id']}/diff").json()
    assert "+new\n" in diff["text"]
    assert diff["head"] == tip
    assert "working" in place.said(attempt)


def test_neither_token_nor_home_outlives_it(place, run, crew):
    attempt = run("writes")
    token = git(place.remote, "show", f"{attempt['branch']}:token")
    assert token
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{place.server.url}/api/tickets", headers=headers, timeout=10)
    assert answer.status_code == 401
    wait_for(lambda: attempt["id"] not in str(crew.journal.records()), "the journal forgot it")
    assert not (crew.journal.homes / attempt["id"]).exists()


@pytest.mark.slow
def test_what_it_did_before_it_ended_is_told_while_it_works(place, crew):
    attempt = place.attempt("commits")
    worktree = worktree_of(place, attempt)
    path = f"/attempts/{attempt['id']}/git"
    wait_for(lambda: place.server.api("GET", path).json()["commits"], "the first commit")
    assert place.find(attempt)["status"] == "running"
    (worktree / "go").touch()
    place.wait_for_status(attempt, "succeeded")
    subjects = [commit["subject"] for commit in place.server.api("GET", path).json()["commits"]]
    assert subjects == ["One of them", f"{attempt['ticket']}: Do it"]


def test_one_that_fails_says_why_and_keeps_what_it_left(place, run):
    attempt = run("fails", "failed")
    assert attempt["exit_code"] == 3
    assert "exited with 3: it broke" in attempt["reason"]
    worktree = place.worktrees / place.key / f"{attempt['ticket']}-1"
    assert (worktree / "half.txt").read_text() == "half\n"
    assert attempt["git"]["changed"] == 1
    assert attempt["branch"] not in git(place.remote, "branch", "--list", attempt["branch"])


@pytest.mark.slow
def test_stop_means_that_all_of_it_is_dead(place, crew):
    attempt = place.attempt("escapes")
    worktree = worktree_of(place, attempt)
    pids = [int(written(worktree / name)) for name in ("own.pid", "child.pid")]
    assert all(map(alive, pids))
    place.server.make(f"/attempts/{attempt['id']}/stop")
    ended = place.wait_for_status(attempt, "cancelled")
    assert not any(map(alive, pids))
    assert ended["reason"].startswith("Stopped by")
    assert (worktree / "own.pid").exists()


def test_what_it_leaves_running_is_ended_with_it(place, run):
    attempt = run("leaves")
    assert not alive(int(git(place.remote, "show", f"{attempt['branch']}:child.pid")))


def test_settings_decide_what_becomes_of_the_work(place, run, settings):
    settings(commit_uncommitted=False)
    attempt = run("writes")
    assert attempt["git"]["changed"] == 2
    assert git(place.remote, "branch", "--list", attempt["branch"]) == ""
    settings(commit_uncommitted=True, push=False)
    attempt = run("writes")
    assert attempt["git"]["changed"] == 0
    assert git(place.remote, "branch", "--list", attempt["branch"]) == ""


def test_nothing_is_pushed_where_nothing_was_done(place, run):
    attempt = run("idles")
    assert git(place.remote, "branch", "--list", attempt["branch"]) == ""


def test_a_base_that_is_not_there_is_the_reason(run):
    attempt = run("idles", "failed", base="no-such-branch")
    assert "could not be prepared" in attempt["reason"]
    assert "no-such-branch" in attempt["reason"]


def test_it_begins_from_the_base_that_was_asked_for(place, run):
    git(place.repository, "branch", "older")
    attempt = run("idles", base="older")
    assert attempt["base"] == git(place.repository, "rev-parse", "older")


@pytest.mark.slow
def test_a_push_that_fails_is_the_reason_and_the_work_is_kept(place, run):
    hidden = place.remote.rename(place.remote.with_name("hidden"))
    try:
        attempt = run("writes", "failed")
    finally:
        hidden.rename(place.remote)
    assert f"It is on branch {attempt['branch']} here" in attempt["reason"]
    assert git(place.repository, "show", f"{attempt['branch']}:new.txt") == "new"


def test_a_question_is_answered_from_the_board(place, crew):
    attempt = place.attempt("asks")
    place.wait_for_status(attempt, "waiting")
    (asked,) = place.server.api("GET", f"/permissions?ticket={attempt['ticket']}").json()["items"]
    place.server.make(f"/permissions/{asked['id']}/reply", choices=["blue"])
    ended = place.wait_for_status(attempt, "succeeded")
    answer = json.loads(git(place.remote, "show", f"{ended['branch']}:answer.json"))
    assert (answer["id"], answer["choices"]) == ("q", ["blue"])


def test_prompts_and_aborts_come_from_the_board_in_their_order(place, crew):
    attempt = place.attempt("listens")
    session = place.wait_for_status(attempt, "running")["session"]
    shown = f"/sessions/{session}"  # its title says that the program takes prompts by now
    wait_for(lambda: place.server.api("GET", shown).json()["title"] == "Ready", "it listens")
    place.server.make(f"/sessions/{session}/prompt", text="go on")
    place.server.make(f"/sessions/{session}/abort")
    ended = place.wait_for_status(attempt, "succeeded")
    told = [
        json.loads(git(place.remote, "show", f"{ended['branch']}:{name}.json"))
        for name in ("one", "two")
    ]
    assert [(one["type"], one.get("text"), one["session"]) for one in told] == [
        ("prompt", "go on", "main"),
        ("abort", None, "main"),
    ]
    crew_id = place.server.api("GET", "/runners").json()["items"][0]["id"]
    path = f"/runners/{crew_id}/commands"
    wait_for(lambda: not place.server.api("GET", path).json()["items"], "all acknowledged")


def test_it_finds_the_board_in_its_environment_and_nothing_of_the_owner(place, run):
    place.server.api("PUT", f"/projects/{place.key}/memory/style", json={"body": "Use tabs."})
    attempt = run("looks", prompt="Be quick.")
    shown = git(place.remote, "show", f"{attempt['branch']}:env.txt")
    found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    assert found["CORTEX_TICKET"] == attempt["ticket"]
    assert found["CORTEX_URL"] == place.server.url
    assert found["CORTEX_SESSION"] == attempt["session"]
    assert place.token not in shown
    assert found["HOME"] != place.server.env["HOME"]
    prompt = git(place.remote, "show", f"{attempt['branch']}:prompt.txt")
    order = [f"{attempt['ticket']}: looks it", "Be quick.", "Use tabs."]
    places = [prompt.index(text) for text in order]
    assert all(one < two for one, two in itertools.pairwise(places))


def test_each_stage_is_told_in_its_order(crew, run):
    attempt = run("writes")
    stages = [
        line["stage"] for line in crew.said("attempt.stage") if line["attempt"] == attempt["id"]
    ]
    assert stages == ["preparing", "executing", "committing", "pushing", "opening_pr", "done"]


def batch_of(place, agent, *, on_conflict, tickets=2):
    """Run a batch to its end; the batch, with its rows in their order."""
    batch = place.server.make(
        f"/projects/{place.key}/batches", tickets=[place.ticket() for _ in range(tickets)],
        mode="sequential", agent=agent, on_conflict=on_conflict, merge=True,
    )  # fmt: skip
    path = f"/batches/{batch['id']}"
    wait_for(lambda: place.server.api("GET", path).json()["ended_at"], "the batch is over")
    return place.server.api("GET", path).json()


@pytest.mark.usefixtures("crew")
def test_a_conflict_ends_a_batch_that_is_to_fail_and_names_the_files(place):
    batch = batch_of(place, "changes", on_conflict="fail", tickets=3)
    assert batch["status"] == "failed"
    one, two, three = batch["tickets"]
    assert (one["status"], two["files"]) == ("merged", ["shared.txt"])
    assert three["commit"] is None
    assert git(place.repository, "status", "--porcelain") == ""
    assert git(place.remote, "branch", "--list", "cortex/batch-*") == ""


@pytest.mark.usefixtures("crew")
def test_a_batch_is_merged_and_pushed_and_its_tickets_get_no_page_of_their_own(place):
    git(place.repository, "remote", "set-url", "origin", "https://github.com/a/b.git")
    git(place.repository, "remote", "set-url", "--push", "origin", str(place.remote))
    try:
        batch = batch_of(place, "writes", on_conflict="skip", tickets=1)
    finally:
        git(place.repository, "remote", "set-url", "--delete", "--push", "origin", ".*")
        git(place.repository, "remote", "set-url", "origin", str(place.remote))
    assert batch["status"] == "completed"
    assert git(place.remote, "rev-parse", batch["branch"]) == batch["commit"]
    assert f"compare/main...{batch['branch']}" in batch["compare_url"]
    attempt = place.server.api("GET", f"/attempts/{batch['tickets'][0]['attempt']}").json()
    assert attempt["compare_url"] is None
