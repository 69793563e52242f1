"""Ten tickets, two runners, a batch in parallel with a conflict and a failure, on a live board."""

import threading
from collections import Counter, defaultdict

import pytest

from cortex_cli import sdk
from tests.support.server import wait_for
from tests.support.workplace import RunnerProcess, Workplace, git

# Ticket 3 fails; 4 and 5 change the same line; the others make a file each.
AGENT = """
number="${CORTEX_TICKET##*-}"
echo "works on $number"
echo '{"type":"todos","todos":[{"text":"do it","status":"in_progress"}]}' >&3
echo '{"type":"message","id":"m","text":"Done."}' >&3
case "$number" in
  3) echo half > half.txt; exit 1 ;;
  4|5) echo "by $number" > shared.txt ;;
  6) echo by hand > six.txt; git add .; git commit -q -m "By hand" ;;
  *) echo "$number" > "file-$number.txt" ;;
esac
cortex comment add "finished $number"
"""
STAGES = ["preparing", "executing", "committing", "pushing", "done"]


class Board:
    """Follows a project's stream as a board does."""

    def __init__(self, place):
        self.events, self.gaps = [], 0
        self._client = sdk.CortexClient(place.server.url, place.server.token)
        self._stream = self._client.events(project=place.key)
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()
        assert self._connected.wait(10)

    def _follow(self):
        for value in self._stream:
            if isinstance(value, sdk.State):
                self._connected.set()
            elif isinstance(value, sdk.Event) and not value.snapshot:
                self.gaps += value.gap
                self.events.append(value)

    def of(self, kind):
        return [event for event in list(self.events) if event.type == kind]

    def close(self):
        self._stream.close()
        self._thread.join(10)
        self._client.close()


@pytest.fixture
def place(make_server, tmp_path):
    place = Workplace(make_server(), tmp_path)
    values = {"attempts_parallel": 6}
    place.server.api("PATCH", f"/projects/{place.key}/settings", json={"values": values})
    return place


@pytest.fixture
def board(place):
    board = Board(place)
    yield board
    board.close()


@pytest.fixture
def runners(place):
    agent = place.agent("scripted", AGENT)
    runners = [RunnerProcess(place, name, [agent], "--parallel", "3") for name in ("one", "two")]
    yield runners
    for runner in runners:
        runner.kill()


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_batch_of_ten_with_a_conflict_and_a_failure(place, board, runners):
    tickets = [place.ticket(f"Number {number}") for number in range(1, 11)]
    batch = place.server.make(
        f"/projects/{place.key}/batches", tickets=tickets, mode="parallel", agent="scripted",
        on_conflict="skip", merge=True, name="All ten",
    )  # fmt: skip
    path = f"/batches/{batch['id']}"
    wait_for(lambda: place.server.api("GET", path).json()["ended_at"], "the batch is over", 60)
    ended = place.server.api("GET", path).json()
    assert ended["status"] == "completed", ended
    rows = {row["ticket"]: row for row in ended["tickets"]}
    results = {key: row["status"] for key, row in rows.items()}
    assert results.pop("CTX-3") == "failed"
    assert results.pop("CTX-5") == "skipped"
    assert rows["CTX-5"]["files"] == ["shared.txt"]
    assert set(results.values()) == {"merged"}
    check_branches(place, ended, rows)
    wait_for(lambda: board.of("batch.completed"), "the board heard of it")
    check_events(board, tickets)
    check_nothing_is_left(place, runners, tickets)


def check_branches(place, ended, rows):
    branch = ended["branch"]
    assert branch == f"cortex/batch-{ended['id']}"
    assert git(place.remote, "rev-parse", branch) == ended["commit"]
    files = set(git(place.remote, "ls-tree", "--name-only", branch).split())
    made = {f"file-{number}.txt" for number in (1, 2, 7, 8, 9, 10)}
    assert files == {"shared.txt", "six.txt", *made}
    assert git(place.remote, "show", f"{branch}:shared.txt") == "by 4"
    merges = git(place.remote, "rev-list", "--merges", "--first-parent", branch).split()
    assert merges[::-1] == [row["commit"] for row in rows.values() if row["commit"]]
    assert git(place.repository, "status", "--porcelain") == ""
    assert git(place.repository, "rev-parse", "main") == git(place.remote, "rev-parse", "main")


def check_events(board, tickets):
    assert board.gaps == 0
    numbers = [event.seq for event in board.events if event.seq is not None]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    statuses, stages = defaultdict(list), defaultdict(list)
    for event in board.events:
        if event.type == "attempt.status":
            status = event.payload["status"]
            if [status] != statuses[event.ticket][-1:]:
                statuses[event.ticket].append(status)
        elif event.type == "attempt.progress":
            stages[event.ticket].append(event.payload["stage"])
    for ticket in tickets:
        end = "failed" if ticket == "CTX-3" else "succeeded"
        assert statuses[ticket] == ["starting", "running", end], ticket
        told = STAGES if ticket != "CTX-3" else ["preparing", "executing", "done"]
        assert stages[ticket] == told, ticket
    told = Counter(event.type for event in board.events)
    expected = {
        "batch.created": 1, "batch.started": 1, "batch.ticket.started": 10,
        "batch.ticket.completed": 9, "batch.ticket.failed": 1, "batch.ticket.skipped": 1,
        "batch.merging": 1, "batch.completed": 1, "attempt.started": 10, "git.push": 9,
        "git.commit": 9, "attempt.todos": 10, "message.created": 10,
    }  # fmt: skip
    assert {kind: told[kind] for kind in expected} == expected
    names = [e.type for e in board.events if e.type.startswith("batch.")]
    assert names[:2] == ["batch.created", "batch.started"]
    assert names[-3:] == ["batch.merging", "batch.ticket.skipped", "batch.completed"]
    commented = [e.payload["body"] for e in board.of("comment.added")]
    assert sorted(commented) == sorted(f"finished {n}" for n in range(1, 11) if n != 3)


def check_nothing_is_left(place, runners, tickets):
    columns = {key: place.server.api("GET", f"/tickets/{key}").json()["status"] for key in tickets}
    assert columns.pop("CTX-3") == "progress"
    assert set(columns.values()) == {"review"}
    assert {a["runner"] for a in place.server.api("GET", "/attempts").json()["items"]} == {
        "one", "two",
    }  # fmt: skip
    for runner in runners:
        assert runner.stop() == 0
        assert runner.said("error") == []
    state = place.directory / "server-0" / "state" / "cortex" / "runners"
    left = [path for path in state.glob("*/*/*") if path.parent.name in ("attempts", "homes")]
    assert len(list(state.iterdir())) == 2
    assert left == []
    assert place.at_work() == []
    half = place.worktrees / place.key / "CTX-3-1" / "half.txt"
    assert half.read_text() == "half\n"
