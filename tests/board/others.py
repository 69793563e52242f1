"""What everybody else does on the boards meanwhile, over REST: people, agents, a runner."""

import random
from collections.abc import Sequence
from typing import Any

import requests

from tests.support.hostile import string
from tests.support.server import Server

STATUSES = ("backlog", "progress", "review", "done")
RUNNER = {
    "name": "r-1",
    "host": "here",
    "version": "1",
    "parallel": 99,
    "agents": [
        {"name": name, "adapter": "command", "capabilities": ["prompt", "abort"]}
        for name in ("shell", "other")
    ],
}
MINE = {"generation": 1}


class Others:
    """Each `act` is one random thing; what the server refuses is no failure but a 5xx.

    done, refused: how many requests were.
    """

    def __init__(self, server: Server, choose: random.Random, projects: Sequence[str]) -> None:
        self._server, self._choose = server, choose
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {server.token}"
        self.done = self.refused = 0
        self.projects = list(projects)
        self._claims: list[dict[str, Any]] = []
        self._sessions: list[str] = []
        for key in projects:
            self.call("POST", "/projects", key=key, name=f"Project {key}")
            rows = [{"title": f"T {number}", "status": self._status} for number in range(12)]
            self.call("POST", f"/projects/{key}/tickets/bulk", tickets=rows)
        self.runner = self.call("POST", "/runners", **RUNNER)["id"]

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, **body: Any) -> Any:
        """The JSON of the answer; {} where it was refused."""
        answer = self._http.request(
            method, f"{self._server.url}/api{path}", json=body or None, timeout=30
        )
        assert answer.status_code < 500, (method, path, answer.text)
        if not answer.ok:
            self.refused += 1
            return {}
        self.done += 1
        return answer.json() if answer.content else {}

    def boards(self) -> dict[str, Any]:
        """What the server answers for each project, by its key."""
        return {key: self.call("GET", f"/projects/{key}/board") for key in self.projects}

    def act(self) -> None:
        kinds = [
            self._new,
            self._edit,
            self._edit,
            self._move,
            self._move,
            self._move,
            self._label,
            self._comment,
            self._delete,
            self._many,
            self._many,
            self._many,
            self._many,
            self._start,
            self._work,
            self._work,
            self._work,
            self._work,
            self._review,
            self._session,
            self._project,
            self._batch,
        ]
        self._choose.choice(kinds)()

    # --- people

    @property
    def _project_key(self) -> str:
        return self._choose.choice(self.projects)

    @property
    def _ticket(self) -> str:
        return f"{self._project_key}-{self._choose.randint(1, 25)}"

    @property
    def _status(self) -> str:
        return self._choose.choice(STATUSES)

    def _text(self) -> str:
        return (
            string(self._choose, 4) if self._choose.random() < 0.3 else self._choose.choice("abc")
        )

    def _new(self) -> None:
        if self._choose.random() < 0.5:
            path = f"/projects/{self._project_key}/tickets"
            self.call("POST", path, title=self._text(), status=self._status, body=self._text())

    def _edit(self) -> None:
        fields = self._choose.choice(
            [
                {"title": self._text()},
                {"body": self._text()},
                {"priority": "high"},
                {"assignee": self._text()},
                {"archived": self._choose.random() < 0.5},
            ]
        )
        self.call("PATCH", f"/tickets/{self._ticket}", **fields)

    def _move(self) -> None:
        where = {"position": self._choose.randint(0, 5)} if self._choose.random() < 0.6 else {}
        self.call("POST", f"/tickets/{self._ticket}/move", status=self._status, **where)

    def _label(self) -> None:
        name = self._choose.choice(["ui", "api"])
        path = f"/tickets/{self._ticket}/labels"
        if self._choose.random() < 0.5:
            self.call("POST", path, label=name)
        else:
            self.call("DELETE", f"{path}/{name}")

    def _comment(self) -> None:
        self.call("POST", f"/tickets/{self._ticket}/comments", body=self._text())

    def _delete(self) -> None:
        if self._choose.random() < 0.2:
            self.call("DELETE", f"/tickets/{self._ticket}")

    def _many(self) -> None:
        """A change of several tickets in one transaction: as many events at once."""
        key = self._project_key
        if self._choose.random() < 0.1:
            rows = [{"title": self._text(), "status": self._status} for _ in range(3)]
            self.call("POST", f"/projects/{key}/tickets/bulk", tickets=rows)
        found = self.call("GET", f"/projects/{key}/tickets?limit=12")["items"]
        changes = [{"ticket": ticket["key"], "status": self._status} for ticket in found]
        self.call("PATCH", f"/projects/{key}/tickets", changes=changes)

    def _project(self) -> None:
        """Rename a project, change its columns, or delete it and make it anew."""
        key, chance = self._project_key, self._choose.random()
        if chance < 0.5:
            self.call("PATCH", f"/projects/{key}", name=self._text())
        elif chance < 0.8:
            names = [*STATUSES, "extra"] if self._choose.random() < 0.5 else STATUSES
            columns = [
                {"name": name, "title": name.title(), "wip_limit": self._choose.choice([None, 2])}
                for name in names
            ]
            self.call("PATCH", f"/projects/{key}", columns=columns)
        elif chance < 0.9 and key != self.projects[0]:
            self.call("DELETE", f"/projects/{key}")
            self.call("POST", "/projects", key=key, name=f"Again {key}")

    def _review(self) -> None:
        self.call("POST", f"/tickets/{self._ticket}/reviews", summary=self._text(), branch="b")

    # --- agents

    def _message(self) -> dict[str, Any]:
        return {
            "id": self._choose.choice("mnopq"),
            "role": "assistant",
            "parts": [{"type": "text", "text": self._text()}],
        }

    def _start(self) -> None:
        self.call("POST", f"/tickets/{self._ticket}/attempts", agent="shell")

    def _batch(self) -> None:
        key = self._project_key
        tickets = [f"{key}-{number}" for number in self._choose.sample(range(1, 12), 2)]
        self.call(
            "POST", f"/projects/{key}/batches", tickets=tickets, mode="sequential", agent="shell"
        )

    def _session(self) -> None:
        """One that no attempt has, of an agent that somebody started by hand."""
        if not self._sessions or self._choose.random() < 0.4:
            made = self.call("POST", f"/tickets/{self._ticket}/sessions", title=self._text())
            self._sessions += [made["id"]] if made else []
            return
        path = f"/sessions/{self._choose.choice(self._sessions)}"
        status = self._choose.choice(["working", "idle", "awaiting_input", "ended"])
        self.call(
            "PATCH", path, **({"status": status} | ({"work": "x"} if status == "working" else {}))
        )
        self.call("POST", f"{path}/messages", messages=[self._message()])

    def _work(self) -> None:
        """What the runner and its agents do next."""
        claim = self.call("POST", f"/runners/{self.runner}/claim").get("claim")
        if claim and "attempt" in claim:
            self._claims.append(claim)
        if not self._claims:
            return
        claim = self._choose.choice(self._claims)
        attempt, session = (
            f"/attempts/{claim['attempt']['id']}",
            f"/sessions/{claim['session']['id']}",
        )
        match self._choose.randint(0, 8):
            case 0 | 1:
                status = self._choose.choice(["running", "running", "waiting"])
                self.call("PATCH", attempt, **MINE, status=status, progress=self._text())
            case 2 | 3:
                entries = [{"kind": "text", "text": self._text()} for _ in range(5)]
                self.call("POST", f"{attempt}/log", **MINE, entries=entries)
            case 4:
                todos = [{"text": self._text(), "status": "in_progress"}]
                self.call("PUT", f"{attempt}/todos", **MINE, todos=todos)
            case 5:
                asks = {
                    "kind": "question",
                    "title": self._text() or "?",
                    "options": [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}],
                }
                self.call("POST", f"{session}/permissions", **asks)
            case 6:
                self.call("POST", f"{session}/messages", messages=[self._message()])
            case 7:
                self.call("PATCH", session, status=self._choose.choice(["idle", "working"]))
            case _:
                status = self._choose.choice(["succeeded", "failed", "cancelled"])
                self.call("POST", f"{attempt}/end", **MINE, status=status, reason=self._text())
                self._claims.remove(claim)
