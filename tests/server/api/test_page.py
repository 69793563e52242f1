"""The live page in a real browser: a cookie, an EventSource, every type, and coming back."""

import itertools
from contextlib import nullcontext

import pytest

from cortex_server.events import EVENTS
from tests.contract import attempt_actions, batch_actions, conversation_actions  # noqa: F401
from tests.contract.catalogue_actions import ACTIONS
from tests.support.needs import chromium

from .chromium import Page

pytestmark = pytest.mark.browser

AT_WORK = (
    "agent", "attempt", "batch", "git", "memory", "opencode", "permission", "runner", "trigger",
)  # fmt: skip
SCRIPT = "<img src=x onerror='window.broken=1'>"


@pytest.fixture
def page(tmp_path):
    opened = Page(chromium(), tmp_path / "profile")
    yield opened
    opened.close()


@pytest.fixture
def server(make_server):
    made = make_server(heartbeat_s=1)
    made.make("/projects", key="CTX", name=f"Cortex {SCRIPT}")
    made.make("/projects/CTX/tickets", title=f"First {SCRIPT}")
    return made


def log_in(page, server):
    page.go(server.url + server.make("/login-tickets")["path"])
    page.until("window.cortex?.status === 'live'")


def received(page):
    """The events that the page received, in order."""
    return page.value("window.cortex.events")


def positions(page):
    return [int(event["id"].split(".")[1]) for event in received(page) if event["id"]]


def do_everything(server):
    """Perform a public action for each type of event that reaches the board of CTX."""
    server.make("/teams", key="core", name="Core")
    server.api("PATCH", "/teams/core", json={"name": "Other"})
    server.api("DELETE", "/teams/core")
    server.api("PATCH", "/projects/CTX", json={"default_branch": "trunk"})
    server.api("PATCH", "/projects/CTX/settings", json={"values": {"default_type": "chore"}})
    label = server.make("/projects/CTX/labels", name="bug", color="red")["id"]
    server.api("POST", "/tickets/CTX-1/labels", json={"label": "bug"})
    server.api("PATCH", f"/labels/{label}", json={"color": "blue"})
    server.api("DELETE", f"/labels/{label}")
    server.make("/projects/CTX/tickets", title="gone soon")
    server.api("PATCH", "/tickets/CTX-2", json={"title": "changed"})
    server.api("DELETE", "/tickets/CTX-2")
    server.api("POST", "/tickets/CTX-1/move", json={"status": "progress"})
    comment = server.make("/tickets/CTX-1/comments", body=SCRIPT)["id"]
    server.api("PATCH", f"/comments/{comment}", json={"body": "other"})
    server.api("DELETE", f"/comments/{comment}")
    review = server.make("/tickets/CTX-1/reviews", summary="look")["id"]
    server.api("PATCH", f"/reviews/{review}", json={"state": "approved"})
    talk(server)


class Everything:
    """The World of the catalogue's actions, all of them on the board of CTX."""

    project = "CTX"

    def __init__(self, server):
        self.server = server
        self._names = itertools.count(1)

    def perform(self, name):
        self.ticket = self.server.make("/projects/CTX/tickets", title=name)["key"]
        ACTIONS[name](self)

    def emits(self, *_types):
        return nullcontext()

    def new(self, noun):
        return f"{noun[0].upper()}{next(self._names)}"


def work(server):
    """Perform the catalogue's action for each type that agents at work cause."""
    settings = {"attempts_parallel": 1000}
    server.api("PATCH", "/projects/CTX/settings", json={"values": settings})
    world = Everything(server)
    for name in ACTIONS:
        if name.split(".")[0] in AT_WORK:
            world.perform(name)


