"""The board's entry point: a live screen where there is a terminal, a printed board elsewhere."""

import gc
import locale
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cortex_cli.board.settings import Settings

if TYPE_CHECKING:
    from cortex_cli.board.cache import BoardCache
    from cortex_cli.board.effects import Effects
    from cortex_cli.board.model import Model
    from cortex_cli.sdk import CortexClient

    Answered = Callable[[CortexClient], None]


SWITCH_S = 0.001  # at most so long a key waits for a thread that reads the stream


class NoProject(ValueError):
    """No project was named, and there is not exactly one. Its text says which there are."""


def run(
    client_factory: "Callable[[], CortexClient]",
    project: str | None,
    *,
    once: bool = False,
    as_json: bool = False,
    url: str = "",
    environ: Mapping[str, str] | None = None,
    everything: bool = False,
    settings: Settings | None = None,
    answered: "Answered | None" = None,
) -> int:
    """Show the board until it is left. Returns the exit code.

    client_factory: called in a thread, after the first frame. project: None asks which.
    url: what the cache of boards goes by. everything: begin with all projects in one board.
    settings: the user's. answered: called in a thread when the live board was answered.
    Raises NoProject and the SDK's errors when it prints; the live board shows them.
    """
    environ = os.environ if environ is None else environ
    wanted = settings or Settings()
    ascii_only = not _use_locale() or wanted.ascii
    printed = once or as_json or not (sys.stdin.isatty() and sys.stdout.isatty())
    if not printed:
        from cortex_cli.board import terminal

        printed = not terminal.usable(environ)
    if printed and everything:
        from cortex_cli.board.once import print_everything

        print_everything(client_factory(), as_json=as_json, ascii_only=ascii_only)
        return 0
    if printed:
        return _print(client_factory, project, as_json, ascii_only)
    from cortex_cli.board.model import Model

    model = Model(
        project=project or "",
        url=url,
        ascii_only=ascii_only,
        mouse=wanted.mouse,
        sort=wanted.sort,
        settings=wanted,
    )
    if everything:
        from cortex_cli.board.everything import beginning

        model = beginning(model)
    return _live(client_factory, model, environ, answered)


def run_dashboard(
    client_factory: "Callable[[], CortexClient]",
    *,
    once: bool = False,
    as_json: bool = False,
    url: str = "",
    environ: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> int:
    """As `run`, for all projects at a glance; Enter on one of them goes to its board."""
    environ = os.environ if environ is None else environ
    wanted = settings or Settings()
    ascii_only = not _use_locale() or wanted.ascii
    if not (once or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        from cortex_cli.board import terminal

        if terminal.usable(environ):
            from cortex_cli.board.model import Dashboard, Model

            model = Model(
                url=url,
                ascii_only=ascii_only,
                mouse=wanted.mouse,
                sort=wanted.sort,
                settings=wanted,
                dashboard=Dashboard(stream=-1),
                dashboards=1,
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


def _of_the_last_time(
    model: "Model", environ: Mapping[str, str]
) -> "tuple[BoardCache | None, Model]":
    """The cache of boards, None where none is wanted, and the model with what it has."""
    from cortex_cli.board import keeping
    from cortex_cli.board.cache import BoardCache

    cache = BoardCache(environ, model.url) if model.settings.cache else None
    if cache is None or model.everything or model.dashboard:
        return cache, model
    kept = cache.read(model.project, time.time())
    return cache, keeping.begin(model, kept) if kept else model


def _live(
    client_factory: "Callable[[], CortexClient]",
    model: "Model",
    environ: Mapping[str, str],
    answered: "Answered | None" = None,
) -> int:
    from cortex_cli.board import keeping
    from cortex_cli.board.crashes import Quiet, tell
    from cortex_cli.board.inbox import Inbox
    from cortex_cli.board.interrupts import Interrupts
    from cortex_cli.board.loop import Loop
    from cortex_cli.board.messages import NetworkEffect
    from cortex_cli.board.terminal import Terminal

    gc.disable()  # until the first frame: what is imported and read from the cache stays
    sys.setswitchinterval(SWITCH_S)
    cache, model = _of_the_last_time(model, environ)
    inbox, terminal = Inbox(), Terminal(environ)
    running: list[Effects] = []

    def start_effect(effect: NetworkEffect) -> None:
        if not running:
            from cortex_cli.board.effects import Effects  # with the SDK: after the first frame

            running.append(Effects(client_factory, inbox.post, cache, answered))
        running[0].run(effect)

    def shown(interrupts: Interrupts) -> "tuple[int, Model]":
        with Quiet(inbox.post):
            loop = Loop(terminal, inbox, interrupts, start_effect, model)
            try:
                terminal.open(mouse=model.mouse)
                return loop.run(), loop.model
            finally:
                terminal.close()
                for effects in running:
                    effects.close()

    def run() -> int:
        with Interrupts(inbox.writer) as interrupts:
            code, left = shown(interrupts)
            for effects in running:
                from cortex_cli.board import leaving

                left, code = leaving.finish(left, effects, inbox, interrupts, code)
            if cache and (last := keeping.last(left)):
                cache.write(last)
            return code

    try:
        return run()
    except Exception as error:  # whatever it was: the terminal is restored, so it can be read
        tell(error)
        for effects in running:
            from cortex_cli.board import leaving

            leaving.wait(effects)
        return 1
    finally:
        inbox.close()
