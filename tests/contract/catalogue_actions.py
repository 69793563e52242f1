"""For every event type a public action that causes it: the table of the catalogue's test.

An action prepares what it needs, then makes one change inside `world.emits(...)`, which says what
that change emits, in order. It returns the path of the object afterwards.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from tests.support.server import Server


class World(Protocol):
    """server, and a project and a ticket of this action's own."""

    server: Server
    project: str
    ticket: str

    def emits(self, *types: str) -> AbstractContextManager[None]: ...
    def new(self, noun: str) -> str: ...


Action = Callable[[World], str]
ACTIONS: dict[str, Action] = {}


def causes(event: str) -> Callable[[Action], Action]:
    def register(action: Action) -> Action:
        ACTIONS[event] = action
        return action

    return register


def change(w: World, method: str, path: str, **body: Any) -> Any:
    answer = w.server.api(method, path, json=body or None)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


@causes("team.created")
def create_team(w: World) -> str:
    key = w.new("team")
    with w.emits("team.created"):
        w.server.make("/teams", key=key, name="A team")
    return f"/teams/{key}"


def _team(w: World) -> str:
    return f"/teams/{w.server.make('/teams', key=w.new('team'), name='A team')['key']}"


@causes("team.updated")
def rename_team(w: World) -> str:
    path = _team(w)
    with w.emits("team.updated"):
        change(w, "PATCH", path, name="Another name")
    return path


@causes("team.deleted")
def delete_team(w: World) -> str:
    path = _team(w)
    change(w, "PATCH", f"/projects/{w.project}", team=path.rpartition("/")[2])
    with w.emits("project.updated", "team.deleted"):
        change(w, "DELETE", path)
    return path


@causes("project.created")
def create_project(w: World) -> str:
    key = w.new("project")
    with w.emits("project.created"):
        w.server.make("/projects", key=key, name="A project")
    return f"/projects/{key}"


@causes("project.updated")
def remove_a_column(w: World) -> str:
    path = f"/projects/{w.project}"
    columns = w.server.api("GET", path).json()["columns"]
    with w.emits("ticket.moved", "project.updated"):
        change(w, "PATCH", path, columns=columns[1:], move_tickets_to=columns[1]["name"])
    return path


@causes("project.deleted")
def delete_project(w: World) -> str:
    with w.emits("project.deleted"):
        change(w, "DELETE", f"/projects/{w.project}")
    return f"/projects/{w.project}"


@causes("label.created")
def create_label(w: World) -> str:
    with w.emits("label.created"):
        made = w.server.make(f"/projects/{w.project}/labels", name="bug", color="#ff0000")
    return f"/labels/{made['id']}"


def _label(w: World) -> str:
    label = w.server.make(f"/projects/{w.project}/labels", name="bug")
    change(w, "POST", f"/tickets/{w.ticket}/labels", label="bug")
    return f"/labels/{label['id']}"


@causes("label.updated")
def rename_label(w: World) -> str:
    path = _label(w)
    with w.emits("label.updated", "ticket.updated"):
        change(w, "PATCH", path, name="defect")
    return path


@causes("label.deleted")
def delete_label(w: World) -> str:
    path = _label(w)
    with w.emits("ticket.unlabeled", "label.deleted"):
        change(w, "DELETE", path)
    return path


@causes("ticket.labeled")
def label_ticket(w: World) -> str:
    with w.emits("label.created", "ticket.labeled"):
        change(w, "POST", f"/tickets/{w.ticket}/labels", label="new")
    return f"/tickets/{w.ticket}"


@causes("ticket.unlabeled")
def unlabel_ticket(w: World) -> str:
    _label(w)
    with w.emits("ticket.unlabeled"):
        change(w, "DELETE", f"/tickets/{w.ticket}/labels/bug")
    return f"/tickets/{w.ticket}"


@causes("ticket.created")
def create_ticket(w: World) -> str:
    with w.emits("label.created", "ticket.created"):
        made = w.server.make(f"/projects/{w.project}/tickets", title="New", labels=["new"])
    return f"/tickets/{made['key']}"


@causes("ticket.updated")
def change_everything(w: World) -> str:
    with w.emits("label.created", "ticket.updated", "ticket.labeled", "ticket.moved"):
        change(
            w, "PATCH", f"/tickets/{w.ticket}", title="Other", labels=["fresh"], status="progress"
        )
    return f"/tickets/{w.ticket}"