def talk(server):
    session = server.make("/tickets/CTX-1/sessions", agent=SCRIPT)["id"]
    server.api("PATCH", f"/sessions/{session}", json={"title": "Talk"})
    server.api("PATCH", f"/sessions/{session}", json={"status": "working", "tool": SCRIPT})
    message = f"/sessions/{session}/messages/m"
    part = {"type": "text", "text": "Hel", "status": "streaming"}
    server.api("PUT", message, json={"role": "assistant", "parts": [part]})
    server.api("POST", f"{message}/delta", json={"part": 0, "offset": 3, "text": "lo"})
    server.api("POST", f"/sessions/{session}/end")


def test_the_page_receives_every_type_and_shows_text_only(page, server):
    log_in(page, server)

    work(server)
    do_everything(server)
    page.until("window.cortex.counts['team.deleted'] === 1")
    page.until("window.cortex.counts['session.ended'] >= 1")
    board = server.api("GET", "/projects/CTX/board").json()
    page.until(f"document.body.dataset.seq === '{board['seq']}'")

    counts = page.value("window.cortex.counts")
    # these two end the page's own board, or came before it
    assert EVENTS.keys() - counts.keys() == {"project.created", "project.deleted"}
    assert positions(page) == sorted(set(positions(page)))
    assert page.value("!!document.querySelector('[data-column=progress] [data-ticket=\"CTX-1\"]')")
    assert page.value("document.images.length") == 0
    assert page.value("window.broken") is None
    assert page.faults == []


def test_a_page_that_was_cut_off_comes_back_and_misses_nothing(page, server):
    log_in(page, server)
    server.make("/projects/CTX/tickets", title="before")
    page.until("window.cortex.counts['ticket.created'] === 1")

    server.kill()
    page.until("window.cortex.status === 'reconnecting'")
    assert "as of" in page.value("document.getElementById('status-text').textContent")
    server.start()
    server.make("/projects/CTX/tickets", title="after")

    page.until("document.querySelector('[data-ticket=\"CTX-3\"]')")
    page.until("window.cortex.status === 'live'")
    assert page.value("window.cortex.resumed") >= 1
    first = positions(page)[0]
    assert positions(page) == list(range(first, first + 2))


def test_a_hidden_page_pauses_and_resumes_after_its_last_event(page, server):
    log_in(page, server)

    page.hide(True)
    assert page.value("window.cortex.status") == "paused"
    server.make("/projects/CTX/tickets", title="unseen")
    page.hide(False)

    page.until("document.querySelector('[data-ticket=\"CTX-2\"]')")
    assert page.value("window.cortex.opened") == 2
    assert page.value("window.cortex.resumed") == 1


def test_without_a_login_the_page_says_how_to_get_one(page, server):
    page.go(server.url)

    page.until("window.cortex?.status === 'login'")
    assert "cortex open" in page.value("document.body.innerText")


def test_a_revoked_login_and_a_deleted_project_are_said(page, server):
    secret = server.make("/tokens", name="brief", role="read")
    headers = {"Authorization": f"Bearer {secret['secret']}"}
    path = server.api("POST", "/login-tickets", headers=headers).json()["path"]
    page.go(server.url + path)
    page.until("window.cortex?.status === 'live'")

    server.api("DELETE", f"/tokens/{secret['id']}")
    page.until("window.cortex.status === 'login'")
    log_in(page, server)
    server.api("DELETE", "/projects/CTX")

    page.until("window.cortex.status === 'ended'")
    assert "The project was deleted" in page.value("document.body.innerText")


def test_the_page_of_the_api_lists_and_finds_every_route(page, server):
    log_in(page, server)

    page.go(f"{server.url}/api/docs")
    page.until("document.querySelectorAll('details').length > 50")
    page.value(
        "document.getElementById('search').value = 'post move',"
        "document.getElementById('search').dispatchEvent(new Event('input'))"
    )

    shown = "[...document.querySelectorAll('details')].filter((each) => !each.hidden)"
    assert page.value(f"{shown}.map((each) => each.innerText.split(' ')[1].trim())") == [
        "/api/tickets/{ref}/move"
    ]
    page.value(f"{shown}[0].open = true")
    page.until("document.querySelectorAll('table').length === 4")
    assert page.faults == []
