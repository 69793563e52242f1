"""Every type of the catalogue reaches a real subscriber, with its payload, by a public action."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cortex_cli import sdk
from cortex_server.events import EVENTS
from tests.contract import (  # their actions are in the table then
    attempt_actions,  # noqa: F401
    batch_actions,  # noqa: F401
    conversation_actions,  # noqa: F401
)
from tests.contract.catalogue_actions import ACTIONS, World
from tests.support.follower import Follower
from tests.support.server import GUNICORN, Server, wait_for

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
NOT_IN_EVENTS = {"position"}  # derived, so only in answers
OF_A_TICKET = ("attempt", "git", "permission", "opencode")  # whose payloads do not always name it
# Payloads that are only a part of the object: what of it they must hold.
PARTIAL = {
    "attempt.progress": {"stage", "progress", "revision", "updated_at"},
    "attempt.session": {"attempt"},
    "attempt.todos": {"todos", "revision", "updated_at"},
    "attempt.pr": {"state", "url", "number"},
    "git.status": {"branch", "head", "ahead", "behind", "changed"},
    "trigger.fired": {"name"},
}
# Fields that are those of another object than the one at the path: here of the session's attempt.
OF_ANOTHER = {"attempt.session": {"revision", "updated_at"}}
# Fields that events behind it, of the same change, go on with.
GO_ON = {"batch.started": {"tickets", "revision"}}
MISSING_S = 3.0  # what has not come by then is missing
_names = itertools.count(1)


class Stage:
    """A World with a subscriber that watches it. caused: what the action's change emitted."""

    def __init__(self, server: Server, follower: Follower) -> None:
        self.server = server
        self.follower = follower
        self.project = self.new("project")
        server.make("/projects", key=self.project, name="Of one action")
        self.ticket = server.make(f"/projects/{self.project}/tickets", title="First")["key"]
        self.caused: list[sdk.Event] = []

    def new(self, noun: str) -> str:
        return f"{noun[0].upper()}{next(_names)}"

    @contextmanager
    def emits(self, *types: str) -> Iterator[None]:
        before = self._mark()
        yield
        after = self._mark()
        events = self.follower.events
        ids = [event.id for event in events]
        self.caused = events[ids.index(before.id) + 1 : ids.index(after.id)]
        assert [event.type for event in self.caused] == list(types)

    def _mark(self) -> sdk.Event:
        """Make an event that stands between others, and wait until it has come."""
        key = self.new("zmark")
        self.server.make("/teams", key=key, name="A mark")

        def found() -> list[sdk.Event]:
            return [e for e in self.follower.events if e.payload.get("key") == key]

        return wait_for(found, "the mark", MISSING_S)[0]


@pytest.fixture(scope="module")
def follower(shared_server: Server) -> Iterator[Follower]:
    with Follower(shared_server, deltas="*", snapshot=False) as follower:
        yield follower


@pytest.fixture
def stage(shared_server: Server, follower: Follower) -> Stage:
    return Stage(shared_server, follower)


def run(event: str, stage: Stage) -> None:
    """Perform the action of a type and check all that arrives. Fails if anything is missing."""
    seen = len(stage.follower.of(sdk.Delta))
    world: World = stage
    path = ACTIONS[event](world)
    if EVENTS[event].ephemeral:
        check_delta(stage, stage.follower.wait_for(sdk.Delta, seen + 1, MISSING_S)[-1], path)
        return
    for caused in stage.caused:
        check_envelope(stage, caused)
    (mine,) = (caused for caused in stage.caused if caused.type == event)
    check_object(stage, mine, path)


def check_envelope(stage: Stage, event: sdk.Event) -> None:
    declared = EVENTS[event.type].payload
    assert declared.model_validate(event.payload).model_dump(mode="json") == event.payload
    local = stage.server.api("GET", "/whoami").json()["actor"]
    assert {"kind": event.actor.kind, "name": event.actor.name} == local
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event.at)
    assert event.gap == 0
    noun = event.type.partition(".")[0]
    assert event.project == (
        None if noun == "team" else event.payload.get("project", event.project)
    )
    assert (event.seq is None) == (event.project is None)
    if noun == "ticket":
        assert event.ticket == event.payload["key"]
    elif noun in ("comment", "review", "session", "message") or "batch.ticket." in event.type:
        assert event.ticket == event.payload["ticket"]
    elif noun in OF_A_TICKET:
        assert event.ticket == event.payload.get("ticket", stage.ticket)
    else:
        assert event.ticket is None


def check_object(stage: Stage, event: sdk.Event, path: str) -> None:
    """path: of the object; behind a # where it is in the answer, as in /log#items/0."""
    path, _, inside = path.partition("#")
    answer = stage.server.api("GET", path)
    if event.type.endswith(".deleted"):
        assert answer.status_code == 404
        assert UUID7.fullmatch(event.payload["id"])
        return
    assert answer.ok, answer.text
    found = answer.json()
    for step in filter(None, inside.split("/")):
        found = found[int(step) if step.isdigit() else step]
    left_out = NOT_IN_EVENTS | GO_ON.get(event.type, set())
    now = {name: value for name, value in found.items() if name not in left_out}
    if event.type in PARTIAL:
        compared = now.keys() - OF_ANOTHER.get(event.type, set())
        told = {name: value for name, value in event.payload.items() if name in compared}
        assert told == {name: now[name] for name in told}
        assert PARTIAL[event.type] <= told.keys()
        return
    assert {name: event.payload.get(name) for name in now} == now
    extra = set(event.payload) - set(now)
    assert extra <= {"changed", "label", "change"} | left_out
    for field, change in event.payload.get("changed", {}).items():
        assert change["to"] == now[field] != change["from"]


def check_delta(stage: Stage, delta: sdk.Delta, path: str) -> None:
    EVENTS[delta.type].payload.model_validate(delta.payload)
    assert (delta.project, delta.ticket) == (stage.project, stage.ticket)
    message = stage.server.api("GET", path).json()
    part = message["parts"][delta.payload["part"]]
    assert part["text"][delta.payload["offset"] :] == delta.payload["text"] == "lo"
    assert (message["session"], message["id"]) == (
        delta.payload["session"],
        delta.payload["message"],
    )


def test_every_type_has_an_action_and_every_action_a_type():
    assert ACTIONS.keys() == EVENTS.keys()


@pytest.mark.e2e
@pytest.mark.parametrize("event", EVENTS)
def test_an_action_brings_the_event_to_a_subscriber(event: str, stage: Stage):
    run(event, stage)


@pytest.mark.e2e
def test_removing_any_one_emission_turns_the_test_red(tmp_path: Path):
    server = Server(tmp_path)
    server.command = (*GUNICORN, "tests/support/muted.conf.py")
    muted = tmp_path / "muted"
    server.env["MUTED_FILE"] = str(muted)
    server.start()
    try:
        with Follower(server, deltas="*", snapshot=False) as follower:
            green = []
            for event in EVENTS:
                stage = Stage(server, follower)
                muted.write_text(event)
                try:
                    run(event, stage)
                    green.append(event)
                except AssertionError:
                    pass
                muted.write_text("")
        assert green == []
    finally:
        server.kill()
