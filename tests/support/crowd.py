"""Many raw subscribers in one process beside the test, and the log to compare them with."""

import json
import sqlite3
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.server import ROOT, Server, wait_for


@dataclass(frozen=True)
class Place:
    """What one subscriber asks for. project: None for everything · cursor: where it begins."""

    project: str | None = None
    cursor: str | None = None

    def request(self) -> dict[str, Any]:
        target = "/events" if self.project is None else f"/events?project={self.project}"
        return {"target": target, "project": self.project, "cursor": self.cursor}


class Crowd:
    """A context manager around `crowd_process`: its methods there are `ask(name)` here."""

    def __init__(self, server: Server, places: list[Place]) -> None:
        self.server = server
        self.size = len(places)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crowd_process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=server.env, text=True,
        )  # fmt: skip
        config = {
            "host": server.host,
            "http": server.http,
            "port": server.port,
            "token": server.token,
            "ca_file": server.ca_file,
            "subscribers": [place.request() for place in places],
        }
        self._write(config)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, what: str, **values: Any) -> dict[str, Any]:
        self._write({"do": what, **values})
        assert self._process.stdout
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def wait_until_live(self, deadline_s: float = 30) -> None:
        wait_for(lambda: self.ask("status")["live"] == self.size, "all are connected", deadline_s)

    def wait_until_at(self, position: int, deadline_s: float = 30) -> None:
        """Wait until every member's cursor has reached `position`."""

        def reached() -> bool:
            return int(self.ask("status")["position"]) >= position

        wait_for(reached, f"all are at {position}", deadline_s)

    def report(self, directory: Path) -> list[dict[str, Any]]:
        """Of every member: project, start and [position, checksum] of all that it received."""
        path = directory / "crowd.json"
        self.ask("report", path=str(path))
        found: list[dict[str, Any]] = json.loads(path.read_text())
        return found

    def _write(self, message: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()


@dataclass(frozen=True)
class LogLine:
    """A row of the log, and the data of its frame as it has to be."""

    position: int
    type: str
    project: str
    data: str

    @property
    def mark(self) -> list[int]:
        return [self.position, zlib.crc32(self.data.encode())]


def read_log(database: Path) -> list[LogLine]:
    """The whole log, read from the file itself and not through the server."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as conn:
        (epoch,) = conn.execute("SELECT epoch FROM log_state").fetchone()
        rows = conn.execute(
            "SELECT position, type, project, seq, ticket, at, actor_kind, actor_name, payload"
            " FROM events ORDER BY position"
        ).fetchall()
    conn.close()
    return [line_of(epoch, row) for row in rows]


def line_of(epoch: str, row: Any) -> LogLine:
    """A row as it is in the table, in the order of its columns."""
    return LogLine(row[0], row[1], row[2], _data(epoch, *row))


def _data(
    epoch: str, position: int, kind: str, project: str, seq: int | None, ticket: str | None,
    at: str, actor_kind: str, actor_name: str, payload: str,
) -> str:  # fmt: skip
    event = {
        "id": f"{epoch}.{position}",
        "type": kind,
        "project": project or None,
        "seq": seq,
        "ticket": ticket,
        "at": at,
        "actor": {"kind": actor_kind, "name": actor_name},
        "payload": json.loads(payload),
    }
    return json.dumps(event, separators=(",", ":"))


def assert_received_exactly_the_log(members: list[dict[str, Any]], log: list[LogLine]) -> None:
    """Every member has every event after its start that is for it, in order, nothing twice."""
    assert [line.position for line in log] == list(range(1, len(log) + 1)), "the log has a hole"
    for index, member in enumerate(members):
        start = int(member["start"].rpartition(".")[2])
        wanted = [
            line.mark
            for line in log
            if line.position > start
            and (not line.project or member["project"] in (None, line.project))
        ]
        if member["received"] != wanted:
            raise AssertionError(_difference(index, member, wanted))


def _difference(index: int, member: dict[str, Any], wanted: list[list[int]]) -> str:
    got = [position for position, _ in member["received"]]
    due = [position for position, _ in wanted]
    return (
        f"member {index} of {member['project']} from {member['start']}: "
        f"missing {sorted(set(due) - set(got))[:10]}, "
        f"extra {sorted(set(got) - set(due))[:10]}, "
        f"twice {sorted({p for p in got if got.count(p) > 1})[:10]}, "
        f"in order: {got == sorted(got)}, same data: {sorted(set(got)) == sorted(set(due))}"
    )
