"""An attempt or a batch as it goes on: its log line by line, and its end.

The stream only tells that there is more; what is printed is asked for, so that nothing is missed
across lost connections, and nothing is printed twice.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from cortex_cli import sdk
from cortex_cli.context import api
from cortex_cli.failures import explain
from cortex_cli.output import clean, clean_lines, say, to_json
from cortex_cli.tail import end_with_the_reader, tell_loss

_ENDED = frozenset({"succeeded", "failed", "cancelled", "lost"})
_COLOURS = {"tool": "cyan", "error": "red", "system": "yellow"}
_PAGE = 500
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)

T = TypeVar("T")


def log(
    client: sdk.CortexClient,
    attempt: dict[str, Any],
    *,
    as_json: bool = False,
    kinds: frozenset[str] = frozenset(),
    last: int | None = None,
    follow: bool = True,
) -> int:
    """Print an attempt's log, until its end when `follow`; return 0 when it succeeded, else 1.

    kinds: only these, all when empty · last: begin with so many, the newest.
    """
    shown = _Log(client, attempt["id"], as_json, kinds)
    if last is not None:
        shown.print_last(last)
    if not follow:
        if last is None:
            shown.print_new()
        return 0
    ended = _until_it_ends(client, attempt, "attempt.log", shown.print_new)
    if not as_json:
        reason = f": {ended['reason']}" if ended["reason"] else ""
        say(f"{attempt['ticket']}/{attempt['number']} {ended['status']}{reason}")
    return 0 if ended["status"] == "succeeded" else 1


def end_of(client: sdk.CortexClient, attempt: dict[str, Any]) -> dict[str, Any]:
    """Wait until the attempt has ended and return it as it is then."""
    return _until_it_ends(client, attempt, "", lambda: None)


def batch(client: sdk.CortexClient, found: dict[str, Any], *, as_json: bool = False) -> int:
    """Print what changes in a batch until it ends; return 0 when it completed, else 1."""
    told: dict[str, str] = {}

    def tell(now: dict[str, Any]) -> None:
        for ticket in now["tickets"]:
            if told.get(ticket["ticket"]) != ticket["status"] != "pending":
                told[ticket["ticket"]] = ticket["status"]
                _print_ticket(ticket, as_json)

    def look() -> dict[str, Any]:
        now: dict[str, Any] = client.get(api("batches", found["id"]))
        tell(now)
        return now

    for _ in _news(client, found["project"], "batch.*", None, found["id"], "batch"):
        now = patiently(look)
        if now["status"] in ("completed", "failed", "cancelled"):
            if not as_json:
                more = now["pr_url"] or now["compare_url"] or now["reason"]
                say(f"Batch {clean(now['name'])}: {now['status']}{f': {more}' if more else ''}")
            return 0 if now["status"] == "completed" else 1
    raise _no_more()


def patiently(ask: Callable[[], T]) -> T:
    """Return what `ask` does; while the server is away or has no room, ask again.

    A stream that is followed comes back by itself, and so must what is asked in between.
    Raises CortexError when the server refuses.
    """
    tries = 0
    while True:
        try:
            return ask()
        except (sdk.Unreachable, sdk.Overloaded, sdk.ServerFault) as error:
            pause_s = _PAUSES_S[min(tries, len(_PAUSES_S) - 1)]
            tries += 1
            if tries > 1:
                say(f"{explain(error).splitlines()[0]} Trying again in {pause_s:.1f} s.")
            time.sleep(pause_s)


class _Log:
    """Prints the entries of an attempt's log, each once."""

    def __init__(
        self, client: sdk.CortexClient, attempt: str, as_json: bool, kinds: frozenset[str]
    ) -> None:
        self._client = client
        self._path = api("attempts", attempt, "log")
        self._as_json = as_json
        self._kinds = kinds
        self._seen = 0

    def print_new(self) -> None:
        for entry in self._entries():
            self._print(entry)

    def print_last(self, count: int) -> None:
        """Print the newest of those that there are, and no older one from now on."""
        if not self._kinds:  # the entries count from 1: the older ones need not be read
            newest = self._client.get(self._path, {"tail": 1})["items"]
            self._seen = max(0, newest[0]["number"] - count) if newest else 0
        for entry in deque(self._entries(), maxlen=count):
            self._print(entry)

    def _entries(self) -> Iterator[dict[str, Any]]:
        while True:
            query = {"after": self._seen, "limit": _PAGE}
            page = self._client.get(self._path, query)["items"]
            for entry in page:
                if not self._kinds or entry["kind"] in self._kinds:
                    yield entry
                self._seen = entry["number"]
            if len(page) < _PAGE:
                return

    def _print(self, entry: dict[str, Any]) -> None:
        if self._as_json:
            click.echo(to_json(entry))
            return
        tool = f"[{clean(entry['tool'])}] " if entry["tool"] else ""
        text = clean_lines(entry["text"].rstrip("\n"))
        click.echo(click.style(f"{tool}{text}", fg=_COLOURS.get(entry["kind"])))


def _until_it_ends(
    client: sdk.CortexClient, attempt: dict[str, Any], types: str, look: Callable[[], None]
) -> dict[str, Any]:
    """Call `look` whenever there may be something new; return the attempt when it has ended."""

    def ask() -> dict[str, Any]:
        # The status first: what was logged before it is there then.
        now: dict[str, Any] = client.get(api("attempts", attempt["id"]))
        look()
        return now

    wanted = ",".join(filter(None, (types, "attempt.status")))
    for _ in _news(client, attempt["project"], wanted, attempt["ticket"], attempt["id"], "attempt"):
        now = patiently(ask)
        if now["status"] in _ENDED:
            return now
    raise _no_more()


def _news(
    client: sdk.CortexClient, project: str, types: str, ticket: str | None, own: str, field: str
) -> Iterator[None]:
    """Yield whenever there may be news of one object: its events, and each new connection.

    own: its id, which is an event's `id`, or stands in its `field`. Ends when the stream does, or
    when whoever reads our pipe has gone.
    """
    with client.events(project, types=types, ticket=ticket, snapshot=False) as stream:
        end_with_the_reader(stream)
        for value in stream:
            match value:
                case sdk.Connected() | sdk.Reset():
                    yield
                case sdk.Event() if own in (value.payload.get(field), value.payload.get("id")):
                    yield
                case sdk.Lost() if value.retry_in is None:
                    raise value.error
                case sdk.Lost():
                    tell_loss(value)


def _no_more() -> Exception:
    """Why a stream gave nothing more: its reader has gone, which is no failure, or it was ended."""
    if _reader_has_gone():
        return BrokenPipeError()
    return sdk.StreamError("The server ended the stream for good.")


def _reader_has_gone() -> bool:
    try:
        descriptor = sys.stdout.fileno()
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return False
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))


def _print_ticket(ticket: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(to_json(ticket))
        return
    why = ticket["error"] or ", ".join(ticket["files"])
    colour = {"failed": "red", "skipped": "yellow", "completed": "green", "merged": "green"}
    pieces = [
        click.style(clean(ticket["ticket"]).ljust(10), bold=True),
        click.style(clean(ticket["status"]).ljust(10), fg=colour.get(ticket["status"])),
        clean(why or ticket["title"]),
    ]
    click.echo(" ".join(pieces))
