"""Command lines run in this process, printing into a pipe or on a real pseudo-terminal."""

import io
import os
import pty
import sys
import threading
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from cortex_cli.main import cli, run


def commands(
    group: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something by itself, by its words."""
    if not isinstance(group, click.Group) or group.invoke_without_command:
        yield " ".join(path), group
    if not isinstance(group, click.Group):
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


def printed(words: Sequence[str], terminal: bool = False) -> tuple[int, str]:
    """The exit code, and all that was printed on both streams, as it came.

    What is no UTF-8 is shown as half of a pair, which no output may hold either.
    """
    with (_terminal if terminal else _pipe)() as (stream, take):
        kept = sys.stdin, sys.stdout, sys.stderr
        sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO()), stream, stream
        try:
            code = run(list(words))
        except SystemExit as ended:  # after completing
            code = int(ended.code or 0)
        finally:
            sys.stdin, sys.stdout, sys.stderr = kept
        return code, take()


@contextmanager
def _pipe() -> Iterator[Any]:
    into = io.BytesIO()
    stream = io.TextIOWrapper(into, "utf-8")

    def take() -> str:
        stream.flush()
        return into.getvalue().decode("utf-8", "surrogateescape")

    yield stream, take
    stream.detach()


@contextmanager
def _terminal() -> Iterator[Any]:
    """A raw one: what a program writes is what comes, without a terminal's own carriage returns."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    got = bytearray()

    def drain() -> None:
        try:
            while piece := os.read(master, 65_536):
                got.extend(piece)
        except OSError:
            return  # the other end was closed, and all of it was read

    reader = threading.Thread(target=drain)
    reader.start()
    stream = os.fdopen(slave, "w", encoding="utf-8")

    def take() -> str:
        stream.close()
        reader.join()
        return got.decode("utf-8", "surrogateescape")

    try:
        yield stream, take
    finally:
        if not stream.closed:
            stream.close()
        reader.join()
        os.close(master)
