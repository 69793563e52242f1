"""A text in the user's editor: $VISUAL, then $EDITOR, then vi.

The file is private and lies in the state directory, so that a draft that could not be sent is
still there tomorrow. Commands and the live board both edit by this.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click

from cortex_cli.paths import state_dir

# Less than `output.clean` takes away: an edit must not cost an emoji its colour. Everything
# that an editor might pass on to the terminal goes, but line breaks and tabs.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class EditorFailed(click.ClickException):
    """There is no text to go on with; the message says why, and where a draft is kept."""


class Draft:
    """A file that the editor opens; `keep` or `discard` it in the end."""

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self.path = path
        self._fresh = fresh  # nobody has seen it yet

    def edit(self, environ: Mapping[str, str]) -> str:
        """Open the editor and return what was saved.

        Raises EditorFailed; a draft that somebody may have written in is kept then.
        """
        try:
            code = _run([*editor(environ), str(self.path)])
        except EditorFailed:
            if self._fresh:
                self.discard()
            raise
        self._fresh = False
        if code != 0:
            raise EditorFailed(f"The editor ended with {code}; {self.kept()}")
        return self.read()

    def read(self) -> str:
        """Return what is in it. Raises EditorFailed."""
        try:
            return self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise EditorFailed(f"The draft is not UTF-8; {self.kept()}") from None
        except FileNotFoundError:
            raise EditorFailed("The draft was deleted: nothing was changed.") from None

    def kept(self) -> str:
        """Return the sentence that tells where the draft is."""
        return f"your draft is kept in {self.path}"

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


def draft(text: str, name: str, environ: Mapping[str, str]) -> Draft:
    """Write `text` to a new private file. `name` is a hint for people: a ticket's key."""
    directory = state_dir(environ) / "drafts"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60]
    descriptor, path = tempfile.mkstemp(dir=directory, prefix=f"{safe}-", suffix=".md")  # 0600
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return Draft(Path(path), fresh=True)


def _run(argv: list[str]) -> int:
    try:
        return subprocess.run(argv, check=False).returncode
    except OSError as error:
        raise EditorFailed(f"The editor {argv[0]} cannot be started: {error.strerror}.") from None


def editor(environ: Mapping[str, str]) -> list[str]:
    """Return the editor's command, split as a shell would, but run without one.

    Raises EditorFailed when none is named and there is no terminal to run vi on.
    """
    named = environ.get("VISUAL") or environ.get("EDITOR")
    if named:
        try:
            argv = shlex.split(named)
        except ValueError as error:
            raise EditorFailed(f"VISUAL or EDITOR cannot be read: {error}.") from None
        if argv:
            return argv
    if not sys.stdin.isatty():
        raise EditorFailed(
            "There is no terminal to edit on: set EDITOR, or give the changes as options."
        )
    return ["vi"]


def safe_to_edit(text: str) -> str:
    """Return text without what an editor might pass on to the terminal."""
    return _STEERING.sub("\ufffd", text.replace("\r\n", "\n"))
