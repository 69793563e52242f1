"""The runner as people start it: a process with a restricted token, signals, and a server."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.support.server import ROOT, wait_for
from tests.support.workplace import RunnerProcess, Workplace, alive, git

NUMBERS = itertools.count(1)
SLEEPS = "echo $$ > own.pid; setsid sleep 600 & echo $! > child.pid; wait"
DEAF = f"trap '' TERM; {SLEEPS}; sleep 600"


@pytest.fixture
def place(shared_server, tmp_path):
    return Workplace(shared_server, tmp_path, key=f"P{next(NUMBERS)}")


@pytest.fixture
def start(place):
    """Start runners for this project; all are ended with the test."""
    started = []

    def start(name, agents, *options, projects=(place.key,), **more):
        limits = [part for key in projects for part in ("--project", key)]
        started.append(RunnerProcess(place, name, agents, *limits, *options, **more))
        return started[-1]

    yield start
    for runner in started:
        runner.kill()


def pids_of(place, attempt):
    """The processes of an attempt that runs SLEEPS, as soon as they all live."""
    worktree = place.worktrees / place.key / f"{attempt['ticket']}-{attempt['number']}"

    def read():
        found = [worktree / name for name in ("own.pid", "child.pid")]
        texts = [path.read_text() for path in found if path.exists()]
        whole = len(texts) == 2 and all(text.endswith("\n") for text in texts)
        return [int(text) for text in texts] if whole else None

    return wait_for(read, f"processes in {worktree}")


def runner_status(place, name):
    runners = place.server.api("GET", "/runners").json()["items"]
    return next(runner["status"] for runner in runners if runner["name"] == name)


@pytest.mark.slow
def test_sigterm_ends_the_agents_tells_it_and_leaves(place, start):
    runner = start("one", [place.agent("sleeps", SLEEPS)])
    attempt = place.attempt("sleeps")
    pids = pids_of(place, attempt)
    waiting = place.attempt("sleeps", place.ticket())
    place.wait_for_status(waiting, "running")
    queued = place.attempt("sleeps", place.ticket())
    assert runner.stop() == 0
    assert not any(map(alive, pids))
    ended = place.find(attempt)
    assert (ended["status"], ended["reason"]) == (
        "cancelled", "The runner was stopped; the worktree is kept.",
    )  # fmt: skip
    assert place.find(queued)["status"] == "queued"
    assert runner_status(place, "one") == "offline"
    assert Path(ended["worktree"], "own.pid").exists()


def test_a_second_signal_kills_what_does_not_want_to_end(place, start):
    runner = start("one", [place.agent("deaf", DEAF)])
    attempt = place.attempt("deaf")
    pids = pids_of(place, attempt)
    runner.process.send_signal(signal.SIGINT)
    wait_for(lambda: runner.said("runner.drain"), "it drains")
    runner.process.send_signal(signal.SIGINT)
    assert runner.process.wait(10) == 0
    assert not any(map(alive, pids))
    assert place.find(attempt)["status"] == "cancelled"


@pytest.mark.slow
def test_after_kill_9_the_next_one_ends_the_orphans_and_says_what_it_found(place, start):
    runner = start("one", [place.agent("deaf", DEAF)])
    attempt = place.attempt("deaf")
    pids = pids_of(place, attempt)
    Path(place.find(attempt)["worktree"], "shared.txt").write_text("changed\n")
    # Its guardian as well, or nothing would be left to be found.
    guardians = [int(p.name) for p in Path("/proc").glob("[0-9]*") if is_guardian(p, attempt)]
    runner.kill()
    for pid in guardians:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pids[0]), "the agent died with its guardian")
    assert alive(pids[1])  # it escaped
    runner.start()
    ended = place.wait_for_status(attempt, "failed")
    assert not any(map(alive, pids))
    assert "The runner was killed; 1 process of the agent went on" in ended["reason"]
    assert "3 uncommitted files" in ended["reason"]
    assert Path(ended["worktree"], "shared.txt").read_text() == "changed\n"
    assert [line["attempt"] for line in runner.said("orphan")] == [attempt["id"]]
    assert place.log(attempt)[-1]["kind"] == "system"
    assert runner.stop() == 0
    runner.start()
    assert len(runner.said("orphan")) == 1  # it is not found twice


def is_guardian(directory, attempt):
    try:
        return f"CORTEX_GUARDIAN={attempt['id']}".encode() in (directory / "environ").read_bytes()
    except OSError:
        return False


@pytest.mark.slow
def test_what_two_runners_share_is_run_once(place, start, tmp_path):
    tally = tmp_path / "tally"
    agent = place.agent("counts", f'echo "$CORTEX_ATTEMPT" >> {tally}; sleep 0.2')
    values = {"attempts_parallel": 100}
    place.server.api("PATCH", f"/projects/{place.key}/settings", json={"values": values})
    for name in ("one", "two"):
        start(name, [agent], "--parallel", "3")
    attempts = [place.attempt("counts") for _ in range(8)]
    ended = [place.wait_for_status(attempt, "succeeded") for attempt in attempts]
    assert sorted(tally.read_text().split()) == sorted(attempt["id"] for attempt in attempts)
    assert {attempt["runner"] for attempt in ended} == {"one", "two"}


class Swallowing(ThreadingHTTPServer):
    """Passes requests on, no streams; breaks off instead of giving the first claims' answers."""

    def __init__(self, server, answers):
        self.target, self.left = server.url, answers
        super().__init__(("127.0.0.1", 0), SwallowingHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"


class SwallowingHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/events"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        answer = requests.request(
            self.command, self.server.target + self.path, headers=headers, data=body, timeout=20
        )
        if self.path.endswith("/claim") and answer.json()["claim"] and self.server.left:
            self.server.left -= 1
            self.close_connection = True
            return
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_POST = do_PATCH = do_PUT = do_GET

    def log_message(self, *_):
        pass


