"""The user's editor, run for the board; the terminal has been given back for it."""

from collections.abc import Mapping
from pathlib import Path

from cortex_cli import editor
from cortex_cli.board.changes import Job, NotWritten, Written


def write(job: Job, environ: Mapping[str, str]) -> Written | NotWritten:
    """Let the user write, in a new private file or in the draft that the job goes on with.

    Blocks until the editor has ended. A file in which nothing was written is removed.
    """
    try:
        draft = _draft(job, environ)
    except OSError as error:
        return NotWritten(job, f"A draft cannot be kept: {error.strerror}.")
    before = _content(draft)
    try:
        text = draft.edit(environ)
    except editor.EditorFailed as error:
        why = error.message.partition(";")[0].rstrip(".") + "."
        if not job.path and _content(draft) in (before, ""):
            draft.discard()
            return NotWritten(job, f"{why} Nothing was changed.")
        return NotWritten(job.but(path=str(draft.path)), why)
    return Written(job.but(path=str(draft.path)), text, text == before)


def read(job: Job) -> Written | NotWritten:
    """Take the draft as it is."""
    try:
        return Written(job, editor.Draft(Path(job.path)).read(), unchanged=False)
    except editor.EditorFailed as error:
        return NotWritten(job.but(path=""), error.message)
    except OSError as error:
        return NotWritten(job.but(path=""), f"The draft cannot be read: {error.strerror}.")


def discard(path: str) -> None:
    """Remove a draft."""
    editor.Draft(Path(path)).discard()


def _draft(job: Job, environ: Mapping[str, str]) -> editor.Draft:
    """The draft that is there still, else a new one."""
    if job.path and Path(job.path).exists():
        return editor.Draft(Path(job.path))
    return editor.draft(editor.safe_to_edit(job.start), job.name, environ)


def _content(draft: editor.Draft) -> str:
    """What is in it; "" for what is not there or is no text."""
    try:
        return draft.read()
    except (editor.EditorFailed, OSError):
        return ""
