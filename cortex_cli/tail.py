"""Events as lines, frames or commands: what `cortex watch` does with a stream.

The cursor moves only after an event was dealt with: its line was written, or its command
succeeded. So a consumer that starts again from its cursor misses nothing; an event whose line
was out when the power went may come twice.
"""

from __future__ import annotations

import json
import os
import select
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import click

from cortex_cli import sdk
from cortex_cli.event_words import summary
from cortex_cli.failures import Failed, explain
from cortex_cli.output import clean, escape_json, say, to_json

Item = sdk.Event | sdk.Delta | sdk.Reset
Emit = Callable[[Item], None]

_COLOURS = {
    "ticket": "cyan", "comment": "yellow", "review": "magenta", "session": "green",
    "message": "white", "project": "blue", "reset": "red",
}  # fmt: skip
_LONGEST_SUMMARY = 100


class Tail:
    """Follows one stream to its end."""

    def __init__(
        self, emit: Emit, cursor: CursorFile | None = None, count: int | None = None
    ) -> None:
        self._emit = emit
        self._cursor = cursor
        self._left = count
        self._connected_before = False
        self._head: str | None = None

    def follow(self, stream: sdk.EventStream, started_at: str) -> int:
        """Deal with every value; return the exit code.

        started_at: the cursor that the stream resumes after.
        """
        for value in stream:
            match value:
                case sdk.Connected():
                    self._connected(value, started_at)
                case sdk.Event() | sdk.Delta():
                    self._item(value)
                    if self._left == 0:
                        return 0
                case sdk.Reset():
                    self._reset(value)
                case sdk.Heartbeat():
                    self._advance(value.id)
                case sdk.End() if value.reconnect:
                    say(f"the server ended the stream ({value.reason}); coming back")
                case sdk.Lost() if value.retry_in is None:
                    say(explain(value.error))
                    return value.error.exit_code
                case sdk.Lost():
                    tell_loss(value)
        return 0

    def _connected(self, value: sdk.Connected, started_at: str) -> None:
        say("connected again" if self._connected_before else f"connected (Cortex {value.version})")
        self._head = f"{value.epoch}.{value.head}"
        if value.resumed and not self._connected_before:
            self._advance(started_at)  # so that it resumes here even when nothing happens
        self._connected_before = True

    def _item(self, value: sdk.Event | sdk.Delta) -> None:
        if isinstance(value, sdk.Event) and value.gap:
            say(f"{value.gap} events are missing before {value.id}")
        self._emit(value)
        if isinstance(value, sdk.Event):
            self._advance(value.id)
        if self._left is not None:
            self._left -= 1

    def _reset(self, value: sdk.Reset) -> None:
        say(f"events are missing: the cursor cannot be served ({value.reason})")
        self._emit(value)
        self._advance(self._head)

    def _advance(self, event_id: str | None) -> None:
        if self._cursor is not None and event_id is not None:
            self._cursor.write(event_id)


def tell_loss(value: sdk.Lost) -> None:
    """Say that the stream is lost and when it will be tried again."""
    of = f"/{value.of}" if value.of else ""
    say(f"{value.error} Trying again in {value.retry_in:.1f} s ({value.attempt}{of}).")


class CursorFile:
    """A file that holds the id of the last event that was dealt with."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: str | None = None

    def read(self) -> str | None:
        """Return the cursor; None when there is no file yet. Raises Failed for a damaged one."""
        try:
            text = self._path.read_text("ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(f"{self._path} cannot be read: {error}.") from None
        if not text or any(c.isspace() or not c.isprintable() for c in text):
            raise Failed(f"{self._path} holds no cursor. Delete it to begin anew.")
        self._written = text
        return text

    def write(self, cursor: str) -> None:
        """Store the cursor: the old one or the new one is there, never half of it."""
        if cursor == self._written:
            return
        try:
            self._replace(cursor)
        except OSError as error:
            raise Failed(f"{self._path} cannot be written: {error.strerror}.") from None
        self._written = cursor

    def _replace(self, cursor: str) -> None:
        descriptor, name = tempfile.mkstemp(dir=self._path.absolute().parent, prefix=".cursor-")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{cursor}\n")
            os.replace(name, self._path)
        except BaseException:  # an interrupt, too: a draft must not stay
            os.unlink(name)
            raise


def start_of(hello: sdk.Connected, since: str) -> str:
    """Return the cursor that `--since` means: an id, a position, 0 for the oldest, or now."""
    if since == "now":
        return f"{hello.epoch}.{hello.head}"
    # A position alone needs the epoch of the log that it is a position in.
    return f"{hello.epoch}.{max(int(since), hello.floor)}" if since.isdecimal() else since


def greet(
    client: sdk.CortexClient, project: str | None, ticket: str | None, retries: int | None
) -> sdk.Connected:
    """Wait for the server as patiently as `watch` does and return its greeting.

    Raises CortexError when it gives up.
    """
    with client.events(project, ticket=ticket, snapshot=False, retries=retries) as stream:
        for value in stream:
            if isinstance(value, sdk.Connected):
                return value
            if isinstance(value, sdk.Lost):
                if value.retry_in is None:
                    raise value.error
                tell_loss(value)
    raise sdk.StreamError("The server sent no greeting.")


def end_with_the_reader(stream: sdk.EventStream) -> None:
    """Close the stream when whoever reads our pipe goes, also while nothing happens."""
    try:
        descriptor = sys.stdout.fileno()
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return
    except (OSError, ValueError):
        return
    poll = select.poll()
    poll.register(descriptor, 0)  # errors and hang-ups come without being asked for

    def wait() -> None:
        poll.poll()
        stream.close()

    threading.Thread(target=wait, name="watch-pipe", daemon=True).start()


def json_line(item: Item) -> None:
    """Print one line of JSON, the event's own."""
    if isinstance(item, sdk.Reset):
        _write(to_json({"type": "reset", "reason": item.reason, "floor": item.floor}))
    else:
        # As it was sent; escaping what a terminal would act on leaves it the same JSON.
        _write(escape_json(item.raw))