def test_a_claim_whose_answer_was_lost_is_taken_up_all_the_same(place, start):
    with Swallowing(place.server, answers=4) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        runner = start("one", [place.agent("idles", "true")], url=proxy.url)
        attempt = place.attempt("idles")
        ended = place.wait_for_status(attempt, "succeeded")
        assert proxy.left == 0
        assert (ended["generation"], ended["runner"]) == (1, "one")
        assert runner.stop() == 0
        proxy.shutdown()


def test_a_name_has_one_runner_on_a_machine(place, start):
    agent = place.agent("idles", "true")
    start("one", [agent])
    second = command(place, "--name", "one", "--agent", agent)
    assert second.returncode == 1
    assert "A runner of this name runs here already" in second.stderr


def test_an_agent_that_cannot_run_here_is_said_and_not_offered(place, start):
    runner = start("one", ["ghost=command:no-such-program-here", place.agent("idles", "true")])
    told = {line["agent"]: line["missing"] for line in runner.said("agent")}
    assert told == {"ghost": "There is no program no-such-program-here.", "idles": None}
    agents = place.server.api("GET", "/agents").json()["items"]
    assert "ghost" not in [agent["name"] for agent in agents]
    nothing = command(place, "--name", "two", "--agent", "ghost=command:no-such-program-here")
    assert nothing.returncode == 1
    assert "No agent can run here" in nothing.stderr


@pytest.mark.parametrize("spec", ["", "a=command:'open", "=command:x", "a b"])
def test_an_agent_that_cannot_be_read_is_refused(place, spec):
    assert command(place, "--agent", spec).returncode == 2


@pytest.mark.parametrize(
    ("project", "code", "told"),
    [
        ("TYPO", 5, "There is no project TYPO"),
        ("a/b", 5, "Project a/b cannot be served"),
        ("..", 2, "'..' cannot be part of a path"),
    ],
)
def test_a_project_that_cannot_be_served_is_refused_and_named(place, project, code, told):
    agent = place.agent("idles", "true")
    ended = command(place, "--agent", agent, "-p", place.key, "-p", project)
    assert ended.returncode == code
    assert told in ended.stderr


def command(place, *options):
    environ = {**place.server.env, "CORTEX_TOKEN": place.token}
    return subprocess.run(
        [sys.executable, "-m", "cortex_cli", "runner", *options],
        check=False, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=20,
    )  # fmt: skip


def test_only_projects_with_a_repository_here_are_served(place, start, tmp_path):
    elsewhere = "/on/another/machine/app"
    place.server.make("/projects", key="AWAY", name="away", repo_path=elsewhere)
    place.server.make("/projects", key="NONE", name="none")
    agent = place.agent("idles", "true")
    limits = (place.key.lower(), "AWAY", "NONE")
    runner = start("one", [agent], projects=limits)
    assert runner.said("runner.online")[-1]["projects"] == [place.key]
    ticket = place.server.make("/projects/AWAY/tickets", title="Do it")["key"]
    attempt = place.attempt("idles", ticket)
    place.wait_for_status(place.attempt("idles"), "succeeded")
    assert place.find(attempt)["status"] == "queued"
    git(tmp_path, "clone", "-q", str(place.remote), str(tmp_path / "clones" / "app"))
    start("two", [agent], "--repo-root", str(tmp_path / "clones"), projects=limits)
    assert place.wait_for_status(attempt, "succeeded")["runner"] == "two"


def test_a_project_that_is_made_later_is_served(place, start, tmp_path):
    runner = start("one", [place.agent("idles", "true")], projects=())
    git(tmp_path, "clone", "-q", str(place.remote), str(tmp_path / "late"))
    place.server.make("/projects", key="LATE", name="late", repo_path=str(tmp_path / "late"))
    ticket = place.server.make("/projects/LATE/tickets", title="Do it")["key"]
    attempt = place.attempt("idles", ticket)
    place.wait_for_status(attempt, "succeeded")
    assert {place.key, "LATE"} <= set(runner.said("runner.online")[-1]["projects"])


@pytest.mark.slow
def test_a_revoked_token_ends_the_agents_and_the_runner(make_server, tmp_path):
    place = Workplace(make_server(lease_s=3), tmp_path)
    runner = RunnerProcess(place, "one", [place.agent("sleeps", SLEEPS)])
    attempt = place.attempt("sleeps")
    pids = pids_of(place, attempt)
    tokens = place.server.api("GET", "/tokens").json()["items"]
    (token,) = [token["id"] for token in tokens if token["role"] == "runner"]
    assert place.server.api("DELETE", f"/tokens/{token}").ok
    assert runner.process.wait(15) == 4
    assert not any(map(alive, pids))
    assert place.wait_for_status(attempt, "lost")


@pytest.mark.slow
def test_a_branch_that_was_merged_is_told(place, start):
    runner = start("one", [place.agent("writes", "echo new > new.txt")])
    attempt = place.wait_for_status(place.attempt("writes"), "succeeded")
    git(place.repository, "merge", "-q", attempt["branch"])
    git(place.repository, "push", "-q", "origin", "main")
    assert runner.stop() == 0
    runner.start()  # it looks soon after a start, then every minute
    wait_for(lambda: (place.find(attempt)["pr"] or {}).get("state") == "merged", "merged")
    ticket = place.server.api("GET", f"/tickets/{attempt['ticket']}").json()
    assert ticket["status"] == "done"
