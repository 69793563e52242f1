"""Domain functions in transactions of their own, and what the log says happened."""

import json
from collections.abc import Callable
from typing import Any

from cortex_server import log
from cortex_server.events.objects import Actor
from cortex_server.log import Page
from cortex_server.store import Store

ALICE = Actor(kind="user", name="alice")
BOB = Actor(kind="agent", name="bob")

Do = Callable[..., Any]


def doing(store: Store) -> Do:
    """A function that calls a domain function in a write transaction: do(tickets.get, "CTX-1")."""

    def do(verb: Do, *arguments: Any, actor: Actor = ALICE, **named: Any) -> Any:
        with store.write(actor) as tx:
            return verb(tx, *arguments, **named)

    return do


def seeing(store: Store) -> Do:
    """The same in a read transaction."""

    def see(verb: Do, *arguments: Any, **named: Any) -> Any:
        with store.read() as tx:
            return verb(tx, *arguments, **named)

    return see


def read_log(store: Store, cursor: int = 0, *arguments: Any, **options: Any) -> Page:
    with store.read() as tx:
        return log.after(tx.conn, cursor, *arguments, **options)


class Happened:
    """Called: the events since the last call, oldest first; fails if one is missing in between."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.read() as tx:
            self.cursor = log.state(tx.conn).head
        self.seqs: dict[str, int] = {}

    def __call__(self) -> list[dict[str, Any]]:
        events = read_log(self.store, self.cursor).events
        positions = [event.position for event in events]
        assert positions == list(range(self.cursor + 1, self.cursor + 1 + len(events)))
        self.cursor += len(events)
        for event in events:
            if event.project:
                before = self.seqs.get(event.project, (event.seq or 0) - 1)
                assert event.seq == before + 1
                self.seqs[event.project] = event.seq
        return [json.loads(event.data) for event in events]

    def types(self) -> list[str]:
        return [event["type"] for event in self()]

    def one(self) -> dict[str, Any]:
        (event,) = self()
        return event