def raw_frame(item: Item) -> None:
    """Print the frame as it came: id, event and data, with an empty line after it."""
    if isinstance(item, sdk.Reset):
        data = json.dumps({"reason": item.reason, "floor": item.floor})
        _write(f"event: reset\ndata: {data}\n")
        return
    raw = escape_json(item.raw)  # also into a pipe: it is the same JSON, and may end on a terminal
    head = f"id: {item.id}\n" if isinstance(item, sdk.Event) and item.id else ""
    _write(f"{head}event: {item.type}\ndata: {raw}\n")


def readable_line(item: Item) -> None:
    """Print one line for people."""
    if isinstance(item, sdk.Reset):
        _write(click.style(f"reset ({clean(item.reason)}): events are missing", fg="red"))
        return
    colour = _COLOURS.get(item.type.split(".")[0])
    pieces = [
        click.style(_clock(item.at), dim=True),
        click.style(clean(item.type).ljust(17), fg=colour),
        click.style(clean(item.ticket or item.project or ""), bold=True),
        clean(summary(item.type, item.payload))[:_LONGEST_SUMMARY],
    ]
    if isinstance(item, sdk.Event):
        who = f"{item.actor.kind} {item.actor.name}"
        pieces += [click.style(clean(who), dim=True), click.style(clean(item.id), dim=True)]
    _write("  ".join(piece for piece in pieces if piece))


def command_runner(argv: Sequence[str], environ: Mapping[str, str]) -> Emit:
    """Return an emit that runs `argv` for each event, with its JSON on standard input.

    It raises Failed when the command fails, so that the cursor stays before that event.
    """

    def run(item: Item) -> None:
        event, variables = _for_command(item)
        try:
            code = subprocess.run(
                argv, input=event.encode(), env={**environ, **variables}, check=False
            ).returncode
        except OSError as error:
            raise Failed(f"{argv[0]} cannot be started: {error.strerror}.") from None
        if code != 0:
            name = variables["CORTEX_EVENT_ID"] or variables["CORTEX_EVENT_TYPE"]
            raise Failed(f"{argv[0]} ended with {code} on {name}; the cursor stays before it.")

    return run


def _for_command(item: Item) -> tuple[str, dict[str, str]]:
    fields: dict[str, object]
    if isinstance(item, sdk.Reset):
        event = to_json({"type": "reset", "reason": item.reason, "floor": item.floor})
        fields = {"id": None, "type": "reset"}
    else:
        event = item.raw
        fields = {"type": item.type, "project": item.project, "ticket": item.ticket, "at": item.at}
        if isinstance(item, sdk.Event):
            fields |= {"id": item.id, "seq": item.seq}
            fields |= {"actor_kind": item.actor.kind, "actor_name": item.actor.name}
    names = ("id", "type", "project", "ticket", "at", "seq", "actor_kind", "actor_name")
    texts = {name: "" if fields.get(name) is None else str(fields[name]) for name in names}
    # A NUL cannot stand in an environment.
    return event, {f"CORTEX_EVENT_{k.upper()}": v.replace("\0", "") for k, v in texts.items()}


def _clock(at: str) -> str:
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S")
    except (ValueError, OverflowError):
        return ""


def _write(line: str) -> None:
    click.echo(line)  # flushes: a reader sees each event when it happens
