"""A server full of hostile text: every field that somebody else can write, through the REST API.

What it refuses is counted, and is no part of what is printed.
"""

import random
from collections.abc import Callable
from typing import Any

import requests

from tests.support.hostile import NOT_IN_NAMES, string
from tests.support.server import Server

PROJECT = "FUZ"
TICKETS, ENTRIES, MESSAGES = 2_500, 30_000, 8_000
AT_ONCE = 500
MINE = {"generation": 1}
SHA = "0123456789abcdef0123456789abcdef01234567"
AT = "2026-01-26T15:53:01.717Z"


class Fuzzed:
    """strings: how many are stored · refused: requests not taken · ids: what there is."""

    def __init__(self, server: Server, seed: str) -> None:
        self.choose = random.Random(seed)
        self.strings = self.refused = 0
        self.ids: dict[str, str] = {}
        self.said = ""
        self._made = 0
        self._url = server.url
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {server.token}"
        self._project()
        self._tickets()
        self._refused()
        self._attempt()
        self._work()
        self._session()
        self._elsewhere()
        self._http.close()

    def text(self, longest: int | None = None) -> str:
        """A hostile string that is not blank, without NUL. longest: characters."""
        self._made += 1
        found = string(self.choose).replace("\0", "") + self.choose.choice("ax日")
        return found[-(longest or 1_000_000) :]

    def name(self, longest: int = 60) -> str:
        return self.text(longest)

    def given(self, longest: int = 60) -> str:
        """As what people call a thing: the server takes no control characters there."""
        return "".join(c for c in self.text(longest) if c not in NOT_IN_NAMES)

    def lines(self) -> str:
        """Several strings, as in a body or in a log."""
        return self.choose.choice(["\n", "\r\n", "\r", " ", "\n\n"]).join(
            [self.text(), self.text()]
        )

    def send(self, method: str, path: str, **body: Any) -> Any:
        """The JSON of the answer. Counts what was in the body as stored, or as refused."""
        answer = self._http.request(method, f"{self._url}/api{path}", json=body, timeout=60)
        assert answer.status_code < 500, answer.text
        made, self._made = self._made, 0
        if not answer.ok:
            self.said = answer.text[:300]
            self.refused += 1
            return {}
        self.strings += made
        return answer.json()

    def must(self, method: str, path: str, **body: Any) -> Any:
        """`send`, which has to succeed."""
        made = self.send(method, path, **body)
        assert made, (path, self.said)
        return made

    def many(self, total: int, one: Callable[[], dict[str, Any]]) -> list[list[dict[str, Any]]]:
        return [[one() for _ in range(AT_ONCE)] for _ in range(total // AT_ONCE)]

    # --- what is written

    def _project(self) -> None:
        titles = [self.given() for _ in range(4)]
        names = ("backlog", "progress", "review", "done")
        columns = [
            {"name": name, "title": title} for name, title in zip(names, titles, strict=True)
        ]
        self.must(
            "POST",
            "/projects",
            key=PROJECT,
            name=self.given(),
            columns=columns,
            default_branch=self.name(),
            repo_path=f"/{self.name()}",
        )
        for number in range(20):
            self.send("POST", "/projects", key=f"F{number}", name=self.given())
            self.send("POST", "/teams", key=f"t{number}", name=self.given(), color=self.name(30))
        for _ in range(30):
            made = self.send(
                "POST", f"/projects/{PROJECT}/labels", name=self.given(), color=self.name(30)
            )
            self.ids["label"] = made.get("name", "")

    def _ticket(self) -> dict[str, Any]:
        return {
            "title": self.name(200),
            "body": self.lines(),
            "assignee": self.given(),
            "labels": [self.given(30)] if self.choose.random() < 0.1 else [],
            "references": [self.name()],
            "status": self.choose.choice(["backlog", "progress", "review"]),
        }

    def _tickets(self) -> None:
        for rows in self.many(TICKETS, self._ticket):
            self.must("POST", f"/projects/{PROJECT}/tickets/bulk", tickets=rows)
        self.ids["ticket"] = f"{PROJECT}-1"
        for _ in range(100):
            made = self.must("POST", f"/tickets/{PROJECT}-1/comments", body=self.lines())
            self.ids["comment"] = made["id"]
        for _ in range(20):
            made = self.must(
                "POST",
                f"/tickets/{PROJECT}-2/reviews",
                summary=self.lines(),
                repo_path=f"/{self.name()}",
                **{self.choose.choice(["branch", "commit"]): self.name(30)},
            )
            self.ids["review"] = made["id"]
        self.send("PATCH", f"/reviews/{made['id']}", state="changes_requested", note=self.lines())

    def _refused(self) -> None:
        """Half a pair and NUL are taken nowhere, however they are written."""
        for bad in ("\0", "\ud800", "\udfff", "\udc9b"):
            assert not self.send("POST", f"/projects/{PROJECT}/tickets", title=self.text() + bad)

    def _attempt(self) -> None:
        agents = [{"name": "shell", "adapter": self.name(), "capabilities": ["prompt", "abort"]}]
        said = {"host": self.name(), "version": self.name(), "parallel": 9}
        made = self.send("POST", "/runners", name="r-1", agents=agents, **said)
        if not made:
            agents[0]["adapter"] = "command"
            made = self.must("POST", "/runners", name="r-1", agents=agents, **said)
        self.send(
            "POST",
            "/profiles",
            name="p1",
            agent="shell",
            options={"model": self.given(), "prompt": self.lines(), "args": [self.name()]},
        )
        for ticket in (1, 2, 3):
            asked = {"agent": "shell", "prompt": self.lines(), "base": self.name()}
            self.must("POST", f"/tickets/{PROJECT}-{ticket}/attempts", **asked)
        claims = [self.must("POST", f"/runners/{made['id']}/claim")["claim"] for _ in range(3)]
        self.ids["attempt"], self.ids["failed"] = (claim["attempt"]["id"] for claim in claims[:2])
        self.ids["session"], self.ids["runner"] = claims[0]["session"]["id"], made["id"]
        self.must(
            "POST",
            f"/attempts/{self.ids['failed']}/end",
            **MINE,
            status="failed",
            reason=self.name(),
        )

    def _work(self) -> None:
        path = f"/attempts/{self.ids['attempt']}"
        self.must(
            "PATCH",
            path,
            **MINE,
            status="running",
            progress=self.name(),
            branch=self.name(),
            worktree=f"/{self.name()}",
            base=self.name(),
        )
        kinds = ("text", "tool", "error", "system")

        def entry() -> dict[str, Any]:
            kind = self.choose.choice(kinds)
            tool = {"tool": self.name()} if kind == "tool" else {}
            return {"kind": kind, "text": self.text(2_000), **tool}

        for entries in self.many(ENTRIES, entry):
            self.must("POST", f"{path}/log", **MINE, entries=entries)
        todos = [{"text": self.name(), "status": "in_progress"} for _ in range(100)]
        self.must("PUT", f"{path}/todos", **MINE, todos=todos)
        files = [{"path": self.name(), "status": self.name(20)} for _ in range(300)]
        self.must(
            "PUT",
            f"{path}/git/status",
            **MINE,
            branch=self.name(),
            head=SHA,
            ahead=1,
            behind=0,
            files=files,
        )
        commits = [
            {
                "sha": f"{number:040x}",
                "subject": self.name(),
                "author": self.name(),
                "at": AT,
                "files": 1,
                "insertions": 2,
                "deletions": 3,
            }
            for number in range(300)
        ]
        self.must("POST", f"{path}/git/commits", **MINE, commits=commits)
        self.send(
            "POST", f"{path}/git/pushes", **MINE, remote=self.name(), branch=self.name(), sha=SHA
        )
        self.send(
            "PUT",
            f"{path}/pr",
            **MINE,
            state="open",
            number=1,
            url=f"https://x/{self.name()}",
            compare_url=f"https://x/{self.name()}",
        )
        diff = "".join(
            f"diff --git a/{self.name()} b/x\n--- a/x\n+++ b/{self.name()}\n@@ -1 +1 @@\n"
            f"-{self.lines()}\n+{self.lines()}\n"
            for _ in range(200)
        )
        self.must(
            "PUT", f"{path}/diff", **MINE, base=self.name(), head=SHA, text=diff, truncated=False
        )
        for url in (self.name(), f"http://127.0.0.1:1/{self.name()}"):
            made = self.send(
                "PUT", f"{path}/instance", **MINE, status="unhealthy", url=url, error=self.name()
            )
            self.ids["instance"] = made.get("id", self.ids.get("instance", ""))

    def _session(self) -> None:
        path = f"/sessions/{self.ids['session']}"
        self.must(
            "PATCH",
            path,
            title=self.name(),
            tool=self.name(),
            work=self.name(),
            status="working",
            model=self.name(),
            agent=self.name(),
        )
        numbers = iter(range(1_000_000))

        def message() -> dict[str, Any]:
            tool = {
                "type": "tool",
                "text": self.lines(),
                "tool": self.name(),
                "input": {self.name(): [self.text(), {"command": self.text()}]},
            }
            text = {"type": "text", "text": self.lines()}
            part = tool if self.choose.random() < 0.3 else text
            return {"id": f"m{next(numbers)}", "role": "assistant", "parts": [part]}

        for messages in self.many(MESSAGES, message):
            self.must("POST", f"{path}/messages", messages=messages)
        for _ in range(20):
            options = [
                {"id": self.name(), "label": self.name(), "description": self.name()} for _ in "ab"
            ]
            made = self.must(
                "POST",
                f"{path}/permissions",
                kind="question",
                title=self.name(),
                detail=self.lines(),
                options=options,
                free_text=True,
            )
            self.ids["asked"] = made["id"]
        made = self.must("POST", f"/permissions/{made['id']}/reply", text=self.lines())

    def _elsewhere(self) -> None:
        for number in range(20):
            name = f"n{number}.md"
            self.must("PUT", f"/projects/{PROJECT}/memory/{name}", body=self.lines())
        for _ in range(20):
            made = self.must(
                "POST",
                f"/projects/{PROJECT}/batches",
                agent="shell",
                name=self.given(),
                prompt=self.lines(),
                tickets=[f"{PROJECT}-9"],
                start=False,
            )
            self.ids["batch"] = made["id"]
            made = self.must(
                "POST",
                f"/projects/{PROJECT}/triggers",
                name=self.given(),
                on={"types": ["ticket.moved"], "filter": {self.name(): self.name()}},
                action={"kind": "attempt", "agent": "shell", "prompt": self.lines()},
                enabled=False,
            )
            self.ids["trigger"] = made["id"]
            made = self.must("POST", "/tokens", name=self.given(), role="write")
            self.ids["token"] = made["id"]