@causes("ticket.moved")
def move_ticket(w: World) -> str:
    with w.emits("ticket.moved"):
        change(w, "POST", f"/tickets/{w.ticket}/move", status="done", position=0)
    return f"/tickets/{w.ticket}"


@causes("ticket.deleted")
def delete_ticket(w: World) -> str:
    w.server.make(f"/projects/{w.project}/tickets", title="Later", depends_on=[w.ticket])
    with w.emits("ticket.updated", "ticket.deleted"):
        change(w, "DELETE", f"/tickets/{w.ticket}")
    return f"/tickets/{w.ticket}"


@causes("comment.added")
def add_comment(w: World) -> str:
    with w.emits("comment.added"):
        made = w.server.make(f"/tickets/{w.ticket}/comments", body="Look", type="blocker")
    return f"/comments/{made['id']}"


def _comment(w: World) -> str:
    return f"/comments/{w.server.make(f'/tickets/{w.ticket}/comments', body='Look')['id']}"


@causes("comment.updated")
def edit_comment(w: World) -> str:
    path = _comment(w)
    with w.emits("comment.updated"):
        change(w, "PATCH", path, body="Look again")
    return path


@causes("comment.deleted")
def delete_comment(w: World) -> str:
    path = _comment(w)
    with w.emits("comment.deleted"):
        change(w, "DELETE", path)
    return path


@causes("review.requested")
def request_review(w: World) -> str:
    with w.emits("review.requested"):
        made = w.server.make(f"/tickets/{w.ticket}/reviews", summary="Please", branch="fix")
    return f"/reviews/{made['id']}"


@causes("review.resolved")
def resolve_review(w: World) -> str:
    made = w.server.make(f"/tickets/{w.ticket}/reviews", summary="Please", branch="fix")
    with w.emits("review.resolved"):
        change(w, "PATCH", f"/reviews/{made['id']}", state="approved", note="Good")
    return f"/reviews/{made['id']}"


@causes("session.started")
def start_session(w: World) -> str:
    with w.emits("session.started"):
        made = w.server.make(f"/tickets/{w.ticket}/sessions", title="Try", agent="opencode")
    return f"/sessions/{made['id']}"


def _session(w: World) -> str:
    return f"/sessions/{w.server.make(f'/tickets/{w.ticket}/sessions')['id']}"


@causes("session.updated")
def describe_session(w: World) -> str:
    path = _session(w)
    with w.emits("session.updated", "session.status"):
        change(w, "PATCH", path, title="Second try", status="working", tool="bash")
    return path


@causes("session.status")
def work_in_session(w: World) -> str:
    path = _session(w)
    with w.emits("session.status"):
        change(w, "PATCH", path, status="working", work="Reads the tests")
    return path


_STREAMING = {"role": "assistant", "status": "streaming"}


def _message(w: World) -> str:
    path = f"{_session(w)}/messages/m-1"
    parts = [{"type": "text", "text": "Hel", "status": "streaming"}]
    change(w, "PUT", path, parts=parts, **_STREAMING)
    return path


@causes("session.ended")
def end_session(w: World) -> str:
    session = _message(w).partition("/messages")[0]
    with w.emits("message.updated", "session.ended"):
        change(w, "POST", f"{session}/end", outcome="succeeded")
    return session


@causes("message.created")
def put_message(w: World) -> str:
    path = f"{_session(w)}/messages/m-1"
    with w.emits("message.created"):
        change(w, "PUT", path, role="user", parts=[{"type": "text", "text": "Hello"}])
    return path


@causes("message.updated")
def complete_message(w: World) -> str:
    path = _message(w)
    with w.emits("message.updated"):
        change(w, "PUT", path, role="assistant", parts=[{"type": "text", "text": "Hello"}])
    return path


@causes("message.delta")
def append_to_message(w: World) -> str:
    path = _message(w)
    with w.emits():  # nothing is logged
        change(w, "POST", f"{path}/delta", part=0, offset=3, text="lo")
    return path


@causes("settings.updated")
def change_settings(w: World) -> str:
    path = f"/projects/{w.project}/settings"
    with w.emits("settings.updated"):
        change(w, "PATCH", path, values={"default_priority": "high"})
    return path
