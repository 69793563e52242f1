"""A runner's side of the API, by hand: it claims, tells, and ends what the test says."""

from __future__ import annotations

from typing import Any

from tests.support.server import Server


class RunnerSide:
    """A registered runner that serves one project and offers these agents."""

    def __init__(self, server: Server, project: str, *agents: str, name: str = "") -> None:
        self._server = server
        takes = {"adapter": "command", "capabilities": ["prompt", "abort"]}
        self.name = name or f"r-{project}"
        self.id = server.make(
            "/runners", name=self.name, host="here", version="1", parallel=9, projects=[project],
            agents=[{"name": agent, **takes} for agent in agents or ("shell",)],
        )["id"]  # fmt: skip

    def claim(self) -> dict[str, Any]:
        """What there is to do, an attempt or a batch to merge; it has to be there."""
        claim: dict[str, Any] = self._server.make(f"/runners/{self.id}/claim")["claim"]
        assert claim is not None
        return claim

    def work(self, **told: Any) -> Job:
        """Claim an attempt and say that it runs."""
        job = Job(self._server, self.claim())
        job.tell(status="running", stage="executing", **told)
        return job

    def commands(self) -> list[dict[str, Any]]:
        """What waits to be done by this runner."""
        answer = self._server.api("GET", f"/runners/{self.id}/commands")
        return list(answer.json()["items"])


class Job:
    """A claimed attempt. id, token: its own · session: the root of its conversation."""

    def __init__(self, server: Server, claim: dict[str, Any]) -> None:
        self._server = server
        self.id: str = claim["attempt"]["id"]
        self.ticket: str = claim["attempt"]["ticket"]
        self.generation: int = claim["attempt"]["generation"]
        self.token: str = claim["token"]
        self.session: str = claim["session"]["id"]

    def _send(self, method: str, path: str, **body: Any) -> Any:
        body = {"generation": self.generation, **body}
        answer = self._server.api(method, f"/attempts/{self.id}{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()

    def tell(self, **changes: Any) -> None:
        self._send("PATCH", "", **changes)

    def log(self, *entries: str, kind: str = "text", tool: str | None = None) -> None:
        self._send(
            "POST", "/log", entries=[{"kind": kind, "text": text, "tool": tool} for text in entries]
        )

    def todos(self, **statuses: str) -> None:
        """text="status", in this order."""
        self._send(
            "PUT", "/todos", todos=[{"text": t, "status": status} for t, status in statuses.items()]
        )

    def diff(self, text: str, truncated: bool = False) -> None:
        self._send("PUT", "/diff", base="a" * 40, head="b" * 40, text=text, truncated=truncated)

    def git(self, branch: str, *files: str) -> None:
        changed = [{"path": path, "status": "modified"} for path in files]
        self._send(
            "PUT", "/git/status", branch=branch, head="b" * 40, ahead=1, behind=0, files=changed,
            more=0,
        )  # fmt: skip

    def commit(self, subject: str) -> None:
        made = {
            "sha": "b" * 40, "subject": subject, "author": "A", "at": "2026-01-26T15:53:01Z",
            "files": 1, "insertions": 2, "deletions": 3,
        }  # fmt: skip
        self._send("POST", "/git/commits", commits=[made])

    def instance(self, **told: Any) -> None:
        self._send("PUT", "/instance", **told)

    def ask(self, title: str, *options: str, **more: Any) -> str:
        """Ask a person; the question's id."""
        offered = [{"id": option, "label": option.title()} for option in options]
        asked = self._server.make(
            f"/sessions/{self.session}/permissions", title=title, options=offered, **more
        )
        return str(asked["id"])

    def end(self, status: str = "succeeded", reason: str | None = None) -> None:
        self._send("POST", "/end", status=status, reason=reason, exit_code=0)
