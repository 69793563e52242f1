"""The board's entry point: a live screen where there is a terminal, a printed board elsewhere."""

import locale
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_cli.board.effects import Effects
    from cortex_cli.board.model import Model
    from cortex_cli.sdk import CortexClient


class NoProject(ValueError):
    """No project was named, and there is not exactly one. Its text says which there are."""


def run(
    client_factory: "Callable[[], CortexClient]",
    project: str | None,
    *,
    once: bool = False,
    as_json: bool = False,
    ascii_only: bool = False,
    url: str = "",
    environ: Mapping[str, str] | None = None,
) -> int:
    """Show the board until it is left. Returns the exit code.

    client_factory: called in a thread, after the first frame. project: None asks which.
    url: only shown.
    Raises NoProject and the SDK's errors when it prints; the live board shows them.
    """
    environ = os.environ if environ is None else environ
    ascii_only = ascii_only or not _use_locale()
    if once or as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _print(client_factory, project, as_json, ascii_only)
    from cortex_cli.board import terminal

    if not terminal.usable(environ):
        return _print(client_factory, project, as_json, ascii_only)
    from cortex_cli.board.model import Model

    model = Model(project=project or "", url=url, ascii_only=ascii_only)
    return _live(client_factory, model, environ)


def run_dashboard(
    client_factory: "Callable[[], CortexClient]",
    *,
    once: bool = False,
    as_json: bool = False,
    ascii_only: bool = False,
    url: str = "",
    environ: Mapping[str, str] | None = None,
) -> int:
    """As `run`, for all projects at a glance; Enter on one of them goes to its board."""
    environ = os.environ if environ is None else environ
    ascii_only = ascii_only or not _use_locale()
    if not (once or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        from cortex_cli.board import terminal

        if terminal.usable(environ):
            from cortex_cli.board.model import Dashboard, Model

            model = Model(
                url=url, ascii_only=ascii_only, dashboard=Dashboard(stream=-1), dashboards=1
            )
            return _live(client_factory, model, environ)
    from cortex_cli.board.once import print_dashboard

    print_dashboard(client_factory(), as_json=as_json, ascii_only=ascii_only)
    return 0


def _use_locale() -> bool:
    """Take over the user's locale, or C.UTF-8 for a bad one. Returns whether it is UTF-8."""
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        try:
            locale.setlocale(locale.LC_ALL, "C.UTF-8")
        except locale.Error:
            return False
    return locale.nl_langinfo(locale.CODESET).replace("-", "").upper() == "UTF8"


def _print(
    client_factory: "Callable[[], CortexClient]",
    project: str | None,
    as_json: bool,
    ascii_only: bool,
) -> int:
    from cortex_cli.board.once import print_board

    client = client_factory()
    if project is None:
        keys = [str(item["key"]) for item in client.paginate("/api/projects")]
        if len(keys) != 1:
            raise NoProject(
                f"Name a project: {', '.join(keys)}" if keys else "There is no project yet."
            )
        project = keys[0]
    print_board(client, project, as_json=as_json, ascii_only=ascii_only)
    return 0


def _live(
    client_factory: "Callable[[], CortexClient]", model: "Model", environ: Mapping[str, str]
) -> int:
    from cortex_cli.board.inbox import Inbox
    from cortex_cli.board.interrupts import Interrupts
    from cortex_cli.board.loop import Loop
    from cortex_cli.board.messages import NetworkEffect
    from cortex_cli.board.terminal import Terminal

    inbox, terminal = Inbox(), Terminal(environ)
    running: list[Effects] = []

    def start_effect(effect: NetworkEffect) -> None:
        if not running:
            from cortex_cli.board.effects import Effects  # with the SDK: after the first frame

            running.append(Effects(client_factory, inbox.post))
        running[0].run(effect)

    with Interrupts(inbox.writer) as interrupts:
        try:
            terminal.open()
            return Loop(terminal, inbox, interrupts, start_effect, model).run()
        finally:
            terminal.close()
            for effects in running:
                effects.close()
            inbox.close()
