"""`cortex up`: from nothing to a board."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cortex_cli import local_server, sdk, tickets_tree
from cortex_cli.commands import board, config
from cortex_cli.context import App, api
from cortex_cli.options import Command
from cortex_cli.output import clean, say

_LONGEST_KEY = 10  # a short one: every ticket's key begins with it
_MOST_KEYS = 100


@click.command("up", cls=Command)
@click.option("--demo", is_flag=True, help="Show a project in which scripted agents work.")
@click.option("--keep", is_flag=True, help="Keep the demo's project afterwards.")
@click.option("-d", "--detach", is_flag=True, help="Show no board; leave the server running.")
@click.pass_obj
def command(app: App, demo: bool, keep: bool, detach: bool) -> None:
    """Start the server unless it runs, then show the board.

    The first time in a directory it makes a project for it. The server goes on in the
    background; `cortex down` stops it. Without a terminal the board is printed once, and a
    server that this command started is stopped again.
    """
    if keep and not demo:
        raise click.UsageError("--keep goes with --demo.")
    config.checked(app)  # before a server runs for a board that cannot be shown
    url = app.server_url()
    started = not local_server.is_ready(url, app.ca_file()) and _start(app, url)
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        if detach:
            code = 0
        elif demo:
            code = _show_demo(app, keep, live=on_terminal)
        else:
            code = board.show(app, project_here(app))
    finally:
        if started and not (on_terminal or detach):
            app.close()  # an idle connection would hold the server up
            local_server.LocalServer.at(url, app.environ).stop()
        elif started:
            say(f"The server goes on in the background at {url}; stop it with `cortex down`.")
    click.get_current_context().exit(code)


def _start(app: App, url: str) -> bool:
    return local_server.LocalServer.at(url, app.environ).start(app.environ)


def _show_demo(app: App, keep: bool, live: bool) -> int:
    from cortex_cli.demo import Demo

    demo = Demo(app.client, rounds=None if live else 1, pace=1.0 if live else 0.0)
    with _time_to_clean_up(), demo.running(keep=keep) as project:
        if not live:
            demo.wait()
        return board.show(app, project)


@contextlib.contextmanager
def _time_to_clean_up() -> Iterator[None]:
    """Survive the hang-ups after the first: a closed window sends several.

    The live board has handlers of its own, and puts these back when it ends.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    for number in before:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def project_here(app: App) -> str:
    """Return the project of this directory; make one when it has none.

    A project that belongs to another directory is no answer inside a git work tree.
    """
    named = app.named_project()
    if named:
        return named
    projects = app.projects()
    found = app.project_here(projects)
    if found is not None:
        return found
    here = Path.cwd().resolve()
    top = tickets_tree.work_tree(here / "x")
    homeless = [project for project in projects if not project["repo_path"]]
    if projects and (top is None or (len(projects) == 1 and homeless)):
        return app.project()  # the only one, or an error that names them
    return _make(app, top or here)


def _make(app: App, directory: Path) -> str:
    stem, name = key_for(directory.name), clean(directory.name).strip()
    for number in range(1, _MOST_KEYS):
        key = stem if number == 1 else f"{stem}{number}"
        fields: dict[str, Any] = {"key": key, "name": name or key}
        try:
            project = app.client.post(api("projects"), {**fields, "repo_path": str(directory)})
        except sdk.Conflict as error:
            if error.code != "already_exists":
                raise
            continue
        say(f"Made project {key} for {directory}.")
        return str(project["key"])
    raise click.UsageError(f"No key is free for {directory}: `cortex project create KEY --repo .`")


def key_for(name: str) -> str:
    """Return the key of a new project for a directory of this name."""
    words = re.sub(r"[^A-Z0-9]+", "-", name.upper()).strip("-")
    letters = re.sub(r"^[^A-Z]+", "", words)[:_LONGEST_KEY].rstrip("-")
    return letters or "BOARD"
