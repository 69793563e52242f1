"""Copying by the programs of the desktop or of tmux, beside what the terminal itself can do."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping

from cortex_cli.board.messages import Copied

LIMIT_S = 3.0


def copy(text: str, environ: Mapping[str, str], sent: bool, post: Callable[[Copied], None]) -> None:
    """Start to copy, and return at once; what came of it is posted.

    sent: the terminal was asked already (OSC 52); it never says whether it did it.
    """

    def run() -> None:
        by = [name for name, argv in programs(environ) if _run(argv, text)]
        post(Copied(text, tuple(by), sent))

    threading.Thread(target=run, name="cortex-copy", daemon=True).start()


def programs(environ: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """(name, its command line) of what could take a text here, from standard input."""
    found = []
    if environ.get("TMUX"):
        found.append(("tmux", ["tmux", "load-buffer", "-w", "-"]))
    if environ.get("WAYLAND_DISPLAY"):
        found.append(("wl-copy", ["wl-copy"]))
    if environ.get("DISPLAY"):
        found.append(("xclip", ["xclip", "-selection", "clipboard"]))
    if sys.platform == "darwin":
        found.append(("pbcopy", ["pbcopy"]))
    path = environ.get("PATH", os.defpath)
    return [(name, [which, *argv[1:]]) for name, argv in found
            if (which := shutil.which(argv[0], path=path))]  # fmt: skip


def _run(argv: list[str], text: str) -> bool:
    try:
        ran = subprocess.run(
            argv,
            input=text.encode(),
            stdout=subprocess.DEVNULL,  # xclip stays behind, and would hold a pipe open
            stderr=subprocess.DEVNULL,
            timeout=LIMIT_S,
            start_new_session=True,  # and ^C is not meant for it
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return ran.returncode == 0
