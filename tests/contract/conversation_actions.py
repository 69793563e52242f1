"""Actions inside an attempt, for the catalogue's test: what it says, asks, and does to git."""

from typing import Any

from tests.contract.attempt_actions import claimed
from tests.contract.catalogue_actions import World, causes, change

SHA = "5f" * 20


def tell(w: World, method: str, path: str, **body: Any) -> Any:
    """A write by the runner of the claim."""
    return change(w, method, path, generation=1, **body)


@causes("attempt.log")
def add_to_log(w: World) -> str:
    path = claimed(w)
    with w.emits("attempt.log"):
        tell(w, "POST", f"{path}/log", entries=[{"kind": "tool", "text": "ls", "tool": "bash"}])
    return f"{path}/log?tail=1#items/0"


@causes("attempt.session")
def start_session_of_attempt(w: World) -> str:
    attempt = w.server.api("GET", claimed(w)).json()
    body = {"attempt": attempt["id"], "parent_id": attempt["session"]}
    with w.emits("session.started", "attempt.session"):
        made = w.server.make(f"/tickets/{w.ticket}/sessions", **body)
    return f"/sessions/{made['id']}"


@causes("attempt.todos")
def tell_todos(w: World) -> str:
    path = claimed(w)
    with w.emits("attempt.todos"):
        tell(w, "PUT", f"{path}/todos", todos=[{"text": "Look", "status": "in_progress"}])
    return path


@causes("attempt.pr")
def open_pull_request(w: World) -> str:
    path = claimed(w)
    with w.emits("attempt.pr"):
        tell(w, "PUT", f"{path}/pr", state="open", url="https://forge.example/1", number=1)
    return f"{path}#pr"


@causes("git.status")
def tell_git_status(w: World) -> str:
    path = claimed(w)
    files = [{"path": "a.py", "status": "modified"}]
    told = {"branch": "b", "head": SHA, "ahead": 1, "behind": 0, "files": files, "more": 0}
    with w.emits("git.status"):
        tell(w, "PUT", f"{path}/git/status", **told)
    return f"{path}/git#git"


@causes("git.commit")
def tell_commit(w: World) -> str:
    path = claimed(w)
    made = {
        "sha": SHA, "subject": "Fix it", "author": "An Agent", "at": "2026-01-26T15:53:01.000000Z",
        "files": 1, "insertions": 2, "deletions": 3,
    }  # fmt: skip
    with w.emits("git.commit"):
        tell(w, "POST", f"{path}/git/commits", commits=[made])
    return f"{path}/git#commits/0"


@causes("git.push")
def tell_push(w: World) -> str:
    path = claimed(w)
    with w.emits("git.push"):
        tell(w, "POST", f"{path}/git/pushes", remote="origin", branch="b", sha=SHA)
    return f"{path}/git#pushes/0"


def _asked(w: World) -> str:
    session = w.server.api("GET", claimed(w)).json()["session"]
    options = [{"id": "yes", "label": "Yes"}]
    made = w.server.make(f"/sessions/{session}/permissions", title="May I?", options=options)
    return f"/permissions/{made['id']}"


@causes("permission.asked")
def ask(w: World) -> str:
    session = w.server.api("GET", claimed(w)).json()["session"]
    with w.emits("permission.asked", "session.status", "attempt.status"):
        made = w.server.make(f"/sessions/{session}/permissions", title="Which?", free_text=True)
    return f"/permissions/{made['id']}"


@causes("permission.replied")
def answer(w: World) -> str:
    path = _asked(w)
    with w.emits("permission.replied", "session.status", "attempt.status"):
        change(w, "POST", f"{path}/reply", choices=["yes"])
    return path


@causes("opencode.status")
def tell_instance(w: World) -> str:
    path = claimed(w)
    with w.emits("opencode.status"):
        made = tell(w, "PUT", f"{path}/instance", status="running", link="connected")
    return f"/instances/{made['id']}"
